//! Who comes late: devices that enrol, or begin to be picked, after a rollout was started.
//!
//! Who is in a ring is fixed when the ring starts, and by default when the rollout does. What
//! becomes of those who come later is a rule of the specification ([`Late`]). Each of them either
//! joins a ring or is left out with a reason, and that is decided once: who was left out stays so.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use super::plan::{position, reason_to_stay};
use super::{
    FleetDevice, Late, LeftOut, LeftOutReason, Reason, Relations, RingSize, RingState, RolloutView,
};
use crate::guard::{Guard, permits};
use crate::ids::{DeviceId, ReleaseId};
use crate::release::{Platform, Release};
use crate::selector::Selector;

/// A device that came late, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Latecomer {
    /// It joins a ring, and waits there like everybody.
    Joins {
        /// The device.
        device: DeviceId,
        /// The ring's place, counted from 0.
        ring: u32,
        /// The release that it gets.
        release: ReleaseId,
    },
    /// It is left out.
    StaysOut(LeftOut),
}

/// Why a device that comes late is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
enum TooLate {
    /// Nobody who comes late is taken in.
    Never,
    /// Its ring has started, and so has every later one.
    NoRingLeft { ring: String },
}

impl TooLate {
    const fn code(&self) -> &'static str {
        match self {
            Self::Never => "late",
            Self::NoRingLeft { .. } => "late_no_ring_left",
        }
    }
}

impl fmt::Display for TooLate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => formatter
                .write_str("came after the rollout was started, which takes in nobody late"),
            Self::NoRingLeft { ring } => {
                write!(formatter, "came after its ring `{ring}` and every later one had started")
            }
        }
    }
}

/// What becomes of devices that the rollout may not know yet. Those that it does know, and those
/// that it does not pick, are passed over.
pub fn latecomers(
    view: &RolloutView,
    arrivals: &[FleetDevice],
    catalog: &[Release],
) -> Vec<Latecomer> {
    // It was read when the rollout was started.
    let Ok(selector) = Selector::parse(&view.spec.devices) else { return Vec::new() };
    let members = view.devices.iter().map(|it| &it.device);
    let known: HashSet<&DeviceId> =
        members.chain(view.left_out.iter().map(|it| &it.device)).collect();
    let (package, version) = (&view.spec.package, &view.spec.version);
    let is_it = |it: &&Release| it.release.package == *package && it.release.version == *version;
    let releases: BTreeMap<&Platform, &Release> =
        catalog.iter().filter(is_it).map(|it| (&it.release.platform, it)).collect();
    let relations = Relations::of(catalog);
    let is_late =
        |it: &&FleetDevice| !known.contains(&it.id) && selector.matches(&it.id, &it.facts);
    let judge = |device| judge(view, (&releases, &relations), device);
    arrivals.iter().filter(is_late).map(judge).collect()
}

fn judge(
    view: &RolloutView,
    (releases, relations): (&BTreeMap<&Platform, &Release>, &Relations<'_>),
    device: &FleetDevice,
) -> Latecomer {
    let out = |reason| {
        let (device, hostname) = (device.id.clone(), device.facts.hostname.clone());
        Latecomer::StaysOut(LeftOut { device, hostname, reason })
    };
    let release = releases.get(&device.facts.platform);
    // Who is in another rollout is left out, whatever that brings.
    let unmet = release.and_then(|release| relations.unmet(release, &device.facts, None));
    if let Some(reason) = reason_to_stay(&view.spec, releases, device, unmet.as_ref()) {
        return out(Reason::from(&reason));
    }
    let Some(own) = view.own_ring(device) else {
        return out(Reason::from(&LeftOutReason::NoRing));
    };
    match view.ring_for(own) {
        Ok(ring) => {
            let release = releases[&device.facts.platform].release.id.clone();
            Latecomer::Joins { device: device.id.clone(), ring: ring as u32, release }
        }
        Err(too_late) => {
            out(Reason { code: too_late.code().to_owned(), text: too_late.to_string() })
        }
    }
}

impl RolloutView {
    /// The ring that would have taken a device. One of a number of devices is a sample, which was
    /// drawn when the rollout was planned, so it takes nobody else.
    fn own_ring(&self, device: &FleetDevice) -> Option<usize> {
        let place = position(&self.spec.name, &device.id);
        let mut percent_before = 0.0;
        self.spec.rings.iter().position(|ring| match &ring.size {
            RingSize::Count(_) => false,
            RingSize::Percent(percent) => {
                let from = percent_before / 100.0;
                percent_before += percent;
                // What adds up to 100 reaches the end, whatever binary fractions make of it.
                let is_all = percent_before >= 100.0 - 1e-6;
                (from..if is_all { 1.0 } else { percent_before / 100.0 }).contains(&place)
            }
            RingSize::Select(selector) => {
                let selector = Selector::parse(selector);
                selector.is_ok_and(|it| it.matches(&device.id, &device.facts))
            }
            RingSize::Rest => true,
        })
    }

    /// The ring that a device joins late, where it would have been in `own`.
    fn ring_for(&self, own: usize) -> Result<usize, TooLate> {
        let has_room = |ring: usize| {
            let is_fixed = self.rings[ring].state != RingState::Waiting;
            permits(Guard::StartedRingFixed, !is_fixed)
        };
        match self.spec.late {
            Late::Never if permits(Guard::LateByRule, false) => Ok(own),
            Late::Never => Err(TooLate::Never),
            Late::SameRing => Ok(own),
            Late::NextRing => (own..self.rings.len())
                .find(|ring| has_room(*ring))
                .ok_or_else(|| TooLate::NoRingLeft { ring: self.spec.rings[own].name.clone() }),
        }
    }
}

#[cfg(test)]
mod tests;
