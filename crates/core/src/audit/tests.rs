//! Every way to tamper with a log, and what is said of it.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::rollout::{Command, RolloutState};

const EPOCH: u64 = 1;

/// An act of each shape, with text that is hard to write.
fn act(n: u64) -> Act {
    match n % 5 {
        0 => Act::TokenCreated {
            scope: Default::default(),
            token: format!("{n:012x}"),
            note: format!("für \"{n}\" \\ ]\n\u{1}"),
            expires_at: Timestamp::from_millis(n as i64),
        },
        1 => Act::RolloutCommanded {
            rollout: format!("r{n}").parse().unwrap(),
            command: Command::ALL[n as usize % Command::ALL.len()],
        },
        2 => Act::EmergencyStopped { reason: format!("no {n}") },
        3 => Act::AdministratorTokenMade {},
        _ => Act::RolloutState {
            rollout: format!("r{n}").parse().unwrap(),
            state: RolloutState::Paused,
            reason: "the gate failed".to_owned(),
        },
    }
}

fn deed(at_ms: i64, by: By, act: Act) -> Deed {
    Deed { at: Timestamp::from_millis(at_ms), by, act }
}

fn chain(count: u64) -> Vec<AuditEntry> {
    let (mut last, mut entries) = (Link::START, Vec::new());
    for n in 0..count {
        let by = By::person("ann").via("session").from(Some(format!("192.0.2.{}", n % 256)));
        let by = if n % 3 == 0 { By::server() } else { by };
        let at = 1_795_000_000_000 + n as i64;
        let told_at = (n % 7 == 0).then_some(Timestamp::from_millis(at + 5));
        let entry = AuditEntry::following(last, &deed(at, by, act(n)), told_at);
        last = entry.link();
        entries.push(entry);
    }
    entries
}

fn lines(entries: &[AuditEntry]) -> Vec<Vec<u8>> {
    entries.iter().map(|entry| entry.line().into_bytes()).collect()
}

static TEN_THOUSAND: LazyLock<Vec<AuditEntry>> = LazyLock::new(|| chain(10_000));

fn head(entries: &[AuditEntry]) -> Head {
    let Link { count, hash } = entries.last().map_or(Link::START, AuditEntry::link);
    Head { count, hash, epoch: EPOCH }
}

fn checked(lines: &[Vec<u8>], current: Head) -> Result<Verified, Fault> {
    verify(Verifier::default().with_current(current), lines)
}

#[test]
fn a_log_that_nobody_touched_has_no_fault() {
    let entries = &*TEN_THOUSAND;
    let verified = checked(&lines(entries), head(entries)).unwrap();
    assert_eq!(verified.link, head(entries).link());
    assert_eq!(checked(&[], head(&[])).unwrap().link, Link::START);
    for entry in &entries[..100] {
        let read: AuditEntry = serde_json::from_str(&entry.line()).unwrap();
        assert_eq!(read, *entry, "an entry reads what it writes");
    }
}

/// Every byte of every line of 10,000 entries, each harmed in one way; and each byte of ten of
/// them in all 255. A harmed line may be read as two, as its end may be harmed.
#[test]
fn of_ten_thousand_entries_each_single_byte_that_is_changed_is_found() {
    let entries = &*TEN_THOUSAND;
    std::thread::scope(|scope| {
        let (first, second) = (0..5_000, 5_000..10_000);
        for range in [first, second] {
            scope.spawn(move || range.for_each(|place| harm_each_byte(entries, place)));
        }
    });
}

fn harm_each_byte(entries: &[AuditEntry], place: usize) {
    let before = if place == 0 { Link::START } else { entries[place - 1].link() };
    let mut bytes = entries[place].line().into_bytes();
    bytes.push(b'\n');
    let next = entries.get(place + 1).map(|entry| entry.line().into_bytes());
    for at in 0..bytes.len() {
        let original = bytes[at];
        let all = if place % 1000 == 7 { 1..=255 } else { 1 << (at % 8)..=1 << (at % 8) };
        for change in all {
            bytes[at] = original ^ change;
            let fault = fault_near(before, &bytes, next.as_deref(), head(entries));
            let fault = fault.expect_err("every byte counts");
            assert!(matches!(fault, Fault::Edited { .. }), "{fault} at byte {at} of {place}");
        }
        bytes[at] = original;
    }
}

/// Verifies what stands in a file at this place, up to the entry after it.
fn fault_near(before: Link, bytes: &[u8], next: Option<&[u8]>, head: Head) -> Result<(), Fault> {
    let mut verifier = Verifier::after(before).with_current(head);
    let mut file = bytes.to_vec();
    file.extend(next.unwrap_or_default());
    let file = file.strip_suffix(b"\n").unwrap_or(&file);
    file.split(|byte| *byte == b'\n').try_for_each(|line| verifier.take(line))
}

