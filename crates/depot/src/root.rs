//! What stands where below a root, and how it is read. Nothing here changes anything, so it needs
//! no lock: files are replaced by one rename, and a reader sees the old one or the new one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gofleet_core::ids::ReleaseId;
use gofleet_core::manifest::{Manifest, ManifestFile};
use serde::{Deserialize, Serialize};

use crate::error::{DepotError, failed};
use crate::json;
use crate::removal::REMOVING;
use crate::stage::Progress;
use crate::verify::{self, Verified};

/// The folder that holds all that gofleet has on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(PathBuf);

/// Which release is active, and which one would be gone back to: the content of `active.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Active {
    /// The release that shims run.
    pub active: ReleaseId,
    /// The release that was active before it, if any.
    pub fallback: Option<ReleaseId>,
}

/// The content of a file in `manifests`.
#[derive(Serialize)]
pub(crate) struct Kept<'a> {
    /// Nobody vouches for it: it is what was found in a folder.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_unverified: bool,
    pub files: &'a [ManifestFile],
}

/// What is not in the manifest itself.
#[derive(Deserialize)]
struct Remark {
    #[serde(default)]
    is_unverified: bool,
}

impl Root {
    /// The root at `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The folder of the shims, which belongs on `PATH`.
    pub fn bin(&self) -> PathBuf {
        self.0.join("bin")
    }

    /// The folder of the trees, one per release.
    pub fn releases(&self) -> PathBuf {
        self.0.join("releases")
    }

    /// The tree of a release: its `GOROOT`. It is there and complete if the release is installed.
    pub fn tree(&self, id: &ReleaseId) -> PathBuf {
        self.releases().join(id.as_str())
    }

    /// The folder for archives that are being downloaded.
    pub fn downloads(&self) -> PathBuf {
        self.0.join("downloads")
    }

    /// The link that follows the active release, for people and editors; gofleet never reads it.
    pub fn current(&self) -> PathBuf {
        self.0.join("current")
    }

    /// The folder of what was changed in the environment, so that it can be undone.
    pub fn environment(&self) -> PathBuf {
        self.0.join("environment")
    }

    pub(crate) fn staging(&self) -> PathBuf {
        self.0.join("staging")
    }

    pub(crate) fn manifests(&self) -> PathBuf {
        self.0.join("manifests")
    }

    pub(crate) fn manifest_path(&self, id: &ReleaseId) -> PathBuf {
        self.manifests().join(format!("{id}.json"))
    }

    pub(crate) fn removing_path(&self, id: &ReleaseId) -> PathBuf {
        self.manifests().join(format!("{id}{REMOVING}"))
    }

    pub(crate) fn pins_path(&self) -> PathBuf {
        self.0.join("pins.json")
    }

    pub(crate) fn active_path(&self) -> PathBuf {
        self.0.join("active.json")
    }

    pub(crate) fn lock_path(&self) -> PathBuf {
        self.0.join("agent").join("lock")
    }

    /// The active release and its fallback; none if no release was ever activated.
    ///
    /// # Errors
    ///
    /// [`DepotError::FileSystem`] or [`DepotError::Corrupt`] if `active.json` can't be read.
    pub fn active(&self) -> Result<Option<Active>, DepotError> {
        json::load(&self.active_path())
    }

    /// The manifest of an installed release.
    ///
    /// # Errors
    ///
    /// [`DepotError::NotInstalled`], or whatever prevents it from being read.
    pub fn manifest(&self, id: &ReleaseId) -> Result<Manifest, DepotError> {
        let not_installed =
            || DepotError::NotInstalled { id: id.clone(), root: self.path().to_owned() };
        json::load(&self.manifest_path(id))?.ok_or_else(not_installed)
    }

    /// Whether the release was adopted as it was found, with a manifest that nobody vouches for.
    ///
    /// # Errors
    ///
    /// As [`manifest`](Self::manifest).
    pub fn is_unverified(&self, id: &ReleaseId) -> Result<bool, DepotError> {
        let remark: Option<Remark> = json::load(&self.manifest_path(id))?;
        Ok(remark.is_some_and(|remark| remark.is_unverified))
    }

    /// Whether the release has a tree and a manifest.
    pub fn is_installed(&self, id: &ReleaseId) -> bool {
        self.manifest_path(id).is_file() && self.tree(id).is_dir()
    }

    /// The releases that are installed, in the order of their names.
    ///
    /// # Errors
    ///
    /// [`DepotError::FileSystem`] if the folder is there but can't be read.
    pub fn installed(&self) -> Result<Vec<ReleaseId>, DepotError> {
        let folder = self.releases();
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed("read the folder", &folder))?,
        };
        let mut installed = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed("read the folder", &folder))?.file_name();
            let id = name.to_str().and_then(|name| name.parse().ok());
            installed.extend(id.filter(|id| self.is_installed(id)));
        }
        installed.sort();
        Ok(installed)
    }

    /// Compares every file of an installed release with its manifest, on all processors.
    ///
    /// # Errors
    ///
    /// [`DepotError::Damaged`] with the first difference, [`DepotError::NotInstalled`], or
    /// whatever prevents a file from being read.
    pub fn verify(&self, id: &ReleaseId, progress: &dyn Progress) -> Result<Verified, DepotError> {
        let manifest = self.manifest(id)?;
        verify::intact(id, &self.tree(id), &manifest, progress)
    }
}
