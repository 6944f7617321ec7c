//! The fleet, its servers, the network between them, and a clock: what plays a [`Scenario`].
//!
//! Everything happens as an event with its time. Events of one moment happen in the order in which
//! they were made, so one seed gives one story, always.

mod agent;
mod alone;
mod anomaly;
mod check;
mod contact;
mod ending;
mod faults;
mod late;
mod user;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashSet};
use std::rc::Rc;

use gofleet_core::agent::Memory;
use gofleet_core::digest::Digest;
use gofleet_core::ids::{ReleaseId, RolloutId};
use gofleet_core::order::{Order, Progress, next_generation};
use gofleet_core::rollout::{Action, Exposure, GateInputs, advance};
use gofleet_core::time::{Span, Timestamp};
use gofleet_core::window::Zone;

use crate::device::{Device, Disk, OwnFacts};
use crate::invariant::{Invariant, Violation};
use crate::scenario::{Fault, Scenario, UNKNOWN_VERSION, VERSIONS};
use crate::server::{AGENT, Database, Row, Server, releases};

pub use alone::Endings;
pub use anomaly::Watching;

/// The story's beginning: 2026-03-07 20:00 UTC, a Saturday. In the night, clocks go forward in New
/// York.
const BEGINNING_MS: i64 = 1_772_913_600_000;
/// The zones that devices are in.
const ZONES: [&str; 4] = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Tokyo"];
/// How often a server looks at everything, besides when something has changed.
const TICK_EVERY_MS: u64 = 15_000;
/// How often a backup is made.
const BACKUP_EVERY_MS: u64 = 5 * 60_000;
/// No story is longer than this; one that is has not come to its end.
const LONGEST_MS: u64 = 40 * 24 * 3_600_000;

/// What comes of a story.
#[derive(Debug, Clone, Default)]
pub struct Ended {
    /// How many events there were.
    pub events: u64,
    /// How long it took, by the story's clock.
    pub lasted_ms: u64,
    /// The first invariant that did not hold.
    pub violation: Option<Violation>,
    /// What happened, with its time in ms; only if it was asked for.
    pub story: Vec<(u64, String)>,
}

/// Something that happens. In the queue it stands behind a pointer, so its size matters little.
#[expect(clippy::large_enum_variant, reason = "boxed where there are many of them")]
#[derive(Debug, Clone)]
enum Event {
    Start { rollout: usize },
    Fault { place: usize },
    FaultEnds { place: usize },
    FaultsEnd,
    Look,
    Backup,
    Tick { server: usize, is_regular: bool },
    ToServer { server: usize, device: usize, request: Request, id: u64 },
    ToDevice { device: usize, answer: Answer },
    PollOver { server: usize, device: usize, poll: u64 },
    Wake { device: usize, boot: u32, what: Wake },
    Boot { device: usize },
}

/// What a device asks of a server.
#[expect(clippy::large_enum_variant, reason = "boxed where there are many of them")]
#[derive(Debug, Clone)]
enum Request {
    Poll { poll: u64, after: Option<u64> },
    Report { report: u64, progress: Option<Progress>, facts: Option<OwnFacts> },
}

/// What a server answers.
#[derive(Debug, Clone)]
enum Answer {
    Order { poll: u64, order: Rc<Order> },
    NoOrder { poll: u64 },
    Taken { report: u64 },
}

/// What a device waits for.
#[derive(Debug, Clone, Copy)]
enum Wake {
    /// An action is done.
    Acted(u64),
    /// It is time for the next poll.
    Ask(u64),
    /// A poll was not answered.
    PollLost(u64),
    /// A report was not answered.
    ReportAgain(u64),
    /// What could not be written is tried again.
    ThinkAgain,
    /// Facts are told again.
    TellFacts,
}

