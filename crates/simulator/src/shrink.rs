//! Making a failing story as short as it goes while the same invariant is broken.
//!
//! Greedy halving over what a story is made of (Zeller and Hildebrandt, *Simplifying and isolating
//! failure-inducing input*, 2002): leave out a part; keep the shorter story if it still fails.

use crate::invariant::Invariant;
use crate::scenario::{Network, Scenario};
use crate::world::World;

/// How many stories are tried at most.
const TRIES: usize = 600;

/// A shorter story that breaks the same invariant, and how many were tried.
pub fn shrink(scenario: &Scenario, broken: Invariant) -> (Scenario, usize) {
    let mut search = Search { best: scenario.clone(), broken, tries: 0 };
    loop {
        let before = search.size();
        search.leave_out(
            |it| it.faults.len(),
            |it, from, to| {
                it.faults.drain(from..to);
            },
        );
        search.leave_out(
            |it| it.devices.len(),
            |it, from, to| {
                it.devices.drain(from..to);
            },
        );
        search.leave_out(
            |it| it.rollouts.len(),
            |it, from, to| {
                it.rollouts.drain(from..to);
            },
        );
        search.calm();
        if search.size() == before || search.tries >= TRIES {
            return (search.best, search.tries);
        }
    }
}

struct Search {
    best: Scenario,
    broken: Invariant,
    tries: usize,
}

impl Search {
    fn size(&self) -> usize {
        self.best.faults.len() + self.best.devices.len() + self.best.rollouts.len()
    }

    /// Whether the shorter story still fails; then it is kept.
    fn attempt(&mut self, shorter: Scenario) -> bool {
        if self.tries >= TRIES || shorter.devices.is_empty() {
            return false;
        }
        self.tries += 1;
        let violation = World::play(&shorter, false).violation;
        let is_same = violation.is_some_and(|it| it.invariant == self.broken);
        if is_same {
            self.best = shorter;
        }
        is_same
    }

    fn leave_out(
        &mut self,
        length: impl Fn(&Scenario) -> usize,
        remove: impl Fn(&mut Scenario, usize, usize),
    ) {
        let mut chunk = length(&self.best).div_ceil(2);
        while chunk > 0 {
            let mut from = 0;
            while from < length(&self.best) {
                let to = (from + chunk).min(length(&self.best));
                let mut shorter = self.best.clone();
                remove(&mut shorter, from, to);
                if !self.attempt(shorter) {
                    from = to;
                }
            }
            chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
        }
    }

    /// Makes the network good, fault by fault.
    fn calm(&mut self) {
        let changes: [fn(&mut Network); 4] =
            [|it| it.lost = 0, |it| it.doubled = 0, |it| it.late = 0, |it| it.misled = 0];
        for change in changes {
            let mut shorter = self.best.clone();
            change(&mut shorter.network);
            if shorter.network != self.best.network {
                self.attempt(shorter);
            }
        }
    }
}
