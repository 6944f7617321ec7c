//! A lock that one process holds on a folder of files, and that ends with the process, however
//! it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use thiserror::Error;

/// Who only looks whether a lock is held has it for a moment itself: so it is tried a few times.
const TRIES: u32 = 25;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub struct FileLock {
    // The system lets go of the lock when the file is closed.
    _file: File,
    holder: PathBuf,
}

/// Why there is no lock.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{} is locked by another process{}", path.display(), in_words(*holder))]
    Held {
        /// The lock file.
        path: PathBuf,
        /// The other process, if it could be told.
        holder: Option<u32>,
    },
    /// The lock file could not be made or locked.
    #[error("cannot lock {}", path.display())]
    Unusable {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

fn in_words(holder: Option<u32>) -> String {
    holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

impl FileLock {
    /// Takes the lock on the file at `path`, which is made if need be. Waits for half a second at
    /// most.
    ///
    /// # Errors
    ///
    /// [`LockError::Held`] if another process (or another lock of this one) has it.
    pub fn acquire(path: &Path) -> Result<Self, LockError> {
        let unusable = |source| LockError::Unusable { path: path.to_owned(), source };
        // Whoever holds it is told in a second file: on Windows nobody can read a locked one.
        let holder = path.with_extension("pid");
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(path).map_err(unusable)?;
        let mut tries = 1;
        while let Err(refused) = file.try_lock() {
            match refused {
                TryLockError::WouldBlock if tries < TRIES => {
                    #[expect(clippy::disallowed_methods, reason = "nobody tells when a look ends")]
                    thread::sleep(PAUSE);
                }
                TryLockError::WouldBlock => {
                    let holder = fs::read_to_string(&holder).ok();
                    let holder = holder.and_then(|text| text.trim().parse().ok());
                    return Err(LockError::Held { path: path.to_owned(), holder });
                }
                TryLockError::Error(source) => return Err(unusable(source)),
            }
            tries += 1;
        }
        fs::write(&holder, std::process::id().to_string()).map_err(unusable)?;
        Ok(Self { _file: file, holder })
    }

    /// Whether some process holds the lock on the file at `path`. Makes and changes nothing.
    pub fn is_held(path: &Path) -> bool {
        File::open(path).is_ok_and(|file| {
            // Shared, so that many may look at once.
            matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
        })
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Only a hint for the next message: a lock file that stays behind is not a lock.
        let _ = fs::remove_file(&self.holder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_with_the_holder_until_the_first_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = FileLock::acquire(&path).unwrap();
        let error = FileLock::acquire(&path).unwrap_err();
        let expected = std::process::id();
        assert!(
            matches!(&error, LockError::Held { holder: Some(pid), .. } if *pid == expected),
            "{error}"
        );
        assert!(error.to_string().contains(&format!("(pid {expected})")), "{error}");
        drop(first);
        FileLock::acquire(&path).unwrap();
    }

    #[test]
    fn who_only_looks_keeps_nobody_from_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("running");
        assert!(!FileLock::is_held(&path));
        assert!(!path.exists(), "a look made the file");
        // A look, held up in its middle.
        let look = File::create(&path).unwrap();
        look.try_lock_shared().unwrap();
        assert!(!FileLock::is_held(&path));
        thread::scope(|scope| {
            let lock = scope.spawn(|| FileLock::acquire(&path));
            drop(look);
            let lock = lock.join().unwrap().unwrap();
            assert!(FileLock::is_held(&path));
            drop(lock);
        });
        assert!(!FileLock::is_held(&path));
    }

    #[test]
    fn a_lock_where_no_folder_is_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = FileLock::acquire(&folder.path().join("absent/lock")).unwrap_err();
        assert!(matches!(error, LockError::Unusable { .. }), "{error}");
        assert!(error.to_string().contains("absent"), "{error}");
    }
}
