//! What an agent decides: whether to obey an order, what to do next for it, and where that leads.
//!
//! The shell around it (crate `gofleet-agent`) does one [`Action`], turns what came of it into an
//! [`Event`], and writes down the [`Step`] that [`advance`] gives. A process that is killed in
//! between reads the step and the disk at its next start and [`decide`]s again: every action may
//! be repeated.

mod memory;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::digest::Digest;
use crate::guard::{Guard, detects, permits};
use crate::ids::{DeviceId, ReleaseId};
use crate::order::{Order, Step, Want};
use crate::time::{Span, Timestamp};
use crate::window::Opening;

pub use memory::{MAX_OUTBOX, Memory, OnDisk, Outcome, Task, Unproven};

/// The newest order that a device has seen: what the next one is measured against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The order's epoch.
    pub epoch: u64,
    /// The order's generation.
    pub generation: u64,
    /// The digest of the whole order.
    pub digest: Digest,
}

/// Why a device does not obey an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// It is for another device.
    #[error("the order is for another device")]
    OtherDevice,
    /// Its server was replaced or restored since.
    #[error("the order's epoch {found} is older than {seen}, which was seen already")]
    OlderEpoch {
        /// In the order.
        found: u64,
        /// Seen before.
        seen: u64,
    },
    /// A newer one was seen.
    #[error("the order's generation {found} is older than {seen}, which was seen already")]
    OlderGeneration {
        /// In the order.
        found: u64,
        /// Seen before.
        seen: u64,
    },
    /// The same generation wants something else than before.
    #[error("the order changed under its generation {generation}")]
    Changed {
        /// In both.
        generation: u64,
    },
}

/// Whether an order that may be obeyed is a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Novelty {
    /// It is newer than all before it.
    New,
    /// It is the one that is being obeyed already.
    Known,
}

impl Seen {
    /// What is remembered of this order.
    pub fn of(order: &Order) -> Self {
        let text = serde_json::to_vec(order).expect("an order is made of strings and numbers");
        Self { epoch: order.epoch, generation: order.generation, digest: Digest::of(&text) }
    }
}

/// Whether `device`, which has `seen` an order or none, may obey this one.
///
/// # Errors
///
/// [`Refusal`] by name; nothing is to be changed then.
pub fn accept_order(
    device: &DeviceId,
    seen: Option<&Seen>,
    order: &Order,
) -> Result<Novelty, Refusal> {
    if detects(Guard::OtherDevice, order.device != *device) {
        return Err(Refusal::OtherDevice);
    }
    let Some(seen) = seen else { return Ok(Novelty::New) };
    if order.epoch != seen.epoch {
        // A new epoch counts its generations anew: the server may have lost the latest ones.
        return if permits(Guard::OlderEpoch, order.epoch > seen.epoch) {
            Ok(Novelty::New)
        } else {
            Err(Refusal::OlderEpoch { found: order.epoch, seen: seen.epoch })
        };
    }
    if order.generation != seen.generation {
        return if permits(Guard::OlderGeneration, order.generation > seen.generation) {
            Ok(Novelty::New)
        } else {
            Err(Refusal::OlderGeneration { found: order.generation, seen: seen.generation })
        };
    }
    if Seen::of(order) == *seen {
        Ok(Novelty::Known)
    } else if !detects(Guard::ChangedOrder, true) {
        Ok(Novelty::New)
    } else {
        Err(Refusal::Changed { generation: order.generation })
    }
}

/// What is so on a device that has an order.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// What is wanted.
    pub want: &'a Want,
    /// The step that is written down.
    pub step: Step,
    /// The release that is active on the disk.
    pub active: Option<&'a ReleaseId>,
    /// Whether a release may be active that an unfinished order put there and no check has passed.
    pub is_unproven: bool,
    /// How much of the soak time is left.
    pub soak_left: Span,
    /// Whether the order's window is open by the device's clock and zone.
    pub opening: Opening,
    /// Whether a user was asked for so long that the server must have forgotten it.
    pub is_forgotten: bool,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing: the order is done with.
    Rest,
    /// Only write down that this happened: it must be on disk before the next action begins.
    Note(Event),
    /// Download the release, unpack and verify it: [`Event::Staged`].
    Stage,
    /// Wait for the window to open, and look again; then decide anew.
    Await {
        /// When it opens; none if that is too far ahead to tell.
        opens: Option<Timestamp>,
    },
    /// Wait for the user's word and for the order that follows it; then decide anew.
    AskUser,
    /// Make the wanted release the active one: [`Event::Switched`].
    Switch,
    /// Check the active release: [`Event::Passed`].
    Check,
    /// Wait so long, then check the active release again: [`Event::Soaked`].
    Soak(Span),
    /// Make the earlier release active again and check it: [`Event::PutBack`] or [`Event::Stuck`].
    PutBack,
    /// Somebody else made another release active: [`Event::Broke`].
    NoticeChange,
}

