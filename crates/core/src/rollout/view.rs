//! What the engine knows of a rollout when it decides: read from storage, free of words for
//! people.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Devices, EarlierFailure, Exposure, LeftOut, RingState, RolloutSpec, RolloutState, Unmet,
};
use crate::canary::{Comparison, Look};
use crate::emergency::EmergencyStop;
use crate::hold::{KeptOut, QuarantineCause};
use crate::ids::{DeviceId, ReleaseId, RolloutId};
use crate::offer::Answer;
use crate::order::{Failure, Step, Taken};
use crate::statistics::Share;
use crate::time::{Span, Timestamp};

/// A rollout, as storage holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutView {
    /// The rollout.
    pub id: RolloutId,
    /// What was asked for.
    pub spec: RolloutSpec,
    /// Where it stands.
    pub state: RolloutState,
    /// Why it is paused or ended so.
    pub cause: Option<Cause>,
    /// Who started it.
    pub author: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// When its state changed last.
    pub changed_at: Timestamp,
    /// One for each ring of the specification, in its order.
    pub rings: Vec<RingView>,
    /// Its devices, in the order of their rings and then of their ids.
    pub devices: Devices,
    /// Devices that the plan left out.
    pub left_out: Vec<LeftOut>,
    /// The releases of the rollout that are not approved any more: nobody new may get them.
    pub unapproved: Vec<ReleaseId>,
    /// The emergency stop, while it holds.
    pub emergency: Option<EmergencyStop>,
    /// The blast radius and what others take of it, if there is one.
    pub exposure: Option<Exposure>,
    /// Since when the server has been listening.
    pub listening_since: Timestamp,
}

/// A ring, as storage holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingView {
    /// Where it stands.
    pub state: RingState,
    /// When it opened.
    pub started_at: Option<Timestamp>,
    /// When its gate passed or failed.
    pub ended_at: Option<Timestamp>,
    /// The latest look at the signals of its devices.
    pub look: Option<Look>,
}

impl RingView {
    /// A ring that has not begun.
    pub const WAITING: Self =
        Self { state: RingState::Waiting, started_at: None, ended_at: None, look: None };
}

/// A device of a rollout, as storage holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceView {
    /// The device.
    pub device: DeviceId,
    /// Its host name.
    pub hostname: String,
    /// Its ring's place, counted from 0.
    pub ring: u32,
    /// The release that it gets.
    pub release: ReleaseId,
    /// Where it stands with the rollout's latest order for it.
    pub step: Step,
    /// Since when.
    pub since: Timestamp,
    /// The rollout's latest order for it; none while it waits for one.
    pub order: Option<OrderView>,
    /// What was active before the rollout's first order for it.
    pub previous: Previous,
    /// What is active on it, by its latest facts or progress.
    pub active: Option<String>,
    /// When it was heard last.
    pub last_seen: Timestamp,
    /// Whether its silence has been noted.
    pub is_silent: bool,
    /// How often the rollout has ordered it to activate.
    pub attempts: u32,
    /// When the rollout first offered its release to the device's user, if it did.
    pub offered_at: Option<Timestamp>,
    /// Who has said that its user need not be asked, if somebody has.
    pub assigned_by: Option<String>,
    /// Whether a person has accepted its failure by resuming.
    pub is_waived: bool,
    /// What the engine has put it into quarantine for, because of this rollout.
    pub quarantined_for: Option<QuarantineCause>,
    /// Its failures in other rollouts, the latest first; they are looked for once it fails here.
    pub earlier_failures: Vec<EarlierFailure>,
    /// Why it is kept out of all rollouts, while it is.
    pub kept_out: Option<KeptOut>,
    /// What its packages are not as its release asks for, if they are not.
    pub unmet: Option<Box<Unmet>>,
    /// A later rollout that has ordered something else of it since: this one leaves it alone.
    pub superseded_by: Option<RolloutId>,
    /// Bytes that it downloaded.
    pub bytes_downloaded: u64,
    /// How the release came onto it.
    pub way: Option<Taken>,
    /// The size of the release's original archive, in bytes.
    pub archive_bytes: u64,
    /// What failed on it.
    pub failure: Option<Failure>,
}

/// Whether a device is within hearing: each has been heard lately, is still waited for, or is
/// held apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearing {
    /// Heard lately enough to be given an order.
    Heard,
    /// Not heard, by a server that has not listened for long enough to call it offline.
    Unheard,
    /// Not heard for long: held apart until it comes back.
    Offline,
}

impl Hearing {
    /// What the time says of a device that may be silent for as long as `patience`. A server could
    /// not hear it before it listened, so its silence does not count from earlier.
    pub fn of(
        last_seen: Timestamp,
        listening_since: Timestamp,
        patience: Span,
        now: Timestamp,
    ) -> Self {
        if now.since(last_seen) <= patience {
            Self::Heard
        } else if now.since(listening_since) <= patience {
            Self::Unheard
        } else {
            Self::Offline
        }
    }
}

/// An order, as far as the engine cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderView {
    /// Its generation.
    pub generation: u64,
    /// What it wants.
    pub want: WantKind,
    /// When it was given.
    pub ordered_at: Timestamp,
    /// When the device moved on with it last: took another step, or got more bytes.
    pub progressed_at: Timestamp,
    /// When the window opens that the device waits for, by its own word.
    pub waits_until: Option<Timestamp>,
    /// What its user has answered, by its own word, if the order is an offer.
    pub answer: Option<Answer>,
}

