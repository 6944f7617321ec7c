//! Small languages: selectors, windows, versions, limits, names.

use gofleet_core::anomaly::Rules;
use gofleet_core::audit::AuditKey;
use gofleet_core::bandwidth::Bandwidth;
use gofleet_core::digest::Digest;
use gofleet_core::enrolment::Network;
use gofleet_core::facts::Facts;
use gofleet_core::ids::{CollectionName, DeviceId, ReleaseId};
use gofleet_core::manifest::TreePath;
use gofleet_core::release::Platform;
use gofleet_core::rollout::{BlastRadius, RingSize, RingSpec, parse_rings};
use gofleet_core::selector::Selector;
use gofleet_core::statistics::Share;
use gofleet_core::time::{Span, Timestamp};
use gofleet_core::version::{self, GoVersion};
use gofleet_core::window::{Blackout, Stretch, Window, Zone};

use crate::harness::harmed;
use crate::{SECONDS, bytes, comes_back, text};

pub fn facts() -> Facts {
    let found = serde_json::json!([
        { "version": "1.27.2", "path": "C:\\Program Files\\Go", "origin": "system" },
    ]);
    Facts {
        hostname: "ci-042".to_owned(),
        platform: "windows-amd64".parse().unwrap(),
        os_version: "Windows 11 \"24H2\"".to_owned(),
        processors: 8,
        free_bytes: 5_000_000_000,
        agent_version: "0.1.0".to_owned(),
        active: Some("1.27.2".to_owned()),
        found: serde_json::from_value(found).unwrap(),
        zone: Some("Europe/Berlin".to_owned()),
        labels: [("site".to_owned(), "berlin".to_owned())].into(),
        packages: Default::default(),
        collections: ["pilots".parse().unwrap()].into(),
    }
}

