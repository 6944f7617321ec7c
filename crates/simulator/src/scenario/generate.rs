//! From a seed to a scenario.
//!
//! Not every kind of fault takes part in every story (swarm testing: Groce and others, *Swarm
//! testing*, 2012): a story with all of them at once stops early, and hides what only a long quiet
//! stretch with one of them would show.

use gofleet_core::anomaly::PROCESSOR;
use gofleet_core::canary::Canary;
use gofleet_core::offer::{Postpone, Publish};
use gofleet_core::rollout::{
    Command, Gate, Late, OnFailure, Retry, RingSize, RingSpec, RolloutSpec,
};
use gofleet_core::time::Span;
use gofleet_core::window::Window;

use super::{Fault, Lie, Network, Scenario, VERSIONS, WINDOWS};
use crate::dice::Dice;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

impl Scenario {
    /// The story of a seed, for so many devices.
    pub fn of(seed: u64, devices: u32) -> Self {
        let mut dice = Dice::new(seed).about(&[0, u64::from(devices)]);
        let faults_end_ms = dice.between(30 * MINUTE, 4 * HOUR);
        let mut rollouts = vec![(0, spec(&mut dice, "first", VERSIONS[1], devices))];
        if dice.chance(500) {
            let at = dice.below(faults_end_ms);
            let version = *dice.pick(&[VERSIONS[2], VERSIONS[1], VERSIONS[0]]);
            rollouts.push((at, spec(&mut dice, "second", version, devices)));
        }
        let mut kinds = Kinds { dice, devices, end: faults_end_ms, faults: Vec::new() };
        kinds.devices_fail();
        kinds.server_fails();
        kinds.releases_fail();
        kinds.people_meddle();
        if kinds.dice.chance(100) {
            rollouts.truncate(1);
            rollouts.push(kinds.hasty_restore());
        } else {
            kinds.everything_is_stopped();
            kinds.people_hold();
        }
        let Kinds { mut dice, mut faults, .. } = kinds;
        let of_agents = Dice::new(seed).about(&[10, u64::from(devices)]);
        let mut kinds = Kinds { dice: of_agents, devices, end: faults_end_ms, faults: Vec::new() };
        kinds.agents_are_replaced();
        faults.extend(kinds.faults);
        let mut of_its_own = Dice::new(seed).about(&[3, u64::from(devices)]);
        if of_its_own.chance(30) {
            faults.clear();
            rollouts = two_bad_releases(&mut of_its_own, devices, faults_end_ms, &mut faults);
        }
        let mut of_signals = Dice::new(seed).about(&[9, u64::from(devices)]);
        if of_signals.chance(150) {
            rollouts.iter_mut().for_each(|(_, spec)| compare_signals(spec, devices));
        }
        let mut latecomers = Dice::new(seed).about(&[4, u64::from(devices)]);
        if latecomers.chance(400) {
            some_come_late(&mut latecomers, devices, faults_end_ms, &mut faults);
        }
        let mut of_people = Dice::new(seed).about(&[11, u64::from(devices)]);
        people_decide(&mut of_people, devices, faults_end_ms, &mut faults);
        let mut of_health = Dice::new(seed).about(&[12, u64::from(devices)]);
        let is_compared = rollouts.iter().any(|(_, spec)| spec.gate.canary.is_some());
        let quarantined_percent = (!is_compared && of_health.chance(200)).then(|| {
            some_get_sick(&mut of_health, devices, faults_end_ms, &mut faults);
            *of_health.pick(&[10, 30])
        });
        for (_, spec) in &mut rollouts {
            spec.late = *latecomers.pick(&Late::ALL);
            let may_rehearse = spec.publish.is_none() && spec.gate.max_failure_rate.is_none();
            spec.rings[0].rehearse = latecomers.chance(300) && may_rehearse;
        }
        faults.sort_by_key(|(at, _)| *at);
        let network = network(&mut dice);
        let blast_radius = dice.chance(300).then(|| {
            let least = u64::from(devices.div_ceil(10));
            dice.between(least, u64::from(devices)) as u32
        });
        let devices = (0..devices).collect();
        Self {
            seed,
            devices,
            rollouts,
            faults,
            blast_radius,
            quarantined_percent,
            network,
            faults_end_ms,
        }
    }
}

