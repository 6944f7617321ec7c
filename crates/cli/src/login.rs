//! `gofleet login`: keeps the server's address and an administrator's token for this user.

use std::io::{self, BufRead, IsTerminal};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use gofleet_api::Client;
use serde_json::json;

use crate::connection::{SavedLogin, save_login};
use crate::printer::Printer;

/// Save a server's address and an administrator's token for later verbs
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gofleet login https://127.0.0.1:8470
  gofleet login https://gofleet.example.org --token-file token.txt
  echo \"$TOKEN\" | gofleet login https://gofleet.example.org")]
pub struct Login {
    /// Address of the server
    #[arg(value_name = "URL")]
    server: String,
    /// File that holds the token [default: standard input]
    #[arg(long, value_name = "FILE")]
    token_file: Option<std::path::PathBuf>,
}

/// Checks the token with the server and saves it.
pub async fn run(login: Login, printer: Printer) -> anyhow::Result<ExitCode> {
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

fn read_token(printer: Printer) -> anyhow::Result<String> {
    if io::stdin().is_terminal() {
        printer.message(format_args!(
            "Administrator's token (the server wrote it to `admin-token` in its data folder):"
        ));
    }
    let mut token = String::new();
    io::stdin().lock().read_line(&mut token).context("standard input can't be read")?;
    Ok(token)
}
