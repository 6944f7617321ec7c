//! Writing what a source gives into a new tree: each file that the manifest lists and that does not
//! stand there yet, compared with the manifest while it is written.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use gofleet_core::ids::ReleaseId;
use gofleet_core::manifest::Manifest;
use gofleet_platform::Folder;
use gofleet_platform::folder::finish;
use gofleet_platform::volume::can_sync_file_systems;

use crate::archive::{ArchiveError, Content, Entry, Sink, drain};
use crate::delta::DeltaError;
use crate::error::{DepotError, failed};
use crate::format::FormatError;
use crate::space::Reservation;
use crate::stage::Progress;
use crate::verify::Difference;

/// Makes each folder of the manifest once, parents first, before any file.
pub(crate) fn create_folders(manifest: &Manifest, tree: &Path) -> Result<(), DepotError> {
    let mut folders = BTreeSet::new();
    for file in manifest.files() {
        let path = file.path.as_str();
        folders.extend(path.match_indices('/').map(|(slash, _)| &path[..slash]));
    }
    folders.into_iter().try_for_each(|below| {
        let path = tree.join(below);
        fs::create_dir(&path).map_err(failed("create the folder", &path))
    })
}

/// Takes files from several threads at once.
pub(crate) struct Writer<'a> {
    id: &'a ReleaseId,
    manifest: &'a Manifest,
    folder: &'a Folder,
    /// The same, for messages.
    path: &'a Path,
    /// Which files stood in the tree before.
    has: &'a [bool],
    /// Which have come or stood there, in the manifest's order.
    seen: Vec<AtomicBool>,
    reservation: &'a Reservation,
    progress: &'a dyn Progress,
}

/// Why a source did not give all.
pub(crate) enum Failed {
    /// The archive itself.
    Archive(ArchiveError),
    /// The pack itself.
    Pack(FormatError),
    /// The delta itself.
    Delta(DeltaError),
    /// What it gave, or the disk.
    Depot(DepotError),
}

impl From<ArchiveError> for Failed {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

impl From<FormatError> for Failed {
    fn from(error: FormatError) -> Self {
        Self::Pack(error)
    }
}

impl From<DeltaError> for Failed {
    fn from(error: DeltaError) -> Self {
        Self::Delta(error)
    }
}

impl From<DepotError> for Failed {
    fn from(error: DepotError) -> Self {
        Self::Depot(error)
    }
}

impl<'a> Writer<'a> {
    pub(crate) fn new(
        id: &'a ReleaseId,
        manifest: &'a Manifest,
        tree: (&'a Folder, &'a Path),
        has: &'a [bool],
        reservation: &'a Reservation,
        progress: &'a dyn Progress,
    ) -> Self {
        let seen = has.iter().map(|has| AtomicBool::new(*has)).collect();
        let (folder, path) = tree;
        Self { id, manifest, folder, path, has, seen, reservation, progress }
    }

    /// Whether the file still has to come.
    pub(crate) fn wants_index(&self, index: usize) -> bool {
        !self.has[index]
    }

    /// The files that still have not come.
    pub(crate) fn missing(&self) -> impl Iterator<Item = &str> {
        let seen = self.seen.iter().zip(self.manifest.files());
        seen.filter(|(seen, _)| !seen.load(Ordering::Relaxed)).map(|(_, file)| file.path.as_str())
    }

    fn differs(&self, difference: Difference) -> DepotError {
        DepotError::Differs { id: self.id.clone(), difference }
    }
}

impl Sink for Writer<'_> {
    type Error = Failed;

    /// What the manifest does not list is wanted, so that it is refused.
    fn wants(&self, entry: &Entry) -> bool {
        self.manifest.index_of(entry.path.as_str()).is_none_or(|index| self.wants_index(index))
    }

    fn file(&self, entry: &Entry, content: &mut dyn Content) -> Result<(), Failed> {
        let name = entry.path.as_str();
        let differs = |kind: fn(String) -> Difference| self.differs(kind(name.to_owned()));
        let index = self.manifest.index_of(name).ok_or_else(|| differs(Difference::Unexpected))?;
        let expected = &self.manifest.files()[index];
        if self.has[index] {
            return Ok(());
        }
        if self.seen[index].swap(true, Ordering::Relaxed) {
            return Err(differs(Difference::Unexpected).into());
        }
        if entry.size != expected.size {
            return Err(differs(Difference::Size).into());
        }
        self.reservation.spend(expected.size)?;
        let path = || self.path.join(name);
        let created = self.folder.create(name, expected.executable);
        let mut file = created.map_err(|error| failed("create", &path())(error))?;
        let (size, sha256) = drain(content, |chunk| {
            let written = file.write_all(chunk);
            written.map_err(|error| Failed::Depot(failed("write", &path())(error)))
        })?;
        if size != expected.size {
            return Err(differs(Difference::Size).into());
        }
        if sha256 != expected.sha256 {
            return Err(differs(Difference::Content).into());
        }
        // Where nothing syncs all at once, the programs alone are worth the time.
        let must_sync = expected.executable && !can_sync_file_systems();
        let synced = if must_sync { file.sync_all() } else { Ok(()) };
        let finished = synced.and_then(|()| finish(&file));
        finished.map_err(|error| failed("finish", &path())(error))?;
        self.progress.file_done(size);
        Ok(())
    }
}
