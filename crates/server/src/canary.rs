//! Canary against control: what devices measured, for the gates that ask for it.
//!
//! It lives in memory. A restart forgets it, and gates wait until it was measured again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use gofleet_core::canary::Ledger;
use gofleet_core::rollout::{Action, RolloutView};
use gofleet_core::time::Timestamp;

/// What the devices of rollouts measured.
#[derive(Debug, Default)]
pub struct Canaries(Mutex<Ledger>);

impl Canaries {
    /// The ledger, for as long as the answer is held; nobody waits while holding it.
    pub fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows a rollout, and gives the look at its signals that is due.
    pub fn look(&self, view: &RolloutView, now: Timestamp) -> Option<Action> {
        let mut ledger = self.lock();
        ledger.follow(view, now);
        let (ring, look) = (view.current_ring(), ledger.look(view, now)?);
        Some(Action::Look { ring, look })
    }
}
