//! What happened on the server: one entry for each change of its state.
//!
//! Events are written in the transaction of the change itself, so that the list is neither ahead
//! of the state nor behind it. They feed the event stream and a device's history.

use serde::{Deserialize, Serialize};

use crate::anomaly::Withheld;
use crate::canary::Look;
use crate::hold::{Hold, QuarantineCause};
use crate::ids::{CollectionName, DeviceId, HoldId, ReleaseId, RolloutId};
use crate::offer::Answer;
use crate::order::{Failure, Step};
use crate::release::ReleaseStatus;
use crate::rollout::{GateInputs, RingState, RolloutState, WantKind};
use crate::time::{Span, Timestamp};

/// One change of the server's state. On the stream, `id:` is the sequence and `event:` the kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Event {
    /// Grows by one with each event.
    pub sequence: u64,
    /// When it happened, by the server's clock.
    pub at: Timestamp,
    /// What changed.
    #[serde(flatten)]
    pub what: Change,
}

/// A change of the server's state: `kind` says which, `data` holds the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "kind", content = "data")]
pub enum Change {
    /// Everything was stopped.
    #[serde(rename = "emergency.stopped")]
    EmergencyStopped {
        /// Who called it.
        by: String,
        /// Why.
        reason: String,
    },
    /// The emergency stop was lifted.
    #[serde(rename = "emergency.lifted")]
    EmergencyLifted {
        /// Who lifted it.
        by: String,
    },
    /// Devices are kept out of rollouts.
    #[serde(rename = "hold.made")]
    HoldMade {
        /// The hold.
        hold: Hold,
    },
    /// A hold was lifted before its end.
    #[serde(rename = "hold.lifted")]
    HoldLifted {
        /// The hold.
        hold: HoldId,
        /// Who lifted it.
        by: String,
    },
    /// Who belongs to a collection was written, for the first time or anew.
    #[serde(rename = "collection.set")]
    CollectionSet {
        /// The collection.
        collection: CollectionName,
        /// Who wrote it.
        by: String,
    },
    /// A collection was deleted.
    #[serde(rename = "collection.deleted")]
    CollectionDeleted {
        /// The collection.
        collection: CollectionName,
        /// Who deleted it.
        by: String,
    },
    /// A device was put into quarantine.
    #[serde(rename = "device.quarantined")]
    DeviceQuarantined {
        /// The device.
        device: DeviceId,
        /// What for.
        cause: QuarantineCause,
    },
    /// A device was let out of quarantine.
    #[serde(rename = "device.let_in")]
    DeviceLetIn {
        /// The device.
        device: DeviceId,
        /// Who let it.
        by: String,
        /// For how long it was well, if it was let in for that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        healthy_for: Option<Span>,
    },
    /// So many devices are anomalous at once that it is not the devices: none is put into
    /// quarantine.
    #[serde(rename = "anomaly.withheld")]
    AnomalyWithheld {
        /// Which, and how many.
        withheld: Withheld,
    },
    /// A token to enrol one device was made.
    #[serde(rename = "token.created")]
    TokenCreated {
        /// When it ends.
        expires_at: Timestamp,
    },
    /// A machine became a device.
    #[serde(rename = "device.enrolled")]
    DeviceEnrolled {
        /// The device.
        device: DeviceId,
        /// Its host name.
        hostname: String,
    },
    /// A device told something new of itself.
    #[serde(rename = "device.facts")]
    DeviceFacts {
        /// The device.
        device: DeviceId,
        /// What is active on it.
        active: Option<String>,
    },
    /// A device came late into a rollout, and joined a ring.
    #[serde(rename = "device.joined")]
    DeviceJoined {
        /// The device.
        device: DeviceId,
        /// The rollout.
        rollout: RolloutId,
        /// The ring's name.
        ring: String,
    },
    /// An order was given.
    #[serde(rename = "device.ordered")]
    DeviceOrdered {
        /// The device.
        device: DeviceId,
        /// The rollout that the order belongs to.
        rollout: RolloutId,
        /// The order's generation.
        generation: u64,
        /// What it wants.
        want: WantKind,
    },
    /// A device took a step with its order.
    #[serde(rename = "device.step")]
    DeviceStep {
        /// The device.
        device: DeviceId,
        /// The rollout that the order belongs to.
        rollout: RolloutId,
        /// The order's generation.
        generation: u64,
        /// Where it stands now.
        step: Step,
        /// Bytes that it downloaded for the order.
        bytes_downloaded: u64,
        /// What failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// The user of a device has answered an offer.
    #[serde(rename = "device.answered")]
    DeviceAnswered {
        /// The device.
        device: DeviceId,
        /// The rollout that offers its release.
        rollout: RolloutId,
        /// The order's generation.
        generation: u64,
        /// What was answered so far.
        answer: Answer,
    },
    /// A device has not answered its order in time.
    #[serde(rename = "device.silent")]
    DeviceSilent {
        /// The device.
        device: DeviceId,
        /// The rollout that the order belongs to.
        rollout: RolloutId,
    },
    /// A release came into the catalog.
    #[serde(rename = "release.imported")]
    ReleaseImported {
        /// The release.
        release: ReleaseId,
    },
    /// A release was approved or blocked.
    #[serde(rename = "release.decided")]
    ReleaseDecided {
        /// The release.
        release: ReleaseId,
        /// What it is now.
        status: ReleaseStatus,
        /// Who decided.
        by: String,
    },
    /// A rollout was started.
    #[serde(rename = "rollout.started")]
    RolloutStarted {
        /// The rollout.
        rollout: RolloutId,
        /// Its name for people.
        name: String,
        /// Who started it.
        by: String,
    },
    /// Users need not be asked any more.
    #[serde(rename = "rollout.assigned")]
    RolloutAssigned {
        /// The rollout.
        rollout: RolloutId,
        /// The device, if it is only one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<DeviceId>,
        /// Who said so.
        by: String,
    },
    /// A rollout changed its state.
    #[serde(rename = "rollout.state")]
    RolloutState {
        /// The rollout.
        rollout: RolloutId,
        /// Its state now.
        state: RolloutState,
        /// Why, in words; empty if it goes without saying.
        reason: String,
    },
    /// A ring changed its state.
    #[serde(rename = "rollout.ring")]
    RingState {
        /// The rollout.
        rollout: RolloutId,
        /// The ring's name.
        ring: String,
        /// Its state now.
        state: RingState,
        /// Why, in words; empty if it goes without saying.
        reason: String,
        /// What its gate decided that by, if it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inputs: Option<GateInputs>,
    },
    /// The signals of a ring's devices were compared with those of the others.
    #[serde(rename = "rollout.look")]
    RingLook {
        /// The rollout.
        rollout: RolloutId,
        /// The ring's name.
        ring: String,
        /// What was seen.
        look: Look,
    },
}

impl Change {
    /// The kind, like `device.step`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::EmergencyStopped { .. } => "emergency.stopped",
            Self::EmergencyLifted { .. } => "emergency.lifted",
            Self::HoldMade { .. } => "hold.made",
            Self::HoldLifted { .. } => "hold.lifted",
            Self::CollectionSet { .. } => "collection.set",
            Self::CollectionDeleted { .. } => "collection.deleted",
            Self::DeviceQuarantined { .. } => "device.quarantined",
            Self::DeviceLetIn { .. } => "device.let_in",
            Self::AnomalyWithheld { .. } => "anomaly.withheld",
            Self::TokenCreated { .. } => "token.created",
            Self::DeviceEnrolled { .. } => "device.enrolled",
            Self::DeviceFacts { .. } => "device.facts",
            Self::DeviceJoined { .. } => "device.joined",
            Self::DeviceOrdered { .. } => "device.ordered",
            Self::DeviceStep { .. } => "device.step",
            Self::DeviceAnswered { .. } => "device.answered",
            Self::DeviceSilent { .. } => "device.silent",
            Self::ReleaseImported { .. } => "release.imported",
            Self::ReleaseDecided { .. } => "release.decided",
            Self::RolloutStarted { .. } => "rollout.started",
            Self::RolloutAssigned { .. } => "rollout.assigned",
            Self::RolloutState { .. } => "rollout.state",
            Self::RingState { .. } => "rollout.ring",
            Self::RingLook { .. } => "rollout.look",
        }
    }

    /// The device that it concerns.
    pub const fn device(&self) -> Option<&DeviceId> {
        match self {
            Self::DeviceEnrolled { device, .. }
            | Self::DeviceFacts { device, .. }
            | Self::DeviceQuarantined { device, .. }
            | Self::DeviceLetIn { device, .. }
            | Self::DeviceJoined { device, .. }
            | Self::DeviceOrdered { device, .. }
            | Self::DeviceStep { device, .. }
            | Self::DeviceAnswered { device, .. }
            | Self::DeviceSilent { device, .. } => Some(device),
            Self::RolloutAssigned { device, .. } => device.as_ref(),
            Self::EmergencyStopped { .. }
            | Self::EmergencyLifted { .. }
            | Self::HoldMade { .. }
            | Self::HoldLifted { .. }
            | Self::CollectionSet { .. }
            | Self::CollectionDeleted { .. }
            | Self::AnomalyWithheld { .. }
            | Self::TokenCreated { .. }
            | Self::ReleaseImported { .. }
            | Self::ReleaseDecided { .. }
            | Self::RolloutStarted { .. }
            | Self::RolloutState { .. }
            | Self::RingState { .. }
            | Self::RingLook { .. } => None,
        }
    }

    /// The rollout that it concerns.
    pub const fn rollout(&self) -> Option<&RolloutId> {
        match self {
            Self::DeviceJoined { rollout, .. }
            | Self::DeviceOrdered { rollout, .. }
            | Self::DeviceStep { rollout, .. }
            | Self::DeviceAnswered { rollout, .. }
            | Self::DeviceSilent { rollout, .. }
            | Self::RolloutAssigned { rollout, .. }
            | Self::RolloutStarted { rollout, .. }
            | Self::RolloutState { rollout, .. }
            | Self::RingState { rollout, .. }
            | Self::RingLook { rollout, .. } => Some(rollout),
            Self::EmergencyStopped { .. }
            | Self::EmergencyLifted { .. }
            | Self::HoldMade { .. }
            | Self::HoldLifted { .. }
            | Self::CollectionSet { .. }
            | Self::CollectionDeleted { .. }
            | Self::DeviceQuarantined { .. }
            | Self::DeviceLetIn { .. }
            | Self::AnomalyWithheld { .. }
            | Self::TokenCreated { .. }
            | Self::DeviceEnrolled { .. }
            | Self::DeviceFacts { .. }
            | Self::ReleaseImported { .. }
            | Self::ReleaseDecided { .. } => None,
        }
    }
}
