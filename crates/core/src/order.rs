//! What the server wants of a device, and what the device answers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::anomaly::Sample;
use crate::digest::Digest;
use crate::facts::Facts;
use crate::guard::{Guard, detects};
use crate::ids::{DeviceId, RolloutId};
use crate::offer::{Answer, Offer};
use crate::release::ReleaseRef;
use crate::time::{Span, Timestamp};
use crate::ways::WayKind;
use crate::window::Window;

/// What the server wants of one device. A device obeys the order with the highest generation that
/// it has seen, and refuses an older one, or another one under the same generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Order {
    /// For whom it is: a device refuses an order for another one.
    pub device: DeviceId,
    /// The server's epoch: grows when a server is restored or takes over from another.
    pub epoch: u64,
    /// Grows by one with each order for this device.
    pub generation: u64,
    /// When it was given.
    pub issued_at: Timestamp,
    /// The rollout that it belongs to.
    pub rollout: RolloutId,
    /// What is wanted.
    pub want: Want,
}

/// The generation of a device's next order, after the highest that was ever given to it or heard
/// from it.
///
/// Each epoch begins beyond all that an earlier one can have given. So even over a restore no two
/// orders share a generation: a late report about a lost order is never taken for one about
/// another, and a device that asks for what came after a lost order is not kept waiting.
pub fn next_generation(epoch: u64, latest: u64) -> u64 {
    // Nobody gets 4 billion orders in one epoch, nor does a server see 2 million epochs, up to
    // which the number is exact in a JSON number too.
    let first = (epoch.saturating_sub(1) << 32) + 1;
    if latest < first {
        first
    } else if detects(Guard::GenerationsGrow, true) {
        latest + 1
    } else {
        latest
    }
}

/// What an order wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Want {
    /// This release active, verified, and healthy for the soak time.
    Activate {
        /// The release.
        release: ReleaseRef,
        /// How long it must stay healthy after activation.
        soak: Span,
        /// When it may be made active, by the device's clock and zone; at any time if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        window: Option<Window>,
    },
    /// This release staged, and the user asked whether it may be made active. Nothing is activated
    /// under this order: another one follows once the user has accepted, or the deadline is over.
    Offer {
        /// The release.
        release: ReleaseRef,
        /// What the user is asked.
        offer: Offer,
    },
    /// The earlier release active again; needs no network.
    Revert {
        /// The release to go back to; none: no release of this package active, as before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        release: Option<ReleaseRef>,
    },
    /// Nothing begun: what is not activated yet is dropped, what is active stays.
    Hold,
}

/// Where a device stands with its order, in the order of its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Not ordered yet.
    Waiting,
    /// Ordered; the device has not answered yet.
    Offered,
    /// Downloading and unpacking.
    Fetching,
    /// Unpacked and verified; nothing changed for the user yet.
    Staged,
    /// Switching.
    Activating,
    /// Checking what was switched to.
    Verifying,
    /// Healthy so far; waiting for the soak time to pass.
    Soaking,
    /// Healthy for the whole soak time.
    Accepted,
    /// Something failed; going back begins.
    Failed,
    /// Going back to the earlier release.
    Reverting,
    /// The earlier release is active again.
    Reverted,
    /// Left out for a reason.
    Skipped,
    /// Taken out after repeated failure.
    Quarantined,
}

impl Step {
    /// Every step, in the order of life.
    pub const ALL: [Self; 13] = [
        Self::Waiting,
        Self::Offered,
        Self::Fetching,
        Self::Staged,
        Self::Activating,
        Self::Verifying,
        Self::Soaking,
        Self::Accepted,
        Self::Failed,
        Self::Reverting,
        Self::Reverted,
        Self::Skipped,
        Self::Quarantined,
    ];

