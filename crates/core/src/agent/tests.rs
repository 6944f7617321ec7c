//! The agent's decisions, walked through without a device.

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use super::*;
use crate::ids::RolloutId;
use crate::offer::{NotTaken, NoticeKind, Offer, Postpone, Word};
use crate::release::{Archive, ArchiveFormat, ReleaseRef};
use crate::time::Timestamp;
use crate::window::{Opening, Zone};

const EVENTS: [Event; 13] = [
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
    Event::Cleared,
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

fn offer() -> Want {
    let at = Timestamp::from_millis;
    let offer = Offer {
        since: at(0),
        deadline: at(3_600_000),
        postpone: Postpone { times: 2, at_most: Span::from_secs(600) },
        remind: Span::from_secs(900),
        notice: String::new(),
    };
    Want::Offer { release: release("1.27.3"), offer }
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
            is_forgotten: false,
        })
    };
    assert_eq!(hold(Step::Offered, true), Action::Note(Event::Doubted));
    assert_eq!(hold(Step::Verifying, true), Action::Check);
    assert_eq!(hold(Step::Verifying, false), Action::Note(Event::Dropped));
}

#[test]
fn an_offer_is_staged_and_activates_nothing() {
    assert_eq!(walk(&offer(), "1.27.2", |_| None), [Step::Fetching, Step::Staged]);
    let broken = |step| (step == Step::Fetching).then_some(Event::Broke);
    let steps = walk(&offer(), "1.27.2", broken);
    assert_eq!(steps, [Step::Fetching, Step::Failed, Step::Reverting, Step::Reverted]);
    // What an earlier order left unproven is checked before the user is asked.
    let want = offer();
    let at = |step, is_unproven| {
        decide(&Situation {
            want: &want,
            step,
            active: Some(&release("1.27.2").id),
            is_unproven,
            soak_left: Span::ZERO,
            opening: Opening::Open,
            is_forgotten: false,
        })
    };
    assert_eq!(at(Step::Offered, true), Action::Note(Event::Doubted));
    assert_eq!(at(Step::Verifying, true), Action::Check);
    assert_eq!(at(Step::Verifying, false), Action::Note(Event::Cleared));
    assert_eq!(advance(Step::Verifying, Event::Cleared), Ok(Step::Fetching));
    assert_eq!(at(Step::Staged, false), Action::AskUser);
    assert_eq!(advance(Step::Staged, Event::Dropped), Ok(Step::Skipped));
}

/// A device whose user is being asked.
fn asking() -> Memory {
    let mut memory = Memory::new(0);
    memory.take_up(order(1, 1, offer()), Timestamp::from_millis(0));
    for event in [Event::Begun, Event::Staged] {
        let outcome = Outcome::of(event);
        memory.record(outcome, &OnDisk::default(), Timestamp::from_millis(1)).unwrap();
    }
    assert!(memory.is_asking());
    memory
}

#[test]
fn answers_outlive_the_orders_of_their_rollout() {
    let at = Timestamp::from_millis;
    let mut memory = asking();
    assert_eq!(memory.take_note("a", (9, Word::Accept), at(2), None), Err(NotTaken::Gone));
    memory.take_note("b", (1, Word::Postpone(None)), at(3), None).unwrap();
    assert!(memory.has_judged("b") && !memory.has_judged("c"));
    let told = memory.next_report().unwrap().clone();
    assert!(memory.delivered(&told));
    let told = told.answer.unwrap();
    assert_eq!((told.postponed, told.until), (1, Some(at(600_003))));

    // Taken back in an emergency and offered again: what was said still counts.
    memory.take_up(order(1, 2, Want::Hold), at(4));
    assert_eq!(memory.board().offers, []);
    memory.take_up(order(1, 3, offer()), at(5));
    for event in [Event::Begun, Event::Staged] {
        memory.record(Outcome::of(event), &OnDisk::default(), at(6)).unwrap();
    }
    assert_eq!(memory.board().offers[0].postpones_left, 1);
    memory.take_note("d", (3, Word::Accept), at(7), None).unwrap();
    assert_eq!(memory.next_report().unwrap().answer.unwrap().accepted_at, Some(at(7)));

    // Another rollout asks anew.
    let other = Order { rollout: "rollout-2".parse().unwrap(), ..order(1, 4, offer()) };
    memory.take_up(other, at(8));
    assert_eq!(memory.task().unwrap().asked.as_ref().unwrap().answer(), Default::default());
}

