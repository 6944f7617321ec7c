//! `gofleet depot verify`: whether the installed versions are what they should be, and mending them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use gofleet_core::ids::ReleaseId;
use gofleet_depot::{Checked, Depot, DepotError, Difference, Root, Supply};
use serde::Serialize;

use super::RootOption;
use crate::failure::{self, Hinted};
use crate::printer::{Printer, bytes, paint, style};

/// Look after the files of the installed versions
#[derive(Debug, Args)]
pub struct DepotArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Verify(Verify),
}

/// Compare every file of every installed version with its manifest
#[derive(Debug, Args)]
#[command(after_help = "\
A file that several versions share is read once. Mending takes what is damaged from another
version, else from an archive or pack that is given or lies in downloads. Exits with 3 if something
is damaged and stays so.

Examples:
  gofleet depot verify
  gofleet depot verify --repair
  gofleet depot verify --repair --from go1.27.3.linux-amd64.tar.gz")]
struct Verify {
    /// Mend what is damaged
    #[arg(long)]
    repair: bool,
    /// Archive or pack of a damaged version
    #[arg(long, value_name = "PATH", requires = "repair")]
    from: Vec<PathBuf>,
    #[command(flatten)]
    root: RootOption,
}

/// Does it.
pub fn run(arguments: &DepotArguments, printer: Printer) -> anyhow::Result<ExitCode> {
    match &arguments.verb {
        Verb::Verify(verify) => verify.run(printer),
    }
}

/// What was found of one version.
#[derive(Debug, Serialize)]
struct Outcome {
    #[serde(flatten)]
    checked: Checked,
    is_mended: bool,
}

impl Verify {
    fn run(&self, printer: Printer) -> anyhow::Result<ExitCode> {
        let root = Root::new(self.root.path()?);
        let spinner = printer.spinner("verifying what is installed");
        let checked = root.check_all(&());
        spinner.finish_and_clear();
        let checked = checked?;
        let is_damaged = checked.iter().any(|checked| !checked.differences.is_empty());
        let (mut mended, mut failures) = (Vec::new(), Vec::new());
        if self.repair && is_damaged {
            let damaged = checked.iter().filter(|checked| !checked.differences.is_empty());
            (mended, failures) = self.mend(damaged, &root, printer)?;
        }
        let outcome =
            |checked: Checked| Outcome { is_mended: mended.contains(&checked.release), checked };
        let outcomes: Vec<Outcome> = checked.into_iter().map(outcome).collect();
        printer.data(&outcomes, |outcomes| {
            outcomes.iter().map(describe).collect::<Vec<_>>().join("\n")
        })?;
        failures.iter().for_each(|failure| failure::tell(failure, printer));
        let is_whole = outcomes.iter().all(Outcome::is_whole);
        if !is_whole && !self.repair {
            printer.message(format_args!("to mend it: gofleet depot verify --repair"));
        }
        Ok(ExitCode::from(if is_whole { failure::DONE } else { failure::NEGATIVE }))
    }

    /// Those that were mended, and why the others were not. One may mend the next.
    fn mend<'a>(
        &self,
        damaged: impl Iterator<Item = &'a Checked>,
        root: &Root,
        printer: Printer,
    ) -> anyhow::Result<(Vec<ReleaseId>, Vec<anyhow::Error>)> {
        let supplies = self.supplies(root)?;
        let depot = Depot::open(root.path())?;
        let mut left: Vec<&ReleaseId> = damaged.map(|checked| &checked.release).collect();
        let mut mended = Vec::new();
        loop {
            let (before, mut failures) = (left.len(), Vec::new());
            left.retain(|id| {
                let spinner = printer.spinner(&format!("mending {id}"));
                let repaired = depot.repair(id, &supplies, &());
                spinner.finish_and_clear();
                match repaired {
                    Ok(_) => mended.push((*id).clone()),
                    Err(error) => failures.push(advise(error, id)),
                }
                !mended.contains(id)
            });
            if left.is_empty() || left.len() == before {
                return Ok((mended, failures));
            }
        }
    }

    fn supplies(&self, root: &Root) -> anyhow::Result<Vec<Supply>> {
        let mut supplies = Vec::new();
        for path in &self.from {
            supplies.push(Supply::of(path).ok_or_else(|| {
                let message = format!("{} is neither an archive of Go nor a pack", path.display());
                Hinted::usage(message, "give an archive (zip, tar.gz, wheel) or a pack")
            })?);
        }
        supplies.extend(root.downloaded().iter().filter_map(|path| Supply::of(path)));
        Ok(supplies)
    }
}

fn advise(error: DepotError, id: &ReleaseId) -> anyhow::Error {
    match error {
        DepotError::Incomplete { .. } => {
            let version = id.as_str().split('-').nth(1).unwrap_or("VERSION").to_owned();
            let hint = format!(
                "give its archive with --from, or fetch it anew: gofleet install {version}"
            );
            anyhow::Error::from(error).context(Hinted::new(format!("{id} stays damaged"), hint))
        }
        error => anyhow::Error::from(error).context(format!("{id} stays damaged")),
    }
}

impl Outcome {
    fn is_whole(&self) -> bool {
        self.is_mended || self.checked.differences.is_empty()
    }
}

fn describe(outcome: &Outcome) -> String {
    let Outcome { checked: Checked { release, files, bytes: size, differences }, .. } = outcome;
    let head = match (outcome.is_whole(), differences.is_empty()) {
        (true, true) => paint(style::GOOD, "whole"),
        (true, false) => paint(style::GOOD, "mended"),
        (false, _) => paint(style::ERROR, "damaged"),
    };
    let line = format!("{release}: {head} ({files} files, {})", bytes(*size));
    let differences = differences.iter().map(Difference::to_string);
    [line]
        .into_iter()
        .chain(differences.map(|text| format!("  {text}")))
        .collect::<Vec<_>>()
        .join("\n")
}