/// The gates of a rollout ask for a canary, if its first ring can be large enough.
fn compare_signals(spec: &mut RolloutSpec, devices: u32) {
    const FEWEST: u32 = 5;
    if spec.rings.len() < 2 || devices < 4 * FEWEST {
        return;
    }
    if let RingSize::Count(count) = &mut spec.rings[0].size {
        *count = (*count).max(FEWEST);
    }
    spec.gate.canary = Some(Canary {
        higher_is_worse: vec![PROCESSOR.parse().expect("it is a name")],
        lower_is_worse: Vec::new(),
        tolerance: "50%".parse().expect("it is a percentage"),
        devices: FEWEST,
        measure: Span::from_millis(4 * MINUTE),
    });
}

/// One release breaks the machines, is rolled out to the end all the same, and the next one breaks
/// some of them alike: whose fault is that?
fn two_bad_releases(
    dice: &mut Dice,
    devices: u32,
    end_ms: u64,
    faults: &mut Vec<(u64, Fault)>,
) -> Vec<(u64, RolloutSpec)> {
    let mut rollouts = Vec::new();
    for (place, name) in ["first", "second"].into_iter().enumerate() {
        let mut spec = spec(dice, name, VERSIONS[place + 1], devices);
        (spec.window, spec.soak) = (None, Span::from_secs(10));
        spec.rings = vec![RingSpec {
            name: "all".to_owned(),
            size: RingSize::Rest,
            gate: None,
            rehearse: false,
        }];
        spec.gate = Gate { max_failures: devices, ..Gate::default() };
        rollouts.push((place as u64 * end_ms / 2, spec));
        let per_mille = dice.between(200, 800);
        faults.push((0, Fault::BadRelease { version: place + 1, per_mille, after_ms: 0 }));
    }
    rollouts
}

/// Some machines enrol in the middle of the story.
fn some_come_late(dice: &mut Dice, devices: u32, end_ms: u64, faults: &mut Vec<(u64, Fault)>) {
    for device in 0..devices {
        if dice.chance(200) {
            faults.push((dice.below(end_ms), Fault::Enrols { device }));
        }
    }
}

/// People assign what was published, and hold everything for a while.
fn people_decide(dice: &mut Dice, devices: u32, end_ms: u64, faults: &mut Vec<(u64, Fault)>) {
    if dice.chance(600) {
        for _ in 0..dice.between(1, 4) {
            let rollout = dice.below(2) as usize;
            let device = dice.chance(600).then(|| dice.below(u64::from(devices)) as u32);
            faults.push((dice.below(end_ms), Fault::Assigned { rollout, device }));
        }
    }
    if dice.chance(100) {
        let for_ms = dice.between(MINUTE, HOUR);
        faults.push((dice.below(end_ms), Fault::Frozen { for_ms }));
    }
}

/// Some devices are not well, one by one, and perhaps many at once.
fn some_get_sick(dice: &mut Dice, devices: u32, end_ms: u64, faults: &mut Vec<(u64, Fault)>) {
    for _ in 0..dice.between(1, u64::from(devices / 8 + 1)) {
        let device = dice.below(u64::from(devices)) as u32;
        let for_ms = dice.between(5 * MINUTE, HOUR);
        faults.push((dice.below(end_ms), Fault::Sick { device, for_ms }));
    }
    if dice.chance(400) {
        let (at, for_ms) = (dice.below(end_ms), dice.between(10 * MINUTE, HOUR));
        let per_mille = dice.between(50, 600);
        for device in (0..devices).filter(|_| dice.chance(per_mille)).collect::<Vec<_>>() {
            faults.push((at + dice.below(10 * MINUTE), Fault::Sick { device, for_ms }));
        }
    }
}

fn network(dice: &mut Dice) -> Network {
    let mut per_mille = |most: u64| if dice.chance(500) { dice.below(most + 1) } else { 0 };
    Network {
        lost: per_mille(200),
        doubled: per_mille(200),
        late: per_mille(150),
        misled: per_mille(20),
    }
}

