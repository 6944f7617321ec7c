//! Moves the rollouts on.
//!
//! The reconciler takes no input: at every tick it reads each rollout that has not ended, asks
//! the core what is due, and writes that in one transaction. So it makes no difference whether it
//! runs because something changed, because time has passed, or because the server was killed in
//! the middle of anything and has just started again: it goes on with the same devices.

use std::convert::Infallible;
use std::sync::Arc;

use gofleet_core::rollout::{Action, Cause, Latecomer, RolloutState, RolloutView, advance, apply};
use gofleet_core::time::{Span, Timestamp};
use gofleet_platform::checkpoint;
use gofleet_storage::{Decider, Moment, Storage, StorageError};
use tracing::{error, info};

use crate::authorization::Directory;
use crate::canary::Canaries;
use crate::failure::Answer;
use crate::state::AppState;

/// Runs until the server stops: whenever the state has changed, and every so often besides.
pub async fn run(state: AppState) {
    let mut changes = state.storage().changes();
    let mut period = tokio::time::interval(state.config().reconcile_every.as_duration());
    // After a long pause of the machine one tick catches up, and not a burst of them.
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut rights = Rights::default();
    loop {
        changes.mark_unchanged();
        if let Err(error) = rights.look(&state).await {
            let error = error.problem().to_string();
            error!(
                error,
                "for whom rollouts act could not be looked at; the next tick tries again"
            );
        }
        if let Err(error) = tick(state.storage(), state.canaries(), state.now()).await {
            let error: &dyn std::error::Error = &error;
            error!(error, "a rollout could not be moved on; the next tick tries again");
        }
        tokio::select! {
            () = state.stopping().cancelled() => return,
            _ = period.tick() => {}
            Ok(()) = changes.changed() => {}
        }
    }
}

/// How often it is looked whether a rollout may go on, if nobody's rights were changed: devices go
/// in and out of collections.
const RIGHTS_EVERY: Span = Span::from_secs(60);

/// Pauses rollouts whose people may not start such a rollout any more. A rollout acts for whoever
/// started it or resumed it last, by the roles that this person has at the moment; rules judge
/// requests, and so not what was begun by one.
#[derive(Default)]
struct Rights {
    looked: Option<(Arc<Directory>, Timestamp)>,
}

impl Rights {
    async fn look(&mut self, state: &AppState) -> Answer<()> {
        let (directory, now) = (state.directory(), state.now());
        if let Some((known, at)) = &self.looked
            && Arc::ptr_eq(known, &directory)
            && now < *at + RIGHTS_EVERY
        {
            return Ok(());
        }
        for rollout in state.storage().moving_rollouts().await? {
            let by = state.storage().acts_for(&rollout).await?;
            if directory.may_keep_going(state, &by, &rollout).await? {
                continue;
            }
            let decide = |view: &RolloutView| {
                let cause = Some(Cause::RightsEnded { by });
                let pause = Action::SetState { state: RolloutState::Paused, cause };
                let is_running = view.state == RolloutState::Running;
                Ok::<_, Infallible>(if is_running { vec![pause] } else { Vec::new() })
            };
            let done =
                state.storage().decide_rollout(Decider::Server, &rollout, now, decide, |_| {});
            match done.await? {
                Ok(actions) => tell(rollout.as_str(), &actions),
                Err(never) => match never {},
            }
        }
        self.looked = Some((directory, now));
        Ok(())
    }
}

/// Makes every change that is due at `now`, a transaction for each rollout.
///
/// # Errors
///
/// [`StorageError`] of the first that could not be made; all others were.
async fn tick(storage: &Storage, canaries: &Canaries, now: Timestamp) -> Result<(), StorageError> {
    // Listening begins with the first tick, whether or not there is a rollout.
    storage.listening_since(now);
    let mut outcome = settle(storage, now).await;
    let moving = storage.moving_rollouts().await?;
    canaries.lock().keep_only(&moving);
    for rollout in moving {
        for latecomer in storage.take_latecomers(&rollout, now).await? {
            tell_late(rollout.as_str(), &latecomer);
        }
        let view = storage.rollout(&rollout, now).await?;
        let look = canaries.look(&view, now);
        // Most ticks change nothing: looking first spares them the write lock.
        if look.is_none() && advance(&view, now).is_empty() {
            continue;
        }
        let decide = |view: &_| Ok::<_, Infallible>(due(view, look, now));
        match storage.decide_rollout(Decider::Server, &rollout, now, decide, stop_if_asked).await {
            Ok(Ok(actions)) => tell(rollout.as_str(), &actions),
            Ok(Err(never)) => match never {},
            Err(error) => outcome = outcome.and(Err(error)),
        }
    }
    outcome
}

/// What is due at `now`, after this look at the signals of a ring.
fn due(view: &RolloutView, look: Option<Action>, now: Timestamp) -> Vec<Action> {
    let Some(look) = look else { return advance(view, now) };
    let mut seen = view.clone();
    apply(&mut seen, &look, now);
    let mut actions = vec![look];
    actions.extend(advance(&seen, now));
    actions
}

/// Writes what could not be written when it was due: an emergency stop, and what is owed to the
/// audit log.
async fn settle(storage: &Storage, now: Timestamp) -> Result<(), StorageError> {
    storage.settle_emergency(now).await?;
    storage.settle_audit(now).await
}

fn stop_if_asked(moment: Moment) {
    checkpoint(match moment {
        Moment::Decided => "server-decided",
        Moment::Committed => "server-committed",
    });
}

fn tell_late(rollout: &str, latecomer: &Latecomer) {
    match latecomer {
        Latecomer::Joins { device, ring, .. } => info!(rollout, %device, ring, "joins late"),
        Latecomer::StaysOut(out) => {
            info!(rollout, device = %out.device, "came late, is left out: {}", out.reason);
        }
    }
}

fn tell(rollout: &str, actions: &[Action]) {
    for action in actions {
        match action {
            Action::SetRing { ring, state, .. } => info!(rollout, ring, %state, "ring"),
            Action::Look { ring, look } => info!(rollout, ring, "{look}"),
            Action::SetState { state, cause } => {
                let cause = cause.as_ref().map(ToString::to_string);
                info!(rollout, %state, cause, "rollout");
            }
            Action::Order { device, want } => {
                info!(rollout, %device, want = want.as_str(), "order");
            }
            Action::MarkSilent { device } => info!(rollout, %device, "silent"),
            Action::Quarantine { device, cause } => info!(rollout, %device, "quarantine: {cause}"),
            Action::Assign { device, by } => info!(rollout, %device, by, "assigned"),
            Action::Requeue { device } | Action::Waive { device } => {
                info!(rollout, %device, "resumed");
            }
        }
    }
}
