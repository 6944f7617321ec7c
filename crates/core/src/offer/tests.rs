//! Questions to users, walked through by the clock.

use super::*;
use crate::order::{Order, Want};
use crate::release::{Archive, ArchiveFormat, ReleaseRef};

const HOUR: u64 = 3600;

fn at(hours: u64) -> Timestamp {
    Timestamp::from_millis(0) + Span::from_secs(hours * HOUR)
}

fn asked(deadline_hours: u64, times: u32) -> Asked {
    let publish = Publish {
        deadline: Span::from_secs(deadline_hours * HOUR),
        postpone: Postpone { times, at_most: Span::from_secs(4 * HOUR) },
        remind: Span::from_secs(24 * HOUR),
        notice: "Save your work.".to_owned(),
        accept_opens_window: false,
    };
    let digest = crate::digest::Digest::of(b"x");
    let release = ReleaseRef {
        id: "go-1.27.3-linux-amd64".parse().unwrap(),
        package: "go".parse().unwrap(),
        version: "1.27.3".to_owned(),
        platform: "linux-amd64".parse().unwrap(),
        manifest: digest,
        archive: Archive { sha256: digest, size: 1, format: ArchiveFormat::Zip },
    };
    let order = Order {
        device: "d1".parse().unwrap(),
        epoch: 1,
        generation: 1,
        issued_at: at(0),
        rollout: "r1".parse().unwrap(),
        want: Want::Offer { release, offer: Offer::of(&publish, at(0)) },
    };
    Asked::after(None, &order).unwrap()
}

#[track_caller]
fn check_postpone(asked: &mut Asked, hours: Option<u64>, now: u64, expect: Result<u64, &str>) {
    let span = hours.map(|hours| Span::from_secs(hours * HOUR));
    let before = asked.answer();
    match (asked.take(Word::Postpone(span), at(now)), expect) {
        (Ok(()), Ok(until)) => assert_eq!(asked.answer().until, Some(at(until))),
        (Err(error), Err(expect)) => {
            assert!(error.to_string().contains(expect), "{error}");
            assert_eq!(asked.answer(), before, "a refused word changes nothing");
        }
        (outcome, _) => panic!("{outcome:?}, expected {expect:?}"),
    }
}

#[test]
fn users_postpone_only_as_the_policy_says() {
    let mut it = asked(48, 3);
    check_postpone(&mut it, None, 0, Ok(4));
    check_postpone(&mut it, Some(2), 5, Ok(7));
    check_postpone(&mut it, Some(0), 8, Err("more than 0s and at most 4h"));
    check_postpone(&mut it, Some(5), 8, Err("at most 4h"));
    check_postpone(&mut it, Some(1), 8, Ok(9));
    check_postpone(&mut it, Some(1), 9, Err("postponed 3 times, which is as often as allowed"));

    let mut late = asked(6, 5);
    check_postpone(&mut late, Some(4), 3, Err("beyond its deadline"));
    check_postpone(&mut late, None, 3, Ok(6));
    check_postpone(&mut late, None, 6, Err("beyond its deadline"));

    let mut accepted = asked(48, 3);
    accepted.take(Word::Accept, at(1)).unwrap();
    accepted.take(Word::Accept, at(2)).unwrap();
    assert_eq!(accepted.answer().accepted_at, Some(at(1)), "the first word counts");
    check_postpone(&mut accepted, None, 2, Err("accepted already"));
    check_postpone(&mut asked(48, 0), None, 0, Err("postponed 0 times"));
}

/// What is told, with the hour, to a user who does nothing but this.
fn told(mut asked: Asked, hours: u64, word: Option<(u64, Word)>) -> Vec<(u64, NoticeKind)> {
    let mut told = Vec::new();
    for hour in 0..=hours {
        if let Some((_, word)) = word.filter(|(at, _)| *at == hour) {
            asked.take(word, at(hour)).unwrap();
        }
        // Whoever sleeps until the next notice misses none.
        if let Some(kind) = asked.due(at(hour)) {
            asked.tell(kind, at(hour));
            told.push((hour, kind));
        }
        assert!(asked.next_notice() > at(hour) || hour >= hours || asked.due(at(hour)).is_none());
    }
    told
}

#[test]
fn users_are_reminded_and_told_before_the_deadline() {
    use NoticeKind as N;
    let silent = told(asked(72, 3), 72, None);
    let expect = [
        (0, N::Offered),
        (24, N::Reminder),
        (48, N::Reminder),
        (71, N::Reminder),
        (72, N::LastCall),
    ];
    assert_eq!(silent, expect);
    let postponed = told(asked(72, 3), 72, Some((22, Word::Postpone(None))));
    assert_eq!(postponed[..2], [(0, N::Offered), (26, N::Reminder)], "it is asked again then");
    let accepted = told(asked(72, 3), 72, Some((30, Word::Accept)));
    assert_eq!(accepted, [(0, N::Offered), (24, N::Reminder)], "who has accepted is left alone");
}

#[test]
fn the_last_call_comes_though_it_was_postponed() {
    let mut it = asked(4, 1);
    it.tell(NoticeKind::Offered, at(0));
    it.take(Word::Postpone(None), at(0)).unwrap();
    assert_eq!(it.answer().until, Some(at(4)));
    assert_eq!(it.due(at(3)), None);
    assert_eq!(it.next_notice(), at(4) - LAST_CALL);
    assert_eq!(it.due(at(4) - LAST_CALL), Some(NoticeKind::LastCall));
    it.tell(NoticeKind::LastCall, at(4) - LAST_CALL);
    assert_eq!(it.due(at(4)), None);
    let text = &it.notices()[1].text;
    assert!(text.contains("go 1.27.3") && text.ends_with("Save your work."), "{text}");
}

#[test]
fn what_is_kept_is_bounded() {
    let mut it = asked(48, 3);
    for number in 0..200 {
        it.tell(NoticeKind::Reminder, at(number));
        it.keep(&format!("n{number}"), Err(NotTaken::Gone));
    }
    assert_eq!((it.notices().len(), it.judged().len()), (MAX_NOTICES, MAX_VERDICTS));
    assert!(it.has_judged("n199") && !it.has_judged("n1"));
}

#[test]
fn notes_are_read_strictly() {
    for (name, expect) in [
        ("0af3.json", Some("0af3")),
        ("a.JSON", None),
        (".json", None),
        ("../a.json", None),
        ("a b.json", None),
        ("A.json", None),
        ("0123456789012345678901234567890123456789.json", None),
    ] {
        assert_eq!(Note::id_in(name), expect, "{name}");
    }
    let read = |text: &str| serde_json::from_str::<Note>(text).ok().map(|note| note.word);
    assert_eq!(read(r#"{"generation": 1, "word": "accept"}"#), Some(Word::Accept));
    assert_eq!(
        read(r#"{"generation": 1, "word": {"postpone": "2h"}}"#),
        Some(Word::Postpone(Some(Span::from_secs(2 * HOUR))))
    );
    assert_eq!(
        read(r#"{"generation": 1, "word": {"postpone": null}}"#),
        Some(Word::Postpone(None))
    );
    for text in [
        r#"{"generation": 1, "word": "activate"}"#,
        r#"{"generation": 1, "word": "accept", "run": "sh"}"#,
        r#"{"generation": -1, "word": "accept"}"#,
        r#"{"word": "accept"}"#,
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}
