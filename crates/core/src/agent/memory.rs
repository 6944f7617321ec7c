//! What an agent must not forget: the newest order, how far it came with it, and what the server
//! has not heard yet.
//!
//! A [`Memory`] is a value; the shell writes it down as a whole after each change, and believes
//! the change only then. It never says what is active, which is the disk's to tell: so a lost
//! memory costs history, but cannot make the agent believe something wrong.

mod asking;

use serde::{Deserialize, Serialize};

use super::{Action, Event, Impossible, Seen, Situation, advance, decide};
use crate::digest::Digest;
use crate::guard::{Guard, detects, permits};
use crate::ids::ReleaseId;
use crate::offer::Asked;
use crate::order::{Evidence, Failure, FailureKind, Order, Progress, Receipt, Step, Taken, Want};
use crate::time::{Span, Timestamp};
use crate::window::{Opening, Zone};

/// Final answers that wait for the server: more than a device gets orders while a server is away.
pub const MAX_OUTBOX: usize = 64;

/// All that an agent remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// What the next order is measured against.
    seen: Option<Seen>,
    /// The newest order.
    task: Option<Task>,
    /// Set from the moment before a release is made active until its checks have passed: the
    /// release to go back to.
    unproven: Option<Unproven>,
    /// What the server has not heard yet, oldest first.
    outbox: Vec<Progress>,
    /// What the sequence of the next order begins with.
    first_sequence: u64,
}

/// A release may be active that no check has passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unproven {
    /// What was active before it; none: nothing.
    pub earlier: Option<ReleaseId>,
}

/// An order and how far it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The order.
    pub order: Order,
    /// Where the device stands with it.
    pub step: Step,
    /// The sequence of its last report.
    pub sequence: u64,
    /// When the order was taken up.
    pub started_at: Timestamp,
    /// When the present step began, by this device's clock: for the record only.
    pub step_since: Timestamp,
    /// How long the earlier steps took.
    pub steps: Vec<(Step, Span)>,
    /// How long the release has been healthy after activation.
    pub soaked: Span,
    /// When the window opens that it waits for, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_until: Option<Timestamp>,
    /// Bytes downloaded for the order.
    pub bytes_downloaded: u64,
    /// How the release came onto the device.
    #[serde(default)]
    pub way: Option<Taken>,
    /// Files that were compared with the manifest.
    pub files_verified: u64,
    /// What failed.
    pub failure: Option<Failure>,
    /// The evidence for how it ended.
    pub receipt: Option<Receipt>,
    /// What the user was asked by the order's rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
}

/// What an action brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What happened.
    pub event: Event,
    /// What failed, if something did.
    pub failure: Option<Failure>,
    /// What the checks saw, if there were any.
    pub evidence: Option<Evidence>,
    /// Files that were compared with the manifest, if they were.
    pub files_verified: Option<u64>,
    /// How the release came onto the device, if it did.
    pub way: Option<Taken>,
}

/// What is on the disk when an outcome is written down.
#[derive(Debug, Clone, Copy, Default)]
pub struct OnDisk<'a> {
    /// The active release.
    pub active: Option<&'a ReleaseId>,
    /// The one that was active before it.
    pub fallback: Option<&'a ReleaseId>,
    /// The active version, like `1.27.3`.
    pub version: Option<&'a str>,
    /// The digest of the active release's manifest.
    pub manifest: Option<Digest>,
}

impl Memory {
    /// Of a device that has never had an order. The sequences of its reports begin after
    /// `first_sequence`: 0, or beyond all that a lost memory may have used.
    pub const fn new(first_sequence: u64) -> Self {
        Self { seen: None, task: None, unproven: None, outbox: Vec::new(), first_sequence }
    }

    /// What the next order is measured against.
    pub fn seen(&self) -> Option<&Seen> {
        self.seen.as_ref()
    }

    /// The newest order and how far it came.
    pub fn task(&self) -> Option<&Task> {
        self.task.as_ref()
    }

    /// Whether and what to go back to if what is active proves broken.
    pub fn unproven(&self) -> Option<&Unproven> {
        self.unproven.as_ref()
    }

    /// The oldest report that the server has not heard.
    pub fn next_report(&self) -> Option<&Progress> {
        self.outbox.first()
    }

