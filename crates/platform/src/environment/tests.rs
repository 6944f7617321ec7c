//! Values in a registry and files, read, replaced, and left alone.

use super::*;

const LONGEST: Duration = Duration::from_secs(20);

/// A value is made, replaced, found changed, and removed; at each step it is what was written.
#[track_caller]
fn check_life(location: &Location, contents: &[Raw]) {
    let alone = Alone::enter(LONGEST).unwrap();
    let mut before: Option<Raw> = None;
    assert_eq!(read(location).unwrap(), None);
    for content in contents {
        swap(location, before.as_ref(), Some(content), &alone).unwrap();
        assert_eq!(read(location).unwrap().as_ref(), Some(content));
        before = Some(content.clone());
    }
    let other = Raw { kind: 1, bytes: b"other".to_vec() };
    for new in [Some(&other), None] {
        let refused = swap(location, Some(&other), new, &alone).unwrap_err();
        assert!(matches!(refused, SwapError::Changed), "{refused}");
        let refused = swap(location, None, new, &alone).unwrap_err();
        assert!(matches!(refused, SwapError::Changed), "{refused}");
    }
    assert_eq!(read(location).unwrap(), before);
    swap(location, before.as_ref(), None, &alone).unwrap();
    assert_eq!(read(location).unwrap(), None);
    swap(location, None, None, &alone).unwrap();
}

#[test]
fn a_file_is_made_replaced_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::File(folder.path().join("profile"));
    let content = |bytes: &[u8]| Raw { kind: 0, bytes: bytes.to_vec() };
    check_life(&location, &[content(b"umask 022\n"), content(b"\xff\xfe"), content(b"")]);
}

#[test]
fn telling_ends_in_time() {
    let begun = std::time::Instant::now();
    let told = announce(Duration::from_secs(2));
    assert!(begun.elapsed() < LONGEST);
    assert_eq!(told == Told::Nobody, cfg!(unix), "{told:?}");
}

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_keeps_its_mode_and_a_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("dotfiles"), folder.path().join(".profile"));
        fs::write(&target, "old").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let location = Location::File(link.clone());
        let (old, new) = (read(&location).unwrap(), Raw { kind: 0, bytes: b"new".to_vec() });
        check_access(&location).unwrap();
        let alone = Alone::enter(LONGEST).unwrap();
        swap(&location, old.as_ref(), Some(&new), &alone).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_registry_is_not_to_be_had() {
        let location = Location::Value { key: Key::user(), name: "Path".to_owned() };
        assert_eq!(read(&location).unwrap_err().kind(), io::ErrorKind::Unsupported);
    }
}

#[cfg(windows)]
mod windows;
