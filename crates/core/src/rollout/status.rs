//! A rollout as a person sees it: before it moves ([`RolloutPlan`]) and while it does
//! ([`RolloutStatus`]).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::RolloutSpec;
use crate::ids::{DeviceId, ReleaseId, RolloutId};
use crate::order::{Failure, Step, Taken};
use crate::time::{Span, Timestamp};
use crate::ways::WayKind;

/// Why something is as it is: for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Reason {
    /// The kind of reason, like `max_in_flight`.
    pub code: String,
    /// In words for an operator.
    pub text: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.text)
    }
}

/// What a rollout would do, before anything moves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RolloutPlan {
    /// What was asked for, with every default filled in.
    pub spec: RolloutSpec,
    /// The releases that would be installed, one for each platform.
    pub releases: Vec<ReleaseId>,
    /// The rings, first to last.
    pub rings: Vec<PlannedRing>,
    /// Devices that are picked but will not move, and why.
    pub left_out: Vec<LeftOut>,
    /// Number of devices that the selector did not pick.
    #[serde(default)]
    pub not_selected: u64,
    /// What a person should know before starting it.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Bytes that the devices will download in all, each in the cheapest way that there is now.
    pub bytes: u64,
    /// What they would download as original archives.
    #[serde(default)]
    pub archive_bytes: u64,
    /// How long it will take if nothing fails.
    pub expected: Span,
}

/// A ring before it moves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PlannedRing {
    /// Its name.
    pub name: String,
    /// Its devices.
    pub devices: Vec<PlannedDevice>,
    /// Bytes that they will download.
    pub bytes: u64,
    /// How long the ring will take if nothing fails.
    pub expected: Span,
}

/// A device before it moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PlannedDevice {
    /// The device.
    pub device: DeviceId,
    /// Its host name.
    pub hostname: String,
    /// The release that it would get.
    pub release: ReleaseId,
    /// The version that is active now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    /// Since when it has been offline; it is held apart until it comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline_since: Option<Timestamp>,
    /// Why it is kept out of rollouts; it is held apart until it is let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_out: Option<Reason>,
    /// The rollout that brings what its release requires, for which it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<RolloutId>,
    /// Why it waits for that, with the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Reason>,
}

/// A device that is picked but will not move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LeftOut {
    /// The device.
    pub device: DeviceId,
    /// Its host name.
    pub hostname: String,
    /// Why.
    pub reason: Reason,
}

/// Where a rollout stands, in the order of its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// It moves.
    Running,
    /// Nothing new is ordered until a person says so.
    Paused,
    /// A person stopped it: nothing new begins; what is switched already finishes or goes back.
    Stopping,
    /// Devices are put back.
    RollingBack,
    /// Every ring is through.
    Completed,
    /// A person ended it, and no device is under way any more.
    Stopped,
    /// Every device is put back.
    RolledBack,
}

impl RolloutState {
    /// Every state, in the order of life.
    pub const ALL: [Self; 7] = [
        Self::Running,
        Self::Paused,
        Self::Stopping,
        Self::RollingBack,
        Self::Completed,
        Self::Stopped,
        Self::RolledBack,
    ];

    /// As text, like in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::RollingBack => "rolling_back",
            Self::Completed => "completed",
            Self::Stopped => "stopped",
            Self::RolledBack => "rolled_back",
        }
    }

    /// Whether nothing will change any more by itself.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Running | Self::Paused | Self::Stopping | Self::RollingBack => false,
            Self::Completed | Self::Stopped | Self::RolledBack => true,
        }
    }
}

impl fmt::Display for RolloutState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A rollout at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RolloutSummary {
    /// The rollout.
    pub id: RolloutId,
    /// Its name for people.
    pub name: String,
    /// The version that it brings, like `1.27.3`.
    pub version: String,
    /// Where it stands.
    pub state: RolloutState,
    /// Why it stands there, if it is not simply moving.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Who started it.
    pub author: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// When its state changed last.
    pub changed_at: Timestamp,
    /// The ring that moves: its place, counted from 0; the number of rings once all are through.
    pub current_ring: u32,
    /// Number of rings.
    pub rings: u32,
    /// How many devices stand at which step.
    pub steps: BTreeMap<Step, u64>,
}

