//! `gofleet list`: what is installed, and who chose it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use gofleet_core::ids::ReleaseId;
use gofleet_core::resolve::Modules;
use gofleet_core::version;
use gofleet_depot::Root;
use serde::Serialize;

use super::{RootOption, current_folder, release_id};
use crate::printer::{Printer, table};

/// List the versions of Go that are installed
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gofleet list\n  gofleet list --json")]
pub struct List {
    #[command(flatten)]
    root: RootOption,
}

/// An installed version.
#[derive(Debug, Serialize)]
struct Row {
    version: String,
    release: ReleaseId,
    tree: PathBuf,
    /// Whether it runs in the current folder.
    is_here: bool,
    is_users_choice: bool,
    is_machines_choice: bool,
    is_fallback: bool,
    is_pinned: bool,
    /// Whether nobody vouches for it: it was adopted as it was found.
    is_unverified: bool,
}

/// Does it.
pub fn run(list: &List, printer: Printer) -> anyhow::Result<ExitCode> {
    let machine = list.root.machine()?;
    let here = machine.resolve(&current_folder()?, Modules::Asked).outcome.ok();
    let root = Root::new(list.root.path()?);
    let fallback = root.active()?.and_then(|active| active.fallback);
    let pinned = root.pinned()?;
    let mut versions = machine.installed().to_vec();
    versions.sort_by(|a, b| version::compare(b, a));
    let row = |version: String| {
        let release = release_id(&version);
        Row {
            tree: machine.tree(&version),
            is_here: here.as_ref().is_some_and(|here| here.version == version),
            is_users_choice: machine.user() == Some(version.as_str()),
            is_machines_choice: machine.active() == Some(version.as_str()),
            is_fallback: fallback.as_ref() == Some(&release),
            is_pinned: pinned.contains(&release),
            is_unverified: root.is_unverified(&release).unwrap_or_default(),
            release,
            version,
        }
    };
    let rows: Vec<Row> = versions.into_iter().map(row).collect();
    printer.data(&rows, |rows| {
        let cells: Vec<_> = rows.iter().map(Row::cells).collect();
        table(&["VERSION", "CHOSEN", "TREE"], &cells)
    })?;
    if rows.is_empty() {
        printer.message(format_args!("none is installed; `gofleet install latest` installs one"));
    }
    Ok(ExitCode::SUCCESS)
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let notes = [
            (self.is_here, "here"),
            (self.is_users_choice, "user"),
            (self.is_machines_choice, "machine"),
            (self.is_fallback, "fallback"),
            (self.is_pinned, "pinned"),
            (self.is_unverified, "unverified"),
        ];
        let notes: Vec<_> = notes.iter().filter(|(is, _)| *is).map(|(_, note)| *note).collect();
        vec![self.version.clone(), notes.join(", "), self.tree.display().to_string()]
    }
}
