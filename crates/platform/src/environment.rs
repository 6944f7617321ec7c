//! Where a system keeps the environment of new programs: registry values on Windows, files that
//! shells read on Unix. Reading them, replacing them, and telling programs that run.
//!
//! What [`swap`] guarantees: the value is replaced as a whole (a kill leaves the old or the new
//! one), with exactly the type and bytes that are given, and only if directly before it is what
//! the caller had read. Whoever holds [`Alone`] is alone among programs that ask for it, so
//! between two of ours nothing is lost. Neither registry nor file system can compare and replace
//! in one step, though: another program that writes between our last look and our write, some
//! microseconds later, is not seen.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use thiserror::Error;

#[cfg(unix)]
#[path = "environment/unix.rs"]
mod system;
#[cfg(windows)]
#[path = "environment/windows.rs"]
mod system;

/// Something that holds (part of) an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A value in the registry; there is none on Unix.
    Value {
        /// The key that has it.
        key: Key,
        /// Its name, in any case.
        name: String,
    },
    /// A file.
    File(PathBuf),
}

/// A key of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    hive: Hive,
    path: String,
}

/// Which part of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hive {
    /// `HKEY_LOCAL_MACHINE`.
    Machine,
    /// `HKEY_CURRENT_USER`.
    User,
}

/// Exactly what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// The type of a registry value; 0 for a file.
    pub kind: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Why nothing was replaced.
#[derive(Debug, Error)]
pub enum SwapError {
    /// It is not what the caller had read.
    #[error("it was changed by another program at this very moment")]
    Changed,
    /// The system said no.
    #[error(transparent)]
    System(io::Error),
}

/// How far a change was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Every window took notice.
    All,
    /// Some did not answer in time; they may still.
    NotAll,
    /// There is nobody to tell on this system.
    Nobody,
}

/// Nobody else who asks for it changes an environment of this scope until it is dropped. It ends
/// with the process, however that ends.
#[derive(Debug)]
pub struct Alone {
    _held: system::Alone,
}

impl Key {
    /// The environment of all users (Microsoft, "Environment Variables").
    pub fn machine() -> Self {
        let path = r"SYSTEM\CurrentControlSet\Control\Session Manager\Environment".to_owned();
        Self { hive: Hive::Machine, path }
    }

    /// The environment of the user who runs this program.
    pub fn user() -> Self {
        Self { hive: Hive::User, path: "Environment".to_owned() }
    }

    /// Another key of that user, to try things on.
    #[cfg(all(test, windows))]
    fn of_user(path: &str) -> Self {
        Self { hive: Hive::User, path: path.to_owned() }
    }
}

impl Alone {
    /// Waits up to `longest` until nobody else changes an environment.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`], or what the system said.
    pub fn enter(longest: Duration) -> io::Result<Self> {
        system::Alone::enter(longest).map(|held| Self { _held: held })
    }
}

/// What is stored; none if there is nothing.
///
/// # Errors
///
/// What the system said.
pub fn read(location: &Location) -> io::Result<Option<Raw>> {
    let path = match location {
        Location::Value { key, name } => return system::read_value(key, name),
        Location::File(path) => path,
    };
    match fs::read(path) {
        Ok(bytes) => Ok(Some(Raw { kind: 0, bytes })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces what is stored if it is `expected`; none stands for nothing, on both sides. When this
/// returns it is on the disk. A file keeps its mode, and a link to it stays one.
///
/// # Errors
///
/// [`SwapError::Changed`] with nothing replaced, or what the system said:
/// [`io::ErrorKind::PermissionDenied`] where rights are missing.
pub fn swap(
    location: &Location,
    expected: Option<&Raw>,
    new: Option<&Raw>,
    _alone: &Alone,
) -> Result<(), SwapError> {
    let found = read(location).map_err(SwapError::System)?;
    if found.as_ref() != expected {
        return Err(SwapError::Changed);
    }
    system::write(location, new).map_err(SwapError::System)
}

/// Whether what is stored could be replaced with the rights of this process, found out without
/// changing anything.
///
/// # Errors
///
/// [`io::ErrorKind::PermissionDenied`] if not, or what else the system said.
pub fn check_access(location: &Location) -> io::Result<()> {
    system::check_access(location)
}

/// Tells programs that run that the environment has changed, so that what they start gets the new
/// one: `WM_SETTINGCHANGE` with `"Environment"` to every top-level window. Waits at most
/// `longest`.
///
/// Windows' own time limit is one per window ("SendMessageTimeoutW": five windows that hang take
/// five times as long), so the message is sent by a thread that is left behind when time is up.
pub fn announce(longest: Duration) -> Told {
    let (sender, receiver) = mpsc::channel();
    let spawned = thread::Builder::new().name("announce".to_owned()).spawn(move || {
        // Nobody listens any more if time was up.
        let _ = sender.send(system::announce(longest));
    });
    match spawned {
        Ok(_) => receiver.recv_timeout(longest).unwrap_or(Told::NotAll),
        Err(_) => Told::NotAll,
    }
}

#[cfg(test)]
mod tests;
