//! How long the released program takes to start, and what an idle agent occupies in memory: one
//! that has just enrolled, and one that has unpacked, verified and tried a whole Go.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gofleet_testkit::fleet::Fleet;
use gofleet_testkit::wait_until;

use super::Row;
use crate::dist;
use crate::run::quiet;

/// Enough starts that the median does not depend on one that was disturbed.
const STARTS: usize = 50;
/// Longest time that an agent may take until it has settled.
const DEADLINE: Duration = Duration::from_secs(120);
const MEGABYTE: f64 = 1e6;

pub fn measure() -> Result<Vec<Row>> {
    let program = dist::program()?;
    let start = || {
        let mut command = Command::new(&program);
        command.args(["agent", "run", "--help"]).stdin(Stdio::null());
        let begun = Instant::now();
        quiet(&mut command).map(|()| begun.elapsed().as_secs_f64() * 1000.0)
    };
    let mut times_ms = (0..STARTS).map(|_| start()).collect::<Result<Vec<_>>>()?;
    times_ms.sort_by(f64::total_cmp);
    let median = times_ms[STARTS / 2];

    let mut fleet = Fleet::start_with(&program, &["--reconcile-every", "200ms"]);
    fleet.start_agent("idle");
    fleet.wait_devices(1);
    let fresh = resident_megabytes(&fleet)?;
    fleet.import_go("1.27.3");
    let begin = ["rollout", "start", "1.27.3", "--yes", "--soak", "0s", "--rings", "all:rest"];
    fleet.ok(begin.into_iter().chain(["--name", "one"]));
    wait_until("the rollout to complete", DEADLINE, || {
        (fleet.json(["rollout", "status", "one"])["state"] == "completed").then_some(())
    });
    let used = resident_megabytes(&fleet)?;
    Ok(vec![
        Row::new("start of the program, median", median, "ms").must(50.0).aim(10.0),
        Row::new("idle agent, resident, after enrolment", fresh, "MB").must(20.0).aim(15.0),
        Row::new("idle agent, resident, after an upgrade", used, "MB").must(20.0).aim(15.0),
    ])
}

/// What the agent's process occupies, its program's own pages included.
fn resident_megabytes(fleet: &Fleet) -> Result<f64> {
    let process = fleet.agent("idle").process_id().context("the agent runs")?;
    let status = fs::read_to_string(format!("/proc/{process}/status"))
        .context("memory is measured on Linux only")?;
    let kibibytes = status.lines().find_map(|line| {
        line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse().ok()
    });
    let kibibytes: f64 = kibibytes.context("the kernel tells no resident size")?;
    Ok(kibibytes * 1024.0 / MEGABYTE)
}
