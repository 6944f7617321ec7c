//! Users of Unix.

#![expect(unsafe_code, reason = "calls of the C library")]

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::ptr::null_mut;

/// passwd(5): the sixth of seven fields. What is no folder is the home of nobody.
pub fn homes() -> io::Result<Vec<PathBuf>> {
    let list = fs::read("/etc/passwd")?;
    let list = String::from_utf8_lossy(&list);
    let listed = list.lines().filter_map(|line| line.split(':').nth(5)).map(PathBuf::from);
    let visited = fs::read_dir("/home").into_iter().flatten().flatten().map(|entry| entry.path());
    // Services have `/` or what is not there; a user has a folder, which may be closed to others.
    let is_home = |path: &PathBuf| {
        let is_folder = match fs::metadata(path) {
            Ok(found) => found.is_dir(),
            Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
        };
        path.components().count() > 1 && is_folder
    };
    Ok(listed.chain(visited).filter(is_home).collect())
}

pub fn owner(path: &Path) -> io::Result<String> {
    let uid = fs::symlink_metadata(path)?.uid();
    Ok(name(uid).unwrap_or_else(|| uid.to_string()))
}

/// getpwuid_r(3), so that users of a directory have their names too.
fn name(uid: u32) -> Option<String> {
    let mut buffer = vec![0; 16 * 1024];
    // SAFETY: a structure of numbers and pointers, for which zero is a value; it is only read after
    // the call has filled it.
    let mut user: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found = null_mut();
    // SAFETY: all pointers are valid for the call, and the buffer has the length that is told.
    let code = unsafe {
        libc::getpwuid_r(uid, &raw mut user, buffer.as_mut_ptr(), buffer.len(), &raw mut found)
    };
    if code != 0 || found.is_null() {
        return None;
    }
    // SAFETY: the name is a text with an end in the buffer, which is still there.
    Some(unsafe { CStr::from_ptr(user.pw_name) }.to_string_lossy().into_owned())
}
