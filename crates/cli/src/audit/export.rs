//! `gofleet audit export`: the log as JSON lines, or as syslog messages to a file or a receiver.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use gofleet_api::AuditEntry;
use gofleet_core::address;
use gofleet_core::audit::{octet_counted, syslog_message};
use serde::Serialize;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket};

use crate::connection::Connection;
use crate::failure::Hinted;
use crate::printer::Printer;

/// How long a receiver may take for one message: one that hangs must not hang us.
const SEND_LIMIT: Duration = Duration::from_secs(10);

/// Export the log, as JSON lines or to syslog
#[derive(Debug, Args)]
#[command(after_help = "\
JSON lines are what `gofleet audit verify --file` reads. Syslog messages are those of RFC 5424; the
same line stands at the end of each. Over TCP each message stands behind its length (RFC 6587).

Examples:
  gofleet audit export --out export.jsonl --head audit-head
  gofleet audit export --format syslog
  gofleet audit export --after 412 --syslog tcp://siem.example.org:601")]
pub struct Export {
    #[command(flatten)]
    connection: Connection,
    /// How an entry is written
    #[arg(long, value_enum, default_value_t = Form::Jsonl, conflicts_with = "syslog")]
    format: Form,
    /// Only entries after this one: those before were exported already
    #[arg(long, value_name = "ENTRY", default_value_t = 0)]
    after: u64,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE", conflicts_with = "syslog")]
    out: Option<PathBuf>,
    /// Send as syslog messages to this receiver: udp://HOST:PORT or tcp://HOST:PORT
    #[arg(long, value_name = "ADDRESS")]
    syslog: Option<Receiver>,
    /// Write the signed head to this file too
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// One line of JSON for each entry
    Jsonl,
    /// One message of RFC 5424 for each entry
    Syslog,
}

/// A receiver of syslog messages.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Receiver {
    is_tcp: bool,
    /// Host and port.
    address: String,
}

impl FromStr for Receiver {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, address) = text.split_once("://").unwrap_or(("", text));
        let has_port = address
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        match scheme {
            "udp" | "tcp" if has_port => {
                Ok(Self { is_tcp: scheme == "tcp", address: address.to_owned() })
            }
            _ => Err("expected udp://HOST:PORT or tcp://HOST:PORT".to_owned()),
        }
    }
}

/// What was exported.
#[derive(Debug, Serialize)]
struct Exported {
    entries: u64,
    /// The last entry: what the next export goes on after.
    last: u64,
}

/// Does it.
pub async fn run(export: Export, printer: Printer) -> anyhow::Result<ExitCode> {
    let client = export.connection.client()?;
    if let Some(path) = &export.head {
        // Before the entries, so that they reach at least as far.
        super::write(path, client.audit_head().await?.note.as_bytes())?;
    }
    let hostname = address::host(client.server());
    let mut sink = Sink::open(&export, printer).await?;
    let mut exported = Exported { entries: 0, last: export.after };
    let mut lines = client.audit_lines(export.after).await?;
    while let Some(line) = lines.next().await? {
        let text = String::from_utf8(line).context("the server sent what is no text")?;
        let entry: AuditEntry = serde_json::from_str(&text)
            .with_context(|| format!("the entry after {} can't be read", exported.last))?;
        sink.put(&text, &entry, &hostname).await?;
        (exported.entries, exported.last) = (exported.entries + 1, entry.sequence);
    }
    if sink.finish().await? {
        printer.data(&exported, |it| format!("{} entries, the last is {}", it.entries, it.last))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Where an export goes.
enum Sink {
    Stdout {
        form: Form,
        printer: Printer,
    },
    /// Kept in memory until it is whole: half an export would read as a log whose tail was cut.
    File {
        form: Form,
        path: PathBuf,
        text: Vec<u8>,
    },
    Udp(UdpSocket, String),
    Tcp(TcpStream, String),
}

impl Sink {
    async fn open(export: &Export, printer: Printer) -> anyhow::Result<Self> {
        let form = export.format;
        Ok(match (&export.syslog, &export.out) {
            (Some(receiver), _) => Self::connect(receiver).await?,
            (None, Some(path)) => Self::File { form, path: path.clone(), text: Vec::new() },
            (None, None) => Self::Stdout { form, printer },
        })
    }

    async fn connect(Receiver { is_tcp, address }: &Receiver) -> anyhow::Result<Self> {
        let reached = async {
            if *is_tcp {
                let stream = TcpStream::connect(address).await?;
                return Ok(Self::Tcp(stream, address.clone()));
            }
            let to = tokio::net::lookup_host(address).await?.next();
            let to = to.ok_or(std::io::ErrorKind::NotFound)?;
            let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(from).await?;
            socket.connect(to).await?;
            Ok::<_, std::io::Error>(Self::Udp(socket, address.clone()))
        };
        limited(reached, address).await
    }

    async fn put(&mut self, line: &str, entry: &AuditEntry, hostname: &str) -> anyhow::Result<()> {
        let written = |form| match form {
            Form::Jsonl => line.to_owned(),
            Form::Syslog => syslog_message(entry, hostname),
        };
        match self {
            Self::Stdout { form, printer } => printer.line(&written(*form))?,
            Self::File { form, text, .. } => writeln!(text, "{}", written(*form))?,
            Self::Udp(socket, address) => {
                let message = written(Form::Syslog);
                limited(async { socket.send(message.as_bytes()).await }, address).await?;
            }
            Self::Tcp(stream, address) => {
                let frame = octet_counted(&written(Form::Syslog));
                limited(async { stream.write_all(frame.as_bytes()).await }, address).await?;
            }
        }
        Ok(())
    }

    /// Whether the outcome is to be told beside it.
    async fn finish(self) -> anyhow::Result<bool> {
        match self {
            Self::Stdout { .. } => return Ok(false),
            Self::File { path, text, .. } => super::write(&path, &text)?,
            Self::Udp(..) => {}
            Self::Tcp(mut stream, address) => {
                limited(async { stream.shutdown().await }, &address).await?;
            }
        }
        Ok(true)
    }
}

/// What a receiver does within the limit.
async fn limited<T>(
    doing: impl Future<Output = std::io::Result<T>>,
    address: &str,
) -> anyhow::Result<T> {
    let failed = || {
        Hinted::new(
            format!("the syslog receiver at {address} can't be reached"),
            "is it listening there, and for this protocol (udp:// or tcp://)?",
        )
    };
    match tokio::time::timeout(SEND_LIMIT, doing).await {
        Ok(done) => done.with_context(failed),
        Err(_) => Err(failed().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_are_addresses_with_a_protocol() {
        let receiver = |is_tcp, address: &str| Ok(Receiver { is_tcp, address: address.to_owned() });
        let unknown = || Err("expected udp://HOST:PORT or tcp://HOST:PORT".to_owned());
        for (text, expect) in [
            ("udp://siem:514", receiver(false, "siem:514")),
            ("tcp://[::1]:601", receiver(true, "[::1]:601")),
            ("siem:514", unknown()),
            ("udp://siem", unknown()),
            ("tls://siem:6514", unknown()),
        ] {
            assert_eq!(text.parse::<Receiver>(), expect, "{text}");
        }
    }
}
