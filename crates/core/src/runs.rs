//! Telling two machines with one key apart, by the runs of their agents.
//!
//! An agent names each run of its process by a random number, in every request. A restart ends a
//! run for good, so a run that comes back after another one was heard belongs to a second machine:
//! one whose disk was cloned, or that has a stolen key.

/// How many runs before the current one are remembered: so many machines more are told apart.
const REMEMBERED: usize = 4;
/// How often a run must come back. Twice may be a request that was long under way when its agent
/// was started again: the earlier run comes back, and then the later one.
const RETURNS: u8 = 3;

/// The latest runs that were heard of one device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Runs {
    current: Option<u64>,
    earlier: [Option<u64>; REMEMBERED],
    returns: u8,
}

impl Runs {
    /// A run is heard; whether that shows that two machines are one device. Shown once, it has to
    /// be shown anew.
    pub fn hear(&mut self, run: u64) -> bool {
        if self.current == Some(run) {
            return false;
        }
        // A new run is a restart: what came late before it shows nothing any more.
        self.returns = if self.earlier.contains(&Some(run)) { self.returns + 1 } else { 0 };
        self.earlier.rotate_right(1);
        self.earlier[0] = self.current.replace(run);
        let is_shown = self.returns >= RETURNS;
        if is_shown {
            *self = Self::default();
        }
        is_shown
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(runs: &[u64]) -> Option<usize> {
        let mut heard = Runs::default();
        runs.iter().position(|run| heard.hear(*run))
    }

    #[test]
    fn machines_are_told_apart_at_their_third_return() {
        assert_eq!(shown(&[1, 2, 1, 2, 1]), Some(4));
        assert_eq!(shown(&[1, 1, 2, 2, 1, 1, 1, 2, 2, 1]), Some(9));
        assert_eq!(shown(&[1, 2, 3, 1, 2, 3]), Some(5), "so are three");
    }

    #[test]
    fn a_request_that_was_long_under_way_shows_nothing() {
        assert_eq!(shown(&[1, 1, 2, 1, 2, 2, 2]), None);
        let late_after_each_restart = [1, 2, 1, 2, 3, 2, 3, 4, 3, 4, 5, 4, 5];
        assert_eq!(shown(&late_after_each_restart), None);
    }

    proptest! {
        #[test]
        fn restarts_show_nothing(lengths in prop::collection::vec(1_usize..5, 1..50)) {
            let runs: Vec<u64> = lengths
                .iter()
                .enumerate()
                .flat_map(|(run, length)| std::iter::repeat_n(run as u64, *length))
                .collect();
            prop_assert_eq!(shown(&runs), None);
        }
    }
}