    /// What to do next while `active` is the active release, at `now` by the device's clock, in
    /// its zone.
    pub fn next_action(&self, active: Option<&ReleaseId>, now: Timestamp, zone: &Zone) -> Action {
        let Some(task) = &self.task else { return Action::Rest };
        let (soak, window) = match &task.order.want {
            Want::Activate { soak, window, .. } => (*soak, window.as_ref()),
            Want::Offer { .. } | Want::Revert { .. } | Want::Hold => (Span::ZERO, None),
        };
        decide(&Situation {
            want: &task.order.want,
            step: task.step,
            active,
            is_unproven: self.unproven.is_some(),
            soak_left: soak.saturating_sub(task.soaked),
            opening: window.map_or(Opening::Open, |window| window.opening(now, zone)),
            is_forgotten: task.is_forgotten(now),
        })
    }

    /// What to go back to: outer none leaves what is active, inner none means no release at all.
    pub fn target(&self) -> Option<Option<ReleaseId>> {
        let want = self.task.as_ref().map(|task| &task.order.want)?;
        match (want, &self.unproven) {
            (Want::Revert { release }, _) => Some(release.as_ref().map(|it| it.id.clone())),
            (_, Some(unproven)) => Some(unproven.earlier.clone()),
            // It failed before anything was switched.
            (Want::Activate { .. } | Want::Offer { .. } | Want::Hold, None) => None,
        }
    }

    /// Takes up an order.
    ///
    /// Crash ordering: before this is on disk nothing is done for the order, so a kill leaves the
    /// device with the earlier one; afterwards the order is never asked for again.
    pub fn take_up(&mut self, order: Order, now: Timestamp) {
        self.seen = Some(Seen::of(&order));
        let asked = asking::asked_after(self.task.take(), &order, now);
        self.task = Some(Task {
            asked,
            order,
            step: Step::Offered,
            sequence: self.first_sequence,
            started_at: now,
            step_since: now,
            steps: Vec::new(),
            soaked: Span::ZERO,
            waits_until: None,
            bytes_downloaded: 0,
            way: None,
            files_verified: 0,
            failure: None,
            receipt: None,
        });
    }

    /// Writes down what happened and, with it, what the server is to hear of it.
    ///
    /// Crash ordering: whatever the next step does begins only after this is on disk. So the step
    /// in the memory is the one that was being worked on, and to repeat its action is always right.
    ///
    /// # Errors
    ///
    /// [`Impossible`] if the event has no place at the present step; nothing is changed then.
    pub fn record(
        &mut self,
        outcome: Outcome,
        disk: &OnDisk<'_>,
        now: Timestamp,
    ) -> Result<(), Impossible> {
        let Some(task) = &mut self.task else { return Ok(()) };
        let outcome = if is_accepted_by_mistake(task, &outcome, disk) {
            let message = "another release was made active during the last check".to_owned();
            Outcome::failed(Failure { step: task.step, kind: FailureKind::Check, message })
        } else {
            outcome
        };
        let Outcome { event, failure, evidence, files_verified, way } = outcome;
        let next = advance(task.step, event)?;
        task.steps.push((task.step, now.since(task.step_since)));
        (task.step, task.step_since, task.waits_until) = (next, now, None);
        task.failure = failure.or(task.failure.take());
        task.files_verified = files_verified.unwrap_or(task.files_verified);
        task.way = way.or(task.way.take());
        mark(event, || earlier_than(&task.order.want, disk), &mut self.unproven);
        if !task.step.is_in_flight() {
            task.receipt = Some(task.ends_with(evidence, disk, now));
            task.tell_end(now);
        }
        self.report(disk.version);
        Ok(())
    }

    /// The release has been healthy for so much longer.
    pub fn note_soaked(&mut self, slice: Span) {
        if let Some(task) = &mut self.task {
            task.soaked = task.soaked.saturating_add(slice);
        }
    }

    /// The window is closed until then; the server is to hear of it. Whether that is news.
    pub fn note_waiting(&mut self, opens: Option<Timestamp>, active: Option<&str>) -> bool {
        let Some(task) = self.task.as_mut().filter(|task| task.waits_until != opens) else {
            return false;
        };
        task.waits_until = opens;
        self.report(active);
        true
    }

    /// So many bytes have come; the server is to hear of it.
    pub fn note_bytes(&mut self, bytes: u64, active: Option<&str>) {
        if let Some(task) = &mut self.task {
            task.bytes_downloaded = bytes;
            self.report(active);
        }
    }

