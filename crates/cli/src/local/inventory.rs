//! `gofleet inventory`: every Go on this machine, whoever put it there.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use gofleet_agent::inventory::{Extent, Places, Request, take};
use gofleet_core::inventory::{Go, Inventory};
use gofleet_depot::Root;

use super::{RootOption, is_same};
use crate::agent::service;
use crate::failure::Hinted;
use crate::printer::{Printer, bytes, cell, paint, style, table};

/// List every Go on this machine: version, origin, owner, size, and whether it is in use
#[derive(Debug, Args)]
#[command(after_help = "\
Looked at are the roots of gofleet, the installed programs (on Windows by UpgradeCode and name, in
both views of the registry), Program Files, C:\\Go, /usr/local/go and such, Scoop, Chocolatey,
Homebrew, Snap, mise, asdf, goenv, ~/sdk and the toolchains in Go's module cache, each in the homes
of all users, and PATH. Nothing is run and nothing is changed. What could not be looked at is told:
an administrator sees more.

A Go is in use (IN USE) if a program of it runs, if PATH leads to it first, or if its root has it
active. The version is that of its file VERSION, else what the linker wrote into its command.

Examples:
  gofleet inventory
  gofleet inventory --no-sizes --json
  gofleet inventory --search /srv --search /data")]
pub struct InventoryArguments {
    /// Search this folder too, whole (can be repeated)
    #[arg(long, value_name = "DIR")]
    search: Vec<PathBuf>,
    /// Don't measure how large each is, which looks at every file
    #[arg(long)]
    no_sizes: bool,
    #[command(flatten)]
    root: RootOption,
}

/// Does it.
pub fn run(arguments: &InventoryArguments, printer: Printer) -> anyhow::Result<ExitCode> {
    let mut search = Vec::new();
    for folder in &arguments.search {
        if !folder.is_dir() {
            let message = format!("{} is no folder that can be searched", folder.display());
            let hint = "name a folder that is there and that you may enter";
            return Err(Hinted::new(message, hint).into());
        }
        let folder = gofleet_platform::canonical(folder);
        search.push(folder.context("the folder to search can't be read")?);
    }
    let own = arguments.root.path()?;
    let of_service = service::root(None)?;
    let mut roots = vec![Root::new(&own)];
    if !is_same(&own, &of_service) {
        roots.push(Root::new(of_service));
    }
    let places = Places::of_this_machine();
    let extent = if arguments.no_sizes { Extent::Details } else { Extent::Sizes };
    let request = Request { roots: &roots, places: &places, search: &search, extent };
    let spinner = printer.spinner("looking for Go");
    let inventory = take(&request, &|what| spinner.set_message(what.to_owned()));
    spinner.finish_and_clear();
    printer.data(&inventory, describe)?;
    for unseen in &inventory.unseen {
        let (place, reason) = (cell(&unseen.place), cell(&unseen.reason));
        printer.warning(format_args!("not looked at: {place} ({reason})"));
    }
    if inventory.found.is_empty() {
        printer.message(format_args!("no Go was found; `gofleet install latest` installs one"));
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(inventory: &Inventory) -> String {
    let mut text = String::new();
    if !inventory.found.is_empty() {
        let heading = ["VERSION", "ORIGIN", "OWNER", "SIZE", "IN USE", "PATH"];
        text = table(&heading, &inventory.found.iter().map(cells).collect::<Vec<_>>());
    }
    for product in &inventory.without_files {
        let note =
            format!("{} is installed, but its files were not found", cell(&product.to_string()));
        text.push_str(&format!("\n{}", paint(style::WARNING, note)));
    }
    text
}

fn cells(go: &Go) -> Vec<String> {
    let origin = match &go.vouched_by {
        Some(by) if go.origin == gofleet_core::inventory::Origin::Package => {
            format!("{} {by}", go.origin)
        }
        _ => go.origin.to_string(),
    };
    let size = go.size.map_or_else(String::new, |size| {
        let at_least = if size.is_whole { "" } else { "at least " };
        format!("{at_least}{}", bytes(size.bytes))
    });
    let uses = [
        (go.is_active, "active".to_owned()),
        (go.is_first_on_path, "PATH".to_owned()),
        (!go.running.is_empty(), format!("runs ({})", go.running.len())),
    ];
    let uses: Vec<String> = uses.into_iter().filter(|(is, _)| *is).map(|(_, what)| what).collect();
    let owner = go.owner.clone().unwrap_or_else(|| "?".to_owned());
    vec![go.version.clone(), origin, owner, size, uses.join(", "), go.path.clone()]
}
