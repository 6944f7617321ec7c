//! Verbs for the machine that one sits at, with or without a server.

use std::process::ExitCode;

use clap::Subcommand;

use crate::printer::Printer;

/// What can be done on this machine.
#[derive(Debug, Subcommand)]
pub enum LocalCommand {
    /// Install a version of Go on this machine
    Install,
}

/// Does it.
pub async fn run(command: LocalCommand, _printer: Printer) -> anyhow::Result<ExitCode> {
    match command {
        LocalCommand::Install => anyhow::bail!("not here yet"),
    }
}
