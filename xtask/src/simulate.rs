//! `cargo xtask simulate`: many stories of a fleet under faults. The simulator is a program of its
//! own, so that the core is built with guards that can be taken away for it alone, and only if
//! that is asked for.

use std::process::Command;

use anyhow::Result;

use crate::run::{cargo, program_of_tests, run, target_folder};

#[derive(clap::Args)]
pub struct Arguments {
    /// How many stories
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many devices in each
    #[arg(long, default_value_t = 200)]
    devices: u32,
    /// Tell the story of the first seed, whatever comes of it
    #[arg(long)]
    tell: bool,
    /// Take away each guard in turn, and show that the checks notice
    #[arg(long)]
    mutate: bool,
    /// End with one line of JSON
    #[arg(long)]
    json: bool,
}

pub fn main(arguments: &Arguments) -> Result<()> {
    let mut command = cargo();
    command.args(["run", "--quiet", "--release", "--package", "gofleet-simulator"]);
    if arguments.mutate {
        // Beside the others, so that what is shipped is never built with it by accident.
        command.args(["--features", "mutations", "--target-dir"]);
        command.arg(target_folder()?.join("mutations"));
    }
    command.args(["--", "--seeds", &arguments.seeds.to_string()]);
    command.args(["--from", &arguments.from.to_string()]);
    command.args(["--devices", &arguments.devices.to_string()]);
    let flags =
        [(arguments.tell, "--tell"), (arguments.mutate, "--mutate"), (arguments.json, "--json")];
    command.args(flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag));
    run(&mut command)
}

/// What the test suite runs: the simulator as the other suites have built it. It also panics at an
/// overflow, and to build an optimized one would take longer than it saves.
pub fn suite() -> Result<()> {
    let simulator = program_of_tests("gofleet-simulator")?;
    run(Command::new(simulator).args(["--seeds", "1000", "--devices", "200"]))
}
