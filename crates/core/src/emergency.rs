//! The emergency stop: one word that stops every rollout at once, until a person lifts it.
//!
//! While it holds, no device is ordered anything new, and what has not switched is taken back;
//! going back is never held up. Lifting it moves nothing by itself: each rollout stays paused until
//! it is resumed, and then tries again what was taken back.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// An emergency stop that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EmergencyStop {
    /// Who called it.
    pub by: String,
    /// Why, in that person's words.
    pub reason: String,
    /// When, by the server's clock.
    pub at: Timestamp,
}

impl fmt::Display for EmergencyStop {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { by, reason, at } = self;
        write!(formatter, "emergency stop by {by} at {at}: {reason}")
    }
}
