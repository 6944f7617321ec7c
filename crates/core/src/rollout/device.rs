//! Where a device of a rollout stands, and what may be done with it.

use super::{Action, DeviceView, OrderView, Previous, Retry, WantKind};
use crate::guard::{Guard, detects, permits};
use crate::hold::{KeptOut, Quarantine, QuarantineCause};
use crate::order::Step;
use crate::time::{Span, Timestamp};

impl DeviceView {
    /// Makes a change that concerns one device.
    pub(super) fn change(&mut self, action: &Action, now: Timestamp) {
        match action {
            Action::MarkSilent { .. } => self.is_silent = true,
            Action::Waive { .. } => self.is_waived = true,
            Action::Assign { by, .. } => self.assigned_by = Some(by.clone()),
            Action::Requeue { .. } => self.requeue(now),
            Action::Quarantine { cause, .. } => self.quarantine(cause, now),
            Action::Order { want, .. } => self.order(*want, now),
            Action::SetRing { .. } | Action::Look { .. } | Action::SetState { .. } => {}
        }
    }

    fn order(&mut self, want: WantKind, now: Timestamp) {
        self.attempts += u32::from(self.begins_attempt(want));
        if want == WantKind::Offer {
            self.offered_at.get_or_insert(now);
        }
        let generation = self.order.map_or(1, |order| order.generation + 1);
        self.order = Some(OrderView {
            generation,
            want,
            ordered_at: now,
            progressed_at: now,
            waits_until: None,
            answer: None,
        });
        (self.step, self.since) = (Step::Offered, now);
    }

    /// When it gets its order again, if its failure may pass by itself and an attempt is left. It
    /// has to be back on what it had before.
    pub fn retries_at(&self, retry: &Retry) -> Option<Timestamp> {
        let wait = self.wait_before_retry(retry)?;
        (self.step == Step::Reverted).then(|| self.since + wait)
    }

    /// Whether it has failed for a reason that may pass by itself, and an attempt is left.
    pub fn tries_again(&self, retry: &Retry) -> bool {
        self.wait_before_retry(retry).is_some()
    }

    fn wait_before_retry(&self, retry: &Retry) -> Option<Span> {
        let has_failed = matches!(self.step, Step::Failed | Step::Reverting | Step::Reverted);
        let may_pass = self.failure.as_ref().is_some_and(|failure| failure.kind.may_pass());
        let is_answered = !self.is_silent && !self.is_waived && self.superseded_by.is_none();
        let is_ours = self.is_to_upgrade();
        retry.wait(self.attempts).filter(|_| has_failed && may_pass && is_answered && is_ours)
    }

    fn requeue(&mut self, now: Timestamp) {
        (self.step, self.since, self.order) = (Step::Waiting, now, None);
        (self.is_silent, self.is_waived, self.failure) = (false, false, None);
        (self.quarantined_for, self.earlier_failures) = (None, Vec::new());
    }

    fn quarantine(&mut self, cause: &QuarantineCause, now: Timestamp) {
        self.quarantined_for = Some(cause.clone());
        // The first cause stays.
        if !self.is_in_quarantine() {
            self.kept_out = Some(KeptOut::Quarantine(Quarantine { cause: cause.clone(), at: now }));
        }
    }

    /// Whether it is in quarantine, for whatever reason.
    pub fn is_in_quarantine(&self) -> bool {
        self.kept_out.as_ref().is_some_and(KeptOut::is_quarantine)
    }

    /// What the rollout's latest order for it wants.
    pub fn want(&self) -> Option<WantKind> {
        self.order.map(|order| order.want)
    }

    /// Whether it has no order yet, and may get one.
    pub fn waits(&self) -> bool {
        let has_none = permits(Guard::OnlyWaiting, self.order.is_none());
        has_none && permits(Guard::OnlyWaiting, self.step == Step::Waiting)
    }

    /// Whether it has an order without a final answer, be it silent or not.
    pub fn is_in_flight(&self) -> bool {
        self.order.is_some() && self.step.is_in_flight() && self.superseded_by.is_none()
    }

    /// Whether nothing more is expected of it for now.
    pub fn is_settled(&self) -> bool {
        self.is_silent || !self.is_in_flight()
    }

    /// Whether it takes one of the places in flight. Who waits for its user takes none. Silence does not free its place, since
    /// nobody knows what it does; a person can, by accepting the failure.
    pub fn takes_a_place(&self) -> bool {
        let is_given_up =
            self.is_silent && (self.is_waived || !detects(Guard::SilenceKeepsPlace, true));
        self.is_in_flight() && !is_given_up && !self.awaits_user()
    }

    /// Whether it was told to begin nothing, and has answered; it may have switched by then. Or it
    /// was offered something, and has given up waiting for what follows.
    pub(super) fn was_taken_back(&self) -> bool {
        matches!(self.want(), Some(WantKind::Hold | WantKind::Offer))
            && self.step == Step::Skipped
            && self.superseded_by.is_none()
    }

    /// Whether it may be ordered something new, as far as holds and quarantine go.
    pub(crate) fn is_let_in(&self) -> bool {
        permits(Guard::KeptOut, self.kept_out.is_none())
    }

    /// Whether its packages are what its release asks for.
    pub(crate) fn is_fulfilled(&self) -> bool {
        permits(Guard::Requirements, self.unmet.is_none())
    }

    /// Whether it has no order yet, and a rollout is bringing what its release requires.
    pub(super) fn awaits_package(&self) -> bool {
        let awaited = self.unmet.as_ref().and_then(|unmet| unmet.waits_for());
        awaited.is_some() && self.waits()
    }

    /// Whether its packages are not what its release asks for, and no rollout is changing that.
    pub(super) fn lacks_packages(&self) -> bool {
        self.unmet.as_ref().is_some_and(|unmet| unmet.waits_for().is_none())
    }

    /// Whether it failed, and is on its way back by itself.
    pub(super) fn goes_back_by_itself(&self) -> bool {
        let is_on_its_way = matches!(self.step, Step::Failed | Step::Reverting);
        is_on_its_way && !self.is_silent
    }

    /// Whether a revert has something to do: it has the release, or may yet switch to it. One
    /// that was told to begin nothing may have had it active by then.
    pub(super) fn is_to_be_reverted(&self, version: &str) -> bool {
        let was_held_late = self.step == Step::Skipped && self.active.as_deref() == Some(version);
        let stays = detects(Guard::PutBackStays, self.step == Step::Reverted);
        let moved = self.step == Step::Accepted
            || was_held_late
            || self.is_in_flight()
            || self.step == Step::Reverted && !stays;
        moved
            && permits(Guard::Superseded, self.superseded_by.is_none())
            && self.order.is_some_and(|order| order.want != WantKind::Revert)
            && !self.goes_back_by_itself()
    }

    /// Whether it has failed to go back in a rehearsal, or nothing is known to which it could.
    pub fn cannot_go_back(&self) -> bool {
        let is_ours = self.superseded_by.is_none() && !self.is_waived;
        let has_failed = self.want() == Some(WantKind::Revert)
            && (self.step == Step::Quarantined || self.is_silent && self.is_in_flight());
        let has_nowhere = self.want() == Some(WantKind::Activate)
            && self.step == Step::Accepted
            && matches!(self.previous, Previous::Unknown(_));
        is_ours && (has_failed || has_nowhere)
    }

    /// Whether its order can still be taken back before anything changes for the user.
    pub(super) fn is_to_be_held(&self) -> bool {
        let not_switched = matches!(self.step, Step::Offered | Step::Fetching | Step::Staged);
        not_switched && self.superseded_by.is_none() && self.is_to_upgrade()
    }
}
