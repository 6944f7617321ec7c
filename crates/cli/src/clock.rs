//! The time.

use std::time::{SystemTime, UNIX_EPOCH};

use gofleet_core::time::Timestamp;

/// The time by this machine's clock. One before 1970 is as wrong as one at 1970.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
