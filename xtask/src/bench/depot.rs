//! What it costs to bring Go onto a device: bytes, time, memory and disk, on real archives.
//!
//! Everything lies in memory, each installation on a fresh tmpfs. gofleet downloads over HTTP and
//! hashes every file; unzip finds the archive beside it and hashes nothing; mise downloads and
//! hashes the archive.

mod growth;
mod shim;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use gofleet_testkit::go;

use super::Row;
use super::cost::{median, timed};
use super::place::Place;
use super::programs::{Device, Made, Mise, official_archive, tagged_repository, unzip};
use crate::run::read;

/// Rounds; the medians count.
const ROUNDS: usize = 5;
const KILO: f64 = 1e3;
const MEGA: f64 = 1e6;
const WINDOWS: &str = "windows-amd64";
const LINUX: &str = "linux-amd64";

/// Base, target, and what its delta must reach and should reach, in bytes.
const DELTAS: [(&str, &str, f64, f64); 3] = [
    ("1.27.2", "1.27.3", 400.0 * KILO, 150.0 * KILO),
    ("1.26.5", "1.26.6", 1.9 * MEGA, 0.8 * MEGA),
    ("1.26.6", "1.27.3", 21.0 * MEGA, 12.0 * MEGA),
];

pub fn measure() -> Result<Vec<Row>> {
    let bench = Bench::new()?;
    let mut rows = bench.sizes()?;
    rows.extend(bench.times()?);
    rows.extend(bench.against_mise()?);
    rows.extend(shim::rows(&bench)?);
    rows.extend(growth::rows(&bench)?);
    Ok(rows)
}

/// The archives in memory, and the program that is measured.
struct Bench {
    memory: Place,
    device: Device,
}

impl Bench {
    fn new() -> Result<Self> {
        let memory = Place::new()?;
        println!("each time {}", memory.kind());
        let device = Device::new(memory.path())?;
        Ok(Self { memory, device })
    }

    /// The archive in memory.
    fn archive(&self, version: &str, platform: &str) -> Result<PathBuf> {
        let path = self.memory.path().join(format!("go{version}.{platform}"));
        if !path.exists() {
            fs::copy(go::find_archive(version, platform)?, &path)?;
        }
        Ok(path)
    }

    /// The pack of a release, made at the first call.
    fn pack(&self, version: &str, platform: &str) -> Result<(PathBuf, Option<Made>)> {
        let path = self.memory.path().join(format!("go{version}.{platform}.pack"));
        if path.exists() {
            return Ok((path, None));
        }
        let made = self.device.pack(&self.archive(version, platform)?, &path)?;
        Ok((path, Some(made)))
    }

    /// The delta between two releases for Windows, made at the first call.
    fn delta(&self, base: &str, version: &str) -> Result<(PathBuf, Option<Made>)> {
        let path = self.memory.path().join(format!("{base}-{version}.delta"));
        if path.exists() {
            return Ok((path, None));
        }
        let (base, archive) = (self.archive(base, WINDOWS)?, self.archive(version, WINDOWS)?);
        let made = self.device.delta(&base, &archive, &path)?;
        Ok((path, Some(made)))
    }

    fn sizes(&self) -> Result<Vec<Row>> {
        let (mut rows, mut slowest_ms, mut peak_bytes) = (Vec::new(), 0_f64, 0_f64);
        for (base, version, must, aim) in DELTAS {
            let zip = bytes(&self.archive(version, WINDOWS)?)?;
            let made = self.delta(base, version)?.1.context("it is made here")?;
            let what = format!("{base} → {version}: delta");
            rows.push(Row::new(what, made.bytes, "bytes").against("zip", zip).must(must).aim(aim));
            (slowest_ms, peak_bytes) = (slowest_ms.max(made.ms), peak_bytes.max(made.peak_bytes));
        }
        let zip = bytes(&self.archive("1.27.3", WINDOWS)?)?;
        let made = self.pack("1.27.3", WINDOWS)?.1.context("it is made here")?;
        let pack = Row::new("1.27.3: pack", made.bytes, "bytes").against("zip", zip);
        rows.push(pack.must(0.6 * zip).aim(0.5 * zip));
        rows.push(Row::new("making a pack", made.ms / KILO, "s"));
        rows.push(
            Row::new("making the slowest delta", slowest_ms / KILO, "s").must(60.0).aim(10.0),
        );
        let peak = Row::new("making a delta: most memory", peak_bytes / MEGA, "MB");
        rows.push(peak.must(1000.0));
        Ok(rows)
    }

