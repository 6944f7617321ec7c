//! Room on the disk, taken before the first byte is written.
//!
//! All bytes that a new tree needs are allocated in one file (`staging/reserved`), which shrinks as
//! the tree grows. So whether there is room is known before anything is written, nobody else gets
//! it in the meantime, and the way costs a system call per [`STEP`] and not one per file, as
//! allocating each file in advance would. Where a file system can't allocate without writing, what
//! is free is compared with what is needed.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;

use gofleet_core::manifest::ManifestFile;
use gofleet_platform::volume::reserve;
use gofleet_platform::{Support, file, free_space};

use crate::error::{DepotError, failed};
use crate::root::Root;

/// Allocation unit of NTFS, ext4, XFS and APFS unless chosen otherwise.
const BLOCK: u64 = 4096;
/// What folders, the manifest and the file system's own records take, and what must stay for
/// other programs: room for one small build.
const RESERVE: u64 = 32 << 20;
/// The reservation shrinks in steps of this size.
const STEP: u64 = 8 << 20;

/// Room that is taken until this goes.
#[derive(Debug)]
pub(crate) struct Reservation {
    path: PathBuf,
    /// None where the file system can't reserve.
    file: Option<File>,
    left: Mutex<u64>,
}

impl Reservation {
    /// Takes the room for writing these files, or refuses to begin what would not fit.
    pub(crate) fn take<'a>(
        root: &Root,
        files: impl Iterator<Item = &'a ManifestFile>,
    ) -> Result<Self, DepotError> {
        let needed: u64 = files.map(|file| on_disk(file.size)).sum();
        let free = free_space(root.path()).map_err(failed("ask for the room on", root.path()))?;
        let no_space = || DepotError::NoSpace {
            root: root.path().to_owned(),
            needed_bytes: needed + RESERVE,
            free_bytes: free,
        };
        if free < needed + RESERVE {
            return Err(no_space());
        }
        let path = root.staging().join("reserved");
        let file = File::create(&path).map_err(failed("create", &path))?;
        let mut reservation = Self { path, file: Some(file), left: Mutex::new(needed) };
        match reservation.file.as_ref().map_or(Ok(Support::Done), |file| reserve(file, needed)) {
            Ok(Support::Done) => {}
            Ok(Support::Unsupported) => reservation.file = None,
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Err(no_space()),
            Err(error) => return Err(failed("reserve room in", &reservation.path)(error)),
        }
        Ok(reservation)
    }

    /// Gives back what a file of `size` bytes will take.
    pub(crate) fn spend(&self, size: u64) -> Result<(), DepotError> {
        let mut left = self.left.lock().expect("no holder panics");
        let before = *left;
        // More than was planned for, if a shared file was found damaged.
        *left = before.saturating_sub(on_disk(size));
        match &self.file {
            Some(file) if before.div_ceil(STEP) != left.div_ceil(STEP) => {
                // Down to the next step: what is reserved is never more than what is left.
                let rest = *left / STEP * STEP;
                reserve(file, rest).map_err(failed("give back room in", &self.path)).map(drop)
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.file = None;
        // What can't be removed now is removed when the depot is opened next.
        let _ = file::remove_tree(&self.path);
    }
}

fn on_disk(size: u64) -> u64 {
    (size.div_ceil(BLOCK) + 1) * BLOCK
}
