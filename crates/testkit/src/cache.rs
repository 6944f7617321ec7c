//! The folder on this machine that keeps what was fetched or made for tests, and how several test
//! processes make one thing in it only once.
//!
//! A thing is complete as soon as it has its name: it is made under another name beside it, then
//! renamed. Whoever wants it while another process makes it waits on a lock file.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// `gofleet` in the user's cache folder: `$XDG_CACHE_HOME`, else `~/.cache`; on Windows
/// `%LOCALAPPDATA%`.
///
/// # Panics
///
/// When the environment names no home at all.
pub fn folder() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = if cfg!(windows) {
        set("LOCALAPPDATA")
    } else {
        set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))
    };
    user.expect("HOME (on Windows LOCALAPPDATA) names the user's folder").join("gofleet")
}

/// The path `wanted`, made by `make` if it is not there. `make` gets the path of a file or folder
/// that it shall create; that one is renamed to `wanted` when all of it is there.
///
/// # Errors
///
/// What `make` answers, or what the file system says.
pub fn once<E: From<io::Error>>(
    wanted: &Path,
    make: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    if wanted.exists() {
        return Ok(());
    }
    let parent = wanted.parent().expect("what is cached lies in a folder");
    fs::create_dir_all(parent)?;
    let lock = File::create(beside(wanted, "lock"))?;
    lock.lock()?;
    if wanted.exists() {
        return Ok(());
    }
    let partial = beside(wanted, "partial");
    remove(&partial)?;
    make(&partial)?;
    fs::rename(&partial, wanted)?;
    Ok(())
}

/// `NAME` → `.NAME.SUFFIX` in the same folder, so that renaming stays on one file system.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().expect("what is cached has a name").to_string_lossy();
    path.with_file_name(format!(".{name}.{suffix}"))
}

/// Removes a file or folder that a killed process left.
fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn eight_at_once_make_it_once() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = folder.path().join("thing");
        let made = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    once(&wanted, |partial| {
                        made.fetch_add(1, Ordering::SeqCst);
                        fs::write(partial, "whole")
                    })
                    .unwrap();
                    assert_eq!(fs::read_to_string(&wanted).unwrap(), "whole");
                });
            }
        });
        assert_eq!(made.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_failed_or_killed_attempt_leaves_nothing_under_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = folder.path().join("thing");
        let failed = once(&wanted, |partial| {
            fs::write(partial, "half")?;
            Err(io::Error::other("cut"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "cut");
        assert!(!wanted.exists());
        once(&wanted, |partial| fs::write(partial, "whole")).unwrap();
        assert_eq!(fs::read_to_string(&wanted).unwrap(), "whole");
    }
}