/// What came of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Work on the order begins.
    Begun,
    /// The wanted tree stands, verified.
    Staged,
    /// Switching to the wanted release begins.
    Switching,
    /// The wanted release is active.
    Switched,
    /// The checks of the active release passed.
    Passed,
    /// The soak time is over and the checks passed again.
    Soaked,
    /// Something failed.
    Broke,
    /// Going back begins.
    GoingBack,
    /// The earlier release is active, and its checks passed.
    PutBack,
    /// The earlier release could not be made active, or is broken too.
    Stuck,
    /// A release that an earlier order left unproven is to be checked first.
    Doubted,
    /// A release that an earlier order left unproven has passed its checks, and work on this order
    /// begins.
    Cleared,
    /// The order wants nothing more than that nothing is begun.
    Dropped,
}

/// What to do next in this situation.
pub fn decide(situation: &Situation<'_>) -> Action {
    match situation.want {
        Want::Activate { release, .. } => decide_activate(situation, &release.id),
        Want::Offer { .. } => decide_offer(situation),
        Want::Revert { .. } => decide_revert(situation.step),
        Want::Hold => decide_hold(situation),
    }
}

fn decide_activate(situation: &Situation<'_>, wanted: &ReleaseId) -> Action {
    if let Opening::Closed { opens } = situation.opening
        // An agent that was killed just before the switch finds itself outside too.
        && matches!(situation.step, Step::Staged | Step::Activating)
        && detects(Guard::Window, true)
        && !is_switched_already(situation, wanted)
    {
        return Action::Await { opens };
    }
    let is_active = permits(Guard::ChangedByHand, situation.active == Some(wanted));
    match situation.step {
        Step::Waiting | Step::Offered => Action::Note(Event::Begun),
        Step::Fetching => Action::Stage,
        Step::Staged => Action::Note(Event::Switching),
        Step::Activating => Action::Switch,
        Step::Verifying if is_active => Action::Check,
        Step::Soaking if is_active => Action::Soak(situation.soak_left),
        Step::Verifying | Step::Soaking => Action::NoticeChange,
        Step::Failed => Action::Note(Event::GoingBack),
        Step::Reverting => Action::PutBack,
        Step::Accepted | Step::Reverted | Step::Skipped | Step::Quarantined => Action::Rest,
    }
}

/// Whether a kill came between the switch and its note.
fn is_switched_already(situation: &Situation<'_>, wanted: &ReleaseId) -> bool {
    situation.step == Step::Activating && situation.active == Some(wanted)
}

/// What an earlier order left unproven is not kept for as long as a user thinks it over.
fn decide_offer(situation: &Situation<'_>) -> Action {
    match situation.step {
        Step::Waiting | Step::Offered if situation.is_unproven => Action::Note(Event::Doubted),
        Step::Waiting | Step::Offered => Action::Note(Event::Begun),
        Step::Verifying if situation.is_unproven => Action::Check,
        Step::Verifying => Action::Note(Event::Cleared),
        Step::Fetching => Action::Stage,
        // A restored server may not know of the offer, and the user's word would lead nowhere.
        Step::Staged if situation.is_forgotten => Action::Note(Event::Dropped),
        Step::Staged => Action::AskUser,
        Step::Failed => Action::Note(Event::GoingBack),
        Step::Reverting => Action::PutBack,
        // An offer activates nothing.
        Step::Activating
        | Step::Soaking
        | Step::Accepted
        | Step::Reverted
        | Step::Skipped
        | Step::Quarantined => Action::Rest,
    }
}

fn decide_revert(step: Step) -> Action {
    match step {
        Step::Waiting | Step::Offered | Step::Failed => Action::Note(Event::GoingBack),
        Step::Reverting => Action::PutBack,
        // An order to go back has none of the steps in the middle.
        Step::Fetching
        | Step::Staged
        | Step::Activating
        | Step::Verifying
        | Step::Soaking
        | Step::Accepted
        | Step::Reverted
        | Step::Skipped
        | Step::Quarantined => Action::Rest,
    }
}

