//! From a specification to rings of devices, before anything moves.
//!
//! Which ring a device is in by percentage depends on the seed and on its own id only: it has a
//! fixed place in [0, 1), and each ring takes an interval of it. So nobody jumps between rings
//! when others join, and two plans of the same thing agree.

mod error;
mod left;
mod reason;

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

pub use error::PlanError;
use left::Left;
pub use reason::LeftOutReason;

use super::estimate::Estimate;
use super::requires::{Fulfilment, unfulfilled};
use super::validate::validate;
use super::{
    Gate, Hearing, LeftOut, Moving, PlannedDevice, PlannedRing, Reason, RolloutPlan, RolloutSpec,
    Unmet,
};
use crate::artifact::Artifact;
use crate::digest::Digest;
use crate::facts::Facts;
use crate::guard::{Guard, detects};
use crate::hold::KeptOut;
use crate::ids::{CollectionName, DeviceId, ReleaseId, RolloutId};
use crate::release::{Platform, Release, ReleaseStatus};
use crate::selector::Selector;
use crate::statistics::Trials;
use crate::time::{Span, Timestamp};
use crate::version;

/// What a plan is made of.
#[derive(Debug, Clone, Copy)]
pub struct Planning<'a> {
    /// What was asked for.
    pub spec: &'a RolloutSpec,
    /// The catalog.
    pub releases: &'a [Release],
    /// Every device.
    pub fleet: &'a [FleetDevice],
    /// The collections that selectors may ask for.
    pub collections: &'a [CollectionName],
    /// What the rollouts bring that have not ended.
    pub moving: &'a [Moving],
    /// The packs and deltas that there are.
    pub artifacts: &'a [Artifact],
    /// What spreads the devices over the rings; the rollout's name, so that a plan that was shown
    /// is the plan that is started.
    pub seed: &'a str,
    /// How long a device takes from its order to activation.
    pub install_time: Span,
    /// The time.
    pub now: Timestamp,
    /// Since when the server has been listening.
    pub listening_since: Timestamp,
}

impl Planning<'_> {
    /// What an installation is assumed to take while nothing was measured: a minute, of which a
    /// 75 MB archive at 20 Mbit/s takes half.
    pub const ASSUMED_INSTALL_TIME: Span = Span::from_secs(60);

    fn is_offline(&self, device: &FleetDevice) -> bool {
        let patience = self.spec.offline_after;
        Hearing::of(device.last_seen, self.listening_since, patience, self.now) == Hearing::Offline
    }
}

/// A device that might be planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetDevice {
    /// The device.
    pub id: DeviceId,
    /// What it told of itself last.
    pub facts: Facts,
    /// When it was heard last.
    pub last_seen: Timestamp,
    /// The rollout that it is part of now, if that has not ended.
    pub busy_with: Option<RolloutId>,
    /// Why it is kept out of rollouts, while it is.
    pub kept_out: Option<KeptOut>,
}

/// Plans a rollout: who moves in which ring, who does not and why, how much and how long.
///
/// # Errors
///
/// [`PlanError`] says why nothing can be planned.
pub fn plan(planning: &Planning<'_>) -> Result<RolloutPlan, PlanError> {
    let spec = planning.spec;
    validate(spec, planning.collections).map_err(PlanError::Spec)?;
    let releases = find_releases(planning)?;
    let picked = pick(planning)?;
    let rings = Rings::assign(planning, &releases, &picked);
    rings.into_plan(planning, &releases, &picked)
}

/// The releases of the wanted version by platform; at least one of them is approved.
fn find_releases<'a>(
    planning: &Planning<'a>,
) -> Result<BTreeMap<&'a Platform, &'a Release>, PlanError> {
    let RolloutSpec { package, version, .. } = planning.spec;
    let of_package = || planning.releases.iter().filter(|it| it.release.package == *package);
    let found: BTreeMap<&Platform, &Release> = of_package()
        .filter(|release| release.release.version == *version)
        .map(|release| (&release.release.platform, release))
        .collect();
    let Some(first) = found.values().next() else {
        let mut known: Vec<String> = of_package().map(|it| it.release.version.clone()).collect();
        known.sort_by(|a, b| version::compare(a, b));
        known.dedup();
        let (package, version) = (package.clone(), version.clone());
        return Err(PlanError::UnknownRelease { package, version, known });
    };
    if found.values().any(|release| release.status == ReleaseStatus::Approved) {
        return Ok(found);
    }
    Err(PlanError::NotApproved { release: first.release.id.clone(), status: first.status })
}

