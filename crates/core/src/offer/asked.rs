//! What an agent remembers of a question to its user: the answers that count, and what the user
//! was told of it.

use serde::{Deserialize, Serialize};

use super::{Answer, Judged, NotTaken, Notice, NoticeKind, Offer, Offered, Word};
use crate::guard::{Guard, permits};
use crate::ids::RolloutId;
use crate::order::{Order, Want};
use crate::release::ReleaseRef;
use crate::time::{Span, Timestamp};

/// A user is told for the last time so long before the deadline; in a quarter of the time, where
/// that is less.
pub const LAST_CALL: Span = Span::from_secs(10 * 60);
/// So long before the deadline a user is reminded, whatever the policy says.
const MARKS: [Span; 2] = [Span::from_secs(24 * 3600), Span::from_secs(3600)];
/// How many notices are kept.
pub const MAX_NOTICES: usize = 16;
/// How many notes are remembered with what became of them: more than users write while the agent
/// looks away, and a note that is still there after a kill is not counted twice.
pub const MAX_VERDICTS: usize = 64;

/// A question to the user, with all that was said about it. It outlives the orders of its rollout:
/// a device that tries again does not ask anew, and does not count anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    rollout: RolloutId,
    release: ReleaseRef,
    offer: Offer,
    answer: Answer,
    told_at: Option<Timestamp>,
    is_last_call_told: bool,
    notices: Vec<Notice>,
    judged: Vec<Judged>,
}

impl Asked {
    /// What is remembered once a device has taken up `order`, after what it remembered before.
    pub(crate) fn after(kept: Option<Self>, order: &Order) -> Option<Self> {
        let kept = kept.filter(|kept| kept.rollout == order.rollout);
        let Want::Offer { release, offer } = &order.want else { return kept };
        let kept = kept.filter(|kept| kept.release.id == release.id);
        let (release, offer) = (release.clone(), offer.clone());
        Some(match kept {
            Some(kept) => Self { release, offer, ..kept },
            None => Self {
                rollout: order.rollout.clone(),
                release,
                offer,
                answer: Answer::default(),
                told_at: None,
                is_last_call_told: false,
                notices: Vec::new(),
                judged: Vec::new(),
            },
        })
    }

    /// What the user has answered.
    pub const fn answer(&self) -> Answer {
        self.answer
    }

    /// Whether the user knows of the question.
    pub(crate) const fn was_told(&self) -> bool {
        self.told_at.is_some()
    }

    /// What is offered.
    pub const fn offer(&self) -> &Offer {
        &self.offer
    }

    /// What the user was told lately, oldest first.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// What became of the latest notes, oldest first.
    pub fn judged(&self) -> &[Judged] {
        &self.judged
    }

    /// The offer as users see it, while it stands under an order of this generation.
    pub fn shown(&self, generation: u64) -> Offered {
        Offered {
            release: self.release.id.clone(),
            package: self.release.package.to_string(),
            version: self.release.version.clone(),
            rollout: self.rollout.clone(),
            generation,
            offer: self.offer.clone(),
            answer: self.answer,
            postpones_left: self.offer.postpone.times.saturating_sub(self.answer.postponed),
        }
    }

    /// Takes a user's word, if it counts at `now` by the device's clock.
    ///
    /// # Errors
    ///
    /// [`NotTaken`] by name; nothing has changed then.
    pub(crate) fn take(&mut self, word: Word, now: Timestamp) -> Result<(), NotTaken> {
        match word {
            Word::Accept => {
                self.answer.accepted_at.get_or_insert(now);
                Ok(())
            }
            Word::Postpone(span) => self.postpone(span, now),
        }
    }

    fn postpone(&mut self, span: Option<Span>, now: Timestamp) -> Result<(), NotTaken> {
        let Offer { deadline, postpone: policy, .. } = self.offer;
        if self.answer.accepted_at.is_some() {
            return Err(NotTaken::Accepted);
        }
        if !permits(Guard::PostponesBounded, self.answer.postponed < policy.times) {
            return Err(NotTaken::NoneLeft { times: policy.times });
        }
        let is_named = span.is_some();
        let span = span.unwrap_or(policy.at_most);
        if span == Span::ZERO || span > policy.at_most {
            return Err(NotTaken::Length { at_most: policy.at_most });
        }
        let until = now + span;
        let is_within = permits(Guard::PostponedWithinDeadline, until <= deadline);
        // Whoever names no time is asked again at the deadline at the latest.
        let until = if is_within { until } else { deadline };
        if !is_within && (is_named || now >= deadline) {
            return Err(NotTaken::Deadline { deadline });
        }
        self.answer.postponed += 1;
        self.answer.until = Some(until);
        Ok(())
    }

