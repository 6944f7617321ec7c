//! `gofleet agent`: this machine as a device of the fleet.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::printer::Printer;

/// Make this machine a device of the fleet
#[derive(Debug, Args)]
pub struct AgentArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Enrol, then obey the server's orders until a signal ends it
    #[command(after_help = "\
The token is needed once. Afterwards the agent has a credential of its own in its root.

Examples:
  gofleet agent run --server https://gofleet.example.org --token TOKEN
  gofleet agent run --server http://127.0.0.1:8470 --root /opt/gofleet --label site=berlin")]
    Run(Run),
    /// Show what the agent of a root is and does
    #[command(after_help = "Example:\n  gofleet agent status --root /opt/gofleet --json")]
    Status {
        /// Folder that the agent keeps
        #[arg(long, value_name = "DIR", env = "GOFLEET_ROOT")]
        root: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct Run {
    /// Address of the server
    #[arg(long, value_name = "URL", env = "GOFLEET_SERVER")]
    server: String,
    /// Enrolment token
    #[arg(long, value_name = "TOKEN", env = "GOFLEET_ENROLMENT_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Folder that the agent keeps [default: ~/.gofleet, on Windows %LOCALAPPDATA%\gofleet]
    #[arg(long, value_name = "DIR", env = "GOFLEET_ROOT")]
    root: Option<PathBuf>,
    /// Label that selectors see; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_label)]
    labels: Vec<(String, String)>,
    /// Host name to report [default: that of the machine]
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// Build cache for the checks [default: one in the root]
    #[arg(long, value_name = "DIR")]
    check_cache: Option<PathBuf>,
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE, like site=berlin".to_owned()),
    }
}

/// Does it.
pub async fn run(arguments: AgentArguments, _printer: Printer) -> anyhow::Result<ExitCode> {
    match arguments.verb {
        Verb::Run(_run) => anyhow::bail!("not here yet"),
        Verb::Status { root: _ } => anyhow::bail!("not here yet"),
    }
}