    /// The server has heard this report: it and those that it replaced need not be told again.
    /// Whether that changes anything.
    pub fn delivered(&mut self, told: &Progress) -> bool {
        let before = self.outbox.len();
        self.outbox.retain(|progress| {
            progress.generation != told.generation || progress.sequence > told.sequence
        });
        self.outbox.len() < before
    }

    /// A later step replaces an earlier one that was not told; how an order ended is never
    /// replaced.
    fn report(&mut self, active: Option<&str>) {
        let Some(task) = &mut self.task else { return };
        task.sequence += 1;
        let digest = self.seen.map(|seen| seen.digest);
        let progress = task.progress(digest, active);
        self.outbox
            .retain(|other| other.generation != progress.generation || !other.step.is_in_flight());
        self.outbox.push(progress);
        if self.outbox.len() > MAX_OUTBOX {
            self.outbox.remove(0);
        }
    }
}

impl Task {
    fn progress(&self, order: Option<Digest>, active: Option<&str>) -> Progress {
        Progress {
            generation: self.order.generation,
            order,
            sequence: self.sequence,
            step: self.step,
            active: active.map(str::to_owned),
            waits_until: self.waits_until,
            answer: matches!(self.order.want, Want::Offer { .. })
                .then(|| self.asked.as_ref().map(Asked::answer).unwrap_or_default()),
            bytes_downloaded: self.bytes_downloaded,
            way: self.way.clone(),
            failure: self.failure.clone(),
            receipt: self.receipt.clone(),
        }
    }

    fn ends_with(&self, evidence: Option<Evidence>, disk: &OnDisk<'_>, now: Timestamp) -> Receipt {
        Receipt {
            outcome: self.step,
            active: disk.version.map(str::to_owned),
            manifest: disk.manifest,
            files_verified: self.files_verified,
            evidence,
            bytes_downloaded: self.bytes_downloaded,
            way: self.way.clone(),
            started_at: self.started_at,
            finished_at: now.max(self.started_at),
            steps: self.steps.clone(),
            failure: self.failure.clone(),
        }
    }
}

impl Outcome {
    /// Something happened, and there is nothing to add.
    pub const fn of(event: Event) -> Self {
        Self { event, failure: None, evidence: None, files_verified: None, way: None }
    }

    /// Something failed.
    pub fn failed(failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::of(Event::Broke) }
    }

    /// Going back failed too; what failed first is told with it.
    pub fn stuck(task: &Task, mut failure: Failure) -> Self {
        if let Some(first) = &task.failure {
            failure.message =
                format!("{}; it was to be put back since {}", failure.message, first.message);
        }
        Self { failure: Some(failure), ..Self::of(Event::Stuck) }
    }
}

/// Whether the checks passed, and the release that they were about is not the active one.
fn is_accepted_by_mistake(task: &Task, outcome: &Outcome, disk: &OnDisk<'_>) -> bool {
    let is_other = match &task.order.want {
        Want::Activate { release, .. } => disk.active != Some(&release.id),
        Want::Offer { .. } | Want::Revert { .. } | Want::Hold => false,
    };
    detects(Guard::ChangedByHand, outcome.event == Event::Soaked && is_other)
}

/// What was active before the wanted release.
fn earlier_than(want: &Want, disk: &OnDisk<'_>) -> Option<ReleaseId> {
    match want {
        Want::Activate { release, .. } if disk.active == Some(&release.id) => {
            disk.fallback.cloned()
        }
        Want::Activate { .. } | Want::Offer { .. } | Want::Revert { .. } | Want::Hold => {
            disk.active.cloned()
        }
    }
}

/// Keeps the mark that a release may be active which no check has passed. The first mark stays
/// over several unfinished orders: what was active before them all is what is known to work.
fn mark(
    event: Event,
    earlier: impl FnOnce() -> Option<ReleaseId>,
    unproven: &mut Option<Unproven>,
) {
    match event {
        Event::Switching => {
            if permits(Guard::FirstEarlierStays, unproven.is_none()) {
                *unproven = Some(Unproven { earlier: earlier() });
            }
        }
        Event::Soaked | Event::PutBack | Event::Cleared | Event::Dropped => *unproven = None,
        Event::Begun
        | Event::Staged
        | Event::Switched
        | Event::Passed
        | Event::Broke
        | Event::GoingBack
        | Event::Stuck
        | Event::Doubted => {}
    }
}
