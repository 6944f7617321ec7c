//! What all runs of a forecast share: the rollout as it would be started, and what is known of its
//! devices.

use std::collections::HashMap;

use super::absence::Calendar;
use super::behaviour::{Model, Took};
use super::{Forecasting, RolloutPlan};
use crate::anomaly::Class;
use crate::facts::Facts;
use crate::ids::{DeviceId, ReleaseId};
use crate::offer::Offer;
use crate::order::{Evidence, Order, Receipt, Step, Want};
use crate::release::ReleaseRef;
use crate::rollout::estimate::Estimate;
use crate::rollout::{
    DeviceView, FleetDevice, Hearing, Previous, RingView, RolloutSpec, RolloutState, RolloutView,
};
use crate::time::{Span, Timestamp};
use crate::window::{Opening, Zone};

const MINUTE_MS: i64 = 60_000;

/// What all runs share.
pub(super) struct Fleet<'a> {
    /// The rollout as it is started.
    pub(super) view: RolloutView,
    /// What is known of its devices, in the order of the view.
    pub(super) devices: Vec<Device<'a>>,
    /// Where each device stands in both.
    pub(super) places: HashMap<DeviceId, usize>,
    /// The orders for each release.
    pub(super) orders: Vec<Orders>,
    /// The sites; devices without one are at the site without a name.
    pub(super) sites: Vec<String>,
    /// How many devices have not told their zone.
    pub(super) without_zone: u64,
    /// When they go away.
    pub(super) calendar: Calendar,
    zones: Vec<Zone>,
}

/// What is known of a device.
pub(super) struct Device<'a> {
    /// Its times that count.
    pub(super) times: &'a [Took],
    /// Bytes that it downloads.
    pub(super) bytes: u64,
    /// Since when it has been away, if it is.
    pub(super) away_since: Option<Timestamp>,
    /// Place of its site.
    pub(super) site: usize,
    /// Place of its zone.
    pub(super) zone: usize,
    /// Place of the orders for its release.
    pub(super) order: usize,
}

/// What a device that gets a release may be ordered.
pub(super) struct Orders {
    pub(super) activate: Order,
    /// If the rollout is published.
    pub(super) offer: Option<Order>,
    pub(super) revert: Order,
    pub(super) hold: Order,
    /// What proves that the release was activated.
    pub(super) receipt: Receipt,
}

/// What is known of when windows are open, by zone and minute: no window begins or ends within a
/// minute.
#[derive(Debug, Default)]
pub(super) struct Windows(HashMap<(usize, i64), Opening>);

impl<'a> Fleet<'a> {
    pub(super) fn new(asked: &Forecasting<'_>, plan: &RolloutPlan, model: &'a Model) -> Self {
        let planning = &asked.planning;
        let known: HashMap<&DeviceId, &FleetDevice> =
            planning.fleet.iter().map(|it| (&it.id, it)).collect();
        let mut fleet = Self {
            view: started(asked, plan, &known),
            devices: Vec::new(),
            places: HashMap::new(),
            orders: Vec::new(),
            sites: Vec::new(),
            without_zone: 0,
            calendar: Calendar::new(&asked.behaviour.absences, planning.now),
            zones: Vec::new(),
        };
        let mut estimate = Estimate::new(planning);
        let mut kinds = Kinds::default();
        for (place, view) in fleet.view.devices.iter().enumerate() {
            let device = known[&view.device];
            let release = planning.releases.iter().find(|it| it.release.id == view.release);
            let release = release.expect("a plan names releases of its catalog");
            let patience = planning.spec.offline_after;
            let hearing =
                Hearing::of(device.last_seen, planning.listening_since, patience, planning.now);
            fleet.without_zone += u64::from(device.facts.zone.is_none());
            fleet.places.insert(view.device.clone(), place);
            fleet.devices.push(Device {
                times: model.times(&device.id, &Class::of(&device.facts)),
                bytes: estimate.bytes(release, &device.facts),
                away_since: (hearing != Hearing::Heard).then_some(device.last_seen),
                site: kinds.site(&device.facts),
                zone: kinds.zone(&device.facts),
                order: kinds.release(&view.release),
            });
        }
        let view = &fleet.view;
        let reference = |id: &ReleaseId| planning.releases.iter().find(|it| it.release.id == *id);
        let found = kinds.releases.iter().filter_map(reference);
        fleet.orders = found.map(|it| Orders::of(view, &it.release)).collect();
        (fleet.sites, fleet.zones) = (kinds.sites, kinds.zones);
        fleet
    }

    /// Whether the rollout's window is open for a device in a zone.
    pub(super) fn opening(&self, zone: usize, at: Timestamp, windows: &mut Windows) -> Opening {
        let Some(window) = &self.view.spec.window else { return Opening::Open };
        let key = (zone, at.as_millis().div_euclid(MINUTE_MS));
        *windows.0.entry(key).or_insert_with(|| window.opening(at, &self.zones[zone]))
    }

    pub(super) fn soak(&self) -> Span {
        self.view.spec.soak
    }

