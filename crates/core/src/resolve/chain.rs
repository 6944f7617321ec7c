//! What was considered on the way to a version: what `gofleet why` prints.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// Something that was considered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Considered {
    /// What it is.
    #[serde(flatten)]
    pub source: Source,
    /// What it says; none if it says nothing.
    pub says: Option<String>,
    /// What came of it.
    pub role: Role,
}

/// Something that can say which version is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum Source {
    /// `GOFLEET_VERSION`
    Variable,
    /// A `.go-version`
    VersionFile {
        /// Where it lies.
        path: PathBuf,
    },
    /// A `.tool-versions`
    ToolVersions {
        /// Where it lies.
        path: PathBuf,
    },
    /// Go's own setting, `GOTOOLCHAIN`.
    Toolchain,
    /// A `go.mod` or `go.work`
    Module {
        /// Where it lies.
        path: PathBuf,
    },
    /// The user's choice.
    User,
    /// The machine's choice.
    Machine,
}

/// What came of something that was considered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It says nothing.
    Unset,
    /// It says something that does not count here.
    PassedOver,
    /// It is what Go's own selection starts from.
    Base,
    /// It decides.
    Chooses,
}

impl Considered {
    pub(super) fn new(source: Source, says: &str) -> Self {
        Self { source, says: Some(says.to_owned()), role: Role::PassedOver }
    }

    pub(super) fn unset(source: Source) -> Self {
        Self { source, says: None, role: Role::Unset }
    }

    pub(super) fn with_role(self, role: Role) -> Self {
        Self { role, ..self }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable => formatter.write_str(super::VERSION_VARIABLE),
            Self::VersionFile { path } | Self::ToolVersions { path } | Self::Module { path } => {
                write!(formatter, "{}", path.display())
            }
            Self::Toolchain => formatter.write_str("GOTOOLCHAIN"),
            Self::User => formatter.write_str("the user's choice"),
            Self::Machine => formatter.write_str("the machine's choice"),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Unset => "says nothing",
            Self::PassedOver => "does not count here",
            Self::Base => "is what Go's selection starts from",
            Self::Chooses => "decides",
        })
    }
}
