//! The engine in the situations that a fleet brings.

use super::*;
use crate::hold::{Hold, KeptOut, Quarantine, QuarantineCause};
use crate::order::Taken;
use crate::ways::WayKind;

fn all_accepted(view: &RolloutView) -> bool {
    view.devices.iter().all(|device| device.step == Step::Accepted)
}

#[test]
fn a_healthy_release_reaches_everybody_ring_by_ring() {
    let mut world = two_rings("", [2, 4]);
    world.tick();
    assert_eq!(world.ring_states(), [RingState::Running, RingState::Waiting]);
    assert_eq!(world.reason(3).as_deref(), Some("ring"));
    world.run_until(|view| view.state == RolloutState::Completed);
    assert!(all_accepted(&world.view));
    assert_eq!(world.ring_states(), [RingState::Passed, RingState::Passed]);
    assert_eq!(world.tick(), [], "nothing is left to do");
}

#[test]
fn accepting_before_the_soak_time_is_over_by_our_clock_does_not_open_the_gate() {
    let mut world = two_rings("", [1, 1]);
    world.view.spec.soak = Span::from_secs(3600);
    world.view.spec.silence_after = Span::from_secs(7200);
    world.tick();
    for _ in 0..6 {
        world.work(0);
        world.report(0);
    }
    assert_eq!(world.steps()[0], Step::Accepted);
    world.tick();
    assert_eq!(world.ring_states(), [RingState::Running, RingState::Waiting]);
    world.pass(Span::from_secs(3600));
    world.tick();
    assert_eq!(world.ring_states(), [RingState::Passed, RingState::Running]);
}

#[test]
fn no_more_than_the_allowed_number_is_in_flight() {
    let mut world = two_rings(", max_in_flight: 2", [1, 5]);
    world.run_until(|view| view.rings[1].state == RingState::Running);
    assert_eq!(world.view.places_taken(), 2);
    assert_eq!(world.reason(5).as_deref(), Some("max_in_flight"));
    world.run_until(|view| view.state == RolloutState::Completed);
}

#[test]
fn a_failure_in_the_first_ring_keeps_the_second_from_starting() {
    let mut world = two_rings("", [1, 3]);
    world.machine(0).is_bad = true;
    world.run_until(|view| view.state == RolloutState::Paused);
    assert_eq!(world.ring_states(), [RingState::Failed, RingState::Waiting]);
    let cause = world.view.cause.clone().unwrap().to_string();
    assert_eq!(cause, "the gate of ring `test` failed: 1 failed, at most 0 may");
    assert_eq!(world.reason(2).as_deref(), Some("paused"));
    world.run_until(|view| view.devices[0].step == Step::Reverted);
    assert!(world.view.devices.iter().skip(1).all(|device| device.order.is_none()));
    assert_eq!(world.reason(0).as_deref(), Some("failed"));
}

#[test]
fn resuming_accepts_the_failures_so_far() {
    let mut world = two_rings("", [2, 3]);
    world.machine(0).is_bad = true;
    world.run_until(|view| view.state == RolloutState::Paused);
    world.command(Command::Resume).unwrap();
    world.run_until(|view| view.state == RolloutState::Completed);
    assert_eq!(world.steps()[0], Step::Reverted, "it keeps what it went back to");
    assert!(world.view.devices[0].is_waived);
}

#[test]
fn one_more_failure_after_resuming_pauses_again() {
    let mut world = two_rings("", [2, 3]);
    world.machine(0).is_bad = true;
    world.run_until(|view| view.state == RolloutState::Paused);
    world.command(Command::Resume).unwrap();
    world.machine(3).is_bad = true;
    world.run_until(|view| view.state == RolloutState::Paused);
    assert_eq!(world.ring_states(), [RingState::Passed, RingState::Failed]);
}

#[test]
fn a_late_failure_in_a_passed_ring_pauses_the_next_one() {
    let gates = ", gate: {min_successes: 1}";
    let mut world = two_rings(gates, [3, 3]);
    world.view.spec.max_in_flight = 1;
    world.machine(1).is_bad = true;
    world.run_until(|view| view.state == RolloutState::Paused);
    assert_eq!(world.ring_states()[0], RingState::Failed);
}

#[test]
fn a_ring_is_put_back_and_can_be_tried_again() {
    let mut world = two_rings(", on_failure: roll_back_ring", [3, 2]);
    world.machine(2).is_bad = true;
    world.run_until(|view| view.rings[0].state == RingState::RolledBack);
    assert_eq!(world.view.state, RolloutState::Paused);
    assert_eq!(world.steps()[..3], [Step::Reverted; 3]);
    assert!(world.machines.values().all(|machine| !machine.has_new));
    let own = world.view.devices[2].want();
    assert_eq!(own, Some(WantKind::Activate), "it went back by itself and got no order to");
    world.command(Command::Resume).unwrap();
    world.run_until(|view| view.state == RolloutState::Completed);
    let steps = world.steps();
    assert_eq!(steps[..3], [Step::Accepted, Step::Accepted, Step::Reverted]);
}

