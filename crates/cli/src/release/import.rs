//! `gofleet release import`: from a file, a folder, an address or a mirror into the catalog.

mod fetch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use gofleet_api::{Client, UploadOutcome};
use gofleet_core::dependency::{Dependencies, Requirement};
use gofleet_core::digest::Digest;
use serde_json::json;

use crate::connection::Connection;
use crate::failure::{self, Hinted};
use crate::printer::{Printer, bytes};

pub use fetch::{from_mirror as fetch_from_mirror, from_url as fetch_from_url};

/// Import official Go archives (zip, tar.gz, wheel) into the catalog
#[derive(Debug, Args)]
#[command(after_help = "\
Version and platform are read from the archive's content. A release that is imported must be
approved before it can be rolled out. The agent is the package gofleet-agent.

Examples:
  gofleet release import go1.27.3.windows-amd64.zip
  gofleet release import archives/
  gofleet release import https://go.dev/dl/go1.27.3.linux-amd64.tar.gz
  gofleet release import go1.28.0.linux-amd64.tar.gz --requires 'gofleet-agent>=0.2.0'
  gofleet release import --mirror https://go.dev/dl/ --version 1.27.3 --os windows --arch amd64")]
pub struct Import {
    #[command(flatten)]
    connection: Connection,
    /// Archives, folders of them, or their addresses
    #[arg(value_name = "PATH|URL", required_unless_present = "mirror")]
    sources: Vec<String>,
    /// Versions of another package that a device must have first; can be repeated
    #[arg(long, value_name = "PACKAGE[RANGE]")]
    requires: Vec<Requirement>,
    /// Versions of another package that a device must not have; can be repeated
    #[arg(long, value_name = "PACKAGE[RANGE]")]
    conflicts: Vec<Requirement>,
    /// SHA-256 that the archive must have
    #[arg(long, value_name = "HEX")]
    sha256: Option<Digest>,
    #[command(flatten)]
    mirror: Mirror,
}

/// Which files of a mirror.
#[derive(Debug, Args)]
#[command(next_help_heading = "From a download mirror")]
pub struct Mirror {
    /// Base address of a mirror that has Go's listing (`?mode=json`)
    #[arg(long, value_name = "URL", conflicts_with_all = ["sources", "sha256"])]
    mirror: Option<String>,
    /// Versions: 1.27.3, 1.27 (its newest release) or latest
    #[arg(long = "version", value_name = "VERSION", requires = "mirror", default_value = "latest")]
    #[arg(value_delimiter = ',')]
    versions: Vec<String>,
    /// Operating systems, by Go's names
    #[arg(long, value_name = "GOOS", requires = "mirror", default_value = "windows,linux")]
    #[arg(value_delimiter = ',')]
    os: Vec<String>,
    /// Processor architectures, by Go's names
    #[arg(long, value_name = "GOARCH", requires = "mirror", default_value = "amd64")]
    #[arg(value_delimiter = ',')]
    arch: Vec<String>,
}

/// An archive on this machine that is to be imported.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where it lies.
    pub path: PathBuf,
    /// Where it came from, for the catalog.
    pub origin: String,
    /// The digest that its origin publishes.
    pub sha256: Option<Digest>,
}

/// Imports; goes on after an archive that is refused, and fails at the end.
pub async fn run(import: Import, printer: Printer) -> anyhow::Result<ExitCode> {
    let client = import.connection.client()?;
    let (requires, conflicts) = (import.requires, import.conflicts);
    let dependencies = Dependencies { requires, conflicts };
    let mut sources = Vec::new();
    if let Some(base) = &import.mirror.mirror {
        let Mirror { versions, os, arch, .. } = &import.mirror;
        sources.extend(fetch::from_mirror(base, versions, os, arch, printer).await?);
    }
    for source in &import.sources {
        sources.extend(resolve(source, import.sha256, printer).await?);
    }
    if import.sha256.is_some() && sources.len() != 1 {
        let message = format!("--sha256 names one archive, but {} are given", sources.len());
        return Err(Hinted::usage(message, "import them one by one").into());
    }
    let (mut imported, mut failed) = (Vec::new(), Vec::new());
    for source in &sources {
        match upload(&client, source, &dependencies, printer).await {
            Ok(outcome) => imported.push(outcome),
            Err(error) => {
                failure::tell(&error, printer);
                failed.push(json!({ "source": source.path, "error": format!("{error:#}") }));
            }
        }
    }
    tell(&imported, &failed, printer)?;
    Ok(ExitCode::from(if failed.is_empty() { failure::DONE } else { failure::FAILED }))
}

