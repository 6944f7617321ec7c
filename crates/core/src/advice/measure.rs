//! What the finished rollouts of a fleet say of managed rollouts: how long one node takes, and how
//! often it fails.

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// How the activation of one device ended, in a rollout that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It accepted.
    Accepted {
        /// How long that took from its order on, without the soak time; none where the device
        /// waited for a maintenance window, which says nothing of the work.
        took: Option<Span>,
    },
    /// It failed, or never answered.
    Failed,
}

/// What the latest finished rollouts say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Measured {
    /// Devices that accepted or failed; one of several rollouts counts in each.
    pub devices: u64,
    /// How many of them failed, or never answered.
    pub failures: u64,
    /// Of how many the time is known.
    pub timed: u64,
    /// The median time from order to acceptance, without the soak time; none if no time is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median: Option<Span>,
}

/// Sums outcomes up.
pub fn measure(outcomes: impl IntoIterator<Item = Outcome>) -> Measured {
    let mut measured = Measured::default();
    let mut spans = Vec::new();
    for outcome in outcomes {
        measured.devices += 1;
        match outcome {
            Outcome::Accepted { took } => spans.extend(took),
            Outcome::Failed => measured.failures += 1,
        }
    }
    measured.timed = spans.len() as u64;
    // Of an even number the lower of the two in the middle.
    let middle = spans.len().saturating_sub(1) / 2;
    if !spans.is_empty() {
        measured.median = Some(*spans.select_nth_unstable(middle).1);
    }
    measured
}