#[test]
fn everything_is_put_back() {
    let mut world = two_rings(", on_failure: roll_back_all", [2, 4]);
    world.run_until(|view| view.rings[1].state == RingState::Running);
    world.machine(4).is_bad = true;
    world.run_until(|view| view.state == RolloutState::RolledBack);
    assert!(world.machines.values().all(|machine| !machine.has_new));
    assert_eq!(world.ring_states(), [RingState::RolledBack; 2]);
    assert_eq!(world.reason(0).as_deref(), Some("put_back"));
}

#[test]
fn silence_counts_as_failure_and_its_end_is_seen() {
    let mut world = two_rings(", on_failure: pause", [2, 1]);
    world.tick();
    world.machine(0).is_online = false;
    world.run_until(|view| view.state == RolloutState::Paused);
    assert!(world.view.devices[0].is_silent);
    assert_eq!(world.reason(0).as_deref(), Some("silent"));
    assert_eq!(tally(&world.view, 0, world.now).silent, 1);
    assert_eq!(status(&world.view, 0, world.now).awaited, 0, "nothing more comes of it");
    world.machine(0).is_online = true;
    world.run_until(|view| view.devices[0].step == Step::Accepted);
    assert!(!world.view.devices[0].is_silent);
}

#[test]
fn a_device_that_is_heard_but_gets_nowhere_counts_as_silent() {
    let mut world = two_rings("", [1, 1]);
    world.tick();
    for _ in 0..62 {
        world.pass(Span::from_secs(1));
        world.tick();
    }
    assert_eq!(world.view.state, RolloutState::Paused, "heard each second, and nothing moved");
}

#[test]
fn who_was_offline_before_is_held_apart_and_comes_later() {
    let mut world = two_rings("", [2, 3]);
    world.machine(0).is_online = false;
    world.pass(Span::from_secs(31));
    world.tick();
    assert_eq!(world.reason(0).as_deref(), Some("offline"));
    assert_eq!(world.view.devices[0].order, None);
    world.run_until(|view| view.rings[0].state == RingState::Passed);
    world.machine(0).is_online = true;
    world.pass(Span::from_secs(1));
    world.run_until(|view| view.state == RolloutState::Completed);
    assert!(all_accepted(&world.view));
}

#[test]
fn a_ring_of_which_nobody_is_online_shows_nothing() {
    let mut world = two_rings("", [1, 3]);
    world.machine(0).is_online = false;
    world.pass(Span::from_secs(31));
    for _ in 0..100 {
        world.pass(Span::from_secs(10));
        world.tick();
    }
    assert_eq!(world.ring_states(), [RingState::Running, RingState::Waiting]);
    let ring = &status(&world.view, 0, world.now).rings_detail[0];
    assert_eq!(ring.reasons[0].text, "0 accepted, 1 must; 1 are held apart");
}

#[test]
fn completing_leaves_out_who_never_came() {
    let mut world = two_rings("", [1, 3]);
    world.machine(3).is_online = false;
    world.pass(Span::from_secs(31));
    world.run_until(|view| view.state == RolloutState::Completed);
    assert_eq!(world.steps()[3], Step::Skipped);
    assert_eq!(world.reason(3).as_deref(), Some("was_offline"));
}

#[test]
fn what_a_server_could_not_hear_is_no_silence() {
    let mut world = two_rings("", [2, 2]);
    world.tick();
    // Down for a day, with orders out.
    world.now = world.now + Span::from_secs(86_400);
    world.view.listening_since = world.now;
    assert_eq!(world.tick(), []);
    world.run_until(|view| view.state == RolloutState::Completed);
}

#[test]
fn who_could_not_be_heard_is_not_held_apart_at_once() {
    let mut world = two_rings(", max_in_flight: 1", [3, 1]);
    world.run_until(|view| view.devices[0].step == Step::Accepted);
    world.now = world.now + Span::from_secs(86_400);
    world.view.listening_since = world.now;
    world.tick();
    assert_eq!(world.ring_states(), [RingState::Running, RingState::Waiting]);
    assert_eq!(world.reason(2).as_deref(), Some("unheard"));
    world.pass(Span::from_secs(1));
    world.run_until(|view| view.state == RolloutState::Completed);
}

#[test]
fn a_clock_set_back_an_hour_changes_nothing_but_the_waiting() {
    let mut world = two_rings("", [1, 2]);
    world.run_until(|view| view.devices[0].step == Step::Soaking);
    world.now = world.now - Span::from_secs(3600);
    assert_eq!(world.tick(), []);
    world.work(0);
    world.report(0);
    world.tick();
    assert_eq!(world.ring_states()[1], RingState::Waiting, "the soak counts by this clock");
    world.pass(Span::from_secs(3700));
    world.run_until(|view| view.state == RolloutState::Completed);
}