/// The devices that the rollout's selector picks, in the order of their ids.
fn pick<'a>(planning: &Planning<'a>) -> Result<Vec<&'a FleetDevice>, PlanError> {
    if planning.fleet.is_empty() {
        return Err(PlanError::EmptyFleet);
    }
    let selector = parsed(&planning.spec.devices);
    let mut picked: Vec<&FleetDevice> =
        planning.fleet.iter().filter(|it| selector.matches(&it.id, &it.facts)).collect();
    picked.sort_by(|a, b| a.id.cmp(&b.id));
    if picked.is_empty() {
        let selector = planning.spec.devices.clone();
        return Err(PlanError::EmptyCollection { selector, devices: planning.fleet.len() });
    }
    Ok(picked)
}

fn parsed(selector: &str) -> Selector {
    Selector::parse(selector).expect("validation has parsed every selector")
}

/// Where a device stands in [0, 1) for a seed: the first 53 bits of a SHA-256, which is what a
/// floating-point number can hold.
pub(super) fn position(seed: &str, device: &DeviceId) -> f64 {
    let digest = Digest::of(&[seed.as_bytes(), &[0], device.as_str().as_bytes()].concat());
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_bytes()[..8]);
    (u64::from_be_bytes(first) >> 11) as f64 / (1u64 << 53) as f64
}

/// Who is in which ring, by place in the list of picked devices.
struct Rings {
    /// For each ring, those that move.
    moving: Vec<Vec<usize>>,
    /// For each ring, those that fall into it but do not move.
    staying: Vec<Vec<usize>>,
    /// For each picked device, why it does not move, if so.
    reasons: Vec<Option<LeftOutReason>>,
    /// Of those that move: who waits for a package first.
    waiting: HashMap<usize, Unmet>,
}

impl Rings {
    fn assign<'a>(
        planning: &Planning<'a>,
        releases: &BTreeMap<&'a Platform, &'a Release>,
        picked: &[&'a FleetDevice],
    ) -> Self {
        let (mut reasons, waiting) = reasons(planning, releases, picked);
        let positions = picked.iter().map(|device| position(planning.seed, &device.id)).collect();
        let mut left = Left::new(picked, positions);
        let (mut moving, mut staying) = (Vec::new(), Vec::new());
        let mut percent_before = 0.0;
        for ring in &planning.spec.rings {
            let taken = left.take(&ring.size, &mut percent_before, &reasons);
            let (stays, moves): (Vec<_>, Vec<_>) =
                taken.into_iter().partition(|place| reasons[*place].is_some());
            moving.push(moves);
            staying.push(stays);
        }
        for place in left.places() {
            reasons[place].get_or_insert(LeftOutReason::NoRing);
        }
        Self { moving, staying, reasons, waiting }
    }

    fn into_plan<'a>(
        self,
        planning: &Planning<'a>,
        releases: &BTreeMap<&'a Platform, &'a Release>,
        picked: &[&'a FleetDevice],
    ) -> Result<RolloutPlan, PlanError> {
        let left_out = self.left_out(picked);
        if self.moving.iter().all(Vec::is_empty) {
            let unmet = self.reasons.iter().flatten().filter_map(LeftOutReason::unmet);
            return Err(unfulfilled(unmet).unwrap_or(PlanError::NothingToDo { left_out }));
        }
        self.check(planning.spec)?;
        let (mut rings, mut estimate) = (Vec::new(), Estimate::new(planning));
        for (spec, moving) in planning.spec.rings.iter().zip(&self.moving) {
            let devices: Vec<&'a FleetDevice> = moving.iter().map(|at| picked[*at]).collect();
            rings.push(planned_ring(planning, &mut estimate, &spec.name, releases, &devices));
        }
        self.note_waiting(&mut rings);
        Ok(RolloutPlan {
            spec: planning.spec.clone(),
            releases: approved(releases),
            left_out,
            not_selected: (planning.fleet.len() - picked.len()) as u64,
            warnings: warnings(planning, &rings),
            bytes: rings.iter().map(|ring| ring.bytes).sum(),
            archive_bytes: estimate.archive_bytes(),
            expected: Span::from_millis(rings.iter().map(|it| it.expected.as_millis()).sum()),
            rings,
        })
    }

    fn note_waiting(&self, rings: &mut [PlannedRing]) {
        let places = self.moving.iter().flatten();
        let devices = rings.iter_mut().flat_map(|ring| &mut ring.devices);
        for (place, device) in places.zip(devices).filter(|_| !self.waiting.is_empty()) {
            let unmet = self.waiting.get(place);
            device.waits_for = unmet.and_then(|unmet| unmet.waits_for().cloned());
            device.waits = unmet.map(Reason::from);
        }
    }

