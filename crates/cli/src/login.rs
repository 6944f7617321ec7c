//! `gofleet login`: keeps the server's address and a token for this user.

use std::io::{self, BufRead, IsTerminal};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use gofleet_api::{ApiTokenRequest, Client, TokenLoginRequest};
use gofleet_core::digest::Digest;
use gofleet_core::ids::AccountName;
use serde_json::json;

use crate::account::secret;
use crate::connection::{SavedLogin, save_login};
use crate::printer::Printer;

/// Log in to a server, for later verbs
#[derive(Debug, Args)]
#[command(after_help = "With --account the password is asked for, and an API token saved that is \
good for thirty days; without, a token is asked for and saved: the administrator's, or one that the \
page Account of the console makes for whoever signs in there by single sign-on.

Examples:
  gofleet login https://gofleet.example.org --account ann
  gofleet login https://127.0.0.1:8470
  gofleet login https://gofleet.example.org --token-file token.txt
  echo \"$TOKEN\" | gofleet login https://gofleet.example.org")]
pub struct Login {
    /// Address of the server
    #[arg(value_name = "URL")]
    server: String,
    /// Your account, here or in the company's directory [default: a token is asked for]
    #[arg(long, value_name = "NAME", conflicts_with = "token_file")]
    account: Option<AccountName>,
    /// Digest of the authority that vouches for the server [default: those that this machine trusts]
    #[arg(long, value_name = "DIGEST", requires = "account")]
    authority: Option<Digest>,
    /// File that holds the token [default: standard input]
    #[arg(long, value_name = "FILE")]
    token_file: Option<std::path::PathBuf>,
}

/// Checks the token with the server and saves it.
pub async fn run(login: Login, printer: Printer) -> anyhow::Result<ExitCode> {
    if let Some(account) = login.account {
        return by_password(&login.server, account, login.authority, printer).await;
    }
    let token = match &login.token_file {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("{} can't be read", path.display()))?,
        None => read_token(printer)?,
    };
    let token = token.trim().to_owned();
    let client = Client::with_token(&login.server, &token)?;
    let overview = client.overview().await?;
    let server = client.server().to_owned();
    let path = save_login(&SavedLogin { server: server.clone(), token })?;
    let answer = json!({ "server": server, "devices": overview.devices, "saved": path });
    printer.data(&answer, |_| {
        format!("logged in to {server} ({} devices); saved in {}", overview.devices, path.display())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Logs in with a password and saves the API token that comes of it.
async fn by_password(
    server: &str,
    account: AccountName,
    authority: Option<Digest>,
    printer: Printer,
) -> anyhow::Result<ExitCode> {
    let client = Client::public(server, authority)?;
    let password = secret(&format!("Password of {account}: "))?;
    let host = gofleet_platform::machine::hostname();
    let token = ApiTokenRequest { note: format!("login from {host}"), ..Default::default() };
    let made = client.log_in(&TokenLoginRequest { account, password, token }).await?;
    let server = client.server().to_owned();
    let secret = match authority {
        Some(authority) => gofleet_api::trust::with_authority(
            gofleet_api::trust::secret_in(&made.secret),
            &authority,
        ),
        None => made.secret,
    };
    let path = save_login(&SavedLogin { server: server.clone(), token: secret })?;
    let answer = json!({ "server": server, "token": made.token, "saved": path });
    printer.data(&answer, |_| {
        let (name, until) = (&made.token.account, made.token.expires_at);
        format!("logged in to {server} as {name} until {until}; saved in {}", path.display())
    })?;
    Ok(ExitCode::SUCCESS)
}

fn read_token(printer: Printer) -> anyhow::Result<String> {
    if io::stdin().is_terminal() {
        printer.message(format_args!(
            "Token (yours, or the administrator's, which the server wrote to `admin-token` in its \
             data folder):"
        ));
    }
    let mut token = String::new();
    io::stdin().lock().read_line(&mut token).context("standard input can't be read")?;
    Ok(token)
}
