//! The file system that a path stands on.

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
    system::free_space(path)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_some_room_for_a_temporary_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_space(folder.path()).unwrap() > 0);
        assert!(free_space(&folder.path().join("absent")).is_err());
    }

    #[test]
    fn syncing_all_is_done_or_unsupported() {
        let folder = tempfile::tempdir().unwrap();
        let expected = if cfg!(windows) { Support::Unsupported } else { Support::Done };
        assert_eq!(sync_file_system(folder.path()).unwrap(), expected);
    }
}
