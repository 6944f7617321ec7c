//! Times what a device does with its store, on real archives: for people who change it.
//!
//! `measure ROOT ARCHIVE…` installs one archive after the other into a new root and prints for each
//! how long it took, what was shared, and what the root occupies; then verifies all.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use gofleet_depot::{Depot, Source, archive};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [root, archives @ ..] = arguments.as_slice() else {
        return Err("usage: measure ROOT ARCHIVE…".into());
    };
    for path in archives.iter().map(Path::new) {
        let inspected = archive::inspect(path)?;
        let release = inspected.release();
        // As on a device, where both come from elsewhere.
        let manifest = serde_json::to_vec(&inspected.manifest)?;
        let begin = Instant::now();
        let depot = Depot::open(root)?;
        let manifest = serde_json::from_slice(&manifest)?;
        let parsed = begin.elapsed();
        let report = depot.stage(&release, &manifest, Source::Archive(path), &())?;
        println!(
            "{}: {:.1} ms (manifest {:.1} ms), {} of {} files shared, {} of {} bytes written",
            release.id,
            begin.elapsed().as_secs_f64() * 1000.0,
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