#[test]
fn an_offer_that_the_server_has_forgotten_ends() {
    let hours = |hours: u64| Timestamp::from_millis(0) + Span::from_secs(hours * 3600);
    let (memory, zone) = (asking(), Zone::utc());
    let next = |now| memory.next_action(None, now, &zone);
    assert_eq!(next(hours(0)), Action::AskUser);
    assert_eq!(next(hours(2)), Action::AskUser, "a paused rollout may come back to it");
    assert_eq!(next(hours(3)), Action::Note(Event::Dropped));
    let set_back = Timestamp::from_millis(-7_200_000);
    assert_eq!(next(set_back), Action::Note(Event::Dropped), "nobody can say how long it was");
}

#[test]
fn the_user_is_told_before_and_after() {
    let (at, wanted) = (Timestamp::from_millis, release("1.27.3").id);
    let kinds = |memory: &Memory| -> Vec<_> {
        memory.board().notices.iter().map(|notice| notice.kind).collect()
    };
    let finish = |memory: &mut Memory, events: &[Event]| {
        for event in events {
            let disk = OnDisk { active: Some(&wanted), ..OnDisk::default() };
            memory.record(Outcome::of(*event), &disk, at(10)).unwrap();
        }
    };
    let way = [Event::Begun, Event::Staged, Event::Switching, Event::Switched, Event::Passed];
    let mut memory = asking();
    assert!(memory.remind(at(2)) && !memory.remind(at(3)));
    let mut by_deadline = memory.clone();
    let mut withdrawn = memory.clone();

    memory.take_note("a", (1, Word::Accept), at(4), None).unwrap();
    memory.take_up(order(1, 2, activate()), at(5));
    finish(&mut memory, &way);
    finish(&mut memory, &[Event::Soaked]);
    assert_eq!(kinds(&memory), [NoticeKind::Offered, NoticeKind::Activated]);

    by_deadline.take_up(order(1, 2, activate()), at(5));
    finish(&mut by_deadline, &way);
    finish(&mut by_deadline, &[Event::Broke, Event::GoingBack, Event::PutBack]);
    let told = [NoticeKind::Offered, NoticeKind::Assigned, NoticeKind::PutBack];
    assert_eq!(kinds(&by_deadline), told);

    withdrawn.take_up(order(1, 2, Want::Hold), at(5));
    finish(&mut withdrawn, &[Event::Dropped]);
    assert_eq!(kinds(&withdrawn), [NoticeKind::Offered, NoticeKind::Withdrawn]);
    let notice = withdrawn.next_untold().unwrap().clone();
    withdrawn.note_told(&notice);
    assert_eq!(withdrawn.next_untold().unwrap().kind, NoticeKind::Withdrawn);
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
            is_forgotten: false,
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
            is_forgotten: false,
        };
        let event = match decide(&situation) {
            Action::Rest | Action::Await { .. } | Action::AskUser => return steps,
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
        Just(offer()),
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
            is_forgotten: false,
            };
            let or_broke = |event| if is_broken { Event::Broke } else { event };
            let event = match decide(&situation) {
                Action::Rest | Action::Await { .. } | Action::AskUser => break,
                Action::Note(event) => event,
                Action::Stage => or_broke(Event::Staged),
                Action::Switch => or_broke(Event::Switched),
                // Under an order to hold, the check's result is its end.
                Action::Check if want == Want::Hold => or_broke(Event::Dropped),
                Action::Check if matches!(want, Want::Offer { .. }) => or_broke(Event::Cleared),
                Action::Check => or_broke(Event::Passed),
                Action::Soak(_) => or_broke(Event::Soaked),
                Action::PutBack => if is_broken { Event::Stuck } else { Event::PutBack },
                Action::NoticeChange => Event::Broke,
            };
            step = advance(step, event).unwrap();
            passed.push(event);
        }
        let is_asking = matches!(want, Want::Offer { .. }) && step == Step::Staged;
        assert!(!step.is_in_flight() || is_asking, "{step} after {passed:?}");
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
