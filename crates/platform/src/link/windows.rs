//! Junctions on Windows, which need no privilege, unlike its symbolic links.

#![expect(unsafe_code, reason = "calls of Windows")]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsRawHandle;
use std::path::Path;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{
    ERROR_INVALID_FUNCTION, ERROR_INVALID_PARAMETER, ERROR_NOT_SUPPORTED,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT,
};
use windows_sys::Win32::System::IO::DeviceIoControl;
use windows_sys::Win32::System::Ioctl::FSCTL_SET_REPARSE_POINT;
use windows_sys::Win32::System::SystemServices::IO_REPARSE_TAG_MOUNT_POINT;

use crate::Support;

pub fn replace_link(link: &Path, target: &Path) -> io::Result<Support> {
    // Removes a junction without following it, and refuses a folder that has something in it.
    match fs::remove_dir(link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    fs::create_dir(link)?;
    let made = open_folder(link).and_then(|folder| set_junction(&folder, target));
    match made {
        Ok(()) => Ok(Support::Done),
        Err(error) => {
            fs::remove_dir(link)?;
            if is_unsupported(&error) { Ok(Support::Unsupported) } else { Err(error) }
        }
    }
}

fn open_folder(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)
}

/// Writes the `REPARSE_DATA_BUFFER` of a mount point (learn.microsoft.com, [MS-FSCC] 2.1.2.5).
fn set_junction(folder: &File, target: &Path) -> io::Result<()> {
    let target = std::path::absolute(target)?;
    let print: Vec<u16> = target.as_os_str().encode_wide().collect();
    let substitute: Vec<u16> = r"\??\".encode_utf16().chain(print.iter().copied()).collect();
    let bytes_of = |units: &[u16]| u16::try_from(units.len() * 2);
    let too_long = |_| io::Error::from(io::ErrorKind::InvalidFilename);
    let substitute_bytes = bytes_of(&substitute).map_err(too_long)?;
    let print_bytes = bytes_of(&print).map_err(too_long)?;
    // Four u16 of offsets and lengths, then both names with a NUL each.
    let data_bytes =
        8u16.checked_add(substitute_bytes).and_then(|sum| sum.checked_add(print_bytes + 4));
    let data_bytes = data_bytes.ok_or(io::ErrorKind::InvalidFilename)?;
    let mut units: Vec<u16> = Vec::with_capacity(usize::from(data_bytes) / 2 + 4);
    units.push((IO_REPARSE_TAG_MOUNT_POINT & 0xffff) as u16);
    units.push((IO_REPARSE_TAG_MOUNT_POINT >> 16) as u16);
    units.extend([data_bytes, 0, 0, substitute_bytes, substitute_bytes + 2, print_bytes]);
    units.extend(substitute.iter().copied().chain([0]));
    units.extend(print.iter().copied().chain([0]));
    let mut returned = 0;
    // SAFETY: the handle is open, the input buffer has the length that is told, and with neither
    // an output buffer nor OVERLAPPED the call has ended when it returns.
    let done = unsafe {
        DeviceIoControl(
            folder.as_raw_handle(),
            FSCTL_SET_REPARSE_POINT,
            units.as_ptr().cast(),
            (units.len() * 2) as u32,
            null_mut(),
            0,
            &raw mut returned,
            null_mut(),
        )
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// FAT and network shares have no junctions, and Wine has none at all.
fn is_unsupported(error: &io::Error) -> bool {
    let codes = [ERROR_NOT_SUPPORTED, ERROR_INVALID_FUNCTION, ERROR_INVALID_PARAMETER];
    error.raw_os_error().is_some_and(|code| codes.contains(&code.cast_unsigned()))
}
