//! The agent's decisions, walked through without a device.

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use super::*;
use crate::ids::RolloutId;
use crate::release::{Archive, ArchiveFormat, ReleaseRef};
use crate::time::Timestamp;
use crate::window::Opening;

const EVENTS: [Event; 12] = [
    Event::Begun,
    Event::Staged,
    Event::Switching,
    Event::Switched,
    Event::Passed,
    Event::Soaked,
    Event::Broke,
    Event::GoingBack,
    Event::PutBack,
    Event::Stuck,
    Event::Doubted,
    Event::Dropped,
];

fn release(version: &str) -> ReleaseRef {
    ReleaseRef {
        id: format!("go-{version}-linux-amd64").parse().unwrap(),
        package: "go".parse().unwrap(),
        version: version.to_owned(),
        platform: "linux-amd64".parse().unwrap(),
        manifest: Digest::of(version.as_bytes()),
        archive: Archive { sha256: Digest::of(b"archive"), size: 1, format: ArchiveFormat::Zip },
    }
}

fn activate() -> Want {
    Want::Activate { release: release("1.27.3"), soak: Span::from_secs(60), window: None }
}

fn order(epoch: u64, generation: u64, want: Want) -> Order {
    Order {
        device: "device-1".parse().unwrap(),
        epoch,
        generation,
        issued_at: Timestamp::from_millis(0),
        rollout: "rollout-1".parse::<RolloutId>().unwrap(),
        want,
    }
}

fn check_order(seen: Option<&Order>, order: &Order, expect: Result<Novelty, Refusal>) {
    let device = "device-1".parse().unwrap();
    let seen = seen.map(Seen::of);
    assert_eq!(accept_order(&device, seen.as_ref(), order), expect, "{order:?}");
}

#[test]
fn orders_are_refused_by_name() {
    let seen = order(3, 7, activate());
    check_order(None, &seen, Ok(Novelty::New));
    check_order(Some(&seen), &seen, Ok(Novelty::Known));
    check_order(Some(&seen), &order(3, 8, Want::Hold), Ok(Novelty::New));
    check_order(Some(&seen), &order(4, 1, Want::Hold), Ok(Novelty::New));
    let older = Refusal::OlderGeneration { found: 6, seen: 7 };
    check_order(Some(&seen), &order(3, 6, activate()), Err(older));
    let epoch = Refusal::OlderEpoch { found: 2, seen: 3 };
    check_order(Some(&seen), &order(2, 99, activate()), Err(epoch));
    check_order(Some(&seen), &order(3, 7, Want::Hold), Err(Refusal::Changed { generation: 7 }));
    let mut foreign = order(3, 8, activate());
    foreign.device = "device-2".parse().unwrap();
    check_order(Some(&seen), &foreign, Err(Refusal::OtherDevice));
}

#[test]
fn the_way_to_acceptance() {
    use Step as S;
    let steps = walk(&activate(), "1.27.3", |_| None);
    assert_eq!(
        steps,
        [S::Fetching, S::Staged, S::Activating, S::Verifying, S::Soaking, S::Accepted]
    );
}

#[test]
fn a_failure_at_any_step_leads_back() {
    for broken in [Step::Fetching, Step::Activating, Step::Verifying, Step::Soaking] {
        let steps = walk(&activate(), "1.27.3", |step| (step == broken).then_some(Event::Broke));
        let end = &steps[steps.len() - 3..];
        assert_eq!(end, [Step::Failed, Step::Reverting, Step::Reverted], "{broken}");
    }
}

#[test]
fn another_release_made_active_by_somebody_is_noticed() {
    let steps = walk(&activate(), "1.26.0", |_| None);
    assert_eq!(steps.last(), Some(&Step::Reverted));
    assert!(!steps.contains(&Step::Soaking));
}

#[test]
fn orders_to_go_back_need_neither_download_nor_soak() {
    let want = Want::Revert { release: Some(release("1.27.2")) };
    assert_eq!(walk(&want, "1.27.3", |_| None), [Step::Reverting, Step::Reverted]);
    let stuck = |step| (step == Step::Reverting).then_some(Event::Stuck);
    assert_eq!(walk(&want, "1.27.3", stuck), [Step::Reverting, Step::Quarantined]);
}

#[test]
fn orders_to_hold_check_what_an_unfinished_order_left() {
    assert_eq!(walk(&Want::Hold, "1.27.3", |_| None), [Step::Skipped]);
    let hold = |step, is_unproven| {
        let id = "go-1.27.3-linux-amd64".parse().unwrap();
        decide(&Situation {
            want: &Want::Hold,
            step,
            active: Some(&id),
            is_unproven,
            soak_left: Span::ZERO,
            opening: Opening::Open,
        })
    };
    assert_eq!(hold(Step::Offered, true), Action::Note(Event::Doubted));
    assert_eq!(hold(Step::Verifying, true), Action::Check);
    assert_eq!(hold(Step::Verifying, false), Action::Note(Event::Dropped));
}

