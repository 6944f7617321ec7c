//! Artifacts: the files that a server hands out. Each is immutable and named by its SHA-256, so
//! that it may come from anywhere, and be kept anywhere, for ever.
//!
//! The original archive of a release is one; packs and deltas are made of it. What they prove is
//! nothing: a device compares what they make with the manifest that was ordered.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::ids::ReleaseId;
use crate::time::{Span, Timestamp};

/// The version of packs and deltas that this program makes and reads.
pub const FORMAT: u16 = 1;

/// What an artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ArtifactKind {
    /// The original archive of a release.
    Archive,
    /// A whole release, packed smaller and unpacked faster than its archive.
    Pack,
    /// What makes one release of another.
    Delta,
}

impl ArtifactKind {
    /// As text, like in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Pack => "pack",
            Self::Delta => "delta",
        }
    }
}

impl fmt::Display for ArtifactKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A pack or a delta that the server has made, or has tried to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Artifact {
    /// What it is.
    pub kind: ArtifactKind,
    /// The release that it makes.
    pub release: ReleaseId,
    /// The digest of that release's manifest.
    pub makes: Digest,
    /// The digest of the manifest of the tree that a delta begins with; none for a pack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Digest>,
    /// The version of its format.
    pub format: u16,
    /// How it came out.
    #[serde(flatten)]
    pub state: ArtifactState,
    /// When that was.
    pub made_at: Timestamp,
    /// How long it took.
    pub took: Span,
}

/// How the making of an artifact came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ArtifactState {
    /// It can be had.
    Ready {
        /// The SHA-256 of its bytes: its name.
        sha256: Digest,
        /// Its size in bytes.
        bytes: u64,
    },
    /// It saves too little to be kept.
    Useless {
        /// The size that it had, in bytes.
        bytes: u64,
    },
    /// It could not be made; it is tried again later.
    Failed {
        /// Why, in words for an operator.
        reason: String,
    },
}

impl ArtifactState {
    /// As text, like in the API.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Ready { .. } => "ready",
            Self::Useless { .. } => "useless",
            Self::Failed { .. } => "failed",
        }
    }
}

impl Artifact {
    /// Its name and size, if it can be had.
    pub const fn ready(&self) -> Option<(Digest, u64)> {
        match &self.state {
            ArtifactState::Ready { sha256, bytes } => Some((*sha256, *bytes)),
            ArtifactState::Useless { .. } | ArtifactState::Failed { .. } => None,
        }
    }
}
