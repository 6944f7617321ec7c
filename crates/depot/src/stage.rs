//! Staging: from an archive to a verified tree that bears the release's name.
//!
//! The order of writes, so that a kill or a power cut between any two leaves nothing half-made:
//!
//! 1. The archive is unpacked into a folder of `staging`. Until the end of step 3, opening the
//!    depot again simply deletes it.
//! 2. The file system is synced, once for all files. Windows offers no such thing to ordinary
//!    users, and syncing 12,000 files one by one would take longer than all the rest: there only
//!    the programs are synced. A power cut within seconds may then damage other files, which
//!    verifying the tree finds and staging again mends.
//! 3. The manifest is saved. A manifest without a tree is deleted on opening.
//! 4. One rename gives the tree its name. From here on the release is installed.
//!
//! A damaged tree under that name is first moved into `staging` as `replaced-<id>`; if the new one
//! does not arrive, opening the depot moves it back.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gofleet_core::ids::ReleaseId;
use gofleet_core::manifest::Manifest;
use gofleet_core::release::ReleaseRef;
use gofleet_platform::{Support, checkpoint, file, sync_file_system};

use crate::archive::{self, ArchiveError, Content, Entry, Sink, drain};
use crate::error::{DepotError, failed};
use crate::json;
use crate::root::Root;
use crate::space;
use crate::verify::{self, Difference};

/// Hears how far the work is; called from several threads at once, for each file.
pub trait Progress: Sync {
    /// One more file of `bytes` bytes is done.
    fn file_done(&self, bytes: u64);
}

/// Nobody listens.
impl Progress for () {
    fn file_done(&self, _bytes: u64) {}
}

/// What staging did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageReport {
    /// Files in the tree, every one of them compared with the manifest.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether the tree was there already, intact, and nothing was written.
    pub was_there: bool,
}

/// What stands before the id in the name of a tree that is about to be replaced.
pub(crate) const REPLACED: &str = "replaced-";

/// Stages a release. The caller holds the depot's lock and no other thread changes it.
pub(crate) fn stage(
    root: &Root,
    release: &ReleaseRef,
    manifest: &Manifest,
    archive: &Path,
    progress: &dyn Progress,
) -> Result<StageReport, DepotError> {
    let (id, found) = (&release.id, manifest.digest());
    if found != release.manifest {
        let (id, expected) = (id.clone(), release.manifest);
        return Err(DepotError::WrongManifest { id, expected, found });
    }
    let mut report = StageReport {
        files: manifest.files().len() as u64,
        bytes: manifest.tree_bytes(),
        was_there: true,
    };
    if is_there(root, id, manifest, progress)? {
        return Ok(report);
    }
    report.was_there = false;
    space::check(root, manifest)?;
    let folder = Folder::create(root, id)?;
    checkpoint("depot-stage-begun");
    unpack(id, manifest, archive, &folder.0, progress)?;
    checkpoint("depot-stage-unpacked");
    sync(manifest, &folder.0)?;
    checkpoint("depot-stage-verified");
    publish(root, id, manifest, &folder.0)?;
    checkpoint("depot-stage-renamed");
    Ok(report)
}

/// Whether the very tree is installed, and intact.
fn is_there(
    root: &Root,
    id: &ReleaseId,
    manifest: &Manifest,
    progress: &dyn Progress,
) -> Result<bool, DepotError> {
    if !root.is_installed(id) || root.manifest(id).ok().as_ref() != Some(manifest) {
        return Ok(false);
    }
    match verify::intact(id, &root.tree(id), manifest, progress) {
        Ok(_) => Ok(true),
        Err(DepotError::Damaged { .. }) => Ok(false),
        Err(other) => Err(other),
    }
}

/// Step 2.
fn sync(manifest: &Manifest, folder: &Path) -> Result<(), DepotError> {
    match sync_file_system(folder).map_err(failed("sync", folder))? {
        Support::Done => Ok(()),
        Support::Unsupported => {
            let programs = manifest.files().iter().filter(|file| file.executable);
            programs.map(|file| folder.join(file.path.as_str())).try_for_each(|path| {
                let file = fs::OpenOptions::new().write(true).open(&path);
                file.and_then(|file| file.sync_all()).map_err(failed("sync", &path))
            })
        }
    }
}

