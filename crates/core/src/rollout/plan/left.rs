//! Who is left while one ring after the other takes its devices.

use std::cmp::Ordering;

use super::{FleetDevice, LeftOutReason, parsed};
use crate::rollout::RingSize;

/// The devices that no ring has taken yet.
pub(super) struct Left<'a> {
    picked: &'a [&'a FleetDevice],
    /// Where each picked device stands in [0, 1).
    positions: Vec<f64>,
    /// Their places in the list of picked devices, lowest first.
    places: Vec<usize>,
}

impl<'a> Left<'a> {
    pub(super) fn new(picked: &'a [&'a FleetDevice], positions: Vec<f64>) -> Self {
        Self { picked, positions, places: (0..picked.len()).collect() }
    }

    /// The places of those that are left.
    pub(super) fn places(self) -> Vec<usize> {
        self.places
    }

    /// Takes a ring's devices out. A count takes devices that move, since it is asked for as a
    /// sample; a percentage takes whoever stands in its interval, so that nobody's ring depends on
    /// anybody else.
    pub(super) fn take(
        &mut self,
        size: &RingSize,
        percent_before: &mut f64,
        reasons: &[Option<LeftOutReason>],
    ) -> Vec<usize> {
        match size {
            RingSize::Count(count) => {
                let last = self.last_of(*count as usize, reasons);
                self.take_where(|left, place| {
                    let is_among = |last| left.by_position(place, last).is_le();
                    last.is_some_and(is_among) && left.may_move(place, reasons)
                })
            }
            RingSize::Percent(percent) => {
                let from = *percent_before / 100.0;
                *percent_before += percent;
                // What adds up to 100 reaches the end, whatever binary fractions make of it.
                let is_all = *percent_before >= 100.0 - 1e-6;
                let to = if is_all { 1.0 } else { *percent_before / 100.0 };
                self.take_where(|left, place| (from..to).contains(&left.positions[place]))
            }
            RingSize::Select(selector) => {
                let selector = parsed(selector);
                let matches = |it: &FleetDevice| selector.matches(&it.id, &it.facts);
                self.take_where(|left, place| matches(left.picked[place]))
            }
            RingSize::Rest => std::mem::take(&mut self.places),
        }
    }

    fn may_move(&self, place: usize, reasons: &[Option<LeftOutReason>]) -> bool {
        reasons[place].is_none() && self.picked[place].kept_out.is_none()
    }

    /// The last of the first so many devices that may move, by their positions; none if there are
    /// none.
    fn last_of(&self, count: usize, reasons: &[Option<LeftOutReason>]) -> Option<usize> {
        let may_move = |place: &usize| self.may_move(*place, reasons);
        let mut movers: Vec<usize> = self.places.iter().copied().filter(may_move).collect();
        let last = count.min(movers.len()).checked_sub(1)?;
        Some(*movers.select_nth_unstable_by(last, |a, b| self.by_position(*a, *b)).1)
    }

    fn by_position(&self, a: usize, b: usize) -> Ordering {
        self.positions[a].total_cmp(&self.positions[b]).then(a.cmp(&b))
    }

    fn take_where(&mut self, is_in: impl Fn(&Self, usize) -> bool) -> Vec<usize> {
        let places = std::mem::take(&mut self.places);
        let (taken, left) = places.into_iter().partition(|place| is_in(self, *place));
        self.places = left;
        taken
    }
}
