//! The ledger on disk: what comes back after a kill, and what becomes of a damaged one.

use gofleet_core::agent::{Event, MAX_OUTBOX, Seen, Unproven};
use gofleet_core::order::{Step, Want};

use super::*;

fn order(generation: u64) -> Order {
    Order {
        device: "device-1".parse().unwrap(),
        epoch: 1,
        generation,
        issued_at: at(0),
        rollout: "rollout-1".parse().unwrap(),
        want: Want::Hold,
    }
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn open(folder: &tempfile::TempDir) -> Ledger {
    let (ledger, found) = Ledger::open(folder.path().join("ledger.json"), at(1_000_000)).unwrap();
    assert_eq!(found, Found::Whole);
    ledger
}

fn record(ledger: &mut Ledger, event: Event, ms: i64) {
    let disk = OnDisk { version: Some("1.27.2"), ..OnDisk::default() };
    ledger.record(Outcome::of(event), &disk, at(ms)).unwrap();
}

fn steps_to_tell(ledger: &mut Ledger) -> Vec<(u64, u64, Step)> {
    let mut steps = Vec::new();
    while let Some(progress) = ledger.memory().next_report().cloned() {
        ledger.delivered(&progress).unwrap();
        steps.push((progress.generation, progress.sequence, progress.step));
    }
    steps
}

#[test]
fn what_was_recorded_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(&folder);
    ledger.take_up(order(4), at(10)).unwrap();
    record(&mut ledger, Event::Begun, 30);
    let staged = Outcome { files_verified: Some(12_087), ..Outcome::of(Event::Staged) };
    ledger.record(staged, &OnDisk::default(), at(50)).unwrap();
    ledger.record(Outcome::of(Event::Switching), &OnDisk::default(), at(50)).unwrap();
    let again = open(&folder);
    assert_eq!(again.content, ledger.content);
    assert_eq!(again.memory().seen(), Some(&Seen::of(&order(4))));
    let task = again.memory().task().unwrap();
    assert_eq!((task.step, task.files_verified), (Step::Activating, 12_087));
    let spans = [(Step::Offered, Span::from_millis(20)), (Step::Fetching, Span::from_millis(20))];
    assert_eq!(task.steps[..2], spans);
    assert_eq!(again.memory().unproven(), Some(&Unproven { earlier: None }));
}

#[test]
fn a_clock_set_back_makes_no_negative_times() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(&folder);
    ledger.take_up(order(4), at(3_600_000)).unwrap();
    record(&mut ledger, Event::Begun, 0);
    assert_eq!(ledger.memory().task().unwrap().steps, [(Step::Offered, Span::ZERO)]);
}

#[test]
fn an_event_out_of_place_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(&folder);
    ledger.take_up(order(4), at(0)).unwrap();
    let before = ledger.content.clone();
    let error = ledger.record(Outcome::of(Event::Soaked), &OnDisk::default(), at(0)).unwrap_err();
    assert!(matches!(error, LedgerError::Impossible(_)), "{error}");
    assert_eq!(ledger.content, before);
}

#[test]
fn only_the_latest_step_is_told_but_every_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(&folder);
    ledger.take_up(order(4), at(0)).unwrap();
    record(&mut ledger, Event::Dropped, 0);
    ledger.take_up(order(5), at(0)).unwrap();
    for event in [Event::Begun, Event::Staged, Event::Switching] {
        record(&mut ledger, event, 0);
    }
    ledger.note_bytes(7, None).unwrap();
    let mut again = open(&folder);
    assert_eq!(steps_to_tell(&mut again), [(4, 1, Step::Skipped), (5, 4, Step::Activating)]);
    assert_eq!(open(&folder).memory().next_report(), None);
}

#[test]
fn a_late_confirmation_keeps_what_came_since() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(&folder);
    ledger.take_up(order(5), at(0)).unwrap();
    record(&mut ledger, Event::Begun, 0);
    let told = ledger.memory().next_report().cloned().unwrap();
    record(&mut ledger, Event::Staged, 0);
    ledger.delivered(&told).unwrap();
    assert_eq!(steps_to_tell(&mut ledger), [(5, 2, Step::Staged)]);
}

#[test]
fn the_outbox_has_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(&folder);
    for generation in 1..=70 {
        ledger.take_up(order(generation), at(0)).unwrap();
        record(&mut ledger, Event::Dropped, 0);
    }
    let told = steps_to_tell(&mut ledger);
    assert_eq!((told.len(), told[0].0, told[63].0), (MAX_OUTBOX, 7, 70));
}

#[test]
fn a_damaged_ledger_is_put_aside_and_its_sequences_are_not_used_again() {
    for damage in [&b""[..], b"{\"version\":1,\"seen\":nul", b"\0\0\0\0", b"{\"version\":1}"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.json");
        fs::write(&path, damage).unwrap();
        let (mut ledger, found) = Ledger::open(path, at(1_000_000)).unwrap();
        let Found::Damaged { aside, reason } = found else { panic!("{damage:?} was taken") };
        assert_eq!(fs::read(aside).unwrap(), damage);
        assert!(!reason.is_empty());
        assert_eq!((ledger.memory().seen(), ledger.memory().task()), (None, None));
        ledger.take_up(order(4), at(0)).unwrap();
        record(&mut ledger, Event::Begun, 0);
        assert_eq!(steps_to_tell(&mut ledger), [(4, 1_000_001, Step::Fetching)]);
    }
}

#[test]
fn the_ledger_of_a_newer_agent_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.json");
    fs::write(&path, b"{\"version\":2,\"more\":[]}").unwrap();
    let error = Ledger::open(path.clone(), at(0)).unwrap_err();
    assert!(matches!(error, LedgerError::Newer { found: 2, .. }), "{error}");
    assert_eq!(fs::read(path).unwrap(), b"{\"version\":2,\"more\":[]}");
}
