//! `gofleet token`: one-use tokens with which machines enrol.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use gofleet_api::{TokenRequest, TokenView};
use gofleet_core::enrolment::{Network, Scope};
use gofleet_core::time::Span;

use crate::connection::Connection;
use crate::printer::{Printer, table};

/// Make and list the one-use tokens with which machines enrol
#[derive(Debug, Args)]
pub struct Token {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a token for one machine; it is shown this once
    #[command(after_help = "Examples:
  gofleet token create
  gofleet token create --ttl 15m --note 'build machine 7'
  gofleet token create --network 10.1.0.0/16 --devices 'label.site = berlin' --approval
  gofleet agent run --server https://gofleet.example.org --token \"$(gofleet token create)\"")]
    Create {
        #[command(flatten)]
        connection: Connection,
        /// For how long it is good, like 15m or 2d
        #[arg(long, value_name = "SPAN", default_value = "1h")]
        ttl: Span,
        /// For whom it is
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
        /// Only for machines from this network; may be repeated
        #[arg(long, value_name = "NETWORK")]
        network: Vec<Network>,
        /// Only for machines that this selector picks
        #[arg(long, value_name = "SELECTOR", default_value = "")]
        devices: String,
        /// Keep the machine out of rollouts until `gofleet device let-in`
        #[arg(long)]
        approval: bool,
    },
    /// List the tokens, without their text
    #[command(after_help = "Example:\n  gofleet token list")]
    List {
        #[command(flatten)]
        connection: Connection,
    },
}

/// Does it.
pub async fn run(token: Token, printer: Printer) -> anyhow::Result<ExitCode> {
    match token.verb {
        Verb::Create { connection, ttl, note, network, devices, approval } => {
            let scope = Scope { networks: network, devices, needs_approval: approval };
            let request = TokenRequest { expires_in: Some(ttl), note, scope };
            let token = connection.client()?.create_token(&request).await?;
            printer.message(format_args!("good for one machine until {}", token.expires_at));
            printer.data(&token, |token| token.token.clone())?;
        }
        Verb::List { connection } => {
            let tokens = connection.client()?.tokens().await?;
            printer.data(&tokens, |tokens| {
                let rows: Vec<_> = tokens.iter().map(row).collect();
                table(&["TOKEN", "EXPIRES", "USED BY", "FOR", "NOTE"], &rows)
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn row(token: &TokenView) -> Vec<String> {
    let used_by = token.used_by.clone().unwrap_or_else(|| "-".to_owned());
    let scope = token.scope.to_string();
    vec![token.id.clone(), token.expires_at.to_string(), used_by, scope, token.note.clone()]
}
