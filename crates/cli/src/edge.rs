//! `gofleet edge`: a distribution point near the devices of a site.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use gofleet_api::QuarantineRequest;
use gofleet_core::bandwidth::Bandwidth;
use gofleet_core::edge::Edge;
use gofleet_core::ids::EdgeId;
use gofleet_server::{EdgeConfig, serve_edge, stop_signal};

use crate::connection::Connection;
use crate::failure::Hinted;
use crate::printer::{Printer, bytes, table};

/// Run a caching mirror of a server's artifacts for a site
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
It fetches each artifact once, however many devices ask. Devices find it by the label `site`, or by
`--edge`; they trust the digest that the server told them, not the distribution point.

Examples:
  gofleet edge --upstream https://gofleet.example.org --data edge --token TOKEN --site berlin
  gofleet edge --upstream URL --data edge --listen 0.0.0.0:8471 --limit '2 MB/s from 9 to 18'
  gofleet edge list")]
pub struct EdgeArguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    run: Run,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the distribution points that a server knows
    #[command(after_help = "Example:\n  gofleet edge list")]
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Revoke a distribution point's key, for good; devices are told of it no more
    #[command(after_help = "Example:\n  gofleet edge revoke e-4f1c --reason 'replaced'")]
    Revoke {
        #[command(flatten)]
        connection: Connection,
        /// Id of the distribution point
        #[arg(value_name = "EDGE")]
        edge: EdgeId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, Args)]
struct Run {
    /// Address of the server
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// Folder that it keeps
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Enrolment token; needed at the first start only
    #[arg(long, value_name = "TOKEN", env = "GOFLEET_ENROLMENT_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Address and port to listen on; port 0: any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8471")]
    listen: SocketAddr,
    /// Address that devices reach it by, if it is another one
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Site whose devices are told of it: those with the label site=NAME
    #[arg(long, value_name = "NAME", default_value = "")]
    site: String,
    /// Most bytes a second to fetch from the server, by the hour
    #[arg(long, value_name = "LIMIT", default_value_t)]
    limit: Bandwidth,
    /// Most bytes a second to send to all devices together, by the hour
    #[arg(long, value_name = "LIMIT", default_value_t)]
    device_limit: Bandwidth,
    /// Most gigabytes to keep; what was not used for the longest time goes first
    #[arg(long, value_name = "GB", default_value_t = 20)]
    cache_size: u64,
}

/// Does it.
pub async fn run(arguments: EdgeArguments, printer: Printer) -> anyhow::Result<ExitCode> {
    match arguments.verb {
        Some(Verb::List { connection }) => {
            let edges = connection.client()?.edges().await?;
            printer.data(&edges, |edges| {
                let rows: Vec<_> = edges.iter().map(row).collect();
                table(&["EDGE", "SITE", "NAME", "ADDRESS", "HEARD", "SENT", "FETCHED"], &rows)
            })?;
        }
        Some(Verb::Revoke { connection, edge, reason }) => {
            connection.client()?.revoke_edge(&edge, &QuarantineRequest { reason }).await?;
            printer.data(&serde_json::json!({ "revoked": edge }), |_| format!("revoked {edge}"))?;
        }
        None => {
            let config = config(arguments.run)?;
            let announce = |url: &str| printer.message(format_args!("listening on {url}"));
            serve_edge(config, stop_signal(), announce).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn config(run: Run) -> anyhow::Result<EdgeConfig> {
    let missing = |flag: &str, what: &str| {
        Hinted::usage(format!("{flag} is missing"), format!("name {what} with {flag}"))
    };
    Ok(EdgeConfig {
        upstream: run.upstream.ok_or_else(|| missing("--upstream", "the server"))?,
        token: run.token,
        data: run.data.ok_or_else(|| missing("--data", "the folder that it keeps"))?,
        listen: run.listen,
        public_url: run.public_url,
        site: run.site,
        limit: run.limit,
        device_limit: run.device_limit,
        cache_bytes: run.cache_size.saturating_mul(1_000_000_000),
    })
}

fn row(edge: &Edge) -> Vec<String> {
    let report = &edge.report;
    let site = if report.site.is_empty() { "-" } else { &report.site };
    let heard = if edge.online { "online".to_owned() } else { edge.last_seen.to_string() };
    vec![
        edge.id.to_string(),
        site.to_owned(),
        report.name.clone(),
        report.url.clone(),
        heard,
        bytes(report.served_bytes),
        bytes(report.fetched_bytes),
    ]
}
