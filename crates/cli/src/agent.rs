//! `gofleet agent`: this machine as a device of the fleet.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use gofleet_agent::AgentConfig;
use gofleet_agent::identity::Identity;
use gofleet_core::bandwidth::Bandwidth;
use gofleet_core::time::{InvalidTime, Span};

use crate::printer::Printer;

pub mod service;
mod status;

use service::Install;
use status::Status;

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
The token is needed once. It tells of the server's authority too, so nobody else is taken
for the server. The agent makes a key of its own, and keeps it with its certificate in its root.

Examples:
  gofleet agent run --server https://gofleet.example.org --token TOKEN
  gofleet agent run --server https://127.0.0.1:8470 --root /opt/gofleet --label site=berlin
  gofleet agent run --server URL --edge https://10.1.2.3:8471 --limit '5 MB/s from 9 to 18'
  gofleet agent run --server URL --label class=ci --signals /run/ci-runner/signals.prom")]
    Run(Box<Run>),
    /// Make the agent a service that starts with this machine
    #[command(after_help = "\
Can be repeated: what differs is brought up to date. The service writes its root and nothing else.
The token comes from a file or from GOFLEET_ENROLMENT_TOKEN, is kept where only the service can read
it, and is deleted once the agent has a credential of its own.

Examples:
  gofleet agent install --server https://gofleet.example.org --token-file token.txt
  gofleet agent install --server https://gofleet.example.org --label site=berlin --dry-run
  gofleet agent install --server URL --root D:\\gofleet --limit '20 MB/s, 2 MB/s from 9 to 18'")]
    Install(Box<Install>),
    /// Stop the service and remove it; its root stays
    #[command(after_help = "Examples:
  gofleet agent uninstall
  gofleet agent uninstall --purge")]
    Uninstall {
        /// Folder that the agent keeps [default: as for install]
        #[arg(long, value_name = "DIR", env = "GOFLEET_ROOT")]
        root: Option<PathBuf>,
        /// Also remove the root, with every Go in it
        #[arg(long)]
        purge: bool,
    },
    /// Start the service
    #[command(after_help = "Example:\n  gofleet agent start")]
    Start,
    /// Stop the service, at any point of an upgrade
    #[command(after_help = "Example:\n  gofleet agent stop")]
    Stop,
    /// Show what the agent of a root is and does, and its service
    #[command(after_help = "Examples:
  gofleet agent status
  gofleet agent status --root /opt/gofleet --json")]
    Status {
        /// Folder that the agent keeps [default: that of the service, else of this user]
        #[arg(long, value_name = "DIR", env = "GOFLEET_ROOT")]
        root: Option<PathBuf>,
    },
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    options: Options,
    /// Enrolment token
    #[arg(long, value_name = "TOKEN", env = "GOFLEET_ENROLMENT_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// As the process of the installed service
    #[arg(long, hide = true)]
    service: bool,
}

/// How often signals are reported, if nothing is said.
const SIGNALS_EVERY: &str = "1m";

/// What an agent is told, as a service or by hand.
#[derive(Debug, Args)]
struct Options {
    /// Address of the server
    #[arg(long, value_name = "URL", env = "GOFLEET_SERVER")]
    server: String,
    /// Folder that the agent keeps [default: ~/.gofleet, on Windows %LOCALAPPDATA%\gofleet; of a
    /// service /var/lib/gofleet, on Windows %ProgramData%\gofleet]
    #[arg(long, value_name = "DIR", env = "GOFLEET_ROOT")]
    root: Option<PathBuf>,
    /// Label that selectors see; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_label)]
    labels: Vec<(String, String)>,
    /// Host name to report [default: that of the machine]
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// Distribution point to ask before the server; may be repeated
    #[arg(long = "edge", value_name = "URL", env = "GOFLEET_EDGE")]
    edges: Vec<String>,
    /// Most bytes a second to download, by the hour, like '20 MB/s, 2 MB/s from 9 to 18'
    #[arg(long, value_name = "LIMIT", env = "GOFLEET_LIMIT", default_value_t)]
    limit: Bandwidth,
    /// File with more signals to report, in Prometheus' text format; may be repeated
    #[arg(long = "signals", value_name = "FILE", env = "GOFLEET_SIGNALS")]
    signal_files: Vec<PathBuf>,
    /// How often to report processor, memory, free space and other signals
    #[arg(long, value_name = "SPAN", default_value = SIGNALS_EVERY, value_parser = parse_period)]
    signals_every: Span,
    /// Build cache for the checks [default: one in the root]
    #[arg(long, value_name = "DIR")]
    check_cache: Option<PathBuf>,
}

