//! A simulated server: the real planner, engine and report rules on a database in memory.
//!
//! What stands here in place of `storage` and the HTTP handlers does nothing but keep rows. A
//! backup is a clone.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use gofleet_core::canary::Ledger;
use gofleet_core::dependency::Dependencies;
use gofleet_core::digest::Digest;
use gofleet_core::emergency::EmergencyStop;
use gofleet_core::facts::Facts;
use gofleet_core::hold::{KeptOut, Quarantine};
use gofleet_core::ids::{DeviceId, ReleaseId, RolloutId};
use gofleet_core::offer::Offer;
use gofleet_core::order::{Failure, Order, Progress, Step, Want, next_generation};
use gofleet_core::release::{Archive, ArchiveFormat, Platform, Release, ReleaseRef, ReleaseStatus};
use gofleet_core::rollout::{
    self, Action, DeviceView, FleetDevice, News, Planning, Previous, RingView, RolloutPlan,
    RolloutSpec, RolloutState, RolloutView, Told, WantKind,
};
use gofleet_core::time::{Span, Timestamp};
use gofleet_core::window::Window;

use crate::device::OwnFacts;
use crate::scenario::VERSIONS;
use crate::world::Watching;

/// The agent that devices have.
pub const AGENT: &str = "0.2.0";
/// One that is too old for every release.
pub const OLD_AGENT: &str = "0.1.0";
/// What every release requires.
const REQUIRED: &str = "gofleet-agent>=0.2.0";

/// No place in a list.
pub const NOWHERE: u32 = u32::MAX;

/// A server with its memory of the moment.
#[derive(Debug, Clone)]
pub struct Server {
    /// What it would find again after a kill.
    pub database: Database,
    /// Whether it runs.
    pub is_up: bool,
    /// Since when.
    pub listening_since: Timestamp,
    /// The poll of each device that waits for an order: its number, and after which generation.
    pub parked: Vec<Option<(u64, u64)>>,
    /// Whether a tick is on its way.
    pub is_nudged: bool,
    /// The reports that this server has taken.
    pub taken: BTreeSet<u64>,
    /// What devices measured since it runs.
    pub canaries: Ledger,
    /// The watch over anomalies, if there is one.
    pub watching: Option<Watching>,
}

/// What a server keeps.
#[derive(Debug, Clone)]
pub struct Database {
    /// Its epoch.
    pub epoch: u64,
    /// The devices, by place.
    pub devices: Vec<Row>,
    /// The rollouts, oldest first.
    pub rollouts: Vec<Rollout>,
    /// The catalog.
    pub releases: Rc<Vec<Release>>,
    /// Which versions are blocked, by place in [`VERSIONS`].
    pub blocked: BTreeSet<usize>,
    /// The emergency stop, while it holds.
    pub emergency: Option<EmergencyStop>,
}

/// A device, as the server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The device.
    pub id: DeviceId,
    /// The highest generation that was given to it or heard from it.
    pub generation: u64,
    /// What is active on it.
    pub active: Option<String>,
    /// When it was heard last.
    pub last_seen: Timestamp,
    /// Whether it has enrolled.
    pub is_enrolled: bool,
    /// Its label.
    pub team: &'static str,
    /// Its agent's version.
    pub agent: &'static str,
    /// Why it is kept out of rollouts.
    pub kept_out: Option<KeptOut>,
    /// Its orders, oldest first.
    pub orders: Vec<OrderRow>,
}

/// An order, and what was told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRow {
    /// The order.
    pub order: Order,
    /// What it is remembered by.
    pub digest: Digest,
    /// Where the device stands.
    pub step: Step,
    /// Of the latest report that counted.
    pub sequence: Option<u64>,
    /// What failed.
    pub failure: Option<Failure>,
}

