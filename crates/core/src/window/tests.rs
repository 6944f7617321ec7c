//! Windows on ordinary days, and on the days on which clocks change.

use super::*;

fn window(open: &[&str], closed: &[&str]) -> Window {
    Window {
        open: open.iter().map(|text| text.parse().unwrap()).collect(),
        closed: closed.iter().map(|text| text.parse().unwrap()).collect(),
    }
}

/// At each moment, given with its offset: open (`""`), or when it opens next, in UTC.
fn check(zone: &str, window: &Window, moments: &[(&str, &str)]) {
    let zone = Zone::named(zone).unwrap();
    for (now, expect) in moments {
        let opens = match window.opening(now.parse().unwrap(), &zone) {
            Opening::Open => String::new(),
            Opening::Closed { opens: Some(opens) } => opens.to_string(),
            Opening::Closed { opens: None } => "never".to_owned(),
        };
        assert_eq!(opens, *expect, "{now}");
    }
}

#[test]
fn an_ordinary_week() {
    let nights = window(&["Sat,Sun 01:00-05:00"], &[]);
    check(
        "Europe/Berlin",
        &nights,
        &[
            ("2026-06-05T12:00:00+02:00", "2026-06-05T23:00:00Z"),
            ("2026-06-06T00:59:59+02:00", "2026-06-05T23:00:00Z"),
            ("2026-06-06T01:00:00+02:00", ""),
            ("2026-06-06T04:59:59+02:00", ""),
            ("2026-06-06T05:00:00+02:00", "2026-06-06T23:00:00Z"),
            ("2026-06-07T05:00:00+02:00", "2026-06-12T23:00:00Z"),
        ],
    );
    // The same wall clock elsewhere is another time.
    check(
        "America/New_York",
        &nights,
        &[("2026-06-06T00:30:00-04:00", "2026-06-06T05:00:00Z"), ("2026-06-06T04:30:00-04:00", "")],
    );
}

#[test]
fn over_midnight_and_more_than_one_stretch() {
    let over = window(&["Fri 22:00-04:00", "Sat 03:00-06:00"], &[]);
    check(
        "UTC",
        &over,
        &[
            ("2026-06-05T21:59:00Z", "2026-06-05T22:00:00Z"),
            ("2026-06-05T23:00:00Z", ""),
            ("2026-06-06T00:00:00Z", ""),
            ("2026-06-06T04:30:00Z", ""),
            ("2026-06-06T06:00:00Z", "2026-06-12T22:00:00Z"),
        ],
    );
    let always = window(&["daily 00:00-24:00"], &[]);
    check("Asia/Kolkata", &always, &[("2026-06-05T00:00:00Z", ""), ("2026-06-05T18:29:59Z", "")]);
}

#[test]
fn so_manieth_weekdays_of_a_month() {
    let second = window(&["2nd Sat 01:00-02:00"], &[]);
    check(
        "UTC",
        &second,
        &[
            ("2026-06-06T01:30:00Z", "2026-06-13T01:00:00Z"),
            ("2026-06-13T01:30:00Z", ""),
            ("2026-06-13T02:00:00Z", "2026-07-11T01:00:00Z"),
        ],
    );
    let last = window(&["last Sun 01:00-02:00"], &[]);
    check(
        "UTC",
        &last,
        &[
            ("2026-02-15T00:00:00Z", "2026-02-22T01:00:00Z"),
            ("2026-02-22T02:00:00Z", "2026-03-29T01:00:00Z"),
        ],
    );
}

#[test]
fn blackouts_are_local_dates() {
    let daily = window(&["daily 22:00-02:00"], &["2026-12-24..2026-12-26"]);
    check(
        "Europe/Berlin",
        &daily,
        &[
            ("2026-12-23T23:59:00+01:00", ""),
            ("2026-12-24T00:00:00+01:00", "2026-12-26T23:00:00Z"),
            ("2026-12-26T23:00:00+01:00", "2026-12-26T23:00:00Z"),
            ("2026-12-27T00:30:00+01:00", ""),
        ],
    );
    let never = window(&["daily 22:00-23:00"], &["2026-01-01..2029-01-01"]);
    check("UTC", &never, &[("2026-06-01T00:00:00Z", "never")]);
}

#[test]
fn clocks_go_forward_in_berlin() {
    // 2026-03-29: 02:00 +01:00 becomes 03:00 +02:00.
    let night = window(&["Sun 01:00-05:00"], &[]);
    check(
        "Europe/Berlin",
        &night,
        &[
            ("2026-03-29T00:59:00+01:00", "2026-03-29T00:00:00Z"),
            ("2026-03-29T01:30:00+01:00", ""),
            ("2026-03-29T03:00:00+02:00", ""),
            ("2026-03-29T04:59:00+02:00", ""),
            ("2026-03-29T05:00:00+02:00", "2026-04-04T23:00:00Z"),
        ],
    );
    // A stretch inside the hour that does not exist is meant by the offset before the change.
    let lost = window(&["Sun 02:15-02:45"], &[]);
    check(
        "Europe/Berlin",
        &lost,
        &[
            ("2026-03-29T01:59:00+01:00", "2026-03-29T01:15:00Z"),
            ("2026-03-29T03:20:00+02:00", ""),
            ("2026-03-29T03:45:00+02:00", "2026-04-05T00:15:00Z"),
        ],
    );
}

