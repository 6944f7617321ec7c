//! A lock that one process holds on a folder of files, and that ends with the process, however
//! it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

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
    /// Takes the lock on the file at `path`, which is made if need be, without waiting.
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
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&holder).ok();
                let holder = holder.and_then(|text| text.trim().parse().ok());
                return Err(LockError::Held { path: path.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        fs::write(&holder, std::process::id().to_string()).map_err(unusable)?;
        Ok(Self { _file: file, holder })
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
    fn a_lock_where_no_folder_is_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = FileLock::acquire(&folder.path().join("absent/lock")).unwrap_err();
        assert!(matches!(error, LockError::Unusable { .. }), "{error}");
        assert!(error.to_string().contains("absent"), "{error}");
    }
}
