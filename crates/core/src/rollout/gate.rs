//! When a ring counts as good, and when as failed.

use serde::{Deserialize, Serialize};

use super::{DeviceView, Gate, GateFailure, Hearing, RolloutState, RolloutView, Tally, WantKind};
use crate::canary::{Canary, Judgement, Look};
use crate::guard::{Guard, detects, permits};
use crate::order::Step;
use crate::statistics::Trials;
use crate::time::Timestamp;

/// What a gate says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The next ring may start.
    Pass,
    /// Answers are missing.
    Wait,
    /// The ring is no good.
    Fail {
        /// Why.
        failure: GateFailure,
    },
}

/// All that a gate decides by. It is kept with the decision, so that anybody can decide again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct GateInputs {
    /// What was asked for.
    pub gate: Gate,
    /// What was counted in each ring: the first one first, the gate's own last.
    pub tallies: Vec<Tally>,
    /// The latest look at the signals of its own ring, if the gate asks for a canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Look>,
}

impl RolloutView {
    /// The gate of a ring: its own, or the rollout's.
    pub(crate) fn gate(&self, ring: usize) -> &Gate {
        self.spec.rings[ring].gate.as_ref().unwrap_or(&self.spec.gate)
    }

    /// What the gate of a ring asks of the signals; nothing of the last one, and of none beyond.
    pub(crate) fn canary(&self, ring: usize) -> Option<&Canary> {
        let has_control = ring + 1 < self.rings.len();
        if has_control { self.gate(ring).canary.as_ref() } else { None }
    }
}

/// What the gate of a ring decides by, where this was counted in all rings.
pub(super) fn inputs(view: &RolloutView, ring: usize, tallies: &[Tally]) -> GateInputs {
    let mut gate = view.gate(ring).clone();
    gate.canary = gate.canary.filter(|_| view.canary(ring).is_some());
    let look = view.rings[ring].look.clone().filter(|_| gate.canary.is_some());
    GateInputs { gate, tallies: tallies[..=ring].to_vec(), look }
}

/// Whether the gate of a ring would pass if it asked for no canary.
pub(crate) fn passes_else(view: &RolloutView, ring: usize, now: Timestamp) -> bool {
    inputs(view, ring, &tallies(view, now)).of_answers() == Verdict::Pass
}

impl GateInputs {
    /// What the gate says.
    pub fn verdict(&self) -> Verdict {
        let of_answers = self.of_answers();
        let Some(canary) = &self.gate.canary else { return of_answers };
        let look = self.look.as_ref();
        let judged = look.map_or(Judgement::Unclear, |it| it.judge(canary));
        let is_final = look.is_some_and(|it| it.is_final);
        let is_accepted = look.is_some_and(|it| it.is_accepted);
        let is_shown = is_accepted || is_final && judged == Judgement::Fine;
        match (of_answers, look) {
            (Verdict::Fail { failure }, _) => Verdict::Fail { failure },
            (_, Some(look)) if !is_accepted && judged == Judgement::Worse => {
                Verdict::Fail { failure: look.failure(canary) }
            }
            (of_answers, _) if permits(Guard::CanaryShown, is_shown) => of_answers,
            (Verdict::Pass, Some(look)) if is_final => {
                Verdict::Fail { failure: look.failure(canary) }
            }
            (Verdict::Pass | Verdict::Wait, _) => Verdict::Wait,
        }
    }

