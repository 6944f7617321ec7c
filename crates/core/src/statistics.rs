//! What so many successes and failures show, looked at as often as one likes.
//!
//! A gate looks after every report. Classical bounds (Clopper–Pearson, Wilson) hold for one look;
//! over many looks one of them is wrong far too often. Here the bounds hold at all looks together,
//! by betting: somebody who believes that the failure rate is lower than `rate` bets against it
//! with fair odds, and wins a fortune of 1/(1 − confidence) only if it is, but for a chance of
//! 1 − confidence (Ville's inequality; Waudby-Smith and Ramdas, *Estimating means of bounded random
//! variables by betting*, JRSS B 86, 2024; Howard and others, *Time-uniform, nonparametric,
//! nonasymptotic confidence sequences*, Annals of Statistics 49, 2021).
//!
//! The bet against a rate `p` is a likelihood ratio ∏ (q/p) or ((1 − q)/(1 − p)) with a `q` below
//! `p`. Under any true rate of at least `p` its expected growth is at most 1. A fixed mixture of
//! such bets is one too; the mixture is chosen to be quick where nothing fails, and not to be
//! ruined by the first failure.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Bets that the rate is lower: `q` as a part of the rate, with its weight. The first is on "nothing
/// ever fails", so that a clean run needs 69 successes to show less than 5% (the fewest that any
/// method could do with is 59); the others survive failures, and are chosen so that 400 devices of
/// which 1% fail show it in 99 of 100 cases.
const LOWER: [(f64, f64); 3] = [(0.0, 0.4), (0.25, 0.3), (0.45, 0.3)];
/// Bets that the rate is higher: so many times the rate, at most halfway to 1.
const HIGHER: [f64; 4] = [1.5, 2.0, 3.0, 5.0];
/// More successes than any fleet has devices.
const MOST: u64 = 1 << 32;

/// A part of a whole, with a resolution of a millionth; in text a percentage like `5%` or `99.9%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Share(u32);

/// The text is no percentage between 0 and 100.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "not a percentage: `{0}` (expected one like `5%` or `99.9%`, more than 0 and less than 100)"
)]
pub struct InvalidShare(String);

/// How often something was tried, and how it went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trials {
    /// How often it failed.
    pub failures: u64,
    /// How often it succeeded.
    pub successes: u64,
}

impl Share {
    /// Ninety-five of a hundred.
    pub const P95: Self = Self(950_000);
    /// A quarter.
    pub const P25: Self = Self(250_000);

    /// As a number between 0 and 1.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 1e6
    }
}

impl Trials {
    /// Whether it is shown, with this confidence over all looks, that less than `rate` fail.
    pub fn show_below(self, rate: Share, confidence: Share) -> bool {
        self.won_below(rate.as_f64()) >= fortune(confidence)
    }

    /// Whether it is shown, with this confidence over all looks, that more than `rate` fail.
    pub fn show_above(self, rate: Share, confidence: Share) -> bool {
        let rate = rate.as_f64();
        let won: f64 = HIGHER
            .iter()
            .map(|times| self.ratio((rate * times).min((1.0 + rate) / 2.0), rate))
            .sum();
        won / HIGHER.len() as f64 >= fortune(confidence)
    }

    /// The lowest failure rate that is not shown to be too high; 1 before anything was tried.
    pub fn upper_bound(self, confidence: Share) -> f64 {
        let (mut low, mut high) = (0.0, 1.0);
        // Each step halves what is left: 40 leave less than any share can tell.
        for _ in 0..40 {
            let middle = f64::midpoint(low, high);
            if self.won_below(middle) >= fortune(confidence) {
                high = middle;
            } else {
                low = middle;
            }
        }
        high
    }

    /// How many more successes, and no failure, would show that less than `rate` fail; none if no
    /// fleet is large enough.
    pub fn more_successes(self, rate: Share, confidence: Share) -> Option<u64> {
        let shows = |more: u64| {
            Self { successes: self.successes + more, ..self }.show_below(rate, confidence)
        };
        if shows(0) {
            return Some(0);
        }
        let mut high = 1;
        while !shows(high) {
            high *= 2;
            if high > MOST {
                return None;
            }
        }
        let mut low = high / 2;
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if shows(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        Some(high)
    }

    /// What one unit of money has become in the hands of who bets that less than `rate` fail.
    fn won_below(self, rate: f64) -> f64 {
        LOWER.iter().map(|(part, weight)| weight * self.ratio(rate * part, rate)).sum()
    }

    /// How much better `q` explains what was seen than `p` does.
    fn ratio(self, q: f64, p: f64) -> f64 {
        let failed = if self.failures == 0 { 0.0 } else { self.failures as f64 * (q / p).ln() };
        (failed + self.successes as f64 * ((1.0 - q) / (1.0 - p)).ln()).exp()
    }
}

/// What must be won before it is believed.
fn fortune(confidence: Share) -> f64 {
    1.0 / (1.0 - confidence.as_f64())
}

impl FromStr for Share {
    type Err = InvalidShare;

