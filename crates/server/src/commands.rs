//! What administrators change, for the API and the console alike.

use gofleet_api::{HoldRequest, ProblemCode, RolloutPlan, RolloutStatus};
use gofleet_core::account::{Permission, Subject};
use gofleet_core::emergency::EmergencyStop;
use gofleet_core::hold::{Hold, Quarantine, QuarantineCause};
use gofleet_core::ids::{DeviceId, EdgeId, HoldId, ReleaseId, RolloutId};
use gofleet_core::release::{Release, ReleaseDecision, ReleaseStatus};
use gofleet_core::rollout::{self, Command, RolloutSpec};
use gofleet_storage::{Decider, Kept, NewHold, StorageError};
use tracing::{error, warn};

use crate::anomaly;
use crate::authorization::CallingPerson;
use crate::collections;
use crate::failure::{Answer, Failure, chain};
use crate::forecast::{self, Inputs};
use crate::state::AppState;
use crate::subjects;
use crate::trust;
use crate::views;

/// The longest reason that is kept.
const MAX_REASON_CHARS: usize = 1000;

/// Approves or blocks a release.
///
/// # Errors
///
/// [`Failure`] if there is none of this id, the reason is too long, or approvers have not signed a
/// release that is to be approved.
pub async fn decide_release(
    state: &AppState,
    release: &ReleaseId,
    status: ReleaseStatus,
    caller: &CallingPerson,
    reason: &str,
) -> Answer<Release> {
    let permission = match status {
        ReleaseStatus::Approved => Permission::ApproveRelease,
        ReleaseStatus::Imported | ReleaseStatus::Blocked => Permission::BlockRelease,
    };
    let by = caller.may(state, permission, subjects::release(state, release).await?).await?;
    if reason.chars().count() > MAX_REASON_CHARS {
        return Err(Failure::new(
            ProblemCode::InvalidRequest,
            format!("the reason is longer than {MAX_REASON_CHARS} characters"),
        ));
    }
    if status == ReleaseStatus::Approved {
        trust::allows(state, &state.storage().release(release).await?).await?;
    }
    let (name, reason) = (by.name.clone(), reason.to_owned());
    let decision = ReleaseDecision { by: name, at: state.now(), reason };
    Ok(state.storage().decide_release(&by, release, status, decision).await?)
}

/// What a rollout would do, before anything moves.
///
/// # Errors
///
/// [`Failure`] if nothing can be planned.
pub async fn plan(state: &AppState, spec: &RolloutSpec) -> Answer<RolloutPlan> {
    Inputs::read(state).await?.plan(spec)
}

/// Starts a rollout.
///
/// # Errors
///
/// [`Failure`] if nothing can be planned, the name is taken, or the emergency stop holds.
pub async fn start(
    state: &AppState,
    spec: &RolloutSpec,
    caller: &CallingPerson,
) -> Answer<RolloutStatus> {
    if let Some(stop) = state.storage().emergency().await? {
        let detail = format!("nothing may start: {stop}; lift it first: `gofleet emergency lift`");
        return Err(Failure::new(ProblemCode::Conflict, detail));
    }
    let inputs = Inputs::read(state).await?;
    let plan = inputs.plan(spec)?;
    let subject = inputs.subject(&caller.person().name, &plan);
    let by = caller.may(state, Permission::StartRollout, subject).await?;
    let id = state.storage().start_rollout(&by, &plan, state.now()).await?;
    forecast::keep(state, id.clone(), inputs, plan);
    views::rollout(state, &id).await
}

/// Stops every rollout at once; gives the stop that holds, which is an earlier one if one did.
///
/// # Errors
///
/// [`Failure`] if the caller may not; else it works whatever fails.
pub async fn stop_everything(
    state: &AppState,
    caller: &CallingPerson,
    reason: &str,
) -> Answer<EmergencyStop> {
    let by = caller.may(state, Permission::StopEverything, Subject::Fleet {}).await?;
    // Nobody is kept from it by having no words.
    let reason = match reason.trim() {
        "" => "no reason given",
        reason => reason,
    };
    let stop = EmergencyStop { by: by.name.clone(), reason: reason.to_owned(), at: state.now() };
    let stopped = state.storage().stop_everything(&by, stop).await;
    match stopped.kept {
        Kept::Logged => {}
        Kept::Owed => warn!("the audit log is told of the emergency stop once it can be written"),
        Kept::InMemory { reason } => {
            let reason = chain(&reason);
            error!(reason, "the emergency stop is held in memory only: do not restart the server");
        }
    }
    Ok(stopped.stop)
}

/// Lifts the emergency stop; gives the one that held.
///
/// # Errors
///
/// [`Failure`] if the database fails.
pub async fn lift_emergency(
    state: &AppState,
    caller: &CallingPerson,
) -> Answer<Option<EmergencyStop>> {
    let by = caller.may(state, Permission::LiftEmergency, Subject::Fleet {}).await?;
    Ok(state.storage().lift_emergency(&by, state.now()).await?)
}

/// Keeps devices out of rollouts.
///
/// # Errors
///
/// [`Failure`] if the selector cannot be read, no reason is given, or it would end before it begins.
pub async fn hold(state: &AppState, caller: &CallingPerson, request: HoldRequest) -> Answer<Hold> {
    let HoldRequest { devices, reason, from, until } = request;
    let (now, reason) = (state.now(), given(&reason)?);
    let from = from.unwrap_or(now);
    let selector = collections::selector(state, &devices).await?;
    let subject = subjects::picked(state, &selector).await?;
    let by = caller.may(state, Permission::KeepDevicesOut, subject).await?;
    if until.is_some_and(|until| until <= from.max(now)) {
        let detail = "the hold would end before it begins to hold";
        return Err(Failure::new(ProblemCode::InvalidRequest, detail)
            .with_hint("name an end after now, and after the begin"));
    }
    Ok(state.storage().add_hold(&by, NewHold { devices, reason, from, until }, now).await?)
}

