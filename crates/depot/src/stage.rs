//! Staging: from whatever holds its files to a verified tree that bears the release's name.
//!
//! What the trees on the device hold already is shared with the new one, the rest comes from the
//! [`Source`]; each file is hashed once and compared with the manifest, wherever it comes from.
//!
//! The order of writes, so that a kill or a power cut between any two leaves nothing half-made:
//!
//! 1. The tree is built in a folder of `staging`. Until the end of step 3, opening the depot again
//!    simply deletes it.
//! 2. The file system is synced, once for all files. Windows offers no such thing to ordinary
//!    users, and syncing 12,000 files one by one would take longer than all the rest: there only
//!    the programs are synced. A power cut within seconds may then damage other files, which
//!    verifying the tree finds and staging again mends.
//! 3. The manifest is saved. A manifest without a tree is deleted on opening.
//! 4. One rename gives the tree its name. From here on the release is installed.
//!
//! A damaged tree under that name is first moved into `staging` as `replaced-<id>`; if the new one
//! does not arrive, opening the depot moves it back.
//!
//! So the names are the journal: each step is one atomic rename, and what a kill left undone can be
//! told from which names are there. A journal file would have to be kept in step with them.

use std::fs;
use std::path::{Path, PathBuf};

use gofleet_core::ids::ReleaseId;
use gofleet_core::manifest::Manifest;
use gofleet_core::release::ReleaseRef;
use gofleet_platform::{Folder, Sharing, checkpoint, file, sync_file_system};

use crate::archive;
use crate::delta::Delta;
use crate::error::{DepotError, failed};
use crate::holdings::Holdings;
use crate::json;
use crate::pack;
use crate::removal;
use crate::root::{Kept, Root};
use crate::share::{Damage, Shared, share};
use crate::space::Reservation;
use crate::verify;
use crate::write::{Failed, Writer, create_folders};

/// Hears how far the work is; called from several threads at once, for each file.
pub trait Progress: Sync {
    /// One more file of `bytes` bytes is done.
    fn file_done(&self, bytes: u64);
}

/// Nobody listens.
impl Progress for () {
    fn file_done(&self, _bytes: u64) {}
}

/// Where files come from that no tree on the device holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'a> {
    /// The original archive.
    Archive(&'a Path),
    /// A pack of the release.
    Pack(&'a Path),
    /// A delta to the release from one that is installed.
    Delta(&'a Path),
    /// A folder with files of the release, which stays as it is and is never linked with.
    Folder(&'a Path),
    /// There is no other source than what the device holds.
    Nothing,
}

/// What staging did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StageReport {
    /// Files in the tree, every one of them compared with the manifest.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether the tree was there already, intact, and nothing was written.
    pub was_there: bool,
    /// Files that came from trees on the device (or from the folder of [`Source::Folder`]).
    pub shared_files: u64,
    /// Their bytes.
    pub shared_bytes: u64,
    /// Files of installed releases that were found changed and were not shared on.
    pub damages: Vec<Damage>,
}

/// What stands before the id in the name of a tree that is about to be replaced.
pub(crate) const REPLACED: &str = "replaced-";

/// What is staged, for whom and how.
pub(crate) struct Staging<'a> {
    pub root: &'a Root,
    pub id: &'a ReleaseId,
    pub manifest: &'a Manifest,
    /// Whether the manifest is only what was found.
    pub is_unverified: bool,
    /// Asked one after the other for what the trees on the device don't hold.
    pub sources: &'a [Source<'a>],
    /// No better way of sharing is used than this one.
    pub best_sharing: Sharing,
    pub progress: &'a dyn Progress,
}

/// Stages a release, if `manifest` is the one that it names. The caller holds the depot's lock and
/// no other thread changes it.
pub(crate) fn stage(
    release: &ReleaseRef,
    staging: &Staging<'_>,
) -> Result<StageReport, DepotError> {
    let (id, expected, found) = (&release.id, release.manifest, staging.manifest.digest());
    if found != expected {
        return Err(DepotError::WrongManifest { id: id.clone(), expected, found });
    }
    staging.bring()
}

