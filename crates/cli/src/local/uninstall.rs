//! `gofleet uninstall`: a version goes, unless somebody needs it.

use std::process::ExitCode;

use clap::Args;
use gofleet_core::resolve::Pin;
use gofleet_depot::{Depot, DepotError, Need, Root};
use gofleet_shim::Machine;
use serde_json::json;

use super::{RootOption, installed, parse_pin, release_id};
use crate::failure::Hinted;
use crate::printer::{Printer, bytes};

/// Remove a version of Go from this machine
#[derive(Debug, Args)]
#[command(after_help = "\
What is chosen stays, and so does the version that would be gone back to.

Examples:
  gofleet uninstall 1.26.6 --dry-run
  gofleet uninstall 1.26.6")]
pub struct Uninstall {
    /// Version that is installed
    #[arg(value_name = "VERSION", value_parser = parse_pin)]
    version: Pin,
    /// Say what would go, and leave it
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    root: RootOption,
}

/// Does it.
pub fn run(uninstall: &Uninstall, printer: Printer) -> anyhow::Result<ExitCode> {
    let path = uninstall.root.path()?;
    let machine = Machine::read(path.clone())?;
    let version = installed(&uninstall.version, &machine)?;
    if machine.user() == Some(version.as_str()) {
        let message = format!("Go {version} stays: it is your choice");
        return Err(Hinted::new(message, "choose another with `gofleet use` first").into());
    }
    let (root, id) = (Root::new(&path), release_id(&version));
    // Files that other versions have, too, stay.
    let frees = root.frees([&id]).unwrap_or(0);
    if uninstall.dry_run {
        refuse_if_needed(&root, &version)?;
    } else {
        Depot::open(&path)?.remove(&id).map_err(advise)?;
    }
    let answer = json!({
        "version": version,
        "release": id,
        "bytes": frees,
        "is_removed": !uninstall.dry_run,
    });
    printer.data(&answer, |_| {
        let (tree, frees) = (root.tree(&id), bytes(frees));
        let verb = if uninstall.dry_run { "would be removed" } else { "is removed" };
        format!("Go {version} {verb}: {} ({frees})", tree.display())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What removing would refuse too.
fn refuse_if_needed(root: &Root, version: &str) -> anyhow::Result<()> {
    let id = release_id(version);
    match root.need(&id)? {
        Some(need) => Err(advise(DepotError::Needed { id, need })),
        None => Ok(()),
    }
}

fn advise(error: DepotError) -> anyhow::Error {
    let hint = match &error {
        DepotError::Needed { need: Need::Pinned, .. } => "let it go with `gofleet unpin` first",
        DepotError::Needed { .. } => "choose others with `gofleet use VERSION --machine` first",
        _ => return error.into(),
    };
    Hinted::new(error.to_string(), hint).into()
}
