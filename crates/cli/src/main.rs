//! The `gofleet` program.
//!
//! Called as `go` or `gofmt` it behaves as the shim, before anything else is set up: a shim that
//! costs milliseconds would be felt at each build. Otherwise it reads its arguments, runs one
//! verb, and tells the outcome through one [`Printer`] and one place that prints errors.

use std::process::ExitCode;

mod cli;
mod failure;
mod local;
mod logging;
mod printer;

use cli::{Cli, Command};
use printer::Printer;

fn main() -> ExitCode {
    let cli = cli::parse();
    let printer = Printer::new(cli.output.format(), cli.output.level());
    match run(cli, printer) {
        Ok(code) => code,
        Err(error) => failure::print(&error, printer),
    }
}

fn run(cli: Cli, printer: Printer) -> anyhow::Result<ExitCode> {
    logging::start(cli.output.level(), logging::Style::Text);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        match cli.command {
            Command::Local(command) => local::run(command, printer).await,
        }
    })
}
