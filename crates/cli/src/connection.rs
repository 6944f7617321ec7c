//! Which server the verbs talk to, and as whom.
//!
//! In this order: flags, environment, the data folder of a server on this machine, the saved login.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use gofleet_api::Client;
use gofleet_platform::Access;
use serde::{Deserialize, Serialize};

use crate::failure::Hinted;

/// Options of verbs that talk to the server.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Server")]
pub struct Connection {
    /// Address of the server
    #[arg(long, value_name = "URL", env = "GOFLEET_SERVER")]
    pub server: Option<String>,
    /// API token, or the administrator's token
    #[arg(long, value_name = "TOKEN", env = "GOFLEET_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Change ticket under which this is done, like CHG-1234
    #[arg(long, value_name = "TICKET", env = "GOFLEET_TICKET", value_parser = ticket)]
    pub ticket: Option<String>,
    /// Data folder of a server on this machine: address and token are read there
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// A login that `gofleet login` saved.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedLogin {
    /// The server's address.
    pub server: String,
    /// An API token, or the administrator's token.
    pub token: String,
}

impl Connection {
    /// A client of that server.
    ///
    /// # Errors
    ///
    /// If nothing names a server or a token, or what names them can't be read.
    pub fn client(&self) -> anyhow::Result<Client> {
        let mut found = SavedLogin { server: String::new(), token: String::new() };
        if let Some(data) = &self.data {
            found = of_data_folder(data)?;
        } else if (self.server.is_none() || self.token.is_none())
            && let Some(saved) = saved_login()?
            && self.server.as_ref().is_none_or(|server| is_same(server, &saved.server))
        {
            found = saved;
        }
        let server = self.server.clone().unwrap_or(found.server);
        let token = self.token.clone().unwrap_or(found.token);
        if server.is_empty() {
            return Err(Hinted::usage(
                "no server is named",
                "log in once with `gofleet login URL`, or give --server and --token \
                 (GOFLEET_SERVER, GOFLEET_TOKEN), or --data with the data folder of a server here",
            )
            .into());
        }
        if token.is_empty() {
            return Err(Hinted::usage(
                format!("no token for {server} is known"),
                "log in once with `gofleet login URL`, or give --token (GOFLEET_TOKEN); the \
                 server wrote it to `admin-token` in its data folder at its first start",
            )
            .into());
        }
        let client = Client::with_token(&server, &token)?;
        Ok(client.under(self.ticket.as_deref().unwrap_or_default()))
    }
}

fn ticket(text: &str) -> Result<String, String> {
    let fits = text.len() <= 100 && text.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
    if fits && !text.is_empty() {
        Ok(text.to_owned())
    } else {
        Err("a ticket is up to 100 letters, digits and signs without spaces".to_owned())
    }
}

fn is_same(left: &str, right: &str) -> bool {
    left.trim_end_matches('/') == right.trim_end_matches('/')
}

/// What a server on this machine wrote into its data folder.
fn of_data_folder(data: &Path) -> anyhow::Result<SavedLogin> {
    let read = |name: &str| {
        let path = data.join(name);
        fs::read_to_string(&path)
            .map(|text| text.trim().to_owned())
            .with_context(|| format!("{} can't be read", path.display()))
    };
    let hint = || {
        let message = format!("{} is not the data folder of a running server", data.display());
        Hinted::new(message, "start one there: `gofleet server --data DIR`")
    };
    Ok(SavedLogin {
        server: read("address").with_context(hint)?,
        token: read("admin-token").with_context(hint)?,
    })
}

/// The saved login, if there is one.
fn saved_login() -> anyhow::Result<Option<SavedLogin>> {
    let path = login_path()?;
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).with_context(|| {
            Hinted::new(
                format!("the saved login in {} can't be read", path.display()),
                "log in again with `gofleet login URL`",
            )
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} can't be read", path.display())),
    }
}

/// Saves a login where only this user can read it; returns the file's path.
///
/// # Errors
///
/// If it can't be written.
pub fn save_login(login: &SavedLogin) -> anyhow::Result<PathBuf> {
    let path = login_path()?;
    let folder = path.parent().expect("the login lies in a folder");
    gofleet_platform::create_private_folder(folder)
        .and_then(|()| {
            let text = serde_json::to_vec_pretty(login)?;
            gofleet_platform::atomic_write(&path, &text, Access::Private)
        })
        .with_context(|| format!("{} can't be written", path.display()))?;
    Ok(path)
}

/// `gofleet/login.json` in the user's configuration folder: `$XDG_CONFIG_HOME`, else `~/.config`;
/// on Windows `%APPDATA%`.
fn login_path() -> anyhow::Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = if cfg!(windows) {
        set("APPDATA")
    } else {
        set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))
    };
    let folder =
        folder.context("the environment names no home folder (HOME, on Windows APPDATA)")?;
    Ok(folder.join("gofleet").join("login.json"))
}
