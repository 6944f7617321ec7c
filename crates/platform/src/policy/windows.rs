//! Values of a key and of those below it.

use std::io;

use windows_sys::Win32::System::Registry::{
    HKEY_LOCAL_MACHINE, KEY_ENUMERATE_SUB_KEYS, KEY_QUERY_VALUE,
};

use super::Entry;
use crate::registry::Open;

pub fn read(path: &str) -> io::Result<Vec<Entry>> {
    let rights = KEY_QUERY_VALUE | KEY_ENUMERATE_SUB_KEYS;
    let Some(key) = Open::existing(HKEY_LOCAL_MACHINE, path, rights)? else {
        return Ok(Vec::new());
    };
    let mut entries = Vec::new();
    add(&key, "", &mut entries)?;
    for name in key.keys()? {
        // It may have been removed meanwhile.
        let below = format!("{path}\\{name}");
        if let Some(below) = Open::existing(HKEY_LOCAL_MACHINE, &below, rights)? {
            add(&below, &name, &mut entries)?;
        }
    }
    Ok(entries)
}

fn add(open: &Open, key: &str, entries: &mut Vec<Entry>) -> io::Result<()> {
    for (name, kind, bytes) in open.values()? {
        entries.push(Entry { key: key.to_owned(), name, kind, bytes });
    }
    Ok(())
}