/// Steps 3 and 4.
fn publish(
    root: &Root,
    id: &ReleaseId,
    manifest: &Manifest,
    staged: &Path,
) -> Result<(), DepotError> {
    let (tree, replaced) = (root.tree(id), root.staging().join(format!("{REPLACED}{id}")));
    let is_replacing = fs::symlink_metadata(&tree).is_ok();
    if is_replacing {
        file::rename(&tree, &replaced).map_err(failed("move away the damaged", &tree))?;
        checkpoint("depot-stage-replacing");
    }
    json::save(&root.manifest_path(id), manifest)?;
    file::rename(staged, &tree).map_err(failed("give the name to", &tree))?;
    if is_replacing {
        // What can't be removed now is removed when the depot is opened next.
        let _ = file::remove_tree(&replaced);
    }
    Ok(())
}

/// A folder in `staging` that goes away with this value, unless it was renamed.
struct Folder(PathBuf);

impl Folder {
    fn create(root: &Root, id: &ReleaseId) -> Result<Self, DepotError> {
        let path = root.staging().join(id.as_str());
        file::remove_tree(&path).map_err(failed("remove the folder", &path))?;
        fs::create_dir(&path).map_err(failed("create the folder", &path))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // After an error: what can't be removed now is removed when the depot is opened next.
        let _ = file::remove_tree(&self.0);
    }
}

fn unpack(
    id: &ReleaseId,
    manifest: &Manifest,
    archive: &Path,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<(), DepotError> {
    create_folders(manifest, folder)?;
    let seen = manifest.files().iter().map(|_| AtomicBool::new(false)).collect();
    let stager = Stager { id, manifest, folder, seen, unpacked: AtomicU64::new(0), progress };
    archive::read(archive, &stager).map_err(|error| match error {
        Failed::Archive(source) => DepotError::Archive { path: archive.to_owned(), source },
        Failed::Depot(error) => error,
    })?;
    let missing = stager.seen.iter().position(|seen| !seen.load(Ordering::Relaxed));
    match missing {
        None => Ok(()),
        Some(index) => {
            Err(stager.differs(Difference::Missing(manifest.files()[index].path.to_string())))
        }
    }
}

/// Each folder once, parents first, before any file.
fn create_folders(manifest: &Manifest, folder: &Path) -> Result<(), DepotError> {
    let mut folders = BTreeSet::new();
    for file in manifest.files() {
        let path = file.path.as_str();
        folders.extend(path.match_indices('/').map(|(slash, _)| &path[..slash]));
    }
    folders.into_iter().try_for_each(|below| {
        let path = folder.join(below);
        fs::create_dir(&path).map_err(failed("create the folder", &path))
    })
}

/// Writes the files that the manifest lists, and compares each with it.
struct Stager<'a> {
    id: &'a ReleaseId,
    manifest: &'a Manifest,
    folder: &'a Path,
    /// Which files have come, in the manifest's order.
    seen: Vec<AtomicBool>,
    unpacked: AtomicU64,
    progress: &'a dyn Progress,
}

enum Failed {
    Archive(ArchiveError),
    Depot(DepotError),
}

impl From<ArchiveError> for Failed {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

impl From<DepotError> for Failed {
    fn from(error: DepotError) -> Self {
        Self::Depot(error)
    }
}

impl Stager<'_> {
    fn differs(&self, difference: Difference) -> DepotError {
        DepotError::Differs { id: self.id.clone(), difference }
    }
}

impl Sink for Stager<'_> {
    type Error = Failed;

    fn file(&self, entry: &Entry, content: &mut dyn Content) -> Result<(), Failed> {
        let name = entry.path.as_str();
        let differs = |kind: fn(String) -> Difference| self.differs(kind(name.to_owned()));
        let index = self.manifest.index_of(name).ok_or_else(|| differs(Difference::Unexpected))?;
        let expected = &self.manifest.files()[index];
        if self.seen[index].swap(true, Ordering::Relaxed) {
            return Err(differs(Difference::Unexpected).into());
        }
        if entry.size != expected.size {
            return Err(differs(Difference::Size).into());
        }
        let path = self.folder.join(name);
        let mut file = create(&path, expected.executable)?;
        let (size, sha256) = drain(content, |chunk| {
            file.write_all(chunk).map_err(failed("write", &path)).map_err(Failed::Depot)
        })?;
        if size != expected.size {
            return Err(differs(Difference::Size).into());
        }
        if sha256 != expected.sha256 {
            return Err(differs(Difference::Content).into());
        }
        self.unpacked.fetch_add(size, Ordering::Relaxed);
        self.progress.file_done(size);
        Ok(())
    }
}

fn create(path: &Path, executable: bool) -> Result<File, DepotError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(if executable { 0o755 } else { 0o644 });
    }
    #[cfg(not(unix))]
    let _ = executable;
    options.open(path).map_err(failed("create", path))
}
