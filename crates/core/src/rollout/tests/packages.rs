//! Devices whose packages are not what the release asks for: never ordered, and waited for only
//! where a rollout is changing that.

use super::*;

fn unmet(kind: UnmetKind) -> Option<Box<Unmet>> {
    let requirement = "gofleet-agent>=0.2.0".parse().unwrap();
    let release = "go-1.27.3-linux-amd64".parse().unwrap();
    let chain = Chain(vec![Link::Requires { release, requirement }]);
    Some(Box::new(Unmet { kind, chain }))
}

fn waits() -> Option<Box<Unmet>> {
    unmet(UnmetKind::Waits("r7".parse().unwrap()))
}

#[test]
fn who_waits_for_a_package_is_waited_for() {
    let mut world = two_rings("", [3, 2]);
    world.view.devices[1].unmet = waits();
    for _ in 0..50 {
        world.tick();
        for place in 0..5 {
            world.work(place);
            world.report(place);
        }
        world.pass(Span::from_secs(1));
    }
    assert_eq!(world.steps()[..3], [Step::Accepted, Step::Waiting, Step::Accepted]);
    assert_eq!(world.ring_states(), [RingState::Running, RingState::Waiting]);
    assert_eq!(world.reason(1).as_deref(), Some("waits_for_package"));
    world.view.devices[1].unmet = None;
    world.run_until(|view| view.state == RolloutState::Completed);
    assert!(world.steps().iter().all(|step| *step == Step::Accepted));
}

#[test]
fn a_rollout_is_not_over_while_somebody_waits_for_a_package() {
    let mut world = two_rings(", gate: {min_successes: 1}", [2, 2]);
    world.view.devices[1].unmet = waits();
    world.run_until(|view| view.current_ring() == 2);
    for _ in 0..20 {
        assert_eq!(world.tick(), []);
        world.pass(Span::from_secs(1));
    }
    assert_eq!((world.view.state, world.steps()[1]), (RolloutState::Running, Step::Waiting));
    world.view.devices[1].unmet = None;
    world.run_until(|view| view.state == RolloutState::Completed);
    assert_eq!(world.steps()[1], Step::Accepted);
}

#[test]
fn who_lacks_a_package_is_held_apart() {
    for kind in [UnmetKind::Missing, UnmetKind::Nowhere, UnmetKind::Conflict, UnmetKind::Cycle] {
        let mut world = two_rings("", [3, 2]);
        world.view.devices[1].unmet = unmet(kind);
        world.run_until(|view| view.rings[1].state == RingState::Running);
        assert_eq!(world.steps()[..3], [Step::Accepted, Step::Waiting, Step::Accepted]);
        assert!(world.reason(1).unwrap().starts_with("package_"));
        assert_eq!(tally(&world.view, 0, world.now).held, 1);
        world.run_until(|view| view.state == RolloutState::Completed);
        assert!(world.reason(1).unwrap().starts_with("package_"), "it is told afterwards too");
        assert_eq!(world.steps()[1], Step::Skipped);
    }
}

#[test]
fn what_is_missing_after_a_failure_keeps_from_trying_again() {
    let mut world = two_rings(", retry: {times: 2, after: 5s}", [2, 1]);
    let failure = Failure {
        step: Step::Verifying,
        kind: FailureKind::Network,
        message: "the network is away".to_owned(),
    };
    (world.machine(0).is_bad, world.machine(0).failure) = (true, Some(failure));
    world.run_until(|view| view.devices[0].step == Step::Reverted);
    world.machine(0).is_bad = false;
    world.view.devices[0].unmet = unmet(UnmetKind::Missing);
    world.run_until(|view| view.devices[0].step == Step::Waiting);
    let attempts = world.view.devices[0].attempts;
    world.run_until(|view| view.state == RolloutState::Completed);
    assert_eq!(world.view.devices[0].attempts, attempts);
}
