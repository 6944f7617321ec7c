//! Published rollouts: whom they ask, what takes a place, and how they end.

use super::*;
use crate::offer::Answer;

const PUBLISHED: &str = "soak: 2s, silence_after: 60s, offline_after: 30s, max_in_flight: 2, \
                         publish: {deadline: 1h, postpone: {times: 1, for: 10m}}, \
                         rings: [{name: all, rest: true}]";

fn published(more: &str, devices: usize) -> World {
    World::new(spec(&format!("{PUBLISHED}{more}")), &[devices])
}

impl World {
    /// The user of a device answers, and the device reports it.
    fn answer(&mut self, place: usize, answer: Answer) {
        self.view.devices[place].order.as_mut().unwrap().answer = Some(answer);
    }

    fn accept(&mut self, place: usize) {
        let accepted_at = Some(self.now);
        self.answer(place, Answer { accepted_at, ..Answer::default() });
    }

    fn wants(&self) -> Vec<Option<WantKind>> {
        self.view.devices.iter().map(DeviceView::want).collect()
    }

    /// Runs until every device waits for its user.
    fn offered(mut self) -> Self {
        self.run_until(|view| view.devices.iter().all(DeviceView::awaits_user));
        self
    }
}

#[test]
fn who_waits_for_a_user_takes_no_place_and_is_not_silent() {
    // Two places, and five devices whose users never answer: all are offered it all the same.
    let mut world = published("", 5).offered();
    assert_eq!(world.view.places_taken(), 0);
    assert_eq!(world.wants(), [Some(WantKind::Offer); 5]);
    assert_eq!(world.reason(0).as_deref(), Some("user"));
    for _ in 0..10 {
        world.pass(Span::from_secs(120));
        assert_eq!(world.tick(), [], "far beyond the silence, nobody is silent");
    }
    // Two of them accept: both go, and a third waits for a place.
    [3, 4, 0].into_iter().for_each(|place| world.accept(place));
    let orders = world.tick();
    assert_eq!(orders.len(), 2);
    assert_eq!(world.view.places_taken(), 2);
    assert_eq!(world.reason(4).as_deref(), Some("max_in_flight"));
    world.run_until(|view| view.devices[4].step == Step::Accepted);
    assert_eq!(world.wants()[1], Some(WantKind::Offer), "the others are still asked");
    assert_eq!(world.view.devices[0].attempts, 1, "the offer and what follows are one attempt");
}

#[test]
fn after_the_deadline_nobody_is_asked() {
    let mut world = published("", 3).offered();
    let status = status(&world.view, 0, world.now);
    let reason = status.rings_detail[0].devices[0].reason.clone().unwrap();
    assert!(reason.text.starts_with("offered to the user until "), "{reason}");
    world.pass(Span::from_secs(3600));
    world.run_until(|view| view.state == RolloutState::Completed);
    assert_eq!(world.steps(), [Step::Accepted; 3]);
}

#[test]
fn a_person_can_say_that_nobody_need_be_asked() {
    let mut world = published("", 3).offered();
    let second = world.id(1);
    let actions = assign(&world.view, Some(&second), "ada").unwrap();
    world.apply(&actions);
    assert_eq!(world.tick().len(), 1);
    assert_eq!(world.wants()[1], Some(WantKind::Activate));
    let again = assign(&world.view, Some(&second), "ada");
    assert_eq!(again, Err(Refused::NobodyAsked));
    let unknown = "d999".parse().unwrap();
    assert!(matches!(
        assign(&world.view, Some(&unknown), "ada"),
        Err(Refused::UnknownDevice { .. })
    ));
    world.apply(&assign(&world.view, None, "ada").unwrap());
    world.run_until(|view| view.state == RolloutState::Completed);
    assert!(matches!(assign(&world.view, None, "ada"), Err(Refused::Ended { .. })));
    let assigned = two_rings("", [1, 1]);
    assert_eq!(assign(&assigned.view, None, "ada"), Err(Refused::NotPublished));
}

#[test]
fn a_pause_and_a_failed_gate_hold_up_who_has_accepted() {
    let mut world = published("", 4).offered();
    world.command(Command::Pause).unwrap();
    (0..4).for_each(|place| world.accept(place));
    assert_eq!(world.tick(), []);
    assert_eq!(world.reason(0).as_deref(), Some("paused"));
    world.command(Command::Resume).unwrap();
    (0..4).for_each(|place| world.machine(place).is_bad = true);
    world.run_until(|view| view.state == RolloutState::Paused);
    let activated = world.wants().iter().filter(|it| **it == Some(WantKind::Activate)).count();
    assert_eq!(activated, 2, "no more than had a place when the release proved broken");
}

#[test]
fn a_machine_that_is_switched_off_while_it_asks_is_held_apart() {
    let mut world = published("", 3).offered();
    world.machine(2).is_online = false;
    world.pass(Span::from_secs(120));
    assert_eq!(world.tick(), [], "it has not failed");
    assert_eq!(world.reason(2).as_deref(), Some("offline"));
    (0..2).for_each(|place| world.accept(place));
    // The others come through, and then nobody is asked for a rollout that ends.
    world.run_until(|view| view.devices[2].want() == Some(WantKind::Hold));
    assert_eq!(world.ring_states(), [RingState::Passed]);
    world.run_until(|view| view.state == RolloutState::Completed);
    assert_eq!(world.steps()[..2], [Step::Accepted; 2]);
}

#[test]
fn what_is_offered_is_taken_back_and_offered_again() {
    let mut world = published("", 2).offered();
    let offered_at = world.view.devices[0].offered_at;
    world.view.emergency =
        Some(EmergencyStop { by: "ada".to_owned(), reason: "fire".to_owned(), at: world.now });
    world.run_until(|view| view.devices.iter().all(|it| it.step == Step::Skipped));
    assert_eq!(world.wants(), [Some(WantKind::Hold); 2]);
    world.view.emergency = None;
    world.command(Command::Resume).unwrap();
    world.run_until(|view| view.devices.iter().all(DeviceView::awaits_user));
    assert_eq!(world.view.devices[0].offered_at, offered_at, "the deadline stays");
    let told = status(&world.view, 0, world.now);
    assert_eq!((told.awaiting_user, told.under_way()), (2, 0));
    let tally = told.rings_detail[0].tally;
    assert_eq!((tally.in_flight, tally.awaiting_user), (2, 2));
}

#[test]
fn an_acceptance_opens_the_window_only_if_the_rollout_says_so() {
    let window = ", window: {open: ['Sat 01:00-02:00']}";
    let mut world = published(window, 1).offered();
    world.accept(0);
    assert!(world.view.window_of(&world.view.devices[0]).is_some());
    world.view.spec.publish.as_mut().unwrap().accept_opens_window = true;
    assert_eq!(world.view.window_of(&world.view.devices[0]), None);
    world.answer(0, Answer::default());
    assert!(world.view.window_of(&world.view.devices[0]).is_some(), "by deadline it holds");
}
