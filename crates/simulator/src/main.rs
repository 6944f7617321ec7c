//! `cargo xtask simulate`: plays many seeds, tells the first failing story, and shows that no
//! guard can be taken away unseen.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use gofleet_simulator::explore::explore;
use gofleet_simulator::shrink::shrink;
use gofleet_simulator::{Scenario, World, story};

/// Play many stories of a fleet under faults, and check what must always hold.
#[derive(Parser)]
struct Arguments {
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
    /// End with one line of JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.tell {
        let scenario = Scenario::of(arguments.from, arguments.devices);
        println!("{}", story::in_words(&scenario, &World::play(&scenario, true)));
        return ExitCode::SUCCESS;
    }
    let begun = Instant::now();
    let seeds = arguments.from..arguments.from + arguments.seeds;
    let explored = explore(seeds, arguments.devices, false);
    let seconds = begun.elapsed().as_secs_f64();
    for (seed, violation) in &explored.violations {
        println!("seed {seed}: {violation}");
    }
    if let Some((seed, violation)) = explored.violations.first() {
        let scenario = Scenario::of(*seed, arguments.devices);
        let (shortest, tries) = shrink(&scenario, violation.invariant);
        println!("\nthe story of seed {seed}, shortened in {tries} tries:");
        println!("{}", story::in_words(&shortest, &World::play(&shortest, true)));
    }
    let device_hours = explored.lasted_ms as f64 / 3_600_000.0 * f64::from(arguments.devices);
    println!(
        "{} seeds of {} devices: {} events, {} violations in {seconds:.1} s ({:.0} device hours a second)",
        explored.seeds,
        arguments.devices,
        explored.events,
        explored.violations.len(),
        device_hours / seconds,
    );
    if explored.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
