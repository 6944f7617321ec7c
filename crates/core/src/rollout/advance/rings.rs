//! Rings: which gates pass, which fail and what follows, and the rehearsal of the way back.

use super::Engine;
use crate::guard::{Guard, detects};
use crate::order::Step;
use crate::rollout::gate::{GateInputs, Verdict, inputs, tallies};
use crate::rollout::view::Cause;
use crate::rollout::{
    Action, DeviceView, GateFailure, OnFailure, RingState, RolloutState, WantKind,
};

impl Engine {
    /// Judges every ring that has begun. Whether one of them failed.
    pub(super) fn stop_on_failure(&mut self) -> bool {
        let counted = tallies(&self.view, self.now);
        let rings = 0..self.view.rings.len();
        let failed = rings.filter_map(|ring| {
            let inputs = inputs(&self.view, ring, &counted);
            Some((ring, self.has_failed(ring, &inputs)?, inputs))
        });
        let failed: Vec<_> = failed.collect();
        self.fail(failed)
    }

    /// How a ring has failed just now, if it has.
    fn has_failed(&self, ring: usize, inputs: &GateInputs) -> Option<GateFailure> {
        let Verdict::Fail { failure } = inputs.verdict() else { return None };
        match (self.view.rings[ring].state, &failure) {
            (RingState::Running | RingState::Repeating, _) => Some(failure),
            // It has shown enough already; only new failures can take that away.
            (
                RingState::Passed | RingState::Rehearsing,
                GateFailure::TooManyFailures { .. } | GateFailure::FailureRate { .. },
            ) => Some(failure),
            (
                RingState::Passed | RingState::Rehearsing,
                GateFailure::TooFewSuccesses { .. }
                | GateFailure::Inconclusive { .. }
                | GateFailure::Worse { .. }
                | GateFailure::Unclear { .. },
            )
            | (
                RingState::Waiting
                | RingState::Failed
                | RingState::RollingBack
                | RingState::RolledBack,
                _,
            ) => None,
        }
    }

    /// Acts on the rings that failed; the first of them is told as the cause. Whether there is one.
    fn fail(&mut self, failed: Vec<(usize, GateFailure, GateInputs)>) -> bool {
        let Some((first, failure, _)) = failed.first() else { return false };
        let ring = self.view.spec.rings[*first].name.clone();
        let cause = Some(Cause::GateFailed { ring, failure: failure.clone() });
        // What is not shown to be bad is not put back: a person looks at it.
        let is_unclear = |(_, it, _): &_| matches!(it, GateFailure::Unclear { .. });
        let (ring_state, state) = match self.view.spec.on_failure {
            _ if failed.iter().all(is_unclear) => (RingState::Failed, RolloutState::Paused),
            OnFailure::Pause => (RingState::Failed, RolloutState::Paused),
            OnFailure::RollBackRing => (RingState::RollingBack, RolloutState::Paused),
            OnFailure::RollBackAll => (RingState::Failed, RolloutState::RollingBack),
        };
        for (ring, _, inputs) in failed {
            self.set_ring(ring, ring_state, Some(inputs));
        }
        self.set_state(state, cause);
        true
    }

    /// Puts back the devices of each ring that is rolling back, and closes it when they are.
    pub(super) fn put_rings_back(&mut self) {
        for ring in 0..self.view.rings.len() {
            if self.view.rings[ring].state != RingState::RollingBack {
                continue;
            }
            self.revert_where(|device| device.ring as usize == ring);
            if self.view.devices.of_ring(ring as u32).all(DeviceView::is_settled) {
                self.set_ring(ring, RingState::RolledBack, None);
            }
        }
    }

    /// Passes the gates that can be passed and opens the next ring behind them.
    pub(super) fn open_rings(&mut self) {
        let counted = tallies(&self.view, self.now);
        for ring in 0..self.view.rings.len() {
            match self.view.rings[ring].state {
                RingState::Passed => continue,
                RingState::Waiting => self.set_ring(ring, RingState::Running, None),
                RingState::Running | RingState::Repeating => {}
                RingState::Rehearsing => return self.rehearse(ring),
                RingState::Failed | RingState::RollingBack | RingState::RolledBack => return,
            }
            let inputs = inputs(&self.view, ring, &counted);
            match inputs.verdict() {
                Verdict::Pass if self.is_to_rehearse(ring) => {
                    self.set_ring(ring, RingState::Rehearsing, Some(inputs));
                    return self.rehearse(ring);
                }
                Verdict::Pass => self.set_ring(ring, RingState::Passed, Some(inputs)),
                Verdict::Wait => return,
                Verdict::Fail { failure } => {
                    self.fail(vec![(ring, failure, inputs)]);
                    return;
                }
            }
        }
    }

    fn is_to_rehearse(&self, ring: usize) -> bool {
        let rehearses = self.view.spec.rings[ring].rehearse;
        detects(Guard::Rehearsed, rehearses && self.view.rings[ring].state == RingState::Running)
    }

    /// Has the devices of a ring go back, and when they are back, upgrade again. One that can't
    /// asks for a person: whatever comes after could not be undone there.
    fn rehearse(&mut self, ring: usize) {
        let is_here = |device: &DeviceView| device.ring as usize == ring;
        self.revert_where(|device| is_here(device) && device.step == Step::Accepted);
        let here = || self.view.devices.of_ring(ring as u32);
        let stuck = here().filter(|device| device.cannot_go_back()).count() as u32;
        if detects(Guard::GoingBackWorks, stuck > 0) {
            let name = self.view.spec.rings[ring].name.clone();
            self.set_ring(ring, RingState::Failed, None);
            let cause = Cause::RehearsalFailed { ring: name, devices: stuck };
            return self.set_state(RolloutState::Paused, Some(cause));
        }
        if here().all(DeviceView::is_settled) {
            let is_back = |device: &DeviceView| {
                is_here(device)
                    && device.want() == Some(WantKind::Revert)
                    && device.step == Step::Reverted
            };
            for place in self.places_where(is_back) {
                self.act_on(place, |device| Action::Requeue { device });
            }
            self.set_ring(ring, RingState::Repeating, None);
            self.open_rings();
        }
    }
}