/// A rollout, with what the checks want to know of it.
#[derive(Debug, Clone)]
pub struct Rollout {
    /// As the engine sees it.
    pub view: RolloutView,
    /// As it was planned.
    pub plan: Rc<RolloutPlan>,
    /// Where each device stands in the view; [`NOWHERE`] if it is not in it.
    pub places: Rc<Vec<u32>>,
    /// The devices that came late, each with the ring that it joined.
    pub joined: BTreeMap<usize, u32>,
    /// The devices at which it has to look whether they are late.
    pub changed: BTreeSet<usize>,
    /// How often each device of the view may still be ordered to activate.
    pub attempts_left: Vec<u32>,
}

impl Row {
    /// What the device told of itself last.
    pub fn facts(&self) -> OwnFacts {
        OwnFacts { active: self.active.clone(), team: self.team, agent: self.agent }
    }
}

impl Server {
    /// Begins to serve what is in a database.
    pub fn start(database: Database, now: Timestamp) -> Self {
        let parked = vec![None; database.devices.len()];
        Self {
            database,
            is_up: true,
            listening_since: now,
            parked,
            is_nudged: false,
            taken: BTreeSet::new(),
            canaries: Ledger::default(),
            watching: None,
        }
    }
}

impl Database {
    /// How many devices are in flight or broken in other rollouts than this.
    pub fn exposed_elsewhere(&self, rollout: usize) -> u32 {
        let others = self.rollouts.iter().enumerate().filter(|(at, _)| *at != rollout);
        let moving = others.filter(|(_, it)| !it.view.state.is_final());
        let devices = moving.flat_map(|(_, it)| &it.view.devices);
        devices.filter(|device| device.is_exposed()).count() as u32
    }

    /// The newest order of a device after a generation.
    pub fn order_after(&self, device: usize, after: u64) -> Option<&Order> {
        let latest = self.devices[device].orders.last().map(|row| &row.order)?;
        (latest.generation > after).then_some(latest)
    }

    /// Plans a rollout and starts it. In words why not, if not.
    pub fn start(&mut self, spec: &RolloutSpec, now: Timestamp) -> Result<usize, String> {
        let fleet: Vec<FleetDevice> = self
            .devices
            .iter()
            .filter(|row| row.is_enrolled)
            .map(|row| self.fleet_device(row))
            .collect();
        let releases = self.catalog();
        let planning = Planning {
            spec,
            releases: &releases,
            fleet: &fleet,
            collections: &[],
            moving: &[],
            artifacts: &[],
            seed: &spec.name,
            install_time: Planning::ASSUMED_INSTALL_TIME,
            now,
            listening_since: now,
        };
        let plan = rollout::plan(&planning).map_err(|error| error.to_string())?;
        let id: RolloutId = format!("r{}", self.rollouts.len() + 1).parse().expect("a short word");
        self.rollouts.push(self.rollout(id, plan, now));
        Ok(self.rollouts.len() - 1)
    }

    pub(crate) fn catalog(&self) -> Vec<Release> {
        let mut releases = self.releases.to_vec();
        for blocked in &self.blocked {
            releases[*blocked].status = ReleaseStatus::Blocked;
        }
        releases
    }

    pub(crate) fn fleet_device(&self, row: &Row) -> FleetDevice {
        let is_busy = |rollout: &&Rollout| {
            let in_it = rollout.view.devices.iter().find(|device| device.device == row.id);
            // Who was taken back is tried again at a resume.
            let is_free = |it: &DeviceView| {
                it.step == Step::Skipped && rollout.view.state != RolloutState::Paused
            };
            !rollout.view.state.is_final() && in_it.is_some_and(|it| !is_free(it))
        };
        let busy_with = self.rollouts.iter().find(is_busy).map(|rollout| rollout.view.id.clone());
        Self::fleet_device_of(row, busy_with)
    }

