//! Changing what a device has.

use std::fs;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use gofleet_core::digest::Digest;
use gofleet_core::ids::ReleaseId;
use gofleet_core::manifest::Manifest;
use gofleet_core::release::ReleaseRef;
use gofleet_platform::{FileLock, LockError, Sharing, Support, checkpoint, file, replace_link};

use crate::error::{DepotError, failed};
use crate::prune::PrunePlan;
use crate::removal::{self, Removal};
use crate::repair::Supply;
use crate::root::{Active, Root};
use crate::stage::{self, Progress, Source, StageReport, Staging};
use crate::{json, recovery};

/// A root that this process alone may change, as long as this value lives. What can be read of it
/// is on [`Root`].
#[derive(Debug)]
pub struct Depot {
    root: Root,
    /// No better way of sharing files is used.
    best_sharing: Sharing,
    /// Serializes changes by threads of this process.
    changing: Mutex<()>,
    /// The operating system gives the lock back when this goes, however the process ends.
    _lock: FileLock,
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
        recovery::create_folders(&root)?;
        let lock = FileLock::acquire(&root.lock_path()).map_err(|error| match error {
            LockError::Held { holder, .. } => {
                DepotError::Locked { root: root.path().to_owned(), holder }
            }
            LockError::Unusable { path, source } => failed("lock", &path)(source),
        })?;
        recovery::recover(&root)?;
        let depot =
            Self { root, best_sharing: Sharing::Clone, changing: Mutex::new(()), _lock: lock };
        depot.refresh_current();
        Ok(depot)
    }

    /// Never shares files by a better way than this one, whatever the file system has: for those
    /// whose backup can't deal with links, and for tests.
    #[must_use]
    pub fn with_sharing_at_best(mut self, sharing: Sharing) -> Self {
        self.best_sharing = sharing;
        self
    }

    /// Makes the tree of `release`: what the installed trees hold is shared with it, the rest comes
    /// from `source`, and every file is compared with `manifest` on its way. The tree gets its name
    /// when it is complete and safe on disk. If it is there already it is verified instead, and
    /// replaced only if it is damaged.
    ///
    /// # Errors
    ///
    /// Anything in [`DepotError`] that concerns archives, manifests, room and files;
    /// [`DepotError::Incomplete`] if another source may help.
    pub fn stage(
        &self,
        release: &ReleaseRef,
        manifest: &Manifest,
        source: Source<'_>,
        progress: &dyn Progress,
    ) -> Result<StageReport, DepotError> {
        let _alone = self.alone();
        let sources = [source];
        let staging = self.work(&release.id, manifest, &sources, progress, false);
        stage::stage(release, &staging)
    }

    /// Makes an installed release the active one; what was active becomes the fallback. Doing it
    /// twice changes nothing more.
    ///
    /// # Errors
    ///
    /// [`DepotError::NotInstalled`], or [`DepotError::FileSystem`] with the old one still active.
    pub fn activate(&self, id: &ReleaseId) -> Result<Active, DepotError> {
        let _alone = self.alone();
        match self.active()? {
            Some(before) if before.active == *id => self.switch_to(before),
            before => {
                let fallback = before.map(|before| before.active);
                self.switch_to(Active { active: id.clone(), fallback })
            }
        }
    }

    /// Goes back to the fallback, which is then active without a fallback of its own.
    ///
    /// # Errors
    ///
    /// [`DepotError::NoFallback`], or as [`activate`](Self::activate).
    pub fn revert(&self) -> Result<Active, DepotError> {
        let _alone = self.alone();
        match self.active()?.and_then(|before| before.fallback) {
            Some(active) => self.switch_to(Active { active, fallback: None }),
            None => Err(DepotError::NoFallback { root: self.path().to_owned() }),
        }
    }

    /// No release is active any more, as before the first activation. Installed trees stay.
    ///
    /// # Errors
    ///
    /// [`DepotError::FileSystem`] with the old one still active.
    pub fn deactivate(&self) -> Result<(), DepotError> {
        let _alone = self.alone();
        let (path, current) = (self.active_path(), self.current());
        file::remove_tree(&path).map_err(failed("remove", &path))?;
        file::sync_folder_of(&path).map_err(failed("sync the folder of", &path))?;
        // A link is removed, never what it points to.
        if let Err(error) = file::remove_tree(&current) {
            tracing::warn!(link = %current.display(), %error, "could not be removed");
        }
        Ok(())
    }

    /// One atomic write decides what is active; the link follows. A kill before it leaves the old
    /// one, a kill after it the new one, and the link is set right on the next opening.
    fn switch_to(&self, next: Active) -> Result<Active, DepotError> {
        if !self.is_installed(&next.active) {
            return Err(DepotError::NotInstalled { id: next.active, root: self.path().to_owned() });
        }
        checkpoint("depot-activate-begun");
        json::save(&self.active_path(), &next)?;
        checkpoint("depot-activate-switched");
        self.refresh_current();
        checkpoint("depot-activate-linked");
        Ok(next)
    }

    /// Lets the link follow what is active. Nothing of gofleet reads it, so a failure is only told.
    fn refresh_current(&self) {
        let Ok(Some(active)) = self.active() else { return };
        let (link, tree) = (self.current(), self.tree(&active.active));
        if fs::read_link(&link).is_ok_and(|target| target == tree) {
            return;
        }
        match std::path::absolute(&tree).and_then(|tree| replace_link(&link, &tree)) {
            Ok(Support::Done | Support::Unsupported) => {}
            Err(error) => tracing::warn!(link = %link.display(), %error, "could not be set"),
        }
    }

    /// Removes an installed release. It is not installed any more at once; what can't be deleted yet
    /// is deleted when the depot is opened next.
    ///
    /// # Errors
    ///
    /// [`DepotError::Needed`] if it is active, the fallback or pinned,
    /// [`DepotError::NotInstalled`], or [`DepotError::FileSystem`] with the release still whole.
    pub fn remove(&self, id: &ReleaseId) -> Result<Removal, DepotError> {
        let _alone = self.alone();
        if !self.is_installed(id) {
            return Err(DepotError::NotInstalled { id: id.clone(), root: self.path().to_owned() });
        }
        match self.need(id)? {
            Some(need) => Err(DepotError::Needed { id: id.clone(), need }),
            None => removal::remove(&self.root, id),
        }
    }

    /// Removes every release that nobody needs; see [`Root::prune_plan`]. Tells what was done, and
    /// which releases can't be deleted yet.
    ///
    /// # Errors
    ///
    /// Whatever prevents a tree from being read, before anything is removed; or that the first of
    /// several can't be removed.
    pub fn prune(&self, chosen: &[ReleaseId]) -> Result<(PrunePlan, Vec<ReleaseId>), DepotError> {
        let _alone = self.alone();
        let (plan, mut later) = (self.prune_plan(chosen)?, Vec::new());
        for id in plan.goes() {
            if removal::remove(&self.root, id)? == Removal::Later {
                later.push(id.clone());
            }
        }
        Ok((plan, later))
    }

    /// Keeps an installed release from being removed, or lets it go again.
    ///
    /// # Errors
    ///
    /// [`DepotError::NotInstalled`] if it is to be pinned and is not there, or that `pins.json`
    /// can't be read or written.
    pub fn pin(&self, id: &ReleaseId, is_pinned: bool) -> Result<(), DepotError> {
        let _alone = self.alone();
        if is_pinned && !self.is_installed(id) {
            return Err(DepotError::NotInstalled { id: id.clone(), root: self.path().to_owned() });
        }
        let mut pins = self.pinned()?;
        let is_changed = if is_pinned { pins.insert(id.clone()) } else { pins.remove(id) };
        if is_changed { json::save(&self.pins_path(), &pins) } else { Ok(()) }
    }

    /// Makes the tree of an installed release anew: from what is intact of it, from other trees,
    /// and from the supplies that hold this very release.
    ///
    /// # Errors
    ///
    /// [`DepotError::Incomplete`] if that is not enough, or as [`stage`](Self::stage); the tree is
    /// then as it was.
    pub fn repair(
        &self,
        id: &ReleaseId,
        supplies: &[Supply],
        progress: &dyn Progress,
    ) -> Result<StageReport, DepotError> {
        let _alone = self.alone();
        let manifest = self.manifest(id)?;
        let digest = manifest.digest();
        let supplies = supplies.iter().filter(|supply| *supply.manifest() == digest);
        let sources: Vec<Source<'_>> = supplies.map(Supply::source).collect();
        let is_unverified = self.is_unverified(id)?;
        self.work(id, &manifest, &sources, progress, is_unverified).build()
    }

    /// Makes the tree of a release from a folder that holds its files, and what the folder lacks from
    /// `others`. `is_unverified` says that nobody vouches for the manifest: it tells what was found.
    /// A tree that is there already is verified instead.
    ///
    /// # Errors
    ///
    /// [`DepotError::Vouched`] if it would replace a release whose manifest is known, or as
    /// [`stage`](Self::stage).
    pub fn adopt(
        &self,
        id: &ReleaseId,
        manifest: &Manifest,
        folder: &Path,
        others: &[Supply],
        is_unverified: bool,
    ) -> Result<StageReport, DepotError> {
        let _alone = self.alone();
        let is_vouched = self.is_installed(id) && !self.is_unverified(id)?;
        if is_unverified && is_vouched && self.manifest(id)? != *manifest {
            return Err(DepotError::Vouched { id: id.clone() });
        }
        let mut sources = vec![Source::Folder(folder)];
        sources.extend(others.iter().map(Supply::source));
        self.work(id, manifest, &sources, &(), is_unverified).bring()
    }

    fn work<'a>(
        &'a self,
        id: &'a ReleaseId,
        manifest: &'a Manifest,
        sources: &'a [Source<'a>],
        progress: &'a dyn Progress,
        is_unverified: bool,
    ) -> Staging<'a> {
        let (root, best_sharing) = (&self.root, self.best_sharing);
        Staging { root, id, manifest, is_unverified, sources, best_sharing, progress }
    }

    /// Puts copies of the shim program into `bin` as `go` and `gofmt` and returns that folder. A
    /// shim that is the same already is left alone.
    ///
    /// # Errors
    ///
    /// [`DepotError::FileSystem`].
    pub fn place_shims(&self, program: &Path) -> Result<PathBuf, DepotError> {
        let _alone = self.alone();
        let content = fs::read(program).map_err(failed("read", program))?;
        let digest = Digest::of(&content);
        for name in ["go", "gofmt"] {
            let shim = self.bin().join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
            let is_same = match fs::read(&shim) {
                Ok(present) => Digest::of(&present) == digest,
                Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                Err(error) => return Err(failed("read", &shim)(error)),
            };
            if !is_same {
                self.place(program, &shim)?;
            }
        }
        Ok(self.bin())
    }

    /// Replaces a program that may be running: on Windows it can be renamed but not overwritten.
    fn place(&self, program: &Path, shim: &Path) -> Result<(), DepotError> {
        let name = shim.file_name().expect("a shim has a name").to_string_lossy();
        let new = self.staging().join(format!("new-{name}"));
        fs::copy(program, &new).map_err(failed("write", &new))?;
        if cfg!(windows) && shim.exists() {
            // Unique, since an earlier one may still be running.
            let old = (0..).map(|n| self.staging().join(format!("old-{n}-{name}")));
            let old = old.into_iter().find(|old| !old.exists()).expect("numbers don't end");
            file::rename(shim, &old).map_err(failed("replace", shim))?;
        }
        file::rename(&new, shim).map_err(failed("replace", shim))
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        // It guards no data, so a panic elsewhere leaves nothing inconsistent behind it.
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
