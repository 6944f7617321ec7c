//! What a device, or a ring's gate, waits on: typed, and in words.

use std::fmt;

use super::{Cause, GateFailure, Reason, Unmet};
use crate::canary::Look;
use crate::hold::KeptOut;
use crate::ids::RolloutId;
use crate::offer::Answer;
use crate::order::{Failure, Step};
use crate::time::{Span, Timestamp};

/// What a device, or a ring's gate, waits on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitingOn {
    /// The rollout is paused.
    Paused(Option<Cause>),
    /// The rollout is being stopped, or was.
    Stopped,
    /// The rollout is being put back, or was.
    RolledBack,
    /// The rollout completed without it: it was offline all the time.
    WasOffline {
        /// When it was heard last.
        since: Timestamp,
    },
    /// Another rollout ordered something else of it.
    Superseded(RolloutId),
    /// An earlier ring has not passed.
    Ring(String),
    /// Held apart until it comes back.
    Offline {
        /// When it was heard last.
        since: Timestamp,
    },
    /// Held, or in quarantine: held apart until it is let in.
    KeptOut(KeptOut),
    /// Its packages are not what its release asks for.
    Packages(Unmet),
    /// This server has not heard it yet, and has not listened for long enough to hold it apart.
    Unheard {
        /// When it was heard last.
        since: Timestamp,
    },
    /// As many devices are in flight as may be.
    MaxInFlight {
        /// How many may.
        max: u32,
    },
    /// As many devices of all rollouts are in flight or broken as may be.
    BlastRadius {
        /// How many may.
        max: u32,
    },
    /// The next tick.
    Order,
    /// It has its order, and has not answered yet.
    Answer {
        /// Since when.
        since: Timestamp,
    },
    /// It has staged the release, and its window is closed.
    Window {
        /// When it opens, by the device's clock and zone.
        opens: Timestamp,
    },
    /// It has staged the release, and its user is asked.
    User {
        /// When the release is activated without asking.
        deadline: Timestamp,
        /// What the user has answered.
        answer: Answer,
    },
    /// It is on its way.
    Step {
        /// Where it is.
        step: Step,
        /// Since when.
        since: Timestamp,
    },
    /// It has not answered in time, which counts as a failure.
    Silent {
        /// When it was heard last.
        since: Timestamp,
    },
    /// It failed for a reason that may pass, and tries again.
    Retry {
        /// When.
        at: Timestamp,
        /// Which attempt that is.
        attempt: u32,
        /// Of how many.
        of: u32,
        /// What failed.
        failure: Failure,
    },
    /// It failed.
    Failed(Option<Failure>),
    /// It was put back by order.
    PutBack,
    /// A rollback cannot reach it, since the catalog does not have what it had before.
    UnknownPrevious {
        /// What it had.
        version: String,
    },
    /// The gate waits for answers.
    Answers {
        /// Devices that have not been ordered or not answered.
        missing: u32,
    },
    /// The gate waits for more successes, and only devices that are held apart are left.
    Successes {
        /// How many there are.
        successes: u32,
        /// How many it needs.
        needed: u32,
        /// How many are held apart.
        apart: u32,
    },
    /// The gate waits until it is shown that few enough fail.
    Confidence {
        /// What the devices up to this ring show so far.
        so_far: GateFailure,
        /// The failure rate may still be as high as this, in millionths.
        bound: u32,
    },
    /// The gate waits until the signals of upgraded devices and others can be compared.
    Signals {
        /// So many must be measured on each side.
        devices: u32,
        /// Each for so long.
        measure: Span,
        /// What was seen so far.
        latest: Option<Look>,
    },
    /// Its ring goes back in a rehearsal, and upgrades again when all are back.
    Rehearsal {
        /// How many are not back.
        left: u32,
    },
    /// Devices cannot go back.
    CannotGoBack {
        /// How many.
        devices: u32,
    },
    /// The gate failed.
    Gate(GateFailure),
}

