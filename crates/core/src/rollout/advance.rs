//! What a rollout does next.
//!
//! [`advance`] looks at the whole rollout and returns every change that is due. It is idempotent:
//! once its actions are applied, it returns none until something else changes. So it does not
//! matter how often the server calls it, nor where the server was killed in between.

mod rings;

use super::gate::GateInputs;
use super::view::Cause;
use super::{
    DeviceView, Hearing, Previous, RingState, RingView, RolloutState, RolloutView, WantKind,
};
use crate::canary::Look;
use crate::guard::{Guard, detects, permits};
use crate::hold::QuarantineCause;
use crate::ids::DeviceId;
use crate::order::Step;
use crate::time::Timestamp;

/// One change of a rollout. All that one call returns belong into one transaction, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Note that a device has not answered in time.
    MarkSilent {
        /// The device.
        device: DeviceId,
    },
    /// Count a device's failure no more: a person has accepted it.
    Waive {
        /// The device.
        device: DeviceId,
    },
    /// Ask a device's user no more: a person has said so.
    Assign {
        /// The device.
        device: DeviceId,
        /// The person.
        by: String,
    },
    /// Let a device that went back wait for a new order.
    Requeue {
        /// The device.
        device: DeviceId,
    },
    /// Put a device into quarantine: keep it out of all rollouts until it is let in again.
    Quarantine {
        /// The device.
        device: DeviceId,
        /// What for.
        cause: QuarantineCause,
    },
    /// Put a ring into a state.
    SetRing {
        /// Its place, counted from 0.
        ring: u32,
        /// The state.
        state: RingState,
        /// What its gate decided that by, if it did.
        inputs: Option<GateInputs>,
    },
    /// Keep what the signals of a ring's devices were seen to be.
    Look {
        /// The ring's place, counted from 0.
        ring: u32,
        /// The look.
        look: Look,
    },
    /// Give a device an order, under a new generation.
    Order {
        /// The device.
        device: DeviceId,
        /// What it wants.
        want: WantKind,
    },
    /// Put the rollout into a state. With a final one, devices that still wait become `skipped`.
    SetState {
        /// The state.
        state: RolloutState,
        /// Why.
        cause: Option<Cause>,
    },
}

/// Every change that is due at `now`, in the order in which they are to be applied.
#[must_use]
pub fn advance(view: &RolloutView, now: Timestamp) -> Vec<Action> {
    pass(view.clone(), now).1
}

/// As [`advance`], with the rollout as it is once the actions are applied.
pub(super) fn pass(view: RolloutView, now: Timestamp) -> (RolloutView, Vec<Action>) {
    let state = view.state;
    let mut engine = Engine { view, now, actions: Vec::new() };
    match state {
        RolloutState::Running => engine.run(),
        RolloutState::Paused => engine.stay_paused(),
        RolloutState::Stopping => engine.come_to_a_stop(),
        RolloutState::RollingBack => engine.roll_back(),
        RolloutState::Completed | RolloutState::Stopped | RolloutState::RolledBack => {}
    }
    (engine.view, engine.actions)
}

/// Makes the change in the view, as storage makes it in the database.
///
/// # Panics
///
/// If the action names a device or ring that the rollout does not have.
pub fn apply(view: &mut RolloutView, action: &Action, now: Timestamp) {
    match action {
        Action::MarkSilent { device }
        | Action::Waive { device }
        | Action::Requeue { device }
        | Action::Assign { device, .. }
        | Action::Quarantine { device, .. }
        | Action::Order { device, .. } => {
            let place = view.devices.iter().position(|known| known.device == *device);
            let place = place.expect("an action names a device of its rollout");
            view.devices[place].change(action, now);
        }
        Action::SetRing { ring, state, inputs: _ } => {
            view.rings[*ring as usize].change(*state, now);
        }
        Action::Look { ring, look } => view.rings[*ring as usize].look = Some(look.clone()),
        Action::SetState { state, cause } => {
            (view.state, view.cause, view.changed_at) = (*state, cause.clone(), now);
            if state.is_final() {
                for place in 0..view.devices.len() {
                    if view.devices[place].waits() {
                        let device = &mut view.devices[place];
                        (device.step, device.since) = (Step::Skipped, now);
                    }
                }
            }
        }
    }
}

impl RingView {
    fn change(&mut self, state: RingState, now: Timestamp) {
        self.state = state;
        match state {
            RingState::Running | RingState::Rehearsing | RingState::Repeating => {
                self.started_at.get_or_insert(now);
                self.ended_at = None;
            }
            RingState::Passed | RingState::Failed | RingState::RollingBack => {
                self.ended_at = Some(now);
            }
            RingState::Waiting => {}
            RingState::RolledBack => {
                self.ended_at.get_or_insert(now);
            }
        }
    }
}

