//! The folder in which Go is to run, as Go itself sees it.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

/// The current folder. Where a shell came through a link, `PWD` names the way that it took, and
/// like Go (`os.Getwd`) we look for module files along that way.
///
/// # Errors
///
/// If the folder is gone.
pub fn current_folder() -> io::Result<PathBuf> {
    match env::var_os("PWD").map(PathBuf::from).filter(|folder| folder.is_absolute()) {
        Some(folder) if is_current(&folder) => Ok(folder),
        _ => env::current_dir(),
    }
}

#[cfg(unix)]
fn is_current(folder: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path| std::fs::metadata(path).map(|found| (found.dev(), found.ino()));
    match (identity(folder), identity(".".as_ref())) {
        (Ok(named), Ok(current)) => named == current,
        _ => false,
    }
}

/// Windows has no `PWD`; shells from elsewhere set one that no Go would look at.
#[cfg(not(unix))]
fn is_current(_folder: &std::path::Path) -> bool {
    false
}

/// The folder that `-C` leads to from `folder`; Go itself complains if there is none.
pub fn changed_folder(folder: PathBuf, change: Option<&OsStr>) -> PathBuf {
    let changed = change.and_then(|change| gofleet_platform::canonical(&folder.join(change)).ok());
    changed.unwrap_or(folder)
}
