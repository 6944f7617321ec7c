//! Devices, as administrators see them: what each told of itself, and every order that it had.

use serde::{Deserialize, Serialize};

use crate::anomaly::DeviceHealth;
use crate::emergency::EmergencyStop;
use crate::facts::Facts;
use crate::hold::{Hold, KeptOut};
use crate::hook::HookDelivery;
use crate::ids::{DeviceId, RolloutId};
use crate::offer::{Answer, Offer};
use crate::order::{Failure, Receipt, Step};
use crate::rollout::RolloutSummary;
use crate::time::{Span, Timestamp};

/// A device that was heard within this span counts as online. An agent's poll is answered after
/// 30 seconds at most, so this forgives three that were lost.
pub const ONLINE_WITHIN: Span = Span::from_secs(2 * 60);

/// A device, as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Device {
    /// The device.
    pub id: DeviceId,
    /// What it told of itself last.
    pub facts: Facts,
    /// When it enrolled.
    pub enrolled_at: Timestamp,
    /// When it was heard last, by the server's clock.
    pub last_seen: Timestamp,
    /// Whether it was heard within [`ONLINE_WITHIN`].
    pub online: bool,
    /// Why it is kept out of rollouts, while it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_out: Option<KeptOut>,
    /// Where it stands with its latest order; absent while it never had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<DeviceHistory>,
}

/// One device with its past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DeviceDetail {
    /// The device.
    pub device: Device,
    /// How it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<DeviceHealth>,
    /// The latest calls of hooks about it, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookDelivery>,
    /// Every order that it had, newest first.
    pub history: Vec<DeviceHistory>,
}

/// One order that a device had, and how it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DeviceHistory {
    /// The order's generation.
    pub generation: u64,
    /// The rollout that it belonged to.
    pub rollout: RolloutId,
    /// What it wanted, in words: `activate go-1.27.3-linux-amd64`.
    pub wanted: String,
    /// When it was given.
    pub issued_at: Timestamp,
    /// Where the device stands with it.
    pub step: Step,
    /// When the device said so.
    pub step_at: Timestamp,
    /// What it offered to the device's user, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
    /// What the user has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Bytes downloaded for it.
    pub bytes_downloaded: u64,
    /// What failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The device's evidence for how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

/// The whole fleet at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Overview {
    /// Number of devices.
    pub devices: u64,
    /// Those of them that were heard within [`ONLINE_WITHIN`].
    pub online: u64,
    /// Those of them that are in quarantine.
    #[serde(default)]
    pub quarantined: u64,
    /// The holds that hold now or will, oldest first.
    #[serde(default)]
    pub holds: Vec<Hold>,
    /// How many devices have which version active, newest version first, `none` last.
    pub versions: Vec<VersionCount>,
    /// Rollouts that have not ended, newest first.
    pub moving: Vec<RolloutSummary>,
    /// The emergency stop, while it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emergency: Option<EmergencyStop>,
    /// Sequence of the latest event that this view contains: follow the event stream after it.
    pub sequence: u64,
}

/// How many devices have a version active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct VersionCount {
    /// Like `1.27.3`; absent: no version of gofleet's is active.
    pub version: Option<String>,
    /// Number of devices.
    pub devices: u64,
}
