//! `gofleet collection`: named collections of devices.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use gofleet_api::{
    Client, CollectionDetail, CollectionRequest, CollectionSummary, Member, Members, RosterChange,
};
use gofleet_core::collection::{Format, read_names, text_of};
use gofleet_core::ids::CollectionName;

use crate::connection::Connection;
use crate::printer::{Printer, table};

/// Names of devices in one line of a text.
const SHOWN: usize = 12;

/// Keep named collections of devices, for selectors: `collection = "pilots"`
#[derive(Debug, Args)]
pub struct CollectionArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the collections
    #[command(after_help = "Example:\n  gofleet collection list")]
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Show a collection: its devices, its names that no device has, and what asks for it
    #[command(after_help = "Example:\n  gofleet collection show pilots")]
    Show {
        #[command(flatten)]
        connection: Connection,
        /// The collection
        #[arg(value_name = "NAME")]
        name: CollectionName,
    },
    /// Write who belongs to a collection; it is made if there is none
    #[command(
        after_help = "A list names devices by id or host name. A selector picks whoever it picks at \
the moment; it asks for no other collection.

Examples:
  gofleet collection set pilots --device build-01 --device build-02 --note 'who volunteered'
  gofleet collection set berlin --select 'label.site = berlin' --dry-run"
    )]
    Set {
        #[command(flatten)]
        connection: Connection,
        /// The collection
        #[arg(value_name = "NAME")]
        name: CollectionName,
        #[command(flatten)]
        members: SetMembers,
        /// What it is for
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
        /// Only show who would come and who would go
        #[arg(long)]
        dry_run: bool,
    },
    /// Bring a group from another system; importing it again replaces it
    #[command(
        after_help = "Reads lines of host names, CSV and JSON: exports of Active Directory and \
Configuration Manager, and what `ansible-inventory --list` prints. Names that no device has are \
told and kept: a device that enrols under one belongs to the collection.

Examples:
  gofleet collection import pilots --from pilots.txt --dry-run
  gofleet collection import sccm-ring1 --from members.csv --column Name
  gofleet collection import web --from inventory.json --group web"
    )]
    Import {
        #[command(flatten)]
        connection: Connection,
        /// The collection
        #[arg(value_name = "NAME")]
        name: CollectionName,
        #[command(flatten)]
        file: ImportFile,
        /// What it is for
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
        /// Only show who would come and who would go
        #[arg(long)]
        dry_run: bool,
    },
    /// Say how many devices a collection or selector picks, and when their window opens
    #[command(after_help = "Examples:
  gofleet collection preview pilots --window 'Sat,Sun 01:00-05:00'
  gofleet collection preview --select 'collection = pilots and os = linux'")]
    Preview {
        #[command(flatten)]
        connection: Connection,
        /// The collection
        #[arg(value_name = "NAME", required_unless_present = "select", conflicts_with = "select")]
        name: Option<CollectionName>,
        /// A selector instead
        #[arg(long, value_name = "SELECTOR")]
        select: Option<String>,
        /// Stretches of a window, with semicolons between
        #[arg(long, value_name = "WINDOW", default_value = "")]
        window: String,
        /// Dates on which it stays closed, with semicolons between
        #[arg(long, value_name = "DATES", default_value = "")]
        closed: String,
    },
    /// Delete a collection that nothing asks for
    #[command(after_help = "Example:\n  gofleet collection delete pilots --dry-run")]
    Delete {
        #[command(flatten)]
        connection: Connection,
        /// The collection
        #[arg(value_name = "NAME")]
        name: CollectionName,
        /// Only show what would be deleted, and what asks for it
        #[arg(long)]
        dry_run: bool,
    },
}

/// Who belongs to a collection that is written here.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct SetMembers {
    /// Id or host name of a device; may be repeated
    #[arg(long = "device", value_name = "DEVICE")]
    devices: Vec<String>,
    /// Selector of the devices; '' means every device
    #[arg(long, value_name = "SELECTOR")]
    select: Option<String>,
}

impl From<SetMembers> for Members {
    fn from(SetMembers { devices: names, select }: SetMembers) -> Self {
        match select {
            Some(devices) => Self::Selector { devices },
            None => Self::Static { names },
        }
    }
}

