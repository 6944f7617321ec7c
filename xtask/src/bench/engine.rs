//! `cargo xtask bench engine`: how fast the engine plans and decides, and how much of a fleet a bad
//! release reaches before it is stopped. The simulator measures; here it is built and judged.

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::Row;
use crate::run::{cargo, read};

/// A figure, as the simulator prints it.
#[derive(Deserialize)]
struct Figure {
    what: String,
    ours: f64,
    unit: String,
    peer: Option<(String, f64)>,
    must: Option<f64>,
}

pub fn measure() -> Result<Vec<Row>> {
    let lines = read(cargo().args([
        "run",
        "--quiet",
        "--release",
        "--package",
        "gofleet-simulator",
        "--",
        "--figures",
    ]))?;
    lines.lines().map(row).collect()
}

fn row(line: &str) -> Result<Row> {
    let figure: Figure = serde_json::from_str(line).with_context(|| format!("read `{line}`"))?;
    let unit = match figure.unit.as_str() {
        "%" => "%",
        "x" => "x",
        "s" => "s",
        "ms" => "ms",
        other => bail!("a figure is in `{other}`, which is no unit of the benchmarks"),
    };
    let mut row = Row::new(figure.what, figure.ours, unit);
    if let Some((name, peer)) = figure.peer {
        row = row.against(name, peer);
    }
    Ok(match figure.must {
        Some(bound) => row.must(bound),
        None => row,
    })
}
