//! Figures of the engine: how fast it plans and decides, and how much of a fleet a bad release
//! reaches before each kind of gate stops it.

use std::collections::BTreeMap;
use std::time::Instant;

use gofleet_core::order::Step;
use gofleet_core::rollout::forecast::{Behaviour, Forecasting, USUAL_BUDGET, forecast};
use gofleet_core::rollout::{
    Action, FleetDevice, Gate, Late, OnFailure, Planning, Retry, RingSize, RingSpec, RolloutPlan,
    RolloutSpec, RolloutState, RolloutView, advance, apply, plan,
};
use gofleet_core::time::{Span, Timestamp};

use crate::dice::Dice;
use crate::explore::each;
use crate::scenario::Scenario;
use crate::server::{AGENT, Database, Row, releases};
use crate::world::{Endings, World};

/// How often a rollout is simulated for one figure.
const RUNS: u64 = 1000;
/// The fleet of a story in which nobody helps.
const STORY_DEVICES: u32 = 40;
/// The fleet of such a rollout.
const FLEET: u32 = 1000;
/// Its rings, for every rule alike; a phased deployment has two phases only.
const RINGS: [u32; 3] = [400, 300, 300];
/// How many of 1,000 machines a bad release breaks, and a healthy one.
const BAD: u64 = 100;
const HEALTHY: u64 = 10;

/// One figure.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Figure {
    /// What was measured.
    pub what: String,
    /// Ours.
    pub ours: f64,
    /// Its unit.
    pub unit: &'static str,
    /// A peer's name and figure.
    pub peer: Option<(&'static str, f64)>,
    /// The bound that must hold.
    pub must: Option<f64>,
}

/// Measures everything.
pub fn measure() -> Vec<Figure> {
    let mut figures = speed();
    let ours = reached(Rule::Confidence, BAD);
    let shares = [
        ("a 95% gate", Rule::Successes95),
        ("hawkBit's defaults", Rule::HawkBit),
        ("ConfigMgr's defaults", Rule::ConfigMgr),
    ];
    for (name, rule) in shares {
        figures.push(Figure {
            what: format!("reached by a release that breaks 10%, against {name}"),
            ours: ours.reached * 100.0,
            unit: "%",
            peer: Some((name, reached(rule, BAD).reached * 100.0)),
            must: None,
        });
    }
    let ours = reached(Rule::Confidence, HEALTHY).stopped * 100.0;
    for (name, rule) in shares {
        figures.push(Figure {
            what: format!("false stops at a release that breaks 1%, against {name}"),
            ours,
            unit: "%",
            peer: Some((name, reached(rule, HEALTHY).stopped * 100.0)),
            must: Some(2.0),
        });
    }
    figures.extend(endings());
    figures
}

/// How many injected faults ended without a person's hand, all together and by kind. To tell it as
/// a bound that must not be exceeded, what counts is what is left to a person.
fn endings() -> Vec<Figure> {
    let mut kinds: BTreeMap<&'static str, Endings> = BTreeMap::new();
    let played = each(0..RUNS, |seed| World::play_alone(&Scenario::of(seed, STORY_DEVICES)));
    for (kind, endings) in played.into_iter().flatten() {
        let known = kinds.entry(kind).or_default();
        *known = known.and(endings);
    }
    let all = kinds.values().fold(Endings::default(), |all, kind| all.and(*kind));
    let what = format!("left to a person, of {} injected faults", all.faults);
    let mut figures = vec![figure(&what, 100.0 - all.percent(), "%", Some(1.0))];
    for (kind, endings) in kinds {
        let what = format!("of these: {kind} ({})", endings.faults);
        figures.push(figure(&what, 100.0 - endings.percent(), "%", None));
    }
    figures
}

fn figure(what: &str, ours: f64, unit: &'static str, must: Option<f64>) -> Figure {
    Figure { what: what.to_owned(), ours, unit, peer: None, must }
}