    fn from_str(text: &str) -> Result<Self, InvalidShare> {
        let invalid = || InvalidShare(text.to_owned());
        let percent = text.trim().strip_suffix('%').ok_or_else(invalid)?;
        let percent: f64 = percent.trim().parse().map_err(|_| invalid())?;
        let millionths = (percent * 1e4).round();
        if (1.0..1e6).contains(&millionths) { Ok(Self(millionths as u32)) } else { Err(invalid()) }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 1e4)
    }
}

impl TryFrom<String> for Share {
    type Error = InvalidShare;

    fn try_from(text: String) -> Result<Self, InvalidShare> {
        text.parse()
    }
}

impl From<Share> for String {
    fn from(share: Share) -> Self {
        share.to_string()
    }
}

#[cfg(feature = "schema")]
crate::string_schema!(Share, "Percentage like 5% or 99.9%");

#[cfg(test)]
mod tests {
    use super::*;

    fn share(text: &str) -> Share {
        text.parse().unwrap()
    }

    fn trials(failures: u64, successes: u64) -> Trials {
        Trials { failures, successes }
    }

    #[test]
    fn a_clean_run_shows_less_than_a_rate_from_so_many_on() {
        for (rate, confidence, fewest) in
            [("5%", "95%", 69), ("1%", "95%", 352), ("5%", "99%", 103)]
        {
            let (rate, confidence) = (share(rate), share(confidence));
            assert_eq!(trials(0, 0).more_successes(rate, confidence), Some(fewest));
            assert!(trials(0, fewest).show_below(rate, confidence));
            assert!(!trials(0, fewest - 1).show_below(rate, confidence));
            // Nobody could do with fewer: (1 − rate)^n must be at most 1 − confidence.
            let least = (1.0 - confidence.as_f64()).ln() / (1.0 - rate.as_f64()).ln();
            assert!(fewest as f64 > least && (fewest as f64) < least * 1.2, "{least}");
        }
    }

    #[test]
    fn a_failure_costs_successes_and_is_survived() {
        let (rate, confidence) = (share("5%"), share("95%"));
        let more = |failures| trials(failures, 0).more_successes(rate, confidence).unwrap();
        let needed: Vec<u64> = (0..6).map(more).collect();
        assert!(needed.is_sorted() && needed[5] < 500, "{needed:?}");
        let bound = trials(1, 60).upper_bound(confidence);
        assert!(bound > 0.05 && bound < 0.2, "{bound}");
        assert!((trials(0, 0).upper_bound(confidence) - 1.0).abs() < 1e-9);
    }

    /// How many of 2,000 runs of 400 trials each were ever, at any look, led to believe it.
    fn misled(rate: f64, believes: impl Fn(Trials) -> bool) -> u32 {
        let mut state = 1_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut misled = 0;
        for _ in 0..2000 {
            let mut seen = trials(0, 0);
            let mut is_misled = false;
            for _ in 0..400 {
                if next() < rate {
                    seen.failures += 1;
                } else {
                    seen.successes += 1;
                }
                is_misled = is_misled || believes(seen);
            }
            misled += u32::from(is_misled);
        }
        misled
    }

    #[test]
    fn looking_after_every_trial_misleads_no_more_than_allowed() {
        let confidence = share("95%");
        for text in ["1%", "5%", "10%", "30%"] {
            let rate = share(text);
            let below = misled(rate.as_f64(), |seen| seen.show_below(rate, confidence));
            let above = misled(rate.as_f64(), |seen| seen.show_above(rate, confidence));
            // 5% of 2,000 are 100; what 400 looks leave unused of them shows that it is no luck.
            assert!(below <= 100 && above <= 100, "{text}: {below} and {above} of 2,000");
        }
        // The bound for one look, looked at 400 times, is wrong far more often: the check can fail.
        let naive = |seen: Trials| {
            let n = (seen.failures + seen.successes) as f64;
            let rate = seen.failures as f64 / n;
            n > 30.0 && rate + 1.645 * (rate * (1.0 - rate) / n).sqrt() < 0.1
        };
        assert!(misled(0.1, naive) > 200);
    }

    #[test]
    fn what_is_so_is_found_out() {
        let confidence = share("95%");
        let found = misled(0.01, |seen| seen.show_below(share("5%"), confidence));
        assert!(found > 1950, "{found} of 2,000");
        let found = misled(0.2, |seen| seen.show_above(share("5%"), confidence));
        assert!(found > 1990, "{found} of 2,000");
    }

    #[test]
    fn shares_read_what_they_write() {
        for text in ["5%", "99.9%", "0.0001%", "12.5%"] {
            assert_eq!(share(text).to_string(), text);
        }
        for text in ["5", "0%", "100%", "-1%", "NaN%", "%", "five%"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }
}
