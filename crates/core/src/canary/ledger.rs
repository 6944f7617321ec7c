//! What the devices of rollouts measured since they were upgraded, and the others meanwhile.
//!
//! It lives in memory, like the watch over anomalies: after a restart of the server all spans begin
//! anew, so a gate is decided later, never by less.

use std::collections::BTreeMap;

use super::shift::{median, shift};
use super::{Canary, Comparison, Interval, Look, Worse};
use crate::anomaly::{Class, Reading, Sample, SignalName};
use crate::ids::{DeviceId, RolloutId};
use crate::order::Step;
use crate::rollout::{DeviceView, RingState, RolloutState, RolloutView, WantKind, passes_else};
use crate::time::{Span, Timestamp};

/// As many devices of a side are compared at most, spread evenly: more would hardly make the
/// interval shorter, and the differences grow with the product.
const MOST_COMPARED: usize = 400;

/// What devices measured, rollout by rollout.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    rollouts: BTreeMap<RolloutId, Followed>,
}

/// A rollout whose gate asks for a comparison.
#[derive(Debug, Clone)]
struct Followed {
    ring: u32,
    /// Since when its ring is followed.
    since: Timestamp,
    /// What its gate asks for.
    signals: Vec<SignalName>,
    devices: BTreeMap<DeviceId, Measured>,
}

/// What a device measured while it was on one side.
#[derive(Debug, Clone)]
struct Measured {
    side: Side,
    since: Timestamp,
    class: Option<Class>,
    span: Span,
    /// The readings of each signal, each times the milliseconds that it is about.
    sums: BTreeMap<SignalName, (f64, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Upgraded,
    Control,
}

/// The means of the compared devices of one class.
#[derive(Debug, Default)]
struct Group {
    upgraded: Vec<f64>,
    control: Vec<f64>,
}

impl Ledger {
    /// Whether anything of any device is asked for.
    pub fn is_empty(&self) -> bool {
        self.rollouts.is_empty()
    }

    /// Forgets all rollouts but these.
    pub fn keep_only(&mut self, moving: &[RolloutId]) {
        self.rollouts.retain(|rollout, _| moving.contains(rollout));
    }

    /// Notes which devices of a rollout are upgraded and which are not, if its gate asks for it.
    pub fn follow(&mut self, view: &RolloutView, now: Timestamp) {
        let ring = view.current_ring();
        let Some(canary) = view.canary(ring as usize) else {
            self.rollouts.remove(&view.id);
            return;
        };
        let signals = || canary.signals().map(|(signal, _)| signal.clone()).collect();
        let new = || Followed { ring, since: now, signals: signals(), devices: BTreeMap::new() };
        let followed = self.rollouts.entry(view.id.clone()).or_insert_with(new);
        if followed.ring != ring {
            (followed.ring, followed.since, followed.signals) = (ring, now, signals());
        }
        for device in &view.devices {
            let known = followed.devices.get(&device.device).map(|it| it.side);
            match side(device, ring) {
                side if side == known => {}
                Some(side) => {
                    let measured = Measured::begin(side, now);
                    followed.devices.insert(device.device.clone(), measured);
                }
                None => {
                    followed.devices.remove(&device.device);
                }
            }
        }
    }

    /// Takes in what a device measured.
    pub fn observe(&mut self, device: &DeviceId, class: &Class, sample: &Sample, now: Timestamp) {
        for followed in self.rollouts.values_mut() {
            if let Some(measured) = followed.devices.get_mut(device) {
                measured.take(class, sample, &followed.signals, now);
            }
        }
    }

    /// Looks at the ring that is under way, if a look is due: when twice as many devices have been
    /// measured as at the last one, and when the gate waits for nothing else.
    pub fn look(&self, view: &RolloutView, now: Timestamp) -> Option<Look> {
        let followed = self.rollouts.get(&view.id)?;
        let ring = view.current_ring();
        let (canary, last) = (view.canary(ring as usize)?, &view.rings[ring as usize].look);
        let is_moving = view.state == RolloutState::Running
            && view.rings[ring as usize].state == RingState::Running;
        let is_decided = last.as_ref().is_some_and(|it| it.is_final || it.is_accepted);
        if !is_moving || is_decided || followed.ring != ring {
            return None;
        }
        let devices = followed.measured(Side::Upgraded, canary.measure) as u32;
        let needed = last.as_ref().map_or(canary.devices, |it| it.devices.saturating_mul(2));
        let is_final = passes_else(view, ring as usize, now)
            && (followed.is_measured(view, ring, canary.measure)
                || followed.has_waited(view, ring, canary.measure, now));
        if devices < needed && !is_final {
            return None;
        }
        let number = last.as_ref().map_or(1, |it| it.number + 1);
        let error = canary.error_of(view.gate(ring as usize).confidence, number);
        let compare = |(signal, worse)| followed.compare(canary, signal, worse, error);
        let comparisons = canary.signals().map(compare).collect();
        Some(Look { number, devices, is_final, is_accepted: false, comparisons })
    }
}

fn side(device: &DeviceView, current: u32) -> Option<Side> {
    match (device.want(), device.step) {
        _ if device.superseded_by.is_some() || !device.is_let_in() => None,
        (Some(WantKind::Activate), Step::Soaking | Step::Accepted) => Some(Side::Upgraded),
        (None, Step::Waiting) if device.ring > current => Some(Side::Control),
        _ => None,
    }
}

impl Followed {
    fn measured(&self, side: Side, measure: Span) -> usize {
        self.devices.values().filter(|it| it.side == side && it.span >= measure).count()
    }

