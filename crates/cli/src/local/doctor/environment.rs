//! What the environment says: `PATH`, `GOROOT`, `GOTOOLCHAIN`.

use std::env;
use std::path::{Path, PathBuf};

use gofleet_core::resolve::GoSettings;
use gofleet_depot::Root;
use gofleet_shim::Machine;

use super::Finding;
use crate::local::{is_same, search_path};

/// Looks at all of it.
pub(super) fn examine(root: &Root) -> Vec<Finding> {
    let bin = root.bin();
    let mut findings = search_path_findings(&bin, &search_path());
    findings.extend(variable("GOROOT").map(|goroot| {
        let message =
            format!("GOROOT is set to {goroot}; shims take no notice, other programs may");
        let advice = "remove GOROOT: each Go finds its own tree (`gofleet env doctor` tells where \
                      it is set)";
        Finding::warning("goroot_is_set", message, advice)
    }));
    findings.extend(toolchain(root));
    findings.extend(variable("GOFLEET_VERSION").map(|version| {
        let message = format!("GOFLEET_VERSION is set to {version}: it overrides every file");
        Finding::warning("version_is_set", message, "remove it, unless that is what you want")
    }));
    findings
}

fn variable(name: &str) -> Option<String> {
    env::var_os(name).filter(|value| !value.is_empty()).map(|v| v.to_string_lossy().into_owned())
}

/// Whether the shims are on `PATH`, before any other Go.
fn search_path_findings(bin: &Path, folders: &[PathBuf]) -> Vec<Finding> {
    let Some(position) = folders.iter().position(|folder| is_same(folder, bin)) else {
        let message = format!("{} is not on PATH", bin.display());
        let advice = format!("put {} first on PATH: gofleet env apply", bin.display());
        return vec![Finding::problem("path_lacks_bin", message, advice)];
    };
    let program = format!("go{}", env::consts::EXE_SUFFIX);
    let ahead = folders[..position].iter().map(|folder| folder.join(&program));
    let ahead = ahead.filter(|program| program.is_file()).map(|program| {
        let message = format!("{} comes before gofleet's on PATH", program.display());
        let advice = "`gofleet env doctor` tells why and what mends it, or remove that Go";
        Finding::problem("another_go_is_ahead", message, advice)
    });
    ahead.collect()
}

/// Go's own setting can have another Go downloaded and run.
fn toolchain(root: &Root) -> Option<Finding> {
    let machine = Machine::read(root.path().to_owned()).ok()?;
    let setting = GoSettings::read(&machine).toolchain.filter(|setting| setting != "local")?;
    let whence = if variable("GOTOOLCHAIN").is_some() {
        "remove it from the environment"
    } else {
        "run `go env -u GOTOOLCHAIN`"
    };
    let message = format!(
        "GOTOOLCHAIN is set to {setting}: Go may run or download a version that is not installed here"
    );
    let advice = format!("{whence}: gofleet chooses among what is installed");
    Some(Finding::warning("toolchain_is_set", message, advice))
}
