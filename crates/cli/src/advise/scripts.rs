//! Writing the scripts that upgrade one machine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use gofleet_core::advice::instructions::{Download, powershell_script, shell_script};
use gofleet_core::version::GoVersion;
use gofleet_platform::Access;

use crate::failure::Hinted;

/// Writes `upgrade-go.sh` and `upgrade-go.ps1`; returns their paths.
///
/// # Errors
///
/// If the folder can't be made or written.
pub fn write(
    folder: &Path,
    version: &GoVersion,
    downloads: &[Download],
) -> anyhow::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).with_context(|| format!("{} can't be made", folder.display()))?;
    let mut written = Vec::new();
    for (name, text) in [
        ("upgrade-go.sh", shell_script(version, downloads)),
        ("upgrade-go.ps1", powershell_script(version, downloads)),
    ] {
        let path = folder.join(name);
        gofleet_platform::atomic_write(&path, text.as_bytes(), Access::Everyone)
            .and_then(|()| make_executable(&path))
            .with_context(|| format!("{} can't be written", path.display()))?;
        written.push(path);
    }
    Ok(written)
}

#[cfg(unix)]
fn make_executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn make_executable(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

/// A script upgrades to one version, and none is known.
pub fn no_version() -> anyhow::Error {
    let hint = "name it: `gofleet advise 1.27.3 --write-script DIR`";
    Hinted::usage("no version to upgrade to is known", hint).into()
}