    fn left_out(&self, picked: &[&FleetDevice]) -> Vec<LeftOut> {
        let mut left_out: Vec<LeftOut> = self
            .reasons
            .iter()
            .zip(picked)
            .filter_map(|(reason, device)| Some((reason.as_ref()?, device)))
            .map(|(reason, device)| LeftOut {
                device: device.id.clone(),
                hostname: device.facts.hostname.clone(),
                reason: reason.into(),
            })
            .collect();
        left_out.sort_by(|a, b| a.hostname.cmp(&b.hostname).then_with(|| a.device.cmp(&b.device)));
        left_out
    }

    /// A ring that moves nobody shows nothing; that is fine only where nothing has to be shown:
    /// where no later ring moves anybody, or where every device of the ring has the version
    /// already.
    fn check(&self, spec: &RolloutSpec) -> Result<(), PlanError> {
        for (place, ring) in spec.rings.iter().enumerate() {
            let has_it =
                |at: &usize| matches!(self.reasons[*at], Some(LeftOutReason::AlreadyActive(_)));
            let all_have_it =
                !self.staying[place].is_empty() && self.staying[place].iter().all(has_it);
            let devices = self.moving[place].len();
            let is_relied_on = self.moving[place + 1..].iter().any(|later| !later.is_empty());
            if devices == 0 && !all_have_it && is_relied_on {
                let (ring, size) = (ring.name.clone(), ring.size.to_string());
                return Err(PlanError::EmptyRing { ring, size });
            }
            let gate = ring.gate.as_ref().unwrap_or(&spec.gate);
            if let Some(min) = gate.min_successes.filter(|min| *min as usize > devices)
                && devices > 0
            {
                return Err(PlanError::GateOutOfReach { ring: ring.name.clone(), devices, min });
            }
            let up_to_here: usize = self.moving[..=place].iter().map(Vec::len).sum();
            if devices > 0 {
                check_rate(&ring.name, gate, up_to_here)?;
            }
        }
        Ok(())
    }
}

/// The fewest devices that can show the gate's rate, if none of them fails.
fn fewest(gate: &Gate) -> Option<u64> {
    let rate = gate.max_failure_rate?;
    Some(Trials::default().more_successes(rate, gate.confidence).unwrap_or(u64::MAX))
}

fn check_rate(ring: &str, gate: &Gate, devices: usize) -> Result<(), PlanError> {
    match (gate.max_failure_rate, fewest(gate)) {
        (Some(rate), Some(fewest)) if (devices as u64) < fewest => {
            let (ring, confidence) = (ring.to_owned(), gate.confidence);
            Err(PlanError::RateOutOfReach { ring, devices, fewest, rate, confidence })
        }
        (Some(_) | None, _) => Ok(()),
    }
}

/// For each picked device, why it does not move, if so; and who of the others waits for a package.
fn reasons<'a>(
    planning: &Planning<'a>,
    releases: &BTreeMap<&'a Platform, &'a Release>,
    picked: &[&'a FleetDevice],
) -> (Vec<Option<LeftOutReason>>, HashMap<usize, Unmet>) {
    let mut fulfilment = Fulfilment::of(planning.releases);
    let mut waiting = HashMap::new();
    let reasons = picked.iter().enumerate().map(|(place, device)| {
        let is_its = |it: &&Moving| Some(&it.rollout) == device.busy_with.as_ref();
        let coming = planning.moving.iter().find(is_its);
        let release = releases.get(&device.facts.platform);
        let unmet = release.and_then(|it| fulfilment.unmet(it, &device.facts, coming));
        let reason = reason_to_stay(planning.spec, releases, device, unmet.as_ref());
        waiting.extend(unmet.filter(|_| reason.is_none()).map(|unmet| (place, unmet)));
        reason
    });
    (reasons.collect(), waiting)
}

pub(super) fn reason_to_stay(
    spec: &RolloutSpec,
    releases: &BTreeMap<&Platform, &Release>,
    device: &FleetDevice,
    unmet: Option<&Unmet>,
) -> Option<LeftOutReason> {
    let facts = &device.facts;
    let Some(release) = releases.get(&facts.platform) else {
        return Some(LeftOutReason::NoRelease(facts.platform.clone()));
    };
    if release.status != ReleaseStatus::Approved {
        return Some(LeftOutReason::NotApproved(release.release.id.clone(), release.status));
    }
    if let Some(active) = facts.version_of(&spec.package) {
        match version::compare(active, &spec.version) {
            Ordering::Equal => return Some(LeftOutReason::AlreadyActive(active.to_owned())),
            Ordering::Greater if detects(Guard::NewerStays, !spec.allow_downgrade) => {
                return Some(LeftOutReason::NewerActive(active.to_owned()));
            }
            Ordering::Greater | Ordering::Less => {}
        }
    }
    let awaited = unmet.and_then(Unmet::waits_for);
    let busy = device.busy_with.as_ref().filter(|busy| Some(*busy) != awaited);
    if let Some(busy) = busy.filter(|_| detects(Guard::BusyElsewhere, true)) {
        return Some(LeftOutReason::InAnotherRollout(busy.clone()));
    }
    let lacking = unmet.filter(|unmet| unmet.waits_for().is_none());
    lacking.cloned().map(LeftOutReason::Packages)
}

