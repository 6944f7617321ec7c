//! The users of a machine: where their home folders are, and whose a file is.

use std::io;
use std::path::{Path, PathBuf};

#[cfg(unix)]
#[path = "users/unix.rs"]
mod system;
#[cfg(windows)]
#[path = "users/windows.rs"]
mod system;

/// The home folders of the machine's users, each once, whether they can be entered or not. On Unix
/// those of its own list (`/etc/passwd`) and the folders in `/home`, so that users of a directory
/// who have been here are among them; on Windows those of all profiles.
///
/// # Errors
///
/// What the system said where its list can't be read.
pub fn homes() -> io::Result<Vec<PathBuf>> {
    let mut homes = system::homes()?;
    homes.sort();
    homes.dedup();
    Ok(homes)
}

/// The name of a file's owner, on Windows with the domain before it (`BUILTIN\Administrators`); the
/// number or SID of one who has no name. A link is not followed on Unix.
///
/// # Errors
///
/// What the system said.
pub fn owner(path: &Path) -> io::Result<String> {
    system::owner(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_of_whoever_runs_this_is_among_the_homes() {
        let name = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        let Some(home) = std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_dir()) else {
            return;
        };
        let same = |path: &PathBuf| crate::canonical(path).ok() == crate::canonical(&home).ok();
        let homes = homes().unwrap();
        assert!(homes.iter().any(same), "{home:?} is not in {homes:?}");
    }

    #[test]
    fn a_new_file_is_its_makers() {
        let folder = tempfile::tempdir().unwrap();
        let owner = owner(folder.path()).unwrap();
        assert!(!owner.is_empty());
        #[cfg(unix)]
        {
            let mut stat = std::process::Command::new("stat");
            let said = stat.args(["-c", "%U"]).arg(folder.path()).output().unwrap();
            assert_eq!(owner, String::from_utf8(said.stdout).unwrap().trim());
        }
        assert!(super::owner(&folder.path().join("absent")).is_err());
    }
}
