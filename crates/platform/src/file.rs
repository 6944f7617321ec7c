//! Files: writing so that a crash leaves the old or the new content, renaming past scanners,
//! removing.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

#[cfg(unix)]
#[path = "file/unix.rs"]
mod system;
#[cfg(windows)]
#[path = "file/windows.rs"]
mod system;

#[cfg(windows)]
pub(crate) use system::{set_access_list, wide};

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever the folder lets in: mode 0644, or what Windows inherits.
    Everyone,
    /// Its owner only (mode 0600; on Windows also the administrators and the system).
    Private,
}

/// Which file it is, whatever its name: hard links share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    volume: u64,
    number: u64,
}

/// The identity of an open file, and how many names it has.
///
/// # Errors
///
/// What the system said.
pub fn identity(file: &File, metadata: &Metadata) -> io::Result<(Identity, u64)> {
    system::identity(file, metadata)
}

/// Replaces the content of `path` by `bytes`: after a crash at any point the file holds what it
/// held before or all of `bytes`, and after a return `bytes` are on the disk.
///
/// # Errors
///
/// What creating, writing, syncing or renaming said; the temporary file beside `path` is removed.
pub fn atomic_write(path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
    let temporary = temporary_beside(path)?;
    let written = write_synced(&temporary, bytes, access).and_then(|()| rename(&temporary, path));
    if written.is_err() {
        // Nothing to say if this fails too: the first error tells what is wrong.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn temporary_beside(path: &Path) -> io::Result<PathBuf> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    Ok(path.with_file_name(format!(".{name}.{}-{number}.tmp", std::process::id())))
}

fn write_synced(path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
    // Private before there is a byte to read.
    let mut file = system::create_new(path, access)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Renames `from` to `to`, replacing a file of that name (not a folder), and sees to it that the
/// new name survives a loss of power.
///
/// On Windows a scanner of viruses or an indexer opens what was just written, and for that moment
/// a rename fails with "access denied" (5) or "in use by another process" (32). Nothing tells when
/// it lets go, so the rename is tried again for about two seconds.
///
/// # Errors
///
/// What the last try said.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    while_scanned(|| system::rename(from, to))?;
    sync_folder_of(to)
}

/// Removes a file or a whole folder, read-only files too; nothing there is fine. Links are
/// removed, not followed.
///
/// # Errors
///
/// What the last try said; see [`rename`] for why there are several on Windows.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let removed = while_scanned(|| {
        if fs::symlink_metadata(path)?.is_dir() {
            system::remove_folder(path)
        } else {
            system::remove_file(path)
        }
    });
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Tries until a scanner lets go: 10, 20, 40 … 320, 500, 500, 500 ms, two seconds in all.
fn while_scanned<T>(mut action: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    const PAUSES_MS: [u64; 9] = [10, 20, 40, 80, 160, 320, 500, 500, 500];
    for pause_ms in PAUSES_MS {
        match action() {
            Err(error) if system::may_be_a_scanner(&error) => {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "no event tells when a scanner lets go of a file"
                )]
                std::thread::sleep(Duration::from_millis(pause_ms));
            }
            other => return other,
        }
    }
    action()
}

/// Makes the names in the folder of `path` survive a loss of power (Windows: done by the rename).
///
/// # Errors
///
/// What the system said.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => system::sync_folder(Path::new(".")),
        Some(folder) => system::sync_folder(folder),
        None => Ok(()),
    }
}

/// Creates a folder, with its parents, that only its owner may enter (mode 0700).
///
/// # Errors
///
/// What the system said.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    system::make_private(path)
}

/// The one absolute path of a file, links resolved, in the form that programs print: without the
/// `\\?\` that Windows puts before it.
///
/// # Errors
///
/// As [`fs::canonicalize`].
pub fn canonical(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path).map(system::plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_replaces_all_and_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        atomic_write(&path, b"a longer first content", Access::Everyone).unwrap();
        atomic_write(&path, b"second", Access::Private).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_and_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), b"kept").unwrap();
        assert!(atomic_write(&path, b"x", Access::Everyone).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(fs::read(path.join("inside")).unwrap(), b"kept");
    }

    #[cfg(unix)]
    #[test]
    fn private_files_are_their_owners_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for (access, expected) in [(Access::Private, 0o600), (Access::Everyone, 0o644)] {
            let path = folder.path().join("file");
            atomic_write(&path, b"x", access).unwrap();
            assert_eq!(mode(&path), expected, "{access:?}");
        }
        let inner = folder.path().join("a/b");
        create_private_folder(&inner).unwrap();
        assert_eq!(mode(&inner), 0o700);
    }

    #[test]
    fn folders_are_renamed_and_removed_with_read_only_files() {
        let folder = tempfile::tempdir().unwrap();
        let (staged, done) = (folder.path().join("staged"), folder.path().join("done"));
        fs::create_dir_all(staged.join("bin")).unwrap();
        let file = staged.join("bin/go");
        fs::write(&file, b"go").unwrap();
        let mut permissions = fs::metadata(&file).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&file, permissions).unwrap();
        rename(&staged, &done).unwrap();
        assert_eq!(fs::read(done.join("bin/go")).unwrap(), b"go");
        remove_tree(&done).unwrap();
        assert!(!done.exists());
        remove_tree(&done).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn removing_a_link_keeps_what_it_points_to() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::create_dir(&target).unwrap();
        fs::write(target.join("kept"), b"x").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        remove_tree(&link).unwrap();
        assert!(target.join("kept").exists() && !link.exists());
    }

    #[test]
    fn a_second_name_is_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str| {
            let file = File::open(folder.path().join(name)).unwrap();
            identity(&file, &file.metadata().unwrap()).unwrap()
        };
        for name in ["a", "b"] {
            fs::write(folder.path().join(name), b"content").unwrap();
        }
        assert!(of("a").0 != of("b").0 && of("a").1 == 1);
        fs::hard_link(folder.path().join("a"), folder.path().join("c")).unwrap();
        assert_eq!(of("a"), of("c"));
        assert_eq!(of("c").1, 2);
    }

    #[test]
    fn canonical_paths_are_those_that_programs_print() {
        let folder = tempfile::tempdir().unwrap();
        let path = canonical(&folder.path().join(".")).unwrap();
        assert!(path.is_absolute() && !path.to_string_lossy().starts_with(r"\\?\"), "{path:?}");
    }
}