/// Of more digits than people write, the last may change on the way through JSON.
pub fn round(ring: &mut RingSpec) {
    if let RingSize::Percent(percent) = &mut ring.size {
        *percent = f64::from(*percent as f32);
    }
}

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_selectors_come_back_as_they_print() {
    let seeds = bytes([
        "os = \"windows\" and (label.site in (\"berlin\", \"oslo\") or hostname like \"ci-*\")",
        "not active >= 1.27.0 or free_bytes > 5000000000 and label.a.b-c != \"\"",
        "collection = \"pilots\" and id not in (d1, d2)",
        "((((platform = linux-amd64))))",
    ]);
    let (id, facts): (DeviceId, Facts) = ("d1".parse().unwrap(), facts());
    harmed("selectors", SECONDS, &seeds, |bytes| {
        let Some(text) = text(bytes) else { return false };
        let _ = Selector::parse_of_collection(text);
        if let Ok(selector) = text.parse::<Selector>() {
            let printed: Selector = selector.to_string().parse().unwrap();
            assert_eq!(selector.matches(&id, &facts), printed.matches(&id, &facts), "{text}");
        }
        comes_back::<Selector>(text)
    });
}

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_windows_come_back_and_open_when_they_say() {
    let seeds = bytes([
        "2026-06-05T12:00:00Z|Europe/Berlin|Sat,Sun 01:00-05:00|2026-12-24..2027-01-01",
        "2026-10-25T00:30:00Z|America/New_York|2nd Sat 22:00-04:00|2026-12-24",
        "1970-01-01T00:00:00Z|Pacific/Apia|last Mon-Thu,Sat 00:00-24:00|2011-12-30",
        "2026-03-29T01:30:00Z|UTC|daily 23:30-00:30|2026-03-30..2026-04-02",
    ]);
    harmed("windows", SECONDS, &seeds, |bytes| {
        let Some(text) = text(bytes) else { return false };
        let parts: Vec<&str> = text.split('|').collect();
        let [now, zone, stretch, blackout] = parts[..] else { return false };
        let is_read = [
            comes_back::<Stretch>(stretch),
            comes_back::<Blackout>(blackout),
            comes_back::<Timestamp>(now),
        ];
        let (Ok(zone), [true, true, true]) = (Zone::named(zone), is_read) else { return false };
        let (now, open) = (now.parse().unwrap(), vec![stretch.parse().unwrap()]);
        let window = Window { open, closed: vec![blackout.parse().unwrap()] };
        let json = serde_json::to_string(&window).unwrap();
        assert_eq!(serde_json::from_str::<Window>(&json).unwrap(), window, "{json}");
        if let gofleet_core::window::Opening::Closed { opens: Some(opens) } =
            window.opening(now, &zone)
        {
            assert!(opens > now, "{text}: {opens} is not ahead");
            let then = window.opening(opens, &zone);
            assert_eq!(then, gofleet_core::window::Opening::Open, "{text} at {opens}");
        }
        true
    });
}

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_words_come_back_as_they_print() {
    let key = gofleet_core::audit::AuditSigner::from_seed(&[7; 32]).key().to_string();
    let seeds = bytes([
        "1.27.3",
        "go1.28rc1",
        "1.4beta2",
        "20 MB/s, 2 MB/s from 9 to 18",
        "2 MB/s",
        "10.0.0.0/8",
        "fd00::/8",
        "lib/time/zoneinfo.zip",
        "windows-amd64",
        "5%",
        "25",
        "1h30m",
        "1d",
        "pilots",
        "2026-06-05T12:00:00.123Z",
        "go-1.27.3-windows-amd64",
        "a:label.ring = 1,b:10%,c:rest",
        gofleet_core::anomaly::DEFAULT_RULES,
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        &key,
    ]);
    harmed("words", SECONDS, &seeds, |bytes| {
        let Some(text) = text(bytes) else { return false };
        if let Ok(rings) = parse_rings(text) {
            let json = serde_json::to_string(&rings).unwrap();
            let mut read: Vec<RingSpec> = serde_json::from_str(&json).unwrap();
            let mut rings = rings;
            [&mut read, &mut rings].into_iter().flatten().for_each(round);
            assert_eq!(read, rings, "{json}");
        }
        if let Ok(path) = text.parse::<TreePath>() {
            let is_below = !path.as_str().split('/').any(|part| matches!(part, "" | "." | ".."));
            assert!(is_below && !path.as_str().contains(['\\', ':', '\0']), "{path}");
        }
        let mut is_read = parse_rings(text).is_ok();
        for comes_back in [
            comes_back::<GoVersion>,
            comes_back::<Bandwidth>,
            comes_back::<Network>,
            comes_back::<TreePath>,
            comes_back::<Platform>,
            comes_back::<Share>,
            comes_back::<BlastRadius>,
            comes_back::<Span>,
            comes_back::<Timestamp>,
            comes_back::<ReleaseId>,
            comes_back::<CollectionName>,
            comes_back::<Digest>,
            comes_back::<AuditKey>,
            comes_back::<Rules>,
        ] {
            is_read |= comes_back(text);
        }
        is_read
    });
}

/// Sorting panics if an order is none, and versions are sorted as others name them.
#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_versions_have_one_order() {
    use std::cmp::Ordering;
    let seeds =
        bytes(["1.27.3 1.28rc1 1.4beta2", "1.21 1.21.0 1.21rc2", "1.27 x 2", "01.2 1.2.3-a 1"]);
    harmed("versions", SECONDS, &seeds, |bytes| {
        let Some(text) = text(bytes) else { return false };
        let words: Vec<&str> = text.split(' ').take(8).collect();
        for (a, b) in words.iter().flat_map(|a| words.iter().map(move |b| (a, b))) {
            let order = version::compare(a, b);
            assert_eq!(version::compare(b, a), order.reverse(), "{a:?} {b:?}");
            for c in &words {
                let (second, both) = (version::compare(b, c), version::compare(a, c));
                let is_kept = order == Ordering::Greater
                    || second == Ordering::Greater
                    || both != Ordering::Greater;
                assert!(is_kept, "{a:?} ≤ {b:?} ≤ {c:?}, but not {a:?} ≤ {c:?}");
                let is_same = order != Ordering::Equal || second == both;
                assert!(is_same, "{a:?} = {b:?}, but they stand otherwise to {c:?}");
            }
        }
        true
    });
}
