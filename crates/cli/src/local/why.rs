//! `gofleet which` and `gofleet why`: what would run in the current folder, and why.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use gofleet_core::resolve::{Chosen, Considered, Modules, ResolveError, Role};
use gofleet_shim::{Machine, Tool};
use serde::Serialize;
use serde_json::json;

use super::{RootOption, current_folder};
use crate::failure;
use crate::printer::{Printer, paint, style};

/// Print the program that runs as `go` in the current folder
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gofleet which\n  gofleet which gofmt")]
pub struct Which {
    /// Program
    #[arg(value_name = "PROGRAM", default_value = "go")]
    program: Program,
    #[command(flatten)]
    root: RootOption,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Program {
    Go,
    Gofmt,
}

/// Tell why a version of Go runs in the current folder
#[derive(Debug, Args)]
#[command(after_help = "\
The order: GOFLEET_VERSION; the nearest .go-version, .tool-versions, go.work or go.mod, going up
from the current folder; the user's choice; the machine's. For go.work and go.mod Go's own rules
decide, starting from the version that would run without them.

Examples:
  gofleet why
  gofleet why --json")]
pub struct Why {
    #[command(flatten)]
    root: RootOption,
}

/// Prints the program.
pub fn which(which: &Which, printer: Printer) -> anyhow::Result<ExitCode> {
    let machine = which.root.machine()?;
    let chosen = machine.resolve(&current_folder()?, Modules::Asked).outcome?;
    let tool = match which.program {
        Program::Go => Tool::Go,
        Program::Gofmt => Tool::Gofmt,
    };
    let program = machine.program(&chosen.version, tool);
    let answer = json!({ "version": chosen.version, "program": program });
    printer.data(&answer, |_| program.display().to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// The answer, whether a version was found or not.
#[derive(Debug, Serialize)]
struct Answer {
    folder: PathBuf,
    #[serde(flatten)]
    chosen: Option<Chosen>,
    tree: Option<PathBuf>,
    error: Option<String>,
    chain: Vec<Considered>,
}

/// Prints what was considered, and what came of it.
pub fn why(why: &Why, printer: Printer) -> anyhow::Result<ExitCode> {
    let machine = why.root.machine()?;
    let folder = current_folder()?;
    let resolution = machine.resolve(&folder, Modules::Asked);
    let (chosen, error) = match resolution.outcome {
        Ok(chosen) => (Some(chosen), None),
        Err(error) => (None, Some(error)),
    };
    let tree = chosen.as_ref().map(|chosen| machine.tree(&chosen.version));
    let told = error.as_ref().map(ToString::to_string);
    let answer = Answer { folder, chosen, tree, error: told, chain: resolution.chain };
    printer.data(&answer, |answer| describe(answer, &machine))?;
    if let Some(warning) = answer.chosen.as_ref().and_then(|chosen| chosen.warning.as_ref()) {
        printer.warning(format_args!("Go will say: {warning}"));
    }
    Ok(error.map_or(ExitCode::SUCCESS, |error| fail(error, printer)))
}

fn fail(error: ResolveError, printer: Printer) -> ExitCode {
    failure::print(&error.into(), printer)
}

fn describe(answer: &Answer, machine: &Machine) -> String {
    let mut lines: Vec<String> = answer.chain.iter().map(line).collect();
    if let Some(Chosen { version, .. }) = &answer.chosen {
        let tree = machine.tree(version).display().to_string();
        lines.push(format!("{}: {tree}", paint(style::STRONG, format!("Go {version}"))));
    }
    lines.join("\n")
}

/// One line per source: what it says and what came of it.
fn line(considered: &Considered) -> String {
    let Considered { source, says, role } = considered;
    match (says, role) {
        (Some(says), Role::Chooses) => paint(style::GOOD, format!("{source}: {says} ({role})")),
        (Some(says), Role::PassedOver | Role::Base | Role::Unset) => {
            format!("{source}: {says} ({role})")
        }
        (None, _) => paint(style::FAINT, format!("{source}: says nothing")),
    }
}
