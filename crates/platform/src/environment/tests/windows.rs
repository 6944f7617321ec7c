//! Values in a registry, against `reg.exe`, which we did not write.

#![expect(unsafe_code, reason = "taking rights away takes a call of Windows")]

use std::process::Command;
use std::ptr::null_mut;
use std::sync::mpsc;

use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::DACL_SECURITY_INFORMATION;
use windows_sys::Win32::System::Registry::{
    HKEY_CURRENT_USER, KEY_ALL_ACCESS, RegOpenKeyExW, RegSetKeySecurity,
};

use super::*;

/// A key of its own, gone afterwards.
struct Scratch(String);

impl Scratch {
    fn new(name: &str) -> Self {
        let scratch = Self(format!(r"Software\gofleet-test-{name}-{}", std::process::id()));
        scratch.reg(&["add"], &["/f"]);
        scratch
    }

    fn key(&self) -> Key {
        Key::of_user(&self.0)
    }

    fn value(&self, name: &str) -> Location {
        Location::Value { key: self.key(), name: name.to_owned() }
    }

    /// Runs `reg.exe VERB HKCU\KEY ARGUMENTS`.
    #[track_caller]
    fn reg(&self, verb: &[&str], arguments: &[&str]) -> String {
        let key = format!(r"HKCU\{}", self.0);
        let ran = Command::new("reg").args(verb).arg(key).args(arguments).output().unwrap();
        assert!(ran.status.success(), "{verb:?} {arguments:?}: {ran:?}");
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let key = format!(r"HKCU\{}", self.0);
        let _ = Command::new("reg").args(["delete", &key, "/f"]).output();
    }
}

fn raw(kind: u32, text: &str) -> Raw {
    let bytes = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    Raw { kind, bytes }
}

#[test]
fn a_value_is_made_replaced_and_removed_with_its_type_and_every_byte() {
    let scratch = Scratch::new("life");
    let long = format!(r"C:\Jörg\ß\語;{}", "x".repeat(5000));
    let odd = Raw { kind: 1, bytes: vec![97, 0, 0, 0, 0, 0, 98] };
    let contents = [raw(1, r"%A%;C:\b"), raw(2, &long), raw(2, ""), odd, raw(7, "a")];
    check_life(&scratch.value("Path"), &contents);
}

#[test]
fn another_program_reads_what_was_written_and_the_other_way_round() {
    let scratch = Scratch::new("reg");
    let seeded = r"%SystemRoot%\system32;;C:\Program Files\x";
    scratch.reg(&["add"], &["/v", "PATH", "/t", "REG_EXPAND_SZ", "/d", seeded, "/f"]);
    let location = scratch.value("Path");
    let found = read(&location).unwrap();
    assert_eq!(found, Some(raw(2, seeded)));
    let new = raw(1, &format!("C:\\new;{seeded}"));
    let alone = Alone::enter(LONGEST).unwrap();
    swap(&location, found.as_ref(), Some(&new), &alone).unwrap();
    let shown = scratch.reg(&["query"], &["/v", "Path"]);
    assert!(shown.contains("REG_SZ") && shown.contains(&format!("C:\\new;{seeded}")), "{shown}");
}

#[test]
fn a_change_by_another_program_meanwhile_is_not_overwritten() {
    let scratch = Scratch::new("race");
    let location = scratch.value("Path");
    let alone = Alone::enter(LONGEST).unwrap();
    swap(&location, None, Some(&raw(2, "read")), &alone).unwrap();
    let had = read(&location).unwrap();
    scratch.reg(&["add"], &["/v", "Path", "/t", "REG_EXPAND_SZ", "/d", "theirs", "/f"]);
    let refused = swap(&location, had.as_ref(), Some(&raw(2, "ours")), &alone).unwrap_err();
    assert!(matches!(refused, SwapError::Changed), "{refused}");
    assert_eq!(read(&location).unwrap(), Some(raw(2, "theirs")));
    // The same text of another type is another value.
    scratch.reg(&["add"], &["/v", "Path", "/t", "REG_SZ", "/d", "theirs", "/f"]);
    let had = raw(2, "theirs");
    let refused = swap(&location, Some(&had), None, &alone).unwrap_err();
    assert!(matches!(refused, SwapError::Changed), "{refused}");
}

#[test]
fn a_key_that_is_not_there_has_no_values_and_is_made() {
    let scratch = Scratch::new("absent");
    let key = Key::of_user(&format!(r"{}\below", scratch.0));
    let location = Location::Value { key, name: "Path".to_owned() };
    check_access(&location).unwrap();
    check_life(&location, &[raw(2, "a")]);
}

#[test]
fn only_one_is_let_in() {
    let alone = Alone::enter(LONGEST).unwrap();
    let (sender, receiver) = mpsc::channel();
    let other = thread::spawn(move || {
        sender.send(Alone::enter(Duration::from_millis(20)).map(drop)).unwrap();
        Alone::enter(LONGEST).map(drop)
    });
    let refused = receiver.recv().unwrap().unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
    drop(alone);
    other.join().unwrap().unwrap();
}

/// Takes from everybody the right to set values in a key.
fn make_read_only(scratch: &Scratch) {
    let wide = |text: &str| text.encode_utf16().chain([0]).collect::<Vec<u16>>();
    let (path, rights) = (wide(&scratch.0), wide("D:P(D;;0x0002;;;WD)(A;;KA;;;WD)"));
    let (mut key, mut descriptor) = (null_mut(), null_mut());
    // SAFETY: all texts end with a zero; what is written to is checked before it is used, and
    // the descriptor is freed once.
    unsafe {
        let said = RegOpenKeyExW(HKEY_CURRENT_USER, path.as_ptr(), 0, KEY_ALL_ACCESS, &raw mut key);
        assert_eq!(said, 0);
        let parsed = ConvertStringSecurityDescriptorToSecurityDescriptorW(
            rights.as_ptr(),
            SDDL_REVISION_1,
            &raw mut descriptor,
            null_mut(),
        );
        assert_ne!(parsed, 0);
        assert_eq!(RegSetKeySecurity(key, DACL_SECURITY_INFORMATION, descriptor), 0);
        LocalFree(descriptor);
        windows_sys::Win32::System::Registry::RegCloseKey(key);
    }
}

#[test]
fn without_the_right_to_set_values_it_is_told_and_nothing_changes() {
    let scratch = Scratch::new("denied");
    let location = scratch.value("Path");
    let alone = Alone::enter(LONGEST).unwrap();
    let old = raw(2, "old");
    swap(&location, None, Some(&old), &alone).unwrap();
    make_read_only(&scratch);
    for denied in [
        check_access(&location),
        match swap(&location, Some(&old), Some(&raw(2, "new")), &alone) {
            Err(SwapError::System(error)) => Err(error),
            other => panic!("{other:?}"),
        },
        match swap(&location, Some(&old), None, &alone) {
            Err(SwapError::System(error)) => Err(error),
            other => panic!("{other:?}"),
        },
    ] {
        assert_eq!(denied.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
    assert_eq!(read(&location).unwrap(), Some(old));
}
