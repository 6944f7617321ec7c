//! The latest events that a person would want to read, with names in place of ids.

use gofleet_core::event::{Change, Event};
use gofleet_core::order::Step;
use gofleet_core::rollout::RolloutStatus;

use super::events::{EventLine, Names};
use crate::failure::Failure;
use crate::state::AppState;
use crate::views;

/// Events that are read at once, going back.
const CHUNK: u32 = 500;
/// Events that are looked through before the search for more lines ends. A large rollout writes
/// several for each device, of which a person wants to read few.
const LOOKED_THROUGH: u64 = 5_000;

/// At most `limit` lines, newest first: of one rollout, or of everything.
///
/// # Errors
///
/// [`Failure`] if the database fails.
pub(super) async fn lines(
    state: &AppState,
    rollout: Option<&RolloutStatus>,
    limit: usize,
) -> Result<Vec<EventLine>, Failure> {
    let mut events = Vec::new();
    let last = state.storage().last_sequence();
    let first = last.saturating_sub(LOOKED_THROUGH);
    let mut before = last;
    while before > first && events.len() < limit {
        let after = before.saturating_sub(u64::from(CHUNK)).max(first);
        let chunk = state.storage().events_since(after, CHUNK).await?;
        let fits = |event: &Event| event.sequence <= before && is_wanted(&event.what, rollout);
        events.extend(chunk.into_iter().rev().filter(fits));
        before = after;
    }
    events.truncate(limit);
    let names = names(state, rollout, &events).await?;
    let now = state.now();
    Ok(events.iter().map(|event| EventLine::new(event, &names, now)).collect())
}

fn is_wanted(change: &Change, rollout: Option<&RolloutStatus>) -> bool {
    is_notable(change) && rollout.is_none_or(|status| change.rollout() == Some(&status.summary.id))
}

/// Whether it tells a person something that the picture beside it does not.
const fn is_notable(change: &Change) -> bool {
    match change {
        Change::DeviceFacts { .. }
        | Change::DeviceJoined { .. }
        | Change::DeviceOrdered { .. }
        | Change::TokenCreated { .. } => false,
        Change::DeviceStep { step, .. } => match step {
            Step::Accepted | Step::Failed | Step::Reverted | Step::Quarantined => true,
            Step::Waiting
            | Step::Offered
            | Step::Fetching
            | Step::Staged
            | Step::Activating
            | Step::Verifying
            | Step::Soaking
            | Step::Reverting
            | Step::Skipped => false,
        },
        Change::EmergencyStopped { .. }
        | Change::EmergencyLifted { .. }
        | Change::HoldMade { .. }
        | Change::HoldLifted { .. }
        | Change::CollectionSet { .. }
        | Change::CollectionDeleted { .. }
        | Change::DeviceQuarantined { .. }
        | Change::DeviceLetIn { .. }
        | Change::AnomalyWithheld { .. }
        | Change::DeviceEnrolled { .. }
        | Change::DeviceAnswered { .. }
        | Change::DeviceSilent { .. }
        | Change::ReleaseImported { .. }
        | Change::ReleaseDecided { .. }
        | Change::RolloutStarted { .. }
        | Change::RolloutAssigned { .. }
        | Change::RolloutState { .. }
        | Change::RingState { .. }
        | Change::RingLook { .. } => true,
    }
}

/// What the devices and rollouts of these events are called.
async fn names(
    state: &AppState,
    rollout: Option<&RolloutStatus>,
    events: &[Event],
) -> Result<Names, Failure> {
    let mut names = Names::default();
    if let Some(status) = rollout {
        let devices = status.rings_detail.iter().flat_map(|ring| &ring.devices);
        names.devices = devices.map(|one| (one.device.clone(), one.hostname.clone())).collect();
        names.rollouts.insert(status.summary.id.clone(), status.summary.name.clone());
        return Ok(names);
    }
    for device in events.iter().filter_map(|event| event.what.device()) {
        if !names.devices.contains_key(device) {
            let hostname = views::device(state, device).await?.device.facts.hostname;
            names.devices.insert(device.clone(), hostname);
        }
    }
    let rollouts = views::rollouts(state).await?;
    names.rollouts = rollouts.into_iter().map(|one| (one.id, one.name)).collect();
    Ok(names)
}