    fn times(&self) -> Result<Vec<Row>> {
        let archive = self.archive("1.27.3", WINDOWS)?;
        let base = self.archive("1.27.2", WINDOWS)?;
        let by_pack = self.device.want(&archive, "pack", &self.pack("1.27.3", WINDOWS)?.0)?;
        let by_delta = self.device.want(&archive, "delta", &self.delta("1.27.2", "1.27.3")?.0)?;
        let before = self.device.want(&base, "archive", &base)?;
        let (mut unzips, mut packs, mut deltas) = (Vec::new(), Vec::new(), Vec::new());
        let (mut applied_bytes, mut disk) = (0_f64, 0.0);
        for _ in 0..ROUNDS {
            unzips.push(timed(&mut unzip(&archive, Place::new()?.path()))?);
            packs.push(timed(&mut self.device.install(&by_pack, Place::new()?.path()))?);
            let place = Place::new()?;
            self.device.installed(&before, place.path())?;
            deltas.push(timed(&mut self.device.install(&by_delta, place.path()))?);
            // Once more, on a root of its own, for what it tells of itself.
            let place = Place::new()?;
            self.device.installed(&before, place.path())?;
            let one = disk_bytes(place.path())?;
            let told = self.device.installed(&by_delta, place.path())?;
            ensure!(told.shared_bytes > 0.0, "nothing was shared with the release before");
            applied_bytes = applied_bytes.max(told.peak_bytes);
            disk = (disk_bytes(place.path())? - one) / one;
        }
        let (unzip, pack, delta) = (median(unzips), median(packs), median(deltas));
        Ok(vec![
            Row::new("cold install by pack", pack, "ms")
                .against("unzip", unzip)
                .must(unzip / 2.0)
                .aim(unzip / 4.0),
            Row::new("upgrade by delta, every file verified", delta, "ms")
                .against("unzip", unzip)
                .must(unzip / 5.0)
                .aim(unzip / 10.0),
            Row::new("applying a delta: most memory", applied_bytes / MEGA, "MB")
                .must(150.0)
                .aim(60.0),
            Row::new("disk for one more patch version", 100.0 * disk, "% of a tree").must(45.0),
        ])
    }

    /// On Linux, since mise is to be had for it: from the same mirror, the archive and its digest
    /// for mise, a pack for gofleet.
    fn against_mise(&self) -> Result<Vec<Row>> {
        let mise = Mise::find()?;
        official_archive("1.27.3", LINUX, self.memory.path())?;
        let mirror = super::mirror::serve(self.memory.path())?;
        let releases = self.memory.path().join("releases");
        tagged_repository(&releases, "1.27.3")?;
        let by_pack = self.pack("1.27.3", LINUX)?.0;
        let by_pack = self.device.want(&self.archive("1.27.3", LINUX)?, "pack", &by_pack)?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let place = Place::new()?;
            theirs.push(timed(&mut mise.install("1.27.3", &mirror, &releases, place.path()))?);
            ensure!(place.path().join("mise/installs/go/1.27.3/bin/go").is_file(), "mise did not");
            ours.push(timed(&mut self.device.install(&by_pack, Place::new()?.path()))?);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        let row = Row::new("cold install by pack, Linux", ours, "ms").against("mise", theirs);
        Ok(vec![row.must(theirs).aim(theirs / 2.0)])
    }
}

fn bytes(path: &Path) -> Result<f64> {
    Ok(fs::metadata(path)?.len() as f64)
}

/// What a folder takes on the disk: each file once, however many names it has.
fn disk_bytes(folder: &Path) -> Result<f64> {
    let said = read(Command::new("du").args(["--summarize", "--block-size=1"]).arg(folder))?;
    let figure = said.split_whitespace().next().context("du prints a figure")?;
    Ok(figure.parse::<u64>()? as f64)
}
