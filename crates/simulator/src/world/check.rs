//! The invariants, asserted at the moment at which each could be broken. The rules are written
//! down here a second time, and more simply than where they are kept.

mod device;
mod rehearsal;

use gofleet_core::canary::Comparison;
use gofleet_core::hold::QuarantineCause;
use gofleet_core::ids::DeviceId;
use gofleet_core::order::{Failure, Order, Step, Want};
use gofleet_core::rollout::{
    Action, DeviceView, Hearing, RingState, RolloutState, RolloutView, WantKind, advance, status,
};
use gofleet_core::statistics::Trials;

use super::{Held, World};
use crate::invariant as must;
use crate::scenario::VERSIONS;
use crate::server::{NOWHERE, OLD_AGENT};

impl World<'_> {
    fn view(&self, server: usize, rollout: usize) -> &RolloutView {
        &self.servers[server].database.rollouts[rollout].view
    }

    /// Before a server makes a change.
    pub(super) fn check_action(&self, server: usize, rollout: usize, action: &Action) -> Held {
        match action {
            Action::Order { device, want: want @ (WantKind::Activate | WantKind::Offer) } => {
                let row = self.servers[server].database.row_of(device);
                self.check_start(server, rollout, (row, *want))
            }
            Action::Order { device, want: WantKind::Revert | WantKind::Hold } => {
                let view = self.view(server, rollout);
                let known = view.devices.iter().find(|it| it.device == *device);
                match known {
                    Some(it) if it.step == Step::Reverted => self
                        .broke(must::PUT_BACK, format!("{device} went back, and is ordered again")),
                    Some(it) if it.superseded_by.is_some() => self.broke(
                        must::ONE_ORDER,
                        format!("{device} obeys a later rollout, and is ordered by an earlier one"),
                    ),
                    Some(_) => Ok(()),
                    None => self.broke(must::MEMBERSHIP, format!("{device} is not in the rollout")),
                }
            }
            Action::SetRing { ring, state: RingState::Passed, .. } => {
                self.check_rehearsed(server, rollout, *ring)?;
                self.check_passed(server, rollout, *ring)
            }
            Action::SetRing { ring, state: RingState::Repeating, .. } => {
                self.check_gone_back(server, rollout, *ring)
            }
            Action::SetState { state: RolloutState::Completed, .. } => {
                let view = self.view(server, rollout);
                let moves = |it: &&DeviceView| it.is_in_flight() && !it.is_silent;
                match view.devices.iter().find(moves) {
                    Some(it) => self.broke(
                        must::RINGS,
                        format!("r{} is completed while {} is {}", rollout + 1, it.device, it.step),
                    ),
                    None => Ok(()),
                }
            }
            Action::Requeue { device } => {
                let mut known = self.view(server, rollout).devices.iter();
                let was_put_back = |it: &DeviceView| {
                    let may_pass = it.failure.as_ref().is_some_and(|it| it.kind.may_pass());
                    may_pass && it.attempts <= self.view(server, rollout).spec.retry.times
                        || (it.want(), it.step) == (Some(WantKind::Revert), Step::Reverted)
                        || (it.want(), it.step) == (Some(WantKind::Hold), Step::Skipped)
                        || (it.want(), it.step) == (Some(WantKind::Offer), Step::Skipped)
                };
                match known.find(|it| it.device == *device).filter(|it| was_put_back(it)) {
                    Some(_) => Ok(()),
                    None => {
                        self.broke(must::ATTEMPTS, format!("{device} failed, and is tried again"))
                    }
                }
            }
            Action::Quarantine { device, cause: QuarantineCause::FailsAlike { failure, .. } } => {
                self.check_blame(server, rollout, device, failure)
            }
            Action::SetRing { .. }
            | Action::Look { .. }
            | Action::SetState { .. }
            | Action::MarkSilent { .. }
            | Action::Assign { .. }
            | Action::Quarantine { .. }
            | Action::Waive { .. } => Ok(()),
        }
    }

    /// Whether a failure is the device's own, and not its release's.
    fn check_blame(
        &self,
        server: usize,
        rollout: usize,
        blamed: &DeviceId,
        failure: &Failure,
    ) -> Held {
        let others = || self.view(server, rollout).devices.iter().filter(|it| it.device != *blamed);
        let well = others().filter(|it| it.step == Step::Accepted).count();
        let is_alike = |it: &&DeviceView| {
            it.failure.as_ref().is_some_and(|it| (it.kind, it.step) == (failure.kind, failure.step))
        };
        let alike = others().filter(is_alike).count();
        if well <= alike {
            let seen = format!("{blamed} is blamed where {well} do well and {alike} fail alike");
            return self.broke(must::BLAME, seen);
        }
        Ok(())
    }

    /// Whether a device may be ordered the rollout's release now.
    fn check_start(&self, server: usize, rollout: usize, (row, want): (usize, WantKind)) -> Held {
        let kept = &self.servers[server].database.rollouts[rollout];
        let view = &kept.view;
        let id = &self.devices[row].id;
        if view.state != RolloutState::Running {
            return self.broke(
                must::STOP,
                format!("{id} is started while r{} is {}", rollout + 1, view.state),
            );
        }
        if view.emergency.is_some() {
            return self.broke(must::EMERGENCY, format!("{id} is started in an emergency"));
        }
        if let Some(release) = view.unapproved.first() {
            return self.broke(
                must::APPROVAL,
                format!("{id} is ordered {release}, which is not approved"),
            );
        }
        if self.servers[server].database.devices[row].kept_out.is_some() {
            return self.broke(must::KEPT_OUT, format!("{id} is started though it is kept out"));
        }
        let agent = self.servers[server].database.devices[row].agent;
        if agent == OLD_AGENT {
            let seen = format!("{id} is started with the agent {agent}, which is too old");
            return self.broke(must::PACKAGES, seen);
        }
        let place = kept.places[row];
        if place == NOWHERE {
            return self.broke(must::MEMBERSHIP, format!("{id} is not in r{}", rollout + 1));
        }
        let device = &view.devices[place as usize];
        let planned = &kept.plan.rings[device.ring as usize].devices;
        let has_joined = kept.joined.get(&row) == Some(&device.ring);
        if !has_joined && !planned.iter().any(|it| it.device == *id) {
            return self.broke(must::MEMBERSHIP, format!("{id} was planned for another ring"));
        }
        // What was offered is activated in the same attempt.
        let was_offered = want == WantKind::Activate && device.want() == Some(WantKind::Offer);
        if want == WantKind::Activate {
            self.check_user(view, row, device)?;
        }
        if want == WantKind::Offer && device.assigned_by.is_some() {
            return self.broke(must::ASSIGNED, format!("{id} is asked all the same"));
        }
        if kept.attempts_left[place as usize] == 0 && !was_offered {
            return self
                .broke(must::ATTEMPTS, format!("{id} is ordered once more than was allowed"));
        }
        let earlier = &view.rings[..device.ring as usize];
        if earlier.iter().any(|ring| ring.state != RingState::Passed) {
            return self.broke(
                must::RINGS,
                format!("{id} of ring {} is started before its time", device.ring),
            );
        }
        if self.server_now().since(device.last_seen) > view.spec.offline_after {
            return self.broke(must::HEARD, format!("{id} was last heard at {}", device.last_seen));
        }
        for ring in 0..view.rings.len() as u32 {
            if view.rings[ring as usize].state != RingState::Waiting {
                self.check_failures(server, rollout, ring)?;
            }
        }
        Ok(())
    }

    /// Whether the user was asked, and has answered or had the time to.
    fn check_user(&self, view: &RolloutView, row: usize, device: &DeviceView) -> Held {
        let Some(publish) = &view.spec.publish else { return Ok(()) };
        let agreed = (row, view.id.clone(), device.release.clone());
        let deadline = device.offered_at.map(|since| since + publish.deadline);
        let is_over = deadline.is_some_and(|deadline| deadline <= self.server_now());
        let is_assigned = self.assigned.contains(&(row, view.id.clone()));
        if is_over || is_assigned || self.agreed.contains(&agreed) {
            return Ok(());
        }
        self.broke(
            must::USER,
            format!("{} is ordered to activate, and was not asked", device.device),
        )
    }

    /// How many devices of a ring have failed that nobody has waived, counted plainly.
    fn failures(view: &RolloutView, ring: u32) -> usize {
        let failed = |it: &&DeviceView| {
            let gone_wrong = [Step::Failed, Step::Reverting, Step::Reverted, Step::Quarantined];
            it.ring == ring
                && it.is_to_upgrade()
                && it.superseded_by.is_none()
                && !it.is_waived
                && !is_blamed(it)
                && !it.tries_again(&view.spec.retry)
                && (gone_wrong.contains(&it.step) || it.is_silent && it.step.is_in_flight())
        };
        view.devices.iter().filter(failed).count()
    }

    fn check_failures(&self, server: usize, rollout: usize, ring: u32) -> Held {
        let view = self.view(server, rollout);
        let gate = view.spec.rings[ring as usize].gate.as_ref().unwrap_or(&view.spec.gate);
        let failures = Self::failures(view, ring);
        let is_limited = gate.max_failure_rate.is_none() || gate.max_failures > 0;
        if is_limited && failures > gate.max_failures as usize {
            let seen = format!("r{} goes on with {failures} failures in ring {ring}", rollout + 1);
            return self.broke(must::FAILURES, seen);
        }
        Ok(())
    }

    /// Whether a person has accepted what failed up to a ring, nothing else has failed there, and
    /// nobody is left who could show more: then no further proof is needed.
    fn is_accepted(view: &RolloutView, ring: u32) -> bool {
        let up_to_here =
            || view.devices.iter().filter(|it| it.ring <= ring && it.superseded_by.is_none());
        let is_left = |it: &DeviceView| {
            let is_out = matches!(it.step, Step::Skipped | Step::Quarantined);
            !it.is_waived && (it.step.is_in_flight() || it.order.is_none() && !is_out)
        };
        up_to_here().any(|it| it.is_waived)
            && (0..=ring).all(|ring| Self::failures(view, ring) == 0)
            && !up_to_here().any(is_left)
    }

    /// Whether a ring has shown what its gate asks for.
    fn check_passed(&self, server: usize, rollout: usize, ring: u32) -> Held {
        let (view, now) = (self.view(server, rollout), self.server_now());
        self.check_failures(server, rollout, ring)?;
        let gate = view.spec.rings[ring as usize].gate.as_ref().unwrap_or(&view.spec.gate);
        let here =
            || view.devices.iter().filter(|it| it.ring == ring && it.superseded_by.is_none());
        let proven = here().filter(|it| {
            it.step == Step::Accepted
                && it.want() == Some(WantKind::Activate)
                && it.order.is_some_and(|order| now.since(order.ordered_at) >= view.spec.soak)
        });
        let could = here().filter(|it| {
            let is_out = matches!(it.step, Step::Skipped | Step::Quarantined) && it.order.is_none();
            !it.is_waived && !is_out && !is_blamed(it) && (it.order.is_none() || it.is_to_upgrade())
        });
        let needed = could.count().min(gate.min_successes.unwrap_or(1) as usize);
        let proven = proven.count();
        if proven < needed {
            let seen = format!(
                "ring {ring} of r{} passes with {proven} of {needed} successes",
                rollout + 1
            );
            return self.broke(must::RINGS, seen);
        }
        self.check_canary(server, rollout, ring)?;
        let is_accepted = here().any(|it| it.is_waived) || Self::is_accepted(view, ring);
        if let Some(rate) = gate.max_failure_rate.filter(|_| here().count() > 0 && !is_accepted) {
            let passed = |it: &&DeviceView| {
                it.ring <= ring
                    && it.superseded_by.is_none()
                    && it.step == Step::Accepted
                    && it.want() == Some(WantKind::Activate)
            };
            let successes = view.devices.iter().filter(passed).count() as u64;
            let failures = (0..=ring).map(|ring| Self::failures(view, ring) as u64).sum();
            let bound = Trials { failures, successes }.upper_bound(gate.confidence);
            if bound > rate.as_f64() + 1e-9 {
                let seen = format!(
                    "ring {ring} of r{} passes while the failure rate may be {bound}, {rate} may be",
                    rollout + 1
                );
                return self.broke(must::CONFIDENCE, seen);
            }
        }
        let is_missing = |it: &&DeviceView| match it.order {
            None => {
                it.step == Step::Waiting
                    && it.kept_out.is_none()
                    && it.unmet.is_none()
                    && view.hearing(it, now) != Hearing::Offline
            }
            Some(_) => {
                let is_apart = asks(it) && view.hearing(it, now) == Hearing::Offline;
                it.step.is_in_flight()
                    && !it.is_silent
                    && !is_apart
                    && !matches!(it.step, Step::Failed | Step::Reverting)
            }
        };
        if gate.min_successes.is_none()
            && let Some(it) = here().find(is_missing)
        {
            let seen =
                format!("ring {ring} of r{} passes before {} has answered", rollout + 1, it.device);
            return self.broke(must::EVIDENCE, seen);
        }
        Ok(())
    }

    /// Whether the signals of a ring's devices were compared, and are no worse than is tolerated.
    fn check_canary(&self, server: usize, rollout: usize, ring: u32) -> Held {
        let view = self.view(server, rollout);
        let is_last = ring as usize + 1 == view.rings.len();
        let Some(canary) = view.spec.gate.canary.as_ref().filter(|_| !is_last) else {
            return Ok(());
        };
        let look = view.rings[ring as usize].look.as_ref();
        let is_fine = |it: &Comparison| {
            let most = f64::from(it.normal) * canary.tolerance.as_f64();
            it.change.is_some_and(|change| f64::from(change.high) <= most + 1e-9)
        };
        let is_shown = look.is_some_and(|look| {
            look.is_accepted || look.is_final && look.comparisons.iter().all(is_fine)
        });
        if is_shown {
            return Ok(());
        }
        let seen = look.map_or_else(|| "no look".to_owned(), ToString::to_string);
        self.broke(must::SIGNALS, format!("ring {ring} of r{} passes with {seen}", rollout + 1))
    }

    /// After a server has made a change.
    pub(super) fn check_applied(&mut self, server: usize, rollout: usize, action: &Action) -> Held {
        let Action::Order { device, want } = action else { return Ok(()) };
        let row = self.servers[server].database.row_of(device);
        self.check_counters(server, row)?;
        self.check_one_order(server, row)?;
        if matches!(want, WantKind::Activate | WantKind::Offer) {
            let orders = &self.servers[server].database.devices[row].orders;
            let goes_on = matches!(
                orders.as_slice(),
                [.., offer, activate] if matches!(offer.order.want, Want::Offer { .. })
                    && matches!(activate.order.want, Want::Activate { .. })
                    && offer.order.rollout == activate.order.rollout
            );
            let kept = &mut self.servers[server].database.rollouts[rollout];
            let place = kept.places[row] as usize;
            let counts = u32::from(!goes_on);
            kept.attempts_left[place] = kept.attempts_left[place].saturating_sub(counts);
            self.check_places(server, rollout)?;
            self.check_blast_radius(server)?;
        }
        Ok(())
    }

    fn check_places(&self, server: usize, rollout: usize) -> Held {
        let view = self.view(server, rollout);
        let limit = view.spec.max_in_flight as usize;
        let in_flight = view.devices.iter().filter(|it| {
            it.order.is_some()
                && it.superseded_by.is_none()
                && it.step.is_in_flight()
                && !asks(it)
                && !(it.is_silent && it.is_waived)
        });
        let in_flight = in_flight.count();
        if limit > 0 && in_flight > limit {
            let seen =
                format!("{in_flight} devices of r{} are in flight, {limit} may be", rollout + 1);
            return self.broke(must::PLACES, seen);
        }
        Ok(())
    }

    /// Over all rollouts, counted plainly.
    fn check_blast_radius(&self, server: usize) -> Held {
        let Some(max) = self.scenario.blast_radius else { return Ok(()) };
        let rollouts = self.servers[server].database.rollouts.iter();
        let moving = rollouts.filter(|rollout| !rollout.view.state.is_final());
        let is_exposed = |it: &&DeviceView| {
            let is_ours = it.order.is_some() && it.superseded_by.is_none();
            let is_accepted = it.is_waived && (it.is_silent || it.step == Step::Quarantined);
            is_ours
                && !asks(it)
                && !is_accepted
                && (it.step.is_in_flight() || it.step == Step::Quarantined)
        };
        let exposed = moving.flat_map(|it| &it.view.devices).filter(is_exposed).count();
        if exposed > max as usize {
            let seen = format!("{exposed} devices are in flight or broken, {max} may be");
            return self.broke(must::BLAST_RADIUS, seen);
        }
        Ok(())
    }

    /// Each order is newer than all before it.
    fn check_counters(&self, server: usize, row: usize) -> Held {
        let orders = &self.servers[server].database.devices[row].orders;
        let numbers = |order: &Order| (order.epoch, order.generation);
        let [.., before, last] = orders.as_slice() else { return Ok(()) };
        if numbers(&last.order) <= numbers(&before.order) {
            let seen = format!(
                "{} is given generation {} again",
                self.devices[row].id, last.order.generation
            );
            return self.broke(must::COUNTERS, seen);
        }
        Ok(())
    }

    fn check_one_order(&self, server: usize, row: usize) -> Held {
        let database = &self.servers[server].database;
        let active = database.rollouts.iter().filter(|rollout| {
            let place = rollout.places[row];
            place != NOWHERE && !rollout.view.state.is_final() && {
                let it = &rollout.view.devices[place as usize];
                it.is_in_flight()
            }
        });
        if active.count() > 1 {
            let seen = format!("{} is in flight in two rollouts", self.devices[row].id);
            return self.broke(must::ONE_ORDER, seen);
        }
        Ok(())
    }

    /// Once applied, there is nothing left to do; and whoever has not moved has a reason.
    pub(super) fn check_second_look(&self, server: usize, rollout: usize) -> Held {
        let (view, now) = (self.view(server, rollout), self.server_now());
        if let Some(action) = advance(view, now).first() {
            return self.broke(must::IDEMPOTENT, format!("a second look finds {action:?}"));
        }
        let status = status(view, 0, now);
        let lacks_reason = |device: &&gofleet_core::rollout::DeviceStatus| {
            device.reason.is_none() && device.step != Step::Accepted
        };
        let mut devices = status.rings_detail.iter().flat_map(|ring| &ring.devices);
        match devices.find(lacks_reason) {
            Some(it) => {
                self.broke(must::REASONS, format!("{} is {} without a reason", it.device, it.step))
            }
            None => Ok(()),
        }
    }

    /// A server has taken a report: whom it counts as accepted has shown it, for that very order.
    pub(super) fn check_successes(&self, server: usize, device: usize) -> Held {
        let row = &self.servers[server].database.devices[device];
        let is_accepted = |it: &&crate::server::OrderRow| {
            it.step == Step::Accepted && matches!(it.order.want, Want::Activate { .. })
        };
        for order in row.orders.iter().filter(is_accepted) {
            if !self.claims.contains(&(device, order.digest)) {
                let seen = format!(
                    "{} counts as accepted under generation {}, and never showed it for that order",
                    row.id, order.order.generation
                );
                return self.broke(must::EVIDENCE, seen);
            }
        }
        Ok(())
    }

    /// A rollout has just been planned: nobody goes back to an older version unless it says so.
    pub(super) fn check_planned(&self, rollout: usize) -> Held {
        let view = self.view(self.current, rollout);
        let place = |version: &str| VERSIONS.iter().position(|known| *known == version);
        let is_newer = |it: &&DeviceView| {
            let active = it.active.as_deref().and_then(place);
            active.is_some() && active > place(&view.spec.version)
        };
        let rollouts = &self.servers[self.current].database.rollouts;
        let is_busy = |it: &&DeviceView| {
            let row = self.servers[self.current].database.row_of(&it.device);
            rollouts[..rollout].iter().any(|other| {
                let place = other.places[row];
                place != NOWHERE
                    && !other.view.state.is_final()
                    && other.view.devices[place as usize].step != Step::Skipped
            })
        };
        if let Some(it) = view.devices.iter().find(is_busy) {
            let seen =
                format!("{} is planned into r{} and moves in another", it.device, rollout + 1);
            return self.broke(must::ONE_ORDER, seen);
        }
        match view.devices.iter().find(is_newer) {
            Some(it) if !view.spec.allow_downgrade => self.broke(
                must::MEMBERSHIP,
                format!("{} would go back from {:?}", it.device, it.active),
            ),
            Some(_) | None => Ok(()),
        }
    }

    /// A stop has been committed and acted on: who has not switched is held.
    pub(super) fn check_stopped(&self, server: usize, rollout: usize) -> Held {
        let view = self.view(server, rollout);
        let goes_on = |it: &&DeviceView| Self::may_yet_switch(it);
        match view.devices.iter().find(goes_on).filter(|_| view.state == RolloutState::Stopping) {
            Some(it) => {
                self.broke(must::STOP, format!("{} is {} and was not held", it.device, it.step))
            }
            None => Ok(()),
        }
    }

    /// After a pass nobody is left to switch to what nobody may begin.
    pub(super) fn check_taken_back(&self, server: usize, rollout: usize) -> Held {
        let view = self.view(server, rollout);
        let may_not = |it: &DeviceView| {
            view.emergency.is_some()
                || view.unapproved.contains(&it.release)
                || it.kept_out.is_some()
        };
        match view.devices.iter().find(|it| Self::may_yet_switch(it) && may_not(it)) {
            Some(it) => self.broke(
                must::EMERGENCY,
                format!("{} is {} and was not taken back", it.device, it.step),
            ),
            None => Ok(()),
        }
    }

    fn may_yet_switch(it: &DeviceView) -> bool {
        matches!(it.step, Step::Offered | Step::Fetching | Step::Staged)
            && it.superseded_by.is_none()
            && it.is_to_upgrade()
    }
}

/// Whether nothing has changed on it but that a release is staged, and its user is asked.
fn asks(it: &DeviceView) -> bool {
    it.want() == Some(WantKind::Offer) && it.step == Step::Staged
}

/// Whether the engine has said that its failure is its own.
fn is_blamed(it: &DeviceView) -> bool {
    matches!(it.quarantined_for, Some(QuarantineCause::FailsAlike { .. }))
}
