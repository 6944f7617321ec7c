//! Files on Windows.

#![expect(unsafe_code, reason = "calls of Windows")]

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsRawHandle;
use std::path::{Path, PathBuf};
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_LOCK_VIOLATION, ERROR_SHARING_VIOLATION, LocalFree,
};
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, PROTECTED_DACL_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR,
    SetFileSecurityW,
};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, DELETE, FILE_ATTRIBUTE_NORMAL, FILE_ATTRIBUTE_READONLY,
    FILE_BASIC_INFO, FILE_DISPOSITION_INFO, FILE_FLAG_OPEN_REPARSE_POINT, FILE_WRITE_ATTRIBUTES,
    FileBasicInfo, FileDispositionInfo, GetFileInformationByHandle, MOVEFILE_REPLACE_EXISTING,
    MOVEFILE_WRITE_THROUGH, MoveFileExW, SetFileInformationByHandle,
};

use super::{Access, Identity};

/// Protected from inheritance; all rights for the owner, the system and the administrators, and,
/// below a folder, for whatever is created in it.
const OWNER_ONLY: &str = "D:P(A;OICI;FA;;;OW)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)";

pub fn create_new(path: &Path, access: Access) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).open(path)?;
    match access {
        Access::Everyone => {}
        Access::Private => make_private(path)?,
    }
    Ok(file)
}

/// With `MOVEFILE_WRITE_THROUGH` the call returns when the new name is on the disk.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (wide(from)?, wide(to)?);
    let flags = MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH;
    // SAFETY: both are NUL-terminated UTF-16 and outlive the call.
    match unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), flags) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

pub fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        // A file system without the newer way of deleting does not remove what is read-only.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            remove_read_only_below(path)?;
            fs::remove_dir_all(path)
        }
        other => other,
    }
}

pub fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            // A junction counts as a folder here; what it points to stays.
            if fs::remove_dir(path).is_ok() {
                return Ok(());
            }
            remove_read_only(path)
        }
        other => other,
    }
}

fn remove_read_only_below(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            remove_read_only_below(&entry.path())?;
        } else if kind.is_file() && entry.metadata()?.permissions().readonly() {
            remove_read_only(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes one name of a file that is read-only, and leaves it read-only under its other names:
/// the attribute belongs to the file, so it is set again before the handle is closed, when the
/// name is as good as gone.
fn remove_read_only(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.access_mode(DELETE | FILE_WRITE_ATTRIBUTES);
    let file = options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT).open(path)?;
    let attributes = |attributes| FILE_BASIC_INFO {
        FileAttributes: attributes,
        // Zero: the times stay.
        ..FILE_BASIC_INFO::default()
    };
    set(&file, FileBasicInfo, &attributes(FILE_ATTRIBUTE_NORMAL))?;
    let removed = set(&file, FileDispositionInfo, &FILE_DISPOSITION_INFO { DeleteFile: true });
    let restored = set(&file, FileBasicInfo, &attributes(FILE_ATTRIBUTE_READONLY));
    // Some file systems refuse the second after the first; the name is gone all the same.
    removed.and(restored.or(Ok(())))
}

/// `class` must be the one whose type `T` is.
fn set<T>(file: &File, class: i32, value: &T) -> io::Result<()> {
    // SAFETY: the handle is open, and both callers pass the structure that belongs to the class,
    // with its size.
    let done = unsafe {
        SetFileInformationByHandle(
            file.as_raw_handle(),
            class,
            (&raw const *value).cast(),
            size_of::<T>() as u32,
        )
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

pub fn identity(file: &File, _metadata: &Metadata) -> io::Result<(Identity, u64)> {
    let mut found = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open and the structure valid.
    if unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut found) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let number = u64::from(found.nFileIndexHigh) << 32 | u64::from(found.nFileIndexLow);
    let identity = Identity { volume: found.dwVolumeSerialNumber.into(), number };
    Ok((identity, found.nNumberOfLinks.into()))
}

pub fn make_private(path: &Path) -> io::Result<()> {
    set_access_list(path, OWNER_ONLY)
}

/// Gives a file or folder the access list that is written so (SDDL).
pub fn set_access_list(path: &Path, list: &str) -> io::Result<()> {
    let text: Vec<u16> = list.encode_utf16().chain([0]).collect();
    let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
    // SAFETY: the text is NUL-terminated; the descriptor is written before success is told.
    let parsed = unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            text.as_ptr(),
            SDDL_REVISION_1,
            &raw mut descriptor,
            null_mut(),
        )
    };
    if parsed == 0 {
        return Err(io::Error::last_os_error());
    }
    let path = wide(path);
    let what = DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION;
    let set = path.and_then(|path| {
        // SAFETY: the path is NUL-terminated and the descriptor valid until it is freed below.
        match unsafe { SetFileSecurityW(path.as_ptr(), what, descriptor) } {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    });
    // SAFETY: the descriptor was allocated by the conversion above and is not used any more.
    unsafe { LocalFree(descriptor) };
    set
}

/// Windows keeps a folder's names by its own journal, and [`rename`] writes through.
#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
pub fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

pub fn may_be_a_scanner(error: &io::Error) -> bool {
    let codes = [ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION];
    error.raw_os_error().is_some_and(|code| codes.contains(&code.cast_unsigned()))
}

pub fn plain(path: PathBuf) -> PathBuf {
    let text = path.to_string_lossy();
    match text.strip_prefix(r"\\?\UNC\") {
        Some(share) => PathBuf::from(format!(r"\\{share}")),
        None => text.strip_prefix(r"\\?\").map(PathBuf::from).unwrap_or(path),
    }
}

/// The path for a call of Windows: absolute, NUL-terminated, and with `\\?\` where it is longer
/// than the 260 characters that are allowed without.
pub fn wide(path: &Path) -> io::Result<Vec<u16>> {
    let path = std::path::absolute(path)?;
    let units: Vec<u16> = path.as_os_str().encode_wide().collect();
    if units.contains(&0) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // 248 and not 260: the limit for folders, which leaves room for a file name of 8 + 1 + 3.
    let is_long = units.len() >= 248 && !path.as_os_str().to_string_lossy().starts_with(r"\\");
    let prefix: &str = if is_long { r"\\?\" } else { "" };
    Ok(prefix.encode_utf16().chain(units).chain([0]).collect())
}