/// The state of a story.
pub struct World<'a> {
    scenario: &'a Scenario,
    now_ms: u64,
    queue: BinaryHeap<Reverse<(u64, u64, Box<Queued>)>>,
    queued: u64,
    devices: Vec<Device>,
    by_number: BTreeMap<u32, usize>,
    servers: Vec<Server>,
    /// The server that people believe in.
    current: usize,
    /// How wrong the servers' clock is.
    server_clock_ms: i64,
    backups: Vec<(u64, Database)>,
    highest_epoch: u64,
    /// The faults that are on: site cut off, version broken so and so.
    cut_off: HashSet<u64>,
    broken: Vec<Option<(u64, u64)>>,
    crashes: BTreeMap<(usize, u32), Crash>,
    messages: Vec<u64>,
    faults_have_ended: bool,
    has_been_restored: bool,
    has_been_put_back: bool,
    /// Orders that their device has claimed to have brought to acceptance, with evidence.
    claims: HashSet<(usize, Digest)>,
    /// Offers that the user of a device has accepted: rollout and release.
    agreed: HashSet<(usize, RolloutId, ReleaseId)>,
    /// Devices that a person has assigned, with the rollout.
    assigned: HashSet<(usize, RolloutId)>,
    /// The devices that have enrolled in the middle of the story.
    enrolled_late: BTreeSet<usize>,
    last_progress_ms: u64,
    resumed: u32,
    /// Whether nobody helps at the end.
    is_alone: bool,
    is_over: bool,
    events: u64,
    story: Option<Vec<(u64, String)>>,
}

/// How a process ends.
#[derive(Debug, Clone, Copy)]
struct Crash {
    is_done: bool,
    down_ms: u64,
    by_hand: Option<usize>,
}

/// An event in the queue; the queue orders by time and number alone.
#[derive(Debug, Clone)]
struct Queued(Event);

