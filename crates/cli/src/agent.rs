//! `gofleet agent`: this machine as a device of the fleet.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use gofleet_agent::AgentConfig;
use gofleet_agent::identity::Identity;
use gofleet_core::agent::Task;
use gofleet_core::bandwidth::Bandwidth;
use gofleet_core::ids::{DeviceId, ReleaseId, RolloutId};
use gofleet_core::order::{Failure, Step};
use gofleet_core::time::{InvalidTime, Span};
use gofleet_depot::Root;
use gofleet_platform::{FileLock, LockError};
use serde::{Deserialize, Serialize};

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
  gofleet agent run --server http://127.0.0.1:8470 --root /opt/gofleet --label site=berlin
  gofleet agent run --server URL --edge http://10.1.2.3:8471 --limit '5 MB/s from 9 to 18'
  gofleet agent run --server URL --label class=ci --signals /run/ci-runner/signals.prom")]
    Run(Box<Run>),
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
    #[arg(long, value_name = "SPAN", default_value = "1m", value_parser = parse_period)]
    signals_every: Span,
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

fn parse_period(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error: InvalidTime| error.to_string())?;
    if span < Span::from_secs(1) { Err("at least 1s".to_owned()) } else { Ok(span) }
}

/// Does it.
pub async fn run(arguments: AgentArguments, printer: Printer) -> anyhow::Result<ExitCode> {
    match arguments.verb {
        Verb::Run(run) => {
            let config = AgentConfig {
                server: run.server,
                token: run.token,
                root: root_or_default(run.root)?,
                hostname: run.hostname,
                labels: run.labels.into_iter().collect(),
                edges: run.edges,
                limit: run.limit,
                signals_every: run.signals_every,
                signal_files: run.signal_files,
                check_cache: run.check_cache,
                shim: Some(shim_program()?),
            };
            gofleet_agent::run(config, gofleet_server::stop_signal()).await?;
        }
        Verb::Status { root } => {
            let status = Status::of(&root_or_default(root)?)?;
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

/// What can be told of an agent from its root, whether it runs or not.
#[derive(Debug, Serialize)]
struct Status {
    root: PathBuf,
    is_running: bool,
    device: Option<DeviceId>,
    active: Option<ReleaseId>,
    fallback: Option<ReleaseId>,
    installed: Vec<ReleaseId>,
    generation: Option<u64>,
    rollout: Option<RolloutId>,
    step: Option<Step>,
    failure: Option<Failure>,
}

impl Status {
    fn of(path: &Path) -> anyhow::Result<Self> {
        let root = Root::new(path);
        let folder = path.join("agent");
        let task = newest_task(&folder.join("ledger.json"))?;
        let active = root.active()?;
        Ok(Self {
            root: path.to_owned(),
            is_running: folder.is_dir()
                && matches!(
                    FileLock::acquire(&folder.join("running")),
                    Err(LockError::Held { .. })
                ),
            device: Identity::load(&folder.join("credential"))?.map(|identity| identity.device),
            active: active.as_ref().map(|active| active.active.clone()),
            fallback: active.and_then(|active| active.fallback),
            installed: root.installed()?,
            generation: task.as_ref().map(|task| task.order.generation),
            rollout: task.as_ref().map(|task| task.order.rollout.clone()),
            step: task.as_ref().map(|task| task.step),
            failure: task.and_then(|task| task.failure),
        })
    }

    fn describe(&self) -> String {
        fn or_none(value: Option<&impl ToString>) -> String {
            value.map_or_else(|| "none".to_owned(), ToString::to_string)
        }
        let state = if self.is_running { "running" } else { "not running" };
        let mut lines = vec![
            format!("agent      {state} on {}", self.root.display()),
            format!("device     {}", or_none(self.device.as_ref())),
            format!("active     {}", or_none(self.active.as_ref())),
            format!("fallback   {}", or_none(self.fallback.as_ref())),
        ];
        lines.extend(self.installed.iter().map(|release| format!("installed  {release}")));
        if let (Some(rollout), Some(step)) = (&self.rollout, self.step) {
            lines.push(format!("order      {step} (rollout {rollout})"));
        }
        if let Some(failure) = &self.failure {
            lines.push(format!("failed     at {}: {}", failure.step, failure.message));
        }
        lines.join("\n")
    }
}

/// The newest order in a ledger; the agent itself keeps and mends it.
fn newest_task(ledger: &Path) -> anyhow::Result<Option<Task>> {
    #[derive(Deserialize)]
    struct Content {
        task: Option<Task>,
    }
    let failed = || format!("the ledger {} can't be read", ledger.display());
    match std::fs::read(ledger) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map(|Content { task }| task).with_context(failed)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(failed),
    }
}