impl Options {
    /// As they are given again, without the root.
    ///
    /// # Errors
    ///
    /// If a folder's name is no Unicode.
    fn as_arguments(&self) -> anyhow::Result<Vec<String>> {
        let mut arguments = Vec::new();
        let mut add = |flag: &str, value: &str| {
            arguments.extend([flag.to_owned(), value.to_owned()]);
        };
        add("--server", &self.server);
        for (key, value) in &self.labels {
            add("--label", &format!("{key}={value}"));
        }
        for edge in &self.edges {
            add("--edge", edge);
        }
        if let Some(hostname) = &self.hostname {
            add("--hostname", hostname);
        }
        let limit = self.limit.to_string();
        if limit != Bandwidth::default().to_string() {
            add("--limit", &limit);
        }
        for file in &self.signal_files {
            add(
                "--signals",
                file.to_str().context("the name of a file with signals is no Unicode")?,
            );
        }
        let period = self.signals_every.to_string();
        if period != SIGNALS_EVERY {
            add("--signals-every", &period);
        }
        if let Some(cache) = &self.check_cache {
            add("--check-cache", cache.to_str().context("the cache's name is no Unicode")?);
        }
        Ok(arguments)
    }
}

impl Run {
    /// What the agent is started with. A token that was left for the service is taken; once there
    /// is a credential, it is deleted.
    fn config(self) -> anyhow::Result<AgentConfig> {
        let root = root_or_default(self.options.root)?;
        let left = token_file(&root);
        let token = match std::fs::read_to_string(&left) {
            Ok(_) if Identity::load(&credential(&root))?.is_some() => {
                let _ = std::fs::remove_file(&left);
                None
            }
            Ok(token) => Some(token.trim().to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(error).with_context(|| format!("{} can't be read", left.display()));
            }
        };
        Ok(AgentConfig {
            server: self.options.server,
            token: self.token.or(token),
            root,
            hostname: self.options.hostname,
            labels: self.options.labels.into_iter().collect(),
            edges: self.options.edges,
            limit: self.options.limit,
            signals_every: self.options.signals_every,
            signal_files: self.options.signal_files,
            check_cache: self.options.check_cache,
            shim: Some(shim_program()?),
        })
    }
}

/// Where the agent of a root keeps its credential.
fn credential(root: &Path) -> PathBuf {
    root.join("agent").join("credential")
}

/// Where an installation leaves the enrolment token for the service.
fn token_file(root: &Path) -> PathBuf {
    root.join("enrolment-token")
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE, like site=berlin".to_owned()),
    }
}

fn parse_period(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error: InvalidTime| error.to_string())?;
    if span < Span::from_secs(1) { Err("at least 1s".to_owned()) } else { Ok(span) }
}

/// Does it.
pub async fn run(arguments: AgentArguments, printer: Printer) -> anyhow::Result<ExitCode> {
    match arguments.verb {
        Verb::Run(run) => {
            gofleet_agent::run(run.config()?, gofleet_server::stop_signal()).await?;
        }
        Verb::Install(install) => service::install(&install, printer)?,
        Verb::Uninstall { root, purge } => service::uninstall(root, purge, printer)?,
        Verb::Start => service::start(printer)?,
        Verb::Stop => service::stop(printer)?,
        Verb::Status { root } => {
            let status = Status::of(&root_of_status(root)?)?;
            printer.data(&status, Status::describe)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl AgentArguments {
    /// Whether these start an agent, which wants little memory and one thread.
    pub fn is_run(&self) -> bool {
        matches!(self.verb, Verb::Run(_))
    }

    /// Those of the process of a service, if these are that; else unchanged.
    #[cfg(windows)]
    pub fn of_service(self) -> Result<Run, Self> {
        match self.verb {
            Verb::Run(run) if run.service => Ok(*run),
            verb => Err(Self { verb }),
        }
    }
}

/// The given root, or that of the service if it has one, or that of this user.
fn root_of_status(root: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let of_service = service::root(None)?;
    root_or_default(root.or_else(|| of_service.join("agent").is_dir().then_some(of_service)))
}

/// The given root, or `~/.gofleet`; on Windows `%LOCALAPPDATA%\gofleet`.
pub fn root_or_default(root: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let default = || {
        if cfg!(windows) {
            set("LOCALAPPDATA").map(|folder| Path::new(&folder).join("gofleet"))
        } else {
            set("HOME").map(|folder| Path::new(&folder).join(".gofleet"))
        }
    };
    let root = root.or_else(default).context("no home folder is known; name a root with --root")?;
    std::path::absolute(&root).with_context(|| format!("{} is no folder", root.display()))
}

/// What becomes `go` and `gofmt` in the root: the small shim where it lies beside this program,
/// else this program, which behaves as one by that name.
pub fn shim_program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("this program can't find itself")?;
    let shim = own.with_file_name(format!("gofleet-shim{}", std::env::consts::EXE_SUFFIX));
    Ok(if shim.is_file() { shim } else { own })
}