impl WaitingOn {
    /// The kind of reason, like `max_in_flight`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Paused(_) => "paused",
            Self::Stopped => "stopped",
            Self::RolledBack => "rolled_back",
            Self::WasOffline { .. } => "was_offline",
            Self::Superseded(_) => "superseded",
            Self::Ring(_) => "ring",
            Self::Offline { .. } => "offline",
            Self::KeptOut(kept_out) => kept_out.code(),
            Self::Packages(unmet) => unmet.code(),
            Self::Unheard { .. } => "unheard",
            Self::MaxInFlight { .. } => "max_in_flight",
            Self::BlastRadius { .. } => "blast_radius",
            Self::Order => "order",
            Self::Answer { .. } => "answer",
            Self::Window { .. } => "window",
            Self::User { .. } => "user",
            Self::Step { .. } => "step",
            Self::Silent { .. } => "silent",
            Self::Retry { .. } => "retry",
            Self::Failed(_) => "failed",
            Self::PutBack => "put_back",
            Self::UnknownPrevious { .. } => "unknown_previous",
            Self::Answers { .. } => "answers",
            Self::Successes { .. } => "successes",
            Self::Confidence { .. } => "confidence",
            Self::Signals { .. } => "signals",
            Self::Rehearsal { .. } => "rehearsal",
            Self::CannotGoBack { .. } => "cannot_go_back",
            Self::Gate(_) => "gate_failed",
        }
    }
}

impl fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused(None) => f.write_str("the rollout is paused"),
            Self::Paused(Some(cause)) => write!(f, "the rollout is paused: {cause}"),
            Self::Stopped => f.write_str("the rollout was stopped"),
            Self::RolledBack => f.write_str("the rollout was rolled back"),
            Self::WasOffline { since } => write!(f, "was offline (last heard {since})"),
            Self::Superseded(id) => write!(f, "rollout {id} has ordered something else since"),
            Self::Ring(ring) => write!(f, "ring `{ring}` has not passed yet"),
            Self::Offline { since } => write!(f, "offline (last heard {since}), held apart"),
            Self::KeptOut(kept_out) => write!(f, "{kept_out}"),
            Self::Packages(unmet) => write!(f, "{unmet}"),
            Self::Unheard { since } => {
                write!(f, "not heard yet by the server that has just started (last heard {since})")
            }
            Self::MaxInFlight { max } => write!(f, "{max} devices are in flight, the most allowed"),
            Self::BlastRadius { max } => {
                write!(f, "{max} devices of all rollouts are in flight or broken, the most allowed")
            }
            Self::Order => f.write_str("is next"),
            Self::Answer { since } => write!(f, "has not answered its order of {since} yet"),
            Self::Window { opens } => write!(f, "outside its window, which opens next at {opens}"),
            Self::User { deadline, answer } => {
                write!(f, "offered to the user until {deadline}: {answer}")
            }
            Self::Step { step, since } => write!(f, "{step} since {since}"),
            Self::Silent { since } => {
                write!(f, "silent (last heard {since}), which counts as failure")
            }
            Self::Retry { at, attempt, of, failure } => write!(
                f,
                "failed at {}: {}; attempt {attempt} of {of} at {at}",
                failure.step, failure.message
            ),
            Self::Failed(None) => f.write_str("failed"),
            Self::Failed(Some(failure)) => {
                write!(f, "failed at {}: {}", failure.step, failure.message)
            }
            Self::PutBack => f.write_str("was put back by order"),
            Self::UnknownPrevious { version } => {
                write!(f, "cannot be put back: its earlier {version} is not in the catalog")
            }
            Self::Answers { missing: 1 } => f.write_str("1 device has not finished"),
            Self::Answers { missing } => write!(f, "{missing} devices have not finished"),
            Self::Successes { successes, needed, apart } => {
                write!(f, "{successes} accepted, {needed} must; {apart} are held apart")
            }
            Self::Confidence { so_far, bound } => {
                write!(f, "{so_far}; so far it may be {:.1}%", f64::from(*bound) / 1e4)
            }
            Self::Signals { devices, measure, latest } => {
                write!(f, "signals are compared: {devices} devices on each side, {measure} each")?;
                latest.as_ref().map_or(Ok(()), |look| write!(f, "; {look}"))
            }
            Self::Rehearsal { left } => write!(
                f,
                "the ring rehearses going back, and upgrades again when all are back: {left} \
                 are not"
            ),
            Self::CannotGoBack { devices: 1 } => f.write_str("1 device cannot go back"),
            Self::CannotGoBack { devices } => write!(f, "{devices} devices cannot go back"),
            Self::Gate(failure) => write!(f, "{failure}"),
        }
    }
}

impl From<&WaitingOn> for Reason {
    fn from(reason: &WaitingOn) -> Self {
        Self { code: reason.code().to_owned(), text: reason.to_string() }
    }
}

impl From<&Cause> for Reason {
    fn from(cause: &Cause) -> Self {
        Self { code: cause.code().to_owned(), text: cause.to_string() }
    }
}
