//! What a device does: the real agent's decisions, with a virtual disk under them.
//!
//! It follows the agent's shell (`execute`): one action after the other, each written down before
//! the next; what leaves no trace is given up for a newer order.

use gofleet_core::agent::{Action, Event as Happened, Outcome};
use gofleet_core::ids::ReleaseId;
use gofleet_core::order::{FailureKind, Step, Want};
use gofleet_core::time::{Span, Timestamp};

use super::{Crash, Event, GoesOn, Held, Wake, World};
use crate::device::version_of;
use crate::invariant;
use crate::scenario::VERSIONS;

/// How long a stretch of soaking is, between two checks.
const SLICE_MS: u64 = 5 * 60_000;
/// How often a device tells its facts, changed or not.
pub(super) const FACTS_EVERY_MS: u64 = 60 * 60_000;
/// How often a device looks whether its window is open.
const WINDOW_LOOKED_AT_EVERY_MS: u64 = 10 * 60_000;
/// How often a user looks at what is offered.
const USER_LOOKS_EVERY_MS: u64 = 5 * 60_000;
/// How often a download is tried before it counts as failed.
const TRIES: u32 = 8;

impl World<'_> {
    /// The agent's process starts.
    pub(super) fn boot(&mut self, device: usize) -> Held {
        let it = &mut self.devices[device];
        if it.is_gone || it.is_up {
            return Ok(());
        }
        it.is_up = true;
        it.boot += 1;
        (it.pending, it.acting, it.after, it.reporting) = (None, None, None, None);
        self.ask(device);
        self.tell_facts(device);
        self.think(device)
    }

    /// Tells what the server may know differently, now and after an hour again.
    fn tell_facts(&mut self, device: usize) {
        self.devices[device].has_news = true;
        self.deliver(device);
        let boot = self.devices[device].boot;
        self.later(FACTS_EVERY_MS, Event::Wake { device, boot, what: Wake::TellFacts });
    }

    /// The agent's process ends, at whatever it was doing.
    pub(super) fn kill(&mut self, device: usize, down_ms: Option<u64>) {
        let it = &mut self.devices[device];
        it.is_up = false;
        it.boot += 1;
        (it.pending, it.acting, it.reporting) = (None, None, None);
        match down_ms {
            Some(ms) => self.later(ms, Event::Boot { device }),
            None => it.is_gone = true,
        }
    }

    pub(super) fn wake(&mut self, device: usize, boot: u32, what: Wake) -> Held {
        if self.devices[device].boot != boot || !self.devices[device].is_up {
            return Ok(());
        }
        match what {
            Wake::Acted(serial) => self.acted(device, serial),
            Wake::Ask(poll) | Wake::PollLost(poll) if self.devices[device].asking != poll => Ok(()),
            Wake::Ask(_) => {
                self.ask(device);
                Ok(())
            }
            Wake::PollLost(_) => {
                // After an outage the latest order is asked for, whatever its number.
                self.devices[device].after = None;
                self.ask(device);
                Ok(())
            }
            Wake::ReportAgain(report) => {
                self.report_again(device, report);
                Ok(())
            }
            Wake::ThinkAgain => self.think(device),
            Wake::TellFacts => {
                self.tell_facts(device);
                Ok(())
            }
        }
    }

    /// There is a new order: what leaves no trace is given up for it.
    pub(super) fn news(&mut self, device: usize) -> Held {
        match &self.devices[device].acting {
            Some((_, Action::Switch | Action::PutBack)) => Ok(()),
            Some(_) | None => self.think(device),
        }
    }

    /// Whether a write to the disk works now.
    fn can_write(&self, device: usize) -> bool {
        let it = &self.devices[device];
        let number = u64::from(it.number);
        !it.is_full || self.scenario.dice(&[7, number, self.events]).chance(300)
    }

    fn try_again(&mut self, device: usize) {
        let boot = self.devices[device].boot;
        self.later(30_000, Event::Wake { device, boot, what: Wake::ThinkAgain });
    }

    pub(super) fn clock(&self, device: usize) -> Timestamp {
        Timestamp::from_millis(self.now().as_millis() + self.devices[device].clock_ms)
    }

    /// Takes up a new order if there is one, and begins the next action.
    fn think(&mut self, device: usize) -> Held {
        self.devices[device].acting = None;
        loop {
            if !self.devices[device].is_up {
                return Ok(());
            }
            if self.devices[device].pending.is_some() {
                if !self.can_write(device) {
                    self.try_again(device);
                    return Ok(());
                }
                let now = self.clock(device);
                let it = &mut self.devices[device];
                if let Some(order) = it.pending.take() {
                    (it.tries, it.failed_at) = (0, None);
                    it.memory.take_up(order, now);
                }
                continue;
            }
            let action = {
                let now = self.clock(device);
                let it = &self.devices[device];
                it.memory.next_action(it.disk.active.as_ref(), now, &it.zone)
            };
            match action {
                Action::Rest => return Ok(()),
                Action::Note(event) => {
                    if !self.act(device, Outcome::of(event), |_| true)? {
                        return Ok(());
                    }
                }
                Action::NoticeChange => {
                    let failure =
                        self.devices[device].failure(FailureKind::Check, "changed by somebody");
                    if !self.act(device, Outcome::failed(failure), |_| true)? {
                        return Ok(());
                    }
                }
                action => {
                    if action == Action::AskUser && self.can_write(device) {
                        self.user_looks(device)?;
                    }
                    if let Action::Await { opens } = action
                        && self.can_write(device)
                    {
                        let it = &mut self.devices[device];
                        let version = it.disk.version().map(str::to_owned);
                        it.memory.note_waiting(opens, version.as_deref());
                        self.deliver(device);
                    }
                    self.begin(device, action);
                    return Ok(());
                }
            }
        }
    }

    fn begin(&mut self, device: usize, action: Action) {
        let number = u64::from(self.devices[device].number);
        let mut dice = self.scenario.dice(&[8, number, u64::from(self.devices[device].actions)]);
        let ms = match action {
            Action::Stage => dice.between(10_000, 120_000),
            Action::Switch => dice.between(50, 500),
            Action::Check | Action::PutBack => dice.between(2_000, 20_000),
            Action::Soak(left) => left.as_millis().clamp(5_000, SLICE_MS),
            Action::Await { opens } => {
                let left = opens.map_or(u64::MAX, |it| it.since(self.clock(device)).as_millis());
                left.clamp(1000, WINDOW_LOOKED_AT_EVERY_MS)
            }
            Action::AskUser => dice.between(1000, USER_LOOKS_EVERY_MS),
            Action::Rest | Action::Note(_) | Action::NoticeChange => 0,
        };
        let it = &mut self.devices[device];
        it.serial += 1;
        it.acting = Some((it.serial, action));
        let (what, boot) = (Wake::Acted(it.serial), it.boot);
        self.later(ms, Event::Wake { device, boot, what });
    }

    /// An action has come to its end.
    fn acted(&mut self, device: usize, serial: u64) -> Held {
        let acting = self.devices[device].acting.take_if(|(it, _)| *it == serial);
        let Some((_, action)) = acting else { return Ok(()) };
        let goes_on = match action {
            Action::Stage => self.stage(device)?,
            Action::Switch => self.switch(device)?,
            Action::Check => self.check(device)?,
            Action::Soak(left) => self.soak(device, left)?,
            Action::PutBack => self.put_back(device)?,
            Action::Rest
            | Action::Await { .. }
            | Action::AskUser
            | Action::Note(_)
            | Action::NoticeChange => true,
        };
        if goes_on { self.think(device) } else { Ok(()) }
    }

    /// Does one action: its effect, then the note of it, with a kill before, between or after them
    /// if the story says so. Whether the agent still runs and goes on at once.
    fn act(
        &mut self,
        device: usize,
        outcome: Outcome,
        effect: impl FnOnce(&mut Self) -> bool,
    ) -> GoesOn {
        let number = self.devices[device].actions;
        self.devices[device].actions += 1;
        let crash = self.crashes.remove(&(device, number));
        if let Some(Crash { is_done, down_ms, by_hand }) = crash {
            if is_done {
                effect(self);
            }
            self.tell(|world| {
                format!(
                    "{} is killed at its action {number} ({:?})",
                    world.devices[device].id, outcome.event
                )
            });
            self.kill(device, Some(down_ms));
            if let Some(version) = by_hand {
                self.activate_by_hand(device, version);
            }
            self.check_disk(device)?;
            return Ok(false);
        }
        if !effect(self) {
            return Ok(true);
        }
        self.check_disk(device)?;
        if !self.can_write(device) {
            self.try_again(device);
            return Ok(false);
        }
        self.record(device, outcome)?;
        Ok(true)
    }

    fn record(&mut self, device: usize, outcome: Outcome) -> Held {
        let now = self.clock(device);
        let event = outcome.event;
        self.check_dropped(device, event)?;
        let it = &mut self.devices[device];
        let seen = it.disk.seen();
        if let Err(impossible) = it.memory.record(outcome, &seen, now) {
            let seen = format!("{}: {impossible}", it.id);
            return self.broke(invariant::STEPS, seen);
        }
        let step = it.memory.task().map_or(Step::Waiting, |task| task.step);
        self.last_progress_ms = self.now_ms;
        self.tell(|world| {
            let it = &world.devices[device];
            format!("{} is {step} ({} active)", it.id, it.disk.version().unwrap_or("nothing"))
        });
        self.check_recorded(device, event)?;
        self.deliver(device);
        Ok(())
    }

    /// The release that an action is about.
    fn concerned(&self, device: usize) -> Option<ReleaseId> {
        let it = &self.devices[device];
        let task = it.memory.task();
        let is_fetching = task.is_some_and(|task| task.step == Step::Fetching);
        match task.map(|task| &task.order.want) {
            Some(Want::Activate { release, .. }) => Some(release.id.clone()),
            Some(Want::Offer { release, .. }) if is_fetching => Some(release.id.clone()),
            Some(Want::Offer { .. } | Want::Revert { .. } | Want::Hold) | None => {
                it.disk.active.clone()
            }
        }
    }

    fn changed_by_somebody(&self, device: usize) -> Outcome {
        Outcome::failed(self.devices[device].failure(FailureKind::Check, "changed by somebody"))
    }

    fn stage(&mut self, device: usize) -> GoesOn {
        let Some(release) = self.concerned(device) else {
            let outcome = self.changed_by_somebody(device);
            return self.act(device, outcome, |_| true);
        };
        if self.devices[device].disk.trees.contains(&release) {
            return self.act(device, Outcome::of(Happened::Staged), |_| true);
        }
        if self.devices[device].is_full {
            let failure = self.devices[device].failure(FailureKind::DiskFull, "no room");
            return self.act(device, Outcome::failed(failure), |_| true);
        }
        if !self.is_connected(device) || !self.servers[self.current].is_up {
            self.devices[device].tries += 1;
            if self.devices[device].tries < TRIES {
                return Ok(true);
            }
            let failure = self.devices[device].failure(FailureKind::Network, "no network");
            return self.act(device, Outcome::failed(failure), |_| true);
        }
        let outcome = Outcome { files_verified: Some(12_087), ..Outcome::of(Happened::Staged) };
        self.act(device, outcome, |world| {
            world.devices[device].disk.trees.insert(release);
            true
        })
    }

    fn switch(&mut self, device: usize) -> GoesOn {
        let Some(release) = self.concerned(device) else {
            let outcome = self.changed_by_somebody(device);
            return self.act(device, outcome, |_| true);
        };
        self.check_switch(device)?;
        self.act(device, Outcome::of(Happened::Switched), |world| {
            let at = world.now_ms;
            let it = &mut world.devices[device];
            it.switched_at = at;
            it.disk.activate(&release)
        })
    }

    /// Whether a release that has been active since its switch works on this device now.
    fn is_healthy(&self, device: usize, release: Option<&ReleaseId>) -> bool {
        let it = &self.devices[device];
        let Some(version) = release.map(version_of) else { return true };
        let Some(version) = VERSIONS.iter().position(|known| *known == version) else {
            return true;
        };
        let Some((per_mille, after_ms)) = self.broken[version] else { return true };
        let is_broken = self.scenario.is_broken_by(it.number, version, per_mille);
        !is_broken || self.now_ms < it.switched_at + after_ms
    }

    /// What the checks say, which a blind device does not look at.
    fn passes(&self, device: usize, concerned: Option<&ReleaseId>) -> bool {
        let it = &self.devices[device];
        let is_blind = it.lie == Some(crate::scenario::Lie::Blind);
        // The checks run the wanted tree, whatever is active.
        is_blind || self.is_healthy(device, concerned)
    }

    fn check(&mut self, device: usize) -> GoesOn {
        let concerned = self.concerned(device);
        let event = match self.devices[device].memory.task().map(|it| &it.order.want) {
            Some(Want::Hold) => Happened::Dropped,
            Some(Want::Offer { .. }) => Happened::Cleared,
            Some(Want::Activate { .. } | Want::Revert { .. }) | None => Happened::Passed,
        };
        let outcome = if concerned.is_none() {
            self.changed_by_somebody(device)
        } else if self.passes(device, concerned.as_ref()) {
            Outcome { evidence: Some(self.devices[device].evidence()), ..Outcome::of(event) }
        } else {
            Outcome::failed(self.devices[device].failure(FailureKind::Check, "it does not work"))
        };
        self.act(device, outcome, |_| true)
    }

    /// Another stretch of soaking, or its end.
    fn soak(&mut self, device: usize, left: Span) -> GoesOn {
        let concerned = self.concerned(device);
        if left > Span::ZERO && self.devices[device].disk.active != concerned {
            let outcome = self.changed_by_somebody(device);
            return self.act(device, outcome, |_| true);
        }
        if !self.passes(device, concerned.as_ref()) {
            let failure = self.devices[device].failure(FailureKind::Check, "it works no more");
            return self.act(device, Outcome::failed(failure), |_| true);
        }
        if left > Span::ZERO {
            if self.can_write(device) {
                let slice = left.min(Span::from_millis(SLICE_MS));
                self.devices[device].memory.note_soaked(slice);
            }
            return Ok(true);
        }
        let evidence = Some(self.devices[device].evidence());
        self.act(device, Outcome { evidence, ..Outcome::of(Happened::Soaked) }, |_| true)
    }

    /// Makes the earlier release active, without any network, and proves it.
    fn put_back(&mut self, device: usize) -> GoesOn {
        let target = self.devices[device].memory.target();
        let mut after = self.devices[device].disk.clone();
        let is_there = after.restore(target);
        let outcome = if !is_there {
            self.stuck(device, FailureKind::NothingToRevertTo, "its tree is not there")
        } else if self.is_healthy_with(device, &after) {
            Outcome { files_verified: Some(12_087), ..Outcome::of(Happened::PutBack) }
        } else {
            self.stuck(device, FailureKind::Check, "the earlier one does not work either")
        };
        self.act(device, outcome, |world| {
            let at = world.now_ms;
            let it = &mut world.devices[device];
            if it.disk.active != after.active {
                it.switched_at = at;
            }
            it.disk = after;
            true
        })
    }

    fn stuck(&self, device: usize, kind: FailureKind, message: &str) -> Outcome {
        let it = &self.devices[device];
        let failure = it.failure(kind, message);
        match it.memory.task() {
            Some(task) => Outcome::stuck(task, failure),
            None => Outcome::failed(failure),
        }
    }

    /// Whether what would be active works: what becomes active now shows no late defect yet.
    fn is_healthy_with(&self, device: usize, disk: &crate::device::Disk) -> bool {
        let it = &self.devices[device];
        if it.lie == Some(crate::scenario::Lie::Blind) || disk.active == it.disk.active {
            return self.is_healthy(device, it.disk.active.as_ref());
        }
        let Some(version) = disk.version() else { return true };
        let Some(version) = VERSIONS.iter().position(|known| *known == version) else {
            return true;
        };
        let breaks_at_once = self.broken[version].is_some_and(|(per_mille, after_ms)| {
            after_ms == 0 && self.scenario.is_broken_by(it.number, version, per_mille)
        });
        !breaks_at_once
    }
}
