//! `gofleet install`: a version of Go from an archive, an address or a download mirror into the
//! root, every file verified.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use gofleet_core::digest::Digest;
use gofleet_core::ids::ReleaseId;
use gofleet_core::release::Platform;
use gofleet_core::resolve::Pin;
use gofleet_depot::archive::{self, Inspected};
use gofleet_depot::{Depot, Progress, Root, StageReport};
use gofleet_shim::Machine;
use indicatif::ProgressBar;
use serde::Serialize;

use super::{RootOption, is_same, release_id, search_path};
use crate::agent::shim_program;
use crate::failure::Hinted;
use crate::printer::{Printer, bytes};
use crate::release::{Source, fetch_from_mirror, fetch_from_url};

/// Install a version of Go on this machine
#[derive(Debug, Args)]
#[command(after_help = "\
The archive is checked against the digest that its origin publishes, and every file against the
archive. The first version that is installed becomes the machine's choice. Installing what is
installed verifies it and changes nothing.

Examples:
  gofleet install 1.27.3
  gofleet install 1.27                  the newest release of 1.27
  gofleet install latest
  gofleet install --from go1.27.3.linux-amd64.tar.gz
  gofleet install 1.27.3 --mirror https://mirror.example.org/go/")]
pub struct Install {
    /// Version: 1.27.3, 1.27 (its newest release) or latest
    #[arg(value_name = "VERSION", required_unless_present = "from", value_parser = parse_wanted)]
    version: Option<Wanted>,
    /// Archive (zip, tar.gz, wheel) on this machine, or its address
    #[arg(long, value_name = "PATH|URL")]
    from: Option<String>,
    /// SHA-256 that the archive must have
    #[arg(long, value_name = "HEX", requires = "from")]
    sha256: Option<Digest>,
    /// Base address of a download mirror
    #[arg(long, value_name = "URL", env = "GOFLEET_MIRROR")]
    #[arg(default_value = gofleet_feeds::listing::OFFICIAL)]
    mirror: String,
    #[command(flatten)]
    root: RootOption,
}

/// The version that is asked for.
#[derive(Debug, Clone)]
enum Wanted {
    Latest,
    Pin(Pin),
}

fn parse_wanted(text: &str) -> Result<Wanted, String> {
    if text == "latest" { Ok(Wanted::Latest) } else { super::parse_pin(text).map(Wanted::Pin) }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Latest => formatter.write_str("latest"),
            Self::Pin(pin) => pin.fmt(formatter),
        }
    }
}

/// What was done.
#[derive(Debug, Serialize)]
struct Installed {
    version: String,
    release: ReleaseId,
    tree: PathBuf,
    files: u64,
    bytes: u64,
    /// Whether it was there before, intact.
    was_there: bool,
    /// Whether it is the machine's choice.
    is_active: bool,
    /// The folder that belongs on `PATH`, and whether it is there.
    bin: PathBuf,
    is_on_path: bool,
}

/// Does it.
pub async fn run(install: Install, printer: Printer) -> anyhow::Result<ExitCode> {
    let root = install.root.path()?;
    if let Some(installed) = intact(&install, &root, printer)? {
        return tell(&installed, printer);
    }
    let source = install.source(printer).await?;
    let stage = move || stage(&source, install.version.as_ref(), &root, printer);
    let installed = tokio::task::spawn_blocking(stage).await.context("the work was cut off")??;
    tell(&installed, printer)
}

/// The release if exactly it is installed and nothing has damaged it; no lock and no network are
/// needed to tell.
fn intact(install: &Install, root: &Path, printer: Printer) -> anyhow::Result<Option<Installed>> {
    let (Some(Wanted::Pin(pin @ Pin::Exact { .. })), None) = (&install.version, &install.from)
    else {
        return Ok(None);
    };
    let machine = Machine::read(root.to_owned())?;
    let Some(version) = pin.choose(machine.installed()) else { return Ok(None) };
    let (root, id) = (Root::new(root), release_id(version));
    let has_all = root.active()?.is_some() && root.bin().is_dir();
    if !has_all || !root.is_installed(&id) {
        return Ok(None);
    }
    let bar = printer.spinner(&format!("verifying Go {version}"));
    let verified = root.verify(&id, &());
    bar.finish_and_clear();
    match verified {
        Ok(verified) => {
            let (files, bytes) = (verified.files, verified.bytes);
            let report = StageReport { files, bytes, was_there: true, ..StageReport::default() };
            Installed::of(&root, &id, version, &report).map(Some)
        }
        Err(error) => {
            printer.warning(format_args!("{error}; it is installed again"));
            Ok(None)
        }
    }
}

