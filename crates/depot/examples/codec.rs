//! Makes packs and deltas of real archives and prints what they cost: a tool for those who work on
//! the formats, not for users.
//!
//! ```text
//! codec pack ARCHIVE PACK
//! codec unpack PACK
//! codec delta BASE_ARCHIVE TARGET_ARCHIVE DELTA
//! codec apply BASE_ARCHIVE BASE_TREE DELTA
//! ```

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

use gofleet_depot::archive::inspect;
use gofleet_depot::delta::{self, Delta};
use gofleet_depot::{Files, LoadedFiles, TreeFiles, pack};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["unpack", pack] => check_pack(Path::new(pack)),
        ["pack", archive, target] => measure_pack(Path::new(archive), Path::new(target)),
        ["delta", base, target, delta] => {
            measure_delta(Path::new(base), Path::new(target), Path::new(delta))
        }
        ["apply", base, tree, delta] => {
            measure_apply(Path::new(base), Path::new(tree), Path::new(delta))
        }
        _ => Err(
            "usage: codec pack ARCHIVE PACK | codec unpack PACK | codec delta BASE TARGET DELTA | \
                   codec apply BASE TREE DELTA"
                .into(),
        ),
    }
}

fn measure_pack(archive: &Path, target: &Path) -> Result<(), Box<dyn Error>> {
    let manifest = inspect(archive)?.manifest;
    let start = Instant::now();
    let made = pack::make(archive, &manifest, target)?;
    report("make", start);
    let archive_bytes = fs::metadata(archive)?.len();
    println!("bytes {} = {:.1} %", made.bytes, 100.0 * made.bytes as f64 / archive_bytes as f64);
    check_pack(target)
}

fn check_pack(pack: &Path) -> Result<(), Box<dyn Error>> {
    let manifest = pack::manifest(pack)?;
    for _ in 0..5 {
        let start = Instant::now();
        pack::check(pack, &manifest)?;
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

fn measure_apply(archive: &Path, tree: &Path, path: &Path) -> Result<(), Box<dyn Error>> {
    let base = TreeFiles::new(tree, inspect(archive)?.manifest);
    // Linux forgets the most memory that was taken so far.
    let _ = fs::write("/proc/self/clear_refs", "5");
    Delta::open(path)?.check(&base)?;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().filter(|line| line.starts_with("VmHWM")).for_each(|line| println!("{line}"));
    apply(&base, path)
}

fn apply(base: &dyn Files, path: &Path) -> Result<(), Box<dyn Error>> {
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
