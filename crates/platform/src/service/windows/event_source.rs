//! A source of entries in the event log: how the viewer is to read them.

#![expect(unsafe_code, reason = "calls of Windows")]

use std::io;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{ERROR_FILE_NOT_FOUND, ERROR_SUCCESS};
use windows_sys::Win32::System::Registry::{
    HKEY, HKEY_LOCAL_MACHINE, KEY_SET_VALUE, REG_DWORD, REG_EXPAND_SZ, REG_OPTION_NON_VOLATILE,
    RegCloseKey, RegCreateKeyExW, RegDeleteKeyW, RegSetValueExW,
};

use super::wide;

/// Windows has a program with messages that are their first text and nothing more, made for
/// `eventcreate`: so no file of messages is needed.
const MESSAGES: &str = r"%SystemRoot%\System32\EventCreate.exe";
/// Errors, warnings and information.
const TYPES: u32 = 7;

/// Registers it.
pub fn register(name: &str) -> io::Result<()> {
    let key = Key::create(&path(name))?;
    let messages: Vec<u8> = wide(MESSAGES).iter().flat_map(|unit| unit.to_le_bytes()).collect();
    key.set("EventMessageFile", REG_EXPAND_SZ, &messages)?;
    key.set("TypesSupported", REG_DWORD, &TYPES.to_le_bytes())
}

/// Removes it; nothing if there is none.
pub fn remove(name: &str) -> io::Result<()> {
    let path = wide(path(name));
    // SAFETY: the root key is always open and the path NUL-terminated.
    match unsafe { RegDeleteKeyW(HKEY_LOCAL_MACHINE, path.as_ptr()) } {
        ERROR_SUCCESS | ERROR_FILE_NOT_FOUND => Ok(()),
        code => Err(io::Error::from_raw_os_error(code as i32)),
    }
}

fn path(name: &str) -> String {
    format!(r"SYSTEM\CurrentControlSet\Services\EventLog\Application\{name}")
}

struct Key(HKEY);

impl Key {
    fn create(path: &str) -> io::Result<Self> {
        let path = wide(path);
        let mut key = null_mut();
        // SAFETY: the path is NUL-terminated, the handle can be written, and the rest may be null.
        let code = unsafe {
            RegCreateKeyExW(
                HKEY_LOCAL_MACHINE,
                path.as_ptr(),
                0,
                null(),
                REG_OPTION_NON_VOLATILE,
                KEY_SET_VALUE,
                null(),
                &raw mut key,
                null_mut(),
            )
        };
        checked(code).map(|()| Self(key))
    }

    fn set(&self, name: &str, kind: u32, bytes: &[u8]) -> io::Result<()> {
        let name = wide(name);
        // SAFETY: the key is open, the name NUL-terminated, and the bytes as many as told.
        checked(unsafe {
            RegSetValueExW(self.0, name.as_ptr(), 0, kind, bytes.as_ptr(), bytes.len() as u32)
        })
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the key is open, and is not used any more.
        unsafe { RegCloseKey(self.0) };
    }
}

fn checked(code: u32) -> io::Result<()> {
    if code == ERROR_SUCCESS { Ok(()) } else { Err(io::Error::from_raw_os_error(code as i32)) }
}
