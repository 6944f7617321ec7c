//! Finding what was changed in the installed trees, and mending it.
//!
//! All trees are compared at the speed of memory: on all processors, and a file that stands in
//! several trees is read once. A damaged tree is mended by staging it anew: what is intact is
//! shared from the trees themselves, what is not comes from another tree, or from an archive or a
//! pack that is at hand.

use std::fs;
use std::path::{Path, PathBuf};

use gofleet_core::digest::Digest;
use gofleet_core::ids::ReleaseId;
use serde::Serialize;

use crate::archive;
use crate::error::DepotError;
use crate::pack;
use crate::root::Root;
use crate::stage::{Progress, Source};
use crate::verify::{self, Difference, Read};

/// A tree that was compared with its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The release.
    pub release: ReleaseId,
    /// Files in its manifest.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Everything in which it differs, in order.
    pub differences: Vec<Difference>,
}

impl Root {
    /// Compares every file of every installed release with its manifest.
    ///
    /// # Errors
    ///
    /// Whatever prevents a file from being read.
    pub fn check_all(&self, progress: &dyn Progress) -> Result<Vec<Checked>, DepotError> {
        let read = Read::default();
        let check = |release: ReleaseId| {
            let manifest = self.manifest(&release)?;
            let differences =
                verify::differences(&self.tree(&release), &manifest, Some(&read), progress)?;
            let (files, bytes) = (manifest.files().len() as u64, manifest.tree_bytes());
            Ok(Checked { release, files, bytes, differences })
        };
        self.installed()?.into_iter().map(check).collect()
    }

    /// The archives and packs in `downloads`.
    pub fn downloaded(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.downloads()).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect()
    }
}

/// A file that a release can be had from, whatever it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supply {
    path: PathBuf,
    /// Digest of the manifest of the release that it holds.
    manifest: Digest,
    is_pack: bool,
}

impl Supply {
    /// Looks into a file; none if it is neither an archive nor a pack.
    pub fn of(path: &Path) -> Option<Self> {
        let (manifest, is_pack) = match pack::manifest(path) {
            Ok(manifest) => (manifest, true),
            Err(_) => (archive::inspect(path).ok()?.manifest, false),
        };
        Some(Self { path: path.to_owned(), manifest: manifest.digest(), is_pack })
    }

    /// Digest of the manifest of the release that it holds.
    pub fn manifest(&self) -> &Digest {
        &self.manifest
    }

    /// As what [`stage`](crate::Depot::stage) takes.
    pub fn source(&self) -> Source<'_> {
        if self.is_pack { Source::Pack(&self.path) } else { Source::Archive(&self.path) }
    }
}
