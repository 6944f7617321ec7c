//! `gofleet advise`: by hand, by a script, or by managed rollouts.

mod figures;
mod fleet;
mod scripts;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use gofleet_core::advice::instructions::{Download, by_hand};
use gofleet_core::advice::{Advice, Way, advise};
use gofleet_core::release::Platform;
use gofleet_core::version::GoVersion;
use serde::Serialize;

use crate::connection::Connection;
use crate::printer::Printer;

use figures::FigureRow;
use fleet::Fleet;

/// Tell whether a fleet is upgraded best by hand, by a script or by managed rollouts
#[derive(Debug, Args)]
#[command(after_help = "\
Compares hours, failures and dollars over a year, and tells for each figure behind them whether it
is published, estimated, edited or measured in this fleet. The commands for each machine are shown
where by hand is advised. With --nodes no server is asked, unless one is named.

Examples:
  gofleet advise --nodes 4 1.27.3
  gofleet advise --nodes 100 --changes-per-year 24 --set dollars_per_hour=85
  gofleet advise --server https://gofleet.example.org
  gofleet advise --print-assumptions > assumptions.toml
  gofleet advise --nodes 300 --assumptions assumptions.toml --set managed.error_rate=1% --json
  gofleet advise --nodes 20 1.27.3 --write-script .")]
pub struct Advise {
    /// Version to upgrade to [default: the newest approved one of the server]
    #[arg(value_name = "VERSION")]
    version: Option<GoVersion>,
    /// Number of machines [default: the server's devices]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    nodes: Option<u64>,
    /// Platform of the machines; may be repeated [default: those of the server's devices, else
    /// linux-amd64 and windows-amd64]
    #[arg(long = "platform", value_name = "OS-ARCH")]
    platforms: Vec<Platform>,
    /// How often each machine gets another version: short for --set changes_per_year=N
    #[arg(long, value_name = "N")]
    changes_per_year: Option<String>,
    /// Figures in TOML, as --print-assumptions writes them
    #[arg(long, value_name = "FILE")]
    assumptions: Option<PathBuf>,
    /// Sets a figure, over the file; may be repeated
    #[arg(long = "set", value_name = "FIGURE=VALUE", value_parser = figures::parse)]
    set: Vec<(String, String)>,
    /// Print the figures as a file to edit, and end
    #[arg(long)]
    print_assumptions: bool,
    /// Write upgrade-go.sh and upgrade-go.ps1 into this folder
    #[arg(long, value_name = "DIR")]
    write_script: Option<PathBuf>,
    /// Where machines get official archives that the catalog knows no address of
    #[arg(long, value_name = "URL", default_value = "https://go.dev/dl/")]
    mirror: String,
    #[command(flatten)]
    connection: Connection,
}

/// What is told.
#[derive(Debug, Serialize)]
struct Answer {
    #[serde(flatten)]
    advice: Advice,
    /// What was computed with.
    assumptions: Vec<FigureRow>,
    /// The version that the commands and scripts install.
    version: Option<GoVersion>,
    /// What to type on each machine, where by hand is advised.
    machines: Vec<Machine>,
    /// The scripts that were written.
    scripts: Vec<PathBuf>,
}

/// What to type on a machine, or on each of several.
#[derive(Debug, Serialize)]
struct Machine {
    name: String,
    platform: Platform,
    commands: Vec<String>,
}

/// Does it.
pub async fn run(arguments: Advise, printer: Printer) -> anyhow::Result<ExitCode> {
    let mut assumptions = figures::load(arguments.assumptions.as_deref())?;
    let changes = arguments.changes_per_year.clone();
    let changes = changes.map(|value| ("changes_per_year".to_owned(), value));
    for (name, value) in arguments.set.iter().cloned().chain(changes) {
        figures::set(&mut assumptions, &name, &value)?;
    }
    let is_asked = arguments.nodes.is_none() && !arguments.print_assumptions;
    let fleet = Fleet::of(&arguments, is_asked).await?;
    assumptions.measure(&fleet.measured);
    if arguments.print_assumptions {
        let rows = FigureRow::all(&assumptions);
        printer.data(&rows, |_| assumptions.to_toml())?;
        return Ok(ExitCode::SUCCESS);
    }
    let advice = advise(arguments.nodes.unwrap_or(fleet.devices()), &assumptions);
    let version = arguments.version.clone().or_else(|| fleet.newest_approved());
    let download = |platform: &Platform, version: &GoVersion| {
        Download::new(version, platform, fleet.release(version, platform), &arguments.mirror)
    };
    let mut machines = Vec::new();
    if let (Way::ByHand, Some(version)) = (advice.advised, &version) {
        machines = fleet.machines(&arguments, advice.nodes);
        for machine in &mut machines {
            machine.commands = by_hand(&download(&machine.platform, version));
        }
    }
    let mut scripts = Vec::new();
    if let Some(folder) = &arguments.write_script {
        let Some(version) = &version else { return Err(scripts::no_version()) };
        let platforms = fleet.platforms(&arguments.platforms);
        let downloads: Vec<_> = platforms.iter().map(|it| download(it, version)).collect();
        scripts = scripts::write(folder, version, &downloads)?;
    }
    let assumptions = FigureRow::all(&assumptions);
    let answer = Answer { advice, assumptions, version, machines, scripts };
    printer.data(&answer, show::describe)?;
    Ok(ExitCode::SUCCESS)
}