#[test]
fn each_field_counts() {
    let entries = chain(6);
    let edits: [fn(&mut AuditEntry); 12] = [
        |entry| entry.told_at = Some(entry.at),
        |entry| entry.sequence += 1,
        |entry| entry.at = Timestamp::from_millis(entry.at.as_millis() + 1),
        |entry| entry.actor.kind = "device".to_owned(),
        |entry| entry.actor.name.push('x'),
        |entry| entry.via = Some("token".to_owned()),
        |entry| entry.origin = None,
        |entry| entry.action.push('x'),
        |entry| entry.subject = Some("other".to_owned()),
        |entry| entry.details = serde_json::json!({}),
        |entry| entry.previous = Digest::of(b"x"),
        |entry| entry.hash = Digest::of(b"x"),
    ];
    for (n, edit) in edits.iter().enumerate() {
        let mut edited = entries.clone();
        edit(&mut edited[4]);
        let fault = checked(&lines(&edited), head(&entries));
        assert_eq!(fault, Err(Fault::Edited { entry: 5 }), "edit {n}");
    }
}

/// Harms a log of 60 entries, whose last head is known, and tells what must be found.
#[track_caller]
fn check(harm: impl FnOnce(&mut Vec<AuditEntry>), expect: Fault) {
    let mut entries = chain(60);
    let current = head(&entries);
    harm(&mut entries);
    assert!(!expect.to_string().is_empty());
    assert_eq!(checked(&lines(&entries), current).map(drop), Err(expect));
}

#[test]
fn each_kind_of_fault_is_told_with_its_place() {
    check(|log| drop(log.remove(9)), Fault::Deleted { entry: 10, through: 10 });
    check(|log| drop(log.drain(0..7)), Fault::Deleted { entry: 1, through: 7 });
    check(|log| log.swap(9, 10), Fault::Reordered { entry: 10, found: 11 });
    check(|log| log.swap(9, 59), Fault::Reordered { entry: 10, found: 60 });
    check(|log| log.insert(20, log[3].clone()), Fault::Reordered { entry: 21, found: 4 });
    check(|log| log.truncate(41), Fault::TailCut { entry: 42, count: 60 });
    check(Vec::clear, Fault::TailCut { entry: 1, count: 60 });
    let anew = |log: &mut Vec<AuditEntry>| {
        log[9].details = serde_json::json!({"reason": "other"});
        log[9].hash = log[9].computed_hash();
    };
    check(anew, Fault::Unlinked { entry: 11 });
    // Taken out, and the one after it linked with the one before: the next tells.
    let relinked = |log: &mut Vec<AuditEntry>| {
        log.remove(9);
        (log[9].sequence, log[9].previous) = (10, log[8].hash);
        log[9].hash = log[9].computed_hash();
    };
    check(relinked, Fault::Deleted { entry: 11, through: 11 });
    // All of the rest written anew: only the head tells.
    let rewritten = |log: &mut Vec<AuditEntry>| {
        log[9].actor.name = "eve".to_owned();
        for place in 9..log.len() {
            log[place].previous = log[place - 1].hash;
            log[place].hash = log[place].computed_hash();
        }
    };
    check(rewritten, Fault::Rewritten { entry: 60 });
}

#[test]
fn a_head_that_was_kept_finds_an_older_database() {
    let entries = chain(60);
    let older = &entries[..40];
    // The older one says of itself that it is whole.
    let restored = Verifier::default().with_current(head(older)).with_kept(head(&entries));
    let expect = Fault::OlderDatabase { entry: 41, found: 40, count: 60 };
    assert_eq!(verify(restored, lines(older)), Err(expect));
    // It has gone on since, beyond where it was.
    let mut gone_on = older.to_vec();
    for n in 0..30 {
        let last = gone_on.last().unwrap().link();
        gone_on.push(AuditEntry::following(last, &deed(n, By::person("eve"), act(2)), None));
    }
    let verifier = Verifier::default().with_current(head(&gone_on)).with_kept(head(&entries));
    let expect = Fault::OlderDatabase { entry: 60, found: 60, count: 60 };
    assert_eq!(verify(verifier, lines(&gone_on)), Err(expect));
    // Without any head of itself, as a file, its end may as well have been cut.
    let file = Verifier::default().with_kept(head(&entries));
    assert_eq!(verify(file, lines(older)), Err(Fault::TailCut { entry: 41, count: 60 }));
    let vouched = Verifier::default().with_current(head(&entries)).with_kept(head(older));
    assert_eq!(verify(vouched, lines(&entries)).unwrap().vouched_count, Some(40));
}

