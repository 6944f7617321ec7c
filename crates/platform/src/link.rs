//! A link to a folder that is replaced in one step: a symbolic link on Unix, a junction on Windows.
//!
//! Such a link is a convenience for people and other programs; gofleet itself never reads it, so
//! where the system has no links the answer is [`Support::Unsupported`] and no error.

use std::io;
use std::path::Path;

use crate::Support;

#[cfg(unix)]
#[path = "link/unix.rs"]
mod system;
#[cfg(windows)]
#[path = "link/windows.rs"]
mod system;

/// Makes `link` point to the folder `target`, whatever link was there before. `target` should be
/// absolute.
///
/// On Unix at no moment is there no link. On Windows a junction cannot be replaced, so there is a
/// moment without one.
///
/// # Errors
///
/// What the system said, also if `link` is a file or a folder with something in it.
pub fn replace_link(link: &Path, target: &Path) -> io::Result<Support> {
    system::replace_link(link, target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Windows has file systems without links, and Wine has none with them.
    const EITHER: [Support; 2] = [Support::Done, Support::Unsupported];

    #[test]
    fn a_link_follows_its_last_target() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("current");
        for name in ["one", "two"] {
            let target = folder.path().join(name);
            fs::create_dir(&target).unwrap();
            fs::write(target.join("name"), name).unwrap();
            let expected = if cfg!(unix) { &[Support::Done][..] } else { &EITHER[..] };
            let outcome = replace_link(&link, &target).unwrap();
            assert!(expected.contains(&outcome), "{outcome:?}");
            match outcome {
                Support::Done => assert_eq!(fs::read_to_string(link.join("name")).unwrap(), name),
                Support::Unsupported => assert!(!link.exists(), "nothing is left behind"),
            }
        }
    }

    #[test]
    fn a_folder_that_is_no_link_is_not_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("current");
        fs::create_dir(&link).unwrap();
        fs::write(link.join("mine"), b"kept").unwrap();
        assert!(replace_link(&link, folder.path()).is_err());
        assert_eq!(fs::read(link.join("mine")).unwrap(), b"kept");
    }
}
