//! How a rollout went, as curves and as a timeline: the arrival of devices against what was
//! forecast, the bound of the failure rate against what the gate allows, and how the rings stood
//! after each decision.

use gofleet_core::event::{Change, Event};
use gofleet_core::order::Step;
use gofleet_core::rollout::forecast::{Arrival, Forecast};
use gofleet_core::rollout::{DeviceStatus, Gate, RingState, RolloutStatus};
use gofleet_core::statistics::{Share, Trials};
use gofleet_core::time::{Span, Timestamp};

use super::chart::{Chart, Curve, Scale, spans, sparse, values};
use super::events::{EventLine, Names};
use super::format::{self, Moment};

/// Decisions that can be looked at; the latest count.
const MOMENTS: usize = 200;
/// Points of a curve: more can't be told apart.
const POINTS: usize = 240;

/// How a rollout went.
#[derive(Default)]
pub(super) struct Course {
    pub(super) charts: Vec<Chart>,
    /// The decisions, oldest first.
    pub(super) moments: Vec<Look>,
}

/// How the rings stood after a decision.
pub(super) struct Look {
    pub(super) number: usize,
    pub(super) at: Moment,
    /// How long after the start.
    pub(super) after: String,
    /// Where that is in the charts, in thousandths of their width.
    pub(super) x: String,
    pub(super) text: String,
    pub(super) rings: Vec<RingThen>,
}

/// A ring at that time.
pub(super) struct RingThen {
    pub(super) name: String,
    pub(super) mark: &'static str,
    pub(super) word: String,
    pub(super) accepted: String,
    pub(super) total: String,
    /// How many had failed; empty if none.
    pub(super) failed: String,
}

/// How a device ended, and when.
#[derive(Debug, Clone, Copy)]
struct Ended {
    at: Timestamp,
    has_failed: bool,
}

impl Course {
    /// From the decisions of a rollout, its devices as they stand, and what was forecast of it.
    pub(super) fn new(
        status: &RolloutStatus,
        decisions: &[Event],
        forecast: Option<&Forecast>,
        now: Timestamp,
    ) -> Self {
        let started = status.summary.started_at;
        let until = if status.summary.state.is_final() { status.summary.changed_at } else { now };
        let forecast = forecast.filter(|it| it.arrival.iter().any(|point| point.high > 0));
        let planned = forecast.and_then(|it| it.arrival.last()).map_or(Span::ZERO, |it| it.after);
        let end = until.since(started).max(planned).max(Span::from_secs(1));
        let ended = ended(status);
        let charts = [
            Some(arrival(status, &ended, forecast, (until, end))),
            bound(status, &ended, decisions, (until, end)),
        ];
        Self {
            charts: charts.into_iter().flatten().collect(),
            moments: moments(status, decisions, end, now),
        }
    }
}

/// Every device that has an end, in the order of time.
fn ended(status: &RolloutStatus) -> Vec<Ended> {
    let devices = status.rings_detail.iter().flat_map(|ring| &ring.devices);
    let mut ended: Vec<Ended> = devices.filter_map(end_of).collect();
    ended.sort_by_key(|it| it.at);
    ended
}

fn end_of(device: &DeviceStatus) -> Option<Ended> {
    let has_failed = match device.step {
        Step::Accepted => false,
        // Who was put back by order has not failed.
        Step::Failed | Step::Reverting | Step::Reverted | Step::Quarantined
            if device.failure.is_some() =>
        {
            true
        }
        _ => return None,
    };
    Some(Ended { at: device.since, has_failed })
}

fn secs(span: Span) -> f64 {
    span.as_secs_f64()
}