impl Staging<'_> {
    fn report(&self) -> StageReport {
        StageReport {
            files: self.manifest.files().len() as u64,
            bytes: self.manifest.tree_bytes(),
            ..StageReport::default()
        }
    }

    /// Verifies the tree if it is there, and builds it if it is not or is damaged.
    pub(crate) fn bring(&self) -> Result<StageReport, DepotError> {
        if self.is_there()? {
            if !self.is_unverified && self.root.is_unverified(self.id)? {
                self.save_manifest()?;
            }
            return Ok(StageReport { was_there: true, ..self.report() });
        }
        self.build()
    }

    /// Whether the very tree is installed, and intact.
    fn is_there(&self) -> Result<bool, DepotError> {
        let Self { root, id, manifest, .. } = *self;
        if !root.is_installed(id) || root.manifest(id).ok().as_ref() != Some(manifest) {
            return Ok(false);
        }
        match verify::intact(id, &root.tree(id), manifest, self.progress) {
            Ok(_) => Ok(true),
            Err(DepotError::Damaged { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Builds the tree, whatever stands under its name.
    pub(crate) fn build(&self) -> Result<StageReport, DepotError> {
        if self.root.removing_path(self.id).exists() {
            removal::finish(self.root, self.id)?;
        }
        let new = New::create(self.root, self.id)?;
        checkpoint("depot-stage-begun");
        let holdings = self.holdings()?;
        let shared = self.fill(&new.0, &holdings)?;
        checkpoint("depot-stage-unpacked");
        sync_file_system(&new.0).map_err(failed("sync", &new.0))?;
        checkpoint("depot-stage-verified");
        self.publish(&new.0)?;
        checkpoint("depot-stage-renamed");
        let files = self.manifest.files().iter().zip(&shared.has);
        let sizes = files.filter(|(_, has)| **has).map(|(file, _)| file.size);
        let (shared_files, shared_bytes) =
            sizes.fold((0, 0), |(files, bytes), size| (files + 1, bytes + size));
        Ok(StageReport { shared_files, shared_bytes, damages: shared.damages, ..self.report() })
    }

    /// What is at hand.
    fn holdings(&self) -> Result<Holdings, DepotError> {
        let staging = self.root.staging();
        let sharing = Sharing::of(&staging).map_err(failed("write in", &staging))?;
        let sharing = sharing.max(self.best_sharing);
        let mut holdings = Holdings::read(self.root, sharing)?;
        for source in self.sources {
            if let Source::Folder(path) = source {
                holdings = holdings.with_foreign(path, self.manifest, sharing)?;
            }
        }
        Ok(holdings)
    }

    /// Brings every file of the manifest into the folder; tells which were at hand.
    fn fill(&self, folder: &Path, holdings: &Holdings) -> Result<Shared, DepotError> {
        let Self { id, manifest, progress, .. } = *self;
        let plan = holdings.plan(manifest);
        let files = manifest.files().iter().zip(&plan);
        let written = files.filter(|(file, place)| {
            place.is_none_or(|place| holdings.sharing(place, file) == Sharing::Copy)
        });
        let reservation = Reservation::take(self.root, written.map(|(file, _)| file))?;
        create_folders(manifest, folder)?;
        let tree = Folder::open(folder).map_err(failed("open the folder", folder))?;
        let shared = share(holdings, manifest, &plan, &tree, &reservation, progress)?;
        checkpoint("depot-stage-shared");
        let tree = (&tree, folder);
        let writer = Writer::new(id, manifest, tree, &shared.has, &reservation, progress);
        for source in self.sources {
            if writer.missing().next().is_some() {
                self.read(source, holdings, &writer)?;
            }
        }
        let missing: Vec<&str> = writer.missing().collect();
        match missing.first() {
            None => Ok(shared),
            Some(first) => Err(DepotError::Incomplete {
                id: id.clone(),
                first: (*first).to_owned(),
                files: missing.len(),
            }),
        }
    }

    fn read(
        &self,
        source: &Source<'_>,
        holdings: &Holdings,
        writer: &Writer<'_>,
    ) -> Result<(), DepotError> {
        let wanted = |index| writer.wants_index(index);
        let (path, read) = match *source {
            Source::Archive(path) => (path, archive::read(path, writer)),
            Source::Pack(path) => (path, pack::read(path, self.manifest, &wanted, writer)),
            Source::Delta(path) => (path, self.read_delta(path, holdings, writer)),
            // Its files have been shared.
            Source::Folder(_) | Source::Nothing => return Ok(()),
        };
        let path = path.to_owned();
        read.map_err(|error| match error {
            Failed::Archive(source) => DepotError::Archive { path, source },
            Failed::Pack(source) => DepotError::Pack { path, source },
            Failed::Delta(source) => DepotError::Delta { path, source },
            Failed::Depot(error) => error,
        })
    }

    fn read_delta(
        &self,
        path: &Path,
        holdings: &Holdings,
        writer: &Writer<'_>,
    ) -> Result<(), Failed> {
        let delta = Delta::open(path)?;
        let no_base = || DepotError::NoBase { id: self.id.clone(), base: delta.base() };
        let base = holdings.by_manifest(&delta.base()).ok_or_else(no_base)?;
        delta.read(&base.manifest, &|file| base.read(file), writer)
    }

    fn save_manifest(&self) -> Result<(), DepotError> {
        let kept = Kept { is_unverified: self.is_unverified, files: self.manifest.files() };
        json::save(&self.root.manifest_path(self.id), &kept)
    }

    /// Steps 3 and 4.
    fn publish(&self, staged: &Path) -> Result<(), DepotError> {
        let Self { root, id, .. } = *self;
        let (tree, replaced) = (root.tree(id), root.staging().join(format!("{REPLACED}{id}")));
        let is_replacing = fs::symlink_metadata(&tree).is_ok();
        if is_replacing {
            file::rename(&tree, &replaced).map_err(failed("move away the damaged", &tree))?;
            checkpoint("depot-stage-replacing");
        }
        self.save_manifest()?;
        file::rename(staged, &tree).map_err(failed("give the name to", &tree))?;
        if is_replacing {
            // What can't be removed now is removed when the depot is opened next.
            let _ = file::remove_tree(&replaced);
        }
        Ok(())
    }
}

/// A folder in `staging` that goes away with this value, unless it was renamed.
struct New(PathBuf);

impl New {
    fn create(root: &Root, id: &ReleaseId) -> Result<Self, DepotError> {
        let path = root.staging().join(id.as_str());
        file::remove_tree(&path).map_err(failed("remove the folder", &path))?;
        fs::create_dir(&path).map_err(failed("create the folder", &path))?;
        Ok(Self(path))
    }
}

impl Drop for New {
    fn drop(&mut self) {
        // After an error: what can't be removed now is removed when the depot is opened next.
        let _ = file::remove_tree(&self.0);
    }
}
