//! `gofleet exec`: a command with a version of Go, whatever else says which version.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Context;
use clap::Args;
use gofleet_core::resolve::{Chosen, Pin, Switching, VERSION_VARIABLE};
use gofleet_shim::{Machine, Nesting, Tool};

use super::{RootOption, installed, parse_pin, search_path};

/// Run a command with a version of Go
#[derive(Debug, Args)]
#[command(after_help = "\
The command finds that version's go and gofmt first on PATH, and shims run it too.

Examples:
  gofleet exec 1.26.6 -- go test ./...
  gofleet exec 1.27 -- make release")]
pub struct Exec {
    /// Version that is installed
    #[arg(value_name = "VERSION", value_parser = parse_pin)]
    version: Pin,
    /// Command with its arguments
    #[arg(value_name = "COMMAND", required = true, last = true)]
    command: Vec<OsString>,
    #[command(flatten)]
    root: RootOption,
}

/// Becomes the command; returns only if that is not possible.
pub fn run(exec: &Exec) -> anyhow::Result<ExitCode> {
    let machine = exec.root.machine()?;
    let version = installed(&exec.version, &machine)?;
    let (program, arguments) = exec.command.split_first().context("no command is given")?;
    let bin = machine.tree(&version).join("bin");
    let mut command = Command::new(program_of(program, &machine, &version));
    let path = env::join_paths([bin].into_iter().chain(search_path()))
        .context("a folder on PATH has a character that PATH can't hold")?;
    let chosen = Chosen { version, switching: Switching::Off, warning: None };
    gofleet_shim::prepare(&mut command, &chosen, &Nesting::of_this_process());
    command.args(arguments).env("PATH", path).env(VERSION_VARIABLE, &chosen.version);
    let error = gofleet_platform::process::exec(command);
    Err(error).with_context(|| format!("{} can't be started", Path::new(program).display()))
}

/// The tools of Go by their whole path, so that no other ones are found.
fn program_of(program: &OsString, machine: &Machine, version: &str) -> OsString {
    let is_bare = Path::new(program).components().count() == 1;
    match Tool::named(program).filter(|_| is_bare) {
        Some(tool) => machine.program(version, tool).into(),
        None => program.clone(),
    }
}