fn tell(
    imported: &[UploadOutcome],
    failed: &[serde_json::Value],
    printer: Printer,
) -> anyhow::Result<()> {
    let releases = imported.iter().map(|outcome| {
        let mut release = serde_json::to_value(&outcome.release)?;
        release["is_new"] = outcome.is_new.into();
        Ok(release)
    });
    let releases = releases.collect::<serde_json::Result<Vec<_>>>()?;
    let line = |outcome: &UploadOutcome| {
        let release = &outcome.release;
        let known = if outcome.is_new { "" } else { ", was known" };
        let (id, size) = (&release.release.id, bytes(release.release.archive.size));
        format!("{id} ({}{known}): {size}, {} files", release.status, release.files)
    };
    printer.data(&json!({ "imported": releases, "failed": failed }), |_| {
        imported.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    let waiting = |outcome: &&UploadOutcome| {
        outcome.release.status == gofleet_core::release::ReleaseStatus::Imported
    };
    let ids: Vec<_> =
        imported.iter().filter(waiting).map(|o| o.release.release.id.as_str()).collect();
    if !ids.is_empty() {
        let ids = ids.join(" ");
        printer.message(format_args!("to allow rollouts: gofleet release approve {ids}"));
    }
    Ok(())
}

/// The archives that an argument means.
async fn resolve(
    source: &str,
    sha256: Option<Digest>,
    printer: Printer,
) -> anyhow::Result<Vec<Source>> {
    if source.starts_with("http://") || source.starts_with("https://") {
        return Ok(vec![fetch::from_url(source, sha256, printer).await?]);
    }
    let path = Path::new(source);
    if !path.is_dir() {
        return Ok(vec![of_file(path, sha256)]);
    }
    let archives = archives_in(path)?;
    if archives.is_empty() {
        return Err(Hinted::new(
            format!("{source} holds no archive"),
            "archives end with .zip, .tar.gz or .whl",
        )
        .into());
    }
    Ok(archives.iter().map(|path| of_file(path, sha256)).collect())
}

fn of_file(path: &Path, sha256: Option<Digest>) -> Source {
    let origin = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Source { path: path.to_owned(), origin, sha256 }
}

/// Every archive that lies directly in a folder, by name.
///
/// # Errors
///
/// If the folder can't be read.
pub fn archives_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let failed = || format!("{} can't be read", folder.display());
    let mut archives = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if [".zip", ".tar.gz", ".tgz", ".whl"].iter().any(|ending| name.ends_with(ending)) {
            archives.push(path);
        }
    }
    archives.sort();
    Ok(archives)
}

/// Uploads one archive.
///
/// # Errors
///
/// If it can't be read, or the server does not take it.
pub async fn upload(
    client: &Client,
    source: &Source,
    dependencies: &Dependencies,
    printer: Printer,
) -> anyhow::Result<UploadOutcome> {
    let size = std::fs::metadata(&source.path).ok().map(|metadata| metadata.len());
    let bar = printer.bytes_bar(&source.origin, size);
    let drawn = bar.clone();
    let progress = move |sent| drawn.set_position(sent);
    let Source { path, origin, sha256 } = source;
    let outcome = client.upload(path, origin, sha256.as_ref(), dependencies, progress).await;
    bar.finish_and_clear();
    outcome.with_context(|| format!("{} was not imported", source.origin))
}
