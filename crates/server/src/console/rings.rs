//! Rings as a picture: a band for each ring, a cell for each device, the gate beside it.

use gofleet_core::order::Step;
use gofleet_core::rollout::{
    DeviceStatus, Gate, RingState, RingStatus, RolloutState, RolloutStatus,
};
use gofleet_core::time::Timestamp;

use super::format;
use super::pieces::{Badge, quoted};
use super::rollouts::ring_rule;

/// Up to so many devices, a cell has room for the host name.
const NAMED_MAX: usize = 32;
/// Up to so many, it is large enough to be hit by a finger.
const SQUARE_MAX: usize = 320;
/// More are not drawn: the picture would weigh more than it tells. 3,000 cells are about 700 kB
/// of text before compression.
const DRAWN_MAX: usize = 3_000;

/// A ring, as the page draws it.
pub(super) struct Ring {
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) rule: String,
    /// Class of the whole ring.
    pub(super) state: &'static str,
    /// Class of its mark on the course.
    pub(super) mark: &'static str,
    pub(super) shows_number: bool,
    pub(super) progress: String,
    pub(super) density: &'static str,
    pub(super) is_named: bool,
    pub(super) cells: Vec<Cell>,
    /// What is not drawn, in words.
    pub(super) hidden: String,
    pub(super) gate: GateView,
}

/// A device in a ring.
pub(super) struct Cell {
    pub(super) device: String,
    pub(super) hostname: String,
    /// Class: its step, or `offline`.
    pub(super) tone: &'static str,
    /// Under the host name.
    pub(super) word: String,
    /// All there is to say: tooltip and accessible name.
    pub(super) tip: String,
}

/// A gate's numbers and reasons.
pub(super) struct GateView {
    pub(super) verdict: Badge,
    pub(super) meters: Vec<Meter>,
    pub(super) reasons: Vec<String>,
}

/// One number of a gate.
pub(super) struct Meter {
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) tone: &'static str,
}

impl Ring {
    /// Every ring of a rollout, first to last.
    pub(super) fn all(status: &RolloutStatus, now: Timestamp) -> Vec<Self> {
        let specs = status.spec.rings.iter();
        let rings = status.rings_detail.iter().zip(specs).enumerate();
        rings
            .map(|(at, (ring, spec))| {
                let gate = spec.gate.as_ref().unwrap_or(&status.spec.gate);
                Self::new(at + 1, ring, &ring_rule(spec), gate, status.summary.state, now)
            })
            .collect()
    }

    fn new(
        number: usize,
        ring: &RingStatus,
        rule: &str,
        gate: &Gate,
        rollout: RolloutState,
        now: Timestamp,
    ) -> Self {
        let (density, is_named) = match ring.devices.len() {
            count if count <= NAMED_MAX => ("named", true),
            count if count <= SQUARE_MAX => ("square", false),
            _ => ("dense", false),
        };
        let (drawn, hidden) = drawn(&ring.devices);
        let mark = mark(ring.state, rollout);
        Self {
            number,
            name: ring.name.clone(),
            rule: rule.to_owned(),
            state: if ring.state == RingState::Passed { "passed" } else { mark },
            mark,
            shows_number: matches!(mark, "waiting" | "running"),
            progress: progress(ring, now),
            density,
            is_named,
            cells: drawn.into_iter().map(|device| Cell::new(device, now)).collect(),
            hidden,
            gate: GateView::new(ring, gate, rollout),
        }
    }
}

/// A ring that is not through stands as the rollout stands.
fn mark(ring: RingState, rollout: RolloutState) -> &'static str {
    match ring {
        RingState::Passed => "passed",
        RingState::Failed => "failed",
        RingState::RollingBack | RingState::RolledBack => "reverted",
        RingState::Waiting => "waiting",
        RingState::Running | RingState::Rehearsing | RingState::Repeating => match rollout {
            RolloutState::Running => "running",
            RolloutState::Paused => "paused",
            RolloutState::Stopping | RolloutState::Stopped => "stopped",
            RolloutState::RollingBack | RolloutState::RolledBack => "reverted",
            RolloutState::Completed => "passed",
        },
    }
}

fn progress(ring: &RingStatus, now: Timestamp) -> String {
    let accepted =
        ring.devices.iter().filter(|device| device.step == Step::Accepted).count() as u64;
    let of = format!(
        "{} of {} accepted",
        format::count(accepted),
        format::count(ring.devices.len() as u64)
    );
    match (ring.started_at, ring.ended_at) {
        (Some(start), Some(end)) => format!("{of} · {}", format::spell(end.since(start))),
        (Some(start), None) => format!("{of} · {}", format::spell(now.since(start))),
        (None, _) => of,
    }
}

