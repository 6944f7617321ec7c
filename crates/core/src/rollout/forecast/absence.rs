//! When devices go away: each as it did in a week of the past that was recorded, or in a day, as
//! long as there is no week. So nights, weekends and a site that is switched off come by
//! themselves, and come to those together that they came to together.

use std::collections::HashMap;

use super::Basis;
use super::dice::Dice;
use crate::ids::DeviceId;
use crate::time::{Span, Timestamp};

const DAY: Span = Span::from_secs(86_400);
const WEEK: Span = Span::from_secs(7 * 86_400);
/// Beyond that nobody's week says anything, and a rollout that waits in vain comes to its end.
const FARTHEST: Span = Span::from_secs(28 * 86_400);

/// A device was not heard for a quarter of an hour or longer, and came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    /// The device.
    pub device: DeviceId,
    /// When it was heard last, or since when the server listened.
    pub from: Timestamp,
    /// When it was heard again.
    pub until: Timestamp,
}

/// Absences, ready to be looked up.
#[derive(Debug, Default)]
pub(super) struct Calendar {
    by_device: HashMap<DeviceId, Vec<(Timestamp, Timestamp)>>,
    absences: u64,
    /// What is repeated, and how many of it there are.
    period: Option<(Span, u64)>,
}

/// The stretch of the past that a run repeats: so long ago, and so long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Past {
    ago: Span,
    period: Span,
}

impl Calendar {
    pub(super) fn new(absences: &[Absence], now: Timestamp) -> Self {
        let recorded = absences.iter().map(|it| it.from).min();
        let recorded = recorded.map_or(Span::ZERO, |since| now.since(since));
        let period = [WEEK, DAY].into_iter().find(|period| recorded >= *period);
        let mut by_device: HashMap<_, Vec<_>> = HashMap::new();
        for Absence { device, from, until } in absences {
            by_device.entry(device.clone()).or_default().push((*from, *until));
        }
        by_device.values_mut().for_each(|of_device| of_device.sort_unstable());
        Self {
            by_device,
            absences: absences.len() as u64,
            period: period.map(|it| (it, recorded.as_millis() / it.as_millis())),
        }
    }

    /// What a run repeats; none if not even a day was recorded.
    pub(super) fn draw(&self, mut dice: Dice) -> Option<Past> {
        let (period, count) = self.period?;
        let which = 1 + (dice.share() * count as f64) as u64;
        let ago = Span::from_millis(period.as_millis() * which.min(count));
        Some(Past { ago, period })
    }

    /// The next absence of a device that begins after a time, where `start` is when the run began.
    pub(super) fn next(
        &self,
        device: &DeviceId,
        past: Past,
        start: Timestamp,
        after: Timestamp,
    ) -> Option<(Timestamp, Timestamp)> {
        let known = self.by_device.get(device)?;
        let (begin, period) = (start - past.ago, past.period.as_millis());
        let end = begin + past.period;
        let cycle = after.since(start).as_millis() / period;
        let mut found: Option<(Timestamp, Timestamp)> = None;
        for cycle in cycle..cycle + 3 {
            let moved = |at: Timestamp| start + Span::from_millis(cycle * period) + at.since(begin);
            for (from, until) in known.iter().filter(|(from, until)| *until > begin && *from < end)
            {
                let (from, until) = (moved((*from).max(begin)), moved((*until).min(end)));
                match &mut found {
                    // What is cut by the end of the period goes on in the next.
                    Some((_, last)) if from <= *last => *last = until.max(*last),
                    Some(_) => return found,
                    None if from > after && from.since(start) <= FARTHEST => {
                        found = Some((from, until));
                    }
                    None => {}
                }
            }
        }
        found
    }

    pub(super) fn basis(&self) -> Basis {
        let what = "when devices go away";
        let Some((period, count)) = self.period else {
            return Basis::new(what, "not recorded for a day yet: nobody does".to_owned(), 0);
        };
        let unit = match (period == WEEK, count) {
            (true, 1) => "week",
            (true, _) => "weeks",
            (false, 1) => "day",
            (false, _) => "days",
        };
        let absences = self.absences;
        let value = format!("as in one of the last {count} {unit}, with {absences} absences");
        Basis::new(what, value, absences)
    }
}
