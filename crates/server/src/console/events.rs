//! Events in words: the lines of a timeline.

use std::collections::HashMap;

use gofleet_core::event::{Change, Event};
use gofleet_core::ids::{DeviceId, RolloutId};
use gofleet_core::order::{Failure, Step};
use gofleet_core::release::ReleaseStatus;
use gofleet_core::rollout::{RingState, RolloutState, WantKind};
use gofleet_core::time::Timestamp;

use super::format::Moment;
use super::pieces::{Link, quoted};

/// What devices and rollouts are called: events carry ids only.
#[derive(Default)]
pub(super) struct Names {
    pub(super) devices: HashMap<DeviceId, String>,
    pub(super) rollouts: HashMap<RolloutId, String>,
}

/// A line of a timeline.
pub(super) struct EventLine {
    pub(super) sequence: u64,
    /// Class of its mark.
    pub(super) tone: String,
    pub(super) at: Moment,
    pub(super) subject: Option<Link>,
    pub(super) text: String,
}

impl EventLine {
    pub(super) fn new(event: &Event, names: &Names, now: Timestamp) -> Self {
        Self {
            sequence: event.sequence,
            tone: tone(&event.what),
            at: Moment::new(event.at, now),
            subject: subject(&event.what, names),
            text: text(&event.what),
        }
    }
}

/// What the line links to: the device, else the rollout, else the release.
fn subject(change: &Change, names: &Names) -> Option<Link> {
    let link = |label: &str, place: &str, id: &str| {
        Some(Link { label: label.to_owned(), href: format!("/{place}/{id}") })
    };
    if let Change::DeviceEnrolled { device, hostname } = change {
        return link(hostname, "devices", device.as_str());
    }
    if let Some(device) = change.device() {
        let name = names.devices.get(device).map_or(device.as_str(), String::as_str);
        return link(name, "devices", device.as_str());
    }
    if let Change::RolloutStarted { rollout, name, .. } = change {
        return link(name, "rollouts", rollout.as_str());
    }
    if let Some(rollout) = change.rollout() {
        let name = names.rollouts.get(rollout).map_or(rollout.as_str(), String::as_str);
        return link(name, "rollouts", rollout.as_str());
    }
    match change {
        Change::ReleaseImported { release } | Change::ReleaseDecided { release, .. } => {
            Some(Link { label: release.to_string(), href: "/releases".to_owned() })
        }
        _ => None,
    }
}

fn text(change: &Change) -> String {
    match change {
        Change::EmergencyStopped { by, reason } => format!("Everything stopped by {by}: {reason}"),
        Change::EmergencyLifted { by } => format!("Emergency stop lifted by {by}"),
        Change::HoldMade { hold } => {
            format!("Devices held by {} ({}): {}", hold.by, hold.id, hold.reason)
        }
        Change::HoldLifted { hold, by } => format!("Hold {hold} lifted by {by}"),
        Change::CollectionSet { collection, by } => {
            format!("Collection {collection} written by {by}")
        }
        Change::CollectionDeleted { collection, by } => {
            format!("Collection {collection} deleted by {by}")
        }
        Change::DeviceQuarantined { cause, .. } => format!("is in quarantine: {cause}"),
        Change::DeviceLetIn { healthy_for: Some(span), .. } => {
            format!("is let in again: it was well for {span}")
        }
        Change::DeviceLetIn { by, .. } => format!("is let in again by {by}"),
        Change::AnomalyWithheld { withheld } => format!(
            "{} of {} devices of class {} are anomalous ({}): none is put into quarantine",
            withheld.anomalous, withheld.devices, withheld.class, withheld.rule
        ),
        Change::TokenCreated { .. } => "A token to enrol a device was made".to_owned(),
        Change::DeviceEnrolled { .. } => "enrolled".to_owned(),
        Change::DeviceFacts { active, .. } => match active {
            Some(version) => format!("tells of itself: {version} active"),
            None => "tells of itself: no managed Go".to_owned(),
        },
        Change::DeviceJoined { ring, .. } => format!("came late, and joins ring {ring}"),
        Change::DeviceOrdered { want, .. } => match want {
            WantKind::Activate => "is ordered to upgrade".to_owned(),
            WantKind::Offer => "is offered the release".to_owned(),
            WantKind::Revert => "is ordered to go back".to_owned(),
            WantKind::Hold => "is ordered to hold".to_owned(),
        },
        Change::DeviceStep { step, failure, .. } => device_step(*step, failure.as_ref()),
        Change::DeviceAnswered { answer, .. } => format!("its user: {answer}"),
        Change::DeviceSilent { .. } => "has not answered in time".to_owned(),
        Change::ReleaseImported { .. } => "imported".to_owned(),
        Change::ReleaseDecided { status, by, .. } => format!("{status} by {by}"),
        Change::RolloutStarted { by, .. } => format!("started by {by}"),
        Change::RolloutAssigned { by, device: None, .. } => {
            format!("assigned by {by}: no user is asked any more")
        }
        Change::RolloutAssigned { by, .. } => {
            format!("is assigned by {by}: its user is not asked any more")
        }
        Change::RolloutState { state, reason, .. } => with_reason(in_words(*state), reason),
        Change::RingState { ring, state, reason, .. } => {
            with_reason(&format!("ring {ring} {}", ring_in_words(*state)), reason)
        }
        Change::RingLook { ring, look, .. } => format!("ring {ring}, {look}"),
    }
}

