//! A small world to try the engine in: a server's memory, devices, and a clock.

mod decisions;
mod model;
mod packages;
mod planning;
mod publishing;
mod scenarios;
mod signals;

use std::collections::BTreeMap;

use super::*;
use crate::emergency::EmergencyStop;
use crate::event::Change;
use crate::ids::DeviceId;
use crate::order::{Failure, FailureKind, Step};
use crate::time::{Span, Timestamp};

/// A device and what it really does, whatever the server knows of it.
#[derive(Debug, Clone)]
struct Machine {
    generation: u64,
    want: Option<WantKind>,
    step: Step,
    is_online: bool,
    is_bad: bool,
    /// What it tells when it fails.
    failure: Option<Failure>,
    has_new: bool,
}

/// The server's memory and the machines.
#[derive(Debug)]
struct World {
    view: RolloutView,
    now: Timestamp,
    machines: BTreeMap<DeviceId, Machine>,
    last_generation: u64,
    /// Every change so far.
    done: Vec<Action>,
}

fn spec(yaml: &str) -> RolloutSpec {
    serde_saphyr::from_str(&format!("{{name: r, version: 1.27.3, {yaml}}}")).unwrap()
}

impl World {
    /// A rollout that has just started, with so many devices in each ring, all online.
    fn new(spec: RolloutSpec, sizes: &[usize]) -> Self {
        let now = Timestamp::from_millis(1_000_000_000);
        assert_eq!(spec.rings.len(), sizes.len());
        let (mut devices, mut machines) = (Vec::new(), BTreeMap::new());
        for (ring, size) in sizes.iter().enumerate() {
            for place in 0..*size {
                let device = device_view(&format!("d{ring}{place:02}"), ring as u32, now);
                let machine = Machine {
                    generation: 0,
                    want: None,
                    step: Step::Waiting,
                    is_online: true,
                    is_bad: false,
                    failure: None,
                    has_new: false,
                };
                machines.insert(device.device.clone(), machine);
                devices.push(device);
            }
        }
        let view = RolloutView {
            id: "r1".parse().unwrap(),
            rings: vec![RingView::WAITING; spec.rings.len()],
            spec,
            state: RolloutState::Running,
            cause: None,
            author: "tester".to_owned(),
            started_at: now,
            changed_at: now,
            devices: devices.into(),
            left_out: Vec::new(),
            unapproved: Vec::new(),
            emergency: None,
            exposure: None,
            listening_since: now,
        };
        Self { view, now, machines, last_generation: 0, done: Vec::new() }
    }

    fn id(&self, place: usize) -> DeviceId {
        self.view.devices[place].device.clone()
    }

    fn machine(&mut self, place: usize) -> &mut Machine {
        let id = self.id(place);
        self.machines.get_mut(&id).unwrap()
    }

    /// Time passes; machines that are online are heard.
    fn pass(&mut self, span: Span) {
        self.now = self.now + span;
        for device in &mut self.view.devices {
            if self.machines[&device.device].is_online {
                device.last_seen = self.now;
            }
        }
    }

    /// What the server does next, and does.
    fn tick(&mut self) -> Vec<Action> {
        let actions = advance(&self.view, self.now);
        self.apply(&actions);
        actions
    }

    fn apply(&mut self, actions: &[Action]) {
        for action in actions {
            apply(&mut self.view, action, self.now);
            self.done.push(action.clone());
            if let Action::Order { device, .. } = action {
                self.last_generation += 1;
                let generation = self.last_generation;
                let found = self.view.devices.iter_mut().find(|it| it.device == *device);
                found.unwrap().order.as_mut().unwrap().generation = generation;
            }
        }
    }

    fn command(&mut self, asked: Command) -> Result<(), Refused> {
        let actions = command(&self.view, asked, "tester")?;
        self.apply(&actions);
        Ok(())
    }

