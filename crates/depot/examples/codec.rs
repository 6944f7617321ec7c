//! Makes packs and deltas of real archives and prints what they cost: a tool for those who work on
//! the formats, not for users.
//!
//! ```text
//! codec pack ARCHIVE PACK
//! codec delta BASE_ARCHIVE TARGET_ARCHIVE DELTA
//! codec apply BASE_ARCHIVE TARGET_ARCHIVE DELTA
//! ```

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

use gofleet_depot::archive::inspect;
use gofleet_depot::delta::{self, Delta};
use gofleet_depot::{LoadedFiles, pack};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["pack", archive, target] => measure_pack(Path::new(archive), Path::new(target)),
        ["delta", base, target, delta] => {
            measure_delta(Path::new(base), Path::new(target), Path::new(delta))
        }
        ["apply", base, target, delta] => {
            measure_apply(Path::new(base), Path::new(target), Path::new(delta))
        }
        _ => Err("usage: codec pack ARCHIVE PACK | codec delta|apply BASE TARGET DELTA".into()),
    }
}

fn measure_pack(archive: &Path, target: &Path) -> Result<(), Box<dyn Error>> {
    let manifest = inspect(archive)?.manifest;
    let start = Instant::now();
    let made = pack::make(archive, &manifest, target)?;
    report("make", start);
    let archive_bytes = fs::metadata(archive)?.len();
    println!("bytes {} = {:.1} %", made.bytes, 100.0 * made.bytes as f64 / archive_bytes as f64);
    for _ in 0..3 {
        let start = Instant::now();
        pack::check(target, &manifest)?;
        report("unpack and hash", start);
    }
    Ok(())
}

fn measure_delta(base: &Path, target: &Path, path: &Path) -> Result<(), Box<dyn Error>> {
    let (from, to) = (inspect(base)?.manifest, inspect(target)?.manifest);
    let base = LoadedFiles::from_archive(base, from.clone(), Some(&to))?;
    let target = LoadedFiles::from_archive(target, to, Some(&from))?;
    let start = Instant::now();
    let made = delta::make(&base, &target, path)?;
    report("make", start);
    println!("bytes {}", made.bytes);
    drop(target);
    apply(&base, path)
}

fn measure_apply(base: &Path, target: &Path, path: &Path) -> Result<(), Box<dyn Error>> {
    let (from, to) = (inspect(base)?.manifest, inspect(target)?.manifest);
    apply(&LoadedFiles::from_archive(base, from, Some(&to))?, path)
}

fn apply(base: &LoadedFiles, path: &Path) -> Result<(), Box<dyn Error>> {
    for _ in 0..5 {
        let start = Instant::now();
        Delta::open(path)?.check(base)?;
        report("apply and hash", start);
    }
    Ok(())
}

fn report(what: &str, since: Instant) {
    println!("{what}: {} ms", since.elapsed().as_millis());
}
