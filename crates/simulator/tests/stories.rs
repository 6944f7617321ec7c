//! Stories that every test run plays, and what the simulator promises of itself: the same seed is
//! the same story, and a list of invariants without a gap.

use gofleet_simulator::explore::explore;
use gofleet_simulator::invariant::{CHECKED, NOT_CHECKED};
use gofleet_simulator::{Endings, Fault, Lie, Scenario, World, story};

#[test]
fn no_story_breaks_an_invariant() {
    for (seeds, devices) in [(0..150, 40), (150..160, 200), (160..260, 3)] {
        let explored = explore(seeds.clone(), devices, false);
        assert_eq!(explored.seeds, seeds.end - seeds.start);
        if let Some((seed, violation)) = explored.violations.first() {
            let scenario = Scenario::of(*seed, devices);
            println!("{}", story::in_words(&scenario, &World::play(&scenario, true)));
            panic!("seed {seed}, {devices} devices: {violation}");
        }
    }
}

#[test]
fn a_seed_is_one_story() {
    for seed in 0..20 {
        let scenario = Scenario::of(seed, 20);
        let tell = || story::in_words(&scenario, &World::play(&scenario, true));
        assert_eq!(tell(), tell());
    }
}

#[test]
fn stories_are_about_something() {
    let mut missing = vec![
        "is accepted",
        "is reverted",
        "is quarantined",
        "is skipped",
        "is silent",
        "is paused",
        "is rolled_back",
        "is completed",
        "is stopped",
        "is killed at its action",
        "refuses",
        "to hold",
        "to revert",
        "lets",
        "accepts the failure",
        "not approved any",
        "old server",
        "everything is frozen",
        "operator assigns",
        "is put into quarantine: anomaly",
        "it was well for",
        "nobody else is taken out",
    ];
    // The rarest of these comes about once in some hundred stories.
    for seed in 0..1500 {
        let scenario = Scenario::of(seed, 20);
        let story = story::in_words(&scenario, &World::play(&scenario, true));
        missing.retain(|words| !story.contains(words));
        if missing.is_empty() {
            return;
        }
    }
    panic!("nothing ever {missing:?}");
}

#[test]
fn every_invariant_is_checked_or_has_a_reason() {
    let checked = CHECKED.iter().map(|it| it.number);
    let mut numbers: Vec<u8> = checked.chain(NOT_CHECKED.iter().map(|(it, _)| *it)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert!((1..=26).all(|number| numbers.contains(&number)), "{numbers:?}");
    assert_eq!(numbers.len(), CHECKED.len() + NOT_CHECKED.len(), "none stands in both");
}

/// How the faults of an assigned rollout without retries end, in which nobody helps.
#[track_caller]
fn check_alone(fault: Fault, by_hand: u64) {
    let mut scenario = Scenario::of(0, 10);
    scenario.rollouts.truncate(1);
    let spec = &mut scenario.rollouts[0].1;
    (spec.publish, spec.window, spec.gate.max_failures) = (None, None, 0);
    scenario.network = gofleet_simulator::Network { lost: 0, doubled: 0, late: 0, misled: 0 };
    scenario.blast_radius = None;
    scenario.faults = vec![(0, fault)];
    let endings: Vec<Endings> = World::play_alone(&scenario).into_values().collect();
    assert_eq!(endings, [Endings { faults: 1, by_hand }]);
}

#[test]
fn what_is_left_to_a_person_is_counted() {
    let lies = |lie| Fault::Liar { device: 3, lie };
    check_alone(Fault::SwitchedOff { device: 3, for_ms: Some(60_000) }, 0);
    check_alone(Fault::ServerDown { for_ms: 600_000 }, 0);
    check_alone(lies(Lie::Blind), 0);
    // Stopped by its gate, and put back: that is its end, though here one device's word did it.
    check_alone(lies(Lie::Complaint), 0);
    check_alone(Fault::BadRelease { version: 1, per_mille: 1000, after_ms: 0 }, 0);
    check_alone(Fault::BadRelease { version: 1, per_mille: 1000, after_ms: 4 * 3_600_000 }, 1);
}