fn approved(releases: &BTreeMap<&Platform, &Release>) -> Vec<ReleaseId> {
    let approved = releases.values().filter(|it| it.status == ReleaseStatus::Approved);
    approved.map(|it| it.release.id.clone()).collect()
}

fn planned_ring<'a>(
    planning: &Planning<'a>,
    estimate: &mut Estimate<'a>,
    name: &str,
    releases: &BTreeMap<&'a Platform, &'a Release>,
    devices: &[&'a FleetDevice],
) -> PlannedRing {
    let release = |device: &FleetDevice| releases[&device.facts.platform];
    let planned = devices.iter().map(|device| PlannedDevice {
        device: device.id.clone(),
        hostname: device.facts.hostname.clone(),
        release: release(device).release.id.clone(),
        active: device.facts.version_of(&planning.spec.package).map(str::to_owned),
        offline_since: planning.is_offline(device).then_some(device.last_seen),
        kept_out: device.kept_out.as_ref().map(Reason::from),
        waits_for: None,
        waits: None,
    });
    PlannedRing {
        name: name.to_owned(),
        devices: planned.collect(),
        bytes: devices.iter().map(|device| estimate.bytes(release(device), &device.facts)).sum(),
        expected: expected(planning, devices.len() as u64),
    }
}

/// As many waves as it takes with so many in flight, each an installation and a soak.
fn expected(planning: &Planning<'_>, devices: u64) -> Span {
    let waves = match u64::from(planning.spec.max_in_flight) {
        0 => devices.min(1),
        limit => devices.div_ceil(limit),
    };
    let wave = planning.install_time.as_millis().saturating_add(planning.spec.soak.as_millis());
    Span::from_millis(waves.saturating_mul(wave))
}

fn warnings(planning: &Planning<'_>, rings: &[PlannedRing]) -> Vec<String> {
    let mut warnings = Vec::new();
    for ring in rings.iter().filter(|ring| ring.devices.is_empty()) {
        warnings.push(format!("ring `{}` moves no device, so it passes at once", ring.name));
    }
    for ring in &planning.spec.rings {
        let gate = ring.gate.as_ref().unwrap_or(&planning.spec.gate);
        if let (Some(rate), Some(fewest)) = (gate.max_failure_rate, fewest(gate)) {
            warnings.push(format!(
                "ring `{}`: {fewest} successes without a failure are the fewest that show a \
                 failure rate under {rate} with {} confidence",
                ring.name, gate.confidence
            ));
        }
    }
    if let Some(publish) = &planning.spec.publish {
        warnings.push(format!(
            "published: each device may wait for its user for {}, and so may each ring",
            publish.deadline
        ));
    }
    let devices = || rings.iter().flat_map(|ring| &ring.devices);
    let offline = devices().filter(|device| device.offline_since.is_some()).count();
    if offline > 0 {
        warnings
            .push(format!("offline: {offline} of the devices, held apart until they come back"));
    }
    let kept_out = devices().filter(|device| device.kept_out.is_some()).count();
    if kept_out > 0 {
        warnings.push(format!(
            "held or in quarantine: {kept_out} of the devices, held apart until they are let in"
        ));
    }
    let waiting = devices().filter(|device| device.waits_for.is_some()).count();
    if waiting > 0 {
        warnings.push(format!(
            "waiting for a package: {waiting} of the devices, until the rollout has ended that \
             brings it"
        ));
    }
    let is_known = |version: &String| {
        let mut releases = planning.releases.iter();
        releases.any(|release| release.release.version == *version)
    };
    let unknown = devices().filter_map(|it| it.active.as_ref()).filter(|it| !is_known(it)).count();
    if unknown > 0 {
        warnings.push(format!(
            "active version not in the catalog: {unknown} of the devices, which go back to it by \
             themselves if they fail, but which a rollback by order would not reach"
        ));
    }
    warnings
}
