//! The chain that shows why a device may not get a release, in words.

use std::fmt;

use super::Moving;
use crate::dependency::Requirement;
use crate::ids::{PackageName, ReleaseId, RolloutId};
use crate::rollout::Reason;

/// Why a device may not get a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// Of which kind that is.
    pub kind: UnmetKind,
    /// From the release to what stands in its way.
    pub chain: Chain,
}

/// What kind of reason keeps a release from a device, from the mildest to the worst.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnmetKind {
    /// This rollout brings what is required, and has not ended.
    Waits(RolloutId),
    /// Something is missing that the catalog has.
    Missing,
    /// Something is missing, and no release in the catalog would do.
    Nowhere,
    /// Something on the device conflicts with it.
    Conflict,
    /// What is missing requires the release itself.
    Cycle,
}

impl UnmetKind {
    pub(super) const fn rank(&self) -> u8 {
        match self {
            Self::Waits(_) => 0,
            Self::Missing => 1,
            Self::Nowhere => 2,
            Self::Conflict => 3,
            Self::Cycle => 4,
        }
    }
}

impl Unmet {
    /// Every kind of reason.
    pub const CODES: [&str; 4] =
        ["waits_for_package", "package_missing", "package_conflict", "package_cycle"];

    /// The kind of reason, like `waits_for_package`.
    pub const fn code(&self) -> &'static str {
        match self.kind {
            UnmetKind::Waits(_) => "waits_for_package",
            UnmetKind::Missing | UnmetKind::Nowhere => "package_missing",
            UnmetKind::Conflict => "package_conflict",
            UnmetKind::Cycle => "package_cycle",
        }
    }

    /// The rollout that it waits for, if that is all.
    pub const fn waits_for(&self) -> Option<&RolloutId> {
        match &self.kind {
            UnmetKind::Waits(rollout) => Some(rollout),
            UnmetKind::Missing | UnmetKind::Nowhere | UnmetKind::Conflict | UnmetKind::Cycle => {
                None
            }
        }
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chain.fmt(formatter)?;
        match self.kind {
            UnmetKind::Cycle => formatter.write_str("; that is a circle"),
            UnmetKind::Waits(_) => formatter.write_str("; it waits until that has ended"),
            UnmetKind::Missing | UnmetKind::Nowhere | UnmetKind::Conflict => Ok(()),
        }
    }
}

impl From<&Unmet> for Reason {
    fn from(unmet: &Unmet) -> Self {
        Self { code: unmet.code().to_owned(), text: unmet.to_string() }
    }
}

/// Facts of which each leads to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain(pub Vec<Link>);

/// One fact of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// A release requires something.
    Requires {
        /// The release.
        release: ReleaseId,
        /// What it requires.
        requirement: Requirement,
    },
    /// A release may not stand beside something.
    ConflictsWith {
        /// The release.
        release: ReleaseId,
        /// Beside what.
        conflict: Requirement,
    },
    /// The device has a version of a package, or none.
    Has {
        /// The package.
        package: PackageName,
        /// The version.
        version: Option<String>,
    },
    /// A rollout is bringing a version to the device.
    Coming(Moving),
    /// A release of the catalog would fulfil what is required.
    WouldDo {
        /// The release.
        release: ReleaseId,
    },
    /// No release of the catalog would.
    NoneWouldDo,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requires { release, requirement } => {
                write!(f, "{release} requires {requirement}")
            }
            Self::ConflictsWith { release, conflict } => {
                write!(f, "{release} conflicts with {conflict}")
            }
            Self::Has { package, version: Some(version) } => {
                write!(f, "the device has {package} {version}")
            }
            Self::Has { package, version: None } => write!(f, "the device has no {package}"),
            Self::Coming(Moving { rollout, package, version }) => {
                write!(f, "rollout {rollout} brings {package} {version}")
            }
            Self::WouldDo { release } => write!(f, "{release} would do"),
            Self::NoneWouldDo => f.write_str("no release in the catalog would do"),
        }
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, link) in self.0.iter().enumerate() {
            let between = if place > 0 { "; " } else { "" };
            write!(formatter, "{between}{link}")?;
        }
        Ok(())
    }
}