    /// How long the server waits for a sign of life.
    pub(super) fn patience(&self) -> Span {
        self.view.spec.silence_after
    }
}

/// The sites, zones and releases that there are, each once.
#[derive(Default)]
struct Kinds {
    sites: Vec<String>,
    zones: Vec<Zone>,
    zone_of: HashMap<Option<String>, usize>,
    releases: Vec<ReleaseId>,
}

impl Kinds {
    fn site(&mut self, facts: &Facts) -> usize {
        let name = facts.labels.get("site").map_or("", String::as_str);
        place_of(&mut self.sites, |it| it == name, || name.to_owned())
    }

    fn release(&mut self, id: &ReleaseId) -> usize {
        place_of(&mut self.releases, |it| it == id, || id.clone())
    }

    fn zone(&mut self, facts: &Facts) -> usize {
        if let Some(place) = self.zone_of.get(&facts.zone) {
            return *place;
        }
        self.zones.push(facts.clock_zone());
        self.zone_of.insert(facts.zone.clone(), self.zones.len() - 1);
        self.zones.len() - 1
    }
}

fn place_of<T>(all: &mut Vec<T>, is_it: impl Fn(&T) -> bool, it: impl FnOnce() -> T) -> usize {
    all.iter().position(is_it).unwrap_or_else(|| {
        all.push(it());
        all.len() - 1
    })
}

/// The rollout as storage would hold it after its start.
fn started(
    asked: &Forecasting<'_>,
    plan: &RolloutPlan,
    known: &HashMap<&DeviceId, &FleetDevice>,
) -> RolloutView {
    let planning = &asked.planning;
    let rings = plan.rings.iter().enumerate();
    let devices = rings.flat_map(|(ring, planned)| {
        planned.devices.iter().map(move |device| {
            waiting(known[&device.device], ring as u32, &device.release, planning.now)
        })
    });
    let mut spec = plan.spec.clone();
    forget_canaries(&mut spec);
    RolloutView {
        id: "forecast".parse().expect("a word is an id"),
        spec,
        state: RolloutState::Running,
        cause: None,
        author: String::new(),
        started_at: planning.now,
        changed_at: planning.now,
        devices: devices.collect(),
        rings: vec![RingView::WAITING; plan.rings.len()],
        left_out: Vec::new(),
        unapproved: Vec::new(),
        emergency: None,
        exposure: asked.exposure,
        listening_since: planning.listening_since,
    }
}

/// No signals are played, so each look at them is taken to be fine.
fn forget_canaries(spec: &mut RolloutSpec) {
    spec.gate.canary = None;
    for gate in spec.rings.iter_mut().filter_map(|ring| ring.gate.as_mut()) {
        gate.canary = None;
    }
}

/// A device that waits for its first order. Names for people are left out: every run copies it.
fn waiting(device: &FleetDevice, ring: u32, release: &ReleaseId, now: Timestamp) -> DeviceView {
    DeviceView {
        device: device.id.clone(),
        hostname: String::new(),
        ring,
        release: release.clone(),
        step: Step::Waiting,
        since: now,
        order: None,
        offered_at: None,
        assigned_by: None,
        previous: Previous::Nothing,
        active: None,
        last_seen: device.last_seen,
        is_silent: false,
        attempts: 0,
        is_waived: false,
        quarantined_for: None,
        earlier_failures: Vec::new(),
        kept_out: device.kept_out.clone(),
        unmet: None,
        superseded_by: None,
        bytes_downloaded: 0,
        way: None,
        archive_bytes: 0,
        failure: None,
    }
}

impl Orders {
    fn of(view: &RolloutView, release: &ReleaseRef) -> Self {
        let order = |want| Order {
            device: "forecast".parse().expect("a word is an id"),
            epoch: 1,
            generation: 1,
            issued_at: view.started_at,
            rollout: view.id.clone(),
            want,
        };
        Self {
            activate: order(Want::Activate {
                release: release.clone(),
                soak: view.spec.soak,
                window: view.spec.window.clone(),
            }),
            offer: view.spec.publish.as_ref().map(|publish| {
                let offer = Offer::of(publish, view.started_at);
                order(Want::Offer { release: release.clone(), offer })
            }),
            revert: order(Want::Revert { release: None }),
            hold: order(Want::Hold),
            receipt: receipt(release, view.started_at),
        }
    }
}

/// What a device sends that has activated a release.
fn receipt(release: &ReleaseRef, at: Timestamp) -> Receipt {
    Receipt {
        outcome: Step::Accepted,
        active: Some(release.version.clone()),
        manifest: None,
        files_verified: 0,
        evidence: Some(Evidence {
            go_sha256: release.manifest,
            go_version: format!("go version go{}", release.version),
            goroot: String::new(),
            path_hit: None,
            path_is_managed: false,
            program_output: String::new(),
            took: Span::ZERO,
        }),
        bytes_downloaded: 0,
        way: None,
        started_at: at,
        finished_at: at,
        steps: Vec::new(),
        failure: None,
    }
}
