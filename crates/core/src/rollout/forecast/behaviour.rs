//! What a fleet was seen to do, and what is assumed where it was not seen.

use std::collections::HashMap;

use super::dice::Dice;
use super::{Absence, Basis, Planning};
use crate::advice::published;
use crate::anomaly::Class;
use crate::ids::DeviceId;
use crate::statistics::{Share, Trials};
use crate::time::{Span, Timestamp};

/// A device of which so many orders were timed is drawn from its own times.
const OWN_TIMES: usize = 3;
/// Before anything was seen, the published failure rate counts as if it came from so many devices:
/// enough to carry an unknown fleet, few enough to be outweighed by its first rollouts.
const ASSUMED_DEVICES: f64 = 50.0;
/// Of those that fail, so many never answer.
const ASSUMED_SILENT: f64 = 0.25;
/// So many attempts end in what may pass by itself: the network, a full disk, a file that is held.
const ASSUMED_RETRIES: f64 = 0.01;
/// Assumed times lie between half and twice the usual one.
const ASSUMED_SPREAD: f64 = 2.0;

/// How long an order took on a device, from being given to the receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Took {
    /// To get the release there: fetched, unpacked, verified.
    pub fetch: Span,
    /// All else, without the soak and without waiting for a window.
    pub rest: Span,
}

/// An order that was accepted, and how long that took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timed {
    /// The device.
    pub device: DeviceId,
    /// What kind of device it is.
    pub class: Class,
    /// How long it took.
    pub took: Took,
}

/// How the devices of finished rollouts fared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fared {
    /// Devices that accepted or failed; one of several rollouts counts in each.
    pub devices: u64,
    /// How many of them failed, or never answered.
    pub failures: u64,
    /// Of the failures those that never answered.
    pub silent: u64,
    /// How often they were ordered to activate, all together.
    pub attempts: u64,
}

/// What is recorded of how a fleet behaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// The latest orders that were accepted.
    pub timed: Vec<Timed>,
    /// How the latest finished rollouts went.
    pub fared: Fared,
    /// When devices were away.
    pub absences: Vec<Absence>,
}

/// Behaviour, ready to be drawn from.
#[derive(Debug)]
pub(super) struct Model {
    all: Vec<Took>,
    by_class: HashMap<Class, Vec<Took>>,
    by_device: HashMap<DeviceId, Vec<Took>>,
    fared: Fared,
}

/// What one run takes for the truth.
#[derive(Debug, Clone, Copy)]
pub(super) struct Truth {
    /// Share of devices on which the release fails.
    pub(super) failures: f64,
    /// Share of those that never answer.
    pub(super) silent: f64,
    /// Share of attempts that fail for what passes by itself.
    pub(super) retries: f64,
}

impl Model {
    pub(super) fn new(behaviour: &Behaviour) -> Self {
        let (mut by_class, mut by_device) = (HashMap::new(), HashMap::new());
        for Timed { device, class, took } in &behaviour.timed {
            by_class.entry(class.clone()).or_insert_with(Vec::new).push(*took);
            by_device.entry(device.clone()).or_insert_with(Vec::new).push(*took);
        }
        by_device.retain(|_, times: &mut Vec<Took>| times.len() >= OWN_TIMES);
        let all = behaviour.timed.iter().map(|it| it.took).collect();
        Self { all, by_class, by_device, fared: behaviour.fared }
    }

    /// The times of a device that count for it: its own, else those of its class, else all.
    pub(super) fn times(&self, device: &DeviceId, class: &Class) -> &[Took] {
        let own = self.by_device.get(device);
        own.or_else(|| self.by_class.get(class)).unwrap_or(&self.all)
    }

    /// The usual time from an order to its receipt, without the soak.
    pub(super) fn usual(&self) -> Span {
        quantile(&self.totals(), 0.5).unwrap_or(Planning::ASSUMED_INSTALL_TIME)
    }

    fn totals(&self) -> Vec<Span> {
        let mut totals: Vec<Span> =
            self.all.iter().map(|it| it.fetch.saturating_add(it.rest)).collect();
        totals.sort_unstable();
        totals
    }