#[test]
fn nothing_is_activated_outside_the_window_but_everything_else_goes_on() {
    let want = activate();
    let (wanted, earlier) = (release("1.27.3").id, release("1.27.2").id);
    let opens = Some(Timestamp::from_millis(7));
    let outside = |step, active| {
        decide(&Situation {
            want: &want,
            step,
            active: Some(active),
            is_unproven: true,
            soak_left: Span::ZERO,
            opening: Opening::Closed { opens },
        })
    };
    assert_eq!(outside(Step::Fetching, &earlier), Action::Stage);
    assert_eq!(outside(Step::Staged, &earlier), Action::Await { opens });
    // Killed after the step was noted and before the switch; or between the switch and its note.
    assert_eq!(outside(Step::Activating, &earlier), Action::Await { opens });
    assert_eq!(outside(Step::Activating, &wanted), Action::Switch);
    assert_eq!(outside(Step::Verifying, &wanted), Action::Check);
    assert_eq!(outside(Step::Reverting, &wanted), Action::PutBack);
}

/// Follows the decisions until there is nothing to do; `fault` may replace what an action brings.
fn walk(want: &Want, active: &str, fault: impl Fn(Step) -> Option<Event>) -> Vec<Step> {
    let active: ReleaseId = format!("go-{active}-linux-amd64").parse().unwrap();
    let mut steps = Vec::new();
    let mut step = Step::Offered;
    loop {
        let situation = Situation {
            want,
            step,
            active: Some(&active),
            is_unproven: false,
            soak_left: Span::ZERO,
            opening: Opening::Open,
        };
        let event = match decide(&situation) {
            Action::Rest | Action::Await { .. } => return steps,
            Action::Note(event) => event,
            Action::Stage => fault(step).unwrap_or(Event::Staged),
            Action::Switch => fault(step).unwrap_or(Event::Switched),
            Action::Check => fault(step).unwrap_or(Event::Passed),
            Action::Soak(_) => fault(step).unwrap_or(Event::Soaked),
            Action::PutBack => fault(step).unwrap_or(Event::PutBack),
            Action::NoticeChange => Event::Broke,
        };
        step = advance(step, event).unwrap();
        steps.push(step);
        assert!(steps.len() < 20, "{steps:?}");
    }
}

#[test]
fn an_event_out_of_place_is_refused_by_name() {
    let error = advance(Step::Fetching, Event::Soaked).unwrap_err();
    assert_eq!(error.to_string(), "Soaked cannot happen at the step `fetching`");
}

#[test]
fn final_steps_stay() {
    for step in Step::ALL.into_iter().filter(|step| !step.is_in_flight() && *step != Step::Waiting)
    {
        for event in EVENTS {
            assert!(advance(step, event).is_err(), "{step} {event:?}");
        }
    }
}

fn wants() -> impl Strategy<Value = Want> {
    prop_oneof![
        Just(activate()),
        Just(Want::Revert { release: Some(release("1.27.2")) }),
        Just(Want::Revert { release: None }),
        Just(Want::Hold),
    ]
}

proptest! {
    /// Whatever fails, whoever changes what is active, and however often the process is killed
    /// (which repeats a decision): an order ends, and acceptance comes only after a check and a
    /// soak that both passed.
    #[test]
    fn every_order_ends(
        want in wants(),
        faults in proptest::collection::vec(any::<(bool, bool, bool)>(), 40),
    ) {
        let (wanted, other) = (release("1.27.3").id, release("1.27.2").id);
        let mut step = Step::Offered;
        let mut passed = Vec::new();
        for (is_broken, is_changed, is_unproven) in faults {
            let situation = Situation {
                want: &want,
                step,
                active: Some(if is_changed { &other } else { &wanted }),
                is_unproven,
                soak_left: Span::ZERO,
            opening: Opening::Open,
            };
            let or_broke = |event| if is_broken { Event::Broke } else { event };
            let event = match decide(&situation) {
                Action::Rest | Action::Await { .. } => break,
                Action::Note(event) => event,
                Action::Stage => or_broke(Event::Staged),
                Action::Switch => or_broke(Event::Switched),
                // Under an order to hold, the check's result is its end.
                Action::Check if want == Want::Hold => or_broke(Event::Dropped),
                Action::Check => or_broke(Event::Passed),
                Action::Soak(_) => or_broke(Event::Soaked),
                Action::PutBack => if is_broken { Event::Stuck } else { Event::PutBack },
                Action::NoticeChange => Event::Broke,
            };
            step = advance(step, event).unwrap();
            passed.push(event);
        }
        assert!(!step.is_in_flight(), "{step} after {passed:?}");
        if step == Step::Accepted {
            assert!(passed.contains(&Event::Passed) && passed.contains(&Event::Soaked));
        }
    }
}

#[test]
fn a_release_that_is_not_active_any_more_is_not_accepted() {
    let (wanted, other) = (release("1.27.3").id, release("1.27.2").id);
    let accept = |active: &ReleaseId| {
        let mut memory = Memory::new(0);
        memory.take_up(order(1, 1, activate()), Timestamp::from_millis(0));
        let disk = OnDisk { active: Some(active), ..OnDisk::default() };
        let events =
            [Event::Begun, Event::Staged, Event::Switching, Event::Switched, Event::Passed];
        for event in events.into_iter().chain([Event::Soaked]) {
            memory.record(Outcome::of(event), &disk, Timestamp::from_millis(1)).unwrap();
        }
        memory.task().unwrap().step
    };
    assert_eq!(accept(&wanted), Step::Accepted);
    assert_eq!(accept(&other), Step::Failed);
}
