//! Stories that every test run plays, and what the simulator promises of itself: the same seed is
//! the same story, and a list of invariants without a gap.

use gofleet_simulator::explore::explore;
use gofleet_simulator::invariant::{CHECKED, NOT_CHECKED};
use gofleet_simulator::{Scenario, World, story};

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
