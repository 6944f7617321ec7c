//! Values in the registry.

#![expect(unsafe_code, reason = "calls of Windows")]

use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    ERROR_MORE_DATA, WAIT_ABANDONED, WAIT_OBJECT_0, WAIT_TIMEOUT,
};
use windows_sys::Win32::System::Registry::{
    HKEY, HKEY_CURRENT_USER, HKEY_LOCAL_MACHINE, KEY_QUERY_VALUE, KEY_SET_VALUE, RegCreateKeyExW,
    RegDeleteValueW, RegFlushKey, RegQueryValueExW, RegSetValueExW,
};
use windows_sys::Win32::System::Threading::{CreateMutexW, ReleaseMutex, WaitForSingleObject};
use windows_sys::Win32::UI::WindowsAndMessaging::{
    HWND_BROADCAST, SMTO_ABORTIFHUNG, SendMessageTimeoutW, WM_SETTINGCHANGE,
};

use super::{Hive, Key, Location, Raw, Told};
use crate::file::{self, Access};
use crate::registry::{Open, done, found, wide};

/// In every session: a user may have several, and all share the registry.
const MUTEX: &str = r"Global\gofleet-environment";

/// A mutex of the system, which lets go of it when its thread or process ends.
#[derive(Debug)]
pub struct Alone(OwnedHandle);

impl Alone {
    pub fn enter(longest: Duration) -> io::Result<Self> {
        let name = wide(MUTEX);
        // SAFETY: no attributes; the name ends with a zero.
        let mutex = unsafe { CreateMutexW(null(), 0, name.as_ptr()) };
        if mutex.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the handle was just opened, and nobody else closes it.
        let mutex = unsafe { OwnedHandle::from_raw_handle(mutex) };
        let longest_ms = u32::try_from(longest.as_millis()).unwrap_or(u32::MAX - 1);
        // SAFETY: the handle is open.
        match unsafe { WaitForSingleObject(mutex.as_raw_handle(), longest_ms) } {
            // Abandoned: its holder was killed. What it left is told by what is there.
            WAIT_OBJECT_0 | WAIT_ABANDONED => Ok(Self(mutex)),
            WAIT_TIMEOUT => Err(io::ErrorKind::TimedOut.into()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        // SAFETY: the handle is open. It fails only on another thread than the one that waited;
        // then the mutex goes with the handle.
        unsafe { ReleaseMutex(self.0.as_raw_handle()) };
    }
}

impl Key {
    const fn root(&self) -> HKEY {
        match self.hive {
            Hive::Machine => HKEY_LOCAL_MACHINE,
            Hive::User => HKEY_CURRENT_USER,
        }
    }

    /// None if there is no such key.
    fn open(&self, rights: u32) -> io::Result<Option<Open>> {
        Open::existing(self.root(), &self.path, rights)
    }

    /// Makes it if there is none.
    fn create(&self) -> io::Result<Open> {
        let (path, mut key) = (wide(&self.path), null_mut());
        // SAFETY: the path ends with a zero, what may be null is; the handle is written before
        // success is told.
        let said = unsafe {
            RegCreateKeyExW(
                self.root(),
                path.as_ptr(),
                0,
                null(),
                0,
                KEY_QUERY_VALUE | KEY_SET_VALUE,
                null(),
                &raw mut key,
                null_mut(),
            )
        };
        done(said).map(|()| Open(key))
    }
}

pub fn read_value(key: &Key, name: &str) -> io::Result<Option<Raw>> {
    match key.open(KEY_QUERY_VALUE)? {
        Some(key) => query(&key, name),
        None => Ok(None),
    }
}

fn query(key: &Open, name: &str) -> io::Result<Option<Raw>> {
    let name = wide(name);
    let mut bytes = vec![0u8; 4096];
    loop {
        let (mut kind, mut length) = (0, bytes.len() as u32);
        // SAFETY: the key is open, the name ends with a zero, the buffer has the length told.
        let said = unsafe {
            RegQueryValueExW(
                key.0,
                name.as_ptr(),
                null(),
                &raw mut kind,
                bytes.as_mut_ptr(),
                &raw mut length,
            )
        };
        if said == ERROR_MORE_DATA {
            // It may grow once more before the next call.
            bytes.resize(length as usize + 64, 0);
            continue;
        }
        bytes.truncate(length as usize);
        return Ok(found(said)?.map(|()| Raw { kind, bytes }));
    }
}

pub fn write(location: &Location, new: Option<&Raw>) -> io::Result<()> {
    match (location, new) {
        (Location::Value { key, name }, Some(new)) => {
            let (key, name) = (key.create()?, wide(name));
            let length = u32::try_from(new.bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
            // SAFETY: the key is open, the name ends with a zero, the bytes have the length told.
            done(unsafe {
                RegSetValueExW(key.0, name.as_ptr(), 0, new.kind, new.bytes.as_ptr(), length)
            })?;
            flush(&key)
        }
        (Location::Value { key, name }, None) => {
            // Flushing takes the right to query.
            let Some(key) = key.open(KEY_QUERY_VALUE | KEY_SET_VALUE)? else { return Ok(()) };
            let name = wide(name);
            // SAFETY: the key is open and the name ends with a zero.
            found(unsafe { RegDeleteValueW(key.0, name.as_ptr()) })?;
            flush(&key)
        }
        (Location::File(path), Some(new)) => file::atomic_write(path, &new.bytes, Access::Everyone),
        (Location::File(path), None) => file::remove_tree(path),
    }
}

/// Windows writes the registry to the disk some seconds later, unless it is asked.
fn flush(key: &Open) -> io::Result<()> {
    // SAFETY: the key is open.
    done(unsafe { RegFlushKey(key.0) })
}

pub fn check_access(location: &Location) -> io::Result<()> {
    match location {
        Location::Value { key, .. } => key.open(KEY_QUERY_VALUE | KEY_SET_VALUE).map(drop),
        Location::File(_) => Ok(()),
    }
}

pub fn announce(longest: Duration) -> Told {
    let area = wide("Environment");
    let each_ms = u32::try_from(longest.as_millis()).unwrap_or(u32::MAX);
    // SAFETY: the text ends with a zero and outlives the call, which returns when all windows
    // have answered or time is up.
    let answered = unsafe {
        SendMessageTimeoutW(
            HWND_BROADCAST,
            WM_SETTINGCHANGE,
            0,
            area.as_ptr() as isize,
            SMTO_ABORTIFHUNG,
            each_ms,
            null_mut(),
        )
    };
    if answered == 0 { Told::NotAll } else { Told::All }
}
