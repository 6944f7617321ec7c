//! `gofleet prune`: what nobody needs goes; `gofleet pin` and `gofleet unpin`: what stays.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use gofleet_core::ids::ReleaseId;
use gofleet_core::resolve::Pin;
use gofleet_depot::{Candidate, Depot, PrunePlan, Root};
use gofleet_shim::Machine;
use serde::Serialize;
use serde_json::json;

use super::{RootOption, installed, parse_pin, release_id};
use crate::printer::{Printer, bytes, table};

/// Remove the versions of Go that nobody needs
#[derive(Debug, Args)]
#[command(after_help = "\
What stays: the machine's choice, the version that would be gone back to, your choice, what is
pinned (`gofleet pin`), and what runs at this moment. Toolchains in Go's module cache are not
touched. What can't be deleted yet is deleted later.

Examples:
  gofleet prune --dry-run
  gofleet prune")]
pub struct Prune {
    /// Say what would go, and leave it
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    root: RootOption,
}

/// Keep a version from being removed
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gofleet pin 1.26.6")]
pub struct PinVersion {
    #[command(flatten)]
    which: Which,
}

/// Let a version be removed that was pinned
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gofleet unpin 1.26.6")]
pub struct UnpinVersion {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
struct Which {
    /// Version that is installed
    #[arg(value_name = "VERSION", value_parser = parse_pin)]
    version: Pin,
    #[command(flatten)]
    root: RootOption,
}

/// What was done.
#[derive(Debug, Serialize)]
struct Pruned {
    #[serde(flatten)]
    plan: PrunePlan,
    /// Whether what goes is gone.
    is_done: bool,
    /// What goes, but can't be deleted yet.
    later: Vec<ReleaseId>,
}

/// Does it.
pub fn run(prune: &Prune, printer: Printer) -> anyhow::Result<ExitCode> {
    let root = prune.root.path()?;
    let chosen = chosen(&root)?;
    let pruned = if prune.dry_run {
        let plan = Root::new(&root).prune_plan(&chosen)?;
        Pruned { plan, is_done: false, later: Vec::new() }
    } else {
        let (plan, later) = Depot::open(&root)?.prune(&chosen)?;
        Pruned { plan, is_done: true, later }
    };
    printer.data(&pruned, describe)?;
    for id in &pruned.later {
        printer.warning(format_args!("{id} can't be deleted yet; the next gofleet tries again"));
    }
    Ok(ExitCode::SUCCESS)
}

/// The choice of the user who asks: that of others can't be known.
fn chosen(root: &Path) -> anyhow::Result<Vec<ReleaseId>> {
    let machine = Machine::read(root.to_owned())?;
    Ok(machine.user().map(release_id).into_iter().collect())
}

fn describe(pruned: &Pruned) -> String {
    let row = |candidate: &Candidate| {
        let fate = match &candidate.stays {
            Some(need) => format!("stays: {need}"),
            None if pruned.is_done => "removed".to_owned(),
            None => "would be removed".to_owned(),
        };
        vec![candidate.release.to_string(), bytes(candidate.tree_bytes), fate]
    };
    let rows: Vec<_> = pruned.plan.releases.iter().map(row).collect();
    let verb = if pruned.is_done { "freed" } else { "would be freed" };
    let frees = bytes(pruned.plan.frees_bytes);
    format!("{}\n{frees} {verb}", table(&["RELEASE", "SIZE", "FATE"], &rows))
}

/// Does it.
pub fn pin(pin: &PinVersion, printer: Printer) -> anyhow::Result<ExitCode> {
    set(&pin.which, true, printer)
}

/// Does it.
pub fn unpin(unpin: &UnpinVersion, printer: Printer) -> anyhow::Result<ExitCode> {
    set(&unpin.which, false, printer)
}

fn set(which: &Which, is_pinned: bool, printer: Printer) -> anyhow::Result<ExitCode> {
    let root = which.root.path()?;
    let version = installed(&which.version, &Machine::read(root.clone())?)?;
    Depot::open(&root)?.pin(&release_id(&version), is_pinned)?;
    printer.data(&json!({ "version": version, "is_pinned": is_pinned }), |_| {
        format!("Go {version} is {}", if is_pinned { "pinned" } else { "not pinned" })
    })?;
    Ok(ExitCode::SUCCESS)
}