impl RolloutView {
    /// Whether the device is within hearing.
    pub fn hearing(&self, device: &DeviceView, now: Timestamp) -> Hearing {
        Hearing::of(device.last_seen, self.listening_since, self.spec.offline_after, now)
    }

    /// Whether the device was heard lately enough to be given an order.
    pub(super) fn was_heard(&self, device: &DeviceView, now: Timestamp) -> bool {
        permits(Guard::HeardLately, self.hearing(device, now) == Hearing::Heard)
    }

    /// Why nothing new may begin, if so.
    fn forbidden(&self) -> Option<Cause> {
        let emergency = self.emergency.clone().map(|stop| Cause::Emergency { stop });
        let emergency = emergency.filter(|_| detects(Guard::Emergency, true));
        let lost = self.unapproved.first().cloned();
        let unapproved = || lost.map(|release| Cause::NotApproved { release });
        emergency.or_else(|| unapproved().filter(|_| detects(Guard::Approval, true)))
    }

    /// The place of the first ring that has not passed; the number of rings if all have.
    pub fn current_ring(&self) -> u32 {
        let passed = self.rings.iter().take_while(|ring| ring.state == RingState::Passed);
        passed.count() as u32
    }

    /// How many places in flight are taken.
    pub fn places_taken(&self) -> u32 {
        self.devices.iter().filter(|device| device.takes_a_place()).count() as u32
    }
}

struct Engine {
    view: RolloutView,
    now: Timestamp,
    actions: Vec<Action>,
}

impl Engine {
    fn act(&mut self, action: Action) {
        apply(&mut self.view, &action, self.now);
        self.actions.push(action);
    }

    /// As [`act`](Engine::act), for one device, and without looking for it.
    fn act_on(&mut self, place: usize, action: impl FnOnce(DeviceId) -> Action) {
        let device = &mut self.view.devices[place];
        let action = action(device.device.clone());
        device.change(&action, self.now);
        self.actions.push(action);
    }

    fn set_ring(&mut self, ring: usize, state: RingState, inputs: Option<GateInputs>) {
        self.act(Action::SetRing { ring: ring as u32, state, inputs });
    }

    fn set_state(&mut self, state: RolloutState, cause: Option<Cause>) {
        self.act(Action::SetState { state, cause });
    }

    fn run(&mut self) {
        self.note_silence();
        self.note_faults();
        if detects(Guard::FailuresFirst, true) && self.stop_on_failure() {
            return self.after_failure();
        }
        if let Some(cause) = self.view.forbidden() {
            self.set_state(RolloutState::Paused, Some(cause));
            return self.take_back();
        }
        self.take_back();
        self.retry();
        self.open_rings();
        if self.view.state != RolloutState::Running {
            return self.after_failure();
        }
        self.give_orders();
        self.complete();
    }

    /// Lets those wait for their order again that have waited long enough after a failure, and
    /// those that were taken back while they were kept out.
    fn retry(&mut self) {
        let retry = self.view.spec.retry;
        let is_due = |it: &DeviceView| {
            let has_waited = it.retries_at(&retry).is_some_and(|at| at <= self.now);
            has_waited || it.was_taken_back() && it.is_let_in()
        };
        for place in self.places_where(is_due) {
            self.act_on(place, |device| Action::Requeue { device });
        }
    }

    /// What follows in the same pass when a gate has just failed.
    fn after_failure(&mut self) {
        match self.view.state {
            RolloutState::Paused => {
                self.take_back();
                self.put_rings_back();
            }
            RolloutState::RollingBack => self.roll_back(),
            RolloutState::Running
            | RolloutState::Stopping
            | RolloutState::Completed
            | RolloutState::Stopped
            | RolloutState::RolledBack => {}
        }
    }

    fn stay_paused(&mut self) {
        self.note_silence();
        self.note_faults();
        if self.stop_on_failure() {
            return self.after_failure();
        }
        self.take_back();
        self.put_rings_back();
    }

    /// Takes back what may not begin any more and has not switched.
    fn take_back(&mut self) {
        let (is_emergency, unapproved) =
            (self.view.emergency.is_some(), self.view.unapproved.clone());
        self.order_where(WantKind::Hold, |device| {
            let is_forbidden = is_emergency || unapproved.contains(&device.release);
            let is_forbidden = is_forbidden || !device.is_let_in();
            device.is_to_be_held() && detects(Guard::TakenBack, is_forbidden)
        });
    }

    fn come_to_a_stop(&mut self) {
        self.note_silence();
        self.order_where(WantKind::Hold, |device| {
            detects(Guard::StopHolds, device.is_to_be_held())
        });
        self.put_rings_back();
        if self.view.devices.iter().all(DeviceView::is_settled) {
            self.set_state(RolloutState::Stopped, self.view.cause.clone());
        }
    }

