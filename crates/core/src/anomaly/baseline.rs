//! What is normal for a signal among the devices of a class.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Reading;
use crate::ids::DeviceId;
use crate::time::{Span, Timestamp};

/// Nothing is judged before so many samples were seen …
pub const LEARNED_FROM_SAMPLES: u64 = 100;
/// … of so many devices: what one device does all the time is not yet normal.
pub const LEARNED_FROM_DEVICES: usize = 5;

/// A sample counts half as much after so long: the median follows what becomes normal within
/// days, and not what happens at night.
const HALF_LIFE: Span = Span::from_secs(24 * 60 * 60);
/// Neighbouring buckets differ by this factor, so a median is right to 5%. All readings that there
/// are fall into 365 buckets: the sketch never needs more memory than that.
const GROWTH: f64 = 1.1;
/// Weights are brought back to the present before numbers lose their exactness.
const MOST_HALVINGS: f64 = 32.0;

/// The median of a signal, of which newer samples count more: a sketch of bounded size.
///
/// It is a histogram with buckets of equal relative width (as in DDSketch; Masson, Rim and Lee,
/// PVLDB 12, 2019) and weights that grow with the time of the sample instead of shrinking with
/// age (forward decay; Cormode and others, ICDE 2009). A median withstands that nearly half of
/// what it was taught is wrong.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// A sample of this time weighs 1.
    origin: Option<Timestamp>,
    /// The weight in each bucket.
    buckets: BTreeMap<u16, f64>,
    samples: u64,
    /// Who has taught it, as far as it matters.
    devices: BTreeSet<DeviceId>,
}

impl Baseline {
    /// Takes in what a healthy device measured.
    pub fn teach(&mut self, device: &DeviceId, reading: Reading, now: Timestamp) {
        let origin = *self.origin.get_or_insert(now);
        let mut halvings = now.since(origin).as_secs_f64() / HALF_LIFE.as_secs_f64();
        if halvings > MOST_HALVINGS {
            let scale = (-halvings).exp2();
            self.buckets.values_mut().for_each(|weight| *weight *= scale);
            self.buckets.retain(|_, weight| *weight > 1e-12);
            (self.origin, halvings) = (Some(now), 0.0);
        }
        *self.buckets.entry(bucket(reading)).or_default() += halvings.exp2();
        self.samples = self.samples.saturating_add(1);
        if self.devices.len() < LEARNED_FROM_DEVICES && !self.devices.contains(device) {
            self.devices.insert(device.clone());
        }
    }

    /// What is normal; none before enough was seen.
    pub fn normal(&self) -> Option<Reading> {
        let is_learned =
            self.samples >= LEARNED_FROM_SAMPLES && self.devices.len() >= LEARNED_FROM_DEVICES;
        if is_learned { self.median() } else { None }
    }

    fn median(&self) -> Option<Reading> {
        let half = self.buckets.values().sum::<f64>() / 2.0;
        let mut below = 0.0;
        self.buckets.iter().find_map(|(bucket, weight)| {
            below += weight;
            (below >= half).then(|| middle(*bucket))
        })
    }
}

/// 0 for nothing; else one more than the whole logarithm.
fn bucket(reading: Reading) -> u16 {
    match reading.as_thousandths() {
        0 => 0,
        thousandths => 1 + ((thousandths as f64).ln() / GROWTH.ln()) as u16,
    }
}

/// The reading in the middle of a bucket.
fn middle(bucket: u16) -> Reading {
    match bucket {
        0 => Reading::default(),
        bucket => {
            let exponent = f64::from(bucket - 1) + 0.5;
            Reading::from_thousandths(GROWTH.powf(exponent).round() as u64)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn device(n: usize) -> DeviceId {
        format!("d{n}").parse().unwrap()
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000) + Span::from_secs(seconds)
    }

    fn taught(readings: &[u64]) -> Baseline {
        let mut baseline = Baseline::default();
        for (n, reading) in readings.iter().enumerate() {
            baseline.teach(&device(n % 7), Reading::whole(*reading), at(n as u64));
        }
        baseline
    }

    #[test]
    fn nothing_is_normal_before_enough_devices_have_told_enough() {
        assert_eq!(taught(&[10; 99]).normal(), None);
        assert!(taught(&[10; 100]).normal().is_some());
        let mut one = Baseline::default();
        (0..1000).for_each(|n| one.teach(&device(1), Reading::whole(10), at(n)));
        assert_eq!(one.normal(), None, "one device says nothing of a class");
    }

    #[test]
    fn what_was_normal_fades_and_no_age_overflows() {
        let mut baseline = taught(&[10; 500]);
        let day = 24 * 60 * 60;
        for n in 0..300 {
            baseline.teach(&device(n), Reading::whole(1000), at(3 * day + n as u64));
        }
        let normal = f64::from(baseline.normal().unwrap());
        assert!((950.0..1050.0).contains(&normal), "{normal}");
        baseline.teach(&device(1), Reading::whole(5), at(4000 * day));
        let normal = f64::from(baseline.normal().unwrap());
        assert!((4.7..5.3).contains(&normal), "only the newest weighs anything: {normal}");
        assert_eq!(Reading::from_thousandths(u64::MAX).as_thousandths(), 1 << 50);
        assert!(bucket(Reading::from_thousandths(u64::MAX)) < 365);
    }

    proptest! {
        /// Whatever up to three in ten teach, the median stays among what the others teach.
        #[test]
        fn a_minority_does_not_move_what_is_normal(
            clean in prop::collection::vec(5u64..50, 200),
            wrong in prop::collection::vec(0u64..1_000_000, 0..80),
        ) {
            let mut all = Vec::new();
            let mut wrong = wrong.into_iter();
            for (n, reading) in clean.iter().enumerate() {
                all.push(*reading);
                if n % 5 < 2 {
                    all.extend(wrong.next());
                }
            }
            let normal = f64::from(taught(&all).normal().unwrap());
            prop_assert!((4.7..53.0).contains(&normal), "{}", normal);
        }

        #[test]
        fn a_median_is_right_to_a_twentieth(reading in 1u64..1_000_000_000) {
            let normal = f64::from(taught(&[reading; 100]).normal().unwrap());
            prop_assert!((normal / reading as f64 - 1.0).abs() < 0.051, "{} of {}", normal, reading);
        }

        #[test]
        fn it_reads_what_it_writes(readings in prop::collection::vec(0u64..10_000, 0..150)) {
            let baseline = taught(&readings);
            let text = serde_json::to_string(&baseline).unwrap();
            let read: Baseline = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read.normal(), baseline.normal());
            prop_assert!(read.buckets.len() <= 365);
        }
    }
}
