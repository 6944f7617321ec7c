//! The same job for ten roots on one machine, done by gofleet's server and agents and by what
//! people use instead: get a Go onto each, then its next patch, then find that nothing is to do.
//!
//! Each begins with everything running that it has running all the time (our server and agents,
//! Salt's master and minions), takes the archive from a server on this machine, compares its
//! digest, unpacks it into a folder of its own, switches, and runs `go version`. gofleet also
//! compiles and runs a program in each root; that is part of its time.

mod ansible;
mod floor;
mod ours;
mod salt;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Row;
use super::cost::{self, Cost, median};
use super::place::Place;
use super::{mirror, programs};
use crate::run::read;

const DEVICES: usize = 10;
/// Rounds; the medians count.
const ROUNDS: usize = 3;
const PLATFORM: &str = "linux-amd64";
const BASE: &str = "1.27.2";
const NEXT: &str = "1.27.3";

pub fn measure() -> Result<Vec<Row>> {
    let memory = Place::new()?;
    println!("each time {}", memory.kind());
    let (base, next) = (Go::new(&memory, BASE)?, Go::new(&memory, NEXT)?);
    let mirror = mirror::serve(memory.path())?;
    let setting = Setting { memory: memory.path().to_owned(), mirror, base, next };
    let mut all = Vec::new();
    for (name, start) in CONTENDERS {
        let rounds: Result<Vec<Costs>> = (0..ROUNDS).map(|_| round(start, &setting)).collect();
        let costs = Costs::medians(&rounds.with_context(|| format!("{name} failed"))?);
        println!("{name:<28} {costs}");
        all.push((name, costs));
    }
    let (_, ours) = all.remove(0);
    Ok(rows(&ours, &all))
}

/// What all get: a folder in memory, which the mirror serves, and two archives in it.
struct Setting {
    memory: PathBuf,
    mirror: String,
    base: Go,
    next: Go,
}

/// One archive on the mirror, under its official name.
struct Go {
    version: &'static str,
    path: PathBuf,
    sha256: String,
}

impl Go {
    fn new(memory: &Place, version: &'static str) -> Result<Self> {
        let path = programs::official_archive(version, PLATFORM, memory.path())?;
        let sha256 = fs::read_to_string(path.with_added_extension("sha256"))?;
        Ok(Self { version, path, sha256 })
    }

    fn url(&self, mirror: &str) -> String {
        format!("{mirror}/go{}.{PLATFORM}.tar.gz", self.version)
    }
}

/// One way of doing it, with everything running that it needs, in a folder of its own.
trait Contender {
    /// Brings that version to every root and switches to it.
    fn bring(&mut self, go: &Go) -> Result<()>;

    /// The Go that a root runs.
    fn program(&self, root: usize) -> PathBuf;
}

type Start = fn(&Path, &Setting) -> Result<Box<dyn Contender>>;

/// Ours first.
const CONTENDERS: [(&str, Start); 4] = [
    ("gofleet", ours::start),
    ("curl, sha256sum, tar", floor::start),
    ("Ansible", ansible::start),
    ("Salt", salt::start),
];

/// What the three parts of the job took.
#[derive(Debug, Clone, Copy)]
struct Costs {
    cold: Cost,
    upgrade: Cost,
    again: Cost,
}

fn round(start: Start, setting: &Setting) -> Result<Costs> {
    let place = Place::new()?;
    let mut contender = start(place.path(), setting)?;
    let mut bring = |go: &Go| -> Result<Cost> {
        let cost = cost::of(|| contender.bring(go))?;
        for root in 0..DEVICES {
            let mut version = Command::new(contender.program(root));
            let said = read(version.arg("version").env("GOTOOLCHAIN", "local"))?;
            ensure!(said.contains(go.version), "root {root} has {said}");
        }
        Ok(cost)
    };
    Ok(Costs {
        cold: bring(&setting.base)?,
        upgrade: bring(&setting.next)?,
        again: bring(&setting.next)?,
    })
}

impl Costs {
    fn medians(rounds: &[Self]) -> Self {
        let of = |part: fn(&Self) -> Cost| {
            let figure = |figure: fn(&Cost) -> f64| {
                median(rounds.iter().map(|round| figure(&part(round))).collect())
            };
            Cost {
                wall_ms: figure(|cost| cost.wall_ms),
                processor_ms: figure(|cost| cost.processor_ms),
                peak_bytes: figure(|cost| cost.peak_bytes as f64) as u64,
            }
        };
        Self { cold: of(|it| it.cold), upgrade: of(|it| it.upgrade), again: of(|it| it.again) }
    }
}

impl std::fmt::Display for Costs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, cost) in [("cold", self.cold), ("patch", self.upgrade), ("again", self.again)] {
            write!(
                f,
                "  {name}: {:.1} s, {:.1} s of processors, {:.0} MB",
                cost.wall_ms / 1e3,
                cost.processor_ms / 1e3,
                cost.peak_bytes as f64 / 1e6
            )?;
        }
        Ok(())
    }
}

fn rows(ours: &Costs, others: &[(&str, Costs)]) -> Vec<Row> {
    type Figure = fn(&Costs) -> f64;
    let figures: [(&str, Figure, &str); 6] = [
        ("ten roots, cold", |it| it.cold.wall_ms, "ms"),
        ("ten roots, cold: processors", |it| it.cold.processor_ms, "ms"),
        ("ten roots, cold: memory", |it| it.cold.peak_bytes as f64 / 1e6, "MB"),
        ("ten roots, patch", |it| it.upgrade.wall_ms, "ms"),
        ("ten roots, patch: processors", |it| it.upgrade.processor_ms, "ms"),
        ("ten roots, nothing to do", |it| it.again.wall_ms, "ms"),
    ];
    let mut rows = Vec::new();
    for (place, (name, theirs)) in others.iter().enumerate() {
        for (what, figure, unit) in figures {
            let peer = figure(theirs);
            let row = Row::new(what, figure(ours), unit).against(*name, peer);
            let is_floor = place == 0;
            rows.push(match what {
                "ten roots, cold" | "ten roots, cold: processors" if is_floor => {
                    row.must(peer).aim(peer / 2.0)
                }
                "ten roots, patch" if is_floor => row.must(peer / 8.0),
                "ten roots, nothing to do" => row.must(200.0),
                _ => row,
            });
        }
    }
    rows
}