    /// A device as the planner sees it.
    pub fn fleet_device_of(row: &Row, busy_with: Option<RolloutId>) -> FleetDevice {
        FleetDevice {
            id: row.id.clone(),
            facts: Facts {
                hostname: row.id.to_string(),
                platform: platform(),
                os_version: String::new(),
                processors: 2,
                free_bytes: 0,
                agent_version: row.agent.to_owned(),
                active: row.active.clone(),
                packages: Default::default(),
                found: Vec::new(),
                zone: None,
                labels: [("team".to_owned(), row.team.to_owned())].into(),
                collections: Default::default(),
            },
            last_seen: row.last_seen,
            busy_with,
            kept_out: row.kept_out.clone(),
        }
    }

    fn rollout(&self, id: RolloutId, plan: RolloutPlan, now: Timestamp) -> Rollout {
        let mut devices = Vec::new();
        let mut places = vec![NOWHERE; self.devices.len()];
        for (ring, planned) in plan.rings.iter().enumerate() {
            for device in &planned.devices {
                let row = self.row_of(&device.device);
                places[row] = devices.len() as u32;
                devices.push(self.device_view(
                    &self.devices[row],
                    ring,
                    device.release.clone(),
                    now,
                ));
            }
        }
        let view = RolloutView {
            id,
            spec: plan.spec.clone(),
            state: RolloutState::Running,
            cause: None,
            author: "operator".to_owned(),
            started_at: now,
            changed_at: now,
            rings: vec![RingView::WAITING; plan.rings.len()],
            devices: devices.into(),
            left_out: plan.left_out.clone(),
            unapproved: Vec::new(),
            emergency: None,
            exposure: None,
            listening_since: now,
        };
        let attempts_left = vec![1; view.devices.len()];
        let (plan, places) = (Rc::new(plan), Rc::new(places));
        let (joined, changed) = (BTreeMap::new(), BTreeSet::new());
        Rollout { view, plan, places, joined, changed, attempts_left }
    }

    pub(crate) fn device_view(
        &self,
        row: &Row,
        ring: usize,
        release: ReleaseId,
        now: Timestamp,
    ) -> DeviceView {
        DeviceView {
            unmet: self.unmet(row, &release),
            device: row.id.clone(),
            hostname: row.id.to_string(),
            ring: ring as u32,
            release,
            step: Step::Waiting,
            since: now,
            order: None,
            previous: self.previous(row.active.as_deref()),
            active: row.active.clone(),
            last_seen: row.last_seen,
            is_silent: false,
            attempts: 0,
            offered_at: None,
            assigned_by: None,
            is_waived: false,
            quarantined_for: None,
            earlier_failures: Vec::new(),
            kept_out: row.kept_out.clone(),
            superseded_by: None,
            bytes_downloaded: 0,
            way: None,
            archive_bytes: 0,
            failure: None,
        }
    }

    /// What an order to go back would name, while this version is active.
    fn previous(&self, active: Option<&str>) -> Previous {
        match active {
            None => Previous::Nothing,
            Some(version) => match self.releases.iter().find(|it| it.release.version == version) {
                Some(release) => Previous::Release(release.release.id.clone()),
                None => Previous::Unknown(version.to_owned()),
            },
        }
    }

    /// Makes a change that the engine decided; gives the place of the device that got an order.
    pub fn apply(&mut self, rollout: usize, action: &Action, now: Timestamp) -> Option<usize> {
        let view = &self.rollouts[rollout].view;
        let window = match action {
            Action::Order { device, .. } => {
                let mut devices = view.devices.iter();
                devices.find(|it| it.device == *device).and_then(|it| view.window_of(it))
            }
            _ => None,
        };
        rollout::apply(&mut self.rollouts[rollout].view, action, now);
        match action {
            Action::Order { device, want } => {
                let row = self.row_of(device);
                self.order(rollout, row, (*want, window), now);
                Some(row)
            }
            Action::Requeue { device } => {
                let row = self.row_of(device);
                let previous = self.previous(self.devices[row].active.as_deref());
                let place = self.rollouts[rollout].places[row] as usize;
                self.rollouts[rollout].view.devices[place].previous = previous;
                self.rollouts[rollout].attempts_left[place] += 1;
                self.note_superseded(row);
                None
            }
            Action::Quarantine { device, cause } => {
                let row = self.row_of(device);
                let quarantine = Quarantine { cause: cause.clone(), at: now };
                self.keep_out(row, Some(KeptOut::Quarantine(quarantine)));
                None
            }
            Action::MarkSilent { .. }
            | Action::Assign { .. }
            | Action::Waive { .. }
            | Action::SetRing { .. }
            | Action::Look { .. }
            | Action::SetState { .. } => None,
        }
    }

