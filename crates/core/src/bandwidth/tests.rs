//! Limits: what is read, what holds when, and that it is kept.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn limit(text: &str) -> Bandwidth {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// What holds at a time of the day in UTC, in bytes a second; 0: no limit.
fn check(text: &str, time: &str, expect: u64) {
    let now: Timestamp = format!("2026-03-01T{time}:00Z").parse().unwrap();
    let found = limit(text).at(now, 0).map_or(0, NonZeroU64::get);
    assert_eq!(found, expect, "{text} at {time}");
}

#[test]
fn the_last_rule_that_holds_counts() {
    let text = "20 MB/s, 2 MB/s from 9 to 18";
    check(text, "08:59", 20_000_000);
    check(text, "09:00", 2_000_000);
    check(text, "17:59", 2_000_000);
    check(text, "18:00", 20_000_000);
    check("2 MB/s from 8:30 to 12, unlimited from 10 to 11", "10:30", 0);
    check("2 MB/s from 8:30 to 12, unlimited from 10 to 11", "11:30", 2_000_000);
    check("2 MB/s from 8:30 to 12", "08:29", 0);
    check("unlimited", "12:00", 0);
}

#[test]
fn spans_may_pass_midnight_and_end_at_24() {
    check("1 MB/s from 22 to 6", "23:00", 1_000_000);
    check("1 MB/s from 22 to 6", "05:59", 1_000_000);
    check("1 MB/s from 22 to 6", "06:00", 0);
    check("1 MB/s from 18 to 24", "23:59", 1_000_000);
    check("1 MB/s from 18 to 24", "00:00", 0);
    check("1 MB/s from 0 to 24", "00:00", 1_000_000);
}

#[test]
fn units_are_those_of_networks() {
    for (text, expect) in [
        ("1500 B/s", 1500),
        ("12kB/s", 12_000),
        ("1.5 MB/s", 1_500_000),
        ("0.25 GB/s", 250_000_000),
        ("10 Mbit/s", 1_250_000),
        ("64 kbit/s", 8000),
        ("1 Gbit/s", 125_000_000),
        ("  7   MB/s  ", 7_000_000),
    ] {
        check(text, "00:00", expect);
    }
}

#[test]
fn the_hour_is_that_of_the_place() {
    let limit = limit("2 MB/s from 9 to 18");
    let at = |time: &str, offset| limit.at(time.parse().unwrap(), offset).is_some();
    assert!(at("2026-03-01T03:30:00Z", 330), "9:00 in India");
    assert!(!at("2026-03-01T03:29:59Z", 330));
    assert!(!at("2026-03-02T02:00:00Z", -480), "18:00 of the day before in California");
    assert!(at("2026-03-02T01:59:59Z", -480));
    assert!(at("1969-12-31T10:00:00Z", 0), "before the epoch too");
}