/// A rollout with every ring and device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RolloutStatus {
    /// At a glance.
    #[serde(flatten)]
    pub summary: RolloutSummary,
    /// What was asked for.
    pub spec: RolloutSpec,
    /// The rings, first to last.
    pub rings_detail: Vec<RingStatus>,
    /// Devices that are picked but do not move, and why.
    pub left_out: Vec<LeftOut>,
    /// Devices of which something is expected: in flight, and not silent.
    #[serde(default)]
    pub awaited: u32,
    /// Devices that wait for their user. They stand at `staged`, and take no place in flight.
    #[serde(default)]
    pub awaiting_user: u32,
    /// Bytes downloaded by all devices.
    pub bytes_downloaded: u64,
    /// How the release came onto the devices, and what that saved.
    #[serde(default)]
    pub traffic: Traffic,
    /// Sequence of the latest event that this view contains: follow the event stream after it.
    pub sequence: u64,
}

impl RolloutStatus {
    /// Devices on which something is done for an order; those that wait for their user are none of
    /// them.
    pub fn under_way(&self) -> u64 {
        let steps = self.summary.steps.iter().filter(|(step, _)| step.is_in_flight());
        let in_flight: u64 = steps.map(|(_, count)| count).sum();
        in_flight.saturating_sub(self.awaiting_user.into())
    }
}

/// How a release came onto the devices that have it, and what that saved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Traffic {
    /// The ways that were taken.
    pub ways: Vec<WayTraffic>,
    /// Of the bytes downloaded, those that came from distribution points.
    pub edge_bytes: u64,
    /// What the same devices would have downloaded as original archives.
    pub archive_bytes: u64,
    /// How much less they did download.
    pub saved_bytes: u64,
}

/// The devices that took one kind of way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WayTraffic {
    /// The kind of way.
    pub kind: WayKind,
    /// Number of devices.
    pub devices: u64,
    /// Bytes that they downloaded, those of ways that led nowhere included.
    pub bytes: u64,
}

/// A ring of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RingStatus {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: RingState,
    /// Why its gate is not open, or failed; empty once it is through.
    pub reasons: Vec<Reason>,
    /// What its gate counts.
    pub tally: Tally,
    /// When it opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When its gate passed or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Its devices.
    pub devices: Vec<DeviceStatus>,
}

/// What a ring's gate counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Tally {
    /// Devices in the ring.
    pub devices: u32,
    /// Not ordered yet, and online.
    pub waiting: u32,
    /// Not ordered or only offered, and held apart as offline.
    pub offline: u32,
    /// Not ordered, and held apart because of a hold or a quarantine.
    #[serde(default)]
    pub held: u32,
    /// Ordered, without a final answer, and not silent; those that wait for their user too.
    pub in_flight: u32,
    /// Of those in flight: they wait for their user, and take no place.
    #[serde(default)]
    pub awaiting_user: u32,
    /// Accepted with evidence, for the whole soak time.
    pub successes: u32,
    /// Failed, gone back by themselves, quarantined or silent.
    pub failures: u32,
    /// Of the failures: those that a person has accepted by resuming.
    pub waived: u32,
    /// Of the failures: silent ones.
    pub silent: u32,
    /// Put back by order, left out, or at fault themselves.
    pub out: u32,
}

impl Tally {
    /// Devices that are held apart, for whatever reason.
    pub const fn apart(&self) -> u32 {
        self.offline + self.held
    }
}

/// Where a ring stands, in the order of its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RingState {
    /// An earlier ring is not through.
    Waiting,
    /// It moves, or its gate waits.
    Running,
    /// It has shown what its gate asks for, and its devices go back, to show that they can.
    Rehearsing,
    /// They are back, and upgrade again: its gate counts that.
    Repeating,
    /// Its gate passed.
    Passed,
    /// Its gate failed.
    Failed,
    /// Its devices are being put back.
    RollingBack,
    /// Its devices are put back.
    RolledBack,
}

impl RingState {
    /// Every state, in the order of life.
    pub const ALL: [Self; 8] = [
        Self::Waiting,
        Self::Running,
        Self::Rehearsing,
        Self::Repeating,
        Self::Passed,
        Self::Failed,
        Self::RollingBack,
        Self::RolledBack,
    ];

    /// As text, like in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Rehearsing => "rehearsing",
            Self::Repeating => "repeating",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::RollingBack => "rolling_back",
            Self::RolledBack => "rolled_back",
        }
    }
}

impl fmt::Display for RingState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A device in a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DeviceStatus {
    /// The device.
    pub device: DeviceId,
    /// Its host name.
    pub hostname: String,
    /// The release that it gets.
    pub release: ReleaseId,
    /// Where it stands.
    pub step: Step,
    /// Since when.
    pub since: Timestamp,
    /// Whether it was heard within the last minutes.
    pub online: bool,
    /// Why it has not moved, or not to the end; absent once it has accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What is active on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    /// Bytes that it downloaded.
    pub bytes_downloaded: u64,
    /// How the release came onto it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<Taken>,
    /// What failed on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}
