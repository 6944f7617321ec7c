//! `gofleet device`: the fleet's machines, as they tell of themselves.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use gofleet_api::{
    Client, ConditionView, Device, DeviceDetail, DeviceHealth, DeviceHistory, KeptOut, Quarantine,
    QuarantineRequest, QuarantineView,
};
use gofleet_core::ids::CollectionName;
use gofleet_core::order::{Evidence, Receipt};

use crate::connection::Connection;
use crate::failure::Hinted;
use crate::printer::{Printer, bytes, paint, style, table};

/// Look at the machines of the fleet, and keep single ones out of rollouts
#[derive(Debug, Args)]
pub struct DeviceArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List every device with its version of Go
    #[command(after_help = "Examples:\n  gofleet device list\n  gofleet device list --json")]
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Show one device: facts, every Go found on it, how it does, its orders and receipts
    #[command(
        after_help = "Examples:\n  gofleet device show berlin-07\n  gofleet device show d-4f1c"
    )]
    Show {
        #[command(flatten)]
        connection: Connection,
        /// Device id or host name
        #[arg(value_name = "DEVICE")]
        device: String,
    },
    /// Put a device into quarantine: it is ordered nothing new until it is let in
    #[command(
        after_help = "The engine does the same with devices that are at fault themselves: retries \
don't help, or they fail alike with releases that most others run well. So do the rules for \
anomalies (`gofleet anomaly rules`), and only what they did ends by itself.

Example:
  gofleet device quarantine berlin-07 --reason 'its disk fails'"
    )]
    Quarantine {
        #[command(flatten)]
        connection: Connection,
        /// Device id or host name
        #[arg(value_name = "DEVICE")]
        device: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Revoke a device's key, for good: its next request is refused
    #[command(
        after_help = "For a machine that was lost, stolen or thrown away. No rollout waits for it. \
It can come back as a new device only, with a new key and a new token.

Example:
  gofleet device revoke berlin-07 --reason 'stolen on a train'"
    )]
    Revoke {
        #[command(flatten)]
        connection: Connection,
        /// Device id or host name
        #[arg(value_name = "DEVICE")]
        device: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Let a device out of quarantine: it gets the orders that wait for it
    #[command(after_help = "Example:\n  gofleet device let-in berlin-07")]
    LetIn {
        #[command(flatten)]
        connection: Connection,
        /// Device id or host name
        #[arg(value_name = "DEVICE")]
        device: String,
    },
}

