//! `gofleet agent`: this machine as a device of the fleet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use gofleet_agent::identity::Identity;
use gofleet_agent::{AgentConfig, EDGE_PATIENCE, SignalCommand};
use gofleet_core::bandwidth::Bandwidth;
use gofleet_core::settings::{
    SIGNALS_COMMAND_EVERY, SIGNALS_COMMAND_TIMEOUT, SIGNALS_EVERY, Value,
};
use gofleet_core::time::Span;

use crate::printer::Printer;

pub mod service;
mod settings;
mod status;

use service::Install;
use settings::{Loaded, Options, Report};
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
Settings come from the group policy, else from flags, the environment, and agent.toml in the root.
The token is needed once. It tells of the server's authority too, so nobody else is taken
for the server. The agent makes a key of its own, and keeps it with its certificate in its root.

Examples:
  gofleet agent run --server https://gofleet.example.org --token TOKEN
  gofleet agent run --server https://127.0.0.1:8470 --root /opt/gofleet --label site=berlin
  gofleet agent run --config agent.toml --print-config
  gofleet agent run --server https://127.0.0.1:8470 --edge https://10.1.2.3:8471 \\
      --limit '5 MB/s from 9 to 18' --label class=ci --signals /run/ci-runner/signals.prom
  gofleet agent run --server https://127.0.0.1:8470 \\
      --signals-command /opt/ci/signals --signals-command --prometheus")]
    Run(Box<Run>),
    /// Make the agent a service that starts with this machine
    #[command(after_help = "\
Can be repeated: what differs is brought up to date. The service writes its root and nothing else.
The token comes from a file or from GOFLEET_ENROLMENT_TOKEN, is kept where only the service can read
it, and is deleted once the agent has a credential of its own.

Examples:
  gofleet agent install --server https://gofleet.example.org --token-file token.txt
  gofleet agent install --server https://gofleet.example.org --label site=berlin --dry-run
  gofleet agent install --server https://gofleet.example.org --root D:\\gofleet \\
      --limit '20 MB/s, 2 MB/s from 9 to 18'")]
    Install(Box<Install>),
    /// Make and start the service if it is known whose agent this is, for packages
    #[command(hide = true)]
    Setup {
        /// Address of the server; empty if there is none but that of a policy
        #[arg(long, value_name = "URL", default_value = "")]
        server: String,
        /// Enrolment token; empty if there is none
        #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
        token: String,
    },
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
    /// Print every setting, and where its value comes from, and end
    #[arg(long)]
    print_config: bool,
    /// As the process of the installed service
    #[arg(long, hide = true)]
    service: bool,
}

impl Run {
    /// What holds for it.
    fn load(&self) -> anyhow::Result<Loaded> {
        self.options.load(&root_or_default(None)?)
    }

    /// What the agent is started with. A token that was left for the service is taken; once there
    /// is a credential, it is deleted.
    fn config(self, loaded: &Loaded) -> anyhow::Result<AgentConfig> {
        let root = loaded.root.clone();
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
        let settings = &loaded.settings;
        let limit = settings.text("limit").map(str::parse::<Bandwidth>).transpose()?;
        let span = |name| settings.text(name).map(str::parse::<Span>).transpose();
        Ok(AgentConfig {
            server: loaded.server()?,
            token: self.token.or(token),
            root,
            hostname: settings.text("hostname").map(str::to_owned),
            labels: match settings.value("labels") {
                Some(Value::Table(labels)) => labels.clone(),
                _ => BTreeMap::new(),
            },
            edges: settings.list("edges").to_vec(),
            edge_patience: EDGE_PATIENCE,
            limit: limit.unwrap_or_default(),
            signals_every: span("signals_every")?.unwrap_or(SIGNALS_EVERY),
            signal_files: settings.list("signals").iter().map(PathBuf::from).collect(),
            signal_command: match settings.list("signals_command") {
                [] => None,
                [program, arguments @ ..] => Some(SignalCommand {
                    program: PathBuf::from(program),
                    arguments: arguments.to_vec(),
                    every: span("signals_command_every")?.unwrap_or(SIGNALS_COMMAND_EVERY),
                    timeout: span("signals_command_timeout")?.unwrap_or(SIGNALS_COMMAND_TIMEOUT),
                }),
            },
            check_cache: settings.text("check_cache").map(PathBuf::from),
            notify_command: settings.text("notify_command").map(str::to_owned),
            settings: Some(loaded.report().to_json()?),
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

/// Does it.
pub async fn run(arguments: AgentArguments, printer: Printer) -> anyhow::Result<ExitCode> {
    match arguments.verb {
        Verb::Run(run) => {
            let loaded = run.load()?;
            if run.print_config {
                printer.data(&loaded.report(), Report::table)?;
            } else {
                loaded.log_problems();
                gofleet_agent::run(run.config(&loaded)?, gofleet_server::stop_signal()).await?;
            }
        }
        Verb::Install(install) => service::install(&install, printer)?,
        Verb::Setup { server, token } => service::setup(&server, &token, printer)?,
        Verb::Uninstall { root, purge } => service::uninstall(root, purge, printer)?,
        Verb::Start => service::start(printer)?,
        Verb::Stop => service::stop(printer)?,
        Verb::Status { root } => {
            let status = Status::of(&root_of_agent(root)?)?;
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
pub fn root_of_agent(root: Option<PathBuf>) -> anyhow::Result<PathBuf> {
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
