//! Building what is shipped, so that the same source makes the same bytes wherever and whenever it
//! is built: no path of this machine and no time comes into the programs.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::run::{cargo, find_program, read, root, run};
use crate::setup::windows_target;

/// What can be built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Platform {
    /// Linux on x86-64
    LinuxAmd64,
    /// Windows on x86-64
    WindowsAmd64,
}

/// How a platform is called.
#[derive(Debug)]
pub struct Target {
    /// By Go, and so in the names of our files.
    pub platform: &'static str,
    /// By Rust.
    pub triple: &'static str,
    /// What the names of programs end with there.
    pub suffix: &'static str,
}

impl Platform {
    /// How it is called.
    pub const fn target(self) -> Target {
        match self {
            Self::LinuxAmd64 => {
                Target { platform: "linux-amd64", triple: "x86_64-unknown-linux-gnu", suffix: "" }
            }
            Self::WindowsAmd64 => {
                Target { platform: "windows-amd64", triple: windows_target::TARGET, suffix: ".exe" }
            }
        }
    }
}

/// A program that is shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Program {
    /// The server, the agent and the command line
    Gofleet,
    /// `go` and `gofmt` on the PATH of devices
    GofleetShim,
}

impl Program {
    /// The name of its crate and of its file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gofleet => "gofleet",
            Self::GofleetShim => "gofleet-shim",
        }
    }

    /// Its file on that target.
    pub fn file(self, target: &Target) -> String {
        format!("{}{}", self.name(), target.suffix)
    }
}

/// The time that everything which is made bears, in seconds since 1970: `SOURCE_DATE_EPOCH`
/// (reproducible-builds.org/specs/source-date-epoch), else that of the last commit, else 0.
///
/// # Errors
///
/// If the variable is no number.
pub fn epoch() -> Result<i64> {
    if let Ok(text) = env::var("SOURCE_DATE_EPOCH") {
        return text.parse().with_context(|| format!("SOURCE_DATE_EPOCH is `{text}`"));
    }
    if find_program("git").is_none() {
        return Ok(0);
    }
    let mut git = std::process::Command::new("git");
    let said = read(git.current_dir(root()).args(["log", "-1", "--format=%ct"]));
    Ok(said.ok().and_then(|said| said.trim().parse().ok()).unwrap_or_default())
}

/// Builds a program from the source in a folder, with all that is compiled in `output`; gives its
/// path there.
///
/// The shim is linked statically on Linux, which saves 0.6 ms at each start of a Go command:
/// looking for libraries and binding them takes longer than all that it does itself. `gofleet` is
/// not, since it looks names up by the system's rules, which are libraries of their own
/// (nsswitch.conf(5)).
///
/// # Errors
///
/// What the compiler said.
pub fn build(
    program: Program,
    target: &Target,
    source: &Path,
    output: &Path,
    epoch: i64,
) -> Result<PathBuf> {
    let mut command = cargo();
    let name = program.name();
    command
        .current_dir(source)
        .env("CARGO_TARGET_DIR", output)
        .env("CARGO_INCREMENTAL", "0")
        .env("SOURCE_DATE_EPOCH", epoch.to_string())
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags(target, source, output)?)
        .env("CFLAGS", c_flags(source, output)?)
        .args(["rustc", "--release", "--locked", "--target", target.triple])
        .args(["--package", name, "--bin", name]);
    if program == Program::GofleetShim && target.suffix.is_empty() {
        command.args(["--", "-C", "target-feature=+crt-static"]);
    }
    run(&mut command)?;
    Ok(output.join(target.triple).join("release").join(program.file(target)))
}

/// Folders of this machine, and what stands for them in the programs. Of several that fit, the
/// compilers take the last.
fn renamed(source: &Path, output: &Path) -> Result<Vec<(PathBuf, &'static str)>> {
    let mut renamed = vec![(source.to_owned(), "/gofleet"), (output.to_owned(), "/target")];
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let registries = home.context("no home folder is known")?.join("registry/src");
    // Each registry has a folder whose name depends on where its index is read from.
    if registries.is_dir() {
        for registry in fs::read_dir(registries)? {
            renamed.push((registry?.path(), "/cargo"));
        }
    }
    Ok(renamed)
}

fn rust_flags(target: &Target, source: &Path, output: &Path) -> Result<OsString> {
    let mut flags = OsString::new();
    for (from, to) in renamed(source, output)? {
        flags.push("--remap-path-prefix=");
        flags.push(from);
        flags.push(format!("={to}\u{1f}"));
    }
    if !target.suffix.is_empty() {
        // The linker writes the time into a program's header otherwise.
        flags.push("-Clink-arg=-Wl,--no-insert-timestamp\u{1f}");
    }
    // Its number would be made of the names of temporary files.
    flags.push("-Clink-arg=-Wl,--build-id=none");
    Ok(flags)
}

fn c_flags(source: &Path, output: &Path) -> Result<String> {
    let flag = |(from, to): (PathBuf, &str)| format!("-ffile-prefix-map={}={to}", from.display());
    let flags: Vec<String> = renamed(source, output)?.into_iter().map(flag).collect();
    Ok(flags.join(" "))
}