#[test]
fn mistakes_are_shown_where_they_are() {
    let check = |text: &str, column: usize, says: &str| {
        let error = text.parse::<Bandwidth>().unwrap_err();
        assert_eq!(error.column, column, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    };
    check("", 1, "expected a rate like `20 MB/s`, found the end");
    check("fast", 1, "found `fast`");
    check("20", 3, "expected a unit (GB/s, MB/s, kB/s, B/s, Gbit/s");
    check("20 MBs", 4, "found `MBs`");
    check("20 MB/s 2 MB/s", 9, "expected `,`, `from` or the end, found `2`");
    check("20 MB/s,", 9, "found the end");
    check("20 MB/s, 2 MB/s from 9", 23, "expected `to` and a time, found the end");
    check("2 MB/s from 9 to 25", 18, "expected an hour like `9` or `8:30`, found `25`");
    check("2 MB/s from 9:60 to 10", 13, "found `9:60`");
    check("2 MB/s from 24:01 to 10", 13, "found `24:01`");
    check("2 MB/s from 9 to 9", 18, "the span is empty");
    check("2 MB/s from 0 to 0", 18, "the span is empty");
    check("999 B/s", 1, "less than 1 kB/s");
    check("0 MB/s", 1, "less than 1 kB/s");
    check("-1 MB/s", 1, "found `-`");
    check("1.2345 MB/s", 1, "found `1.2345`");
    check("999999999999 GB/s", 1, "no line is so fast");
    check("1 MB/s\u{1b}[2J", 7, "\u{fffd}[2J");
    let error = "20 MB/s, 2 Mb/s from 9 to 18".parse::<Bandwidth>().unwrap_err().to_string();
    let sign = error.lines().last().unwrap();
    assert_eq!(sign.find('^'), Some(2 + 11), "{error}");
}

#[test]
fn it_travels_as_text() {
    let text = "20 MB/s, 1500 kB/s from 8:30 to 18, unlimited from 22 to 24";
    let json = serde_json::to_string(&limit(text)).unwrap();
    assert_eq!(json, format!("\"{text}\""));
    assert_eq!(serde_json::from_str::<Bandwidth>(&json).unwrap(), limit(text));
    assert_eq!(Bandwidth::UNLIMITED.to_string(), "unlimited");
    assert!(serde_json::from_str::<Bandwidth>("\"soon\"").is_err());
}

fn any_bandwidth() -> impl Strategy<Value = Bandwidth> {
    let rate = prop_oneof![Just(0), SLOWEST_BYTES_PER_SECOND..1 << 40];
    let hours = proptest::option::of((0..MINUTES_PER_DAY, 1..=MINUTES_PER_DAY));
    let rule = (rate, hours).prop_map(|(rate, hours)| Rule {
        rate: Rate(NonZeroU64::new(rate)),
        hours: hours.filter(|(from, to)| from != to).map(|(from, to)| Hours { from, to }),
    });
    proptest::collection::vec(rule, 1..5).prop_map(Bandwidth)
}

/// What is moved, in order: pause before it in microseconds, bytes, limit.
fn any_transfer() -> impl Strategy<Value = Vec<(u64, u64, u64)>> {
    let piece = (0..400_000_u64, 1..300_000_u64, SLOWEST_BYTES_PER_SECOND..10_000_000);
    proptest::collection::vec(piece, 1..60)
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(bandwidth in any_bandwidth()) {
        prop_assert_eq!(bandwidth.to_string().parse::<Bandwidth>().unwrap(), bandwidth);
    }

    #[test]
    fn any_text_is_read_or_refused_in_its_columns(text in ".{0,40}") {
        if let Err(error) = text.parse::<Bandwidth>() {
            prop_assert!((1..=text.chars().count() + 1).contains(&error.column), "{}", error);
        }
    }

    /// Whoever waits as long as told never moves more than the limit, a burst and one piece.
    #[test]
    fn a_limit_is_kept_over_any_time(transfer in any_transfer(), limit in 1000..10_000_000_u64) {
        let (mut bucket, mut now_us, mut moved) = (Bucket::default(), 0, Vec::new());
        let rate = NonZeroU64::new(limit);
        for (pause_us, bytes, _) in &transfer {
            now_us += pause_us;
            moved.push((now_us, *bytes));
            now_us += bucket.take(*bytes, rate, now_us).as_micros() as u64;
        }
        for (first, (from_us, _)) in moved.iter().enumerate() {
            let mut sum = 0;
            for (at_us, bytes) in &moved[first..] {
                let allowed = (at_us - from_us + 250_000) as f64 * limit as f64 / 1e6;
                prop_assert!(sum as f64 <= allowed + 1.0, "{sum} of {allowed} by {at_us}");
                sum += bytes;
            }
        }
    }

    /// A limit is not only kept but used: the waits are no longer than the bytes cost.
    #[test]
    fn nobody_waits_for_more_than_was_moved(transfer in any_transfer()) {
        let (mut bucket, mut now_us) = (Bucket::default(), 0);
        let (mut waited_us, mut cost_us) = (0, 0.0);
        for (pause_us, bytes, limit) in transfer {
            now_us += pause_us;
            let wait = bucket.take(bytes, NonZeroU64::new(limit), now_us).as_micros() as u64;
            now_us += wait;
            waited_us += wait;
            cost_us += bytes as f64 * 1e6 / limit as f64;
        }
        prop_assert!(waited_us as f64 <= cost_us + 1.0, "{waited_us} of {cost_us}");
    }
}

#[test]
fn without_a_limit_nobody_waits_and_owes_nothing_later() {
    let mut bucket = Bucket::default();
    assert!(bucket.take(10_000_000, NonZeroU64::new(1000), 0) > Duration::from_secs(9_000));
    assert_eq!(bucket.take(1 << 40, None, 1), Duration::ZERO);
    let second = bucket.take(1000, NonZeroU64::new(1000), 10_000_000);
    assert_eq!(second, Duration::from_millis(750), "a second's worth less the burst");
}
