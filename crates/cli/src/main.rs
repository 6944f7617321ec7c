//! The `gofleet` program.
//!
//! Called as `go` or `gofmt` it behaves as the shim, before anything else is set up: a shim that
//! costs milliseconds would be felt at each build. Otherwise it reads its arguments, runs one
//! verb, and tells the outcome through one [`Printer`] and one place that prints errors.

use std::process::ExitCode;

mod account;
mod advise;
mod agent;
mod anomaly;
mod apply;
mod audit;
mod cache;
mod cli;
mod clock;
mod collection;
mod connection;
mod demo;
mod device;
mod edge;
mod emergency;
mod env;
mod export;
mod failure;
mod hold;
mod local;
mod logging;
mod login;
mod offer;
mod printer;
mod reference;
mod release;
mod rollout;
mod rule;
mod server;
mod token;
mod trust;

use anyhow::Context;
use cli::{Cli, Command};
use printer::Printer;

fn main() -> ExitCode {
    if let Some(tool) = gofleet_shim::invoked_as() {
        return gofleet_shim::run(tool);
    }
    let cli = cli::parse();
    let printer = Printer::new(cli.output.format(), cli.output.level());
    match run(cli, printer) {
        Ok(code) => code,
        Err(error) => failure::print(&error, printer),
    }
}

fn run(cli: Cli, printer: Printer) -> anyhow::Result<ExitCode> {
    #[cfg(windows)]
    let cli = match cli.command {
        // A service begins with a call that holds this thread until it ends.
        Command::Agent(arguments) => match arguments.of_service() {
            Ok(run) => return agent::service::serve(run),
            Err(arguments) => Cli { command: Command::Agent(arguments), ..cli },
        },
        command => Cli { command, ..cli },
    };
    let is_agent = matches!(&cli.command, Command::Agent(arguments) if arguments.is_run());
    // An agent waits nearly all of its life: one thread keeps it small.
    let mut builder = if is_agent {
        gofleet_platform::machine::keep_little_memory();
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let style =
        if is_agent && printer.is_json() { logging::Style::Json } else { logging::Style::Text };
    logging::start(cli.output.level(), style);
    let runtime = builder.enable_all().build().context("the program can't start its threads")?;
    let outcome = runtime.block_on(dispatch(cli.command, printer));
    // Work on other threads (an archive that is being unpacked) is not waited for: whoever begins
    // such work can be killed at any time.
    runtime.shutdown_background();
    outcome
}

async fn dispatch(command: Command, printer: Printer) -> anyhow::Result<ExitCode> {
    match command {
        Command::Rollout(arguments) => rollout::run(arguments, printer).await,
        Command::Apply(arguments) => apply::apply(arguments, printer).await,
        Command::Diff(arguments) => apply::diff(arguments, printer).await,
        Command::Emergency(arguments) => emergency::run(arguments, printer).await,
        Command::Hold(arguments) => hold::run(arguments, printer).await,
        Command::Collection(arguments) => collection::run(arguments, printer).await,
        Command::Release(arguments) => release::run(arguments, printer).await,
        Command::Device(arguments) => device::run(arguments, printer).await,
        Command::Anomaly(arguments) => anomaly::run(arguments, printer).await,
        Command::Audit(arguments) => audit::run(arguments, printer).await,
        Command::Advise(arguments) => advise::run(arguments, printer).await,
        Command::Export(arguments) => export::run(arguments, printer),
        Command::Token(arguments) => token::run(arguments, printer).await,
        Command::Trust(arguments) => trust::run(arguments, printer).await,
        Command::Account(arguments) => account::run(arguments, printer).await,
        Command::ApiToken(arguments) => account::run_token(arguments, printer).await,
        Command::Rule(arguments) => rule::run(arguments, printer).await,
        Command::Login(arguments) => login::run(arguments, printer).await,
        Command::Server(arguments) => server::run(arguments, printer).await,
        Command::Agent(arguments) => agent::run(arguments, printer).await,
        Command::Edge(arguments) => edge::run(arguments, printer).await,
        Command::Demo(arguments) => demo::run(arguments, printer).await,
        Command::Env(arguments) => env::run(&arguments, printer),
        Command::Offers(arguments) => offer::offers(arguments, printer),
        Command::Accept(arguments) => offer::accept(arguments, printer).await,
        Command::Postpone(arguments) => offer::postpone(arguments, printer).await,
        Command::Reference => reference::run(printer),
        Command::Local(command) => local::run(command, printer).await,
    }
}