    /// What the gate says by the answers of its devices alone.
    ///
    /// Devices that are held apart do not keep the gate shut, with one exception: a ring of which
    /// nobody was ever tried has shown nothing, so it waits.
    fn of_answers(&self) -> Verdict {
        let (gate, tally) = (&self.gate, self.own());
        let failures = tally.failures - tally.waived;
        let is_limited = gate.max_failure_rate.is_none() || gate.max_failures > 0;
        if detects(Guard::TooManyFailures, is_limited && failures > gate.max_failures) {
            let failure = GateFailure::TooManyFailures { failures, max: gate.max_failures };
            return Verdict::Fail { failure };
        }
        let shown = self.shown();
        if let Some(Shown::TooMany(failure)) = shown {
            return Verdict::Fail { failure };
        }
        let min = self.needed();
        let is_answered = permits(Guard::EveryAnswer, tally.waiting == 0 && tally.in_flight == 0);
        let is_enough = permits(Guard::EnoughSuccesses, tally.successes >= min);
        let is_shown = permits(
            Guard::RateShown,
            !matches!(shown, Some(Shown::NotYet { .. })) || tally.devices == 0,
        );
        let may_pass = is_enough && is_shown;
        match gate.min_successes {
            Some(_) if may_pass => Verdict::Pass,
            None if is_answered && may_pass => Verdict::Pass,
            Some(_) | None if !is_answered || tally.apart() > 0 => Verdict::Wait,
            Some(_) | None => Verdict::Fail {
                failure: match shown {
                    Some(Shown::NotYet { inconclusive, .. }) if is_enough => inconclusive,
                    Some(_) | None => {
                        GateFailure::TooFewSuccesses { successes: tally.successes, min }
                    }
                },
            },
        }
    }

    /// How the gate failed, in words; empty if it did not.
    pub fn reason(&self) -> String {
        match self.verdict() {
            Verdict::Fail { failure } => failure.to_string(),
            Verdict::Pass | Verdict::Wait => String::new(),
        }
    }

    /// What was counted in the gate's own ring.
    pub fn own(&self) -> Tally {
        self.tallies.last().copied().unwrap_or_default()
    }

    /// What is shown of the failure rate, if the gate asks for one.
    pub(super) fn shown(&self) -> Option<Shown> {
        let max = self.gate.max_failure_rate?;
        let trials = self.trials();
        let (failures, successes) = (trials.failures as u32, trials.successes as u32);
        let left: u32 = self.tallies.iter().map(|it| it.waiting + it.in_flight + it.apart()).sum();
        let waived: u32 = self.tallies.iter().map(|it| it.waived).sum();
        if failures == 0 && waived > 0 && left == 0 {
            // What a person has accepted needs no further proof.
            return Some(Shown::Few);
        }
        let (of, confidence) = (failures + successes, self.gate.confidence);
        if trials.show_above(max, confidence) {
            return Some(Shown::TooMany(GateFailure::FailureRate { failures, of, max }));
        }
        let more = trials.more_successes(max, confidence).unwrap_or(u64::MAX);
        if more == 0 {
            return Some(Shown::Few);
        }
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let bound = trials.upper_bound(confidence);
        let inconclusive = GateFailure::Inconclusive { failures, of, max, more };
        if more > left && failures > 0 {
            // Nobody else needs to get the release for a proof that can't come any more.
            return Some(Shown::TooMany(inconclusive));
        }
        Some(Shown::NotYet { bound, inconclusive })
    }

    /// How it went in the gate's ring and all before it. Failures that a person has accepted are
    /// not counted, nor are those devices.
    pub(super) fn trials(&self) -> Trials {
        self.tallies.iter().fold(Trials::default(), |trials, tally| Trials {
            failures: trials.failures + u64::from(tally.failures - tally.waived),
            successes: trials.successes + u64::from(tally.successes),
        })
    }

    /// How many devices must accept. What a person has waived, or what was taken out, cannot accept
    /// any more; of all others at least one must, for a gate never passes without evidence.
    pub(super) fn needed(&self) -> u32 {
        let tally = self.own();
        let can_accept = tally.devices - tally.out - tally.waived;
        self.gate.min_successes.unwrap_or(1).min(can_accept)
    }
}

