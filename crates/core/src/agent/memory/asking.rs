//! What an agent remembers of its questions to the user, beside its orders.

use super::{Memory, Task};
use crate::offer::{Asked, Board, NotTaken, Notice, NoticeKind, Word};
use crate::order::{Order, Step, Want};
use crate::time::{Span, Timestamp};

/// Clocks are set by less than that without anybody's doing.
const CLOCK_SLACK: Span = Span::from_secs(3600);

impl Memory {
    /// Whether a user's word is waited for.
    pub fn is_asking(&self) -> bool {
        self.task.as_ref().is_some_and(Task::is_asking)
    }

    /// What everybody on the device may read of the questions to its user.
    pub fn board(&self) -> Board {
        let Some(task) = &self.task else { return Board::default() };
        let Some(asked) = &task.asked else { return Board::default() };
        let offers = task.is_asking().then(|| asked.shown(task.order.generation));
        Board {
            offers: offers.into_iter().collect(),
            notices: asked.notices().to_vec(),
            judged: asked.judged().to_vec(),
        }
    }

    /// Whether a user's note was judged before: one that is there still after a kill.
    pub fn has_judged(&self, note: &str) -> bool {
        let asked = self.task.as_ref().and_then(|task| task.asked.as_ref());
        asked.is_some_and(|asked| asked.has_judged(note))
    }

    /// Judges a user's note about the order of a generation; the server is to hear of what counts.
    ///
    /// Crash ordering: the note is removed only after this is on disk; a note that is found again
    /// is known by its name.
    ///
    /// # Errors
    ///
    /// [`NotTaken`] by name, which is kept for the user like an answer.
    pub fn take_note(
        &mut self,
        note: &str,
        (generation, word): (u64, Word),
        now: Timestamp,
        active: Option<&str>,
    ) -> Result<(), NotTaken> {
        let is_asking = self.is_asking();
        let Some(task) = &mut self.task else { return Err(NotTaken::Gone) };
        let is_meant = is_asking && task.order.generation == generation;
        let Some(asked) = &mut task.asked else { return Err(NotTaken::Gone) };
        let verdict = if is_meant { asked.take(word, now) } else { Err(NotTaken::Gone) };
        asked.keep(note, verdict);
        if verdict.is_ok() {
            self.report(active);
        }
        verdict
    }

    /// Notes what the user is to be told now, if anything; whether that is so.
    pub fn remind(&mut self, now: Timestamp) -> bool {
        let Some(task) = self.task.as_mut().filter(|task| task.is_asking()) else { return false };
        let Some(asked) = &mut task.asked else { return false };
        let due = asked.due(now);
        if let Some(kind) = due {
            asked.tell(kind, now);
        }
        due.is_some()
    }

    /// The oldest notice that the notifier has not been given.
    pub fn next_untold(&self) -> Option<&Notice> {
        let asked = self.task.as_ref()?.asked.as_ref()?;
        asked.notices().iter().find(|notice| !notice.is_told)
    }

    /// The notifier was given this notice.
    pub fn note_told(&mut self, notice: &Notice) {
        if let Some(asked) = self.task.as_mut().and_then(|task| task.asked.as_mut()) {
            asked.note_told(notice);
        }
    }
}

impl Task {
    pub(super) fn is_asking(&self) -> bool {
        self.step == Step::Staged && matches!(self.order.want, Want::Offer { .. })
    }

    /// Whether the user was asked for twice as long as there was to answer. A clock that was set
    /// back tells no span.
    pub(super) fn is_forgotten(&self, now: Timestamp) -> bool {
        let Want::Offer { offer, .. } = &self.order.want else { return false };
        let limit = Span::from_millis(offer.deadline.since(offer.since).as_millis() * 2);
        let was_set_back = now + CLOCK_SLACK < self.step_since;
        was_set_back || now.since(self.step_since) > limit
    }

    /// Tells the user how a release ended that was published.
    pub(super) fn tell_end(&mut self, now: Timestamp) {
        let Some(asked) = &mut self.asked else { return };
        let is_withdrawn =
            asked.notices().last().is_some_and(|notice| notice.kind == NoticeKind::Withdrawn);
        match (&self.order.want, self.step) {
            (Want::Activate { .. }, Step::Accepted) => asked.tell(NoticeKind::Activated, now),
            (Want::Activate { .. } | Want::Revert { .. }, Step::Reverted | Step::Quarantined)
                if !is_withdrawn =>
            {
                asked.tell(NoticeKind::PutBack, now);
            }
            _ => {}
        }
    }
}

/// What is remembered of the question to the user once an order is taken up; the user hears what
/// the order means for an open one.
pub(super) fn asked_after(before: Option<Task>, order: &Order, now: Timestamp) -> Option<Asked> {
    let was_offered =
        before.as_ref().is_some_and(|task| matches!(task.order.want, Want::Offer { .. }));
    let mut asked = Asked::after(before.and_then(|task| task.asked), order)?;
    match &order.want {
        Want::Activate { .. } if asked.answer().accepted_at.is_none() => {
            asked.tell(NoticeKind::Assigned, now);
        }
        Want::Hold | Want::Revert { .. } if was_offered && asked.was_told() => {
            asked.tell(NoticeKind::Withdrawn, now);
        }
        Want::Activate { .. } | Want::Offer { .. } | Want::Hold | Want::Revert { .. } => {}
    }
    Some(asked)
}
