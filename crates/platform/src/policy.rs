//! Where a system keeps what its administrators enforce: on Windows a key of the registry that
//! only they can write; on Unix nowhere.

use std::io;

#[cfg(windows)]
#[path = "policy/windows.rs"]
mod system;

/// A value of the registry, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key that has it, below the one that was read; empty for that one itself.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The values of a key below `HKEY_LOCAL_MACHINE` and of the keys directly below it. None on Unix,
/// or if there is no such key.
///
/// # Errors
///
/// What the system said.
pub fn read(key: &str) -> io::Result<Vec<Entry>> {
    #[cfg(windows)]
    return system::read(key);
    #[cfg(unix)]
    {
        let _ = key;
        Ok(Vec::new())
    }
}
