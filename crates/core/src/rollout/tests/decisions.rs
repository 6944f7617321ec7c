//! What a gate decides is kept with what it decided by, and comes out the same again.

use super::*;

/// Runs a rollout to its end and gives what its gates decided, as storage keeps it.
fn decided(mut world: World, end: RolloutState) -> Vec<Change> {
    world.run_until(|view| view.state == end);
    decisions(&world.done)
}

/// The same after a journey through the database.
fn kept(change: &Change) -> Change {
    serde_json::from_str(&serde_json::to_string(change).unwrap()).unwrap()
}

#[test]
fn every_decision_comes_out_the_same_again() {
    let good = decided(two_rings("", [1, 3]), RolloutState::Completed);
    assert_eq!(good.len(), 2, "{good:?}");
    let rate = ", gate: {max_failure_rate: 50%}";
    let sure = decided(two_rings(rate, [5, 9]), RolloutState::Completed);
    let mut world = two_rings(", on_failure: roll_back_ring", [2, 1]);
    world.machine(0).is_bad = true;
    let bad = decided(world, RolloutState::Paused);
    assert!(matches!(bad[0], Change::RingState { state: RingState::RollingBack, .. }), "{bad:?}");
    for change in good.iter().chain(&sure).chain(&bad) {
        let replayed = replay(&kept(change)).unwrap();
        assert!(replayed.is_same, "{change:?}: {replayed:?}");
    }
}

#[test]
fn a_decision_that_was_changed_comes_out_otherwise() {
    let mut world = two_rings("", [2, 1]);
    world.machine(0).is_bad = true;
    let bad = decided(world, RolloutState::Paused);
    let Change::RingState { rollout, ring, reason, inputs, .. } = bad[0].clone() else { panic!() };
    let mut inputs = inputs.unwrap();
    let words = inputs.to_string();
    assert!(words.starts_with("0 of 2 accepted, 1 failed, 1 under way"), "{words}");
    let with = |state, inputs: &GateInputs| Change::RingState {
        rollout: rollout.clone(),
        ring: ring.clone(),
        state,
        reason: reason.clone(),
        inputs: Some(inputs.clone()),
    };
    assert!(!replay(&with(RingState::Passed, &inputs)).unwrap().is_same);
    inputs.tallies[0].failures = 0;
    assert!(!replay(&with(RingState::Failed, &inputs)).unwrap().is_same);
    assert_eq!(replay(&Change::EmergencyLifted { by: "ada".to_owned() }), None);
}
