//! The file system that a path stands on.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::Support;

#[cfg(unix)]
#[path = "volume/unix.rs"]
mod system;
#[cfg(windows)]
#[path = "volume/windows.rs"]
mod system;

/// Bytes that this user may still write where `path` stands, which must exist.
///
/// # Errors
///
/// What the system said.
pub fn free_space(path: &Path) -> io::Result<u64> {
    space(path).map(|space| space.free_bytes)
}

/// The room of a file system, as one user sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this user may still write.
    pub free_bytes: u64,
    /// Bytes that this user could have written if it were empty.
    pub total_bytes: u64,
}

/// The room where `path` stands, which must exist.
///
/// # Errors
///
/// What the system said.
pub fn space(path: &Path) -> io::Result<Space> {
    system::space(path)
}

/// Writes out everything that is still in memory for the file system of `path`: for thousands of
/// new files far cheaper than syncing each.
///
/// Windows has this for administrators only, so there the answer is [`Support::Unsupported`] and
/// files must be synced one by one.
///
/// # Errors
///
/// What the system said.
pub fn sync_file_system(path: &Path) -> io::Result<Support> {
    system::sync_file_system(path)
}

/// Whether [`sync_file_system`] does anything here.
pub const fn can_sync_file_systems() -> bool {
    cfg!(unix)
}

/// Lets `file` occupy `bytes` bytes of its file system, fewer than before or more, without writing
/// them: room that nobody else gets.
///
/// Where the file system can't do that (FAT, some network shares), the answer is
/// [`Support::Unsupported`].
///
/// # Errors
///
/// [`io::ErrorKind::StorageFull`] if there is not that much room, or what else the system said.
pub fn reserve(file: &File, bytes: u64) -> io::Result<Support> {
    system::reserve(file, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_some_room_for_a_temporary_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_space(folder.path()).unwrap() > 0);
        let space = space(folder.path()).unwrap();
        assert!(space.free_bytes <= space.total_bytes, "{space:?}");
        assert!(free_space(&folder.path().join("absent")).is_err());
    }

    #[test]
    fn syncing_all_is_done_or_unsupported() {
        let folder = tempfile::tempdir().unwrap();
        let expected = if cfg!(windows) { Support::Unsupported } else { Support::Done };
        assert_eq!(sync_file_system(folder.path()).unwrap(), expected);
    }

    #[test]
    fn room_is_reserved_or_that_is_unsupported() {
        let file = tempfile::tempfile().unwrap();
        let first = reserve(&file, 1 << 20).unwrap();
        assert_eq!(reserve(&file, 0).unwrap(), first);
    }

    #[cfg(unix)]
    #[test]
    fn room_is_taken_and_given_back() {
        use std::os::unix::fs::MetadataExt as _;
        let file = tempfile::tempfile().unwrap();
        let check = |bytes: u64| {
            if reserve(&file, bytes).unwrap() == Support::Done {
                let taken = file.metadata().unwrap().blocks() * 512;
                assert!((bytes..=bytes + 65_536).contains(&taken), "{taken} for {bytes}");
            }
        };
        [3 << 20, 1 << 20, 2 << 20, 0].into_iter().for_each(check);
        let error = reserve(&file, 1 << 60).unwrap_err();
        let expected = [io::ErrorKind::StorageFull, io::ErrorKind::FileTooLarge];
        assert!(expected.contains(&error.kind()), "{error}");
    }
}
