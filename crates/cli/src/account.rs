//! `gofleet account` and `gofleet api-token`: who may do what, and by which proof.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use gofleet_api::{
    Account, AccountChange, AccountRequest, ApiToken, ApiTokenRequest, Client, FirstPassword,
    Grant, PasswordRequest, Role, WhoAmI,
};
use gofleet_core::account::{AccountSource, Permission};
use gofleet_core::ids::AccountName;
use gofleet_core::time::Span;

use crate::connection::Connection;
use crate::printer::{Printer, table};

/// Give people accounts with roles, and choose your own password
#[derive(Debug, Args)]
pub struct AccountArguments {
    #[command(subcommand)]
    verb: AccountVerb,
}

#[derive(Debug, Subcommand)]
enum AccountVerb {
    /// List the accounts
    #[command(after_help = "Example:\n  gofleet account list")]
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Make an account; prints a first password, which must be changed at the first login
    #[command(
        after_help = "Roles: viewer, operator, approver, security_admin, auditor. `operator@berlin` \
is one whose changes reach the devices of the collection `berlin` only. `gofleet account roles` \
tells what each may do.

Examples:
  gofleet account add ann --role operator --note 'Ann Lee, build systems'
  gofleet account add bob --role operator@berlin --role auditor"
    )]
    Add {
        #[command(flatten)]
        connection: Connection,
        /// The account
        #[arg(value_name = "NAME")]
        name: AccountName,
        /// A role that it has; may be repeated
        #[arg(long = "role", value_name = "ROLE[@COLLECTION]")]
        roles: Vec<Grant>,
        /// Whose it is
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
    },
    /// Change the roles or the note of an account
    #[command(after_help = "The roles that are given are all that it has from then on.

Examples:
  gofleet account set ann --role operator --role approver
  gofleet account set bob --no-roles")]
    Set {
        #[command(flatten)]
        connection: Connection,
        /// The account
        #[arg(value_name = "NAME")]
        name: AccountName,
        /// A role that it has; may be repeated
        #[arg(
            long = "role",
            value_name = "ROLE[@COLLECTION]",
            required_unless_present_any = ["note", "no_roles"]
        )]
        roles: Vec<Grant>,
        /// Take all its roles away
        #[arg(long, conflicts_with = "roles")]
        no_roles: bool,
        /// Whose it is
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Let an account do nothing; its sessions and API tokens end
    #[command(
        after_help = "Rollouts that act for it pause.\n\nExample:\n  gofleet account disable ann"
    )]
    Disable {
        #[command(flatten)]
        connection: Connection,
        /// The account
        #[arg(value_name = "NAME")]
        name: AccountName,
    },
    /// Let a disabled account do again what its roles permit
    #[command(after_help = "Example:\n  gofleet account enable ann")]
    Enable {
        #[command(flatten)]
        connection: Connection,
        /// The account
        #[arg(value_name = "NAME")]
        name: AccountName,
    },
    /// Remove an account with its sessions and API tokens
    #[command(
        after_help = "The audit log keeps what it did.\n\nExample:\n  gofleet account remove ann --dry-run"
    )]
    Remove {
        #[command(flatten)]
        connection: Connection,
        /// The account
        #[arg(value_name = "NAME")]
        name: AccountName,
        /// Only show what would be removed
        #[arg(long)]
        dry_run: bool,
    },
    /// Give an account another first password; its sessions and API tokens end
    #[command(after_help = "Example:\n  gofleet account reset-password ann")]
    ResetPassword {
        #[command(flatten)]
        connection: Connection,
        /// The account
        #[arg(value_name = "NAME")]
        name: AccountName,
    },
    /// Choose a password for your own account
    #[command(
        after_help = "Asks for the present password and the new one; without a terminal they are \
the two lines of the standard input.

Example:\n  gofleet account password"
    )]
    Password {
        #[command(flatten)]
        connection: Connection,
    },
    /// Show as whom this machine is logged in
    #[command(after_help = "Example:\n  gofleet account whoami")]
    Whoami {
        #[command(flatten)]
        connection: Connection,
    },
    /// Show what each role may do
    #[command(after_help = "Example:\n  gofleet account roles")]
    Roles,
}

