//! Why a device that is picked will not move.

use std::fmt;

use crate::hold::KeptOut;
use crate::ids::{ReleaseId, RolloutId};
use crate::release::{Platform, ReleaseStatus};
use crate::rollout::{Reason, Unmet};

/// Why a device that is picked will not move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftOutReason {
    /// The version is active already.
    AlreadyActive(String),
    /// A newer version is active.
    NewerActive(String),
    /// The catalog has the version for other platforms only.
    NoRelease(Platform),
    /// The release for its platform is not approved.
    NotApproved(ReleaseId, ReleaseStatus),
    /// Another rollout that has not ended has it.
    InAnotherRollout(RolloutId),
    /// Its packages are not what the release asks for.
    Packages(Unmet),
    /// No ring takes it.
    NoRing,
}

impl LeftOutReason {
    /// The kind of reason, like `already_active`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AlreadyActive(_) => "already_active",
            Self::NewerActive(_) => "newer_active",
            Self::NoRelease(_) => "no_release",
            Self::NotApproved(..) => "not_approved",
            Self::InAnotherRollout(_) => "in_another_rollout",
            Self::Packages(unmet) => unmet.code(),
            Self::NoRing => "no_ring",
        }
    }
}

impl fmt::Display for LeftOutReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyActive(version) => write!(formatter, "has {version} active already"),
            Self::NewerActive(version) => write!(formatter, "has the newer {version} active"),
            Self::NoRelease(platform) => write!(formatter, "no release for {platform}"),
            Self::NotApproved(release, status) => write!(formatter, "{release} is {status}"),
            Self::InAnotherRollout(id) => write!(formatter, "is part of rollout {id}"),
            Self::Packages(unmet) => write!(formatter, "{unmet}"),
            Self::NoRing => formatter.write_str("no ring takes it"),
        }
    }
}

impl LeftOutReason {
    /// What its packages are not, if that is the reason.
    pub(super) const fn unmet(&self) -> Option<&Unmet> {
        match self {
            Self::Packages(unmet) => Some(unmet),
            Self::AlreadyActive(_)
            | Self::NewerActive(_)
            | Self::NoRelease(_)
            | Self::NotApproved(..)
            | Self::InAnotherRollout(_)
            | Self::NoRing => None,
        }
    }
}

impl From<&LeftOutReason> for Reason {
    fn from(reason: &LeftOutReason) -> Self {
        Self { code: reason.code().to_owned(), text: reason.to_string() }
    }
}

impl From<&KeptOut> for Reason {
    fn from(kept_out: &KeptOut) -> Self {
        Self { code: kept_out.code().to_owned(), text: kept_out.to_string() }
    }
}