fn speed() -> Vec<Figure> {
    let small = pass(1_000);
    let medium = pass(100_000);
    let large = pass(1_000_000);
    let growth = |part: fn(&Pass) -> f64| part(&large) / 1e6 / (part(&small) / 1e3);
    vec![
        figure("planning 100,000 devices, 10 rings", medium.plan_ms, "ms", Some(100.0)),
        figure("forecast of a rollout to 10,000 devices", forecast_s(10_000, 0), "s", Some(5.0)),
        figure("the same, 100 devices at once", forecast_s(10_000, 100), "s", Some(5.0)),
        figure("one pass of the engine over 100,000 devices", medium.advance_ms, "ms", Some(100.0)),
        figure(
            "planning, per device: 1,000,000 against 1,000",
            growth(|it| it.plan_ms),
            "x",
            Some(2.0),
        ),
        figure(
            "a pass, per device: 1,000,000 against 1,000",
            growth(|it| it.advance_ms),
            "x",
            Some(2.0),
        ),
    ]
}

/// How long a forecast takes, in seconds, with the server's budget.
fn forecast_s(devices: u32, max_in_flight: u32) -> f64 {
    let (fleet, releases, behaviour) = (fleet(devices), releases(start()), Behaviour::default());
    let rings = [("test", RingSize::Count(10)), ("pilot", RingSize::Percent(10.0))];
    let rings = rings.into_iter().chain([("rest", RingSize::Rest)]);
    let rings = rings.map(|(name, size)| ring_of(name, size)).collect();
    // Of so many devices some always fail; a gate that stops at once would make it quick.
    let gate = Gate { max_failures: devices, ..Gate::default() };
    let spec = RolloutSpec { max_in_flight, ..spec(rings, gate) };
    let planning = planning(&spec, &releases, &fleet);
    let plan = plan(&planning).expect("a plan of the whole fleet");
    let asked =
        Forecasting { planning, behaviour: &behaviour, exposure: None, budget: USUAL_BUDGET };
    best_of(1, || forecast(&asked, &plan)) / 1000.0
}

/// How long one pass took, the best of some.
struct Pass {
    plan_ms: f64,
    advance_ms: f64,
}

fn pass(devices: u32) -> Pass {
    let (fleet, releases) = (fleet(devices), releases(start()));
    let rings = (0..10).map(|ring| ring_of(&format!("ring {ring}"), RingSize::Percent(10.0)));
    let spec = spec(rings.collect(), Gate::default());
    let planning = planning(&spec, &releases, &fleet);
    let rounds = (2_000_000 / devices).clamp(3, 200);
    let plan_ms = best_of(rounds, || plan(&planning).expect("a plan of the whole fleet"));
    let view = view_of(plan(&planning).expect("a plan of the whole fleet"), &fleet);
    let advance_ms = best_of(rounds, || advance(&view, start()));
    Pass { plan_ms, advance_ms }
}

fn best_of<T>(rounds: u32, action: impl Fn() -> T) -> f64 {
    let once = || {
        let begun = Instant::now();
        let result = std::hint::black_box(action());
        let took = begun.elapsed();
        drop(result);
        took.as_secs_f64() * 1000.0
    };
    (0..rounds).map(|_| once()).fold(f64::INFINITY, f64::min)
}

/// When the next ring opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Ours: less than 5% shown to fail, with 95% confidence.
    Confidence,
    /// 95% of the ring have succeeded.
    Successes95,
    /// hawkBit: the next group at 50% success, stop over 50% errors (`RolloutGroupConditionBuilder`).
    HawkBit,
    /// ConfigMgr's phased deployment: two phases, the second at 95% success of the first.
    ConfigMgr,
}

/// What comes of many rollouts.
#[derive(Debug, Clone, Copy)]
struct Reached {
    /// Part of the fleet that got the release before the stop.
    reached: f64,
    /// Part of the rollouts that were stopped.
    stopped: f64,
}

fn reached(rule: Rule, breaks_per_mille: u64) -> Reached {
    let (mut reached, mut stopped) = (0.0, 0.0);
    for run in 0..RUNS {
        let mut dice = Dice::new(run).about(&[breaks_per_mille]);
        let breaks: Vec<bool> = (0..FLEET).map(|_| dice.chance(breaks_per_mille)).collect();
        let (got_it, was_stopped) = match rule {
            Rule::Confidence => ours(&breaks),
            Rule::Successes95 => theirs(&breaks, &RINGS, |failed, of| failed * 20 > of),
            Rule::HawkBit => theirs(&breaks, &RINGS, |failed, of| failed * 2 > of),
            Rule::ConfigMgr => {
                theirs(&breaks, &[RINGS[0], FLEET - RINGS[0]], |failed, of| failed * 20 > of)
            }
        };
        reached += f64::from(got_it) / f64::from(FLEET) / RUNS as f64;
        stopped += f64::from(u8::from(was_stopped)) / RUNS as f64;
    }
    Reached { reached, stopped }
}

