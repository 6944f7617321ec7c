//! Counting the bytes of many transfers, and keeping them together to one limit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use gofleet_core::bandwidth::{Bandwidth, Bucket};
use gofleet_core::time::Timestamp;

use crate::download::Meter;

/// Tells the time, and how many minutes the clocks on the wall are ahead of UTC.
pub type LocalClock = fn() -> (Timestamp, i32);

/// A limit that all transfers share which have it as their meter.
pub struct Throttle {
    limit: Bandwidth,
    clock: LocalClock,
    bytes: AtomicU64,
    bucket: Mutex<Bucket>,
    began: Instant,
}

impl Throttle {
    /// Keeps to `limit`, and goes on counting from `bytes`.
    pub fn new(limit: Bandwidth, clock: LocalClock, bytes: u64) -> Self {
        let (bytes, bucket) = (AtomicU64::new(bytes), Mutex::new(Bucket::default()));
        Self { limit, clock, bytes, bucket, began: Instant::now() }
    }

    /// All that was moved.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Meter for Throttle {
    fn came(&self, bytes: u64) -> Duration {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.limit == Bandwidth::UNLIMITED {
            return Duration::ZERO;
        }
        let (now, offset_minutes) = (self.clock)();
        let limit = self.limit.at(now, offset_minutes);
        let now_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        // Nothing that holds the lock can panic between two states of the bucket.
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.take(bytes, limit, now_us)
    }
}

/// The clock of this machine, in its time zone.
pub fn local_clock() -> (Timestamp, i32) {
    let now = jiff::Timestamp::now();
    let offset = jiff::tz::TimeZone::system().to_offset(now);
    (Timestamp::from_millis(now.as_millisecond()), offset.seconds() / 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noon in a place five and a half hours ahead of UTC.
    fn noon() -> (Timestamp, i32) {
        ("2026-03-01T06:30:00Z".parse().unwrap(), 330)
    }

    #[test]
    fn transfers_share_one_limit_by_the_hour_of_the_place() {
        let wait_for = |limit: &str| {
            let throttle = Throttle::new(limit.parse().unwrap(), noon, 5);
            let waits = [1_000_000, 1_000_000, 1_000_000].map(|bytes| throttle.came(bytes));
            assert_eq!(throttle.bytes(), 3_000_005);
            waits.map(|wait| wait.as_millis() / 100)
        };
        assert_eq!(wait_for("unlimited"), [0; 3]);
        assert_eq!(wait_for("1 MB/s from 6 to 7"), [0; 3], "it is 12 there");
        // Less the burst and the moments between the calls.
        let [first, second, third] = wait_for("1 MB/s from 12 to 13");
        assert!((6..=10).contains(&first), "{first}");
        assert!((16..=20).contains(&second) && (26..=30).contains(&third), "{second} {third}");
    }

    #[test]
    fn the_machine_has_a_time_zone() {
        let (_, offset_minutes) = local_clock();
        assert!((-14 * 60..=14 * 60).contains(&offset_minutes), "{offset_minutes}");
    }
}
