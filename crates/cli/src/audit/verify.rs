//! `gofleet audit verify`: the first fault of a log, or none.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use gofleet_api::AuditEntry;
use gofleet_core::audit::{AuditKey, Fault, Head, Verified, Verifier};
use serde::Serialize;

use crate::connection::Connection;
use crate::failure::{Hinted, NEGATIVE};
use crate::printer::{Printer, paint, style};

/// Find what was changed in the log: edits, deletions, another order, a cut tail, an older database
#[derive(Debug, Args)]
#[command(after_help = "\
Every entry is fetched and verified here. What the server signs itself shows only what was changed
behind its back; a head that was kept elsewhere (`gofleet audit head`) shows the rest.

Exit code 3: a fault was found. See docs/audit.md for what can be found, and what can't.

Examples:
  gofleet audit verify
  gofleet audit verify --head audit-head \\
      --key gofleet/audit/1bdc8f658d53c28e+bf15242d+AXhfOR5v0cPp75gwsTJ1RkffjPbdiJkjW4aAJfiH2r3i
  gofleet audit verify --file export.jsonl --head audit-head")]
pub struct Verify {
    #[command(flatten)]
    connection: Connection,
    /// Verify this export instead of asking the server
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Signed head that was kept elsewhere: the log must have come through it
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
    /// Key that must have signed the heads; whichever the log names if absent
    #[arg(long, value_name = "KEY")]
    key: Option<AuditKey>,
}

/// What came of it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Outcome {
    Whole {
        is_whole: bool,
        #[serde(flatten)]
        verified: Verified,
        key: Option<String>,
        is_key_pinned: bool,
    },
    Faulty {
        is_whole: bool,
        #[serde(flatten)]
        fault: AnyFault,
        message: String,
    },
}

/// A fault of the chain, or of a head beside it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum AnyFault {
    Chain(Fault),
    Signature { fault: &'static str, head: String },
}

/// Does it.
pub async fn run(verify: Verify, printer: Printer) -> anyhow::Result<ExitCode> {
    let outcome = match &verify.file {
        Some(file) => of_file(&verify, file)?,
        None => of_server(&verify).await?,
    };
    printer.data(&outcome, describe)?;
    if let Outcome::Whole { key: Some(key), is_key_pinned: false, .. } = &outcome {
        printer.message(format_args!("to be sure of who signed, pin the key: --key {key}"));
    }
    Ok(match outcome {
        Outcome::Whole { .. } => ExitCode::SUCCESS,
        Outcome::Faulty { .. } => ExitCode::from(NEGATIVE),
    })
}

/// The log of a server, against its own head and the one that was kept.
async fn of_server(verify: &Verify) -> anyhow::Result<Outcome> {
    let client = verify.connection.client()?;
    // The head first: the log may only grow until it is read.
    let current = client.audit_head().await?;
    let named: AuditKey = current.key.parse().context("the server names no key")?;
    let key = verify.key.unwrap_or(named);
    let signed = match key.open(&current.note) {
        Ok(head) => head,
        Err(error) => return Ok(not_signed("the server's head", &error)),
    };
    let mut verifier = Verifier::default().with_current(signed);
    match kept(verify, Some(key))? {
        Ok(Some(head)) => verifier = verifier.with_kept(head),
        Ok(None) => {}
        Err(outcome) => return Ok(outcome),
    }
    let mut lines = client.audit_lines(0).await?;
    while let Some(line) = lines.next().await? {
        if let Err(fault) = verifier.take(&line) {
            return Ok(faulty(fault));
        }
    }
    Ok(outcome(verifier.finish(), verify, Some(key)))
}

/// An export, against the head that was kept.
fn of_file(verify: &Verify, file: &Path) -> anyhow::Result<Outcome> {
    let key = match (verify.key, &verify.head) {
        (None, Some(_)) => named_key(file)?,
        (pinned, _) => pinned,
    };
    let mut verifier = Verifier::default();
    match kept(verify, key)? {
        Ok(Some(head)) => verifier = verifier.with_kept(head),
        Ok(None) => {}
        Err(outcome) => return Ok(outcome),
    }
    for line in lines(file)? {
        let line = line.with_context(|| format!("{} can't be read", file.display()))?;
        if let Err(fault) = verifier.take(&line) {
            return Ok(faulty(fault));
        }
    }
    Ok(outcome(verifier.finish(), verify, key))
}

fn lines(file: &Path) -> anyhow::Result<impl Iterator<Item = std::io::Result<Vec<u8>>>> {
    let opened = File::open(file).with_context(|| format!("{} can't be read", file.display()))?;
    Ok(BufReader::new(opened).split(b'\n'))
}

/// The last key that the log itself names.
fn named_key(file: &Path) -> anyhow::Result<Option<AuditKey>> {
    let mut key = None;
    for line in lines(file)? {
        let line = line.with_context(|| format!("{} can't be read", file.display()))?;
        let Ok(entry) = serde_json::from_slice::<AuditEntry>(&line) else { continue };
        if entry.action == "audit.key_made" {
            key = entry.details["key"].as_str().and_then(|text| text.parse().ok()).or(key);
        }
    }
    Ok(key)
}

/// The head that was kept, or what is wrong with it.
fn kept(verify: &Verify, key: Option<AuditKey>) -> anyhow::Result<Result<Option<Head>, Outcome>> {
    let Some(path) = &verify.head else { return Ok(Ok(None)) };
    let note = super::read(path)?;
    let Some(key) = key else {
        return Err(Hinted::usage(
            "no key is known by which the head can be verified",
            "name it with --key; the server prints it with `gofleet audit head --json`",
        )
        .into());
    };
    Ok(match key.open(&note) {
        Ok(head) => Ok(Some(head)),
        Err(error) => Err(not_signed(&path.display().to_string(), &error)),
    })
}

fn not_signed(head: &str, error: &gofleet_core::audit::HeadError) -> Outcome {
    Outcome::Faulty {
        is_whole: false,
        message: format!("{head}: {error}"),
        fault: AnyFault::Signature { fault: "signature", head: head.to_owned() },
    }
}

fn faulty(fault: Fault) -> Outcome {
    Outcome::Faulty { is_whole: false, message: fault.to_string(), fault: AnyFault::Chain(fault) }
}

fn outcome(result: Result<Verified, Fault>, verify: &Verify, key: Option<AuditKey>) -> Outcome {
    match result {
        Ok(verified) => Outcome::Whole {
            is_whole: true,
            verified,
            key: key.map(|key| key.to_string()),
            is_key_pinned: verify.key.is_some(),
        },
        Err(fault) => faulty(fault),
    }
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Whole { verified, .. } => {
            let count = verified.link.count;
            let whole = paint(style::GOOD, "whole");
            let vouched = match verified.vouched_count {
                Some(vouched) => format!("the kept head vouches for the first {vouched}"),
                None => "no head was given that was kept elsewhere (--head)".to_owned(),
            };
            format!("{whole}: {count} entries, none changed; {vouched}")
        }
        Outcome::Faulty { message, .. } => {
            format!("{}: {message}", paint(style::ERROR, "not whole"))
        }
    }
}
