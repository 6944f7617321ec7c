//! Times what a device does with its store, on real archives: for people who change it.
//!
//! `measure ROOT ARCHIVE…` installs one archive after the other into a new root, from the file
//! `pack:PATH` or `delta:PATH` that may stand before its name, and prints for each how long it took, and what was shared; then verifies all.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use gofleet_depot::{Depot, Source, archive};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [root, archives @ ..] = arguments.as_slice() else {
        return Err("usage: measure ROOT ARCHIVE…".into());
    };
    let mut other = None;
    for argument in archives {
        if let Some((kind @ ("pack" | "delta"), path)) = argument.split_once(':') {
            other = Some((kind, Path::new(path)));
            continue;
        }
        let path = Path::new(argument);
        let source = match other.take() {
            Some(("pack", path)) => Source::Pack(path),
            Some((_, path)) => Source::Delta(path),
            None => Source::Archive(path),
        };
        let inspected = archive::inspect(path)?;
        let release = inspected.release();
        // As on a device, where both come from elsewhere.
        let manifest = serde_json::to_vec(&inspected.manifest)?;
        let (begin, before) = (Instant::now(), processor_ms());
        let depot = Depot::open(root)?;
        let manifest = serde_json::from_slice(&manifest)?;
        let parsed = begin.elapsed();
        let report = depot.stage(&release, &manifest, source, &())?;
        println!(
            "{}: {:.1} ms, {} ms of processors (manifest {:.1} ms), {} of {} files shared, {} of {} bytes written",
            release.id,
            begin.elapsed().as_secs_f64() * 1000.0,
            processor_ms() - before,
            parsed.as_secs_f64() * 1000.0,
            report.shared_files,
            report.files,
            report.bytes - report.shared_bytes,
            report.bytes,
        );
    }
    let depot = Depot::open(root)?;
    for id in depot.installed()? {
        let begin = Instant::now();
        depot.verify(&id, &())?;
        println!("{id}: verified in {:.1} ms", begin.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(())
}

/// What this process has used of all processors, in ticks of 10 ms (Linux; else 0).
fn processor_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
}