    /// The place of a device.
    pub fn row_of(&self, device: &DeviceId) -> usize {
        let found = self.devices.binary_search_by(|row| row.id.cmp(device));
        found.expect("devices stand in the order of their ids")
    }

    fn order(
        &mut self,
        rollout: usize,
        row: usize,
        (want, window): (WantKind, Option<Window>),
        now: Timestamp,
    ) {
        let generation = next_generation(self.epoch, self.devices[row].generation);
        self.devices[row].generation = generation;
        let place = self.rollouts[rollout].places[row] as usize;
        let view = &mut self.rollouts[rollout].view;
        let device = &mut view.devices[place];
        device.order.as_mut().expect("it was just ordered").generation = generation;
        let named = |id: &ReleaseId| self.releases.iter().find(|it| it.release.id == *id);
        let want = match want {
            WantKind::Hold => Want::Hold,
            WantKind::Activate => {
                let release = named(&device.release).expect("the plan took it from the catalog");
                Want::Activate { release: release.release.clone(), soak: view.spec.soak, window }
            }
            WantKind::Offer => {
                let release = named(&device.release).expect("the plan took it from the catalog");
                let publish =
                    view.spec.publish.as_ref().expect("only what is published is offered");
                let offer = Offer::of(publish, device.offered_at.unwrap_or(now));
                Want::Offer { release: release.release.clone(), offer }
            }
            WantKind::Revert => match &device.previous {
                Previous::Release(id) => {
                    Want::Revert { release: named(id).map(|release| release.release.clone()) }
                }
                Previous::Nothing => Want::Revert { release: None },
                Previous::Unknown(_) => Want::Hold,
            },
        };
        let order = Order {
            device: device.device.clone(),
            epoch: self.epoch,
            generation,
            issued_at: now,
            rollout: view.id.clone(),
            want,
        };
        let digest = gofleet_core::agent::Seen::of(&order).digest;
        let (step, sequence, failure) = (Step::Offered, None, None);
        self.devices[row].orders.push(OrderRow { order, digest, step, sequence, failure });
        self.note_superseded(row);
    }

    /// Notes in every rollout of a device whether another one has ordered something since.
    fn note_superseded(&mut self, row: usize) {
        let latest = self.devices[row].orders.last().map(|order| order.order.rollout.clone());
        for rollout in &mut self.rollouts {
            let place = rollout.places[row];
            if place != NOWHERE {
                let device = &mut rollout.view.devices[place as usize];
                let elsewhere = latest.clone().filter(|it| *it != rollout.view.id);
                device.superseded_by = elsewhere.filter(|_| device.order.is_some());
            }
        }
    }

    /// A device was heard.
    pub fn touch(&mut self, row: usize, now: Timestamp) {
        self.devices[row].last_seen = now;
        self.in_views(row, |device, _| device.last_seen = now);
    }

    pub(crate) fn in_views(
        &mut self,
        row: usize,
        mut change: impl FnMut(&mut DeviceView, &RolloutId),
    ) {
        for rollout in &mut self.rollouts {
            let place = rollout.places[row];
            if place != NOWHERE {
                change(&mut rollout.view.devices[place as usize], &rollout.view.id);
            }
        }
    }

