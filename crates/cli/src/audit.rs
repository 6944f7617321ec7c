//! `gofleet audit`: who did what, and whether the log of it is whole.
//!
//! A log is verified on the machine of whoever asks, line by line: a server that was tampered with
//! would say what it was made to say.

mod export;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use gofleet_api::AuditEntry;
use gofleet_platform::{Access, atomic_write};

use crate::connection::Connection;
use crate::printer::{Printer, table};

use export::Export;
use verify::Verify;

/// See who did what, verify that nobody changed the log of it, and export it
#[derive(Debug, Args)]
pub struct Audit {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List what was done, newest first
    #[command(after_help = "Examples:
  gofleet audit list
  gofleet audit list --action release
  gofleet audit list --action rollout.commanded --actor admin --limit 20 --json
  gofleet audit list --before 412")]
    List {
        #[command(flatten)]
        connection: Connection,
        /// Only what was done by the actor of this name, or by actors of this kind: person, token,
        /// device, edge, server
        #[arg(long, value_name = "NAME", default_value = "")]
        actor: String,
        /// Only this action, or actions that begin with it, like release or release.decided
        #[arg(long, value_name = "ACTION", default_value = "")]
        action: String,
        /// Only entries before this one
        #[arg(long, value_name = "ENTRY")]
        before: Option<u64>,
        /// At most so many, up to 1000
        #[arg(long, value_name = "COUNT", default_value_t = 50)]
        limit: u32,
    },
    Verify(Verify),
    Export(Export),
    /// Print how far the log goes, signed by the server: what to keep elsewhere
    #[command(
        after_help = "Whoever keeps it can show later that the log was cut, or that an older database \
was put in place; see docs/audit.md.

Examples:
  gofleet audit head --out audit-head
  gofleet audit head --json"
    )]
    Head {
        #[command(flatten)]
        connection: Connection,
        /// Write it to this file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// Does it.
pub async fn run(audit: Audit, printer: Printer) -> anyhow::Result<ExitCode> {
    match audit.verb {
        Verb::List { connection, actor, action, before, limit } => {
            let client = connection.client()?;
            let entries = client.audit_entries(limit, before, &actor, &action).await?;
            printer.data(&entries, |entries| {
                let rows: Vec<_> = entries.iter().map(row).collect();
                table(&["ENTRY", "WHEN", "WHO", "WHAT", "SUBJECT", "DETAILS"], &rows)
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Verify(arguments) => verify::run(arguments, printer).await,
        Verb::Export(arguments) => export::run(arguments, printer).await,
        Verb::Head { connection, out } => {
            let head = connection.client()?.audit_head().await?;
            if let Some(out) = &out {
                write(out, head.note.as_bytes())?;
                printer.message(format_args!("written to {}", out.display()));
            }
            if out.is_none() || printer.is_json() {
                printer.data(&head, |head| head.note.clone())?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn row(entry: &AuditEntry) -> Vec<String> {
    // What a person wrote must not move the cursor of who reads it.
    let plain = |text: &str| text.chars().filter(|c| !c.is_control()).collect::<String>();
    let who = match &entry.origin {
        Some(origin) => format!("{} from {origin}", entry.actor.name),
        None => entry.actor.name.clone(),
    };
    vec![
        entry.sequence.to_string(),
        entry.at.to_string(),
        plain(&who),
        plain(&entry.action),
        plain(entry.subject.as_deref().unwrap_or("-")),
        plain(&entry.details.to_string()),
    ]
}

/// Writes a file so that a crash leaves the old one or the new one.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    atomic_write(path, bytes, Access::Everyone)
        .with_context(|| format!("{} can't be written", path.display()))
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))
}
