//! Commands for those who work on gofleet: set a machine up, test, measure, check the walls
//! between the crates, and write the reference. Nothing here is part of the product.

mod bench;
mod dist;
mod docs;
mod run;
mod setup;
mod simulate;
mod suites;
mod threats;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Developer commands of gofleet.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install what the tests need, and say what is left out and why
    Setup(setup::Arguments),
    /// Run the tests, suite by suite
    Test(suites::Arguments),
    /// Measure, and compare with the budgets
    Bench(bench::Arguments),
    /// Play many stories of a fleet under faults, and check what must always hold
    Simulate(simulate::Arguments),
    /// Check the walls between the crates and the shape of the files
    Tidy,
    /// Build the programs as they are shipped, with what they are made of, into target/dist
    Dist(dist::Arguments),
    /// Write the references in docs/ from the program itself
    Docs(docs::Arguments),
}

fn main() -> ExitCode {
    match obey(Arguments::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn obey(verb: Verb) -> Result<()> {
    match verb {
        Verb::Setup(arguments) => setup::main(&arguments),
        Verb::Test(arguments) => suites::main(&arguments),
        Verb::Bench(arguments) => bench::main(&arguments),
        Verb::Simulate(arguments) => simulate::main(&arguments),
        Verb::Tidy => tidy::main(),
        Verb::Dist(arguments) => dist::main(&arguments),
        Verb::Docs(arguments) => docs::main(&arguments),
    }
}