#[test]
fn after_a_stop_nothing_begins() {
    let mut world = two_rings("", [1, 4]);
    world.run_until(|view| view.rings[1].state == RingState::Running);
    world.work(1);
    for _ in 0..4 {
        world.work(2);
        world.report(2);
    }
    assert_eq!(world.steps()[2], Step::Verifying);
    world.machine(4).is_online = false;
    world.command(Command::Stop).unwrap();
    let actions = world.tick();
    let holds = |action: &&Action| matches!(action, Action::Order { want: WantKind::Hold, .. });
    assert_eq!(actions.iter().filter(holds).count(), 3, "all but the one that has switched");
    world.run_until(|view| view.state == RolloutState::Stopped);
    assert_eq!(world.steps()[1], Step::Skipped);
    assert_eq!(world.steps()[2], Step::Accepted);
    assert!(world.view.devices[4].is_silent);
    assert_eq!(
        world.command(Command::Resume).unwrap_err().to_string(),
        "cannot resume a rollout that is stopped"
    );
}

#[test]
fn rolling_back_after_the_end_puts_everybody_back() {
    let mut world = two_rings("", [1, 2]);
    world.run_until(|view| view.state == RolloutState::Completed);
    world.view.devices[2].superseded_by = Some("r2".parse().unwrap());
    world.view.devices[1].previous = Previous::Unknown("1.26.0".to_owned());
    world.command(Command::Rollback).unwrap();
    world.run_until(|view| view.state == RolloutState::RolledBack);
    assert_eq!(world.steps(), [Step::Reverted, Step::Accepted, Step::Accepted]);
    assert_eq!(world.reason(1).as_deref(), Some("unknown_previous"));
    assert_eq!(world.reason(2).as_deref(), Some("superseded"));
}

#[test]
fn rolling_back_after_a_stop_reaches_who_was_held_too_late() {
    let mut world = two_rings("", [1, 1]);
    world.tick();
    for _ in 0..4 {
        world.work(0);
    }
    world.command(Command::Stop).unwrap();
    world.run_until(|view| view.state == RolloutState::Stopped);
    assert!(world.machine(0).has_new, "it had switched before it heard of the stop");
    world.command(Command::Rollback).unwrap();
    world.run_until(|view| view.state == RolloutState::RolledBack);
    assert!(!world.machine(0).has_new);
}

#[test]
fn silent_devices_that_take_every_place_ask_for_a_person() {
    let mut world = two_rings(", max_in_flight: 1, gate: {max_failures: 5}", [3, 1]);
    world.tick();
    world.machine(0).is_online = false;
    world.run_until(|view| view.state == RolloutState::Paused);
    assert_eq!(world.view.cause.clone().unwrap().code(), "only_silence");
    world.command(Command::Resume).unwrap();
    world.run_until(|view| view.state == RolloutState::Completed);
    assert_eq!(world.steps()[1..], [Step::Accepted; 3]);
}

#[test]
fn silent_and_broken_devices_that_fill_the_blast_radius_ask_for_a_person() {
    for is_broken in [false, true] {
        let mut world = two_rings(", gate: {max_failures: 5}", [3, 1]);
        world.view.exposure = Some(Exposure { max: 1, elsewhere: 0 });
        world.tick();
        world.machine(0).is_online = false;
        if is_broken {
            world.view.devices[0].step = Step::Quarantined;
        }
        world.run_until(|view| view.state == RolloutState::Paused);
        assert_eq!(world.view.cause.clone().unwrap().code(), "only_silence");
        world.command(Command::Resume).unwrap();
        world.run_until(|view| view.state == RolloutState::Completed);
        assert_eq!(world.steps()[1..], [Step::Accepted; 3]);
    }
}

#[test]
fn a_release_that_is_blocked_reaches_nobody_new() {
    let mut world = two_rings("", [1, 3]);
    world.run_until(|view| view.devices[0].step == Step::Soaking);
    world.view.unapproved = vec!["go-1.27.3-linux-amd64".parse().unwrap()];
    world.tick();
    assert_eq!(
        world.view.cause.clone().unwrap().to_string(),
        "go-1.27.3-linux-amd64 is not approved any more"
    );
    world.command(Command::Resume).unwrap();
    world.tick();
    assert_eq!(world.view.state, RolloutState::Paused);
}