/// The devices that are drawn, and words for the others. Those that need a look are drawn first.
fn drawn(devices: &[DeviceStatus]) -> (Vec<&DeviceStatus>, String) {
    let mut all: Vec<&DeviceStatus> = devices.iter().collect();
    if all.len() <= DRAWN_MAX {
        return (all, String::new());
    }
    all.sort_by_key(|device| match device.step {
        Step::Failed | Step::Quarantined | Step::Reverting | Step::Reverted => 0,
        step if step.is_in_flight() => 1,
        Step::Waiting | Step::Skipped => 3,
        _ => 2,
    });
    let rest = all.split_off(DRAWN_MAX);
    let words = Step::ALL.iter().filter_map(|step| {
        let count = rest.iter().filter(|device| device.step == *step).count() as u64;
        (count > 0).then(|| format!("{} {step}", format::count(count)))
    });
    let words: Vec<String> = words.collect();
    (all, format!("Not drawn: {}.", words.join(", ")))
}

impl Cell {
    fn new(device: &DeviceStatus, now: Timestamp) -> Self {
        let is_offline = device.step == Step::Waiting && !device.online;
        let state = if is_offline { "offline" } else { device.step.as_str() };
        let mut word = state.to_owned();
        if let (Step::Accepted | Step::Reverted, Some(active)) = (device.step, &device.active) {
            word = format!("{state} · {active}");
        }
        Self {
            device: device.device.to_string(),
            hostname: device.hostname.clone(),
            tone: state,
            word,
            tip: tip(device, state, now),
        }
    }
}

fn tip(device: &DeviceStatus, state: &str, now: Timestamp) -> String {
    let age = format::spell(now.since(device.since));
    let mut tip = format!("{}: {state} for {age}", device.hostname);
    if device.step == Step::Accepted {
        tip = format!("{}: {state} {age} ago", device.hostname);
    }
    if let Some(active) = &device.active {
        tip.push_str(&format!(", {active} active"));
    }
    if !device.online {
        tip.push_str(", not heard of late");
    }
    if let Some(reason) = &device.reason {
        tip.push_str(&format!("\n{}", quoted(&reason.text)));
    }
    if let Some(failure) = &device.failure {
        tip.push_str(&format!("\n{} failed: {}", failure.step, failure.message));
    }
    tip
}

impl GateView {
    fn new(ring: &RingStatus, gate: &Gate, rollout: RolloutState) -> Self {
        Self {
            verdict: verdict(ring.state, rollout),
            meters: meters(ring, gate),
            reasons: ring.reasons.iter().map(|reason| quoted(&reason.text)).collect(),
        }
    }
}

fn verdict(ring: RingState, rollout: RolloutState) -> Badge {
    match ring {
        RingState::Waiting if rollout.is_final() => Badge::new("", "g-stopped", "never opened"),
        RingState::Waiting => Badge::new("", "s-waiting", "not its turn"),
        RingState::Running | RingState::Rehearsing | RingState::Repeating if rollout.is_final() => {
            Badge::new("", "g-stopped", "left open")
        }
        RingState::Running => Badge::new("info", "s-soaking", "waits"),
        RingState::Rehearsing => Badge::new("info", "s-reverting", "rehearses going back"),
        RingState::Repeating => Badge::new("info", "s-soaking", "upgrades again"),
        RingState::Passed => Badge::new("good", "s-accepted", "passed"),
        RingState::Failed => Badge::new("bad", "s-failed", "failed"),
        RingState::RollingBack => Badge::new("warn", "s-reverting", "going back"),
        RingState::RolledBack => Badge::new("warn", "s-reverted", "put back"),
    }
}

fn count(number: u32) -> String {
    format::count(number.into())
}

fn meters(ring: &RingStatus, gate: &Gate) -> Vec<Meter> {
    let tally = ring.tally;
    let expected = tally.devices.saturating_sub(tally.apart()).saturating_sub(tally.out);
    let (accepted, needed) = match gate.min_successes {
        Some(least) => (format!("{} of {} needed", count(tally.successes), count(least)), least),
        None => (format!("{} of {}", count(tally.successes), count(expected)), expected),
    };
    let failures = tally.failures.saturating_sub(tally.waived);
    let mut meters = vec![
        Meter {
            label: "accepted",
            value: accepted,
            tone: if tally.successes > 0 && tally.successes >= needed { "met" } else { "unmet" },
        },
        Meter {
            label: "failed",
            value: format!("{} of {} allowed", count(failures), count(gate.max_failures)),
            tone: if failures > gate.max_failures { "broken" } else { "unmet" },
        },
    ];
    let others = [
        ("in flight", tally.in_flight.saturating_sub(tally.awaiting_user)),
        ("waiting for their user", tally.awaiting_user),
        ("silent", tally.silent),
        ("waived", tally.waived),
        ("offline, held apart", tally.offline),
        ("held or in quarantine", tally.held),
        ("put back, left out or at fault", tally.out),
    ];
    let other =
        |(label, value): (&'static str, u32)| Meter { label, value: count(value), tone: "" };
    meters.extend(others.into_iter().filter(|(_, value)| *value > 0).map(other));
    meters
}