    /// Takes what a device tells of itself.
    pub fn take_facts(&mut self, row: usize, facts: &OwnFacts) {
        if self.devices[row].facts() != *facts {
            self.note_changed(row);
        }
        let OwnFacts { active, team, agent } = facts;
        (self.devices[row].team, self.devices[row].agent) = (*team, *agent);
        self.note_packages(row);
        if self.devices[row].active != *active {
            let previous = self.previous(active.as_deref());
            self.devices[row].active.clone_from(active);
            self.in_views(row, |device, _| {
                device.active.clone_from(active);
                // While a user thinks it over, something else may become active.
                if matches!(device.want(), None | Some(WantKind::Offer)) {
                    device.previous.clone_from(&previous);
                }
            });
        }
    }

    /// Takes how it goes with an order; whether that was news.
    pub fn take_progress(&mut self, row: usize, progress: &Progress, now: Timestamp) -> bool {
        let known = &mut self.devices[row];
        let order = known.orders.iter_mut().rfind(|it| it.order.generation == progress.generation);
        let Some(order) = order else {
            known.generation = known.generation.max(progress.generation);
            return true;
        };
        let told = Told {
            order: &order.order,
            step: order.step,
            sequence: order.sequence,
            bytes_downloaded: 0,
            failure: order.failure.as_ref(),
        };
        let Some(News { step, failure, has_moved }) = rollout::take_report(&told, progress) else {
            return false;
        };
        (order.step, order.sequence) = (step, Some(progress.sequence));
        order.failure.clone_from(&failure);
        let (waits_until, answer) = (progress.waits_until, progress.answer);
        let (of, generation) = (order.order.rollout.clone(), progress.generation);
        self.in_views(row, |device, rollout| {
            let Some(order) = &mut device.order else { return };
            if *rollout != of || order.generation != generation {
                return;
            }
            (order.waits_until, order.answer) = (waits_until, answer);
            if has_moved {
                order.progressed_at = now;
            }
            if device.step != step {
                (device.step, device.since) = (step, now);
            }
            device.is_silent = false;
            device.failure.clone_from(&failure);
        });
        true
    }
}

/// A rollout that has just been started as it was planned, apart from any server.
pub fn started(plan: RolloutPlan, fleet: &[FleetDevice], now: Timestamp) -> RolloutView {
    let row = |device: &FleetDevice| Row {
        id: device.id.clone(),
        generation: 0,
        active: device.facts.active.clone(),
        last_seen: device.last_seen,
        is_enrolled: true,
        team: "a",
        agent: AGENT,
        kept_out: device.kept_out.clone(),
        orders: Vec::new(),
    };
    let database = Database {
        epoch: 1,
        devices: fleet.iter().map(row).collect(),
        rollouts: Vec::new(),
        releases: Rc::new(releases(now)),
        blocked: BTreeSet::new(),
        emergency: None,
    };
    database.rollout("r1".parse().expect("a short word"), plan, now).view
}

/// The platform of every simulated device.
pub fn platform() -> Platform {
    Platform::new("linux", "amd64").expect("both are names")
}

/// A release of each of [`VERSIONS`].
pub fn releases(now: Timestamp) -> Vec<Release> {
    VERSIONS.iter().map(|version| release(version, now)).collect()
}

fn release(version: &str, now: Timestamp) -> Release {
    let package = "go".parse().expect("`go` is a name");
    Release {
        release: ReleaseRef {
            id: release_id(version),
            package,
            version: version.to_owned(),
            platform: platform(),
            manifest: Digest::of(version.as_bytes()),
            archive: Archive {
                sha256: Digest::of(version.as_bytes()),
                size: 75_000_000,
                format: ArchiveFormat::TarGz,
            },
        },
        status: ReleaseStatus::Approved,
        files: 12_087,
        tree_bytes: 250_000_000,
        origin: String::new(),
        imported_at: now - Span::from_secs(3600),
        dependencies: Dependencies {
            requires: vec![REQUIRED.parse().expect("these are versions of a package")],
            conflicts: Vec::new(),
        },
        decision: None,
    }
}

/// The id that a version's release has.
pub fn release_id(version: &str) -> ReleaseId {
    let package = "go".parse().expect("`go` is a name");
    ReleaseRef::id_of(&package, version, &platform()).expect("versions are fit for ids")
}