fn spec(dice: &mut Dice, name: &str, version: &str, devices: u32) -> RolloutSpec {
    let max_in_flight = if dice.chance(400) {
        0
    } else {
        let least = u64::from(devices.div_ceil(10));
        dice.between(least, u64::from(devices)) as u32
    };
    RolloutSpec {
        name: name.to_owned(),
        package: "go".parse().expect("`go` is a name"),
        version: version.to_owned(),
        devices: String::new(),
        rings: rings(dice, devices),
        max_in_flight,
        soak: Span::from_millis(dice.between(10 * SECOND, 20 * MINUTE)),
        gate: gate(dice, devices),
        window: dice.chance(150).then(|| Window {
            // A large fleet that waits for days asks for orders millions of times.
            open: vec![
                dice.pick(&WINDOWS[usize::from(devices > 60)..])
                    .0
                    .parse()
                    .expect("it is written as it should be"),
            ],
            closed: Vec::new(),
        }),
        silence_after: Span::from_millis(dice.between(5 * MINUTE, HOUR)),
        offline_after: Span::from_millis(dice.between(3 * MINUTE, 20 * MINUTE)),
        retry: Retry {
            times: dice.below(3) as u32,
            after: Span::from_millis(dice.between(MINUTE, 10 * MINUTE)),
        },
        on_failure: *dice.pick(&[
            OnFailure::Pause,
            OnFailure::RollBackRing,
            OnFailure::RollBackAll,
        ]),
        late: Late::Never,
        allow_downgrade: dice.chance(500),
        publish: dice.chance(250).then(|| publish(dice)),
    }
}

fn publish(dice: &mut Dice) -> Publish {
    let deadline = dice.between(10 * MINUTE, 3 * HOUR);
    Publish {
        deadline: Span::from_millis(deadline),
        postpone: Postpone {
            times: dice.below(3) as u32,
            at_most: Span::from_millis(dice.between(MINUTE, deadline)),
        },
        remind: Span::from_millis(dice.between(10 * MINUTE, HOUR)),
        notice: String::new(),
        accept_opens_window: dice.chance(300),
    }
}

fn rings(dice: &mut Dice, devices: u32) -> Vec<RingSpec> {
    let mut sizes = vec![RingSize::Count(dice.between(1, u64::from(devices.div_ceil(8))) as u32)];
    if dice.chance(300) {
        sizes.push(RingSize::Select("label.team = \"a\"".to_owned()));
    }
    for _ in 0..dice.below(3) {
        sizes.push(RingSize::Percent(dice.between(5, 30) as f64));
    }
    sizes.push(RingSize::Rest);
    let sizes = sizes.into_iter().enumerate();
    sizes
        .map(|(place, size)| RingSpec {
            name: format!("ring {place}"),
            size,
            gate: None,
            rehearse: false,
        })
        .collect()
}

fn gate(dice: &mut Dice, devices: u32) -> Gate {
    Gate {
        min_successes: dice.chance(400).then(|| dice.between(1, 3) as u32),
        max_failures: if dice.chance(500) {
            0
        } else {
            dice.below(u64::from(devices / 10 + 2)) as u32
        },
        max_failure_rate: dice
            .chance(200)
            .then(|| dice.pick(&["20%", "50%"]).parse().expect("it is a percentage")),
        ..Gate::default()
    }
}

/// Draws faults kind by kind.
struct Kinds {
    dice: Dice,
    devices: u32,
    end: u64,
    faults: Vec<(u64, Fault)>,
}

impl Kinds {
    /// With the chance of a half, up to `most` faults of a kind.
    fn some(&mut self, most: u64, fault: impl Fn(&mut Dice, u32) -> Fault) {
        if !self.dice.chance(500) {
            return;
        }
        for _ in 0..self.dice.between(1, most.max(1)) {
            let at = self.dice.below(self.end);
            let device = self.dice.below(u64::from(self.devices)) as u32;
            let fault = fault(&mut self.dice, device);
            self.faults.push((at, fault));
        }
    }