    fn roll_back(&mut self) {
        self.note_silence();
        self.revert_where(|_| true);
        if self.view.devices.iter().all(DeviceView::is_settled) {
            for ring in 0..self.view.rings.len() {
                if !matches!(
                    self.view.rings[ring].state,
                    RingState::Waiting | RingState::RolledBack
                ) {
                    self.set_ring(ring, RingState::RolledBack, None);
                }
            }
            self.set_state(RolloutState::RolledBack, self.view.cause.clone());
        }
    }

    fn note_silence(&mut self) {
        let is_overdue = |it: &DeviceView| !it.is_silent && self.view.is_overdue(it, self.now);
        for place in self.places_where(is_overdue) {
            self.act_on(place, |device| Action::MarkSilent { device });
        }
    }

    /// Puts devices that are at fault themselves into quarantine.
    fn note_faults(&mut self) {
        let fault = |it: &DeviceView| self.view.fault_of(it);
        let devices = self.view.devices.iter().enumerate();
        let found: Vec<_> = devices.filter_map(|(at, it)| Some((at, fault(it)?))).collect();
        for (place, cause) in found {
            self.act_on(place, |device| Action::Quarantine { device, cause });
        }
    }

    fn places_where(&self, wanted: impl Fn(&DeviceView) -> bool) -> Vec<usize> {
        let devices = self.view.devices.iter().enumerate();
        devices.filter(|(_, device)| wanted(device)).map(|(place, _)| place).collect()
    }

    fn order_where(&mut self, want: WantKind, wanted: impl Fn(&DeviceView) -> bool) {
        for place in self.places_where(wanted) {
            self.act_on(place, |device| Action::Order { device, want });
        }
    }

    /// Reverts what can be reverted. A device whose earlier release no order can name is only
    /// held, if it has not switched yet.
    fn revert_where(&mut self, wanted: impl Fn(&DeviceView) -> bool) {
        let is_named = |device: &DeviceView| !matches!(device.previous, Previous::Unknown(_));
        let version = self.view.spec.version.clone();
        self.order_where(WantKind::Revert, |device| {
            wanted(device) && device.is_to_be_reverted(&version) && is_named(device)
        });
        self.order_where(WantKind::Hold, |device| {
            wanted(device) && device.is_to_be_held() && !is_named(device)
        });
    }

    fn give_orders(&mut self) {
        let open = self.view.current_ring();
        let limit = self.view.spec.most_in_flight();
        let may_go = |device: &DeviceView| {
            (device.waits() || self.view.is_released(device, self.now))
                && device.is_let_in()
                && device.is_fulfilled()
                && permits(Guard::OpenRingsOnly, device.ring <= open)
                && self.view.rings[device.ring as usize].state != RingState::Rehearsing
                && self.view.was_heard(device, self.now)
        };
        let mut ready = self.places_where(may_go);
        // Who has accepted does not wait behind those who are yet to be asked.
        ready.sort_by_key(|place| self.view.devices[*place].waits());
        let taken = self.view.places_taken();
        let free =
            if permits(Guard::FreePlaces, false) { limit } else { limit.saturating_sub(taken) };
        let free = free.min(self.view.room()) as usize;
        if free == 0 && !ready.is_empty() {
            return self.pause_if_blocked();
        }
        for place in ready.into_iter().take(free) {
            let want = self.view.next_want(&self.view.devices[place], self.now);
            self.act_on(place, |device| Action::Order { device, want });
        }
    }

    /// Asks a person, where places would never become free by themselves. Whether those that other
    /// rollouts take ever will can't be seen from here.
    fn pause_if_blocked(&mut self) {
        let devices = &self.view.devices;
        let silent = devices.iter().filter(|device| device.blocks()).count() as u32;
        let is_stuck = |device: &DeviceView| device.is_settled() || device.awaits_user();
        if silent > 0 && devices.iter().all(is_stuck) {
            self.set_state(RolloutState::Paused, Some(Cause::OnlySilence { silent }));
        }
    }

    fn complete(&mut self) {
        let all_passed = self.view.current_ring() as usize == self.view.rings.len();
        let in_vain = all_passed.then(|| self.view.offers_in_vain(self.now));
        for place in in_vain.into_iter().flatten() {
            self.act_on(place, |device| Action::Order { device, want: WantKind::Hold });
        }
        let all_settled = self.view.devices.iter().all(DeviceView::is_settled);
        let retry = &self.view.spec.retry;
        let is_left = |device: &DeviceView| device.tries_again(retry) || device.awaits_package();
        let is_over = !self.view.devices.iter().any(is_left);
        if self.view.state == RolloutState::Running && all_passed && all_settled && is_over {
            self.set_state(RolloutState::Completed, None);
        }
    }
}
