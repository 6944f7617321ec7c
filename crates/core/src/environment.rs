//! The environment variables that a system gives to every new program: which entries `PATH` has,
//! what is wrong with them as far as Go is concerned, and how to put it right.
//!
//! `PATH` is a list of entries, never a text to search in: entries are compared as wholes and by
//! [what they mean](Reader::key), and what is not edited stays byte for byte as it was, with its
//! order, its empty entries and its unexpanded `%VARIABLES%`.
//!
//! Nothing is read or written here. [`Surroundings`] tells what is on the disk, [`plan()`] makes
//! the new text, a [`Journal`] says what was there before, and whoever writes holds both.

mod difference;
mod findings;
mod journal;
mod list;
mod plan;
mod role;
mod snippet;
mod stored;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use difference::{Line, Mark, Reason, difference};
pub use findings::{Fault, Finding, Known, Severity, entries, examine};
pub use journal::{Change, Conflict, Entry, Journal, Place, Undo};
pub(crate) use list::expand;
pub use list::{Reader, Style, join, split};
pub use plan::{
    Excess, Limit, Plan, PlanError, Request, Savings, plan, value_length, whole_length,
};
pub use role::Role;
pub use snippet::{SnippetError, with_snippet};
pub use stored::{Stored, StoredError, Text};

/// Most characters (UTF-16 units) of a variable in the registry. Windows makes the environment of
/// a session from the registry with a buffer of 2,048, which includes the end (Raymond Chen,
/// "What is the maximum length of an environment variable?", The Old New Thing, 3 February 2010).
/// Newer Windows reads more, but what runs on it may not.
pub const LONGEST_VALUE: usize = 2047;

/// Most characters of the whole `PATH` that a program gets: beyond it `cmd.exe` takes no notice of
/// the variable (Microsoft, "Command prompt (Cmd.exe) command-line string limitation").
pub const LONGEST_WHOLE: usize = 8191;

/// For whom a variable is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// For one user.
    User,
    /// For all of them, services too.
    Machine,
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::User => "user",
            Self::Machine => "machine",
        })
    }
}

/// What is set in one scope, as far as it concerns Go; none: not set at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Variables {
    /// The search path.
    pub path: Option<Text>,
    /// Where a Go is said to be.
    pub goroot: Option<Text>,
}

/// What is set in both scopes. Windows gives a program the machine's `PATH` with the user's behind
/// it, and the user's `GOROOT` in place of the machine's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Environment {
    /// How lists are written.
    #[serde(skip)]
    pub style: Style,
    /// For all users.
    pub machine: Variables,
    /// For the user who asks. On Unix also what this very process has.
    pub user: Variables,
}

impl Environment {
    /// What is set in a scope.
    pub fn of(&self, scope: Scope) -> &Variables {
        match scope {
            Scope::User => &self.user,
            Scope::Machine => &self.machine,
        }
    }
}

/// What is known beside the variables that are looked at.
pub trait Surroundings {
    /// The value of an environment variable, by a name in any case; none if it is not set.
    fn variable(&self, name: &str) -> Option<String>;

    /// What stands under the full path of a folder.
    fn look(&self, folder: &str) -> Seen;
}

/// What stands under the path of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// A folder with a `go` program in it.
    Go,
    /// Another folder.
    Folder,
    /// Nothing, or no folder.
    Nothing,
    /// It can't be told from here: a network's folder, a drive that is not connected, a relative
    /// path.
    Unknown,
}

#[cfg(test)]
mod tests;
