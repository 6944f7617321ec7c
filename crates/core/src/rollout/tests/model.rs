//! Whatever happens in whatever order: what must hold at every moment, and what must come about
//! in the end.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Happening {
    /// Time passes and the server ticks.
    Pass(u64),
    /// A machine takes a step, and its report arrives.
    WorkAndReport(usize),
    /// A machine takes a step, and its report is lost.
    Work(usize),
    /// A report from earlier arrives again.
    Repeat(usize),
    /// A machine drops off the network, or comes back.
    Toggle(usize),
    /// A machine will fail its checks from now on, or no more.
    Break(usize),
    /// A person asks for something.
    Ask(Command),
    /// The server was down.
    Restart(u64),
    /// The server's clock is set back.
    SetBack,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        6 => (1u64..20_000).prop_map(Happening::Pass),
        1 => (30_000u64..90_000).prop_map(Happening::Pass),
        12 => (0usize..64).prop_map(Happening::WorkAndReport),
        2 => (0usize..64).prop_map(Happening::Work),
        2 => (0usize..64).prop_map(Happening::Repeat),
        1 => (0usize..64).prop_map(Happening::Toggle),
        1 => (0usize..64).prop_map(Happening::Break),
        1 => proptest::sample::select(Command::ALL.to_vec()).prop_map(Happening::Ask),
        1 => (1u64..100_000).prop_map(Happening::Restart),
        1 => Just(Happening::SetBack),
    ];
    proptest::collection::vec(one, 0..150)
}

prop_compose! {
    fn worlds()(
        sizes in proptest::collection::vec(0usize..5, 1..4),
        max_in_flight in 0u32..4,
        min_successes in proptest::option::of(1u32..3),
        max_failures in 0u32..3,
        on_failure in proptest::sample::select(vec![
            OnFailure::Pause, OnFailure::RollBackRing, OnFailure::RollBackAll,
        ]),
    ) -> World {
        let rings = (0..sizes.len()).map(|ring| RingSpec {
            name: format!("ring{ring}"), size: RingSize::Count(1), gate: None, rehearse: false,
        });
        let mut spec = spec("soak: 3s, silence_after: 60s, offline_after: 30s, rings: []");
        (spec.max_in_flight, spec.on_failure) = (max_in_flight, on_failure);
        spec.gate = Gate { min_successes, max_failures, ..Gate::default() };
        spec.rings = rings.collect();
        World::new(spec, &sizes)
    }
}

/// Ticks, and checks each action against the view at its moment, by rules that are written down
/// here a second time and more simply.
fn checked_tick(world: &mut World) {
    let actions = advance(&world.view, world.now);
    for action in &actions {
        check_action(world, action);
        world.apply(std::slice::from_ref(action));
        check_places(world, action);
    }
    assert_eq!(advance(&world.view, world.now), [], "a second look finds nothing to do");
    for ring in status(&world.view, 0, world.now).rings_detail {
        for device in ring.devices {
            let has_arrived = device.step == Step::Accepted;
            assert!(device.reason.is_some() || has_arrived, "no reason given: {device:?}");
        }
    }
}

fn check_action(world: &World, action: &Action) {
    match action {
        Action::Order { device, want: WantKind::Activate | WantKind::Offer } => {
            assert_eq!(world.view.state, RolloutState::Running);
            let device = world.view.devices.iter().find(|it| it.device == *device).unwrap();
            assert_eq!((device.step, device.order), (Step::Waiting, None));
            let earlier = &world.view.rings[..device.ring as usize];
            assert!(earlier.iter().all(|ring| ring.state == RingState::Passed));
            assert!(world.now.since(device.last_seen) <= world.view.spec.offline_after);
        }
        Action::Order { device, want: WantKind::Revert | WantKind::Hold } => {
            assert_ne!(world.view.state, RolloutState::Running);
            let device = world.view.devices.iter().find(|it| it.device == *device).unwrap();
            assert_ne!(device.step, Step::Reverted, "what went back stays as it is");
        }
        Action::SetRing { ring, state: RingState::Passed, .. } => check_passed(world, *ring),
        Action::SetState { state: RolloutState::Completed, .. } => {
            assert!(world.view.rings.iter().all(|ring| ring.state == RingState::Passed));
            let moves = |it: &DeviceView| it.is_in_flight() && !it.is_silent;
            assert!(!world.view.devices.iter().any(moves), "completed with devices under way");
        }
        Action::SetRing { .. }
        | Action::SetState { .. }
        | Action::MarkSilent { .. }
        | Action::Waive { .. }
        | Action::Requeue { .. }
        | Action::Assign { .. }
        | Action::Look { .. }
        | Action::Quarantine { .. } => {}
    }
}

