//! How a story ends: faults end, people do what people do, and everything must come to rest.

use gofleet_core::order::Step;
use gofleet_core::rollout::{Command, DeviceView, Previous, RolloutState, WantKind, tally};

use super::agent::FACTS_EVERY_MS;
use super::{Event, Held, World};
use crate::invariant as must;

/// How often it is looked whether all is at rest.
const LOOK_EVERY_MS: u64 = 2 * 60_000;
/// How often an operator resumes before having a rollout put back.
const RESUMES: u32 = 6;
/// No message is later than this.
const LATEST_MS: u64 = 10 * 60_000;
/// How long a window is closed at most, and some more.
const LONGEST_CLOSED_MS: u64 = 8 * 24 * 3_600_000;
/// What a wrong clock of the server may have added to what it waits for, and some more.
const SLACK_MS: u64 = 5 * 3_600_000;

impl World<'_> {
    /// Faults end: whoever may come back does.
    pub(super) fn end_faults(&mut self) {
        self.tell(|_| "faults end".to_owned());
        self.faults_have_ended = true;
        self.cut_off.clear();
        self.crashes.clear();
        self.server_clock_ms = 0;
        for place in 0..self.scenario.faults.len() {
            self.end_fault(place);
        }
        for device in 0..self.devices.len() {
            self.devices[device].is_full = false;
            self.later(0, Event::Boot { device });
        }
        self.last_progress_ms = self.now_ms;
        self.later(LOOK_EVERY_MS, Event::Look);
    }

    /// Looks whether the story is over, and does what an operator would.
    pub(super) fn look(&mut self) -> Held {
        // Until then the last late message has come, and after it every device has told its facts once more.
        let is_told =
            self.now_ms > self.scenario.faults_end_ms + LATEST_MS + FACTS_EVERY_MS + LOOK_EVERY_MS;
        if is_told && self.is_at_rest() {
            self.is_over = true;
            return if self.is_alone { Ok(()) } else { self.check_end() };
        }
        if self.is_alone {
            self.is_over = self.now_ms - self.last_progress_ms > self.patience_ms();
            self.later(LOOK_EVERY_MS, Event::Look);
            return Ok(());
        }
        for device in 0..self.devices.len() {
            self.let_in(device);
        }
        for rollout in 0..self.servers[self.current].database.rollouts.len() {
            let view = &self.servers[self.current].database.rollouts[rollout].view;
            if view.state == RolloutState::Paused {
                self.resumed += 1;
                let asked =
                    if self.resumed > RESUMES { Command::Rollback } else { Command::Resume };
                self.obey(rollout, asked)?;
            }
        }
        if self.now_ms - self.last_progress_ms > self.patience_ms() {
            return self.come_to_an_end();
        }
        self.later(LOOK_EVERY_MS, Event::Look);
        Ok(())
    }

    /// After so long without any progress, nothing will come of itself any more.
    fn patience_ms(&self) -> u64 {
        let spans = self.scenario.rollouts.iter().map(|(_, spec)| {
            let window_ms = if spec.window.is_some() { LONGEST_CLOSED_MS } else { 0 };
            let retries_ms = spec.retry.after.as_millis() << spec.retry.times;
            let publish = spec.publish.as_ref();
            let asked_ms = publish.map_or(0, |publish| 3 * publish.deadline.as_millis());
            window_ms
                + asked_ms
                + retries_ms
                + spec.silence_after.as_millis()
                + spec.soak.as_millis()
                + spec.offline_after.as_millis()
        });
        spans.max().unwrap_or(0) + SLACK_MS
    }

    fn is_at_rest(&self) -> bool {
        let rollouts = &self.servers[self.current].database.rollouts;
        let are_final = rollouts.iter().all(|rollout| rollout.view.state.is_final());
        let rests = |it: &crate::device::Device| {
            let is_done = it.memory.task().is_none_or(|task| !task.step.is_in_flight());
            it.is_gone
                || it.is_up
                    && is_done
                    && it.pending.is_none()
                    && it.memory.next_report().is_none()
                    && !it.has_news
        };
        are_final && self.devices.iter().all(rests)
    }

    /// Nothing moves: either somebody who never comes back is waited for, and then a stop ends it;
    /// or something is wrong.
    fn come_to_an_end(&mut self) -> Held {
        for rollout in 0..self.servers[self.current].database.rollouts.len() {
            let view = &self.servers[self.current].database.rollouts[rollout].view;
            match view.state {
                RolloutState::Completed | RolloutState::Stopped | RolloutState::RolledBack => {}
                RolloutState::Running if self.waits_for_the_gone(rollout) => {
                    self.obey(rollout, Command::Stop)?;
                }
                RolloutState::Running | RolloutState::Paused => {
                    let seen = format!("r{} is {} for ever", rollout + 1, view.state);
                    return self.broke(must::LIVENESS, seen);
                }
                RolloutState::Stopping | RolloutState::RollingBack => {
                    let seen = format!("r{} is {} for ever", rollout + 1, view.state);
                    return self.broke(must::STOP_BOUND, seen);
                }
            }
        }
        self.check_devices_rest()?;
        self.last_progress_ms = self.now_ms;
        self.later(LOOK_EVERY_MS, Event::Look);
        Ok(())
    }

    /// Whether a rollout waits for nobody but devices that are offline for good. Who is held apart by
    /// then is one that has not told of its new agent, since everybody was let in.
    fn waits_for_the_gone(&self, rollout: usize) -> bool {
        let view = &self.servers[self.current].database.rollouts[rollout].view;
        let now = self.server_now();
        let ring = view.current_ring() as usize;
        ring < view.rings.len() && {
            let tally = tally(view, ring, now);
            tally.apart() > 0 && tally.waiting == 0 && tally.in_flight == 0
        }
    }

    fn check_devices_rest(&self) -> Held {
        for it in self.devices.iter().filter(|it| !it.is_gone) {
            let Some(task) = it.memory.task().filter(|task| task.step.is_in_flight()) else {
                continue;
            };
            let seen = format!("{} is {} for ever", it.id, task.step);
            return self.broke(must::LIVENESS, seen);
        }
        Ok(())
    }

    /// At the end, the server's picture is the truth, and nobody was forgotten.
    fn check_end(&self) -> Held {
        self.check_devices_rest()?;
        let database = &self.servers[self.current].database;
        for (it, row) in self.devices.iter().zip(&database.devices) {
            let is_honest = it.lie.is_none() && !it.is_gone;
            if is_honest && row.active.as_deref() != it.disk.version() {
                let seen = format!(
                    "the server believes that {} has {:?} active, and it has {:?}",
                    it.id,
                    row.active,
                    it.disk.version()
                );
                return self.broke(must::PICTURE, seen);
            }
        }
        for (place, rollout) in database.rollouts.iter().enumerate() {
            let was_forgotten = |it: &&DeviceView| {
                it.step == Step::Accepted
                    && it.want() == Some(WantKind::Activate)
                    && it.superseded_by.is_none()
                    && !matches!(it.previous, Previous::Unknown(_))
            };
            let is_rolled_back = rollout.view.state == RolloutState::RolledBack;
            if let Some(it) =
                rollout.view.devices.iter().find(was_forgotten).filter(|_| is_rolled_back)
            {
                let seen = format!("r{} is rolled back, but {} was not", place + 1, it.device);
                return self.broke(must::LIVENESS, seen);
            }
        }
        Ok(())
    }
}
