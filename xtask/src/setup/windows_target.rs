//! Rust for `x86_64-pc-windows-gnu`: its standard library and MinGW's linker.
//!
//! rustup downloads the library where it can. Where it can't, Debian's `rust-src` of the same
//! release holds its source with all that it depends on; the compiler builds it once, in the
//! profile of the official one, and it is laid where rustup would have put it. From then on plain
//! `cargo --target` works.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use gofleet_testkit::cache;

use super::{debian, packages};
use crate::run::{find_program, quiet, read, root};

/// The target's name.
pub const TARGET: &str = "x86_64-pc-windows-gnu";

/// Releases of Debian that carry recent `rust-src`, in the order of stability.
const SOURCES: [&str; 3] = ["trixie-backports", "forky", "sid"];

pub fn install() -> Result<String> {
    packages::programs(&[("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64-posix")])?;
    if !compiles() {
        by_rustup().or_else(|why| {
            eprintln!(
                "rustup has no {TARGET} for us ({why:#}); building it from Debian's rust-src"
            );
            by_debian()
        })?;
        ensure!(compiles(), "the standard library for {TARGET} is there, but rustc can't use it");
    }
    Ok(format!("{TARGET} in {}", library()?.display()))
}

/// Whether the compiler can use the target: asked of the compiler itself, since a library that is
/// there may belong to another release.
fn compiles() -> bool {
    let probe = || -> Result<()> {
        let folder = tempfile::tempdir()?;
        let source = folder.path().join("probe.rs");
        fs::write(&source, "fn main() {}")?;
        quiet(
            Command::new("rustc")
                .current_dir(root())
                .args(["--target", TARGET, "--emit=metadata", "--out-dir"])
                .args([folder.path(), &source]),
        )
    };
    probe().is_ok()
}

fn by_rustup() -> Result<()> {
    ensure!(find_program("rustup").is_some(), "it is not installed");
    quiet(
        Command::new("rustup")
            .current_dir(root())
            .env("RUST_BACKTRACE", "0")
            .args(["target", "add", TARGET]),
    )
}

fn by_debian() -> Result<()> {
    let release = rust_release()?;
    let built = cache::folder().join(format!("std-{release}-{TARGET}"));
    cache::once(&built, |partial| build(&release, partial))?;
    let library = library()?;
    // A library of another release would make two candidates for each crate.
    if library.exists() {
        fs::remove_dir_all(&library)?;
    }
    fs::create_dir_all(&library)
        .with_context(|| format!("the toolchain's folder {} is not ours", library.display()))?;
    for file in fs::read_dir(&built)? {
        let file = file?;
        fs::copy(file.path(), library.join(file.file_name()))?;
    }
    Ok(())
}

/// Builds the standard library from source, and puts its parts into a new folder.
fn build(release: &str, target: &Path) -> Result<()> {
    let work = tempfile::tempdir_in(cache::folder())?;
    let source = source(release, work.path())?;
    let output = work.path().join("target");
    eprintln!("building Rust's standard library for {TARGET}, about a minute");
    let mut cargo = Command::new("cargo");
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO") || text.starts_with("RUST") && text != "RUSTUP_HOME" {
            cargo.env_remove(name);
        }
    }
    cargo
        .current_dir(source.join("sysroot"))
        .args(["build", "--quiet", "--locked", "--profile", "dist"])
        .args(["--features", "panic-unwind,backtrace", "--target", TARGET, "--target-dir"])
        .arg(&output)
        .env("RUSTUP_TOOLCHAIN", toolchain()?)
        .env("CARGO_INCREMENTAL", "0")
        // The library uses what is unstable for everybody else.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zforce-unstable-if-unmarked")
        // Its crates must not be taken for crates of the same name that a program builds.
        .env("__CARGO_DEFAULT_LIB_METADATA", format!("std-{release}"));
    if let Some(home) = env::var_os("CARGO_HOME") {
        cargo.env("CARGO_HOME", home);
    }
    quiet(&mut cargo)?;
    collect(&output.join(TARGET).join("dist/deps"), target)
}

fn collect(built: &Path, target: &Path) -> Result<()> {
    fs::create_dir_all(target)?;
    for file in fs::read_dir(built)? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        // `libsysroot` is the empty crate that only names the others.
        if name.ends_with(".rlib") && !name.starts_with("libsysroot-") {
            fs::copy(file.path(), target.join(name))?;
        }
    }
    Ok(())
}

/// Unpacks the source of the standard library of that release: its `library/` folder.
fn source(release: &str, folder: &Path) -> Result<PathBuf> {
    let mut refused = Vec::new();
    for name in SOURCES {
        let found = debian::Release::open(name)
            .and_then(|debian| Ok((debian.version_of("rust-src", release)?, debian)));
        match found {
            Ok((version, debian)) => {
                debian.unpack(&[&format!("rust-src={version}")], folder)?;
                return Ok(folder.join(format!("usr/src/rustc-{release}/library")));
            }
            Err(why) => refused.push(format!("{why:#}")),
        }
    }
    bail!("no source of Rust {release}'s standard library: {}", refused.join("; "))
}

/// The release of the compiler, like `1.95.0`.
fn rust_release() -> Result<String> {
    let said = read(Command::new("rustc").current_dir(root()).arg("-vV"))?;
    let line = said.lines().find_map(|line| line.strip_prefix("release: "));
    Ok(line.context("rustc names no release")?.to_owned())
}

/// Where the compiler looks for the target's standard library.
fn library() -> Result<PathBuf> {
    Ok(toolchain()?.join("lib/rustlib").join(TARGET).join("lib"))
}

/// The folder of the toolchain; rustup takes it for a toolchain's name too.
fn toolchain() -> Result<PathBuf> {
    let said = read(Command::new("rustc").current_dir(root()).args(["--print", "sysroot"]))?;
    Ok(PathBuf::from(said.trim()))
}