#[test]
fn all_rollouts_together_stay_within_the_blast_radius() {
    let mut world = two_rings("", [2, 6]);
    world.view.exposure = Some(Exposure { max: 5, elsewhere: 4 });
    world.tick();
    let in_flight = |world: &World| world.view.places_taken();
    assert_eq!(in_flight(&world), 1);
    assert_eq!(world.reason(1).as_deref(), Some("blast_radius"));
    // The other rollouts take it all: nothing moves, and nobody is asked to do anything.
    world.view.exposure = Some(Exposure { max: 5, elsewhere: 9 });
    world.run_until(|view| view.devices[0].step == Step::Accepted);
    assert_eq!((world.tick(), world.view.state), (vec![], RolloutState::Running));
    // Who is broken takes room until a person says that it is well.
    world.view.exposure = Some(Exposure { max: 3, elsewhere: 0 });
    world.view.spec.gate.max_failures = 1;
    world.tick();
    world.view.devices[1].step = Step::Quarantined;
    world.run_until(|view| view.rings[1].state == RingState::Running);
    assert_eq!(world.view.places_taken(), 2);
}

#[test]
fn a_blast_radius_is_a_number_or_a_share() {
    let of = |text: &str, fleet| text.parse::<BlastRadius>().unwrap().of(fleet);
    assert_eq!((of("500", 20), of("5%", 1000), of("5%", 19)), (500, 50, 1));
    for text in ["0", "", "-1", "200%", "some"] {
        let error = text.parse::<BlastRadius>().unwrap_err();
        assert!(error.to_string().contains("`5%`"), "{error}");
    }
    assert_eq!("5%".parse::<BlastRadius>().unwrap().to_string(), "5%");
}

/// A device fails with something that may pass, and goes back by itself.
fn fail(world: &mut World, place: usize, kind: FailureKind) {
    let message = "it was not to be".to_owned();
    let machine = world.machine(place);
    machine.failure = Some(Failure { step: Step::Fetching, kind, message });
    machine.is_bad = true;
    world.run_until(|view| view.devices[place].step == Step::Reverted);
}

#[test]
fn what_may_pass_by_itself_is_tried_again_later_and_later() {
    let mut world = two_rings(", retry: {times: 2, after: 60s}", [1, 1]);
    fail(&mut world, 0, FailureKind::DiskFull);
    assert_eq!(world.reason(0).as_deref(), Some("retry"));
    assert_eq!(world.ring_states(), [RingState::Running, RingState::Waiting]);
    world.pass(Span::from_secs(58));
    assert_eq!(world.tick(), [], "it is not time yet");
    world.pass(Span::from_secs(2));
    fail(&mut world, 0, FailureKind::Network);
    world.pass(Span::from_secs(110));
    assert_eq!(world.tick(), [], "the second wait is longer");
    world.machine(0).is_bad = false;
    world.pass(Span::from_secs(10));
    world.run_until(|view| view.state == RolloutState::Completed);
    assert_eq!(world.view.devices[0].attempts, 3);
}

#[test]
fn attempts_come_to_an_end() {
    let mut world = two_rings(", retry: {times: 1, after: 1s}", [1, 1]);
    fail(&mut world, 0, FailureKind::FileSystem);
    world.pass(Span::from_secs(2));
    fail(&mut world, 0, FailureKind::FileSystem);
    world.tick();
    assert_eq!(world.view.state, RolloutState::Paused);
    assert_eq!(world.view.devices[0].attempts, 2);
    // A person lets the others go on.
    world.command(Command::Resume).unwrap();
    world.run_until(|view| view.state == RolloutState::Completed);
}

#[test]
fn what_tells_of_the_release_is_not_tried_again() {
    let mut world = two_rings(", retry: {times: 5, after: 1s}", [2, 1]);
    fail(&mut world, 0, FailureKind::Check);
    assert_eq!(world.reason(0).as_deref(), Some("failed"));
    assert_eq!(world.view.state, RolloutState::Paused);
}

#[test]
fn a_release_that_is_blocked_is_taken_back_where_it_has_not_switched() {
    let mut world = two_rings("", [2, 1]);
    world.run_until(|view| view.devices[1].step == Step::Fetching);
    world.view.unapproved = vec![world.view.devices[1].release.clone()];
    world.tick();
    assert_eq!(world.view.devices[1].want(), Some(WantKind::Hold));
}

#[test]
fn an_emergency_stops_everything_and_its_end_lets_a_person_go_on() {
    let mut world = two_rings("", [1, 3]);
    world.run_until(|view| view.devices[0].step == Step::Accepted);
    world.run_until(|view| view.devices[1].step == Step::Fetching);
    let (by, reason) = ("ada".to_owned(), "builds fail everywhere".to_owned());
    world.view.emergency = Some(EmergencyStop { by, reason, at: world.now });
    world.tick();
    assert_eq!(world.view.state, RolloutState::Paused);
    let cause = world.view.cause.clone().unwrap();
    assert_eq!(cause.code(), "emergency");
    assert!(cause.to_string().ends_with("builds fail everywhere"), "{cause}");
    let wants: Vec<_> = world.view.devices.iter().map(DeviceView::want).collect();
    assert_eq!(wants[0], Some(WantKind::Activate), "what has come through stays");
    assert_eq!(wants[1..], [Some(WantKind::Hold); 3]);
    world.run_until(|view| view.devices.iter().skip(1).all(|it| it.step == Step::Skipped));
    assert!(world.machines.values().skip(1).all(|machine| !machine.has_new));

    assert_eq!(world.command(Command::Resume), Err(Refused::Emergency));
    world.view.emergency = None;
    assert_eq!(world.tick(), [], "nothing moves by itself");
    world.command(Command::Resume).unwrap();
    world.run_until(|view| view.state == RolloutState::Completed);
    assert_eq!(world.steps(), [Step::Accepted; 4]);
}

