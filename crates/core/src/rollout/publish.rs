//! Published rollouts: who is asked, whom nobody needs to ask any more, and what a person can do
//! about it.
//!
//! A device first gets an order that offers the release. While it waits, staged, for its user, it
//! takes no place in flight and is no part of the blast radius, since nothing has changed on it;
//! and if it is switched off it is held apart like one that never had an order. Once its user has
//! accepted, a person has made it assigned, or the deadline is over, it waits for its turn like
//! everybody else.

use super::command::Refused;
use super::{Action, DeviceView, Hearing, RolloutView, WantKind};
use crate::guard::{Guard, detects, permits};
use crate::ids::DeviceId;
use crate::order::Step;
use crate::time::Timestamp;
use crate::window::Window;

impl DeviceView {
    /// Whether it has staged the release, and waits for the word of its user or for what follows
    /// from it.
    pub fn awaits_user(&self) -> bool {
        self.want() == Some(WantKind::Offer) && self.step == Step::Staged && self.is_in_flight()
    }

    /// Whether an order begins another attempt: one to activate what was offered goes on with the
    /// attempt that the offer began.
    pub fn begins_attempt(&self, want: WantKind) -> bool {
        match want {
            WantKind::Offer => true,
            WantKind::Activate => self.want() != Some(WantKind::Offer),
            WantKind::Revert | WantKind::Hold => false,
        }
    }

    /// Whether its latest order is to bring it the rollout's release, at once or when its user
    /// says so.
    pub fn is_to_upgrade(&self) -> bool {
        matches!(self.want(), Some(WantKind::Activate | WantKind::Offer))
    }

    fn has_accepted(&self) -> bool {
        let answer = self.order.and_then(|order| order.answer);
        answer.is_some_and(|answer| answer.accepted_at.is_some())
    }
}

impl RolloutView {
    /// When a device is asked no more; none before it was, or if the rollout is assigned.
    pub fn deadline_of(&self, device: &DeviceView) -> Option<Timestamp> {
        let publish = self.spec.publish.as_ref()?;
        device.offered_at.map(|since| since + publish.deadline)
    }

    /// Whether the release may be activated on a device without asking its user.
    pub fn is_assigned(&self, device: &DeviceView, now: Timestamp) -> bool {
        self.spec.publish.is_none()
            || detects(Guard::AssignedAsksNoMore, device.assigned_by.is_some())
            || self.deadline_of(device).is_some_and(|deadline| deadline <= now)
    }

    /// What a device is ordered that is to get the release.
    pub(super) fn next_want(&self, device: &DeviceView, now: Timestamp) -> WantKind {
        let may_activate =
            self.is_assigned(device, now) || device.awaits_user() && device.has_accepted();
        if permits(Guard::UserDecides, may_activate) { WantKind::Activate } else { WantKind::Offer }
    }

    /// When a device may activate that is ordered to: a user who says "now" may not wait for the
    /// window, where the rollout says so.
    pub fn window_of(&self, device: &DeviceView) -> Option<Window> {
        let publish = self.spec.publish.as_ref();
        let is_now = publish.is_some_and(|publish| publish.accept_opens_window)
            && device.awaits_user()
            && device.has_accepted();
        self.spec.window.clone().filter(|_| !is_now)
    }

    /// Whether a device waits for its turn to activate what was offered to its user.
    pub(super) fn is_released(&self, device: &DeviceView, now: Timestamp) -> bool {
        device.awaits_user() && self.next_want(device, now) == WantKind::Activate
    }

    /// The places of devices whose offers are all that keeps the rollout from its end, and that
    /// can't be reached.
    pub(super) fn offers_in_vain(&self, now: Timestamp) -> Vec<usize> {
        let mut places = Vec::new();
        for (place, device) in self.devices.iter().enumerate() {
            if self.asks_in_vain(device, now) {
                places.push(place);
            } else if !device.is_settled() {
                return Vec::new();
            }
        }
        places
    }

    /// Whether a device that waits for its user is held apart, since it can't be reached.
    pub(super) fn asks_in_vain(&self, device: &DeviceView, now: Timestamp) -> bool {
        device.awaits_user() && self.hearing(device, now) == Hearing::Offline
    }
}

/// The changes that are made where a person lets a published rollout, or one device of it, be
/// asked about no more.
///
/// # Errors
///
/// [`Refused`] if there is nobody to be asked.
pub fn assign(
    view: &RolloutView,
    device: Option<&DeviceId>,
    by: &str,
) -> Result<Vec<Action>, Refused> {
    if view.spec.publish.is_none() {
        return Err(Refused::NotPublished);
    }
    if view.state.is_final() {
        return Err(Refused::Ended { state: view.state });
    }
    if let Some(named) = device
        && !view.devices.iter().any(|it| it.device == *named)
    {
        return Err(Refused::UnknownDevice { device: named.clone() });
    }
    let is_meant = |it: &&DeviceView| device.is_none_or(|named| it.device == *named);
    let is_asked = |it: &&DeviceView| {
        let is_open = it.order.is_none() || it.want() != Some(WantKind::Activate);
        is_open && it.assigned_by.is_none() && it.superseded_by.is_none()
    };
    let asked = view.devices.iter().filter(is_meant).filter(is_asked);
    let by = || by.to_owned();
    let actions: Vec<_> =
        asked.map(|it| Action::Assign { device: it.device.clone(), by: by() }).collect();
    if actions.is_empty() { Err(Refused::NobodyAsked) } else { Ok(actions) }
}