/// What an order wants, without the details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WantKind {
    /// The rollout's release active.
    Activate,
    /// The rollout's release staged, and the user asked.
    Offer,
    /// The earlier release active again.
    Revert,
    /// Nothing begun.
    Hold,
}

impl WantKind {
    /// As text, like in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Activate => "activate",
            Self::Offer => "offer",
            Self::Revert => "revert",
            Self::Hold => "hold",
        }
    }
}

/// What was active on a device before a rollout moved it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Previous {
    /// No release of the package.
    Nothing,
    /// This release of the catalog.
    Release(ReleaseId),
    /// This version, which the catalog does not have: no order can name it.
    Unknown(String),
}

/// Why a rollout is paused, or has ended before its last ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Cause {
    /// A person asked for it.
    Person {
        /// Who.
        by: String,
    },
    /// A ring's gate failed.
    GateFailed {
        /// The ring's name.
        ring: String,
        /// How.
        failure: GateFailure,
    },
    /// Devices of a ring that rehearses cannot go back.
    RehearsalFailed {
        /// The ring's name.
        ring: String,
        /// How many they are.
        devices: u32,
    },
    /// A release lost its approval.
    NotApproved {
        /// Which one.
        release: ReleaseId,
    },
    /// The person for whom it acts may not start such a rollout any more.
    RightsEnded {
        /// Who.
        by: String,
    },
    /// Everything was stopped.
    Emergency {
        /// By whom and why.
        stop: EmergencyStop,
    },
    /// Silent or broken devices take every place in flight, or all the room that the blast radius
    /// leaves, so nothing can ever move on.
    OnlySilence {
        /// How many they are.
        silent: u32,
    },
}

/// How a gate failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum GateFailure {
    /// More devices failed than the gate allows.
    TooManyFailures {
        /// How many failed that nobody has waived.
        failures: u32,
        /// How many may.
        max: u32,
    },
    /// It is shown that more fail than may.
    FailureRate {
        /// How many failed that nobody has waived, in this ring and all before it.
        failures: u32,
        /// How many failed or accepted there.
        of: u32,
        /// How many may.
        max: Share,
    },
    /// All answers are in, and they don't show that few enough fail.
    Inconclusive {
        /// How many failed that nobody has waived, in this ring and all before it.
        failures: u32,
        /// How many failed or accepted there.
        of: u32,
        /// How many may fail.
        max: Share,
        /// So many more successes, and no failure, would show it.
        more: u32,
    },
    /// All answers are in, and they are too few.
    TooFewSuccesses {
        /// How many accepted.
        successes: u32,
        /// How many must.
        min: u32,
    },
    /// The devices that have the release are worse by a signal than those that don't.
    Worse {
        /// The signal.
        comparison: Comparison,
        /// So much of what is normal would be tolerated.
        tolerance: Share,
    },
    /// All answers are in, and the signals don't show whether the devices are worse.
    Unclear {
        /// A signal that does not; none if nothing was measured.
        comparison: Option<Comparison>,
        /// So much of what is normal is tolerated.
        tolerance: Share,
    },
}

impl Cause {
    /// The kind of cause, like `gate_failed`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Person { .. } => "person",
            Self::GateFailed { .. } => "gate_failed",
            Self::RehearsalFailed { .. } => "rehearsal_failed",
            Self::NotApproved { .. } => "not_approved",
            Self::Emergency { .. } => "emergency",
            Self::RightsEnded { .. } => "rights_ended",
            Self::OnlySilence { .. } => "only_silence",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person { by } => write!(formatter, "asked for by {by}"),
            Self::GateFailed { ring, failure } => {
                write!(formatter, "the gate of ring `{ring}` failed: {failure}")
            }
            Self::RehearsalFailed { ring, devices } => {
                let devices = match devices {
                    1 => "1 device".to_owned(),
                    devices => format!("{devices} devices"),
                };
                write!(
                    formatter,
                    "{devices} of ring `{ring}` cannot go back, so the release could not be \
                     undone there: resume to go on without them"
                )
            }
            Self::NotApproved { release } => {
                write!(formatter, "{release} is not approved any more")
            }
            Self::RightsEnded { by } => write!(
                formatter,
                "{by}, for whom it acts, may not start such a rollout any more: whoever resumes it \
                 answers for it"
            ),
            Self::Emergency { stop } => write!(formatter, "{stop}"),
            Self::OnlySilence { silent } => write!(
                formatter,
                "no place is left, and {silent} silent or broken devices take theirs for good: \
                 resume to go on without them"
            ),
        }
    }
}

impl fmt::Display for GateFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyFailures { failures, max } => {
                write!(formatter, "{failures} failed, at most {max} may")
            }
            Self::FailureRate { failures, of, max } => {
                write!(formatter, "{failures} of {of} failed, which shows that more than {max} do")
            }
            Self::Inconclusive { failures, of, max, more } => write!(
                formatter,
                "{failures} of {of} failed, which does not show that less than {max} do: {more} \
                 more successes would"
            ),
            Self::TooFewSuccesses { successes, min } => {
                write!(formatter, "{successes} accepted, at least {min} must")
            }
            Self::Worse { comparison, tolerance } => {
                write!(formatter, "{comparison}; {tolerance} of that is tolerated")
            }
            Self::Unclear { comparison: Some(comparison), tolerance } => write!(
                formatter,
                "{comparison}: whether that is more than the {tolerance} that are tolerated is not \
                 shown. More devices in the ring would show it; resume to go on without"
            ),
            Self::Unclear { comparison: None, .. } => {
                formatter.write_str("no signals were measured; resume to go on without")
            }
        }
    }
}