/// Does it.
pub async fn run(arguments: AccountArguments, printer: Printer) -> anyhow::Result<ExitCode> {
    match arguments.verb {
        AccountVerb::List { connection } => {
            let accounts = connection.client()?.accounts().await?;
            printer.data(&accounts, |all| listed(all))?;
        }
        AccountVerb::Add { connection, name, roles: grants, note } => {
            let request = AccountRequest { name, note, grants };
            let client = connection.client()?;
            let made = client.add_account(&request).await?;
            printer.data(&made, |made| first_password(made, &client))?;
        }
        AccountVerb::Set { connection, name, roles, no_roles, note } => {
            let grants = (no_roles || !roles.is_empty()).then_some(roles);
            let change = AccountChange { note, grants, is_disabled: None };
            let account = connection.client()?.change_account(&name, &change).await?;
            printer.data(&account, told)?;
        }
        AccountVerb::Disable { connection, name } => {
            let change = AccountChange { is_disabled: Some(true), ..AccountChange::default() };
            let account = connection.client()?.change_account(&name, &change).await?;
            printer.data(&account, told)?;
        }
        AccountVerb::Enable { connection, name } => {
            let change = AccountChange { is_disabled: Some(false), ..AccountChange::default() };
            let account = connection.client()?.change_account(&name, &change).await?;
            printer.data(&account, told)?;
        }
        AccountVerb::Remove { connection, name, dry_run } => {
            let client = connection.client()?;
            if dry_run {
                let all = client.accounts().await?;
                let is_it = |it: &Account| it.name.as_str().eq_ignore_ascii_case(name.as_str());
                let found: Vec<Account> = all.into_iter().filter(is_it).collect();
                printer.data(&found, |found| listed(found))?;
            } else {
                let removed = client.remove_account(&name).await?;
                printer.data(&removed, |removed| format!("removed: {}", removed.name))?;
            }
        }
        AccountVerb::ResetPassword { connection, name } => {
            let client = connection.client()?;
            let reset = client.reset_password(&name).await?;
            printer.data(&reset, |made| first_password(made, &client))?;
        }
        AccountVerb::Password { connection } => {
            let client = connection.client()?;
            let old = secret("Present password: ")?;
            let new = secret("New password, 15 characters or more: ")?;
            if io::stdin().is_terminal() {
                let again = secret("New password again: ")?;
                anyhow::ensure!(new == again, "the two new passwords differ");
            }
            let account = client.choose_password(&PasswordRequest { old, new }).await?;
            printer
                .data(&account, |account| format!("changed the password of {}", account.name))?;
        }
        AccountVerb::Whoami { connection } => {
            let me = connection.client()?.who_am_i().await?;
            printer.data(&me, who)?;
        }
        AccountVerb::Roles => printer.data(&roles(), |_| roles_table())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes tokens by which programs act for you
#[derive(Debug, Args)]
pub struct ApiTokenArguments {
    #[command(subcommand)]
    verb: ApiTokenVerb,
}

#[derive(Debug, Subcommand)]
enum ApiTokenVerb {
    /// List your API tokens
    #[command(after_help = "Example:\n  gofleet api-token list")]
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Make an API token; prints it once
    #[command(
        after_help = "A program sends it as `Authorization: Bearer …`, or gofleet finds it in \
GOFLEET_TOKEN. It may do no more than you, and with --role no more than those roles.

Examples:
  gofleet api-token create --note 'nightly report' --role viewer --expires-in 90d
  gofleet api-token create --role operator --expires-in 8h"
    )]
    Create {
        #[command(flatten)]
        connection: Connection,
        /// What it is for
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
        /// A role that it may use [default: all that you have]; may be repeated
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<Role>,
        /// For how long it is good [default: 30d]
        #[arg(long, value_name = "SPAN")]
        expires_in: Option<Span>,
    },
    /// Revoke an API token
    #[command(after_help = "Example:\n  gofleet api-token revoke 1f3a5b7c9d0e")]
    Revoke {
        #[command(flatten)]
        connection: Connection,
        /// The token's id, which `list` tells
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// Does it.
pub async fn run_token(arguments: ApiTokenArguments, printer: Printer) -> anyhow::Result<ExitCode> {
    match arguments.verb {
        ApiTokenVerb::List { connection } => {
            let tokens = connection.client()?.api_tokens().await?;
            printer.data(&tokens, |all| tokens_table(all))?;
        }
        ApiTokenVerb::Create { connection, note, roles, expires_in } => {
            let request = ApiTokenRequest { note, roles, expires_in };
            let made = connection.client()?.make_api_token(&request).await?;
            printer.data(&made, |made| made.secret.clone())?;
            printer.message(format_args!(
                "token {} is good until {}; it is not shown again",
                made.token.id, made.token.expires_at
            ));
        }
        ApiTokenVerb::Revoke { connection, id } => {
            let revoked = connection.client()?.revoke_api_token(&id).await?;
            printer.data(&revoked, |revoked| format!("revoked: {}", revoked.id))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A password: asked for at a terminal, else the next line of the standard input.
pub fn secret(prompt: &str) -> anyhow::Result<String> {
    if io::stdin().is_terminal() {
        return rpassword::prompt_password(prompt).context("the terminal can't be read");
    }
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line).context("standard input can't be read")?;
    anyhow::ensure!(read > 0, "standard input ended before a password came");
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn first_password(made: &FirstPassword, client: &Client) -> String {
    let FirstPassword { account, password } = made;
    let authority = client.authority().map(|it| format!(" --authority {it}")).unwrap_or_default();
    format!(
        "{}\n  first password  {password}\nIt is not shown again, and must be changed at the first \
         login:\n  gofleet login {} --account {}{authority}\n  gofleet account password",
        told(account),
        client.server(),
        account.name
    )
}

fn told(account: &Account) -> String {
    let state = if account.is_disabled { " (disabled)" } else { "" };
    format!("{}{state}: {}", account.name, grants(account))
}

fn grants(account: &Account) -> String {
    let grants: Vec<String> = account.grants.iter().map(ToString::to_string).collect();
    if grants.is_empty() { "no role".to_owned() } else { grants.join(", ") }
}

fn listed(accounts: &[Account]) -> String {
    let row = |account: &Account| {
        let state = match (account.is_disabled, account.must_change_password, &account.source) {
            (true, ..) => "disabled",
            (false, true, _) => "first password",
            (false, false, AccountSource::Local) => "active",
            (false, false, AccountSource::Ldap { .. }) => "of the directory",
            (false, false, AccountSource::Oidc { .. }) => "single sign-on",
        };
        let roles = grants(account);
        vec![account.name.to_string(), roles, state.to_owned(), account.note.clone()]
    };
    let rows: Vec<_> = accounts.iter().map(row).collect();
    table(&["ACCOUNT", "ROLES", "STATE", "NOTE"], &rows)
}

fn tokens_table(tokens: &[ApiToken]) -> String {
    let row = |token: &ApiToken| {
        let roles: Vec<&str> = token.roles.iter().map(|role| role.as_str()).collect();
        let roles = if roles.is_empty() { "all".to_owned() } else { roles.join(", ") };
        vec![token.id.clone(), roles, token.expires_at.to_string(), token.note.clone()]
    };
    let rows: Vec<_> = tokens.iter().map(row).collect();
    table(&["TOKEN", "ROLES", "GOOD UNTIL", "NOTE"], &rows)
}

fn who(me: &WhoAmI) -> String {
    let account = match &me.account {
        None => "whoever holds the administrator's token: everything".to_owned(),
        Some(account) => grants(account),
    };
    let token = match &me.token {
        None => String::new(),
        Some(token) => format!("\n  token  {} until {}", token.id, token.expires_at),
    };
    format!("{}: {account}{token}", me.name)
}

/// What each role may do, for programs.
fn roles() -> Vec<(Role, Vec<&'static str>)> {
    let of = |role: Role| {
        Permission::ALL.iter().filter(|it| role.may(**it)).map(|it| it.as_str()).collect()
    };
    Role::ALL.into_iter().map(|role| (role, of(role))).collect()
}

fn roles_table() -> String {
    let head: Vec<&str> =
        ["PERMISSION"].into_iter().chain(Role::ALL.map(Role::as_str)).chain(["MEANING"]).collect();
    let rows: Vec<Vec<String>> = Permission::ALL
        .iter()
        .map(|permission| {
            let may = |role: Role| if role.may(*permission) { "yes" } else { "" }.to_owned();
            let mut row = vec![permission.to_string()];
            row.extend(Role::ALL.map(may));
            row.push(permission.meaning().to_owned());
            row
        })
        .collect();
    table(&head, &rows)
}
