//! The guards that keep a fleet whole, each by name.
//!
//! A guard is a condition whose loss nobody would notice on a good day. Each is written as
//! `permits` or `detects`, which are the condition itself: in production they cost nothing and
//! can't be switched off. Under the feature `mutations`, which only the simulator turns on,
//! `without` takes one guard away, to show that the checks notice.
//!
//! A type parameter would do the same without a feature, but would stand in the signature of every
//! function between the engine's entrance and the guard; a feature stands here alone.

macro_rules! guards {
    ($($(#[doc = $words:literal])+ $name:ident,)+) => {
        /// A guard, by name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Guard {
            $($(#[doc = $words])+ $name,)+
        }

        impl Guard {
            /// Every guard.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// What it keeps, in words.
            pub const fn words(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($words),+).trim_ascii(),)+
                }
            }
        }
    };
}

guards! {
    /// A device refuses an order for another device.
    OtherDevice,
    /// A device refuses an order of an older epoch.
    OlderEpoch,
    /// A device refuses an order of an older generation.
    OlderGeneration,
    /// A device refuses another order under a generation that it has seen.
    ChangedOrder,
    /// A device notices that somebody has made another release active.
    ChangedByHand,
    /// A device remembers what worked before an unproven release, over several orders.
    FirstEarlierStays,
    /// A device proves, before it rests under a hold, what an unfinished order left active.
    DoubtUnderHold,
    /// A device activates only while its window is open.
    Window,
    /// A report that comes late or twice counts for nothing.
    RepeatedReport,
    /// A report about another order of the same generation counts for nothing.
    ForeignReport,
    /// A device that says `accepted` must show it.
    Evidence,
    /// Generations grow over a restore too.
    GenerationsGrow,
    /// Nobody comes late into a rollout that takes in nobody late.
    LateByRule,
    /// A ring that has started takes in nobody late, unless its rollout says so.
    StartedRingFixed,
    /// A device that is held by a moving rollout is not planned into another.
    BusyElsewhere,
    /// A device with a newer version stays, unless downgrades are allowed.
    NewerStays,
    /// No more orders are given than there are free places.
    FreePlaces,
    /// No more devices are in flight or broken than may be, over all rollouts.
    BlastRadius,
    /// A silent device keeps its place.
    SilenceKeepsPlace,
    /// Only devices of open rings are ordered.
    OpenRingsOnly,
    /// Only devices that were heard lately are ordered.
    HeardLately,
    /// Nobody who is held or in quarantine is ordered anything new.
    KeptOut,
    /// Nobody is ordered a release that asks for packages which the device does not have.
    Requirements,
    /// A device is at fault itself only where most others do well.
    OthersDoWell,
    /// Only a device that waits is ordered.
    OnlyWaiting,
    /// A device tries again only as often as allowed.
    RetriesBounded,
    /// A device whom another rollout has ordered since is left alone.
    Superseded,
    /// A ring that rehearses goes back before it passes.
    Rehearsed,
    /// A device that cannot go back fails its ring's rehearsal.
    GoingBackWorks,
    /// Failures are looked at before anything new is ordered.
    FailuresFirst,
    /// More failures than allowed fail the gate.
    TooManyFailures,
    /// A gate waits until enough have succeeded.
    EnoughSuccesses,
    /// A gate with a failure rate waits until it is shown to be low enough.
    RateShown,
    /// A gate with a canary waits until its signals are shown to be no worse.
    CanaryShown,
    /// A gate without a number of successes waits for every answer.
    EveryAnswer,
    /// A device counts only after the soak time has passed by the server's clock too.
    SoakByOurClock,
    /// Silence after an order becomes a failure.
    SilenceFails,
    /// A release without approval is ordered no more.
    Approval,
    /// In an emergency nobody is ordered anything new.
    Emergency,
    /// In an emergency, and of a release without approval, what has not switched is taken back.
    TakenBack,
    /// A stop takes back what has not switched.
    StopHolds,
    /// What an earlier release put back by itself stays as it is.
    PutBackStays,
    /// A person's stop ends the rollout's running.
    StopStops,
    /// Nothing published is activated before its user has accepted or the deadline is over.
    UserDecides,
    /// A user postpones only as often as allowed.
    PostponesBounded,
    /// A user postpones nothing beyond its deadline.
    PostponedWithinDeadline,
    /// Whom a person has assigned is asked no more.
    AssignedAsksNoMore,
    /// Who fires a rule over its signals is put into quarantine.
    AnomalyConfines,
    /// No more of a class are in quarantine for anomalies at once than may be.
    AnomalyShare,
    /// Who is let in by itself was well for the whole span.
    WellBeforeLetIn,
    /// A resume lets only those try again that were put back or taken back by order.
    RequeueOnlyPutBack,
}

/// A condition that something may happen; taken away, it always may.
#[cfg(not(feature = "mutations"))]
pub(crate) const fn permits(_: Guard, condition: bool) -> bool {
    condition
}

/// A condition that something is wrong; taken away, it never is.
#[cfg(not(feature = "mutations"))]
pub(crate) const fn detects(_: Guard, condition: bool) -> bool {
    condition
}

#[cfg(feature = "mutations")]
mod taken_away {
    use std::cell::Cell;

    use super::Guard;

    thread_local! {
        static TAKEN_AWAY: Cell<Option<Guard>> = const { Cell::new(None) };
    }

    pub(crate) fn permits(guard: Guard, condition: bool) -> bool {
        condition || TAKEN_AWAY.get() == Some(guard)
    }

    pub(crate) fn detects(guard: Guard, condition: bool) -> bool {
        condition && TAKEN_AWAY.get() != Some(guard)
    }

    /// Does something without a guard, on this thread.
    pub fn without<T>(guard: Guard, action: impl FnOnce() -> T) -> T {
        let before = TAKEN_AWAY.replace(Some(guard));
        let done = action();
        TAKEN_AWAY.set(before);
        done
    }
}

#[cfg(feature = "mutations")]
pub use taken_away::without;
#[cfg(feature = "mutations")]
pub(crate) use taken_away::{detects, permits};
