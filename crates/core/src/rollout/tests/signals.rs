//! Gates that compare the signals of upgraded devices with those of the others.

use super::*;
use crate::anomaly::{Class, Reading, Sample};
use crate::canary::{Judgement, Ledger};

const SPEC: &str = "soak: 2s, silence_after: 60s, offline_after: 30s, gate: {canary: \
                    {higher_is_worse: [processor], measure: 3s}}, \
                    rings: [{name: test, count: 10}, {name: more, count: 20}, {name: all, rest: true}]";

/// A rollout whose devices measure themselves.
struct Watched {
    world: World,
    ledger: Ledger,
    /// What the release adds to what is normal, in percent.
    adds: u64,
}

impl Watched {
    fn new(more: &str, sizes: &[usize], adds: u64) -> Self {
        let world = World::new(spec(&format!("{SPEC}{more}")), sizes);
        Self { world, ledger: Ledger::default(), adds }
    }

    /// A second passes, as on the server.
    fn second(&mut self) {
        let Self { world, ledger, adds } = self;
        world.tick();
        ledger.follow(&world.view, world.now);
        if let Some(look) = ledger.look(&world.view, world.now) {
            let ring = world.view.current_ring();
            world.apply(&[Action::Look { ring, look }]);
        }
        world.pass(Span::from_secs(1));
        for place in 0..world.view.devices.len() {
            world.work(place);
            world.report(place);
            let id = world.id(place);
            // Every machine is a little different, and so is every second.
            let own = (place as u64 * 7 + world.now.as_millis() as u64 / 1000 * 3) % 10;
            let reading = 20 + own + if world.machine(place).has_new { *adds } else { 0 };
            let values = [("processor".parse().unwrap(), Reading::whole(reading))].into();
            let sample = Sample { over: Span::from_secs(1), values, command_failure: None };
            let class = Class::from(["a", "b"][place % 2].to_owned());
            ledger.observe(&id, &class, &sample, world.now);
        }
    }

    fn run_until(&mut self, until: impl Fn(&RolloutView) -> bool) {
        for _ in 0..200 {
            if until(&self.world.view) {
                return;
            }
            self.second();
        }
        let World { view, now, .. } = &self.world;
        panic!("it never happened: {:#?}", status(view, 0, *now).rings_detail[0].reasons);
    }

    fn reason_of_ring(&self, ring: usize) -> (String, String) {
        let World { view, now, .. } = &self.world;
        let reason = status(view, 0, *now).rings_detail[ring].reasons.last().cloned().unwrap();
        (reason.code, reason.text)
    }
}

#[test]
fn a_release_that_changes_nothing_passes_when_that_is_shown() {
    let mut watched = Watched::new("", &[10, 20, 30], 0);
    watched.run_until(|view| view.devices.of_ring(0).all(|it| it.step == Step::Accepted));
    let (code, text) = watched.reason_of_ring(0);
    assert_eq!(code, "signals", "{text}");
    assert!(text.contains("8 devices on each side, 3s each"), "{text}");
    watched.run_until(|view| view.state == RolloutState::Completed);
    let looks: Vec<_> = watched.world.view.rings.iter().map(|ring| ring.look.as_ref()).collect();
    for look in &looks[..2] {
        let look = look.unwrap();
        assert!(look.is_final && look.number >= 1, "{look}");
        let canary = watched.world.view.spec.gate.canary.as_ref().unwrap();
        assert_eq!(look.judge(canary), Judgement::Fine, "{look}");
    }
    assert_eq!(looks[1].unwrap().devices, 30, "earlier rings are compared too: {looks:?}");
    assert!(looks[2].is_none(), "nobody is left to compare the last ring with");
    let decisions = decisions(&watched.world.done);
    assert_eq!(decisions.len(), 3, "{decisions:?}");
    for change in &decisions {
        let text = serde_json::to_string(change).unwrap();
        let kept: Change = serde_json::from_str(&text).unwrap();
        assert_eq!(kept, *change, "{text}");
        assert!(replay(&kept).unwrap().is_same, "{text}");
    }
}

#[test]
fn a_release_that_makes_machines_slow_fails_though_each_accepts() {
    for (on_failure, state) in [
        ("", RolloutState::Paused),
        (", on_failure: roll_back_ring", RolloutState::Paused),
        (", on_failure: roll_back_all", RolloutState::RolledBack),
    ] {
        let mut watched = Watched::new(on_failure, &[10, 20, 30], 15);
        watched.run_until(|view| view.state == state);
        assert_eq!(watched.world.view.rings[1].state, RingState::Waiting, "nobody else got it");
        let Some(Cause::GateFailed { failure, .. }) = &watched.world.view.cause else { panic!() };
        assert!(matches!(failure, GateFailure::Worse { .. }), "{failure}");
        let text = failure.to_string();
        assert!(text.starts_with("processor on 10 devices against 50 without"), "{text}");
        assert!(text.contains("; 25% of that is tolerated"), "{text}");
        assert!(replay(&decisions(&watched.world.done)[0]).unwrap().is_same);
    }
}

#[test]
fn what_is_unclear_pauses_and_puts_nothing_back() {
    let few = ", on_failure: roll_back_all";
    let mut watched = Watched::new(few, &[10, 20, 5], 0);
    watched.run_until(|view| view.state == RolloutState::Paused);
    assert_eq!(watched.world.ring_states()[..2], [RingState::Passed, RingState::Failed]);
    let (code, text) = watched.reason_of_ring(1);
    assert_eq!(code, "gate_failed");
    assert!(text.contains("30 devices against 5 without the release: too few"), "{text}");
    assert!(text.contains("resume to go on without"), "{text}");
    watched.world.command(Command::Resume).unwrap();
    let look = watched.world.view.rings[1].look.as_ref().unwrap();
    assert!(look.is_accepted, "{look}");
    watched.run_until(|view| view.state == RolloutState::Completed);
    assert_eq!(watched.world.ring_states(), [RingState::Passed; 3]);
}

#[test]
fn a_server_that_was_killed_measures_anew() {
    let mut watched = Watched::new("", &[10, 20, 30], 0);
    watched.run_until(|view| view.devices.of_ring(0).all(|it| it.step == Step::Accepted));
    assert!(watched.world.view.rings[0].look.as_ref().is_none_or(|look| !look.is_final));
    watched.ledger = Ledger::default();
    (0..3).for_each(|_| watched.second());
    let is_final = |view: &RolloutView| view.rings[0].look.as_ref().is_some_and(|it| it.is_final);
    assert!(!is_final(&watched.world.view), "nothing was measured for long enough");
    watched.run_until(is_final);
    watched.run_until(|view| view.state == RolloutState::Completed);
}

#[test]
fn without_any_signals_it_is_unclear_after_twice_the_time() {
    let mut watched = Watched::new("", &[10, 20, 30], 0);
    let other = "{higher_is_worse: [errors], measure: 3s}";
    watched.world.view.spec.gate.canary = Some(serde_saphyr::from_str(other).unwrap());
    watched.run_until(|view| view.state == RolloutState::Paused);
    let (_, text) = watched.reason_of_ring(0);
    assert!(text.contains("errors on 0 devices against 0"), "{text}");
}