/// A peer's rule on the same devices: ring by ring; a ring is delivered whole, as all of them do
/// without a limit in flight. How many got the release, and whether it was stopped.
fn theirs(breaks: &[bool], rings: &[u32], stops: impl Fn(usize, usize) -> bool) -> (u32, bool) {
    let mut from = 0;
    for size in rings {
        let size = *size as usize;
        let failed = breaks[from..from + size].iter().filter(|it| **it).count();
        from += size;
        if from < breaks.len() && stops(failed, size) {
            return (from as u32, true);
        }
    }
    (from as u32, false)
}

/// The engine itself, wave by wave: 20 devices in flight.
fn ours(breaks: &[bool]) -> (u32, bool) {
    let fleet = fleet(breaks.len() as u32);
    let releases = releases(start());
    let gate = Gate { max_failure_rate: "5%".parse().ok(), ..Gate::default() };
    let rings = vec![
        ring_of("first", RingSize::Count(RINGS[0])),
        ring_of("second", RingSize::Count(RINGS[1])),
        ring_of("rest", RingSize::Rest),
    ];
    let mut spec = spec(rings, gate);
    spec.max_in_flight = 20;
    let plan = plan(&planning(&spec, &releases, &fleet)).expect("a plan of the whole fleet");
    let mut view = view_of(plan, &fleet);
    let places: BTreeMap<_, _> =
        view.devices.iter().enumerate().map(|(place, it)| (it.device.clone(), place)).collect();
    let mut now = start();
    loop {
        let actions = advance(&view, now);
        if view.state != RolloutState::Running || actions.is_empty() {
            break;
        }
        let mut ordered = Vec::new();
        for action in &actions {
            apply(&mut view, action, now);
            if let Action::Order { device, .. } = action {
                ordered.push(places[device]);
            }
        }
        now = now + Span::from_secs(600);
        for device in &mut view.devices {
            device.last_seen = now;
        }
        for place in ordered {
            let step = if breaks[place] { Step::Reverted } else { Step::Accepted };
            (view.devices[place].step, view.devices[place].since) = (step, now);
        }
    }
    let got_it = view.devices.iter().filter(|it| it.order.is_some()).count();
    (got_it as u32, view.state != RolloutState::Completed)
}

fn start() -> Timestamp {
    Timestamp::from_millis(1_772_913_600_000)
}

fn fleet(devices: u32) -> Vec<FleetDevice> {
    let row = |number| Row {
        id: format!("d{number:07}").parse().expect("a short word"),
        generation: 0,
        active: Some("1.27.2".to_owned()),
        last_seen: start(),
        is_enrolled: true,
        team: "a",
        agent: AGENT,
        kept_out: None,
        orders: Vec::new(),
    };
    (0..devices).map(|number| Database::fleet_device_of(&row(number), None)).collect()
}

fn ring_of(name: &str, size: RingSize) -> RingSpec {
    RingSpec { name: name.to_owned(), size, gate: None, rehearse: false }
}

fn spec(rings: Vec<RingSpec>, gate: Gate) -> RolloutSpec {
    RolloutSpec {
        name: "figures".to_owned(),
        package: "go".parse().expect("`go` is a name"),
        version: "1.27.3".to_owned(),
        devices: String::new(),
        rings,
        max_in_flight: 0,
        soak: Span::from_secs(300),
        window: None,
        publish: None,
        gate,
        silence_after: Span::from_secs(3600),
        offline_after: Span::from_secs(900),
        retry: Retry::default(),
        on_failure: OnFailure::Pause,
        late: Late::Never,
        allow_downgrade: false,
    }
}

fn planning<'a>(
    spec: &'a RolloutSpec,
    releases: &'a [gofleet_core::release::Release],
    fleet: &'a [FleetDevice],
) -> Planning<'a> {
    let install_time = Planning::ASSUMED_INSTALL_TIME;
    Planning {
        spec,
        releases,
        fleet,
        collections: &[],
        moving: &[],
        artifacts: &[],
        seed: "figures",
        install_time,
        now: start(),
        listening_since: start(),
    }
}

fn view_of(plan: RolloutPlan, fleet: &[FleetDevice]) -> RolloutView {
    crate::server::started(plan, fleet, start())
}