/// What is read of which file.
#[derive(Debug, Args)]
struct ImportFile {
    /// The export
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// How it is written [default: by the file's name]
    #[arg(long, value_name = "FORMAT")]
    format: Option<FormatName>,
    /// The column or key that holds host names [default: the one that usually does]
    #[arg(long, value_name = "COLUMN")]
    column: Option<String>,
    /// The group of an inventory [default: the only one]
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatName {
    /// A host name on each line
    Lines,
    /// A table with a heading
    Csv,
    /// A list or an inventory
    Json,
}

impl ImportFile {
    fn read(&self) -> anyhow::Result<Members> {
        let shown = self.from.display();
        let name = self.from.file_name().map_or_else(String::new, |it| it.to_string_lossy().into());
        let bytes = std::fs::read(&self.from).with_context(|| format!("cannot read {shown}"))?;
        let format = match self.format {
            Some(FormatName::Lines) => Format::Lines,
            Some(FormatName::Csv) => Format::Csv,
            Some(FormatName::Json) => Format::Json,
            None => Format::of_file(&name),
        };
        let (column, group) = (self.column.as_deref(), self.group.as_deref());
        let names = text_of(&bytes).and_then(|text| read_names(&text, format, column, group));
        let names = names.with_context(|| format!("cannot import {shown}"))?;
        let source = match group {
            Some(group) => format!("{name} ({group})"),
            None => name,
        };
        Ok(Members::Imported { names, source })
    }
}

/// Does it.
pub async fn run(arguments: CollectionArguments, printer: Printer) -> anyhow::Result<ExitCode> {
    match arguments.verb {
        Verb::List { connection } => {
            let collections = connection.client()?.collections().await?;
            printer.data(&collections, |all| {
                let rows: Vec<_> = all.iter().map(row).collect();
                table(&["COLLECTION", "DEVICES", "UNKNOWN", "MEMBERS", "BY", "NOTE"], &rows)
            })?;
        }
        Verb::Show { connection, name } => {
            let detail = connection.client()?.collection(&name).await?;
            printer.data(&detail, shown)?;
        }
        Verb::Set { connection, name, members, note, dry_run } => {
            let request = CollectionRequest { members: members.into(), note };
            write(&connection.client()?, printer, (&name, &request), dry_run).await?;
        }
        Verb::Import { connection, name, file, note, dry_run } => {
            let request = CollectionRequest { members: file.read()?, note };
            write(&connection.client()?, printer, (&name, &request), dry_run).await?;
        }
        Verb::Preview { connection, name, select, window, closed } => {
            let by_name = |name| format!("collection = \"{name}\"");
            let devices = select.or_else(|| name.map(by_name)).unwrap_or_default();
            let answer = connection.client()?.preview(&devices, &window, &closed).await?;
            printer.data(&answer, |answer| answer.text.clone())?;
        }
        Verb::Delete { connection, name, dry_run: true } => {
            let detail = connection.client()?.collection(&name).await?;
            printer.data(&detail, shown)?;
        }
        Verb::Delete { connection, name, dry_run: false } => {
            let deleted = connection.client()?.delete_collection(&name).await?;
            printer.data(&deleted, |deleted| format!("deleted: {}", deleted.name))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn write(
    client: &Client,
    printer: Printer,
    (name, request): (&CollectionName, &CollectionRequest),
    is_dry: bool,
) -> anyhow::Result<()> {
    let change = if is_dry {
        client.preview_collection(name, request).await?
    } else {
        client.set_collection(name, request).await?
    };
    printer.data(&change, told)?;
    Ok(())
}

fn told(change: &RosterChange) -> String {
    let RosterChange { come, go, stay, unknown } = change;
    let hosts = |devices: &[Member]| listed(devices.iter().map(|it| it.hostname.as_str()));
    let mut lines = vec![format!("{} come, {} go, {stay} stay", come.len(), go.len())];
    lines.extend((!come.is_empty()).then(|| format!("  come     {}", hosts(come))));
    lines.extend((!go.is_empty()).then(|| format!("  go       {}", hosts(go))));
    let names = listed(unknown.iter().map(String::as_str));
    let of = format!("  unknown  no device has these names yet ({}): {names}", unknown.len());
    lines.extend((!unknown.is_empty()).then_some(of));
    lines.join("\n")
}

fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(SHOWN);
    let names: Vec<&str> = names.take(SHOWN).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}

fn row(summary: &CollectionSummary) -> Vec<String> {
    let CollectionSummary { collection, devices, unknown, members, .. } = summary;
    vec![
        collection.to_string(),
        devices.to_string(),
        unknown.to_string(),
        members.clone(),
        summary.by.clone(),
        summary.note.clone(),
    ]
}

fn shown(detail: &CollectionDetail) -> String {
    let CollectionDetail { collection, roster, used_by } = detail;
    let mut lines = vec![
        format!("{}: {}", collection.name, collection.members),
        format!("  changed  {} by {}", collection.changed_at, collection.by),
    ];
    lines.extend((!collection.note.is_empty()).then(|| format!("  note     {}", collection.note)));
    lines.extend(used_by.iter().map(|user| format!("  used by  {user}")));
    lines.extend(roster.unknown.iter().map(|name| format!("  unknown  {name}")));
    let rows = roster.devices.iter();
    let rows: Vec<_> = rows.map(|it| vec![it.device.to_string(), it.hostname.clone()]).collect();
    lines.push(table(&["DEVICE", "HOST"], &rows));
    lines.join("\n")
}