    /// Whether all devices of the ring that have accepted were measured for long enough.
    fn is_measured(&self, view: &RolloutView, ring: u32, measure: Span) -> bool {
        let mut accepted = view.devices.of_ring(ring).filter(|it| it.step == Step::Accepted);
        accepted.all(|it| self.devices.get(&it.device).is_some_and(|it| it.span >= measure))
    }

    /// Whether they had twice the time that it takes.
    fn has_waited(&self, view: &RolloutView, ring: u32, measure: Span, now: Timestamp) -> bool {
        let latest = view.devices.of_ring(ring).map(|it| it.since).max();
        let since = latest.map_or(self.since, |it| it.max(self.since));
        now.since(since).as_millis() >= measure.as_millis().saturating_mul(2)
    }

    fn compare(
        &self,
        canary: &Canary,
        signal: &SignalName,
        worse: Worse,
        error: f64,
    ) -> Comparison {
        let groups = self.groups(signal, canary);
        let (mut upgraded, mut control, mut normal) = (Vec::new(), Vec::new(), Vec::new());
        for Group { upgraded: these, control: mut others } in groups {
            others.sort_unstable_by(f64::total_cmp);
            let Some(middle) = median(&others).filter(|_| !these.is_empty()) else { continue };
            // Classes are laid over each other by what is normal in each.
            upgraded.extend(these.iter().map(|it| it - middle));
            control.extend(others.iter().map(|it| it - middle));
            normal.append(&mut others);
        }
        normal.sort_unstable_by(f64::total_cmp);
        let (of_upgraded, of_control) = (upgraded.len() as u32, control.len() as u32);
        let is_enough = of_upgraded.min(of_control) >= canary.devices;
        let shift = is_enough.then(|| shift(&spread(upgraded), &spread(control), error)).flatten();
        let change = shift.map(|it| Interval {
            estimate: it.estimate.into(),
            low: it.low.into(),
            high: it.high.into(),
        });
        let normal = median(&normal).and_then(|it| Reading::try_from(it).ok()).unwrap_or_default();
        let signal = signal.clone();
        Comparison { signal, worse, upgraded: of_upgraded, control: of_control, normal, change }
    }

    /// The means of a signal, class by class, of the devices that were measured for long enough.
    fn groups(&self, signal: &SignalName, canary: &Canary) -> Vec<Group> {
        let mut groups: BTreeMap<&Class, Group> = BTreeMap::new();
        for measured in self.devices.values().filter(|it| it.span >= canary.measure) {
            let (Some(class), Some((sum, weight))) = (&measured.class, measured.sums.get(signal))
            else {
                continue;
            };
            let group = groups.entry(class).or_default();
            match measured.side {
                Side::Upgraded => group.upgraded.push(sum / weight),
                Side::Control => group.control.push(sum / weight),
            }
        }
        groups.into_values().collect()
    }
}

impl Measured {
    const fn begin(side: Side, since: Timestamp) -> Self {
        Self { side, since, class: None, span: Span::ZERO, sums: BTreeMap::new() }
    }

    fn take(&mut self, class: &Class, sample: &Sample, asked: &[SignalName], now: Timestamp) {
        let weight = sample.over.as_millis() as f64;
        // It is about the time before too.
        if now.since(self.since) < sample.over || weight == 0.0 {
            return;
        }
        if self.class.as_ref() != Some(class) {
            self.class = Some(class.clone());
        }
        self.span =
            Span::from_millis(self.span.as_millis().saturating_add(sample.over.as_millis()));
        for signal in asked {
            let Some(reading) = sample.values.get(signal) else { continue };
            let (sum, of) = self.sums.entry(signal.clone()).or_default();
            *sum += f64::from(*reading) * weight;
            *of += weight;
        }
    }
}

/// At most as many as are compared, evenly among all of them by size.
fn spread(mut means: Vec<f64>) -> Vec<f64> {
    if means.len() <= MOST_COMPARED {
        return means;
    }
    means.sort_unstable_by(f64::total_cmp);
    let last = means.len() - 1;
    (0..MOST_COMPARED).map(|at| means[at * last / (MOST_COMPARED - 1)]).collect()
}
