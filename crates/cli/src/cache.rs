//! Where downloaded archives are kept for the next time.

use std::env;
use std::path::PathBuf;

use anyhow::Context;

/// `gofleet/archives` in the user's cache folder: `$XDG_CACHE_HOME`, else `~/.cache`; on Windows
/// `%LOCALAPPDATA%`.
///
/// # Errors
///
/// If the environment names no home folder, or the folder can't be made.
pub fn archives() -> anyhow::Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = if cfg!(windows) {
        set("LOCALAPPDATA")
    } else {
        set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))
    };
    let folder = user
        .context("the environment names no home folder (HOME, on Windows LOCALAPPDATA)")?
        .join("gofleet")
        .join("archives");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("the cache {} can't be made", folder.display()))?;
    Ok(folder)
}
