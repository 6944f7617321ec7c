//! Deciding again what a gate has decided: by the inputs that were kept with the decision.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{GateInputs, RingState, Verdict};
use crate::event::Change;

/// A decision of a gate, decided again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// What the gate says of the same inputs today.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Whether that is what was done.
    pub is_same: bool,
}

/// Decides again what the change tells of; none if no gate decided it.
#[must_use]
pub fn replay(change: &Change) -> Option<Replayed> {
    let Change::RingState { state, reason, inputs: Some(inputs), .. } = change else { return None };
    let verdict = inputs.verdict();
    let does_so = match verdict {
        // A ring that rehearses goes back first.
        Verdict::Pass => matches!(state, RingState::Passed | RingState::Rehearsing),
        Verdict::Wait => false,
        Verdict::Fail { .. } => matches!(state, RingState::Failed | RingState::RollingBack),
    };
    let is_same = does_so && inputs.reason() == *reason;
    Some(Replayed { verdict, is_same })
}

impl GateInputs {
    /// The failure rate may still be as high as this, with the gate's confidence.
    pub fn bound(&self) -> f64 {
        self.trials().upper_bound(self.gate.confidence)
    }
}

impl fmt::Display for GateInputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tally, gate) = (self.own(), &self.gate);
        write!(f, "{} of {} accepted, {} failed", tally.successes, tally.devices, tally.failures)?;
        let details = [
            (tally.silent, "of them silent"),
            (tally.waived, "of them accepted by a person"),
            (tally.in_flight, "under way"),
            (tally.waiting, "waiting"),
            (tally.offline, "offline"),
            (tally.out, "left out"),
        ];
        for (count, what) in details.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        match gate.min_successes {
            Some(min) => write!(f, "; at least {min} must accept")?,
            None => f.write_str("; all that are online must answer")?,
        }
        match gate.max_failure_rate {
            Some(rate) => write!(
                f,
                ", and less than {rate} fail, {} sure (it is at most {:.2}%)",
                gate.confidence,
                self.trials().upper_bound(gate.confidence) * 100.0
            )?,
            None => write!(f, ", at most {} may fail", gate.max_failures)?,
        }
        match (&gate.canary, &self.look) {
            (Some(canary), Some(look)) => {
                write!(f, "; signals may be worse by {}: {look}", canary.tolerance)
            }
            (Some(_), None) => f.write_str("; signals were not compared yet"),
            (None, _) => Ok(()),
        }
    }
}