    /// What became of a note, if it was judged before.
    pub(crate) fn has_judged(&self, note: &str) -> bool {
        self.judged.iter().any(|judged| judged.note == note)
    }

    /// Keeps what became of a note.
    pub(crate) fn keep(&mut self, note: &str, verdict: Result<(), NotTaken>) {
        let refused = verdict.err().map(|why| why.to_string());
        self.judged.push(Judged { note: note.to_owned(), refused });
        let over = self.judged.len().saturating_sub(MAX_VERDICTS);
        self.judged.drain(..over);
    }

    /// What the user is to be told of the open question now.
    pub(crate) fn due(&self, now: Timestamp) -> Option<NoticeKind> {
        if self.answer.accepted_at.is_some() {
            return None;
        }
        let Some(told_at) = self.told_at else { return Some(NoticeKind::Offered) };
        if !self.is_last_call_told && now >= self.last_call() {
            return Some(NoticeKind::LastCall);
        }
        let is_put_off = self.answer.until.is_some_and(|until| now < until);
        let is_over = self.is_last_call_told || is_put_off;
        (!is_over && self.next_reminder(told_at) <= now).then_some(NoticeKind::Reminder)
    }

    /// When there is something to be told next, if nobody says anything.
    pub fn next_notice(&self) -> Timestamp {
        match self.told_at {
            Some(told_at) if !self.is_last_call_told => {
                let reminder = self.next_reminder(told_at);
                reminder.max(self.answer.until.unwrap_or(reminder)).min(self.last_call())
            }
            Some(_) | None => self.offer.deadline,
        }
    }

    fn last_call(&self) -> Timestamp {
        let quarter = self.offer.deadline.since(self.offer.since).as_millis() / 4;
        self.offer.deadline - LAST_CALL.min(Span::from_millis(quarter))
    }

    /// The end of a postponement, a mark before the deadline, or as long after the last time as the
    /// policy says.
    fn next_reminder(&self, told_at: Timestamp) -> Timestamp {
        let marks = MARKS.map(|before| self.offer.deadline - before);
        let marks = marks.into_iter().chain(self.answer.until).filter(|mark| *mark > told_at);
        marks.fold(told_at + self.offer.remind, Timestamp::min)
    }

    /// Notes that the user is to be told something.
    pub(crate) fn tell(&mut self, kind: NoticeKind, now: Timestamp) {
        let text = self.in_words(kind);
        // What is offered anew later is told anew.
        let is_gone = matches!(kind, NoticeKind::Withdrawn | NoticeKind::PutBack);
        self.told_at = Some(now).filter(|_| !is_gone);
        self.is_last_call_told |= kind == NoticeKind::LastCall;
        self.notices.push(Notice { kind, at: now, text, is_told: false });
        let over = self.notices.len().saturating_sub(MAX_NOTICES);
        self.notices.drain(..over);
    }

    /// The notifier was given the oldest notice that it did not have.
    pub(crate) fn note_told(&mut self, told: &Notice) {
        let same = |it: &&mut Notice| it.kind == told.kind && it.at == told.at && !it.is_told;
        if let Some(notice) = self.notices.iter_mut().find(same) {
            notice.is_told = true;
        }
    }

    fn in_words(&self, kind: NoticeKind) -> String {
        let ReleaseRef { package, version, .. } = &self.release;
        let Offer { deadline, notice, .. } = &self.offer;
        let text = match kind {
            NoticeKind::Offered => format!(
                "{package} {version} is ready. Accept it with `gofleet accept`; it is activated by \
                 itself after {deadline}."
            ),
            NoticeKind::Reminder => format!(
                "{package} {version} waits for your word: `gofleet accept`. It is activated by \
                 itself after {deadline}."
            ),
            NoticeKind::LastCall => {
                format!("{package} {version} is activated by itself after {deadline}.")
            }
            NoticeKind::Assigned => format!("{package} {version} is being activated."),
            NoticeKind::Activated => format!("{package} {version} is active."),
            NoticeKind::PutBack => {
                format!("{package} {version} was taken back; what you had before is active.")
            }
            NoticeKind::Withdrawn => format!("{package} {version} is offered no more."),
        };
        let is_asking =
            matches!(kind, NoticeKind::Offered | NoticeKind::Reminder | NoticeKind::LastCall);
        if is_asking && !notice.is_empty() { format!("{text} {notice}") } else { text }
    }
}
