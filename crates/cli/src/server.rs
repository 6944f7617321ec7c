//! `gofleet server`: the server, with its settings from file, environment and flags.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Arg, ArgMatches, Args, FromArgMatches};
use gofleet_server::config::{KEYS, Key, ServerConfig, Sources};
use gofleet_server::{Ready, serve, stop_signal};

use crate::printer::Printer;

/// Run the server: catalog, rollouts, API and console
#[derive(Debug, Args)]
#[command(after_help = "\
It needs no configuration. The administrator's token is written to `admin-token` in the data
folder at the first start.

Examples:
  gofleet server
  gofleet server --data /var/lib/gofleet --listen 0.0.0.0:8470
  gofleet server --config gofleet.toml --print-config
  gofleet server --print-openapi > openapi.json")]
pub struct Server {
    /// Configuration file in TOML
    #[arg(long, value_name = "FILE", env = "GOFLEET_CONFIG")]
    config: Option<PathBuf>,
    /// Print every setting, and where its value comes from, and end
    #[arg(long, conflicts_with = "print_openapi")]
    print_config: bool,
    /// Print the OpenAPI document, and end
    #[arg(long)]
    print_openapi: bool,
    #[command(flatten)]
    settings: Settings,
}

/// A flag for each setting that the server knows; their names stand in one table of its own.
#[derive(Debug)]
struct Settings(Vec<(&'static str, String)>);

impl Args for Settings {
    fn augment_args(command: clap::Command) -> clap::Command {
        let flag = |key: &Key| {
            let default =
                if key.default.is_empty() { "" } else { &format!(" [default: {}]", key.default) };
            Arg::new(key.name)
                .long(key.flag.trim_start_matches("--"))
                .value_name("VALUE")
                .help(format!("{} [env: {}]{default}", capitalized(key.meaning), key.environment))
        };
        command.next_help_heading("Settings").args(KEYS.iter().map(flag)).next_help_heading(None)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |key: &Key| Some((key.name, matches.get_one::<String>(key.name)?.clone()));
        Ok(Self(KEYS.iter().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// With a capital letter at its beginning.
pub fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// Runs it until a signal ends it.
pub async fn run(server: Server, printer: Printer) -> anyhow::Result<ExitCode> {
    if server.print_openapi {
        printer.line(&gofleet_server::api::document().to_pretty_json()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = load(&server)?;
    if server.print_config {
        printer.data(&config.json(), |_| config.table())?;
        return Ok(ExitCode::SUCCESS);
    }
    serve(config, stop_signal(), |ready| announce(ready, printer)).await?;
    Ok(ExitCode::SUCCESS)
}

fn announce(ready: &Ready, printer: Printer) {
    let Ready { url, local_url, admin_token_file, new_admin_token } = ready;
    printer.message(format_args!("listening on {url}"));
    if let Some(local_url) = local_url {
        printer.message(format_args!("console on this machine: {local_url}"));
    }
    if let Some(token) = new_admin_token {
        printer.message(format_args!(
            "administrator's token (told this once, kept in {}):\n  {token}",
            admin_token_file.display()
        ));
    }
}

fn load(server: &Server) -> anyhow::Result<ServerConfig> {
    let sources = Sources {
        default_data: default_data()?,
        file: server.config.as_deref(),
        environment: &|name| env::var(name).ok(),
        flags: &server.settings.0,
    };
    Ok(ServerConfig::load(&sources)?)
}

/// `gofleet/server` in the user's data folder: `$XDG_DATA_HOME`, else `~/.local/share`; on Windows
/// `%LOCALAPPDATA%`.
fn default_data() -> anyhow::Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if cfg!(windows) {
        let folder =
            set("LOCALAPPDATA").context("LOCALAPPDATA is not set; name a folder with --data")?;
        return Ok(folder.join("gofleet-server"));
    }
    let folder = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")));
    Ok(folder.context("HOME is not set; name a folder with --data")?.join("gofleet").join("server"))
}
