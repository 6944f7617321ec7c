//! The lists of Windows.

use std::io;

use windows_sys::Win32::System::Registry::{
    HKEY, HKEY_LOCAL_MACHINE, HKEY_USERS, KEY_ENUMERATE_SUB_KEYS, KEY_QUERY_VALUE, KEY_WOW64_32KEY,
    KEY_WOW64_64KEY,
};

use super::{Entry, Listed, View};
use crate::registry::{Open, text};

const UNINSTALL: &str = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall";

/// Where Windows Installer notes which products have an `UpgradeCode`: for itself, and for what was
/// advertised.
const UPGRADE_CODES: [&str; 2] = [
    r"SOFTWARE\Microsoft\Windows\CurrentVersion\Installer\UpgradeCodes",
    r"SOFTWARE\Classes\Installer\UpgradeCodes",
];

const VIEWS: [(View, u32); 2] = [(View::Bits64, KEY_WOW64_64KEY), (View::Bits32, KEY_WOW64_32KEY)];

const RIGHTS: u32 = KEY_QUERY_VALUE | KEY_ENUMERATE_SUB_KEYS;

impl<T> Listed<T> {
    /// What a reading gave, or why it gave nothing. A key that is not there has nothing.
    fn take<A>(&mut self, key: &str, read: io::Result<Option<A>>) -> Option<A> {
        read.unwrap_or_else(|error| {
            self.unreadable.push((key.to_owned(), error));
            None
        })
    }
}

/// What a key holds, if it is there.
fn read<T>(
    root: HKEY,
    path: &str,
    rights: u32,
    part: impl FnOnce(&Open) -> io::Result<T>,
) -> io::Result<Option<T>> {
    Open::existing(root, path, rights)?.as_ref().map(part).transpose()
}

pub fn entries() -> Listed<Entry> {
    let mut listed = Listed::default();
    let users = users(&mut listed);
    for (view, flag) in VIEWS {
        add(&mut listed, HKEY_LOCAL_MACHINE, UNINSTALL, view, flag);
        for user in &users {
            add(&mut listed, HKEY_USERS, &format!(r"{user}\{UNINSTALL}"), view, flag);
        }
    }
    // What the views share is read twice.
    let mut seen: Vec<Entry> = Vec::new();
    for entry in std::mem::take(&mut listed.items) {
        if !seen.iter().any(|it| it.code == entry.code && it.values == entry.values) {
            seen.push(entry);
        }
    }
    listed.items = seen;
    listed
}

fn add(listed: &mut Listed<Entry>, root: HKEY, path: &str, view: View, flag: u32) {
    let rights = RIGHTS | flag;
    for code in listed.take(path, read(root, path, rights, Open::keys)).unwrap_or_default() {
        let below = format!(r"{path}\{code}");
        let Some(values) = listed.take(&below, read(root, &below, rights, Open::values)) else {
            continue;
        };
        let values = values.into_iter();
        let values = values.filter_map(|(name, kind, bytes)| Some((name, text(kind, &bytes)?)));
        listed.items.push(Entry { code, view, values: values.collect() });
    }
}

pub fn related_products(upgrade_code: &str) -> Listed<String> {
    let mut listed = Listed::default();
    for path in UPGRADE_CODES {
        let path = format!(r"{path}\{upgrade_code}");
        for (_, flag) in VIEWS {
            let read = read(HKEY_LOCAL_MACHINE, &path, RIGHTS | flag, Open::values);
            let values = listed.take(&path, read).unwrap_or_default();
            listed.items.extend(values.into_iter().map(|(name, _, _)| name));
        }
    }
    listed.items.sort();
    listed.items.dedup();
    listed
}

pub fn settings_of_users(key: &str, name: &str) -> Listed<String> {
    let mut listed = Listed::default();
    for user in users(&mut listed) {
        let path = format!(r"{user}\{key}");
        let read = read(HKEY_USERS, &path, RIGHTS, Open::values);
        let values = listed.take(&path, read).unwrap_or_default();
        let value = values.into_iter().find(|it| it.0.eq_ignore_ascii_case(name));
        listed.items.extend(value.and_then(|(_, kind, bytes)| text(kind, &bytes)));
    }
    listed
}

/// The users whose part of the registry is loaded: who is logged on, and the accounts of services.
fn users<T>(listed: &mut Listed<T>) -> Vec<String> {
    let keys = read(HKEY_USERS, "", RIGHTS, Open::keys);
    let mut users = listed.take("HKEY_USERS", keys).unwrap_or_default();
    // Beside each stands its part of HKEY_CLASSES_ROOT.
    users.retain(|user| !user.ends_with("_Classes"));
    users
}