/// Does it.
pub async fn run(arguments: DeviceArguments, printer: Printer) -> anyhow::Result<ExitCode> {
    match arguments.verb {
        Verb::List { connection } => {
            let devices = connection.client()?.devices().await?;
            printer.data(&devices, |devices| {
                let rows: Vec<_> = devices.iter().map(row).collect();
                table(&["DEVICE", "HOST", "PLATFORM", "GO", "STATE", "STEP"], &rows)
            })?;
        }
        Verb::Show { connection, device } => {
            let client = connection.client()?;
            let detail = find(&client, &device).await?;
            printer.data(&detail, describe)?;
        }
        Verb::Quarantine { connection, device, reason } => {
            let client = connection.client()?;
            let device = find(&client, &device).await?.device.id;
            let view = client.quarantine(&device, &QuarantineRequest { reason }).await?;
            printer.data(&view, describe_quarantine)?;
        }
        Verb::Revoke { connection, device, reason } => {
            let client = connection.client()?;
            let device = find(&client, &device).await?.device.id;
            let view = client.revoke(&device, &QuarantineRequest { reason }).await?;
            printer.data(&view, describe_quarantine)?;
        }
        Verb::LetIn { connection, device } => {
            let client = connection.client()?;
            let device = find(&client, &device).await?.device.id;
            let view = client.let_in(&device).await?;
            printer.data(&view, |view| match &view.quarantine {
                Some(_) => format!("let in: {}", describe_quarantine(view)),
                None => describe_quarantine(view),
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The device of this id or host name.
async fn find(client: &Client, name: &str) -> anyhow::Result<DeviceDetail> {
    let devices = client.devices().await?;
    let is_meant = |device: &&Device| device.id.as_str() == name || device.facts.hostname == name;
    let meant: Vec<_> = devices.iter().filter(is_meant).collect();
    match meant[..] {
        [device] => client.device(&device.id).await.context("the device can't be shown"),
        [] => Err(Hinted::new(
            format!("there is no device `{name}`"),
            "`gofleet device list` shows every device",
        )
        .into()),
        _ => Err(Hinted::new(
            format!("{} devices have the host name `{name}`", meant.len()),
            "name one by its id; `gofleet device list` shows them",
        )
        .into()),
    }
}

fn row(device: &Device) -> Vec<String> {
    vec![
        device.id.to_string(),
        device.facts.hostname.clone(),
        device.facts.platform.to_string(),
        device.facts.active.clone().unwrap_or_else(|| "-".to_owned()),
        state(device).to_owned(),
        device.latest.as_ref().map_or("-".to_owned(), |latest| latest.step.to_string()),
    ]
}

/// What matters most of whether it can be ordered anything.
fn state(device: &Device) -> &'static str {
    device.kept_out.as_ref().map_or(online(device), KeptOut::word)
}

fn online(device: &Device) -> &'static str {
    if device.online { "online" } else { "offline" }
}

fn describe_quarantine(view: &QuarantineView) -> String {
    view.quarantine.as_ref().map_or("not in quarantine".to_owned(), since)
}

fn since(quarantine: &Quarantine) -> String {
    format!("in quarantine since {}: {}", quarantine.at, quarantine.cause)
}

fn describe(detail: &DeviceDetail) -> String {
    let device = &detail.device;
    let facts = &device.facts;
    let labels: Vec<_> = facts.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut lines = vec![
        format!("{} ({})", paint(style::STRONG, &facts.hostname), device.id),
        format!("  state     {}, last heard {}", online(device), device.last_seen),
    ];
    lines.extend(device.kept_out.as_ref().map(|kept_out| match kept_out {
        KeptOut::Quarantine(quarantine) => format!("  kept out  {}", since(quarantine)),
        KeptOut::Hold(hold) => format!("  kept out  {hold}"),
    }));
    lines.extend([
        format!("  system    {}, {}", facts.os_version, facts.platform),
        format!("  machine   {} processors, {} free", facts.processors, bytes(facts.free_bytes)),
        format!("  agent     {}, enrolled {}", facts.agent_version, device.enrolled_at),
        format!(
            "  labels    {}",
            if labels.is_empty() { "-".to_owned() } else { labels.join(" ") }
        ),
        format!("  active    {}", facts.active.as_deref().unwrap_or("nothing of gofleet")),
    ]);
    let collections: Vec<_> = facts.collections.iter().map(CollectionName::as_str).collect();
    let belongs = (!collections.is_empty()).then(|| collections.join(" "));
    lines.extend(belongs.map(|collections| format!("  belongs   to {collections}")));
    for go in &facts.found {
        lines.push(format!("  found     {} in {}", go.version, go.path));
    }
    lines.extend(detail.health.iter().flat_map(health));
    lines.extend(detail.hooks.iter().map(|hook| format!("  hook      {hook}")));
    for order in &detail.history {
        lines.push(String::new());
        lines.extend(describe_order(order));
    }
    lines.join("\n")
}

/// What it measures, and where it stands with each rule.
fn health(health: &DeviceHealth) -> Vec<String> {
    let mut lines = vec![format!("  class     {}", health.class)];
    let mut name = "signals ";
    for (signal, reading) in &health.signals {
        let normal = health.normal.get(signal);
        let normal = normal.map_or(String::new(), |normal| format!(" (normal: {normal})"));
        lines.push(format!("  {name}  {signal} {reading}{normal}"));
        name = "        ";
    }
    lines
        .extend(health.command_failure.iter().map(|it| format!("  {}", paint(style::WARNING, it))));
    let mut name = "rules   ";
    for rule in &health.rules {
        let conditions: Vec<_> = rule.conditions.iter().map(in_words).collect();
        let fires = if rule.fires { "fires" } else { "quiet" };
        lines.push(format!("  {name}  {}: {fires}; {}", rule.rule, conditions.join(", ")));
        name = "        ";
    }
    if health.is_withheld {
        lines.push(format!(
            "  {}",
            paint(style::WARNING, "not in quarantine, since too many of its class are anomalous")
        ));
    }
    lines.extend(health.healthy_since.map(|since| format!("  well      since {since}")));
    lines
}

fn in_words(condition: &ConditionView) -> String {
    let since = condition.since.map_or(String::new(), |since| format!(" since {since}"));
    format!("{} {}{since}", condition.condition, condition.standing.as_str())
}

fn describe_order(order: &DeviceHistory) -> Vec<String> {
    let mut lines = vec![
        format!("order {}: {} (rollout {})", order.generation, order.wanted, order.rollout),
        format!("  {} since {}, issued {}", order.step, order.step_at, order.issued_at),
    ];
    if let Some(failure) = &order.failure {
        lines.push(format!("  failed at {}: {}", failure.step, failure.message));
    }
    if let Some(receipt) = &order.receipt {
        lines.extend(describe_receipt(receipt));
    }
    lines
}

fn describe_receipt(receipt: &Receipt) -> Vec<String> {
    let took = receipt.finished_at.since(receipt.started_at);
    let (files, loaded) = (receipt.files_verified, bytes(receipt.bytes_downloaded));
    let mut lines = vec![format!("  {files} files verified, {loaded} downloaded, {took} in all")];
    if let Some(Evidence { go_version, goroot, program_output, go_sha256, .. }) = &receipt.evidence
    {
        lines.push(format!("  go version: {go_version}"));
        lines.push(format!("  GOROOT: {goroot}"));
        lines.push(format!("  compiled and run: {}", program_output.trim()));
        lines.push(format!("  go executable: sha256 {go_sha256}"));
    }
    lines
}