#[test]
fn a_loss_that_the_server_found_is_a_fault_until_a_later_head_vouches() {
    let mut entries = chain(5);
    let (known, found) = (Link { count: 9, hash: Digest::of(b"x") }, entries[4].link());
    let lost = Act::HistoryLost { known, found };
    entries.push(AuditEntry::following(found, &deed(0, By::server(), lost), None));
    assert_eq!(checked(&lines(&entries), head(&entries)), Err(Fault::HistoryLost { entry: 6 }));
    let verifier = Verifier::default().with_kept(head(&entries));
    assert!(verify(verifier, lines(&entries)).is_ok());
}

#[test]
fn a_verification_goes_on_from_a_link_that_is_known() {
    let entries = chain(60);
    let verifier = Verifier::after(entries[39].link()).with_current(head(&entries));
    assert_eq!(verify(verifier, lines(&entries[40..])).unwrap().link.count, 60);
}

#[test]
fn heads_are_signed_notes() {
    let signer = AuditSigner::from_seed(&[7; 32]);
    let (key, head) = (signer.key(), head(&chain(3)));
    let note = signer.sign(&head);
    assert_eq!(key.open(&note), Ok(head));
    assert_eq!(key.to_string().parse(), Ok(key));
    assert!(note.starts_with(&format!("{}\n3\n", key.name())), "{note}");
    assert!(!format!("{signer:?}").contains("[7"), "the seed is not printed");
    let other = AuditSigner::from_seed(&[8; 32]).key();
    assert_eq!(other.open(&note), Err(HeadError::Signer { expected: other.name() }));
    for at in 0..note.len() {
        let mut bytes = note.clone().into_bytes();
        bytes[at] ^= 1;
        if let Ok(harmed) = String::from_utf8(bytes) {
            assert!(key.open(&harmed).is_err(), "byte {at}: {harmed}");
        }
    }
    for text in ["", "x", "gofleet/audit/0+0+AQ==", &key.to_string()[1..]] {
        assert!(text.parse::<AuditKey>().is_err(), "{text}");
    }
}

#[test]
fn entries_are_syslog_messages() {
    let by = By::person("a\"n\\n]").via("token").from(Some("192.0.2.1".to_owned()));
    let act = Act::EmergencyStopped { reason: "é\n".to_owned() };
    let at: Timestamp = "2026-11-25T18:00:00.25Z".parse().unwrap();
    let entry = AuditEntry::following(Link::START, &Deed { at, by, act }, None);
    let message = syslog_message(&entry, "fleet.example.org");
    let expect = format!(
        "<108>1 2026-11-25T18:00:00.25Z fleet.example.org gofleet - emergency.stopped \
         [gofleet@32473 sequence=\"1\" kind=\"person\" actor=\"a\\\"n\\\\n\\]\" via=\"token\" \
         origin=\"192.0.2.1\" action=\"emergency.stopped\" previous=\"{}\" hash=\"{}\"] \u{feff}{}",
        entry.previous,
        entry.hash,
        entry.line()
    );
    assert_eq!(message, expect);
    assert!(!message.contains('\n'), "one line");
    assert_eq!(octet_counted("é"), "2 é");
    let plain = Deed { at, by: By::server(), act: Act::AdministratorTokenMade {} };
    let plain = AuditEntry::following(Link::START, &plain, None);
    assert!(syslog_message(&plain, "").starts_with("<109>1 2026-11-25T18:00:00.25Z - gofleet - "));
}

proptest! {
    /// Lines of any log taken out, put in, swapped or cut: nothing but the log itself passes.
    #[test]
    fn nothing_but_the_log_itself_passes(places in prop::collection::vec(0..12_usize, 0..16)) {
        let entries = chain(12);
        let is_whole = places.iter().copied().eq(0..12);
        let chosen: Vec<_> = places.iter().map(|place| entries[*place].clone()).collect();
        prop_assert_eq!(checked(&lines(&chosen), head(&entries)).is_ok(), is_whole);
    }

    #[test]
    fn texts_of_all_kinds_read_what_they_write(name in any::<String>(), reason in any::<String>()) {
        let deed = deed(0, By::person(&name), Act::EmergencyStopped { reason });
        let entry = AuditEntry::following(Link::START, &deed, None);
        let read: AuditEntry = serde_json::from_str(&entry.line()).unwrap();
        prop_assert_eq!(&read, &entry);
        prop_assert!(verify(Verifier::default(), [entry.line()]).is_ok());
        prop_assert!(!syslog_message(&entry, "h").contains('\n'));
    }
}
