//! By how much two groups differ, by ranks alone: nothing is assumed of how readings are spread.

/// An estimated shift, with the interval that it lies in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shift {
    /// The median of all differences.
    pub estimate: f64,
    /// It is at least so much.
    pub low: f64,
    /// It is at most so much.
    pub high: f64,
}

/// By how much `upgraded` is shifted against `control`, where the interval may miss the truth with
/// a chance of `error`. None if they are too few for that.
///
/// The interval holds every shift that Mann and Whitney's test (two-sided, normal approximation)
/// does not refuse: between the differences of rank `mn/2 ∓ z·√(mn(m+n+1)/12)` (Hodges and Lehmann,
/// *Estimates of location based on rank tests*, Annals of Mathematical Statistics 34, 1963;
/// Hollander and Wolfe, *Nonparametric Statistical Methods*, section 4.3). Ties make it no shorter,
/// so it errs on the careful side.
pub(super) fn shift(upgraded: &[f64], control: &[f64], error: f64) -> Option<Shift> {
    let (m, n) = (upgraded.len() as f64, control.len() as f64);
    let half = m * n / 2.0;
    let spread = (m * n * (m + n + 1.0) / 12.0).sqrt();
    let rank = (half - quantile(1.0 - error / 2.0) * spread).floor();
    if rank < 1.0 {
        return None;
    }
    let pairs = upgraded.iter().flat_map(|one| control.iter().map(move |other| one - other));
    let mut differences: Vec<f64> = pairs.collect();
    differences.sort_unstable_by(f64::total_cmp);
    let rank = rank as usize;
    Some(Shift {
        estimate: median(&differences)?,
        low: differences[rank - 1],
        high: differences[differences.len() - rank],
    })
}

/// The middle of sorted numbers; none of none.
pub(super) fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    let is_odd = sorted.len() % 2 == 1;
    Some(if is_odd { upper } else { f64::midpoint(sorted[middle - 1], upper) })
}

/// The point of the standard normal distribution below which a share of `p` lies, to seven digits
/// (Wichura, *Algorithm AS 241*, Applied Statistics 37, 1988: PPND7).
fn quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        let above = [3.387_132_717_9, 50.434_271_938, 159.291_132_02, 59.109_374_720];
        let below = [1.0, 17.895_169_469, 78.757_757_664, 67.187_563_600];
        return q * polynomial(&above, r) / polynomial(&below, r);
    }
    let r = (-p.min(1.0 - p).ln()).sqrt();
    let value = if r <= 5.0 {
        let above = [1.423_437_277_7, 2.756_815_390_0, 1.306_728_481_6, 0.170_238_211_03];
        let below = [1.0, 0.737_001_642_50, 0.120_211_329_75];
        polynomial(&above, r - 1.6) / polynomial(&below, r - 1.6)
    } else {
        let above = [6.657_905_115_0, 3.081_226_386_0, 0.428_682_943_37, 0.017_337_203_997];
        let below = [1.0, 0.241_978_942_25, 0.012_258_202_635];
        polynomial(&above, r - 5.0) / polynomial(&below, r - 5.0)
    };
    value.copysign(q)
}

/// Coefficients from the constant one upwards.
fn polynomial(coefficients: &[f64], at: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * at + coefficient)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (p, z) in [
            (0.5, 0.0),
            (0.8, 0.841_621_2),
            (0.975, 1.959_964_0),
            (0.995, 2.575_829_3),
            (0.9999, 3.719_016_5),
            (1e-8, -5.612_001_2),
            (1e-13, -7.348_796_1),
        ] {
            assert!((quantile(p) - z).abs() < 2e-6, "{p}: {} is not {z}", quantile(p));
        }
    }

    #[test]
    fn the_interval_is_that_of_the_book() {
        // Hollander and Wolfe, example 4.1: permeability of membranes at term and earlier.
        let term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
        let early = [1.15, 0.88, 0.90, 0.74, 1.21];
        let shift = shift(&term, &early, 0.10).unwrap();
        assert!((shift.estimate - 0.305).abs() < 1e-9, "{shift:?}");
        // By the exact distribution the book has (-0.10, 0.76) at 92%; the differences beside them
        // are -0.15 and -0.08, and 0.75 and 0.83.
        assert!((-0.16..=-0.07).contains(&shift.low), "{shift:?}");
        assert!((0.739..=0.84).contains(&shift.high), "{shift:?}");
    }

    #[test]
    fn too_few_show_nothing() {
        assert_eq!(shift(&[1.0, 2.0], &[3.0, 4.0], 0.05), None);
        assert_eq!(shift(&[], &[], 0.05), None);
        assert!(shift(&[1.0; 8], &[1.0; 8], 0.01).is_some());
    }

    #[test]
    fn what_is_equal_everywhere_is_not_shifted() {
        let same = shift(&[0.0; 10], &[0.0; 10], 0.01).unwrap();
        assert_eq!(same, Shift { estimate: 0.0, low: 0.0, high: 0.0 });
    }
}