#[test]
fn who_was_taken_back_has_not_answered() {
    let more = ", gate: {max_failures: 1}, on_failure: roll_back_ring";
    let mut world = two_rings(more, [2, 1]);
    world.machine(0).is_bad = true;
    world.machine(1).is_online = false;
    world.run_until(|view| view.devices[0].step == Step::Reverted);
    let (by, reason) = ("ada".to_owned(), "no".to_owned());
    world.view.emergency = Some(EmergencyStop { by, reason, at: world.now });
    world.tick();
    world.machine(1).is_online = true;
    world.run_until(|view| view.devices[1].step == Step::Skipped);
    world.tick();
    assert_eq!(world.view.cause.as_ref().unwrap().code(), "emergency");
    assert_eq!(world.ring_states()[0], RingState::Running, "one may fail, the other will be tried");
}

#[test]
fn going_back_is_not_held_up_by_an_emergency() {
    let mut world = two_rings("", [1, 2]);
    world.run_until(|view| view.rings[1].state == RingState::Running);
    let (by, reason) = ("ada".to_owned(), "no".to_owned());
    world.view.emergency = Some(EmergencyStop { by, reason, at: world.now });
    world.command(Command::Rollback).unwrap();
    world.run_until(|view| view.state == RolloutState::RolledBack);
    assert!(world.machines.values().all(|machine| !machine.has_new));
}

#[test]
fn commands_are_refused_by_name_where_they_mean_nothing() {
    let mut world = two_rings("", [1, 1]);
    for state in RolloutState::ALL {
        for asked in Command::ALL {
            world.view.state = state;
            let answer = command(&world.view, asked, "tester");
            let fits = match asked {
                Command::Pause => state == RolloutState::Running,
                Command::Resume => state == RolloutState::Paused,
                Command::Stop => matches!(state, RolloutState::Running | RolloutState::Paused),
                Command::Rollback => {
                    !matches!(state, RolloutState::RollingBack | RolloutState::RolledBack)
                }
            };
            assert_eq!(answer.is_ok(), fits, "{asked} while {state}");
        }
    }
}

#[test]
fn what_was_saved_is_counted_for_the_devices_that_have_the_release() {
    let mut world = two_rings("", [1, 3]);
    let way = |kind, edge_bytes| Some(Taken { kind, edge_bytes, given_up: Vec::new() });
    let taken = [
        (way(WayKind::Delta, 250), 300),
        (way(WayKind::Delta, 0), 300),
        (way(WayKind::Archive, 0), 76_000_000),
        // Under way: neither its bytes nor its archive count yet.
        (None, 1000),
    ];
    for (device, (way, bytes)) in world.view.devices.iter_mut().zip(taken) {
        (device.way, device.bytes_downloaded) = (way, bytes);
    }
    let status = status(&world.view, 0, world.now);
    let of = |kind, devices, bytes| WayTraffic { kind, devices, bytes };
    assert_eq!(
        status.traffic,
        Traffic {
            ways: vec![of(WayKind::Delta, 2, 600), of(WayKind::Archive, 1, 76_000_000)],
            edge_bytes: 250,
            archive_bytes: 3 * 75_500_000,
            saved_bytes: 3 * 75_500_000 - 76_000_600,
        }
    );
    assert_eq!(status.bytes_downloaded, 76_001_600);
}

#[test]
fn rings_that_fail_at_once_are_all_told_at_once() {
    let gate = ", gate: {min_successes: 1, max_failures: 0}";
    let mut world = two_rings(gate, [2, 2]);
    world.tick();
    world.machine(1).is_online = false;
    world.run_until(|view| view.rings[1].state == RingState::Running);
    for place in 2..4 {
        world.machine(place).is_online = false;
    }
    // Both rings have silent devices from the same moment on.
    world.pass(Span::from_secs(61));
    world.tick();
    assert_eq!(world.ring_states(), [RingState::Failed, RingState::Failed]);
    assert_eq!(world.tick(), [], "a second look finds nothing to do");
}

