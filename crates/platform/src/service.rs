//! A program as a service of the system: of systemd on Linux, of the service control manager on
//! Windows.
//!
//! What the service is ([`Definition`]) becomes text by pure functions ([`Definition::unit`],
//! [`Definition::command_line`], [`Definition::describe`]); the rest hands that to the system.

mod definition;

#[cfg(unix)]
#[path = "service/unix.rs"]
mod system;
#[cfg(windows)]
#[path = "service/windows.rs"]
mod system;

use std::fmt;
use std::io;
use std::path::Path;

pub use definition::{ACCOUNT, Definition, STOP_SECS, Unquotable};
#[cfg(unix)]
pub use system::Systemd;
#[cfg(windows)]
pub use system::{Host, host};

/// Where a service stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There is none of this name.
    NotInstalled,
    /// It does not run.
    Stopped,
    /// It was asked to run, and does not yet.
    Starting,
    /// It runs.
    Running,
    /// It was asked to end, and has not yet.
    Stopping,
    /// It ended with an error, and is not started again.
    Failed,
}

/// What an installation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The service is new.
    Installed,
    /// It was there with another definition; a running one goes on by the old until it restarts.
    Updated,
    /// It was there as it should be.
    Nothing,
}

impl State {
    /// As one word, or two.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotInstalled => "not installed",
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Makes the service, or brings it up to its definition. It starts with the machine; a stopped one
/// is not started.
///
/// # Errors
///
/// What the system said; `InvalidInput` if a path or argument can't be written into a definition.
pub fn install(definition: &Definition) -> io::Result<Change> {
    system::install(definition)
}

/// Lets the service read a file that only its owner could read.
///
/// # Errors
///
/// What the system said.
pub fn share(definition: &Definition, file: &Path) -> io::Result<()> {
    system::share(definition, file)
}

/// Stops the service and removes it; whether there was one.
///
/// # Errors
///
/// What the system said.
pub fn uninstall(name: &str) -> io::Result<bool> {
    system::uninstall(name)
}

/// Starts the service, and waits until it runs; nothing if it does already.
///
/// # Errors
///
/// What the system said; `TimedOut` if it does not run within half a minute.
pub fn start(name: &str) -> io::Result<()> {
    system::start(name)
}

/// Stops the service, and waits until it has ended; nothing if it does not run.
///
/// # Errors
///
/// What the system said; `TimedOut` if it does not end in twice the time that it has.
pub fn stop(name: &str) -> io::Result<()> {
    system::stop(name)
}

/// Where the service stands.
///
/// # Errors
///
/// What the system said, as where no service manager runs.
pub fn state(name: &str) -> io::Result<State> {
    system::state(name)
}
