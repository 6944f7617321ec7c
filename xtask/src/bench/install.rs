//! From a local mirror to a verified tree, against unzip and Python's zipfile.
//!
//! All unpack the same Windows archive, which lies in memory, onto a fresh tmpfs each time.
//! gofleet also downloads it over HTTP and hashes the archive and every file; the others find the
//! archive beside them and hash nothing. Processes are timed from outside, start and end included.

use std::fs;

use anyhow::Result;

use super::Row;
use super::cost::{median, timed};
use super::place::Place;
use super::programs::{self, Device};

/// Rounds; the medians count. Odd, so that one of them is the median.
const ROUNDS: usize = 7;

pub fn measure() -> Result<Vec<Row>> {
    let memory = Place::new()?;
    println!("each time {}", memory.kind());
    let archive = memory.path().join("go.zip");
    fs::copy(gofleet_testkit::go::find_archive("1.27.3", "windows-amd64")?, &archive)?;
    let device = Device::new(memory.path())?;
    let wanted = device.want(&archive, "archive", &archive)?;
    let (mut ours, mut unzip, mut python) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        unzip.push(timed(&mut programs::unzip(&archive, Place::new()?.path()))?);
        python.push(timed(&mut programs::zipfile(&archive, Place::new()?.path()))?);
        ours.push(timed(&mut device.install(&wanted, Place::new()?.path()))?);
    }
    let (ours, unzip, python) = (median(ours), median(unzip), median(python));
    let what = "install Go 1.27.3: download, unpack, verify";
    Ok(vec![
        Row::new(what, ours, "ms").against("unzip", unzip).must(unzip).aim(unzip / 3.0),
        Row::new(what, ours, "ms").against("python3 -m zipfile", python).must(python),
    ])
}