#[test]
fn who_waits_for_a_window_is_not_silent_before_it_opens() {
    let mut world = two_rings(", window: {open: [daily 01:00-05:00]}", [1, 1]);
    world.tick();
    for _ in 0..2 {
        world.work(0);
        world.report(0);
    }
    let opens = world.now + Span::from_secs(3600);
    world.view.devices[0].order.as_mut().unwrap().waits_until = Some(opens);
    assert_eq!(world.reason(0).as_deref(), Some("window"));
    world.pass(Span::from_secs(3600));
    assert_eq!(world.tick(), []);
    // It was to answer within a minute of its window's opening.
    world.pass(Span::from_secs(61));
    world.tick();
    assert!(world.view.devices[0].is_silent);
}

#[test]
fn a_device_with_a_wrong_clock_is_not_waited_for_longer_than_its_window_is_closed() {
    let mut world = two_rings(", window: {open: [daily 01:00-05:00]}", [1, 1]);
    world.tick();
    world.work(0);
    world.report(0);
    let in_years = world.now + Span::from_secs(10 * 365 * 86_400);
    world.view.devices[0].order.as_mut().unwrap().waits_until = Some(in_years);
    world.pass(Span::from_secs(20 * 3600));
    assert_eq!(world.tick(), []);
    world.pass(Span::from_secs(2 * 86_400));
    world.tick();
    assert!(world.view.devices[0].is_silent);
}

#[test]
fn who_waits_for_a_window_and_is_heard_no_more_is_silent() {
    let mut world = two_rings("", [1, 1]);
    world.tick();
    world.work(0);
    world.report(0);
    let opens = world.now + Span::from_secs(3600);
    world.view.devices[0].order.as_mut().unwrap().waits_until = Some(opens);
    world.machine(0).is_online = false;
    world.pass(Span::from_secs(61));
    world.tick();
    assert!(world.view.devices[0].is_silent);
}

const RATE: &str = ", gate: {max_failure_rate: 20%}";

#[test]
fn a_ring_passes_as_soon_as_its_failure_rate_is_shown() {
    // 16 successes without a failure show less than 20%.
    let mut world = two_rings(RATE, [16, 1]);
    world.run_until(|view| view.rings[1].state == RingState::Running);
    world.run_until(|view| view.state == RolloutState::Completed);
}

#[test]
fn one_failure_is_borne_if_enough_others_succeed() {
    let mut world = two_rings(RATE, [40, 1]);
    world.machine(3).is_bad = true;
    world.run_until(|view| view.state == RolloutState::Completed);
    assert_eq!(world.steps()[3], Step::Reverted);
}

#[test]
fn what_shows_neither_pauses_and_says_how_many_more_would_do() {
    let mut world = two_rings(RATE, [17, 1]);
    world.machine(3).is_bad = true;
    world.run_until(|view| view.state == RolloutState::Paused);
    let cause = world.view.cause.as_ref().unwrap().to_string();
    let says = "failed, which does not show that less than 20% do: ";
    assert!(cause.contains(says) && cause.ends_with("more successes would"), "{cause}");
}

#[test]
fn a_bad_release_is_stopped_as_soon_as_its_rate_is_shown() {
    let mut world = two_rings(&format!("{RATE}, max_in_flight: 10"), [60, 1]);
    for place in 0..60 {
        world.machine(place).is_bad = true;
    }
    world.run_until(|view| view.state == RolloutState::Paused);
    let tried = world.view.devices.iter().filter(|device| device.order.is_some()).count();
    let cause = world.view.cause.as_ref().unwrap().to_string();
    assert!(cause.contains("10 of 10 failed, which shows that more than 20% do"), "{cause}");
    assert!(tried <= 10, "{tried} were tried");
    assert_eq!(world.tick(), []);
}

#[test]
fn a_proof_that_cannot_come_any_more_is_not_waited_for() {
    let mut world = two_rings(&format!("{RATE}, max_in_flight: 4"), [20, 1]);
    for place in 0..4 {
        world.machine(place).is_bad = place < 2;
    }
    world.run_until(|view| view.state == RolloutState::Paused);
    let tried = world.view.devices.iter().filter(|device| device.order.is_some()).count();
    assert!(tried < 10, "{tried} were tried");
}

fn hold(from: Timestamp, until: Option<Timestamp>) -> KeptOut {
    KeptOut::Hold(Hold {
        id: "h1".parse().unwrap(),
        devices: String::new(),
        reason: "quarter's end".to_owned(),
        by: "finance".to_owned(),
        from,
        until,
    })
}

#[test]
fn who_is_held_is_held_apart_and_comes_when_let_in() {
    let mut world = two_rings("", [3, 2]);
    world.view.devices[1].kept_out = Some(hold(world.now, None));
    world.run_until(|view| view.rings[1].state == RingState::Running);
    assert_eq!(world.steps()[..3], [Step::Accepted, Step::Waiting, Step::Accepted]);
    assert_eq!(world.reason(1).as_deref(), Some("held"));
    assert_eq!(tally(&world.view, 0, world.now).held, 1);
    world.view.devices[1].kept_out = None;
    world.run_until(|view| view.state == RolloutState::Completed);
    assert!(all_accepted(&world.view));
}

