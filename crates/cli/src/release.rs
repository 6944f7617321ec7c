//! `gofleet release`: the catalog of what may be rolled out.

mod import;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use gofleet_api::DecisionRequest;
use gofleet_core::artifact::{Artifact, ArtifactState};
use gofleet_core::ids::ReleaseId;
use gofleet_core::release::Release;
use serde::Serialize;

use crate::connection::Connection;
use crate::printer::{Printer, bytes, paint, style, table};

use import::Import;
pub use import::{Source, fetch_from_mirror, fetch_from_url, upload};

/// Import, approve and block the releases that may be rolled out
#[derive(Debug, Args)]
pub struct ReleaseArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Import(Import),
    /// List the catalog
    #[command(after_help = "Examples:\n  gofleet release list\n  gofleet release list --json")]
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Show one release: digests, origin, who approved it
    #[command(after_help = "Example:\n  gofleet release show go-1.27.3-windows-amd64")]
    Show {
        #[command(flatten)]
        connection: Connection,
        /// Release id, like go-1.27.3-windows-amd64
        #[arg(value_name = "RELEASE")]
        release: ReleaseId,
    },
    /// Allow releases to be rolled out
    #[command(after_help = "Examples:
  gofleet release approve go-1.27.3-windows-amd64 go-1.27.3-linux-amd64
  gofleet release approve go-1.27.3-windows-amd64 --reason 'change 4711'")]
    Approve(Decision),
    /// Forbid releases to be rolled out any more
    #[command(after_help = "Examples:
  gofleet release block go-1.27.2-windows-amd64 --reason 'CVE in net/http'
  gofleet release block go-1.27.2-windows-amd64 --dry-run")]
    Block(Decision),
}

#[derive(Debug, Args)]
struct Decision {
    #[command(flatten)]
    connection: Connection,
    /// Release ids, like go-1.27.3-windows-amd64
    #[arg(value_name = "RELEASE", required = true)]
    releases: Vec<ReleaseId>,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
}

/// Does it.
pub async fn run(arguments: ReleaseArguments, printer: Printer) -> anyhow::Result<ExitCode> {
    match arguments.verb {
        Verb::Import(import) => return import::run(import, printer).await,
        Verb::List { connection } => {
            let releases = connection.client()?.releases().await?;
            printer.data(&releases, |releases| {
                let rows: Vec<_> = releases.iter().map(row).collect();
                table(&["RELEASE", "STATUS", "ARCHIVE", "FILES", "IMPORTED", "ORIGIN"], &rows)
            })?;
        }
        Verb::Show { connection, release } => {
            let client = connection.client()?;
            let artifacts = client.artifacts(&release).await?;
            let shown = Shown { release: client.release(&release).await?, artifacts };
            let releases = client.releases().await?;
            printer.data(&shown, |shown| {
                let mut lines = vec![describe(&shown.release)];
                lines.extend(shown.artifacts.iter().map(|it| describe_artifact(it, &releases)));
                lines.join("\n")
            })?;
        }
        Verb::Approve(decision) => decide(decision, Verdict::Approve, printer).await?,
        Verb::Block(decision) => decide(decision, Verdict::Block, printer).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A release with what was made of it.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    release: Release,
    artifacts: Vec<Artifact>,
}

/// What is decided about a release.
#[derive(Debug, Clone, Copy)]
enum Verdict {
    Approve,
    Block,
}

async fn decide(decision: Decision, verdict: Verdict, printer: Printer) -> anyhow::Result<()> {
    let client = decision.connection.client()?;
    let request = DecisionRequest { reason: decision.reason };
    let mut decided = Vec::new();
    for release in &decision.releases {
        decided.push(match (decision.dry_run, verdict) {
            (true, _) => client.release(release).await?,
            (false, Verdict::Approve) => client.approve(release, &request).await?,
            (false, Verdict::Block) => client.block(release, &request).await?,
        });
    }
    let wanted = match verdict {
        Verdict::Approve => "approved",
        Verdict::Block => "blocked",
    };
    printer.data(&decided, |decided| {
        let line = |release: &Release| match decision.dry_run {
            true => format!("{} is {}, would be {wanted}", release.release.id, release.status),
            false => format!("{} is {}", release.release.id, release.status),
        };
        decided.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    Ok(())
}

fn row(release: &Release) -> Vec<String> {
    vec![
        release.release.id.to_string(),
        release.status.to_string(),
        bytes(release.release.archive.size),
        release.files.to_string(),
        release.imported_at.to_string(),
        release.origin.clone(),
    ]
}

fn describe_artifact(artifact: &Artifact, releases: &[Release]) -> String {
    let from = artifact.base.map(|base| {
        let base_of = releases.iter().find(|it| it.release.manifest == base);
        base_of.map_or_else(|| base.to_string(), |it| it.release.version.clone())
    });
    let name = match from {
        Some(from) => format!("from {from}"),
        None => String::new(),
    };
    let state = match &artifact.state {
        ArtifactState::Ready { sha256, bytes: size } => {
            format!("{}, sha256 {sha256}", bytes(*size))
        }
        ArtifactState::Useless { bytes: size } => {
            format!("{}, dropped: saves too little", bytes(*size))
        }
        ArtifactState::Failed { reason } => format!("could not be made: {reason}"),
    };
    let kind = artifact.kind;
    format!("  {}  {state}, made in {}", format!("{kind} {name}").trim(), artifact.took)
}

fn describe(release: &Release) -> String {
    let Release { release: reference, dependencies, status, .. } = release;
    let Release { files, tree_bytes, origin, imported_at, decision, .. } = release;
    let mut lines = vec![
        format!("{} ({status})", paint(style::STRONG, &reference.id)),
        format!(
            "  archive   {}, sha256 {}",
            bytes(reference.archive.size),
            reference.archive.sha256
        ),
        format!("  tree      {files} files, {}", bytes(*tree_bytes)),
        format!("  manifest  sha256 {}", reference.manifest),
        format!("  origin    {origin}, imported {imported_at}"),
    ];
    lines.extend(dependencies.requires.iter().map(|it| format!("  requires  {it}")));
    lines.extend(dependencies.conflicts.iter().map(|it| format!("  conflicts {it}")));
    if let Some(decision) = decision {
        let reason = if decision.reason.is_empty() { "-" } else { &decision.reason };
        lines.push(format!("  decision  {status} by {} at {}: {reason}", decision.by, decision.at));
    }
    lines.join("\n")
}