    fn devices_fail(&mut self) {
        let many = u64::from(self.devices / 4 + 1);
        self.some(2 * many, |dice, device| Fault::Crash {
            device,
            action: dice.below(16) as u32,
            is_done: dice.chance(500),
            down_ms: dice.between(SECOND, 10 * MINUTE),
            by_hand: dice.chance(150).then(|| dice.below(VERSIONS.len() as u64) as usize),
        });
        self.some(many, |dice, device| Fault::SwitchedOff {
            device,
            for_ms: dice.chance(800).then(|| dice.between(MINUTE, 3 * HOUR)),
        });
        self.some(many, |dice, device| Fault::DiskFull {
            device,
            for_ms: dice.between(MINUTE, HOUR),
        });
        self.some(many, |dice, device| {
            let years = 365 * 24 * HOUR as i64;
            let by_ms = *dice.pick(&[-10 * years, -300, -(HOUR as i64), HOUR as i64, 10 * years]);
            Fault::DeviceClock { device, by_ms }
        });
        self.some(many / 2, |dice, device| Fault::Liar {
            device,
            lie: *dice.pick(&[Lie::Blind, Lie::Boast, Lie::Forgery, Lie::Complaint]),
        });
        self.some(many / 2, |dice, device| Fault::ByHand {
            device,
            version: dice.below(VERSIONS.len() as u64) as usize,
        });
        self.some(many, |_, device| Fault::Relabelled { device });
    }

    fn server_fails(&mut self) {
        self.some(2, |dice, _| Fault::Partition {
            site: dice.below(super::SITES),
            for_ms: dice.between(MINUTE, 2 * HOUR),
        });
        self.some(2, |dice, _| Fault::ServerDown { for_ms: dice.between(SECOND, HOUR) });
        if self.dice.chance(600) {
            self.some(2, |dice, _| Fault::Restored {
                age_ms: dice.between(0, HOUR),
                old_lives_ms: if dice.chance(500) { 0 } else { dice.below(HOUR) },
            });
        }
        if self.dice.chance(200) {
            self.some(1, |dice, _| Fault::PutBackByHand { age_ms: dice.between(0, 30 * MINUTE) });
        }
        if self.dice.chance(500) {
            self.some(2, |dice, _| Fault::ServerClock {
                by_ms: *dice.pick(&[-(HOUR as i64), -300, MINUTE as i64, 3 * HOUR as i64]),
                for_ms: dice.between(MINUTE, HOUR),
            });
        }
    }

    fn releases_fail(&mut self) {
        if self.dice.chance(400) {
            let version = self.dice.between(1, 2) as usize;
            let per_mille = *self.dice.pick(&[10, 100, 1000]);
            let after_ms = *self.dice.pick(&[0, 0, 5 * MINUTE, HOUR]);
            self.faults.push((0, Fault::BadRelease { version, per_mille, after_ms }));
        }
        if self.dice.chance(600) {
            self.some(4, |dice, _| Fault::Blocked {
                version: dice.between(1, 2) as usize,
                for_ms: dice.between(MINUTE, HOUR),
            });
        }
    }

    /// The server is restored from before the first rollout, in the middle of it, and another
    /// version is rolled out at once, onto devices that are still proving the first.
    fn hasty_restore(&mut self) -> (u64, RolloutSpec) {
        let at = self.dice.between(MINUTE, 20 * MINUTE);
        self.faults.push((at, Fault::Restored { age_ms: HOUR, old_lives_ms: 0 }));
        for version in 1..VERSIONS.len() {
            let after_ms = *self.dice.pick(&[0, 5 * MINUTE]);
            self.faults.push((0, Fault::BadRelease { version, per_mille: 500, after_ms }));
        }
        (at + MINUTE, spec(&mut self.dice, "second", VERSIONS[2], self.devices))
    }

    fn people_meddle(&mut self) {
        self.some(6, |dice, _| Fault::Asked {
            rollout: dice.below(2) as usize,
            command: *dice.pick(&Command::ALL),
        });
    }

    fn people_hold(&mut self) {
        let many = u64::from(self.devices / 4 + 1);
        self.some(many, |dice, device| Fault::Held { device, for_ms: dice.between(SECOND, HOUR) });
    }

    fn agents_are_replaced(&mut self) {
        let many = u64::from(self.devices / 4 + 1);
        self.some(many, |dice, device| Fault::OldAgent {
            device,
            for_ms: dice.between(SECOND, HOUR),
        });
    }

    fn everything_is_stopped(&mut self) {
        if self.dice.chance(400) {
            self.some(2, |dice, _| Fault::Emergency { for_ms: dice.between(SECOND, HOUR) });
        }
    }
}