fn device_step(step: Step, failure: Option<&Failure>) -> String {
    match failure {
        Some(failure) => format!("{step}: {}", failure.message),
        None => step.to_string(),
    }
}

fn with_reason(text: &str, reason: &str) -> String {
    if reason.is_empty() { text.to_owned() } else { format!("{text}: {}", quoted(reason)) }
}

const fn in_words(state: RolloutState) -> &'static str {
    match state {
        RolloutState::Running => "goes on",
        RolloutState::Paused => "paused",
        RolloutState::Stopping => "is being stopped",
        RolloutState::RollingBack => "is being rolled back",
        RolloutState::Completed => "completed",
        RolloutState::Stopped => "stopped",
        RolloutState::RolledBack => "rolled back",
    }
}

const fn ring_in_words(state: RingState) -> &'static str {
    match state {
        RingState::Waiting => "waits",
        RingState::Running => "opened",
        RingState::Rehearsing => "goes back, as a rehearsal",
        RingState::Repeating => "is back, and upgrades again",
        RingState::Passed => "passed its gate",
        RingState::Failed => "failed at its gate",
        RingState::RollingBack => "is being put back",
        RingState::RolledBack => "was put back",
    }
}

/// The class of a line's mark.
fn tone(change: &Change) -> String {
    let tone = match change {
        Change::DeviceStep { step, .. } => return format!("s-{step}"),
        Change::EmergencyStopped { .. } | Change::AnomalyWithheld { .. } => "s-failed",
        Change::DeviceQuarantined { .. } => "s-quarantined",
        Change::HoldMade { .. } => "s-waiting",
        Change::TokenCreated { .. }
        | Change::HoldLifted { .. }
        | Change::CollectionSet { .. }
        | Change::CollectionDeleted { .. }
        | Change::DeviceLetIn { .. }
        | Change::EmergencyLifted { .. }
        | Change::DeviceEnrolled { .. }
        | Change::DeviceFacts { .. }
        | Change::DeviceJoined { .. }
        | Change::RolloutStarted { .. }
        | Change::RolloutAssigned { .. }
        | Change::ReleaseImported { .. } => "g-note",
        Change::DeviceOrdered { .. } => "s-offered",
        Change::DeviceAnswered { .. } => "g-note",
        Change::DeviceSilent { .. } => "s-failed",
        Change::ReleaseDecided { status, .. } => match status {
            ReleaseStatus::Imported => "s-waiting",
            ReleaseStatus::Approved => "s-accepted",
            ReleaseStatus::Blocked => "s-quarantined",
        },
        Change::RolloutState { state, .. } => match state {
            RolloutState::Running => "g-running",
            RolloutState::Paused => "t-warn g-paused",
            RolloutState::Stopping | RolloutState::Stopped => "g-stopped",
            RolloutState::RollingBack => "s-reverting",
            RolloutState::RolledBack => "s-reverted",
            RolloutState::Completed => "s-accepted",
        },
        Change::RingLook { .. } => "g-running",
        Change::RingState { state, .. } => match state {
            RingState::Waiting => "s-waiting",
            RingState::Running | RingState::Repeating => "g-running",
            RingState::Rehearsing => "s-reverting",
            RingState::Passed => "s-accepted",
            RingState::Failed => "s-failed",
            RingState::RollingBack => "s-reverting",
            RingState::RolledBack => "s-reverted",
        },
    };
    tone.to_owned()
}
