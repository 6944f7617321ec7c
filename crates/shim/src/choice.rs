//! What the user chose with `gofleet use`.
//!
//! It is kept beside the user's other settings, not in the root, which several users may share;
//! and per root, so that a root that is made for trying something out has its own.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::root::folder_of;

/// The user's choices: root, version. They lie in `choices.json` in the
/// [configuration folder](configuration_folder).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Choices(BTreeMap<String, String>);

/// `gofleet` in `$XDG_CONFIG_HOME`, else in `~/.config`; on Windows in `%APPDATA%`. None if the
/// environment names no such folder.
pub fn configuration_folder() -> Option<PathBuf> {
    let folder = if cfg!(windows) {
        folder_of("APPDATA")
    } else {
        folder_of("XDG_CONFIG_HOME").or_else(|| folder_of("HOME").map(|home| home.join(".config")))
    };
    folder.map(|folder| folder.join("gofleet"))
}

impl Choices {
    /// The file; none if the environment names no folder for it.
    pub fn path() -> Option<PathBuf> {
        configuration_folder().map(|folder| folder.join("choices.json"))
    }

    /// Reads them; none were made if there is no file.
    ///
    /// # Errors
    ///
    /// If there is one that can't be read or makes no sense.
    pub fn load(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// The choice for a root.
    pub fn of(&self, root: &Path) -> Option<&str> {
        if self.0.is_empty() {
            // What the root is called need not be found out.
            return None;
        }
        self.0.get(&key(root)).map(String::as_str)
    }

    /// Notes a choice for a root, or that there is none any more. Returns what was there before.
    pub fn set(&mut self, root: &Path, version: Option<&str>) -> Option<String> {
        match version {
            Some(version) => self.0.insert(key(root), version.to_owned()),
            None => self.0.remove(&key(root)),
        }
    }
}

/// The root by one name, however it was reached.
fn key(root: &Path) -> String {
    let canonical = gofleet_platform::canonical(root);
    canonical.as_deref().unwrap_or(root).display().to_string()
}
