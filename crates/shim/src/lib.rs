//! The shims `go` and `gofmt`: find the version for the current folder, become it.
//!
//! A shim runs at each start of Go, thousands of times in some builds, so it reads a handful of
//! small files and nothing else: no asynchronous runtime, no network, no log. It never installs
//! anything and never runs another version than the one that [`gofleet_core::resolve`] names.
//!
//! What it reads of a machine ([`Machine`]) also serves `gofleet which`, `why` and `exec`, so that
//! they tell what the shims do.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, ExitCode};

use gofleet_core::resolve::{Chosen, Modules, ResolveError, Switching};
use gofleet_core::toolchain::{changes_folder, is_for_local};
use thiserror::Error;

mod choice;
mod folder;
mod machine;
mod nesting;
mod remembering;
mod root;

pub use choice::{Choices, configuration_folder};
pub use folder::{changed_folder, current_folder};
pub use machine::{Machine, MachineError};
pub use nesting::Nesting;
pub use root::{default_root, own_root};

/// No Go could be run: none is installed, or not the one that is wanted. As in shells.
pub const NOT_FOUND: u8 = 127;
/// The wanted Go is there but does not start. As in shells.
pub const NOT_STARTED: u8 = 126;
/// A file or setting makes no sense; Go itself ends so when it refuses one.
pub const REFUSED: u8 = 1;

/// The programs of Go that have shims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// `go`
    Go,
    /// `gofmt`
    Gofmt,
}

impl Tool {
    /// The program's name without `.exe`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Gofmt => "gofmt",
        }
    }

    /// The tool that a program of this name stands for.
    pub fn named(program: &OsStr) -> Option<Self> {
        let stem = Path::new(program).file_stem()?.to_str()?;
        [Self::Go, Self::Gofmt].into_iter().find(|tool| stem.eq_ignore_ascii_case(tool.name()))
    }
}

/// Why a shim could not run Go.
#[derive(Debug, Error)]
pub enum ShimError {
    /// The machine could not be read.
    #[error(transparent)]
    Machine(MachineError),
    /// No version could be found.
    #[error(transparent)]
    Resolve(ResolveError),
    /// What lies where Go should is another shim.
    #[error("the shim was started {0} times within itself: what lies where Go should is a shim")]
    Circle(u32),
    /// Go did not start.
    #[error("{program} can't be started")]
    Start {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl ShimError {
    /// The exit code that tells of it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Resolve(
                ResolveError::NotInstalled { .. }
                | ResolveError::NothingInstalled
                | ResolveError::NothingChosen { .. },
            ) => NOT_FOUND,
            Self::Resolve(
                ResolveError::InvalidPin { .. }
                | ResolveError::Unreadable { .. }
                | ResolveError::Toolchain(_)
                | ResolveError::RelativeWorkspace,
            )
            | Self::Machine(_) => REFUSED,
            Self::Circle(_) | Self::Start { .. } => NOT_STARTED,
        }
    }

    /// What to do about it, if that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Resolve(error) => error.hint(),
            Self::Circle(_)
            | Self::Start { .. }
            | Self::Machine(MachineError::Unreadable { .. }) => {
                Some("run `gofleet doctor`".to_owned())
            }
            Self::Machine(MachineError::NoRoot) => None,
        }
    }

    /// Who speaks: `go` where the words are Go's.
    fn speaker(&self) -> &'static str {
        match self {
            Self::Resolve(ResolveError::Toolchain(_) | ResolveError::RelativeWorkspace) => "go",
            Self::Resolve(_) | Self::Machine(_) | Self::Circle(_) | Self::Start { .. } => "gofleet",
        }
    }
}

/// The tool that this program was called as, if it was.
pub fn invoked_as() -> Option<Tool> {
    let by_name = env::args_os().next().and_then(|name| Tool::named(&name));
    // Whoever starts a program may call it what he likes.
    by_name.or_else(|| Tool::named(env::current_exe().ok()?.as_os_str()))
}

/// Becomes the tool with this program's own arguments. Returns only if that is not possible, after
/// saying why; the exit code is then one of [`NOT_FOUND`], [`NOT_STARTED`], [`REFUSED`].
pub fn run(tool: Tool) -> ExitCode {
    let Err(error) = start(tool);
    let mut message = format!("{}: {error}", error.speaker());
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        message.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    eprintln!("{message}");
    if let Some(hint) = error.hint() {
        eprintln!("hint: {hint}");
    }
    ExitCode::from(error.exit_code())
}

fn start(tool: Tool) -> Result<std::convert::Infallible, ShimError> {
    let nesting = Nesting::of_this_process();
    nesting.check()?;
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let root = own_root().ok_or(ShimError::Machine(MachineError::NoRoot))?;
    let machine = Machine::read(root).map_err(ShimError::Machine)?;
    let mut folder = current_folder()
        .map_err(|source| ShimError::Machine(MachineError::current_folder(source)))?;
    let mut modules = Modules::Asked;
    if tool == Tool::Go {
        folder = changed_folder(folder, changes_folder(&arguments));
        modules = if is_for_local(&arguments) { Modules::Ignored } else { Modules::Asked };
    }
    let chosen = machine.resolve(&folder, modules).outcome.map_err(ShimError::Resolve)?;
    let mut command = Command::new(machine.program(&chosen.version, tool));
    gofleet_platform::exec::pass_arguments(&mut command);
    prepare(&mut command, &chosen, &nesting);
    let program = command.get_program().display().to_string();
    let source = gofleet_platform::process::exec(command);
    Err(ShimError::Start { program, source })
}

/// Sets the environment in which the chosen version runs: no `GOROOT` of another version, and no
/// switching beyond what was selected.
pub fn prepare(command: &mut Command, chosen: &Chosen, nesting: &Nesting) {
    // Each Go finds its own tree; with another's it would mix two versions.
    command.env_remove("GOROOT");
    nesting.enter(command, chosen.switching == Switching::Off);
}
