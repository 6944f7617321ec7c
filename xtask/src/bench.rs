//! `cargo xtask bench NAME`: measures, and compares with a peer and with the budget.
//!
//! Every bench gives [`Row`]s; how they are printed and judged stands here. With `--json` the last
//! line is one object: `{"bench": …, "rows": [{"what", "ours", "peer", "peer_name", "ratio",
//! "unit", "must", "aim", "ok"}]}`.

mod cost;
mod depot;
mod engine;
mod fleet;
mod install;
mod mirror;
mod peers_of_trust;
mod place;
pub mod programs;
mod startup;
mod trust;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use serde::Serialize;

use crate::setup::{self, Part};

#[derive(clap::Args)]
pub struct Arguments {
    /// What to measure
    #[arg(value_enum)]
    name: Name,
    /// End with one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// How fast the engine plans and decides, and how far a bad release gets
    Engine,
    /// From a local mirror to a verified tree, against unzip and Python's zipfile
    Install,
    /// Packs, deltas, installing and upgrading by them, shims
    Depot,
    /// Ten roots by gofleet's server and agents, by curl and tar, by Ansible, by Salt
    Fleet,
    /// How long the program takes to start, and what an idle agent occupies
    Startup,
    /// Enrolments, telling who asks, sealed orders, trust brought up to date, the audit log
    Trust,
}

/// One figure: ours, a peer's, and the budget. For all of them, less is better, but for those
/// [per second](Row::per_second).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    what: String,
    ours: f64,
    peer: Option<f64>,
    peer_name: Option<String>,
    ratio: Option<f64>,
    unit: &'static str,
    must: Option<f64>,
    aim: Option<f64>,
    ok: bool,
}

impl Row {
    /// A figure of ours, in `unit` (`ms`, `bytes`, …).
    pub fn new(what: impl Into<String>, ours: f64, unit: &'static str) -> Self {
        Self {
            what: what.into(),
            ours,
            peer: None,
            peer_name: None,
            ratio: None,
            unit,
            must: None,
            aim: None,
            ok: true,
        }
    }

    /// How often something is done in a second. It has neither peer nor bound: what it takes has.
    pub fn per_second(what: impl Into<String>, ours: f64) -> Self {
        Self::new(what, ours, "per second")
    }

    /// What a peer needs for the same, in the same unit.
    #[must_use]
    pub fn against(mut self, name: impl Into<String>, peer: f64) -> Self {
        self.peer_name = Some(name.into());
        self.ratio = Some(self.ours / peer);
        self.peer = Some(peer);
        self
    }

    /// The bound that must hold: ours is not above it.
    #[must_use]
    pub fn must(mut self, bound: f64) -> Self {
        self.must = Some(bound);
        self.ok = self.ours <= bound;
        self
    }

    /// What we would like to reach; not reaching it fails nothing.
    #[must_use]
    pub fn aim(mut self, bound: f64) -> Self {
        self.aim = Some(bound);
        self
    }
}

#[derive(Serialize)]
struct Report<'a> {
    bench: String,
    rows: &'a [Row],
}

pub fn main(arguments: &Arguments) -> Result<()> {
    let rows = match arguments.name {
        Name::Install => {
            setup::install(Part::Peers)?;
            install::measure()?
        }
        Name::Depot => {
            setup::install(Part::Peers)?;
            depot::measure()?
        }
        Name::Fleet => fleet::measure()?,
        Name::Engine => engine::measure()?,
        Name::Startup => startup::measure()?,
        Name::Trust => trust::measure()?,
    };
    for row in &rows {
        println!("{}", line(row));
    }
    if arguments.json {
        let name = arguments.name.to_possible_value().expect("no bench is hidden");
        let report = Report { bench: name.get_name().to_owned(), rows: &rows };
        println!("{}", serde_json::to_string(&report)?);
    }
    let missed = rows.iter().filter(|row| !row.ok).count();
    ensure!(missed == 0, "{missed} of {} figures miss their bound", rows.len());
    Ok(())
}

fn line(row: &Row) -> String {
    let figure = |value: f64| format!("{} {}", rounded(value), row.unit);
    let mut line = format!("{:<44} {:>16}", row.what, figure(row.ours));
    if let (Some(name), Some(peer), Some(ratio)) = (&row.peer_name, row.peer, row.ratio) {
        line += &format!("   {name} {} ({ratio:.3} of it)", figure(peer));
    }
    if let Some(must) = row.must {
        let verdict = if row.ok { "ok" } else { "MISSED" };
        line += &format!("   must be at most {}: {verdict}", figure(must));
    }
    line
}

/// Three digits after the point for small figures, none for large ones.
fn rounded(value: f64) -> String {
    if value.abs() < 1000.0 { format!("{value:.3}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_judged_by_its_bound_alone() {
        let row = Row::new("time", 50.0, "ms").against("peer", 100.0).aim(10.0);
        assert!(row.ok);
        assert_eq!(row.ratio, Some(0.5));
        assert!(row.clone().must(50.0).ok);
        assert!(!row.must(49.9).ok);
    }

    #[test]
    fn the_line_of_json_has_every_field() {
        let rows = [Row::new("bytes", 304_737.0, "bytes").against("zip", 75_531_459.0)];
        let report = Report { bench: "depot".to_owned(), rows: &rows };
        let json: serde_json::Value = serde_json::to_value(&report).unwrap();
        for field in ["what", "ours", "peer", "peer_name", "ratio", "unit", "must", "aim", "ok"] {
            assert!(json["rows"][0].get(field).is_some(), "{field}");
        }
    }
}
