//! What a system lists of the programs that were installed on it: on Windows the keys that
//! "Installed apps" shows, in both views of the registry, and what Windows Installer notes; on Unix
//! nothing here.

use std::collections::BTreeMap;
use std::io;

#[cfg(windows)]
#[path = "installed/windows.rs"]
mod system;

/// A view of the registry: programs of 32 bits have one of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum View {
    /// That of programs of 64 bits.
    Bits64,
    /// That of programs of 32 bits.
    Bits32,
}

/// An entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name of its key; that of an MSI is its `ProductCode`.
    pub code: String,
    /// Where its key is.
    pub view: View,
    /// Its values that are texts, by name.
    pub values: BTreeMap<String, String>,
}

/// What was read, and what could not be.
#[derive(Debug)]
pub struct Listed<T> {
    /// What was read.
    pub items: Vec<T>,
    /// Keys that could not be read, and what the system said.
    pub unreadable: Vec<(String, io::Error)>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { items: Vec::new(), unreadable: Vec::new() }
    }
}

/// The installed programs, those of the machine and of every user who is logged on.
pub fn entries() -> Listed<Entry> {
    #[cfg(windows)]
    return system::entries();
    #[cfg(unix)]
    Listed::default()
}

/// The codes of the products that Windows Installer notes for an `UpgradeCode`. Both are written as
/// in the names of its keys, packed.
pub fn related_products(upgrade_code: &str) -> Listed<String> {
    #[cfg(windows)]
    return system::related_products(upgrade_code);
    #[cfg(unix)]
    {
        let _ = upgrade_code;
        Listed::default()
    }
}

/// The text of a value in the settings of each user who is logged on, at the path of its key below
/// the user's.
pub fn settings_of_users(key: &str, name: &str) -> Listed<String> {
    #[cfg(windows)]
    return system::settings_of_users(key, name);
    #[cfg(unix)]
    {
        let _ = (key, name);
        Listed::default()
    }
}

#[cfg(all(test, windows))]
mod tests {
    use super::*;
    use std::process::Command;

    fn reg(words: &[&str]) {
        let ran = Command::new("reg").args(words).output().expect("Windows has reg.exe");
        assert!(ran.status.success(), "{words:?}: {ran:?}");
    }

    #[test]
    fn what_another_program_wrote_is_listed_once() {
        let code = format!("gofleet-test-{}", std::process::id());
        let uninstall = r"Software\Microsoft\Windows\CurrentVersion\Uninstall";
        let key = format!(r"HKCU\{uninstall}\{code}");
        reg(&["add", &key, "/v", "DisplayName", "/t", "REG_SZ", "/d", "Gö", "/f"]);
        reg(&["add", &key, "/v", "Size", "/t", "REG_DWORD", "/d", "7", "/f"]);
        let entries = entries();
        let settings = settings_of_users(&format!(r"{uninstall}\{code}"), "displayname");
        reg(&["delete", &key, "/f"]);
        let found: Vec<_> = entries.items.iter().filter(|entry| entry.code == code).collect();
        // Both views of a user's keys are one.
        assert_eq!(found.len(), 1, "{found:?}");
        let text = BTreeMap::from([("DisplayName".to_owned(), "Gö".to_owned())]);
        assert_eq!((&found[0].values, found[0].view), (&text, View::Bits64));
        assert!(settings.items.contains(&"Gö".to_owned()), "{settings:?}");
        assert!(related_products("nothing").items.is_empty());
    }
}
