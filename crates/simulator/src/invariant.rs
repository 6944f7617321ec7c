//! What must hold at every moment, by number and words: the list that a rollout engine has to
//! answer for, and which of it can be checked here.
//!
//! Numbers 1 to 26 are the project's list; from 27 on stands what the engine promises besides.

use std::fmt;

/// Something that must always hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Invariant {
    /// Its number.
    pub number: u8,
    /// What must hold.
    pub words: &'static str,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invariant {} ({})", self.number, self.words)
    }
}

/// That an invariant did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// When, in ms since the story began.
    pub at_ms: u64,
    /// What was seen.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invariant, seen, .. } = self;
        write!(f, "{invariant} does not hold: {seen}")
    }
}

macro_rules! invariants {
    ($($name:ident = $number:literal, $words:literal;)+) => {
        $(
            #[doc = $words]
            pub const $name: Invariant = Invariant { number: $number, words: $words };
        )+
        /// Every invariant that is checked.
        pub const CHECKED: &[Invariant] = &[$($name),+];
    };
}

invariants! {
    PLACES = 1, "no more devices are in flight than allowed, silent ones counted";
    BLAST_RADIUS = 2, "no more devices are in flight or broken than allowed, over all rollouts";
    ONE_ORDER = 3, "a device has at most one active order";
    APPROVAL = 4, "no device is ordered a release outside its approval";
    RINGS = 6, "a ring starts only after every earlier one met success count and soak time";
    EVIDENCE = 7, "missing reports never count as success";
    FAILURES = 8, "failures over the threshold pause before any further start";
    STOP = 9, "after a stop commits, nothing new starts";
    STOP_BOUND = 10, "devices in flight at a stop finish or go back within a bound";
    EARLIER = 11, "the earlier version stays what a device goes back to until acceptance";
    ONE_ACTIVE = 12, "what is active is one whole, verified tree at any crash point";
    NO_NETWORK = 14, "going back needs no network";
    COUNTERS = 15, "epochs and order counters never decrease, also after a restore";
    OLD_EPOCH = 16, "orders with an old epoch change nothing";
    REDELIVERY = 17, "delivering a message again changes nothing";
    WINDOWS = 20, "nothing is activated outside the maintenance window";
    MEMBERSHIP = 21, "ring membership is fixed at the start; who is left out is never started";
    ATTEMPTS = 22, "attempts are bounded";
    LIVENESS = 26, "with faults ended, every device and rollout reaches a final state";
    IDEMPOTENT = 27, "a second look finds nothing to do";
    REASONS = 28, "every device that has not moved has a typed reason";
    HEARD = 29, "nobody is ordered who was not heard of lately";
    PUT_BACK = 30, "what an earlier release put back by itself stays as it is";
    STEPS = 31, "the agent's order of steps is never broken";
    CONFIDENCE = 33, "a ring passes only if few enough failures are shown with confidence";
    EMERGENCY = 34, "in an emergency nothing new starts, and what has not switched is taken back";
    KEPT_OUT = 35, "who is held or in quarantine starts nothing new, and is taken back";
    BLAME = 36, "a device is blamed only where more of the others do well than fail alike";
    USER = 37, "nothing published is activated before its user accepts, a person assigns it, or \
                the deadline is over";
    POSTPONED = 38, "users postpone only as often as allowed, and not beyond the deadline";
    SIGNALS = 39, "a ring with a canary passes only if its devices are shown to be no worse";
    REHEARSED = 40, "a ring that rehearses passes only after its devices went back";
    ASSIGNED = 41, "whom a person has assigned is asked no more";
    ANOMALY_FOUND = 42, "who was anomalous for a rule's span is in quarantine, unless too many are";
    ANOMALY_SHARE = 43, "no more than the policy's share are in quarantine for anomalies at once";
    WELL = 44, "who is let in by itself came for an anomaly, and was well for the whole span";
    PACKAGES = 45, "nobody is ordered a release whose packages the device is not known to have";
    PICTURE = 32, "with faults ended, the server knows what is active where";
}

/// What is on the list and can't be checked on the engine as it is, with the reason.
pub const NOT_CHECKED: &[(u8, &str)] = &[
    (5, "approvals have one author: four eyes are not part of the engine"),
    (13, "cleanup is the depot's; its tests kill it at every step"),
    (18, "events are written by storage; its tests look at both in one transaction"),
    (19, "bytes are the depot's: verified there against the manifest"),
    (23, "identities are the server's; the engine sees no revoked one"),
    (24, "rights of a rollout's creator are not looked at while it moves"),
    (25, "the agent does not upgrade itself"),
];
