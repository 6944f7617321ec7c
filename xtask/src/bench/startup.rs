//! How long the released program takes to start, and what an idle agent occupies in memory.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Result;

use super::{Row, release_program};
use crate::run::quiet;

/// Enough starts that the median does not depend on one that was disturbed.
const STARTS: usize = 50;

pub fn measure() -> Result<Vec<Row>> {
    let program = release_program()?;
    let mut times_ms = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let mut command = Command::new(&program);
        command.args(["agent", "--help"]).stdin(Stdio::null());
        let begun = Instant::now();
        quiet(&mut command)?;
        times_ms.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    times_ms.sort_by(f64::total_cmp);
    let median = times_ms[STARTS / 2];
    Ok(vec![Row::new("start of the program, median", median, "ms").must(50.0).aim(10.0)])
}