    /// The machine takes one step with its order, if it is online.
    fn work(&mut self, place: usize) {
        let order = self.view.devices[place].order;
        let machine = self.machine(place);
        let Some(order) = order.filter(|_| machine.is_online) else { return };
        if order.generation > machine.generation {
            (machine.generation, machine.want) = (order.generation, Some(order.want));
            machine.step = match order.want {
                WantKind::Activate | WantKind::Offer => Step::Fetching,
                WantKind::Revert => Step::Reverting,
                WantKind::Hold => Step::Skipped,
            };
            return;
        }
        machine.step = match machine.step {
            Step::Fetching => Step::Staged,
            Step::Staged if machine.want == Some(WantKind::Offer) => Step::Staged,
            Step::Staged => Step::Activating,
            Step::Activating => Step::Verifying,
            Step::Verifying if machine.is_bad => Step::Failed,
            Step::Verifying => Step::Soaking,
            Step::Soaking => Step::Accepted,
            Step::Failed => Step::Reverting,
            Step::Reverting => Step::Reverted,
            last => last,
        };
        match machine.step {
            Step::Verifying => machine.has_new = true,
            Step::Reverted => machine.has_new = false,
            _ => {}
        }
    }

    /// The machine's report arrives.
    fn report(&mut self, place: usize) {
        let machine = self.machine(place).clone();
        if machine.is_online {
            self.receive(place, &machine);
        }
    }

    /// A report arrives, as storage takes it.
    fn receive(&mut self, place: usize, machine: &Machine) {
        let now = self.now;
        let device = &mut self.view.devices[place];
        device.last_seen = now;
        device.active = Some(if machine.has_new { "1.27.3" } else { "1.27.2" }.to_owned());
        let Some(order) = device.order.as_mut() else { return };
        if order.generation != machine.generation {
            return;
        }
        device.is_silent = false;
        if device.step != machine.step {
            (device.step, device.since, order.progressed_at) = (machine.step, now, now);
            if machine.step == Step::Failed {
                device.failure = machine.failure.clone();
            }
        }
    }

    /// Machines work and report, time passes, the server ticks, until `until` holds.
    fn run_until(&mut self, until: impl Fn(&RolloutView) -> bool) {
        for _ in 0..500 {
            self.tick();
            if until(&self.view) {
                return;
            }
            for place in 0..self.view.devices.len() {
                self.work(place);
                self.report(place);
            }
            self.pass(Span::from_secs(1));
        }
        panic!("it never happened: {:#?}", status(&self.view, 0, self.now));
    }

    fn steps(&self) -> Vec<Step> {
        self.view.devices.iter().map(|device| device.step).collect()
    }

    fn ring_states(&self) -> Vec<RingState> {
        self.view.rings.iter().map(|ring| ring.state).collect()
    }

    fn reason(&self, place: usize) -> Option<String> {
        let device = &self.view.devices[place];
        let status = status(&self.view, 0, self.now);
        let mut all = status.rings_detail.into_iter().flat_map(|ring| ring.devices);
        all.find(|it| it.device == device.device).unwrap().reason.map(|reason| reason.code)
    }
}

const TWO_RINGS: &str = "soak: 2s, silence_after: 60s, offline_after: 30s, \
                         rings: [{name: test, count: 1}, {name: all, rest: true}]";

fn two_rings(more: &str, sizes: [usize; 2]) -> World {
    World::new(spec(&format!("{TWO_RINGS}{more}")), &sizes)
}

/// What gates decided, as storage keeps it.
fn decisions(done: &[Action]) -> Vec<Change> {
    let decided = done.iter().filter_map(|action| {
        let Action::SetRing { ring, state, inputs: Some(inputs) } = action else { return None };
        Some(Change::RingState {
            rollout: "r1".parse().unwrap(),
            ring: format!("ring {ring}"),
            state: *state,
            reason: inputs.reason(),
            inputs: Some(inputs.clone()),
        })
    });
    decided.collect()
}

fn device_view(id: &str, ring: u32, now: Timestamp) -> DeviceView {
    DeviceView {
        device: id.parse().unwrap(),
        hostname: id.to_owned(),
        ring,
        release: "go-1.27.3-linux-amd64".parse().unwrap(),
        step: Step::Waiting,
        since: now,
        order: None,
        previous: Previous::Release("go-1.27.2-linux-amd64".parse().unwrap()),
        active: Some("1.27.2".to_owned()),
        last_seen: now,
        is_silent: false,
        attempts: 0,
        offered_at: None,
        assigned_by: None,
        is_waived: false,
        quarantined_for: None,
        earlier_failures: Vec::new(),
        kept_out: None,
        unmet: None,
        superseded_by: None,
        bytes_downloaded: 0,
        way: None,
        archive_bytes: 75_500_000,
        failure: None,
    }
}