/// Lifts a hold; gives the one that held.
///
/// # Errors
///
/// [`Failure`] if the caller may not, or there is none of this id.
pub async fn lift_hold(state: &AppState, caller: &CallingPerson, hold: &HoldId) -> Answer<Hold> {
    let holds = state.storage().holds(state.now()).await?;
    let known = holds.iter().find(|known| known.id == *hold);
    let known = known.ok_or_else(|| StorageError::UnknownHold(hold.clone()))?;
    let selector = collections::selector(state, &known.devices).await?;
    let subject = subjects::picked(state, &selector).await?;
    let by = caller.may(state, Permission::LetDevicesIn, subject).await?;
    Ok(state.storage().lift_hold(&by, hold, state.now()).await?)
}

/// Puts a device into quarantine, by the word of a person.
///
/// # Errors
///
/// [`Failure`] if there is no such device, or no reason is given.
pub async fn quarantine(
    state: &AppState,
    device: &DeviceId,
    caller: &CallingPerson,
    reason: &str,
) -> Answer<Quarantine> {
    let subject = subjects::devices(state, &[device]).await?;
    let by = caller.may(state, Permission::KeepDevicesOut, subject).await?;
    let cause = QuarantineCause::Person { by: by.name.clone(), reason: given(reason)? };
    let quarantine = state.storage().quarantine(&by, device, cause, state.now()).await?;
    anomaly::look_again(state, device, state.now()).await?;
    Ok(quarantine)
}

/// Revokes a device's key.
///
/// # Errors
///
/// [`Failure`] if there is no such device, or no reason is given.
pub async fn revoke(
    state: &AppState,
    device: &DeviceId,
    caller: &CallingPerson,
    reason: &str,
) -> Answer<Quarantine> {
    let subject = subjects::devices(state, &[device]).await?;
    let by = caller.may(state, Permission::RevokeDevices, subject).await?;
    let quarantine =
        state.storage().revoke_device(&by, device, &given(reason)?, state.now()).await?;
    // Whoever waits for an order asks again, and is refused.
    state.orders().announce(device);
    Ok(quarantine)
}

/// Revokes a distribution point's key.
///
/// # Errors
///
/// [`Failure`] if there is no such distribution point, or no reason is given.
pub async fn revoke_edge(
    state: &AppState,
    edge: &EdgeId,
    caller: &CallingPerson,
    reason: &str,
) -> Answer<()> {
    let subject = Subject::Devices { count: 1, within: Vec::new() };
    let by = caller.may(state, Permission::RevokeDevices, subject).await?;
    Ok(state.storage().revoke_edge(&by, edge, &given(reason)?, state.now()).await?)
}

/// Lets a device out of quarantine; gives the one that it was in. What it measured before is not
/// held against it any more.
///
/// # Errors
///
/// [`Failure`] if there is no such device.
pub async fn let_in(
    state: &AppState,
    device: &DeviceId,
    caller: &CallingPerson,
) -> Answer<Option<Quarantine>> {
    let subject = subjects::devices(state, &[device]).await?;
    let by = caller.may(state, Permission::LetDevicesIn, subject).await?;
    let ended = state.storage().end_quarantine(&by, device, state.now()).await?;
    anomaly::look_again(state, device, state.now()).await?;
    Ok(ended)
}

/// A reason that says something: whoever finds the device kept out must read why.
fn given(reason: &str) -> Answer<String> {
    match reason.trim() {
        "" => Err(Failure::new(ProblemCode::InvalidRequest, "no reason is given")
            .with_hint("say why, for those who wonder later")),
        reason => Ok(reason.to_owned()),
    }
}

/// Pauses, resumes, stops or rolls back a rollout.
///
/// # Errors
///
/// [`Failure`] if there is none of this id, or its state has no place for the command.
pub async fn command(
    state: &AppState,
    rollout: &RolloutId,
    command: Command,
    caller: &CallingPerson,
) -> Answer<RolloutStatus> {
    let permission = match command {
        Command::Resume => Permission::ResumeRollout,
        Command::Pause | Command::Stop | Command::Rollback => Permission::StopRollout,
    };
    let by = &caller.may(state, permission, subjects::rollout(state, rollout).await?).await?;
    let decide = |view: &_| rollout::command(view, command, &by.name);
    let decider = Decider::Person { by, command };
    let done =
        state.storage().decide_rollout(decider, rollout, state.now(), decide, |_| {}).await?;
    done.map_err(|refused| Failure::new(ProblemCode::Conflict, refused.to_string()))?;
    views::rollout(state, rollout).await
}

/// Lets a published rollout, or one device of it, be activated without asking users.
///
/// # Errors
///
/// [`Failure`] if there is none of this id, or nobody is left to be asked.
pub async fn assign(
    state: &AppState,
    rollout: &RolloutId,
    device: Option<&DeviceId>,
    caller: &CallingPerson,
) -> Answer<RolloutStatus> {
    let subject = subjects::rollout(state, rollout).await?;
    let by = &caller.may(state, Permission::AssignRollout, subject).await?;
    let decide = |view: &_| rollout::assign(view, device, &by.name);
    let decider = Decider::Assigner { by, device };
    let done =
        state.storage().decide_rollout(decider, rollout, state.now(), decide, |_| {}).await?;
    done.map_err(|refused| Failure::new(ProblemCode::Conflict, refused.to_string()))?;
    views::rollout(state, rollout).await
}