impl Install {
    /// The archive, on this machine.
    async fn source(&self, printer: Printer) -> anyhow::Result<Source> {
        let Some(from) = &self.from else { return self.fetch_newest(printer).await };
        if from.starts_with("http://") || from.starts_with("https://") {
            return fetch_from_url(from, self.sha256, printer).await;
        }
        Ok(Source { path: PathBuf::from(from), origin: from.clone(), sha256: self.sha256 })
    }

    async fn fetch_newest(&self, printer: Printer) -> anyhow::Result<Source> {
        let platform = Platform::of_this_program();
        let version = self.version.as_ref().map(ToString::to_string).unwrap_or_default();
        let (os, arch) = ([platform.os().to_owned()], [platform.arch().to_owned()]);
        let mut sources = fetch_from_mirror(&self.mirror, &[version], &os, &arch, printer).await?;
        sources.pop().context("the mirror lists no archive for this machine")
    }
}

/// Reads the archive, unpacks it, and makes it the machine's choice if there is none.
fn stage(
    source: &Source,
    wanted: Option<&Wanted>,
    root: &Path,
    printer: Printer,
) -> anyhow::Result<Installed> {
    let spinner = printer.spinner(&format!("reading {}", source.origin));
    let inspected = archive::inspect(&source.path);
    spinner.finish_and_clear();
    let inspected = inspected.with_context(|| format!("{} can't be installed", source.origin))?;
    check(&inspected, source, wanted)?;
    let depot = Depot::open(root)?;
    let release = inspected.release();
    let bar = printer.bytes_bar(release.id.as_str(), Some(inspected.manifest.tree_bytes()));
    let archive = gofleet_depot::Source::Archive(&source.path);
    let report = depot.stage(&release, &inspected.manifest, archive, &Bar(bar.clone()));
    bar.finish_and_clear();
    let report = report?;
    depot.place_shims(&shim_program()?)?;
    if depot.active()?.is_none() {
        depot.activate(&release.id)?;
    }
    Installed::of(&depot, &release.id, &release.version, &report)
}

/// Whether the archive is what was asked for.
fn check(inspected: &Inspected, source: &Source, wanted: Option<&Wanted>) -> anyhow::Result<()> {
    let (origin, version) = (&source.origin, &inspected.version);
    let found = &inspected.archive.sha256;
    if let Some(expected) = source.sha256.filter(|expected| expected != found) {
        let message = format!("{origin} has the SHA-256 {found}, but {expected} is expected");
        return Err(Hinted::new(message, "fetch it again; nothing was installed").into());
    }
    let here = Platform::of_this_program();
    if inspected.platform != here {
        let message = format!("{origin} is for {}, but this machine is {here}", inspected.platform);
        return Err(Hinted::new(message, "name the archive for this machine").into());
    }
    let is_wanted = match wanted {
        None | Some(Wanted::Latest) => true,
        Some(Wanted::Pin(pin)) => pin.choose(std::slice::from_ref(version)).is_some(),
    };
    if is_wanted {
        return Ok(());
    }
    let wanted = wanted.map(ToString::to_string).unwrap_or_default();
    let message = format!("{origin} holds Go {version}, but {wanted} is wanted");
    Err(Hinted::new(message, format!("leave {wanted} out to install what is in it")).into())
}

struct Bar(ProgressBar);

impl Progress for Bar {
    fn file_done(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

impl Installed {
    fn of(root: &Root, id: &ReleaseId, version: &str, done: &StageReport) -> anyhow::Result<Self> {
        let bin = root.bin();
        let is_on_path = search_path().iter().any(|folder| is_same(folder, &bin));
        Ok(Self {
            version: version.to_owned(),
            release: id.clone(),
            tree: root.tree(id),
            files: done.files,
            bytes: done.bytes,
            was_there: done.was_there,
            is_active: root.active()?.is_some_and(|active| active.active == *id),
            bin,
            is_on_path,
        })
    }
}

fn tell(installed: &Installed, printer: Printer) -> anyhow::Result<ExitCode> {
    printer.data(installed, |installed| {
        let Installed { version, tree, files, was_there, .. } = installed;
        let done = if *was_there { "was installed already" } else { "is installed" };
        let size = bytes(installed.bytes);
        format!("Go {version} {done}: {} ({files} files verified, {size})", tree.display())
    })?;
    if !installed.is_on_path {
        let bin = installed.bin.display();
        printer.message(format_args!("to run it as `go`, put {bin} first on PATH"));
    }
    if !installed.is_active {
        printer.message(format_args!("to choose it: gofleet use {}", installed.version));
    }
    Ok(ExitCode::SUCCESS)
}
