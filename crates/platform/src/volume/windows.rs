//! Volumes on Windows.

#![expect(unsafe_code, reason = "calls of Windows")]

use std::io;
use std::path::Path;
use std::ptr::null_mut;

use windows_sys::Win32::Storage::FileSystem::GetDiskFreeSpaceExW;

use crate::Support;

pub fn free_space(path: &Path) -> io::Result<u64> {
    let path = crate::file::wide(path)?;
    let mut free = 0;
    // SAFETY: the path is NUL-terminated, `free` is valid, and the two others may be null.
    match unsafe { GetDiskFreeSpaceExW(path.as_ptr(), &raw mut free, null_mut(), null_mut()) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(free),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
pub fn sync_file_system(_path: &Path) -> io::Result<Support> {
    Ok(Support::Unsupported)
}
