//! What somebody may try, and how often: by identity, so that nobody gets round it by another
//! address, nor keeps others from logging in.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use gofleet_core::time::{Span, Timestamp};

/// Failures that cost nothing: people mistype.
const FREE: u32 = 5;
/// The longest wait, after which one more try is allowed.
const MAX_WAIT: Span = Span::from_secs(15 * 60);
/// After so long without a failure all is forgotten.
const FORGET_AFTER: Span = Span::from_secs(24 * 60 * 60);
/// Most identities that are remembered.
const MAX_REMEMBERED: usize = 10_000;

#[derive(Debug, Clone, Copy)]
struct Failed {
    times: u32,
    last: Timestamp,
}

impl Failed {
    /// When the next try may be made: a second after the sixth failure in a row, then twice as long
    /// each time.
    fn open_at(self) -> Timestamp {
        match self.times.checked_sub(FREE) {
            None | Some(0) => self.last,
            Some(beyond) => {
                let wait = Span::from_secs(1 << (beyond - 1).min(20));
                self.last + wait.min(MAX_WAIT)
            }
        }
    }
}

/// Who failed how often. Kept in memory: a restart forgives.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<HashMap<String, Failed>>);

impl Attempts {
    /// Whether this identity may try now; else when.
    pub fn check(&self, identity: &str, now: Timestamp) -> Result<(), Timestamp> {
        let failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match failed.get(identity).map(|failed| failed.open_at()) {
            Some(open_at) if open_at > now => Err(open_at),
            _ => Ok(()),
        }
    }

    /// It failed.
    pub fn failed(&self, identity: &str, now: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_REMEMBERED && !all.contains_key(identity) {
            all.retain(|_, failed| failed.last + FORGET_AFTER > now);
            // Whoever names ten thousand others does not make one forgotten that is being tried.
            if all.len() >= MAX_REMEMBERED
                && let Some(least) = all.iter().min_by_key(|(_, it)| (it.times, it.last))
            {
                let least = least.0.clone();
                all.remove(&least);
            }
        }
        let failed = all.entry(identity.to_owned()).or_insert(Failed { times: 0, last: now });
        if failed.last + FORGET_AFTER <= now {
            failed.times = 0;
        }
        *failed = Failed { times: failed.times.saturating_add(1), last: now };
    }

    /// It succeeded: what was before is forgotten.
    pub fn succeeded(&self, identity: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(identity);
    }
}

/// How often something may be written down for an identity.
const PER_MINUTE: u32 = 30;

/// Bounds what one identity can have written down: refusals cost the one who is refused nothing,
/// and the log must not be filled by them.
#[derive(Debug, Default)]
pub struct Budget(Mutex<HashMap<String, (Timestamp, u32)>>);

impl Budget {
    /// Whether one more may be written down.
    pub fn take(&self, identity: &str, now: Timestamp) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (since, _)| *since + Span::from_secs(60) > now);
        let (_, count) = all.entry(identity.to_owned()).or_insert((now, 0));
        *count += 1;
        *count <= PER_MINUTE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    #[test]
    fn who_fails_often_waits_longer_each_time() {
        let attempts = Attempts::default();
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..20 {
            let open_at = attempts.check("ann", at(now)).err().unwrap_or(at(now));
            waits.push((open_at.as_millis() / 1000) - now);
            now = open_at.as_millis() / 1000;
            attempts.failed("ann", at(now));
        }
        assert_eq!(waits[..10], [0, 0, 0, 0, 0, 0, 1, 2, 4, 8]);
        assert_eq!(*waits.last().unwrap(), 15 * 60);
        assert_eq!(attempts.check("bob", at(0)), Ok(()), "others do not wait");
        attempts.succeeded("ann");
        assert_eq!(attempts.check("ann", at(now)), Ok(()));
    }

    #[test]
    fn naming_many_does_not_make_one_forgotten() {
        let attempts = Attempts::default();
        for _ in 0..10 {
            attempts.failed("ann", at(0));
        }
        for n in 0..2 * MAX_REMEMBERED {
            attempts.failed(&format!("x{n}"), at(1));
        }
        assert!(attempts.check("ann", at(1)).is_err());
        assert!(attempts.0.lock().unwrap().len() <= MAX_REMEMBERED);
    }

    #[test]
    fn a_minute_has_its_budget() {
        let budget = Budget::default();
        let taken = |now| (0..100).filter(|_| budget.take("ann", at(now))).count();
        assert_eq!((taken(0), taken(59), taken(60)), (30, 0, 30));
    }
}