/// The planned and the real arrival of devices.
fn arrival(
    status: &RolloutStatus,
    ended: &[Ended],
    forecast: Option<&Forecast>,
    (until, end): (Timestamp, Span),
) -> Chart {
    let started = status.summary.started_at;
    let total: usize = status.rings_detail.iter().map(|ring| ring.devices.len()).sum();
    let scale = Scale::new(secs(end), total as f64);
    let mut real = vec![(0.0, 0.0)];
    for accepted in ended.iter().filter(|it| !it.has_failed) {
        real.push((secs(accepted.at.since(started)), real.len() as f64));
    }
    let arrived = real.len() - 1;
    real.push((secs(until.since(started)), arrived as f64));
    let planned = |pick: fn(&Arrival) -> u32| -> Vec<(f64, f64)> {
        let points = forecast.iter().flat_map(|it| &it.arrival);
        points.map(|point| (secs(point.after), f64::from(pick(point)))).collect()
    };
    let median = planned(|it| it.median);
    let mut curves = Vec::new();
    if forecast.is_some() {
        let path = scale.band(&planned(|it| it.low), &planned(|it| it.high));
        curves.push(Curve {
            class: "c-band",
            label: "90% of the forecast's runs".to_owned(),
            path,
        });
        let path = scale.line(&median);
        curves.push(Curve { class: "c-planned", label: "forecast, median".to_owned(), path });
    }
    let path = scale.steps(&thinned(&real));
    curves.push(Curve { class: "c-real", label: "accepted".to_owned(), path });
    Chart {
        id: "arrival",
        title: "Arrival of devices",
        description: arrival_in_words(arrived, total, forecast, until.since(started)),
        curves,
        x: spans(end),
        y: values(scale.top(), |value| format::count(value.round() as u64)),
        heading: vec!["After", "Forecast", "Accepted"],
        rows: arrival_rows(&real, &median, end, until.since(started)),
        has_cursor: true,
    }
}

fn arrival_in_words(
    arrived: usize,
    total: usize,
    forecast: Option<&Forecast>,
    elapsed: Span,
) -> String {
    let (arrived, total) = (format::count(arrived as u64), format::count(total as u64));
    let so_far = format!("{arrived} of {total} have accepted after {}.", format::spell(elapsed));
    let Some(forecast) = forecast else {
        return format!("{so_far} No forecast was kept when the rollout was started.");
    };
    let point = forecast.arrival.iter().rev().find(|point| point.after <= elapsed);
    let expected = point.or(forecast.arrival.last()).map_or(0, |point| point.median);
    let expected = format::count(expected.into());
    format!("{so_far} The forecast made at the start expects {expected} by then.")
}

fn arrival_rows(
    real: &[(f64, f64)],
    median: &[(f64, f64)],
    end: Span,
    elapsed: Span,
) -> Vec<Vec<String>> {
    let at = |curve: &[(f64, f64)], second: f64| {
        let known = curve.iter().rev().find(|(x, _)| *x <= second);
        known.map(|(_, y)| format::count(*y as u64)).unwrap_or_default()
    };
    let row = |part: u64| {
        let after = Span::from_millis(end.as_millis() * part / 12);
        let is_past = after <= elapsed;
        let accepted = if is_past { at(real, secs(after)) } else { String::new() };
        vec![format::spell(after), at(median, secs(after)), accepted]
    };
    (0..=12).map(row).collect()
}

/// The strictest rate that a gate of the rollout asks for, and how sure it must be.
fn policy(status: &RolloutStatus) -> Option<(Share, Share)> {
    let own = status.spec.rings.iter().filter_map(|ring| ring.gate.as_ref());
    let gates = own.chain([&status.spec.gate]);
    let rated = gates.filter_map(|gate: &Gate| Some((gate.max_failure_rate?, gate.confidence)));
    rated.min()
}

/// How the bound of the failure rate came down to what the gate allows; nothing before there is an
/// answer.
fn bound(
    status: &RolloutStatus,
    ended: &[Ended],
    decisions: &[Event],
    (until, end): (Timestamp, Span),
) -> Option<Chart> {
    if ended.is_empty() {
        return None;
    }
    let started = status.summary.started_at;
    let policy = policy(status);
    let confidence = policy.map_or(Share::P95, |(_, confidence)| confidence);
    let mut curve = bounds(ended, started, confidence);
    let last = curve.last().map_or(1.0, |(_, bound)| *bound);
    let decided: Vec<(f64, f64)> = decisions
        .iter()
        .filter_map(|event| match &event.what {
            Change::RingState { inputs: Some(inputs), .. } => {
                Some((secs(event.at.since(started)), inputs.bound()))
            }
            _ => None,
        })
        .collect();
    curve.push((secs(until.since(started)), last));
    let scale = Scale::new(secs(end), 1.0);
    let failures = ended.iter().filter(|it| it.has_failed).count();
    let mut curves = Vec::new();
    if let Some((rate, _)) = policy {
        let line = [(0.0, rate.as_f64()), (secs(end), rate.as_f64())];
        let (path, label) = (scale.line(&line), format!("allowed: less than {rate}"));
        curves.push(Curve { class: "c-policy", label, path });
    }
    let label = format!("it may still be so high, {confidence} sure");
    curves.push(Curve { class: "c-bound", label, path: scale.steps(&curve) });
    if !decided.is_empty() {
        let (path, label) = (scale.marks(&decided), "decisions of gates".to_owned());
        curves.push(Curve { class: "c-marks", label, path });
    }
    let row = |(after, bound): &(f64, f64)| {
        let after = Span::from_millis((after * 1000.0) as u64);
        vec![format::spell(after), percent(*bound)]
    };
    let rows: Vec<_> = curve.iter().map(row).collect();
    Some(Chart {
        id: "bound",
        title: "How many may fail",
        description: bound_in_words(ended.len(), failures, last, policy),
        curves,
        x: spans(end),
        y: values(scale.top(), percent),
        heading: vec!["After", "Failure rate at most"],
        rows: sparse(&rows),
        has_cursor: true,
    })
}

