//! What `cargo xtask bench install` measures of gofleet: from an address to a verified tree that
//! bears its release's name. The manifest is made before the clock starts, as a server makes it
//! once at import.
//!
//! `install manifest ARCHIVE > FILE`, then `install run FILE URL ROOT`, which prints milliseconds.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use gofleet_api::download::{Download, Patience, Size, download, plain_client};
use gofleet_core::manifest::Manifest;
use gofleet_core::release::ReleaseRef;
use gofleet_depot::{Depot, Source, archive};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["manifest", archive] => manifest(Path::new(archive)),
        ["run", known, url, root] => run(Path::new(known), url, Path::new(root)),
        _ => Err("usage: install manifest ARCHIVE | install run FILE URL ROOT".into()),
    }
}

fn manifest(path: &Path) -> Outcome {
    let inspected = archive::inspect(path)?;
    let known = (inspected.release(), inspected.manifest);
    serde_json::to_writer(std::io::stdout().lock(), &known)?;
    Ok(())
}

fn run(known: &Path, url: &str, root: &Path) -> Outcome {
    let begin = Instant::now();
    let known = std::fs::read(known)?;
    let (release, manifest): (ReleaseRef, Manifest) = serde_json::from_slice(&known)?;
    let depot = Depot::open(root)?;
    let target = depot.downloads().join(release.archive.sha256.to_string());
    let wanted = Download {
        request: plain_client()?.get(url),
        target: &target,
        sha256: release.archive.sha256,
        size: Size::Exactly(release.archive.size),
        patience: Patience::default(),
        meter: None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(download(&wanted, &|_| ()))?;
    let downloaded = begin.elapsed();
    let report = depot.stage(&release, &manifest, Source::Archive(&target), &())?;
    let ended = begin.elapsed();
    let milliseconds = |duration: std::time::Duration| duration.as_secs_f64() * 1000.0;
    println!(
        "{{\"ms\": {:.1}, \"download_ms\": {:.1}, \"files\": {}, \"bytes\": {}}}",
        milliseconds(ended),
        milliseconds(downloaded),
        report.files,
        report.bytes
    );
    Ok(())
}
