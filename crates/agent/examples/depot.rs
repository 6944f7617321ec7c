//! What `cargo xtask bench depot` and `bench install` run of gofleet: the server's part (manifest,
//! pack, delta) and the device's part (from an address to a verified tree that bears its
//! release's name), each in a process of its own, so that its time and its memory are its own.
//!
//! Each verb prints one object of JSON.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gofleet_api::download::{Download, Patience, Size, download, plain_client};
use gofleet_core::digest::Digest;
use gofleet_core::ids::ReleaseId;
use gofleet_core::manifest::Manifest;
use gofleet_core::release::ReleaseRef;
use gofleet_depot::delta::Delta;
use gofleet_depot::{Depot, LoadedFiles, Source, archive, delta, pack};
use serde::{Deserialize, Serialize};
use serde_json::json;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const USAGE: &str = "usage:
  depot pack ARCHIVE PACK
  depot delta BASE_ARCHIVE ARCHIVE DELTA
  depot want ARCHIVE archive|pack|delta FILE URL   prints what `install` reads
  depot install WANTED ROOT
  depot activate RELEASE ROOT
  depot verify ROOT";

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let said = match arguments[..] {
        ["pack", archive, pack] => make_pack(Path::new(archive), Path::new(pack))?,
        ["delta", base, archive, delta] => {
            make_delta(Path::new(base), Path::new(archive), Path::new(delta))?
        }
        ["want", archive, way, file, url] => {
            let wanted = Wanted::new(Path::new(archive), way.parse()?, Path::new(file), url)?;
            serde_json::to_value(wanted)?
        }
        ["install", wanted, root] => {
            let wanted: Wanted = serde_json::from_slice(&fs::read(wanted)?)?;
            install(&wanted, Path::new(root))?
        }
        ["activate", release, root] => {
            let release: ReleaseId = release.parse()?;
            Depot::open(root)?.activate(&release)?;
            json!({})
        }
        ["verify", root] => verify(Path::new(root))?,
        _ => return Err(USAGE.into()),
    };
    println!("{said}");
    Ok(())
}

/// How a release comes to a device.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Way {
    Archive,
    Pack,
    Delta,
}

impl std::str::FromStr for Way {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "archive" => Ok(Self::Archive),
            "pack" => Ok(Self::Pack),
            "delta" => Ok(Self::Delta),
            other => Err(format!("`{other}` is no way to a release")),
        }
    }
}

/// What a server would have told the device beforehand.
#[derive(Serialize, Deserialize)]
struct Wanted {
    release: ReleaseRef,
    /// Packs and deltas bring theirs along.
    manifest: Option<Manifest>,
    way: Way,
    url: String,
    sha256: Digest,
    size: u64,
}

impl Wanted {
    fn new(archive: &Path, way: Way, file: &Path, url: &str) -> Outcome<Self> {
        let inspected = archive::inspect(archive)?;
        let content = fs::read(file)?;
        Ok(Self {
            release: inspected.release(),
            manifest: matches!(way, Way::Archive).then_some(inspected.manifest),
            way,
            url: url.to_owned(),
            sha256: Digest::of(&content),
            size: content.len() as u64,
        })
    }

    fn fetch(&self, target: &Path) -> Outcome {
        let wanted = Download {
            request: plain_client()?.get(&self.url),
            target,
            sha256: self.sha256,
            size: Size::Exactly(self.size),
            patience: Patience::default(),
            meter: None,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(download(&wanted, &|_| ()))?;
        Ok(())
    }
}

fn make_pack(archive: &Path, target: &Path) -> Outcome<serde_json::Value> {
    let manifest = archive::inspect(archive)?.manifest;
    let begin = Instant::now();
    let made = pack::make(archive, &manifest, target)?;
    Ok(json!({ "bytes": made.bytes, "ms": milliseconds(begin.elapsed()), "peak_bytes": peak() }))
}

fn make_delta(base: &Path, archive: &Path, target: &Path) -> Outcome<serde_json::Value> {
    let (from, to) = (archive::inspect(base)?.manifest, archive::inspect(archive)?.manifest);
    let begin = Instant::now();
    let base = LoadedFiles::from_archive(base, from.clone(), None)?;
    let wanted = LoadedFiles::from_archive(archive, to, Some(&from))?;
    let made = delta::make(&base, &wanted, target)?;
    Ok(json!({ "bytes": made.bytes, "ms": milliseconds(begin.elapsed()), "peak_bytes": peak() }))
}

fn install(wanted: &Wanted, root: &Path) -> Outcome<serde_json::Value> {
    let begin = Instant::now();
    let depot = Depot::open(root)?;
    let file = depot.downloads().join(wanted.sha256.to_string());
    wanted.fetch(&file)?;
    let downloaded = begin.elapsed();
    let manifest = match (wanted.way, &wanted.manifest) {
        (Way::Archive, Some(manifest)) => manifest.clone(),
        (Way::Archive, None) => return Err("an archive brings no manifest along".into()),
        (Way::Pack, _) => pack::manifest(&file)?,
        (Way::Delta, _) => rebuilt(&depot, &file)?,
    };
    let source = match wanted.way {
        Way::Archive => Source::Archive(&file),
        Way::Pack => Source::Pack(&file),
        Way::Delta => Source::Delta(&file),
    };
    let report = depot.stage(&wanted.release, &manifest, source, &())?;
    let ended = begin.elapsed();
    fs::remove_file(&file)?;
    Ok(json!({
        "ms": milliseconds(ended), "download_ms": milliseconds(downloaded),
        "files": report.files, "bytes": report.bytes,
        "shared_files": report.shared_files, "shared_bytes": report.shared_bytes,
        "peak_bytes": peak(),
    }))
}

/// The manifest that a delta leads to, from the installed one that it begins at.
fn rebuilt(depot: &Depot, file: &Path) -> Outcome<Manifest> {
    let delta = Delta::open(file)?;
    for id in depot.installed()? {
        let base = depot.manifest(&id)?;
        if base.digest() == delta.base() {
            return Ok(delta.manifest(&base)?);
        }
    }
    Err("the release that the delta begins at is not installed".into())
}

fn verify(root: &Path) -> Outcome<serde_json::Value> {
    let depot = Depot::open(root)?;
    let (begin, mut bytes) = (Instant::now(), 0);
    for id in depot.installed()? {
        bytes += depot.verify(&id, &())?.bytes;
    }
    Ok(json!({ "ms": milliseconds(begin.elapsed()), "bytes": bytes }))
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The most memory that this process had at once, in bytes; 0 where the system does not tell.
fn peak() -> u64 {
    let status = fs::read_to_string(PathBuf::from("/proc/self/status")).unwrap_or_default();
    let kibibytes = status.lines().find_map(|line| {
        line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    });
    kibibytes.unwrap_or(0) * 1024
}
