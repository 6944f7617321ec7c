//! Distribution points that gave no answer, or next to none, and are passed over for a while.
//!
//! It is kept in memory: an agent that starts anew asks them again, which costs one attempt.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// How long one is passed over. Several orders of a rollout come within it; a distribution point
/// that is well again is soon used again.
const AVOIDED_FOR: Duration = Duration::from_secs(15 * 60);

/// Which are passed over, by address, and until when.
#[derive(Debug, Default)]
pub struct Avoided(BTreeMap<String, Instant>);

impl Avoided {
    /// Notes that the one at `url` failed at `now`.
    pub fn note(&mut self, url: &str, now: Instant) {
        self.0.retain(|_, until| *until > now);
        self.0.insert(url.to_owned(), now + AVOIDED_FOR);
    }

    /// Whether the one at `url` is still passed over at `now`.
    pub fn contains(&self, url: &str, now: Instant) -> bool {
        self.0.get(url).is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_failed_is_passed_over_for_a_while_and_no_other() {
        let (mut avoided, began) = (Avoided::default(), Instant::now());
        let check = |avoided: &Avoided, url, after: Duration, expect| {
            assert_eq!(avoided.contains(url, began + after), expect, "{url} {after:?}");
        };
        let short_before = AVOIDED_FOR - Duration::from_millis(1);
        avoided.note("http://a", began);
        check(&avoided, "http://a", Duration::ZERO, true);
        check(&avoided, "http://a", short_before, true);
        check(&avoided, "http://a", AVOIDED_FOR, false);
        check(&avoided, "http://b", Duration::ZERO, false);
        // It fails again: the while begins anew.
        avoided.note("http://a", began + short_before);
        check(&avoided, "http://a", AVOIDED_FOR, true);
        avoided.note("http://b", began + AVOIDED_FOR * 3);
        assert_eq!(avoided.0.len(), 1, "what is over is forgotten");
    }
}
