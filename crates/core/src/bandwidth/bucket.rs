//! Keeping to a limit: how long to wait after each piece.

use std::num::NonZeroU64;
use std::time::Duration;

/// How far a transfer may run ahead after it stood still. Long enough that pauses between pieces
/// cost nothing, short enough that nobody sees a limit broken.
const BURST_US: u64 = 250_000;

/// A token bucket, told as the moment at which all that was moved is paid for (the generic cell
/// rate algorithm). So the limit may change at any moment: what was moved before keeps its price.
/// The clock is the caller's, in microseconds since a moment of its choice, never going back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bucket {
    paid_at_us: u64,
}

impl Bucket {
    /// Takes `bytes` that were moved at `now_us`; how long to wait before the next are. Never
    /// refuses, so a piece that is larger than the limit allows in a second is waited for longer.
    pub fn take(&mut self, bytes: u64, limit: Option<NonZeroU64>, now_us: u64) -> Duration {
        let Some(limit) = limit else {
            self.paid_at_us = 0;
            return Duration::ZERO;
        };
        let begins_us = self.paid_at_us.max(now_us.saturating_sub(BURST_US));
        let price_us = u128::from(bytes) * 1_000_000 / u128::from(limit.get());
        let price_us = u64::try_from(price_us).unwrap_or(u64::MAX);
        self.paid_at_us = begins_us.saturating_add(price_us);
        Duration::from_micros(self.paid_at_us.saturating_sub(now_us))
    }
}
