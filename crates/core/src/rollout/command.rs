//! What a person can ask of a rollout, and what it changes.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Action, Cause, DeviceView, RingState, RolloutState, RolloutView, WantKind};
use crate::canary::{Judgement, Look};
use crate::guard::{Guard, detects, permits};
use crate::ids::DeviceId;
use crate::order::Step;

/// What a person can ask of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Order nothing new; what is under way goes on.
    Pause,
    /// Go on. Failures so far are accepted; what was put back or taken back is tried again.
    Resume,
    /// Begin nothing any more, for good; what has switched finishes or goes back.
    Stop,
    /// Put back every device that the rollout has moved.
    Rollback,
}

impl Command {
    /// Every command.
    pub const ALL: [Self; 4] = [Self::Pause, Self::Resume, Self::Stop, Self::Rollback];

    /// As text, like in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Stop => "stop",
            Self::Rollback => "rollback",
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// The rollout is not in a state in which the command means something.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// The command does not fit the state.
    #[error("cannot {command} a rollout that is {}", in_words(*.state))]
    State {
        /// What was asked.
        command: Command,
        /// Where the rollout stands.
        state: RolloutState,
    },
    /// Nothing may begin anywhere.
    #[error(
        "cannot resume while the emergency stop holds: lift it first (`gofleet emergency lift`)"
    )]
    Emergency,
    /// A ring is still being put back.
    #[error("cannot resume while a ring is being put back: wait until it is")]
    RingRollingBack,
    /// Nobody is asked in an assigned rollout.
    #[error("the rollout is assigned already: it was started without `publish`")]
    NotPublished,
    /// Nobody will be asked any more.
    #[error("cannot assign the devices of a rollout that is {}", in_words(*.state))]
    Ended {
        /// Where the rollout stands.
        state: RolloutState,
    },
    /// The device is not in the rollout.
    #[error("the device {device} is not part of the rollout")]
    UnknownDevice {
        /// The device.
        device: DeviceId,
    },
    /// Every device that is meant was ordered to activate, or was assigned.
    #[error("no user is left to be asked: the release is assigned there already")]
    NobodyAsked,
}

const fn in_words(state: RolloutState) -> &'static str {
    match state {
        RolloutState::Running => "running",
        RolloutState::Paused => "paused",
        RolloutState::Stopping => "being stopped",
        RolloutState::RollingBack => "being rolled back",
        RolloutState::Completed => "completed",
        RolloutState::Stopped => "stopped",
        RolloutState::RolledBack => "rolled back",
    }
}

/// The changes that a person's word makes; [`advance()`](super::advance()) does what follows of them.
///
/// # Errors
///
/// [`Refused`] if the rollout's state has no place for the command.
pub fn command(view: &RolloutView, command: Command, by: &str) -> Result<Vec<Action>, Refused> {
    use RolloutState as S;
    let person = |state| {
        let cause = Some(Cause::Person { by: by.to_owned() });
        Ok(vec![Action::SetState { state, cause }])
    };
    match (command, view.state) {
        (Command::Pause, S::Running) => person(S::Paused),
        (Command::Resume, S::Paused) => resume(view),
        (Command::Stop, S::Running | S::Paused) if !detects(Guard::StopStops, true) => {
            Ok(Vec::new())
        }
        (Command::Stop, S::Running | S::Paused) => person(S::Stopping),
        (Command::Rollback, S::Running | S::Paused | S::Stopping | S::Completed | S::Stopped) => {
            person(S::RollingBack)
        }
        (
            Command::Pause,
            S::Paused | S::Stopping | S::RollingBack | S::Completed | S::Stopped | S::RolledBack,
        )
        | (
            Command::Resume,
            S::Running | S::Stopping | S::RollingBack | S::Completed | S::Stopped | S::RolledBack,
        )
        | (
            Command::Stop,
            S::Stopping | S::RollingBack | S::Completed | S::Stopped | S::RolledBack,
        )
        | (Command::Rollback, S::RollingBack | S::RolledBack) => {
            Err(Refused::State { command, state: view.state })
        }
    }
}

fn resume(view: &RolloutView) -> Result<Vec<Action>, Refused> {
    if view.emergency.is_some() {
        return Err(Refused::Emergency);
    }
    let mut actions = Vec::new();
    for (place, ring) in view.rings.iter().enumerate() {
        let reopens = match ring.state {
            RingState::RollingBack => return Err(Refused::RingRollingBack),
            RingState::Failed | RingState::RolledBack => true,
            RingState::Waiting
            | RingState::Running
            | RingState::Rehearsing
            | RingState::Repeating
            | RingState::Passed => false,
        };
        let rehearses = view.spec.rings[place].rehearse;
        let makes_room = matches!(view.cause, Some(Cause::OnlySilence { .. }));
        for device in view.devices.of_ring(place as u32) {
            let id = device.device.clone();
            if reopens && was_put_back(device) || device.was_taken_back() {
                actions.push(Action::Requeue { device: id });
            } else if (reopens && has_failed(device) && !device.tries_again(&view.spec.retry)
                || reopens && rehearses && device.cannot_go_back()
                || makes_room && device.blocks())
                && !device.is_waived
            {
                actions.push(Action::Waive { device: id });
            }
        }
        if reopens {
            let ring = place as u32;
            actions.extend(accepted_look(view, place).map(|look| Action::Look { ring, look }));
            actions.push(Action::SetRing { ring, state: RingState::Running, inputs: None });
        }
    }
    actions.push(Action::SetState { state: RolloutState::Running, cause: None });
    Ok(actions)
}

/// The look at a ring that a person goes on regardless of.
fn accepted_look(view: &RolloutView, ring: usize) -> Option<Look> {
    let (canary, look) = (view.canary(ring)?, view.rings[ring].look.clone()?);
    let is_in_the_way = match look.judge(canary) {
        Judgement::Worse => true,
        Judgement::Unclear => look.is_final,
        Judgement::Fine => false,
    };
    is_in_the_way.then_some(Look { is_accepted: true, ..look })
}

fn was_put_back(device: &DeviceView) -> bool {
    permits(Guard::RequeueOnlyPutBack, device.want() == Some(WantKind::Revert))
        && device.step == Step::Reverted
}

fn has_failed(device: &DeviceView) -> bool {
    let failed = [Step::Failed, Step::Reverting, Step::Reverted, Step::Quarantined];
    device.is_silent || failed.contains(&device.step)
}
