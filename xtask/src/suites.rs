//! `cargo xtask test`: everything that must hold, suite by suite.
//!
//! A suite needs parts that `cargo xtask setup` installs; they are installed first. If one can't be
//! had here, the suite is skipped, and the table at the end says so and why; where `CI` is set,
//! that is a failure. A failed suite does not stop the others.

mod steps;
mod table;

use std::env;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::ValueEnum;

use crate::setup::{self, Part};
use crate::simulate;
use table::{Outcome, Row};

#[derive(clap::Args)]
pub struct Arguments {
    /// Only these suites
    #[arg(long, value_enum, value_delimiter = ',')]
    suite: Vec<Suite>,
    /// End with one line of JSON
    #[arg(long)]
    json: bool,
}

/// What can be run by itself. In this order: what fails fastest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// Format, clippy, the walls between the crates
    Lint,
    /// Unit, property and snapshot tests of every crate
    Unit,
    /// What reads the bytes of strangers against harm: from archives to certificates
    Fuzz,
    /// Programs against programs: server, agents, command line
    E2e,
    /// Packages of the programs: installed, run and removed, and their bill of materials
    Packages,
    /// The console in a headless Chromium
    Browser,
    /// Clippy, unit tests and a whole upgrade for Windows, under Wine
    Windows,
    /// 1,000 stories of 200 devices under faults
    Simulation,
    /// Documentation without warnings, its examples, and the references in docs/
    Docs,
    /// Only what docs/threats.md promises; all of it is in the other suites too
    Trust,
}

impl Suite {
    /// What must be there to run it.
    const fn needs(self) -> &'static [Part] {
        match self {
            Self::Lint | Self::Fuzz | Self::Simulation | Self::Docs => &[],
            Self::Unit | Self::E2e => &[Part::Archives],
            Self::Packages => &[Part::Packaging],
            Self::Trust => &[Part::Archives, Part::Chromium, Part::PythonTuf, Part::Witnesses],
            Self::Browser => &[Part::Archives, Part::Chromium],
            Self::Windows => &[Part::Archives, Part::Windows, Part::Wine, Part::Packaging],
        }
    }

    fn run(self) -> Result<()> {
        match self {
            Self::Lint => steps::lint(),
            Self::Unit => steps::unit(),
            Self::Fuzz => steps::fuzz(),
            Self::E2e => steps::end_to_end(),
            Self::Packages => steps::packages(),
            Self::Browser => steps::browser(),
            Self::Windows => steps::windows(),
            Self::Simulation => simulate::suite(),
            Self::Docs => steps::docs(),
            Self::Trust => steps::trust(),
        }
    }

    /// Whether it runs if none is chosen: what is in others too need not run twice.
    const fn is_default(self) -> bool {
        !matches!(self, Self::Trust)
    }

    fn name(self) -> String {
        self.to_possible_value().expect("no suite is hidden").get_name().to_owned()
    }
}

pub fn main(arguments: &Arguments) -> Result<()> {
    let chosen = &arguments.suite;
    let is_chosen =
        |suite: &&Suite| chosen.contains(suite) || chosen.is_empty() && suite.is_default();
    let rows: Vec<Row> =
        Suite::value_variants().iter().filter(is_chosen).map(|suite| attempt(*suite)).collect();
    table::print(&rows);
    if arguments.json {
        println!("{}", table::json(&rows)?);
    }
    let is_ci = env::var_os("CI").is_some();
    let bad = rows.iter().filter(|row| row.outcome.is_bad(is_ci)).count();
    ensure!(bad == 0, "{bad} of {} suites did not pass", rows.len());
    Ok(())
}

fn attempt(suite: Suite) -> Row {
    let name = suite.name();
    eprintln!("\n=== {name}");
    let begun = Instant::now();
    let outcome = match prepare(suite) {
        Err(reason) => Outcome::Skipped(format!("{reason:#}")),
        Ok(()) => match suite.run() {
            Ok(()) => Outcome::Passed,
            Err(error) => Outcome::Failed(format!("{error:#}")),
        },
    };
    if let Outcome::Skipped(reason) | Outcome::Failed(reason) = &outcome {
        eprintln!("=== {name}: {reason}");
    }
    Row { name, outcome, seconds: begun.elapsed().as_secs_f64() }
}

fn prepare(suite: Suite) -> Result<()> {
    for part in suite.needs() {
        let said = setup::install(*part)?;
        eprintln!("{}: {said}", part.name());
    }
    Ok(())
}
