//! The users of devices: who accept, who put off for ever, who never answer.

use gofleet_core::offer::Word;
use gofleet_core::order::Want;
use gofleet_core::time::Span;

use super::{Held, World};
use crate::invariant as must;

/// The longest time for which a user tries to put something off: more than anybody allows.
const LONGEST_MS: u64 = 3 * 3_600_000;

impl World<'_> {
    /// A user looks at what is offered, and may say something.
    pub(super) fn user_looks(&mut self, device: usize) -> Held {
        let now = self.clock(device);
        let word = self.word(device);
        let it = &mut self.devices[device];
        it.memory.remind(now);
        let Some(task) = it.memory.task() else { return Ok(()) };
        let (Want::Offer { release, .. }, Some(word)) = (&task.order.want, word) else {
            return Ok(());
        };
        let (rollout, release) = (task.order.rollout.clone(), release.id.clone());
        let generation = task.order.generation;
        it.serial += 1;
        let (note, active) = (format!("n{}", it.serial), it.disk.version().map(str::to_owned));
        let taken = it.memory.take_note(&note, (generation, word), now, active.as_deref());
        if (word, taken) == (Word::Accept, Ok(())) {
            self.agreed.insert((device, rollout, release));
        }
        self.tell(|world| {
            let said = taken.map_or_else(|why| format!("refused: {why}"), |()| "taken".to_owned());
            format!("the user of {} says {word:?}: {said}", world.devices[device].id)
        });
        self.check_postponed(device)?;
        self.deliver(device);
        Ok(())
    }

    /// What a user says at this look, by temper.
    fn word(&self, device: usize) -> Option<Word> {
        let number = u64::from(self.devices[device].number);
        let mut dice = self.scenario.dice(&[10, number, self.events]);
        let says = dice.below(1000);
        let span = dice.chance(500).then(|| Span::from_millis(dice.between(1, LONGEST_MS)));
        match (self.scenario.dice(&[9, number]).below(4), says) {
            (0, 0..300) | (1, 0..100) => Some(Word::Accept),
            (1, 100..300) | (2, 0..600) => Some(Word::Postpone(span)),
            // Never answers, or not now.
            _ => None,
        }
    }

    /// The agent counts how often, and keeps within the deadline.
    fn check_postponed(&self, device: usize) -> Held {
        let it = &self.devices[device];
        let Some(asked) = it.memory.task().and_then(|task| task.asked.as_ref()) else {
            return Ok(());
        };
        let (offer, answer) = (asked.offer(), asked.answer());
        let is_within = answer.until.is_none_or(|until| until <= offer.deadline);
        if answer.postponed > offer.postpone.times || !is_within {
            let seen = format!("the user of {} has {answer}, and {offer:?}", it.id);
            return self.broke(must::POSTPONED, seen);
        }
        Ok(())
    }
}
