//! `gofleet adopt`: a Go that is on this machine already, without downloading it again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use gofleet_api::ProblemCode;
use gofleet_core::ids::ReleaseId;
use gofleet_core::manifest::Manifest;
use gofleet_core::release::Platform;
use gofleet_depot::archive::{self, Inspected};
use gofleet_depot::{Depot, DepotError, Difference, Supply, Survey};
use serde::Serialize;

use super::RootOption;
use crate::agent::shim_program;
use crate::connection::Connection;
use crate::failure::Hinted;
use crate::printer::{Printer, bytes};

/// Take a Go that is on this machine already, without downloading it
#[derive(Debug, Args)]
#[command(after_help = "\
The folder is a GOROOT: from an installer, a zip, Scoop, ~/sdk. Every file is compared with the
manifest of the release: the one that is given, that of an archive (given, or beside the folder), or
that of the server's catalog. What is the same is copied; the folder stays as it is. Files that
differ come from the archive, if there is one.

Examples:
  gofleet adopt /usr/local/go
  gofleet adopt 'C:\\Program Files\\Go' --manifest go1.27.3.json
  gofleet adopt ~/sdk/go1.27.3 --archive go1.27.3.linux-amd64.tar.gz
  gofleet adopt ~/src/go --unverified")]
pub struct Adopt {
    /// Folder of a Go (its GOROOT)
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Manifest of the release (JSON)
    #[arg(long, value_name = "FILE", conflicts_with = "archive")]
    manifest: Option<PathBuf>,
    /// Archive of the release
    #[arg(long, value_name = "PATH")]
    archive: Option<PathBuf>,
    /// Take the folder as it is if no manifest is known, and mark it so
    #[arg(long, conflicts_with_all = ["manifest", "archive"])]
    unverified: bool,
    #[command(flatten)]
    root: RootOption,
    #[command(flatten)]
    connection: Connection,
}

/// What the release should be, and who says so.
struct Known {
    manifest: Manifest,
    by: String,
    archive: Option<PathBuf>,
    is_unverified: bool,
}

/// What was done.
#[derive(Debug, Serialize)]
struct Adopted {
    release: ReleaseId,
    tree: PathBuf,
    files: u64,
    bytes: u64,
    /// Where the manifest is from.
    known_by: String,
    is_unverified: bool,
    was_there: bool,
    is_active: bool,
    /// In what the folder is not the release.
    differences: Vec<Difference>,
}

/// Does it.
pub async fn run(adopt: Adopt, printer: Printer) -> anyhow::Result<ExitCode> {
    let spinner = printer.spinner(&format!("reading {}", adopt.folder.display()));
    let survey = Survey::of(&adopt.folder);
    spinner.finish_and_clear();
    let survey = survey.with_context(|| format!("{} can't be adopted", adopt.folder.display()))?;
    let here = Platform::of_this_program();
    if survey.platform != here {
        let found = survey.platform;
        let message = format!("{} is for {found}, but this is {here}", adopt.folder.display());
        return Err(Hinted::new(message, "name a Go for this machine").into());
    }
    let known = adopt.known(&survey).await?;
    let take = move || adopt.take(&survey, &known);
    let adopted = tokio::task::spawn_blocking(take).await.context("the work was cut off")??;
    tell(&adopted, printer)
}

impl Adopt {
    async fn known(&self, survey: &Survey) -> anyhow::Result<Known> {
        let id = survey.release();
        if let Some(path) = &self.manifest {
            let bytes = fs::read(path);
            let bytes = bytes.with_context(|| format!("{} can't be read", path.display()))?;
            let manifest = serde_json::from_slice(&bytes)
                .with_context(|| format!("{} is no manifest", path.display()))?;
            let by = path.display().to_string();
            return Ok(Known { manifest, by, archive: None, is_unverified: false });
        }
        if let Some(path) = &self.archive {
            let inspected = archive::inspect(path);
            let inspected =
                inspected.with_context(|| format!("{} can't be used", path.display()))?;
            let held = inspected.release().id;
            if held != id {
                let message = format!("{} holds {held}, but the folder holds {id}", path.display());
                return Err(Hinted::new(message, "name the archive of the same release").into());
            }
            return Ok(Known::of_archive(path, inspected));
        }
        if self.unverified {
            let (manifest, by) = (survey.found.clone(), "the folder itself".to_owned());
            return Ok(Known { manifest, by, archive: None, is_unverified: true });
        }
        if let Some(known) = beside(&self.folder, survey) {
            return Ok(known);
        }
        self.in_catalog(&id).await?.ok_or_else(|| {
            let message = format!("no manifest of {id} is known, so nothing proves the files");
            let hint = "log in to a server that has it (`gofleet login URL`), or give --manifest \
                        or --archive; with --unverified it is taken as it is, and marked so";
            Hinted::new(message, hint).into()
        })
    }