#[test]
fn clocks_go_back_in_berlin_and_new_york() {
    // 2026-10-25: 03:00 +02:00 becomes 02:00 +01:00. The window is an hour longer.
    let night = window(&["Sun 01:00-05:00"], &[]);
    check(
        "Europe/Berlin",
        &night,
        &[
            ("2026-10-25T00:59:00+02:00", "2026-10-24T23:00:00Z"),
            ("2026-10-25T02:30:00+02:00", ""),
            ("2026-10-25T02:30:00+01:00", ""),
            ("2026-10-25T04:59:00+01:00", ""),
            ("2026-10-25T05:00:00+01:00", "2026-11-01T00:00:00Z"),
        ],
    );
    // What begins in the doubled hour begins the first time.
    let doubled = window(&["Sun 01:30-03:00"], &[]);
    check(
        "America/New_York",
        &doubled,
        &[
            ("2026-11-01T01:29:00-04:00", "2026-11-01T05:30:00Z"),
            ("2026-11-01T01:30:00-04:00", ""),
            ("2026-11-01T01:10:00-05:00", ""),
            ("2026-11-01T03:00:00-05:00", "2026-11-08T06:30:00Z"),
        ],
    );
    // 2026-03-08: 02:00 -05:00 becomes 03:00 -04:00.
    check(
        "America/New_York",
        &night,
        &[
            ("2026-03-08T01:30:00-05:00", ""),
            ("2026-03-08T04:59:00-04:00", ""),
            ("2026-03-08T05:00:00-04:00", "2026-03-15T05:00:00Z"),
        ],
    );
}

#[test]
fn half_an_hour_on_lord_howe_and_a_zone_without_changes() {
    // 2026-04-05: 02:00 +11:00 becomes 01:30 +10:30.
    let night = window(&["Sun 01:00-03:00"], &[]);
    check(
        "Australia/Lord_Howe",
        &night,
        &[
            ("2026-04-05T00:59:00+11:00", "2026-04-04T14:00:00Z"),
            ("2026-04-05T01:45:00+11:00", ""),
            ("2026-04-05T01:45:00+10:30", ""),
            ("2026-04-05T03:00:00+10:30", "2026-04-11T14:30:00Z"),
        ],
    );
    // 2026-10-04: 02:00 +10:30 becomes 02:30 +11:00.
    check(
        "Australia/Lord_Howe",
        &window(&["Sun 02:10-02:20"], &[]),
        &[
            ("2026-10-04T02:39:00+11:00", "2026-10-03T15:40:00Z"),
            ("2026-10-04T02:45:00+11:00", ""),
            ("2026-10-04T02:50:00+11:00", "2026-10-10T15:10:00Z"),
        ],
    );
    check(
        "Asia/Tokyo",
        &night,
        &[("2026-03-29T01:30:00+09:00", ""), ("2026-10-25T03:00:00+09:00", "2026-10-31T16:00:00Z")],
    );
}

#[test]
fn windows_read_what_they_write() {
    for (text, written) in [
        ("Sat,Sun 01:00-05:00", "Sat,Sun 01:00-05:00"),
        ("mon-fri 22:00-04:30", "Mon,Tue,Wed,Thu,Fri 22:00-04:30"),
        ("Sat-Mon 22:00-22:00", "Mon,Sat,Sun 22:00-22:00"),
        ("daily 00:00-24:00", "daily 00:00-24:00"),
        ("LAST Sun 00:00-06:00", "last Sun 00:00-06:00"),
    ] {
        let stretch: Stretch = text.parse().unwrap();
        assert_eq!(stretch.to_string(), written);
        assert_eq!(written.parse(), Ok(stretch));
    }
    for (text, says) in [
        ("", "days and times"),
        ("Sat", "days and times"),
        ("Sam 01:00-02:00", "Mon to Sun"),
        ("Sat 1:00-2:00", "like 01:00-05:00"),
        ("Sat 01:00-24:01", "like 01:00-05:00"),
        ("Sat 24:00-01:00", "can't begin"),
        ("5th Sat 01:00-02:00", "days and times"),
    ] {
        let error = text.parse::<Stretch>().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    for text in ["2026-12-24", "2026-12-24..2027-01-01"] {
        assert_eq!(text.parse::<Blackout>().unwrap().to_string(), text);
    }
    assert!("2027-01-01..2026-12-24".parse::<Blackout>().is_err());
    assert!(Zone::named("Europe/Berlino").is_err());
}