fn decide_hold(situation: &Situation<'_>) -> Action {
    match situation.step {
        Step::Waiting | Step::Offered if detects(Guard::DoubtUnderHold, situation.is_unproven) => {
            Action::Note(Event::Doubted)
        }
        Step::Waiting | Step::Offered => Action::Note(Event::Dropped),
        Step::Verifying if situation.is_unproven => Action::Check,
        Step::Verifying => Action::Note(Event::Dropped),
        Step::Failed => Action::Note(Event::GoingBack),
        Step::Reverting => Action::PutBack,
        // An order to hold has none of the other steps.
        Step::Fetching
        | Step::Staged
        | Step::Activating
        | Step::Soaking
        | Step::Accepted
        | Step::Reverted
        | Step::Skipped
        | Step::Quarantined => Action::Rest,
    }
}

/// An event that cannot happen at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{event:?} cannot happen at the step `{step}`")]
pub struct Impossible {
    /// The step.
    pub step: Step,
    /// The event.
    pub event: Event,
}

/// The step that an event leads to.
///
/// # Errors
///
/// [`Impossible`] by name, if the event has no place at this step.
pub fn advance(step: Step, event: Event) -> Result<Step, Impossible> {
    use Event as E;
    use Step as S;
    let next = match (step, event) {
        (S::Waiting | S::Offered, E::Begun) => S::Fetching,
        (S::Waiting | S::Offered, E::GoingBack) => S::Reverting,
        (S::Waiting | S::Offered, E::Doubted) => S::Verifying,
        (S::Waiting | S::Offered | S::Verifying | S::Staged, E::Dropped) => S::Skipped,
        (S::Verifying, E::Cleared) => S::Fetching,
        (S::Fetching, E::Staged) => S::Staged,
        (S::Staged, E::Switching) => S::Activating,
        (S::Activating, E::Switched) => S::Verifying,
        (S::Verifying, E::Passed) => S::Soaking,
        (S::Soaking, E::Soaked) => S::Accepted,
        (S::Fetching | S::Staged | S::Activating | S::Verifying | S::Soaking, E::Broke) => {
            S::Failed
        }
        (S::Failed, E::GoingBack) => S::Reverting,
        (S::Reverting, E::PutBack) => S::Reverted,
        (S::Reverting, E::Stuck) => S::Quarantined,

        (
            S::Waiting | S::Offered,
            E::Staged
            | E::Switching
            | E::Switched
            | E::Passed
            | E::Soaked
            | E::Broke
            | E::PutBack
            | E::Stuck
            | E::Cleared,
        )
        | (
            S::Fetching,
            E::Begun
            | E::Switching
            | E::Switched
            | E::Passed
            | E::Soaked
            | E::GoingBack
            | E::PutBack
            | E::Stuck
            | E::Doubted
            | E::Cleared
            | E::Dropped,
        )
        | (
            S::Staged,
            E::Begun
            | E::Staged
            | E::Switched
            | E::Passed
            | E::Soaked
            | E::GoingBack
            | E::PutBack
            | E::Stuck
            | E::Doubted
            | E::Cleared,
        )
        | (
            S::Activating,
            E::Begun
            | E::Staged
            | E::Switching
            | E::Passed
            | E::Soaked
            | E::GoingBack
            | E::PutBack
            | E::Stuck
            | E::Doubted
            | E::Cleared
            | E::Dropped,
        )
        | (
            S::Verifying,
            E::Begun
            | E::Staged
            | E::Switching
            | E::Switched
            | E::Soaked
            | E::GoingBack
            | E::PutBack
            | E::Stuck
            | E::Doubted,
        )
        | (
            S::Soaking,
            E::Begun
            | E::Staged
            | E::Switching
            | E::Switched
            | E::Passed
            | E::GoingBack
            | E::PutBack
            | E::Stuck
            | E::Doubted
            | E::Cleared
            | E::Dropped,
        )
        | (
            S::Failed,
            E::Begun
            | E::Staged
            | E::Switching
            | E::Switched
            | E::Passed
            | E::Soaked
            | E::Broke
            | E::PutBack
            | E::Stuck
            | E::Doubted
            | E::Cleared
            | E::Dropped,
        )
        | (
            S::Reverting,
            E::Begun
            | E::Staged
            | E::Switching
            | E::Switched
            | E::Passed
            | E::Soaked
            | E::Broke
            | E::GoingBack
            | E::Doubted
            | E::Cleared
            | E::Dropped,
        )
        | (
            S::Accepted | S::Reverted | S::Skipped | S::Quarantined,
            E::Begun
            | E::Staged
            | E::Switching
            | E::Switched
            | E::Passed
            | E::Soaked
            | E::Broke
            | E::GoingBack
            | E::PutBack
            | E::Stuck
            | E::Doubted
            | E::Cleared
            | E::Dropped,
        ) => return Err(Impossible { step, event }),
    };
    Ok(next)
}

#[cfg(test)]
#[path = "agent/tests.rs"]
mod tests;