impl Look {
    /// How the gate fails by it.
    fn failure(&self, canary: &Canary) -> GateFailure {
        let judged = self.judge(canary);
        let tolerance = canary.tolerance;
        match self.first(canary, judged).cloned() {
            Some(comparison) if judged == Judgement::Worse => {
                GateFailure::Worse { comparison, tolerance }
            }
            comparison => GateFailure::Unclear { comparison, tolerance },
        }
    }
}

/// What the devices of a ring and all before it show of the failure rate.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shown {
    /// Few enough fail.
    Few,
    /// Too many fail, or too many for those that are left to show otherwise.
    TooMany(GateFailure),
    /// Neither is shown yet.
    NotYet {
        /// The failure rate may still be as high as this.
        bound: f64,
        /// What it is if nobody is left to answer.
        inconclusive: GateFailure,
    },
}

/// Counts the devices of every ring at `now`.
pub(super) fn tallies(view: &RolloutView, now: Timestamp) -> Vec<Tally> {
    (0..view.rings.len()).map(|ring| tally(view, ring, now)).collect()
}

/// Counts the devices of a ring by what the gate makes of them at `now`.
pub fn tally(view: &RolloutView, ring: usize, now: Timestamp) -> Tally {
    let mut tally = Tally::default();
    for device in view.devices.of_ring(ring as u32) {
        tally.devices += 1;
        match standing(view, device, now) {
            Standing::Waiting => tally.waiting += 1,
            Standing::Offline => tally.offline += 1,
            Standing::Held => tally.held += 1,
            Standing::InFlight => {
                tally.in_flight += 1;
                tally.awaiting_user += u32::from(device.awaits_user());
            }
            Standing::Success => tally.successes += 1,
            Standing::Out => tally.out += 1,
            Standing::Failure => {
                tally.failures += 1;
                tally.waived += u32::from(device.is_waived);
                tally.silent += u32::from(device.is_silent);
            }
        }
    }
    tally
}

/// What a gate makes of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Waiting,
    Offline,
    Held,
    InFlight,
    Success,
    Failure,
    Out,
}

pub(super) fn standing(view: &RolloutView, device: &DeviceView, now: Timestamp) -> Standing {
    if device.superseded_by.is_some() {
        return Standing::Out;
    }
    let waits = || match view.hearing(device, now) {
        _ if !device.is_let_in() || device.lacks_packages() => Standing::Held,
        Hearing::Offline => Standing::Offline,
        Hearing::Heard | Hearing::Unheard => Standing::Waiting,
    };
    let Some(order) = device.order else {
        let is_out = matches!(device.step, Step::Skipped | Step::Quarantined);
        return if is_out { Standing::Out } else { waits() };
    };
    let (failed, under_way) = match order.want {
        WantKind::Activate | WantKind::Offer => (Standing::Failure, Standing::Failure),
        WantKind::Revert | WantKind::Hold => (Standing::Out, Standing::InFlight),
    };
    if device.is_silent && device.is_in_flight() {
        return failed;
    }
    if view.asks_in_vain(device, now) {
        return Standing::Offline;
    }
    if device.tries_again(&view.spec.retry) {
        return Standing::InFlight;
    }
    if device.is_at_fault() {
        return Standing::Out;
    }
    match device.step {
        // The device soaks by its own clock; by ours the time must have passed as well.
        Step::Accepted
            if detects(Guard::SoakByOurClock, now.since(order.ordered_at) < view.spec.soak) =>
        {
            Standing::InFlight
        }
        Step::Accepted => Standing::Success,
        Step::Failed | Step::Reverting => under_way,
        Step::Reverted | Step::Quarantined => failed,
        // What was taken back is tried again when a person resumes.
        Step::Skipped if matches!(view.state, RolloutState::Running | RolloutState::Paused) => {
            waits()
        }
        Step::Skipped | Step::Waiting => Standing::Out,
        Step::Offered
        | Step::Fetching
        | Step::Staged
        | Step::Activating
        | Step::Verifying
        | Step::Soaking => Standing::InFlight,
    }
}
