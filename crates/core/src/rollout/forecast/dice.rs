//! Chance that can be repeated: everything is a function of a seed and of what is asked about.

/// A source of numbers: SplitMix64 (Steele, Lea and Flood, *Fast splittable pseudorandom number
/// generators*, 2014), which any 64-bit state may begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Other dice, for one question: the same question gets the same answers, whatever else was
    /// asked before.
    pub(super) const fn about(self, question: u64) -> Self {
        Self(mix(mix(self.0) ^ mix(question)))
    }

    const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number in (0, 1): the upper 53 bits, half a step away from both ends.
    pub(super) fn share(&mut self) -> f64 {
        ((self.roll() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Whether something happens that happens in this share of cases.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.share() < share
    }

    /// One of these; none if there is none.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let place = (self.share() * from.len() as f64) as usize;
        from.get(place).copied()
    }

    /// Standard normal (Box and Muller, 1958).
    fn normal(&mut self) -> f64 {
        let (radius, turn) = ((-2.0 * self.share().ln()).sqrt(), self.share());
        radius * (std::f64::consts::TAU * turn).cos()
    }

    /// Gamma with this shape, which is at least 1 (Marsaglia and Tsang, *A simple method for
    /// generating gamma variables*, 2000).
    fn gamma(&mut self, shape: f64) -> f64 {
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && self.share().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }

    /// What a rate may be of which so many cases for it and against it were seen, each at least 1.
    pub(super) fn rate(&mut self, happened: f64, did_not: f64) -> f64 {
        let (one, other) = (self.gamma(happened), self.gamma(did_not));
        one / (one + other)
    }
}

const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_scatter_around_what_was_seen_and_less_the_more_was_seen() {
        let spread = |happened: f64, did_not: f64| {
            let mut dice = Dice::new(7);
            let mut rates: Vec<f64> = (0..4000).map(|_| dice.rate(happened, did_not)).collect();
            rates.sort_by(f64::total_cmp);
            let mean = rates.iter().sum::<f64>() / rates.len() as f64;
            (mean, rates[3800] - rates[200])
        };
        let (few, many) = (spread(2.0, 98.0), spread(200.0, 9_800.0));
        assert!((few.0 - 0.02).abs() < 0.002 && (many.0 - 0.02).abs() < 0.0005, "{few:?} {many:?}");
        // The standard deviation of a beta distribution of mean 2% falls as the root of the cases.
        assert!((few.1 / many.1 - 10.0).abs() < 1.5, "{few:?} {many:?}");
    }

    #[test]
    fn the_same_question_gets_the_same_answer() {
        let dice = Dice::new(1);
        assert_eq!(dice.about(3).share().to_bits(), dice.about(3).share().to_bits());
        assert_ne!(dice.about(3).share().to_bits(), dice.about(4).share().to_bits());
        assert_eq!(dice.about(3).pick::<u8>(&[]), None);
    }
}