#[test]
fn a_ring_of_which_everybody_is_held_waits() {
    let mut world = two_rings("", [1, 1]);
    world.view.devices[0].kept_out = Some(hold(world.now, None));
    assert_eq!(world.tick().len(), 1, "the ring is opened");
    assert_eq!(world.ring_states(), [RingState::Running, RingState::Waiting]);
    let ring = &status(&world.view, 0, world.now).rings_detail[0];
    assert_eq!(ring.reasons[0].text, "0 accepted, 1 must; 1 are held apart");
}

#[test]
fn who_is_held_under_way_is_taken_back_and_tried_again_when_let_in() {
    let mut world = two_rings("", [2, 1]);
    world.tick();
    world.work(0);
    world.report(0);
    assert_eq!(world.steps()[0], Step::Fetching);
    world.view.devices[0].kept_out = Some(hold(world.now, None));
    world.tick();
    assert_eq!(world.view.devices[0].want(), Some(WantKind::Hold));
    world.run_until(|view| view.rings[1].state == RingState::Running);
    assert_eq!(world.steps()[0], Step::Skipped);
    assert_eq!(world.reason(0).as_deref(), Some("held"));
    world.view.devices[0].kept_out = None;
    world.run_until(|view| view.state == RolloutState::Completed);
    assert!(all_accepted(&world.view));
}

#[test]
fn who_has_switched_before_the_hold_finishes() {
    let mut world = two_rings("", [2, 1]);
    world.tick();
    while world.steps()[0] != Step::Verifying {
        world.work(0);
        world.report(0);
    }
    world.view.devices[0].kept_out = Some(hold(world.now, None));
    world.run_until(|view| view.state == RolloutState::Completed);
    assert_eq!(world.steps()[0], Step::Accepted);
}

/// Lets the others of the first ring do well before the last of them fails.
fn fail_last(world: &mut World, last: usize) {
    world.tick();
    for place in 0..last {
        while world.steps()[place] != Step::Accepted {
            world.work(place);
            world.report(place);
        }
    }
    world.machine(last).is_bad = true;
    world.pass(Span::from_secs(3));
}

#[test]
fn a_device_that_fails_alike_with_two_releases_is_at_fault_itself() {
    let mut world = two_rings("", [4, 2]);
    world.machine(3).failure = Some(check_failed());
    fail_last(&mut world, 3);
    world.view.devices[3].earlier_failures = vec![failed_before(5, 1)];
    world.run_until(|view| view.state == RolloutState::Completed);
    assert_eq!(world.steps()[3], Step::Reverted);
    let tally = tally(&world.view, 0, world.now);
    assert_eq!((tally.failures, tally.out), (0, 1), "its failure says nothing of the release");
    let Some(KeptOut::Quarantine(quarantine)) = &world.view.devices[3].kept_out else {
        panic!("it is in quarantine")
    };
    assert_eq!(
        quarantine.cause.to_string(),
        "fails alike with go-1.27.3-linux-amd64 and go-1.27.2-linux-amd64, which most others run \
         well: no go"
    );
}

/// A failure with another release, where so many others did well and so many failed alike.
fn failed_before(well: u32, alike: u32) -> EarlierFailure {
    let release = "go-1.27.2-linux-amd64".parse().unwrap();
    EarlierFailure { release, failure: check_failed(), others: Comparison { well, alike } }
}

#[test]
fn only_an_earlier_failure_of_the_same_sort_with_another_release_blames_the_device() {
    let same_release = "go-1.27.3-linux-amd64".parse().unwrap();
    let full = Failure { kind: FailureKind::DiskFull, ..check_failed() };
    for earlier in [
        failed_before(5, 5),
        EarlierFailure { failure: full, ..failed_before(5, 0) },
        EarlierFailure { release: same_release, ..failed_before(5, 0) },
    ] {
        let mut world = two_rings("", [4, 2]);
        world.machine(3).failure = Some(check_failed());
        fail_last(&mut world, 3);
        world.view.devices[3].earlier_failures = vec![earlier];
        world.run_until(|view| view.state == RolloutState::Paused);
        assert_eq!(world.view.devices[3].kept_out, None);
    }
}

#[test]
fn a_device_is_not_blamed_where_most_others_fail_too() {
    let mut world = two_rings("", [3, 2]);
    for place in 0..3 {
        world.machine(place).is_bad = true;
        world.machine(place).failure = Some(check_failed());
        world.view.devices[place].earlier_failures = vec![failed_before(5, 1)];
    }
    world.run_until(|view| view.state == RolloutState::Paused);
    assert!(world.view.devices.iter().all(|device| device.quarantined_for.is_none()));
}

