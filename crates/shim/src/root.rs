//! Where gofleet keeps what it has on this machine.

use std::env;
use std::path::{Path, PathBuf};

/// The root whose shim this program is: it lies in its `bin`. A shim that lies elsewhere serves the
/// [default root](default_root).
pub fn own_root() -> Option<PathBuf> {
    let by_place = env::current_exe().ok().and_then(|program| root_of(&program));
    by_place.or_else(default_root)
}

fn root_of(program: &Path) -> Option<PathBuf> {
    let bin = program.parent().filter(|folder| folder.ends_with("bin"))?;
    let root = bin.parent()?;
    root.join("releases").is_dir().then(|| root.to_owned())
}

/// `GOFLEET_ROOT`, else `~/.gofleet`; on Windows `%LOCALAPPDATA%\gofleet`. None if the environment
/// names no home folder either.
pub fn default_root() -> Option<PathBuf> {
    let in_home = || {
        if cfg!(windows) {
            folder_of("LOCALAPPDATA").map(|folder| folder.join("gofleet"))
        } else {
            folder_of("HOME").map(|home| home.join(".gofleet"))
        }
    };
    folder_of("GOFLEET_ROOT").or_else(in_home)
}

/// The folder that an environment variable names.
pub(crate) fn folder_of(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}
