//! `cargo xtask dist`: the programs as they are shipped, packages of them, what they are made of, and
//! the digests of all that.
//!
//! Everything that it makes depends on the source alone: `--reproducible` builds twice, in folders
//! of different names, and compares.

mod archive;
pub mod build;
mod content;
mod deb;
mod digest;
mod msi;
mod native;
mod reproducible;
mod sbom;

use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;

use crate::run::{cargo, quiet, read, root, run, target_folder};
use crate::setup::{self, Part};
use build::{Platform, Program, Target};
use content::Content;

#[derive(clap::Args)]
pub struct Arguments {
    /// Only for these platforms [default: all that can be built for on this machine]
    #[arg(long, value_enum, value_delimiter = ',')]
    platform: Vec<Platform>,
    /// Build the programs twice, in different folders, and compare them byte by byte
    #[arg(long)]
    reproducible: bool,
    /// With --reproducible: only these programs
    #[arg(long, value_enum, value_delimiter = ',', requires = "reproducible")]
    program: Vec<Program>,
}

/// Builds what is shipped, into `target/dist`.
pub fn main(arguments: &Arguments) -> Result<()> {
    let epoch = build::epoch()?;
    let platforms = platforms(&arguments.platform)?;
    if arguments.reproducible {
        let programs = chosen(&arguments.program, &[Program::Gofleet, Program::GofleetShim]);
        return reproducible::compare(&programs, &platforms, epoch);
    }
    let folder = target_folder()?.join("dist");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let mut files = Vec::new();
    let version = &version()?;
    for platform in platforms {
        let target = &platform.target();
        files.extend(programs(target, &folder, epoch)?);
        let bill = bill(target, version, &folder, epoch)?;
        let programs = folder.join(target.platform);
        let bill_path = folder.join(&bill);
        let content = Content { target, programs, bill: bill_path, version, epoch, is_small: true };
        files.push(bill);
        files.extend(packages(&content, &folder)?);
    }
    digest::write_sums(&folder, &files)?;
    for file in files.iter().map(String::as_str).chain([digest::SUMS]) {
        println!("{}", folder.join(file).display());
    }
    Ok(())
}

/// The platforms that were asked for; if none was, those that this machine can build for.
fn platforms(asked: &[Platform]) -> Result<Vec<Platform>> {
    if cfg!(windows) {
        return Ok(chosen(asked, &[Platform::WindowsAmd64]));
    }
    let mut platforms = chosen(asked, &[Platform::LinuxAmd64, Platform::WindowsAmd64]);
    if platforms.contains(&Platform::WindowsAmd64) {
        match setup::install(Part::Windows) {
            Ok(_) => (),
            Err(reason) if asked.is_empty() => {
                eprintln!("LEFT OUT: windows-amd64: {reason:#}");
                platforms.retain(|platform| *platform != Platform::WindowsAmd64);
            }
            Err(reason) => return Err(reason.context("windows-amd64 can't be built for here")),
        }
    }
    Ok(platforms)
}

fn chosen<T: Copy>(asked: &[T], all: &[T]) -> Vec<T> {
    if asked.is_empty() { all.to_vec() } else { asked.to_vec() }
}

/// Builds both programs, and gives their names in the folder.
fn programs(target: &Target, folder: &Path, epoch: i64) -> Result<Vec<String>> {
    let output = target_folder()?.join("dist-build");
    fs::create_dir_all(folder.join(target.platform))?;
    let mut names = Vec::new();
    for program in [Program::Gofleet, Program::GofleetShim] {
        let built = build::build(program, target, root(), &output, epoch)?;
        let name = format!("{}/{}", target.platform, program.file(target));
        fs::copy(&built, folder.join(&name)).with_context(|| format!("write {name}"))?;
        names.push(name);
    }
    Ok(names)
}

/// Writes the bill of materials, and gives its name in the folder.
fn bill(target: &Target, version: &str, folder: &Path, epoch: i64) -> Result<String> {
    let name = format!("gofleet-{version}-{}.cdx.json", target.platform);
    let text = serde_json::to_string_pretty(&sbom::of(target, epoch)?)? + "\n";
    fs::write(folder.join(&name), text).with_context(|| format!("write {name}"))?;
    Ok(name)
}

/// Packs the programs of a platform in all ways that this machine can; gives the names.
fn packages(content: &Content<'_>, folder: &Path) -> Result<Vec<String>> {
    let tools = setup::install(Part::Packaging);
    if let Err(reason) = &tools {
        eprintln!("LEFT OUT: packages for installers: {reason:#}");
    }
    let mut names = Vec::new();
    if content.target.suffix.is_empty() {
        names.push(archive::tarball(content, &unit(content, "/usr/local/lib/gofleet")?, folder)?);
        if tools.is_ok() {
            names.push(deb::package(content, &unit(content, deb::PROGRAMS)?, folder)?);
        }
    } else {
        names.push(archive::zip(content, folder)?);
        if tools.is_ok() {
            names.push(msi::package(content, folder)?);
        }
    }
    Ok(names)
}

