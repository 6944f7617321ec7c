//! The programs that are measured: gofleet's own for the depot, and those that it is compared with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use gofleet_testkit::{cache, go};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::mirror;
use crate::run::{cargo, quiet, read, run, target_folder};

/// What gofleet does on a device and on a server with one release: the agent's example `depot`.
pub struct Device {
    program: PathBuf,
    /// Holds what is served, and what it writes down.
    folder: PathBuf,
    mirror: String,
}

/// What making a pack or a delta took.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Made {
    pub bytes: f64,
    pub ms: f64,
    pub peak_bytes: f64,
}

/// What installing a release took.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Installed {
    pub shared_bytes: f64,
    pub peak_bytes: f64,
}

impl Device {
    /// Builds the program as it is shipped, and serves the folder.
    pub fn new(folder: &Path) -> Result<Self> {
        run(cargo()
            .args(["build", "--release", "--package", "gofleet-agent", "--example"])
            .arg("depot"))?;
        let program = target_folder()?.join("release/examples/depot");
        Ok(Self { program, folder: folder.to_owned(), mirror: mirror::serve(folder)? })
    }

    /// Makes a pack of the archive.
    pub fn pack(&self, archive: &Path, pack: &Path) -> Result<Made> {
        said(self.command("pack").args([archive, pack]))
    }

    /// Makes a delta between two archives.
    pub fn delta(&self, base: &Path, archive: &Path, delta: &Path) -> Result<Made> {
        said(self.command("delta").args([base, archive, delta]))
    }

    /// What a server tells a device that is to get the archive's release by this file, which lies
    /// in the folder. Gives the file to install by.
    pub fn want(&self, archive: &Path, way: &str, file: &Path) -> Result<PathBuf> {
        let name = file.file_name().context("a file has a name")?.to_string_lossy();
        let wanted = self.folder.join(format!("{name}.{way}.wanted"));
        let mut want = self.command("want");
        want.arg(archive).arg(way).arg(file).arg(format!("{}/{name}", self.mirror));
        fs::write(&wanted, read(&mut want)?)?;
        Ok(wanted)
    }

    /// The command that brings it into the root below that folder.
    pub fn install(&self, wanted: &Path, place: &Path) -> Command {
        let mut install = self.command("install");
        install.arg(wanted).arg(place.join("root"));
        install
    }

    /// Runs [`install`](Self::install), and gives what it tells.
    pub fn installed(&self, wanted: &Path, place: &Path) -> Result<Installed> {
        said(&mut self.install(wanted, place))
    }

    /// Makes an installed release the active one.
    pub fn activate(&self, release: &str, place: &Path) -> Result<()> {
        quiet(self.command("activate").arg(release).arg(place.join("root")))
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(verb);
        command
    }
}

fn said<T: DeserializeOwned>(command: &mut Command) -> Result<T> {
    let text = read(command)?;
    serde_json::from_str(&text).with_context(|| format!("what it said is something else: {text}"))
}

/// Info-ZIP, which checks each file's CRC-32.
pub fn unzip(archive: &Path, to: &Path) -> Command {
    let mut unzip = Command::new("unzip");
    unzip.arg("-q").arg(archive).arg("-d").arg(to);
    unzip
}

/// Python's standard library.
pub fn zipfile(archive: &Path, to: &Path) -> Command {
    let mut python = Command::new("python3");
    python.args(["-m", "zipfile", "-e"]).arg(archive).arg(to);
    python
}

/// The version manager mise, as its npm package holds it.
pub struct Mise {
    program: PathBuf,
}

impl Mise {
    /// Fetches it, if it is not in the cache.
    pub fn find() -> Result<Self> {
        let folder = cache::folder().join("mise");
        cache::once(&folder, |partial| {
            fs::create_dir_all(partial)?;
            let mut pack = Command::new("npm");
            quiet(pack.args(["pack", "--silent", "@jdxcode/mise-linux-x64"]).current_dir(partial))?;
            let archive = fs::read_dir(partial)?.next().context("npm delivered nothing")??.path();
            quiet(Command::new("tar").arg("xzf").arg(archive).arg("-C").arg(partial))
        })?;
        let program = folder.join("package/bin/mise");
        ensure!(program.is_file(), "npm's package of mise has no bin/mise");
        Ok(Self { program })
    }

    /// The command that installs Go from a mirror; all that it keeps stands below `place`.
    ///
    /// `releases` is a Git repository with a tag for each version: offline, it takes the list from
    /// there.
    pub fn install(&self, version: &str, mirror: &str, releases: &Path, place: &Path) -> Command {
        let mut install = self.command(place);
        install
            .env("MISE_GO_DOWNLOAD_MIRROR", mirror)
            .env("MISE_GO_REPO", releases)
            .args(["install", "--quiet", "--yes"])
            .arg(format!("go@{version}"));
        install
    }

    /// mise with its data below `place`.
    pub fn command(&self, place: &Path) -> Command {
        let mut mise = Command::new(&self.program);
        mise.env("HOME", place)
            .env("MISE_DATA_DIR", place.join("mise"))
            .env("MISE_CACHE_DIR", place.join("mise-cache"))
            .env("MISE_CONFIG_DIR", place.join("mise-config"))
            .current_dir(place);
        mise
    }
}

/// A Git repository with a tag `go<version>`, as the Go project's own has.
pub fn tagged_repository(folder: &Path, version: &str) -> Result<()> {
    fs::create_dir_all(folder)?;
    let git = |words: &[&str]| {
        quiet(
            Command::new("git")
                .args(["-c", "user.name=bench", "-c", "user.email=bench@localhost"])
                .args(words)
                .current_dir(folder),
        )
    };
    git(&["init", "--quiet"])?;
    git(&["commit", "--quiet", "--allow-empty", "--message", "bench"])?;
    git(&["tag", &format!("go{version}")])
}

/// The archive for Linux under its official name in that folder, with its digest beside it, as on a
/// mirror; made of what the archive at hand holds, if that is a wheel.
pub fn official_archive(version: &str, platform: &str, folder: &Path) -> Result<PathBuf> {
    let path = folder.join(format!("go{version}.{platform}.tar.gz"));
    if path.exists() {
        return Ok(path);
    }
    let given = go::find_archive(version, platform)?;
    if given.extension().is_some_and(|extension| extension == "gz") {
        fs::copy(given, &path)?;
    } else {
        let mut tar = Command::new("tar");
        tar.arg("czf").arg(&path).arg("--transform=s,^[.],go,").arg("-C");
        quiet(tar.arg(go::find_tree(version, platform)?).arg("."))?;
    }
    let digest = read(Command::new("sha256sum").arg(&path))?;
    let digest = digest.split(' ').next().context("sha256sum prints a digest")?;
    fs::write(path.with_added_extension("sha256"), digest)?;
    Ok(path)
}

/// The folder of a Python environment that holds a package, made at the first call.
pub fn python_package(name: &str) -> Result<PathBuf> {
    // Its scripts name the folder that they were installed in, so it is made in its place.
    let folder = cache::folder().join("python").join(name);
    let done = folder.join("installed");
    if !done.exists() {
        eprintln!("installing {name} by pip");
        quiet(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        let mut pip = Command::new(folder.join("bin/pip"));
        quiet(pip.args(["install", "--quiet", "--disable-pip-version-check", name]))?;
        fs::write(done, "")?;
    }
    Ok(folder)
}
