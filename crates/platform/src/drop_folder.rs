//! A folder into which everybody may put files, and in which only its owner may look: how a program
//! with few rights leaves a word for one with more.
//!
//! Whoever reads from it must expect anything: links, pipes, folders, endless files. [`read_small`]
//! takes none of these.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

#[cfg(unix)]
#[path = "drop_folder/unix.rs"]
mod system;
#[cfg(windows)]
#[path = "drop_folder/windows.rs"]
mod system;

/// Makes the folder, or gives one that is there the rights of one: everybody may add files (and
/// remove their own), nobody but its owner may list them.
///
/// # Errors
///
/// What the system said, or that something else than a folder is there.
pub fn create_drop_folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    // A link to a folder is none.
    if !fs::symlink_metadata(path)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    system::open_to_all(path)
}

/// What an ordinary file holds, if it is at most `max_bytes`; none if it is more, or a link, a
/// pipe or anything else. Never waits for anybody.
///
/// # Errors
///
/// What the system said.
pub fn read_small(path: &Path, max_bytes: u64) -> io::Result<Option<Vec<u8>>> {
    let Some(file) = system::open_itself(path)? else { return Ok(None) };
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > max_bytes {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= max_bytes).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_small_ordinary_files_are_read() {
        let ground = tempfile::tempdir().unwrap();
        let folder = ground.path().join("notes");
        create_drop_folder(&folder).unwrap();
        create_drop_folder(&folder).unwrap();
        let note = folder.join("note");
        fs::write(&note, b"accept").unwrap();
        assert_eq!(read_small(&note, 6).unwrap().as_deref(), Some(b"accept".as_slice()));
        assert_eq!(read_small(&note, 5).unwrap(), None);
        assert!(read_small(&folder.join("absent"), 5).is_err());
        fs::create_dir(folder.join("folder")).unwrap();
        assert!(!matches!(read_small(&folder.join("folder"), 5), Ok(Some(_))));
        fs::write(ground.path().join("file"), b"x").unwrap();
        assert!(create_drop_folder(&ground.path().join("file")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed_and_pipes_are_not_waited_for() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let ground = tempfile::tempdir().unwrap();
        let folder = ground.path().join("notes");
        create_drop_folder(&folder).unwrap();
        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o1733);
        let secret = ground.path().join("secret");
        fs::write(&secret, b"secret").unwrap();
        symlink(&secret, folder.join("link")).unwrap();
        assert_eq!(read_small(&folder.join("link"), 100).unwrap(), None);
        let pipe = folder.join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(read_small(&pipe, 100).unwrap(), None);
        symlink(&folder, ground.path().join("linked")).unwrap();
        assert!(create_drop_folder(&ground.path().join("linked")).is_err());
    }
}
