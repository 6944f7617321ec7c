//! Volumes on Windows.

#![expect(unsafe_code, reason = "calls of Windows")]

use std::fs::File;
use std::io;
use std::os::windows::io::AsRawHandle;
use std::path::Path;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{
    ERROR_CALL_NOT_IMPLEMENTED, ERROR_INVALID_FUNCTION, ERROR_INVALID_PARAMETER,
    ERROR_NOT_SUPPORTED,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ALLOCATION_INFO, FileAllocationInfo, GetDiskFreeSpaceExW, SetFileInformationByHandle,
};

use super::Space;
use crate::Support;

pub fn space(path: &Path) -> io::Result<Space> {
    let path = crate::file::wide(path)?;
    let (mut free, mut total) = (0, 0);
    // SAFETY: the path is NUL-terminated, the two numbers are valid, and the last may be null.
    let done =
        unsafe { GetDiskFreeSpaceExW(path.as_ptr(), &raw mut free, &raw mut total, null_mut()) };
    match done {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(Space { free_bytes: free, total_bytes: total }),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
pub fn sync_file_system(_path: &Path) -> io::Result<Support> {
    Ok(Support::Unsupported)
}

/// The file's length stays 0: only its allocation grows and shrinks.
pub fn reserve(file: &File, bytes: u64) -> io::Result<Support> {
    let bytes = i64::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let wanted = FILE_ALLOCATION_INFO { AllocationSize: bytes };
    // SAFETY: the handle is open, and the class names the type of the structure whose size is told.
    let done = unsafe {
        SetFileInformationByHandle(
            file.as_raw_handle(),
            FileAllocationInfo,
            (&raw const wanted).cast(),
            size_of::<FILE_ALLOCATION_INFO>() as u32,
        )
    };
    // File systems and network shares answer so; the last is Wine.
    let unsupported = [
        ERROR_NOT_SUPPORTED,
        ERROR_INVALID_FUNCTION,
        ERROR_INVALID_PARAMETER,
        ERROR_CALL_NOT_IMPLEMENTED,
    ];
    match done {
        0 => {
            let error = io::Error::last_os_error();
            let code = error.raw_os_error().map(i32::cast_unsigned);
            if code.is_some_and(|code| unsupported.contains(&code)) {
                return Ok(Support::Unsupported);
            }
            Err(error)
        }
        _ => Ok(Support::Done),
    }
}