    /// As text, like in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Offered => "offered",
            Self::Fetching => "fetching",
            Self::Staged => "staged",
            Self::Activating => "activating",
            Self::Verifying => "verifying",
            Self::Soaking => "soaking",
            Self::Accepted => "accepted",
            Self::Failed => "failed",
            Self::Reverting => "reverting",
            Self::Reverted => "reverted",
            Self::Skipped => "skipped",
            Self::Quarantined => "quarantined",
        }
    }

    /// Whether an order was given and no final answer has come.
    pub const fn is_in_flight(self) -> bool {
        match self {
            Self::Offered
            | Self::Fetching
            | Self::Staged
            | Self::Activating
            | Self::Verifying
            | Self::Soaking
            | Self::Failed
            | Self::Reverting => true,
            Self::Waiting | Self::Accepted | Self::Reverted | Self::Skipped | Self::Quarantined => {
                false
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// What a device reports at each step, and whenever it checks in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Report {
    /// Present when they changed since the last report that the server took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
    /// How it goes with the order; none while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// What the device measured of itself; every minute or so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signals: Option<Sample>,
}

/// How it goes with an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Progress {
    /// The order's generation.
    pub generation: u64,
    /// The order's digest, as in [`Seen`](crate::agent::Seen): a server whose database was put
    /// back may have given the generation again. Agents of before do not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Digest>,
    /// Grows with each report under one generation: a late or doubled report changes nothing.
    pub sequence: u64,
    /// Where the device stands.
    pub step: Step,
    /// What is active in the device's root, like `1.27.3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    /// When the window opens that the device waits for, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_until: Option<Timestamp>,
    /// What the user has answered to the offer, if the order is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Bytes downloaded for this order so far.
    pub bytes_downloaded: u64,
    /// How the release came onto the device; none while it has not, or where it was there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<Taken>,
    /// What failed, in words for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The evidence; present at `accepted` and `reverted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

/// The way that a release took onto a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Taken {
    /// What kind of way it was.
    pub kind: WayKind,
    /// Of the bytes downloaded for the order, those that came from a distribution point.
    #[serde(default)]
    pub edge_bytes: u64,
    /// The ways that were tried before it, and why each led nowhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given_up: Vec<GivenUp>,
}

/// A way that led nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct GivenUp {
    /// What kind of way it was.
    pub kind: WayKind,
    /// Why, in words for an operator.
    pub reason: String,
}

/// What failed on a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Failure {
    /// At which step.
    pub step: Step,
    /// Which kind of failure, for grouping.
    pub kind: FailureKind,
    /// The error with its causes.
    pub message: String,
}

impl Failure {
    /// Whether another failure is of the same sort: of the same kind at the same step.
    pub fn is_like(&self, other: &Self) -> bool {
        (self.step, self.kind) == (other.step, other.kind)
    }
}

/// Kinds of failure on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The server or mirror could not be reached, for all retries.
    Network,
    /// What arrived, or what is on disk, is not what the manifest says.
    Integrity,
    /// No room on the disk.
    DiskFull,
    /// A file could not be written, renamed or removed.
    FileSystem,
    /// A check of the active release failed.
    Check,
    /// What would be needed to go back is not there.
    NothingToRevertTo,
    /// The approvers have not signed it, or the server has not signed the order.
    Unapproved,
    /// What says whether it may be run has expired, or cannot be fetched or believed.
    Untrusted,
}

impl FailureKind {
    /// Whether it says nothing of the release, and may pass by itself.
    pub const fn may_pass(self) -> bool {
        match self {
            Self::Network | Self::DiskFull | Self::FileSystem | Self::Untrusted => true,
            Self::Integrity | Self::Check | Self::NothingToRevertTo | Self::Unapproved => false,
        }
    }
}

/// The device's evidence for how an order ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Receipt {
    /// How it ended: `accepted` or `reverted`.
    pub outcome: Step,
    /// What is active at the end, like `1.27.3`.
    pub active: Option<String>,
    /// The manifest that the active tree was compared with.
    pub manifest: Option<Digest>,
    /// Number of files that were compared with it.
    pub files_verified: u64,
    /// The checks of the release that is active at the end.
    pub evidence: Option<Evidence>,
    /// Bytes downloaded for the order.
    pub bytes_downloaded: u64,
    /// How the release came onto the device; none where it was there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<Taken>,
    /// When the device began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Time of each step that it went through.
    pub steps: Vec<(Step, Span)>,
    /// What failed, if it was put back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// What the checks of an active release saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Evidence {
    /// SHA-256 of the `go` executable that was started.
    pub go_sha256: Digest,
    /// What `go version` printed.
    pub go_version: String,
    /// What `go env GOROOT` printed.
    pub goroot: String,
    /// The first `go` on the `PATH` that the agent runs with.
    pub path_hit: Option<String>,
    /// Whether that is gofleet's shim.
    pub path_is_managed: bool,
    /// What a program printed that was compiled and run offline.
    pub program_output: String,
    /// How long all checks took.
    pub took: Span,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_generation_is_given_twice_over_a_restore() {
        assert_eq!(next_generation(1, 0), 1);
        assert_eq!(next_generation(1, 41), 42);
        // Restored from a backup of before generation 42: epoch 2 begins beyond it.
        assert_eq!(next_generation(2, 41), (1 << 32) + 1);
        assert_eq!(next_generation(2, (1 << 32) + 1), (1 << 32) + 2);
        // A device has told of a later one, which a lost server gave.
        assert_eq!(next_generation(2, (7 << 32) + 5), (7 << 32) + 6);
    }
}
