//! Keys of the registry of Windows: opened, closed, and listed.

#![expect(unsafe_code, reason = "calls of Windows")]

use std::io;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{
    ERROR_FILE_NOT_FOUND, ERROR_MORE_DATA, ERROR_NO_MORE_ITEMS, ERROR_SUCCESS, WIN32_ERROR,
};
use windows_sys::Win32::System::Registry::{
    HKEY, REG_EXPAND_SZ, REG_SZ, RegCloseKey, RegEnumKeyExW, RegEnumValueW, RegOpenKeyExW,
};

/// The longest name of a value, in UTF-16 units (Microsoft, "Registry element size limits"); those
/// of keys are shorter.
const LONGEST_NAME: usize = 16_383;

/// A key that is closed when this is dropped.
pub struct Open(pub HKEY);

impl Drop for Open {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and this is its only owner.
        unsafe { RegCloseKey(self.0) };
    }
}

impl Open {
    /// None if there is no such key.
    pub fn existing(root: HKEY, path: &str, rights: u32) -> io::Result<Option<Self>> {
        let (path, mut key) = (wide(path), null_mut());
        // SAFETY: the path ends with a zero; the handle is written before success is told.
        let said = unsafe { RegOpenKeyExW(root, path.as_ptr(), 0, rights, &raw mut key) };
        Ok(found(said)?.map(|()| Self(key)))
    }

    /// The names of the keys directly below it.
    pub fn keys(&self) -> io::Result<Vec<String>> {
        let mut keys = Vec::new();
        let mut name = vec![0u16; LONGEST_NAME + 1];
        loop {
            let mut length = name.len() as u32;
            // SAFETY: the key is open, the buffer has the length told, what may be null is.
            let said = unsafe {
                RegEnumKeyExW(
                    self.0,
                    keys.len() as u32,
                    name.as_mut_ptr(),
                    &raw mut length,
                    null(),
                    null_mut(),
                    null_mut(),
                    null_mut(),
                )
            };
            if said == ERROR_NO_MORE_ITEMS {
                return Ok(keys);
            }
            done(said)?;
            keys.push(String::from_utf16_lossy(&name[..length as usize]));
        }
    }

    /// Name, type and bytes of its values.
    pub fn values(&self) -> io::Result<Vec<(String, u32, Vec<u8>)>> {
        let mut values = Vec::new();
        let mut name = vec![0u16; LONGEST_NAME + 1];
        let mut bytes = vec![0u8; 4096];
        loop {
            let (mut name_length, mut length) = (name.len() as u32, bytes.len() as u32);
            let mut kind = 0;
            // SAFETY: the key is open, the buffers have the lengths told, what may be null is.
            let said = unsafe {
                RegEnumValueW(
                    self.0,
                    values.len() as u32,
                    name.as_mut_ptr(),
                    &raw mut name_length,
                    null(),
                    &raw mut kind,
                    bytes.as_mut_ptr(),
                    &raw mut length,
                )
            };
            match said {
                ERROR_NO_MORE_ITEMS => return Ok(values),
                // It may grow once more before the next call.
                ERROR_MORE_DATA => bytes.resize(length as usize + 64, 0),
                said => {
                    done(said)?;
                    let name = String::from_utf16_lossy(&name[..name_length as usize]);
                    values.push((name, kind, bytes[..length as usize].to_vec()));
                }
            }
        }
    }
}

pub fn done(said: WIN32_ERROR) -> io::Result<()> {
    match said {
        ERROR_SUCCESS => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.cast_signed())),
    }
}

/// None if it is not there.
pub fn found(said: WIN32_ERROR) -> io::Result<Option<()>> {
    match said {
        ERROR_FILE_NOT_FOUND => Ok(None),
        said => done(said).map(Some),
    }
}

pub fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// The text of a value that is one (`REG_SZ`, `REG_EXPAND_SZ`), up to its first zero.
pub fn text(kind: u32, bytes: &[u8]) -> Option<String> {
    let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    (kind == REG_SZ || kind == REG_EXPAND_SZ).then(|| String::from_utf16_lossy(&units))
}
