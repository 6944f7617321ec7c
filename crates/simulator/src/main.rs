//! `cargo xtask simulate`: plays many seeds, tells the first failing story, and shows that no
//! guard can be taken away unseen.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use gofleet_simulator::explore::explore;
use gofleet_simulator::shrink::shrink;
use gofleet_simulator::{Scenario, World, story};
use serde::Serialize;

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
    /// Take away each guard in turn, and show that the checks notice
    #[cfg(feature = "mutations")]
    #[arg(long)]
    mutate: bool,
    /// Measure the engine instead, a line of JSON for each figure
    #[arg(long)]
    figures: bool,
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
    if arguments.figures {
        for figure in gofleet_simulator::figures::measure() {
            println!("{}", serde_json::json!(figure));
        }
        return ExitCode::SUCCESS;
    }
    let report = play(&arguments);
    #[cfg(feature = "mutations")]
    let report = if arguments.mutate {
        mutations::take_away_each(report, arguments.devices)
    } else {
        report
    };
    if arguments.json {
        println!("{}", serde_json::json!(report));
    }
    if report.violations == 0 && report.noticed == report.mutations {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What is printed at the end.
#[derive(Serialize)]
struct Report {
    seeds: u64,
    devices: u32,
    events: u64,
    violations: usize,
    mutations: usize,
    noticed: usize,
    device_hours_per_second: f64,
}

/// Plays the stories; the first that fails is shortened and told.
fn play(arguments: &Arguments) -> Report {
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
        "{} seeds of {} devices: {} events, {} violations in {seconds:.1} s",
        explored.seeds,
        arguments.devices,
        explored.events,
        explored.violations.len(),
    );
    Report {
        seeds: explored.seeds,
        devices: arguments.devices,
        events: explored.events,
        violations: explored.violations.len(),
        mutations: 0,
        noticed: 0,
        device_hours_per_second: (device_hours / seconds).round(),
    }
}

/// Showing that no guard can be taken away unseen.
#[cfg(feature = "mutations")]
mod mutations {
    use gofleet_core::guard::{Guard, without};
    use gofleet_simulator::explore::explore_with;
    use gofleet_simulator::{Scenario, World};

    use super::Report;

    /// A guard that so many stories do not miss is one that nothing checks.
    const MOST_SEEDS: u64 = 3000;

    /// Takes away each guard in turn, until a story breaks.
    pub fn take_away_each(mut report: Report, devices: u32) -> Report {
        // Small fleets show the same in less time.
        let devices = devices.min(40);
        for guard in Guard::ALL {
            let explored =
                explore_with(0..MOST_SEEDS, devices, true, &|play| without(*guard, play));
            report.mutations += 1;
            let name = format!("{guard:?}");
            // What the story breaks with the guard as well is the engine's fault.
            let own = |seed: u64| World::play(&Scenario::of(seed, devices), false).violation;
            match explored.violations.first() {
                Some((seed, _)) if own(*seed).is_some() => {
                    report.violations += 1;
                    println!("{name:<20} seed {seed:>4} breaks something WITHOUT the mutation too");
                }
                Some((seed, violation)) => {
                    report.noticed += 1;
                    println!("{name:<20} seed {seed:>4} breaks {}", violation.invariant);
                }
                None => println!("{name:<20} NOT NOTICED in {MOST_SEEDS} seeds: {}", guard.words()),
            }
        }
        println!("{} of {} guards can't be taken away unseen", report.noticed, report.mutations);
        report
    }
}
