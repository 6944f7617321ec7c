//! Verbs for the machine that one sits at, with or without a server.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use gofleet_core::ids::ReleaseId;
use gofleet_core::release::{Platform, ReleaseRef};
use gofleet_core::resolve::{Pin, ResolveError};
use gofleet_shim::Machine;

use crate::agent::root_or_default;
use crate::printer::Printer;

mod adopt;
mod choose;
mod depot;
pub(crate) mod doctor;
mod exec;
mod install;
mod inventory;
mod list;
mod prune;
mod uninstall;
mod why;

/// What can be done on this machine; what each does stands with its arguments.
#[derive(Debug, Subcommand)]
pub enum LocalCommand {
    Install(install::Install),
    Use(choose::Use),
    List(list::List),
    Inventory(inventory::InventoryArguments),
    Which(why::Which),
    Why(why::Why),
    Exec(exec::Exec),
    Uninstall(uninstall::Uninstall),
    Prune(prune::Prune),
    Pin(prune::PinVersion),
    Unpin(prune::UnpinVersion),
    Adopt(adopt::Adopt),
    Depot(depot::DepotArguments),
    Doctor(doctor::Doctor),
}

/// Does it.
pub async fn run(command: LocalCommand, printer: Printer) -> anyhow::Result<ExitCode> {
    match command {
        LocalCommand::Install(install) => install::run(install, printer).await,
        LocalCommand::Use(choose) => choose::run(&choose, printer),
        LocalCommand::List(list) => list::run(&list, printer),
        LocalCommand::Inventory(arguments) => inventory::run(&arguments, printer),
        LocalCommand::Which(which) => why::which(&which, printer),
        LocalCommand::Why(why) => why::why(&why, printer),
        LocalCommand::Exec(exec) => exec::run(&exec),
        LocalCommand::Uninstall(uninstall) => uninstall::run(&uninstall, printer),
        LocalCommand::Prune(prune) => prune::run(&prune, printer),
        LocalCommand::Pin(pin) => prune::pin(&pin, printer),
        LocalCommand::Unpin(unpin) => prune::unpin(&unpin, printer),
        LocalCommand::Adopt(adopt) => adopt::run(adopt, printer).await,
        LocalCommand::Depot(arguments) => depot::run(&arguments, printer),
        LocalCommand::Doctor(doctor) => doctor::run(&doctor, printer),
    }
}

/// Where the versions of Go are kept.
#[derive(Debug, Clone, Args)]
pub(crate) struct RootOption {
    /// Folder that holds the versions of Go [default: ~/.gofleet, on Windows
    /// %LOCALAPPDATA%\gofleet]
    #[arg(long, value_name = "DIR", env = "GOFLEET_ROOT")]
    root: Option<PathBuf>,
}

impl RootOption {
    pub(crate) fn path(&self) -> anyhow::Result<PathBuf> {
        root_or_default(self.root.clone())
    }

    /// Whether somebody said which one, and it is not the user's own by default.
    pub(crate) fn is_named(&self) -> bool {
        self.root.is_some()
    }

    fn machine(&self) -> anyhow::Result<Machine> {
        Ok(Machine::read(self.path()?)?)
    }
}

fn parse_pin(text: &str) -> Result<Pin, String> {
    text.parse().map_err(|error: gofleet_core::version::InvalidVersion| error.to_string())
}

/// The release of an installed version on this machine.
fn release_id(version: &str) -> ReleaseId {
    let package = "go".parse().expect("a package name");
    ReleaseRef::id_of(&package, version, &Platform::of_this_program())
        .expect("an installed version comes from such an id")
}

/// The installed version that a person means.
fn installed(pin: &Pin, machine: &Machine) -> Result<String, ResolveError> {
    pin.choose(machine.installed()).map(str::to_owned).ok_or_else(|| ResolveError::NotInstalled {
        version: pin.to_string(),
        place: "the command".to_owned(),
    })
}

/// The folder that the person stands in, as the shims see it.
fn current_folder() -> anyhow::Result<PathBuf> {
    gofleet_shim::current_folder().context("the current folder can't be read")
}

/// The folders on `PATH`, in order.
fn search_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).filter(|folder| !folder.as_os_str().is_empty()).collect()
}

/// Whether two folders are one, however they are written.
fn is_same(left: &Path, right: &Path) -> bool {
    let canonical = gofleet_platform::canonical;
    match (canonical(left), canonical(right)) {
        (Ok(left), Ok(right)) => left == right,
        _ => left == right,
    }
}
