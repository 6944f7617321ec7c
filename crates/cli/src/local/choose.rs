//! `gofleet use`: which version runs where no file says otherwise.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use gofleet_core::resolve::{Modules, Pin};
use gofleet_depot::Depot;
use gofleet_platform::Access;
use gofleet_shim::{Choices, Machine};
use serde::Serialize;

use super::{RootOption, current_folder, installed, parse_pin, release_id};
use crate::printer::Printer;

/// Choose the version of Go that runs where no file says otherwise
#[derive(Debug, Args)]
#[command(after_help = "\
The user's choice comes before the machine's. Open shells follow at once. A .go-version,
.tool-versions, go.work or go.mod in a folder comes before both; `gofleet why` tells.

Examples:
  gofleet use 1.27.3
  gofleet use 1.27             the newest 1.27 that is installed
  gofleet use 1.27.3 --machine
  gofleet use --forget")]
pub struct Use {
    /// Version that is installed
    #[arg(value_name = "VERSION", required_unless_present = "forget", value_parser = parse_pin)]
    version: Option<Pin>,
    /// Choose for all users of this root
    #[arg(long)]
    machine: bool,
    /// Forget the user's choice, so that the machine's counts again
    #[arg(long, conflicts_with_all = ["version", "machine"])]
    forget: bool,
    #[command(flatten)]
    root: RootOption,
}

/// What was chosen.
#[derive(Debug, Serialize)]
struct Chosen {
    version: Option<String>,
    scope: &'static str,
    is_new: bool,
}

/// Does it.
pub fn run(choose: &Use, printer: Printer) -> anyhow::Result<ExitCode> {
    let root = choose.root.path()?;
    let machine = Machine::read(root.clone())?;
    let version = choose.version.as_ref().map(|pin| installed(pin, &machine)).transpose()?;
    let chosen = match version {
        Some(version) if choose.machine => {
            let before = machine.active().map(str::to_owned);
            Depot::open(&root)?.activate(&release_id(&version))?;
            let is_new = before.as_deref() != Some(version.as_str());
            Chosen { version: Some(version), scope: "machine", is_new }
        }
        version => {
            let before = save(&root, version.as_deref())?;
            Chosen { is_new: before != version, version, scope: "user" }
        }
    };
    printer.data(&chosen, |Chosen { version, scope, .. }| match version {
        Some(version) => format!("Go {version} is the {scope}'s choice"),
        None => "the machine's choice counts again".to_owned(),
    })?;
    tell_if_it_does_not_count(&root, chosen.version.as_deref(), printer)?;
    Ok(ExitCode::SUCCESS)
}

/// Saves the user's choice for the root; returns the earlier one.
fn save(root: &Path, version: Option<&str>) -> anyhow::Result<Option<String>> {
    let path = Choices::path()
        .context("the environment names no home folder (HOME, on Windows APPDATA)")?;
    let mut choices =
        Choices::load(&path).with_context(|| format!("{} can't be read", path.display()))?;
    let before = choices.set(root, version);
    if before.as_deref() != version {
        let folder = path.parent().expect("the choices lie in a folder");
        gofleet_platform::create_private_folder(folder)
            .and_then(|()| {
                let text = serde_json::to_vec_pretty(&choices)?;
                gofleet_platform::atomic_write(&path, &text, Access::Private)
            })
            .with_context(|| format!("{} can't be written", path.display()))?;
    }
    Ok(before)
}

/// The choice may not be what runs in this very folder, which would surprise.
fn tell_if_it_does_not_count(
    root: &Path,
    version: Option<&str>,
    printer: Printer,
) -> anyhow::Result<()> {
    let resolution = Machine::read(root.to_owned())?.resolve(&current_folder()?, Modules::Asked);
    match resolution.outcome {
        Ok(here) if version.is_some_and(|version| version != here.version) => {
            let here = here.version;
            printer.warning(format_args!("in this folder Go {here} runs; `gofleet why` tells why"));
        }
        Ok(_) => {}
        Err(error) => printer.warning(format_args!("in this folder no Go runs: {error}")),
    }
    Ok(())
}
