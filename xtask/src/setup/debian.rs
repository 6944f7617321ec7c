//! Debian's packages: installed into the system, or downloaded from another release of Debian and
//! unpacked beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use gofleet_testkit::cache;

use crate::run::{find_program, quiet, read};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Installs those packages that are not installed yet.
///
/// # Errors
///
/// On another system, or without the right to install: names the packages.
pub fn install(packages: &[&str]) -> Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|name| !is_installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    ensure!(
        find_program("apt-get").is_some(),
        "this is not a Debian system; install what is called there: {names}"
    );
    eprintln!("installing {names}");
    let apt = |arguments: &[&str]| {
        quiet(
            as_root("apt-get")
                .args(["-qq", "-o", "DPkg::Lock::Timeout=600", "-o", "Acquire::Retries=3"])
                .args(arguments),
        )
    };
    let install = [&["install", "-y", "--no-install-recommends"], missing.as_slice()].concat();
    // The lists are fetched only when they are missing or too old for what is asked.
    apt(&install)
        .or_else(|_| apt(&["update"]).and_then(|()| apt(&install)))
        .with_context(|| format!("install them yourself: apt-get install {names}"))
}

fn is_installed(package: &str) -> bool {
    read(Command::new("dpkg-query").args(["-W", "-f=${Status}", package]))
        .is_ok_and(|status| status.contains("ok installed"))
}

/// A command that may change the system: as it is for root, through `sudo` (never asking) else.
fn as_root(program: &str) -> Command {
    let is_root = read(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let mut command = Command::new(if is_root { "env" } else { "sudo" });
    if !is_root {
        command.args(["--non-interactive", "env"]);
    }
    command.args(["DEBIAN_FRONTEND=noninteractive", program]);
    command
}

/// Another release of Debian, with package lists and a cache of its own: nothing of the system's
/// apt changes, and no right of root is needed.
pub struct Release {
    name: &'static str,
    folder: PathBuf,
}

impl Release {
    /// Makes the folder and fetches the lists if that has not happened.
    ///
    /// # Errors
    ///
    /// On a system that is not Debian, or without a mirror.
    pub fn open(name: &'static str) -> Result<Self> {
        ensure!(
            Path::new(KEYRING).is_file() && find_program("apt-get").is_some(),
            "this needs packages of Debian {name}, and this is not a Debian system"
        );
        let folder = cache::folder().join("debian").join(name);
        let release = Self { name, folder };
        let mirror = mirror()?;
        cache::once(&release.folder.clone(), |partial| {
            eprintln!("fetching the package lists of Debian {name}");
            fs::create_dir_all(partial.join("lists/partial"))?;
            fs::create_dir_all(partial.join("cache/archives/partial"))?;
            fs::write(partial.join("status"), "")?;
            let source = format!("deb [signed-by={KEYRING}] {mirror} {name} main\n");
            fs::write(partial.join("sources.list"), source)?;
            let filling = Self { name, folder: partial.to_owned() };
            quiet(filling.apt("apt-get").args(["update", "-qq"]))
        })?;
        Ok(release)
    }

    /// The newest version of a package whose upstream version is `upstream`.
    ///
    /// # Errors
    ///
    /// When there is none; names those that there are.
    pub fn version_of(&self, package: &str, upstream: &str) -> Result<String> {
        let table = read(self.apt("apt-cache").args(["madison", package]))?;
        let versions: Vec<&str> =
            table.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim).collect();
        let wanted = |version: &&&str| {
            version.strip_prefix(upstream).is_some_and(|rest| rest.starts_with(['+', '-', '~']))
        };
        match versions.iter().find(wanted) {
            Some(version) => Ok((*version).to_owned()),
            None => bail!(
                "Debian {} has no {package} {upstream}, only {}",
                self.name,
                versions.join(", ")
            ),
        }
    }

    /// Downloads packages and unpacks all of them into `target`.
    ///
    /// # Errors
    ///
    /// What apt or dpkg said.
    pub fn unpack(&self, packages: &[&str], target: &Path) -> Result<()> {
        fs::create_dir_all(target)?;
        let downloads = tempfile::tempdir_in(&self.folder)?;
        quiet(
            self.apt("apt-get")
                .current_dir(downloads.path())
                .args(["download", "-qq"])
                .args(packages),
        )?;
        for package in fs::read_dir(downloads.path())? {
            quiet(Command::new("dpkg-deb").arg("-x").arg(package?.path()).arg(target))?;
        }
        Ok(())
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let at = |key: &str, name: &str| format!("{key}={}", self.folder.join(name).display());
        let options = [
            at("Dir::Etc::sourcelist", "sources.list"),
            "Dir::Etc::sourceparts=-".to_owned(),
            at("Dir::State::lists", "lists"),
            at("Dir::State::status", "status"),
            at("Dir::Cache", "cache"),
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=3".to_owned(),
        ];
        for option in options {
            command.args(["-o", &option]);
        }
        command
    }
}

/// The mirror that this system's own apt uses.
fn mirror() -> Result<String> {
    let targets = read(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
    ]))?;
    let is_main = |line: &&str| line.trim_end_matches('/').ends_with("/debian");
    let mirror = targets.lines().find(is_main).context("apt's sources name no Debian mirror")?;
    Ok(mirror.to_owned())
}
