//! `gofleet hold`: keep devices out of rollouts, for good or for a while.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use gofleet_api::{Client, Device, Hold, HoldRequest};
use gofleet_core::ids::HoldId;
use gofleet_core::selector::Selector;
use gofleet_core::time::{Span, Timestamp};

use crate::clock::now;
use crate::connection::Connection;
use crate::printer::{Printer, table};

/// Keep devices out of rollouts, for good or for a while
#[derive(Debug, Args)]
pub struct HoldArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Keep every device that a selector picks out of rollouts
    #[command(
        after_help = "Who is held keeps its place in its ring and gets its order when the hold \
ends, if the rollout still moves then: none waits for it. What it has not switched to is taken \
back; what it has switched to, it finishes.

Examples:
  gofleet hold add 'hostname = build-07' --reason 'being repaired'
  gofleet hold add 'label.site = berlin' --reason 'fair week' --for 5d --dry-run
  gofleet hold add 'os = windows' --reason 'end of the quarter' \\
      --from 2026-12-20T00:00:00Z --until 2027-01-03T00:00:00Z"
    )]
    Add {
        #[command(flatten)]
        connection: Connection,
        /// Selector of the devices; '' means every device
        #[arg(value_name = "SELECTOR")]
        devices: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// When it begins; now, unless told
        #[arg(long, value_name = "TIME")]
        from: Option<Timestamp>,
        /// When it ends by itself
        #[arg(long, value_name = "TIME", conflicts_with = "span")]
        until: Option<Timestamp>,
        /// How long it holds, like 8h or 5d
        #[arg(long = "for", id = "span", value_name = "SPAN")]
        span: Option<Span>,
        /// Only show which devices it would hold
        #[arg(long)]
        dry_run: bool,
    },
    /// List the holds that hold now or will
    #[command(after_help = "Example:\n  gofleet hold list")]
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Lift a hold: its devices get the orders that wait for them
    #[command(after_help = "Example:\n  gofleet hold lift h3")]
    Lift {
        #[command(flatten)]
        connection: Connection,
        /// The hold
        #[arg(value_name = "HOLD")]
        hold: HoldId,
    },
}

/// Does it.
pub async fn run(arguments: HoldArguments, printer: Printer) -> anyhow::Result<ExitCode> {
    match arguments.verb {
        Verb::Add { connection, devices, dry_run: true, .. } => {
            let picked = picked(&connection.client()?, &devices).await?;
            printer.data(&picked, |picked| {
                let rows: Vec<_> = picked.iter().map(row_of_device).collect();
                table(&["DEVICE", "HOST", "GO"], &rows)
            })?;
        }
        Verb::Add { connection, devices, reason, from, until, span, dry_run: false } => {
            let client = connection.client()?;
            let until = until.or_else(|| Some(from.unwrap_or_else(now) + span?));
            let held = picked(&client, &devices).await?.len();
            let hold = client.hold(&HoldRequest { devices, reason, from, until }).await?;
            printer.message(format_args!("picks {held} devices at the moment"));
            printer.data(&hold, |hold| hold.id.to_string())?;
        }
        Verb::List { connection } => {
            let holds = connection.client()?.holds().await?;
            printer.data(&holds, |holds| {
                let rows: Vec<_> = holds.iter().map(row).collect();
                table(&["HOLD", "DEVICES", "FROM", "UNTIL", "BY", "REASON"], &rows)
            })?;
        }
        Verb::Lift { connection, hold } => {
            let hold = connection.client()?.lift_hold(&hold).await?;
            printer.data(&hold, |hold| format!("lifted: {hold}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The devices that a selector picks at the moment.
async fn picked(client: &Client, selector: &str) -> anyhow::Result<Vec<Device>> {
    let selector = Selector::parse(selector).context("the selector can't be read")?;
    let mut devices = client.devices().await?;
    devices.retain(|device| selector.matches(&device.id, &device.facts));
    Ok(devices)
}

fn row_of_device(device: &Device) -> Vec<String> {
    let active = device.facts.active.clone().unwrap_or_else(|| "-".to_owned());
    vec![device.id.to_string(), device.facts.hostname.clone(), active]
}

fn row(hold: &Hold) -> Vec<String> {
    let devices = if hold.devices.is_empty() { "all" } else { &hold.devices };
    let until = hold.until.map_or_else(|| "it is lifted".to_owned(), |until| until.to_string());
    vec![
        hold.id.to_string(),
        devices.to_owned(),
        hold.from.to_string(),
        until,
        hold.by.clone(),
        hold.reason.clone(),
    ]
}