/// The bound after each answer, or after as many of them as can be told apart.
fn bounds(ended: &[Ended], started: Timestamp, confidence: Share) -> Vec<(f64, f64)> {
    let step = ended.len().div_ceil(POINTS).max(1);
    let mut trials = Trials::default();
    let mut curve = vec![(0.0, 1.0)];
    for (number, it) in ended.iter().enumerate() {
        trials.failures += u64::from(it.has_failed);
        trials.successes += u64::from(!it.has_failed);
        if it.has_failed || number % step == 0 || number + 1 == ended.len() {
            curve.push((secs(it.at.since(started)), trials.upper_bound(confidence)));
        }
    }
    curve
}

fn bound_in_words(
    answers: usize,
    failures: usize,
    bound: f64,
    policy: Option<(Share, Share)>,
) -> String {
    let failed = format::count(failures as u64);
    let answers = format::counted(answers as u64, "answer");
    let so_far = format!("{failed} of {answers} are failures: at most {} fail.", percent(bound));
    match policy {
        Some((rate, confidence)) if bound < rate.as_f64() => {
            format!("{so_far} Less than {rate} are allowed: that is shown, {confidence} sure.")
        }
        Some((rate, confidence)) => {
            format!("{so_far} Less than {rate} must be shown, {confidence} sure: not yet.")
        }
        None => format!("{so_far} The gates count failures, and ask for no rate."),
    }
}

fn percent(share: f64) -> String {
    let text = format!("{:.1}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// As many points as can be told apart, the first and the last among them.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let step = points.len().div_ceil(POINTS).max(1);
    let last = points.len().saturating_sub(1);
    let kept = points.iter().enumerate().filter(|(at, _)| at % step == 0 || *at == last);
    kept.map(|(_, point)| *point).collect()
}

fn moments(status: &RolloutStatus, decisions: &[Event], end: Span, now: Timestamp) -> Vec<Look> {
    let (started, names) = (status.summary.started_at, Names::default());
    let mut states = vec![RingState::Waiting; status.rings_detail.len()];
    let mut looks = Vec::new();
    for event in decisions {
        if let Change::RingState { ring, state, .. } = &event.what
            && let Some(place) = status.rings_detail.iter().position(|it| it.name == *ring)
        {
            states[place] = *state;
        }
        let line = EventLine::new(event, &names, now);
        let after = event.at.since(started);
        looks.push(Look {
            number: 0,
            at: line.at,
            after: format::spell(after),
            x: format!("{:.1}", Scale::new(secs(end), 1.0).x(secs(after))),
            text: line.text,
            rings: rings_then(status, &states, event.at),
        });
    }
    looks.drain(..looks.len().saturating_sub(MOMENTS));
    for (place, look) in looks.iter_mut().enumerate() {
        look.number = place + 1;
    }
    looks
}

fn rings_then(status: &RolloutStatus, states: &[RingState], at: Timestamp) -> Vec<RingThen> {
    let rings = status.rings_detail.iter().zip(states);
    let ring = |(ring, state): (&gofleet_core::rollout::RingStatus, &RingState)| {
        let until_then = ring.devices.iter().filter_map(end_of).filter(|it| it.at <= at);
        let (failed, accepted): (Vec<_>, Vec<_>) = until_then.partition(|it| it.has_failed);
        RingThen {
            name: ring.name.clone(),
            mark: mark(*state),
            word: state.to_string().replace('_', " "),
            accepted: format::count(accepted.len() as u64),
            total: format::count(ring.devices.len() as u64),
            failed: match failed.len() {
                0 => String::new(),
                some => format::count(some as u64),
            },
        }
    };
    rings.map(ring).collect()
}

const fn mark(state: RingState) -> &'static str {
    match state {
        RingState::Waiting => "waiting",
        RingState::Running | RingState::Rehearsing | RingState::Repeating => "running",
        RingState::Passed => "passed",
        RingState::Failed => "failed",
        RingState::RollingBack | RingState::RolledBack => "reverted",
    }
}