/// The agent's unit, by the program that is packed: it is the one that writes it on a machine too.
fn unit(content: &Content<'_>, place: &str) -> Result<String> {
    let mut program = Command::new(content.programs.join("gofleet"));
    read(program.args(["export", "unit", "--program"]).arg(format!("{place}/gofleet")))
}

/// Packs the programs that were built for tests, without their debug information, into a new
/// folder: building what is shipped takes many minutes. What is in the packages is made in the same
/// way. Each version makes packages of its own.
pub fn of_tests(platform: Platform, built: &Path, folder: &Path, versions: &[&str]) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let (target, epoch) = (&platform.target(), build::epoch()?);
    let programs = folder.join(target.platform);
    fs::create_dir_all(&programs)?;
    let mut files = Vec::new();
    for program in [Program::Gofleet, Program::GofleetShim] {
        let name = program.file(target);
        let strip = if target.suffix.is_empty() { "strip" } else { "x86_64-w64-mingw32-strip" };
        quiet(Command::new(strip).arg("-o").arg(programs.join(&name)).arg(built.join(&name)))?;
        files.push(format!("{}/{name}", target.platform));
    }
    for version in versions {
        let bill = bill(target, version, folder, epoch)?;
        let (programs, version) = (programs.clone(), *version);
        let bill_path = folder.join(&bill);
        let content =
            Content { target, programs, bill: bill_path, version, epoch, is_small: false };
        files.push(bill);
        files.extend(packages(&content, folder)?);
    }
    digest::write_sums(folder, &files)
}

/// The version of what is built.
pub fn version() -> Result<String> {
    let metadata = MetadataCommand::new().current_dir(root()).no_deps().exec()?;
    let package = metadata.packages.iter().find(|package| *package.name == "gofleet");
    Ok(package.context("there is no package gofleet")?.version.to_string())
}

/// Builds `gofleet` for this machine as benchmarks need it, and gives its path.
pub fn program() -> Result<PathBuf> {
    run(cargo().args(["build", "--release", "--package", "gofleet", "--bin", "gofleet"]))?;
    built("gofleet")
}

/// Builds the shim for this machine, linked as it is shipped, and gives its path.
pub fn shim() -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["rustc", "--release", "--package", "gofleet-shim", "--bin", "gofleet-shim"]);
    if cfg!(target_os = "linux") {
        build.args(["--", "-C", "target-feature=+crt-static"]);
    }
    run(&mut build)?;
    built("gofleet-shim")
}

fn built(name: &str) -> Result<PathBuf> {
    Ok(target_folder()?.join("release").join(format!("{name}{EXE_SUFFIX}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01T00:00:00Z.
    const EPOCH: i64 = 1_767_225_600;

    #[test]
    #[ignore = "needs dpkg-deb and wixl: cargo xtask test --suite packages"]
    fn packages_of_the_same_files_are_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let made = ["one", "another"].map(|name| {
            // Of other names, and at other times, but of the same content.
            let (programs, out) = (folder.path().join(name), folder.path().join("made").join(name));
            fs::create_dir_all(&programs).unwrap();
            fs::create_dir_all(&out).unwrap();
            let bill = programs.join("bill");
            fs::write(&bill, "{}").unwrap();
            let mut digests = Vec::new();
            for platform in [Platform::LinuxAmd64, Platform::WindowsAmd64] {
                let target = &platform.target();
                for program in [Program::Gofleet, Program::GofleetShim] {
                    fs::write(programs.join(program.file(target)), "GLIBC_2.34").unwrap();
                }
                let (programs, bill) = (programs.clone(), bill.clone());
                let content = Content {
                    target,
                    programs,
                    bill,
                    version: "1.2.3",
                    epoch: EPOCH,
                    is_small: true,
                };
                let names = if target.suffix.is_empty() {
                    let unit = "[Service]\n";
                    [archive::tarball(&content, unit, &out), deb::package(&content, unit, &out)]
                } else {
                    [archive::zip(&content, &out), msi::package(&content, &out)]
                };
                for name in names.map(Result::unwrap) {
                    let digest = digest::of_file(&out.join(&name)).unwrap();
                    digests.push((name, digest::hex(&digest)));
                }
            }
            digests
        });
        assert_eq!(made[0], made[1]);
    }
}