#[test]
fn a_device_in_quarantine_stays_there_for_its_first_cause() {
    let mut world = two_rings(", retry: {times: 1, after: 1s}", [1, 1]);
    world.machine(0).is_bad = true;
    world.machine(0).failure = Some(Failure { kind: FailureKind::DiskFull, ..check_failed() });
    world
        .run_until(|view| view.devices[0].step == Step::Verifying && view.devices[0].attempts == 2);
    let (by, reason) = ("ann".to_owned(), "noise".to_owned());
    let first = Quarantine { cause: QuarantineCause::Person { by, reason }, at: world.now };
    world.view.devices[0].kept_out = Some(KeptOut::Quarantine(first.clone()));
    world.run_until(|view| view.devices[0].quarantined_for.is_some());
    assert_eq!(world.view.devices[0].kept_out, Some(KeptOut::Quarantine(first)));
}

#[test]
fn a_device_on_which_retries_help_nothing_goes_into_quarantine_once() {
    let mut world = two_rings(", retry: {times: 1, after: 1s}", [1, 1]);
    world.machine(0).is_bad = true;
    world.machine(0).failure = Some(Failure { kind: FailureKind::DiskFull, ..check_failed() });
    world.run_until(|view| view.devices[0].quarantined_for.is_some());
    assert_eq!(world.view.state, RolloutState::Paused, "it counts all the same");
    let Some(QuarantineCause::RetriesExhausted { attempts: 2, .. }) =
        world.view.devices[0].quarantined_for
    else {
        panic!("{:?}", world.view.devices[0].quarantined_for)
    };
    world.view.devices[0].kept_out = None;
    assert_eq!(world.tick(), [], "a person has let it in");
}

fn check_failed() -> Failure {
    Failure { step: Step::Verifying, kind: FailureKind::Check, message: "no go".to_owned() }
}

fn rehearsal(size: usize) -> World {
    let mut world = two_rings("", [size, 2]);
    world.view.spec.rings[0].rehearse = true;
    world
}

#[test]
fn the_gate_of_a_rehearsal_counts_the_second_upgrade() {
    let mut world = rehearsal(2);
    world.run_until(|view| view.rings[0].state == RingState::Repeating);
    assert!(
        world
            .view
            .devices
            .of_ring(0)
            .all(|it| it.order.is_none_or(|it| it.want == WantKind::Activate))
    );
    assert_eq!(world.view.rings[1].state, RingState::Waiting, "the first upgrade opens nothing");
    assert_eq!(world.view.devices[0].step, Step::Offered);
    world.run_until(|view| view.state == RolloutState::Completed);
    assert!(all_accepted(&world.view));
    let reverts = |place: usize| {
        let id = world.id(place);
        let is_revert = |it: &&Action| matches!(it, Action::Order { device, want: WantKind::Revert } if *device == id);
        world.done.iter().filter(is_revert).count()
    };
    assert_eq!([0, 1, 2, 3].map(reverts), [1, 1, 0, 0], "only the first ring rehearses");
    let mut failing = rehearsal(1);
    failing.run_until(|view| view.rings[0].state == RingState::Repeating);
    failing.machine(0).is_bad = true;
    failing.run_until(|view| view.state == RolloutState::Paused);
    assert_eq!(failing.ring_states(), [RingState::Failed, RingState::Waiting]);
}

#[test]
fn a_device_that_cannot_go_back_fails_the_rehearsal() {
    let mut world = rehearsal(2);
    world.view.devices[1].previous = Previous::Unknown("1.25.9".to_owned());
    world.run_until(|view| view.state == RolloutState::Paused);
    assert_eq!(world.ring_states(), [RingState::Failed, RingState::Waiting]);
    let cause = world.view.cause.clone().unwrap().to_string();
    assert!(cause.starts_with("1 device of ring `test` cannot go back"), "{cause}");
    let status = status(&world.view, 0, world.now);
    assert_eq!(status.rings_detail[0].reasons[0].code, "cannot_go_back");
    world.run_until(|view| view.devices[0].step == Step::Reverted);
    world.command(Command::Resume).unwrap();
    world.run_until(|view| view.state == RolloutState::Completed);
    assert!(all_accepted(&world.view), "it goes on without the rehearsal of that one");
}

#[test]
fn silence_on_the_way_back_fails_the_rehearsal() {
    let mut world = rehearsal(2);
    world.run_until(|view| view.rings[0].state == RingState::Rehearsing);
    world.machine(1).is_online = false;
    assert_eq!(world.reason(1).as_deref(), Some("answer"));
    world.run_until(|view| view.state == RolloutState::Paused);
    assert_eq!(world.view.cause.as_ref().unwrap().code(), "rehearsal_failed");
    assert!(world.view.devices[1].is_silent);
}
