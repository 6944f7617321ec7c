//! How long to wait after a failure before the next try.

use std::time::Duration;

/// Pauses that double from `first` to `longest`, each cut at random to between half and all of
/// it: after an outage a whole fleet must not come back in the same moment.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Pauses for a server that does not answer: a second at first, a minute at most.
    pub const fn for_server() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(60), failures: 0 }
    }

    /// It worked: the next failure is the first again.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// The pause after one more failure. `random` is any number.
    pub fn after_failure(&mut self, random: u32) -> Duration {
        let doubled = self.first.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let whole = doubled.min(self.longest);
        whole / 2 + (whole / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

/// A random number; zero should the system have none, for this is for jitter only.
pub fn random() -> u32 {
    getrandom::u32().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew() {
        let mut backoff = Backoff::for_server();
        let mut longest = |random| {
            let mut all = Vec::new();
            for _ in 0..40 {
                all.push(backoff.after_failure(random).as_millis());
            }
            backoff.reset();
            all
        };
        let (most, least) = (longest(u32::MAX), longest(0));
        assert_eq!(most[..7], [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000]);
        assert_eq!(least[..3], [500, 1000, 2000]);
        assert_eq!((most[39], least[39]), (60_000, 30_000));
    }
}