    /// One of the times, or where there are none one around what is assumed.
    pub(super) fn draw(times: &[Took], dice: &mut Dice) -> Took {
        dice.pick(times).unwrap_or_else(|| {
            let factor = ASSUMED_SPREAD.powf(2.0 * dice.share() - 1.0);
            let half = Planning::ASSUMED_INSTALL_TIME.as_millis() as f64 * factor / 2.0;
            let half = Span::from_millis(half as u64);
            Took { fetch: half, rest: half }
        })
    }

    /// What a run takes for the truth: a failure rate that is compatible with what was seen, the
    /// more certainly the more that was.
    pub(super) fn truth(&self, dice: &mut Dice) -> Truth {
        let Fared { devices, failures, silent, attempts } = self.fared;
        let assumed = published("managed.error_rate") * ASSUMED_DEVICES;
        let well = devices.saturating_sub(failures) as f64;
        Truth {
            failures: dice.rate(failures as f64 + assumed, well + ASSUMED_DEVICES - assumed),
            silent: share(silent, failures).unwrap_or(ASSUMED_SILENT),
            retries: share(attempts.saturating_sub(devices), attempts).unwrap_or(ASSUMED_RETRIES),
        }
    }

    /// What all that rests on, for people.
    pub(super) fn basis(&self) -> Vec<Basis> {
        vec![self.basis_of_times(), self.basis_of_failures(), self.basis_of_retries()]
    }

    fn basis_of_times(&self) -> Basis {
        let totals = self.totals();
        let value = match (quantile(&totals, 0.5), quantile(&totals, 0.95)) {
            (Some(median), Some(late)) => {
                let (median, late) = (in_seconds(median), in_seconds(late));
                format!("{median} in the median, {late} at most for 95%")
            }
            _ => format!("about {}", Planning::ASSUMED_INSTALL_TIME),
        };
        Basis::new("from order to receipt, without soak", value, totals.len() as u64)
    }

    fn basis_of_failures(&self) -> Basis {
        let Fared { devices, failures, silent, .. } = self.fared;
        let what = "devices that fail";
        if devices == 0 {
            let rate = percent(published("managed.error_rate"));
            return Basis::new(what, format!("about {rate}, as is published"), 0);
        }
        let trials = Trials { failures, successes: devices.saturating_sub(failures) };
        let bound = percent(trials.upper_bound(Share::P95));
        let rate = percent(failures as f64 / devices as f64);
        let silent = if silent == 0 { String::new() } else { format!(", {silent} in silence") };
        let value =
            format!("{rate} ({failures} of {devices}{silent}; it may be up to {bound}, 95% sure)");
        Basis::new(what, value, devices)
    }

    fn basis_of_retries(&self) -> Basis {
        let Fared { devices, attempts, .. } = self.fared;
        let measured = share(attempts.saturating_sub(devices), attempts);
        let value = format!("{} of the attempts", percent(measured.unwrap_or(ASSUMED_RETRIES)));
        Basis::new("failures that pass by themselves", value, attempts)
    }
}

/// How much longer a device stays away that has been away for so long: as long again with even
/// odds, and never for sure. That is what the time alone says, whatever keeps it away.
pub(super) fn stays_away(away: Span, dice: &mut Dice) -> Span {
    let odds = 1.0 / dice.share() - 1.0;
    Span::from_millis((away.as_millis() as f64 * odds) as u64)
}

/// The devices that are away, as what the forecast rests on.
pub(super) fn basis_of_absence(away: u64, devices: u64, since: Option<Timestamp>) -> Basis {
    let value = match since {
        None => "none".to_owned(),
        Some(since) => format!(
            "{away} of {devices}, one since {since}; each is assumed to stay as long again, with \
             even odds"
        ),
    };
    Basis::new("devices that are away", value, devices)
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// A part of a whole for people: at most two places, and none that say nothing.
fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Whole seconds, where there are some.
pub(super) fn in_seconds(span: Span) -> Span {
    let seconds = Span::from_secs((span.as_millis() + 500) / 1000);
    if seconds == Span::ZERO { span } else { seconds }
}

/// What so much of the sorted values is not above; none of none.
pub(super) fn quantile<T: Copy>(sorted: &[T], share: f64) -> Option<T> {
    let place = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(place.max(1) - 1).copied()
}