    /// The server's manifest, if a server is known and has it.
    async fn in_catalog(&self, id: &ReleaseId) -> anyhow::Result<Option<Known>> {
        let is_named = self.connection.server.is_some() || self.connection.data.is_some();
        let client = match self.connection.client() {
            Ok(client) => client,
            Err(error) if is_named => return Err(error),
            Err(_) => return Ok(None),
        };
        match client.manifest(id).await {
            Ok(manifest) => {
                let by = "the server's catalog".to_owned();
                Ok(Some(Known { manifest, by, archive: None, is_unverified: false }))
            }
            Err(error) if error.code() == Some(ProblemCode::NotFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn take(&self, survey: &Survey, known: &Known) -> anyhow::Result<Adopted> {
        let id = survey.release();
        let differences = survey.differences(&known.manifest);
        let supplies: Vec<Supply> =
            known.archive.iter().filter_map(|path| Supply::of(path)).collect();
        let depot = Depot::open(self.root.path()?)?;
        let report =
            depot.adopt(&id, &known.manifest, &self.folder, &supplies, known.is_unverified);
        let report = report.map_err(|error| refuse(error, &differences, &known.by))?;
        depot.place_shims(&shim_program()?)?;
        if depot.active()?.is_none() {
            depot.activate(&id)?;
        }
        Ok(Adopted {
            tree: depot.tree(&id),
            files: report.files,
            bytes: report.bytes,
            known_by: known.by.clone(),
            is_unverified: known.is_unverified,
            was_there: report.was_there,
            is_active: depot.active()?.is_some_and(|active| active.active == id),
            release: id,
            differences,
        })
    }
}

impl Known {
    fn of_archive(path: &Path, inspected: Inspected) -> Self {
        let by = path.display().to_string();
        let manifest = inspected.manifest;
        Self { manifest, by, archive: Some(path.to_owned()), is_unverified: false }
    }
}

/// An archive of the very release that lies beside the folder, under the name that Go gives it.
fn beside(folder: &Path, survey: &Survey) -> Option<Known> {
    let folder = gofleet_platform::canonical(folder).ok()?;
    let Survey { version, platform, .. } = survey;
    let name = |ending: &str| format!("go{version}.{platform}.{ending}");
    let paths =
        ["zip", "tar.gz"].map(|ending| folder.parent().map(|beside| beside.join(name(ending))));
    paths.into_iter().flatten().find_map(|path| {
        let inspected = archive::inspect(&path).ok()?;
        (inspected.release().id == survey.release()).then(|| Known::of_archive(&path, inspected))
    })
}

/// With the files that stand in the way.
fn refuse(error: DepotError, differences: &[Difference], by: &str) -> anyhow::Error {
    if !matches!(error, DepotError::Incomplete { .. }) {
        return error.into();
    }
    const SHOWN: usize = 20;
    let in_the_way = |difference: &&Difference| !matches!(difference, Difference::Unexpected(_));
    let all: Vec<_> = differences.iter().filter(in_the_way).collect();
    let mut message = format!("the folder is not what {by} says, and was not adopted:");
    for difference in all.iter().take(SHOWN) {
        message.push_str(&format!("\n  {difference}"));
    }
    if all.len() > SHOWN {
        message.push_str(&format!("\n  and {} more", all.len() - SHOWN));
    }
    let hint = "with --archive they come from the archive; `gofleet install` needs no folder";
    Hinted::new(message, hint).into()
}

fn tell(adopted: &Adopted, printer: Printer) -> anyhow::Result<ExitCode> {
    printer.data(adopted, |adopted| {
        let Adopted { release, tree, files, was_there, known_by, .. } = adopted;
        let done = if *was_there { "was there already" } else { "is adopted" };
        let size = bytes(adopted.bytes);
        let proof = if adopted.is_unverified {
            "unverified".to_owned()
        } else {
            format!("verified by {known_by}")
        };
        let mut text =
            format!("{release} {done}: {} ({files} files, {size}, {proof})", tree.display());
        for difference in &adopted.differences {
            let fate = match difference {
                Difference::Unexpected(_) => "was left",
                _ => "came from the archive",
            };
            text.push_str(&format!("\n  {difference}: it {fate}"));
        }
        text
    })?;
    if adopted.is_unverified {
        printer.warning(format_args!("nothing proves that this is the Go that it says it is"));
    }
    Ok(ExitCode::SUCCESS)
}