impl PartialEq for Queued {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Queued {}
impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Queued {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

type Held = Result<(), Violation>;

/// Whether an agent goes on at once.
type GoesOn = Result<bool, Violation>;

impl<'a> World<'a> {
    /// Plays a story to its end, or to the first invariant that does not hold.
    pub fn play(scenario: &'a Scenario, is_told: bool) -> Ended {
        let mut world = Self::new(scenario, is_told);
        let violation = world.run().err();
        Ended {
            events: world.events,
            lasted_ms: world.now_ms,
            violation,
            story: world.story.unwrap_or_default(),
        }
    }

    fn new(scenario: &'a Scenario, is_told: bool) -> Self {
        let zones = ZONES.map(|name| Zone::named(name).expect("the rules of all zones come along"));
        let devices: Vec<Device> =
            scenario.devices.iter().map(|number| new_device(scenario, *number, &zones)).collect();
        let start = Timestamp::from_millis(BEGINNING_MS);
        let database = Database {
            epoch: 1,
            devices: devices.iter().map(|device| row(device, start)).collect(),
            rollouts: Vec::new(),
            releases: Rc::new(releases(start)),
            blocked: BTreeSet::new(),
            emergency: None,
        };
        let mut world = Self {
            scenario,
            now_ms: 0,
            queue: BinaryHeap::new(),
            queued: 0,
            by_number: scenario
                .devices
                .iter()
                .enumerate()
                .map(|(at, number)| (*number, at))
                .collect(),
            messages: vec![0; devices.len()],
            devices,
            servers: vec![Server::start(database, start)],
            current: 0,
            server_clock_ms: 0,
            backups: Vec::new(),
            highest_epoch: 1,
            cut_off: HashSet::new(),
            broken: vec![None; VERSIONS.len()],
            crashes: BTreeMap::new(),
            faults_have_ended: false,
            has_been_restored: false,
            has_been_put_back: false,
            claims: HashSet::new(),
            agreed: HashSet::new(),
            assigned: HashSet::new(),
            enrolled_late: BTreeSet::new(),
            last_progress_ms: 0,
            resumed: 0,
            is_alone: false,
            is_over: false,
            events: 0,
            story: is_told.then(Vec::new),
        };
        for (_, fault) in &scenario.faults {
            if let Fault::Enrols { device } = fault
                && let Some(row) = world.by_number.get(device)
            {
                world.servers[0].database.devices[*row].is_enrolled = false;
            }
        }
        world.begin_watching(0);
        world.set_out();
        world
    }

    fn set_out(&mut self) {
        self.at(0, Event::Backup);
        for (place, (at, _)) in self.scenario.faults.iter().enumerate() {
            self.at(*at, Event::Fault { place });
        }
        for (rollout, (at, _)) in self.scenario.rollouts.iter().enumerate() {
            self.at(*at, Event::Start { rollout });
        }
        for device in 0..self.devices.len() {
            self.at(0, Event::Boot { device });
        }
        self.at(0, Event::Tick { server: 0, is_regular: true });
        self.at(self.scenario.faults_end_ms, Event::FaultsEnd);
    }

    fn run(&mut self) -> Held {
        while let Some(Reverse((at, _, event))) = self.queue.pop() {
            self.now_ms = at;
            self.events += 1;
            self.happen(event.0)?;
            if self.is_over {
                return Ok(());
            }
            if self.now_ms > LONGEST_MS {
                return self.broke(crate::invariant::LIVENESS, "the story does not end");
            }
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Held {
        match event {
            Event::Start { rollout } => self.start_rollout(rollout),
            Event::Fault { place } => self.begin_fault(place),
            Event::FaultEnds { place } => {
                self.end_fault(place);
                Ok(())
            }
            Event::FaultsEnd => {
                self.end_faults();
                Ok(())
            }
            Event::Look => self.look(),
            Event::Backup => {
                self.back_up();
                Ok(())
            }
            Event::Tick { server, is_regular } => self.tick(server, is_regular),
            Event::ToServer { server, device, request, id } => {
                self.server_hears(server, device, request, id)
            }
            Event::ToDevice { device, answer } => self.device_hears(device, answer),
            Event::PollOver { server, device, poll } => {
                self.poll_is_over(server, device, poll);
                Ok(())
            }
            Event::Wake { device, boot, what } => self.wake(device, boot, what),
            Event::Boot { device } => self.boot(device),
        }
    }

    fn at(&mut self, at_ms: u64, event: Event) {
        self.queued += 1;
        self.queue.push(Reverse((at_ms.max(self.now_ms), self.queued, Box::new(Queued(event)))));
    }

    fn later(&mut self, ms: u64, event: Event) {
        self.at(self.now_ms + ms, event);
    }

    /// The true time.
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(BEGINNING_MS) + Span::from_millis(self.now_ms)
    }

    /// The time by the servers' clock.
    fn server_now(&self) -> Timestamp {
        Timestamp::from_millis(self.now().as_millis() + self.server_clock_ms)
    }

    fn tell(&mut self, words: impl FnOnce(&Self) -> String) {
        if self.story.is_some() {
            let words = words(self);
            self.story.get_or_insert_default().push((self.now_ms, words));
        }
    }

    fn broke(&self, invariant: Invariant, seen: impl Into<String>) -> Held {
        Err(Violation { invariant, at_ms: self.now_ms, seen: seen.into() })
    }

    fn back_up(&mut self) {
        let database = self.servers[self.current].database.clone();
        self.backups.push((self.now_ms, database));
        if !self.faults_have_ended {
            self.later(BACKUP_EVERY_MS, Event::Backup);
        }
    }

    fn start_rollout(&mut self, rollout: usize) -> Held {
        let now = self.server_now();
        let spec = &self.scenario.rollouts[rollout].1;
        let started = self.servers[self.current].database.start(spec, now);
        self.tell(|_| match &started {
            Ok(place) => format!("rollout r{} of {} is started", place + 1, spec.version),
            Err(why) => {
                format!("rollout {} of {} is not started: {why}", rollout + 1, spec.version)
            }
        });
        self.nudge(self.current);
        started.map_or(Ok(()), |place| self.check_planned(place))
    }

    /// Something has changed: the server looks at its rollouts soon.
    fn nudge(&mut self, server: usize) {
        if self.servers[server].is_up && !self.servers[server].is_nudged {
            self.servers[server].is_nudged = true;
            self.later(500, Event::Tick { server, is_regular: false });
        }
    }

    fn tick(&mut self, server: usize, is_regular: bool) -> Held {
        if is_regular && (server == self.current || self.servers[server].is_up) {
            self.later(TICK_EVERY_MS, Event::Tick { server, is_regular });
        }
        if !is_regular {
            self.servers[server].is_nudged = false;
        }
        if !self.servers[server].is_up {
            return Ok(());
        }
        if is_regular {
            self.watch_tick(server)?;
        }
        for rollout in 0..self.servers[server].database.rollouts.len() {
            self.take_latecomers(server, rollout)?;
            self.advance(server, rollout)?;
        }
        Ok(())
    }

    /// One pass of the reconciler over one rollout.
    fn advance(&mut self, server: usize, rollout: usize) -> Held {
        let now = self.server_now();
        self.refresh_view(server, rollout);
        let Server { database, canaries, .. } = &mut self.servers[server];
        let view = &database.rollouts[rollout].view;
        if view.state.is_final() {
            return Ok(());
        }
        canaries.follow(view, now);
        if let Some(look) = canaries.look(view, now) {
            let look = Action::Look { ring: view.current_ring(), look };
            self.apply(server, rollout, &look);
        }
        let view = &self.servers[server].database.rollouts[rollout].view;
        let actions = advance(view, now);
        let has_acted = !actions.is_empty();
        for action in &actions {
            self.check_action(server, rollout, action)?;
            self.apply(server, rollout, action);
            self.check_applied(server, rollout, action)?;
        }
        if has_acted {
            self.last_progress_ms = self.now_ms;
            self.check_second_look(server, rollout)?;
        }
        self.check_taken_back(server, rollout)
    }

    fn refresh_view(&mut self, server: usize, rollout: usize) {
        let listening_since = self.servers[server].listening_since;
        let database = &mut self.servers[server].database;
        let wanted = database.rollouts[rollout].view.spec.version.clone();
        let blocked = database.blocked.iter().filter(|at| VERSIONS[**at] == wanted);
        let unapproved = blocked.map(|at| database.releases[*at].release.id.clone()).collect();
        let emergency = database.emergency.clone();
        let exposure = self
            .scenario
            .blast_radius
            .map(|max| Exposure { max, elsewhere: database.exposed_elsewhere(rollout) });
        let view = &mut database.rollouts[rollout].view;
        (view.unapproved, view.emergency) = (unapproved, emergency);
        (view.listening_since, view.exposure) = (listening_since, exposure);
        if database.rollouts.len() > 1 {
            database.note_earlier_failures(rollout);
        }
    }

    fn apply(&mut self, server: usize, rollout: usize, action: &Action) {
        let now = self.server_now();
        self.tell(|world| world.in_words(server, rollout, action));
        if let Some(device) = self.servers[server].database.apply(rollout, action, now) {
            self.answer_parked(server, device);
        }
    }

    fn in_words(&self, server: usize, rollout: usize, action: &Action) -> String {
        let who = self.server_name(server);
        let r = rollout + 1;
        match action {
            Action::Order { device, want } => {
                let row = &self.servers[server].database.devices
                    [self.servers[server].database.row_of(device)];
                format!(
                    "{who}: r{r} orders {device} to {} (generation {})",
                    want.as_str(),
                    next_generation(self.servers[server].database.epoch, row.generation)
                )
            }
            Action::MarkSilent { device } => format!("{who}: r{r} notes that {device} is silent"),
            Action::Waive { device } => format!("{who}: r{r} accepts the failure of {device}"),
            Action::Assign { device, by } => format!("{who}: r{r}: {by} assigns {device}"),
            Action::Requeue { device } => format!("{who}: r{r} lets {device} wait again"),
            Action::Quarantine { device, cause } => {
                format!("{who}: r{r} puts {device} into quarantine: {cause}")
            }
            Action::SetRing { ring, state, inputs } => {
                let why = inputs.as_ref().map(GateInputs::reason).unwrap_or_default();
                format!("{who}: ring {ring} of r{r} is {state} {why}")
            }
            Action::Look { ring, look } => format!("{who}: ring {ring} of r{r}: {look}"),
            Action::SetState { state, cause } => {
                let why = cause.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
                format!("{who}: r{r} is {state}{why}")
            }
        }
    }

    fn server_name(&self, server: usize) -> String {
        let epoch = self.servers[server].database.epoch;
        let kind = if server == self.current { "server" } else { "old server" };
        format!("{kind} (epoch {epoch})")
    }
}

fn new_device(scenario: &Scenario, number: u32, zones: &[Zone]) -> Device {
    let mut dice = scenario.dice(&[4, u64::from(number)]);
    let zone = dice.pick(zones);
    let mut device = Device {
        number,
        id: format!("d{number:03}").parse().expect("a short word"),
        site: scenario.site(number),
        team: if dice.chance(200) { "a" } else { "b" },
        agent: AGENT,
        disk: Disk { active: None, fallback: None, trees: BTreeSet::new() },
        memory: Memory::new(0),
        is_up: false,
        is_gone: false,
        boot: 0,
        pending: None,
        acting: None,
        serial: 0,
        after: None,
        asking: 0,
        reporting: None,
        has_news: false,
        actions: 0,
        tries: 0,
        is_full: false,
        is_sick: false,
        clock_ms: 0,
        zone: zone.clone(),
        lie: None,
        switched_at: 0,
        good: None,
        is_meddled_with: false,
        failed_at: None,
    };
    let version = match dice.below(20) {
        0 => None,
        1 => Some(UNKNOWN_VERSION),
        _ => Some(VERSIONS[0]),
    };
    device.begin_with(version);
    device
}

fn row(device: &Device, now: Timestamp) -> Row {
    Row {
        id: device.id.clone(),
        generation: 0,
        active: device.disk.version().map(str::to_owned),
        last_seen: now,
        is_enrolled: true,
        team: device.team,
        agent: device.agent,
        kept_out: None,
        orders: Vec::new(),
    }
}