fn check_passed(world: &World, ring: u32) {
    let here = || world.view.devices.iter().filter(|device| device.ring == ring);
    let gate = &world.view.spec.gate;
    let proven = here().filter(|device| {
        device.step == Step::Accepted
            && device.want() == Some(WantKind::Activate)
            && world.now.since(device.order.unwrap().ordered_at) >= world.view.spec.soak
    });
    let failed = |device: &&DeviceView| {
        let gone_wrong = matches!(device.step, Step::Failed | Step::Reverting | Step::Reverted);
        device.want() == Some(WantKind::Activate) && (device.is_silent || gone_wrong)
    };
    let failures = here().filter(failed).filter(|device| !device.is_waived).count();
    assert!(failures <= gate.max_failures as usize, "{failures} failed");
    if gate.min_successes.is_none() {
        let is_missing = |device: &DeviceView| match device.order {
            None => {
                device.step == Step::Waiting
                    && world.view.hearing(device, world.now) != Hearing::Offline
            }
            // A failure is an answer, before the device has gone back.
            Some(_) => {
                device.step.is_in_flight()
                    && !device.is_silent
                    && !matches!(device.step, Step::Failed | Step::Reverting)
            }
        };
        assert!(!here().any(is_missing), "passed before all had answered");
    }
    let could = here().filter(|device| {
        !device.is_waived && (device.order.is_none() || device.want() == Some(WantKind::Activate))
    });
    let needed = could.count().min(gate.min_successes.unwrap_or(1) as usize);
    assert!(proven.count() >= needed, "passed without evidence");
}

fn check_places(world: &World, action: &Action) {
    let limit = world.view.spec.max_in_flight;
    if matches!(action, Action::Order { want: WantKind::Activate, .. }) && limit > 0 {
        let in_flight = world.view.devices.iter().filter(|device| {
            device.order.is_some()
                && device.step.is_in_flight()
                && !(device.is_silent && device.is_waived)
        });
        assert!(in_flight.count() <= limit as usize, "too many in flight");
    }
}

fn happen(world: &mut World, happening: &Happening, old: &mut Vec<(usize, Machine)>) {
    let devices = world.view.devices.len();
    if devices == 0 {
        return;
    }
    match happening {
        Happening::Pass(ms) => {
            world.pass(Span::from_millis(*ms));
            checked_tick(world);
        }
        Happening::WorkAndReport(place) => {
            let place = place % devices;
            world.work(place);
            world.report(place);
            let machine = world.machine(place).clone();
            old.push((place, machine));
        }
        Happening::Work(place) => world.work(place % devices),
        Happening::Repeat(which) => {
            // Storage lets only newer reports through; an older generation changes nothing.
            if let Some((place, machine)) = old.get(*which).cloned() {
                let is_latest = machine.step == world.machine(place).step;
                let order = world.view.devices[place].order;
                if is_latest || order.is_none_or(|it| it.generation != machine.generation) {
                    world.receive(place, &machine);
                }
            }
        }
        Happening::Toggle(place) => {
            let machine = world.machine(place % devices);
            machine.is_online = !machine.is_online;
        }
        Happening::Break(place) => {
            let machine = world.machine(place % devices);
            machine.is_bad = !machine.is_bad;
        }
        // Any command is pressed at any time; where it means nothing it is refused.
        Happening::Ask(asked) => {
            let _ = world.command(*asked);
        }
        Happening::Restart(ms) => {
            world.now = world.now + Span::from_millis(*ms);
            world.view.listening_since = world.now;
        }
        Happening::SetBack => world.now = world.now - Span::from_secs(3600),
    }
}

/// Faults end: whoever was away comes back, and a person resumes what is paused.
fn settle(world: &mut World) {
    // The clock catches up with everything that was noted before it was set back.
    world.pass(Span::from_secs(200_000));
    world.view.listening_since = world.now;
    for machine in world.machines.values_mut() {
        (machine.is_online, machine.is_bad) = (true, false);
    }
    for _ in 0..400 {
        checked_tick(world);
        if world.view.state.is_final() {
            break;
        }
        if world.view.state == RolloutState::Paused {
            let _ = world.command(Command::Resume);
        }
        for place in 0..world.view.devices.len() {
            world.work(place);
            world.report(place);
        }
        world.pass(Span::from_secs(1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_talks_the_engine_into_breaking_a_fleet(
        mut world in worlds(),
        happenings in happenings(),
    ) {
        let mut old = Vec::new();
        checked_tick(&mut world);
        for happening in &happenings {
            happen(&mut world, happening, &mut old);
            checked_tick(&mut world);
        }
        settle(&mut world);
        prop_assert!(world.view.state.is_final(), "{:#?}", status(&world.view, 0, world.now));
        for place in 0..world.view.devices.len() {
            // One that came back after the end still has its order to finish.
            for _ in 0..8 {
                world.work(place);
                world.report(place);
            }
            let device = &world.view.devices[place];
            prop_assert!(!device.step.is_in_flight(), "{device:?}");
        }
    }
}
