//! Forecasts of small fleets whose behaviour is known exactly.

use super::*;
use crate::anomaly::Class;
use crate::facts::Facts;
use crate::hold::{Hold, KeptOut};
use crate::release::{Archive, ArchiveFormat, Release, ReleaseRef, ReleaseStatus};
use crate::rollout::{FleetDevice, RolloutSpec, plan};

/// A Monday, 08:00 UTC.
const NOW: Timestamp = Timestamp::from_millis(1_772_438_400_000);
const ARCHIVE_BYTES: u64 = 1_000_000;
const BUDGET: u64 = 2_000_000;

fn release(version: &str) -> Release {
    let (package, platform) = ("go".parse().unwrap(), "linux-amd64".parse().unwrap());
    Release {
        release: ReleaseRef {
            id: ReleaseRef::id_of(&package, version, &platform).unwrap(),
            package,
            version: version.to_owned(),
            platform,
            manifest: Digest::of(version.as_bytes()),
            archive: Archive {
                sha256: Digest::of(version.as_bytes()),
                size: ARCHIVE_BYTES,
                format: ArchiveFormat::Zip,
            },
        },
        status: ReleaseStatus::Approved,
        files: 1,
        tree_bytes: 1,
        origin: "here".to_owned(),
        imported_at: NOW,
        dependencies: Default::default(),
        decision: None,
    }
}

fn device(number: usize) -> FleetDevice {
    let site = ["berlin", "oslo"][number % 2];
    FleetDevice {
        id: format!("d{number:05}").parse().unwrap(),
        facts: Facts {
            hostname: format!("host-{number}"),
            platform: "linux-amd64".parse().unwrap(),
            os_version: "Some OS 1".to_owned(),
            processors: 2,
            free_bytes: 1 << 30,
            agent_version: "0.1.0".to_owned(),
            active: Some("1.27.2".to_owned()),
            packages: Default::default(),
            found: Vec::new(),
            zone: Some("Europe/Berlin".to_owned()),
            labels: [("site".to_owned(), site.to_owned())].into(),
            collections: Default::default(),
        },
        last_seen: NOW,
        busy_with: None,
        kept_out: None,
    }
}

fn fleet(devices: usize) -> Vec<FleetDevice> {
    (0..devices).map(device).collect()
}

/// Every order took so long to fetch and so long for the rest; of so many devices so many failed.
fn behaviour(fetch: u64, rest: u64, devices: u64, failures: u64) -> Behaviour {
    let took = Took { fetch: Span::from_secs(fetch), rest: Span::from_secs(rest) };
    let class = Class::of(&device(0).facts);
    let timed = |number: usize| Timed { device: device(number).id, class: class.clone(), took };
    Behaviour {
        timed: (0..10).map(timed).collect(),
        fared: Fared { devices, failures, silent: 0, attempts: devices },
        absences: Vec::new(),
    }
}

/// As good as no device ever failed.
fn faultless(fetch: u64, rest: u64) -> Behaviour {
    behaviour(fetch, rest, 100_000_000, 0)
}

fn played(yaml: &str, fleet: &[FleetDevice], behaviour: &Behaviour) -> Forecast {
    let spec = format!("{{name: r, version: 1.27.3, {yaml}}}");
    let spec: RolloutSpec = serde_saphyr::from_str(&spec).unwrap();
    let releases = [release("1.27.2"), release("1.27.3")];
    let planning = Planning {
        spec: &spec,
        releases: &releases,
        fleet,
        collections: &[],
        moving: &[],
        artifacts: &[],
        seed: &spec.name,
        install_time: Planning::ASSUMED_INSTALL_TIME,
        now: NOW,
        listening_since: NOW - Span::from_secs(86_400),
    };
    let plan = plan(&planning).unwrap();
    forecast(&Forecasting { planning, behaviour, exposure: None, budget: BUDGET }, &plan)
}

fn finish(forecast: &Forecast) -> [String; 2] {
    let finish = forecast.finish.unwrap();
    [finish.p50.to_string(), finish.p95.to_string()]
}

const TWO_RINGS: &str = "rings: [{name: test, count: 2}, {name: rest, rest: true}]";

#[test]
fn where_nothing_varies_the_finish_is_the_sum() {
    let forecast = played(&format!("soak: 5m, {TWO_RINGS}"), &fleet(10), &faultless(60, 30));
    assert_eq!((forecast.runs, forecast.completed), (200, 200));
    assert_eq!(finish(&forecast), ["13m", "13m"], "two rings of 90 s and 5 minutes");
    let rings: Vec<_> = forecast.rings.iter().map(|it| (it.devices, it.passed)).collect();
    assert_eq!(rings, [(2, 200), (8, 200)]);
    assert_eq!(forecast.rings[0].finish.unwrap().p95.to_string(), "6m 30s");
    let last = forecast.arrival.last().unwrap();
    assert_eq!((last.after.to_string().as_str(), last.low, last.high), ("13m", 10, 10));
    let middle = forecast.arrival.iter().find(|it| it.after >= Span::from_secs(450)).unwrap();
    assert_eq!((middle.low, middle.high), (2, 2));
    assert!(forecast.stops.is_empty() && forecast.open == 0);
}

#[test]
fn places_in_flight_make_waves() {
    let yaml = format!("soak: 0s, max_in_flight: 2, {TWO_RINGS}");
    let forecast = played(&yaml, &fleet(10), &faultless(60, 60));
    assert_eq!(finish(&forecast), ["10m", "10m"], "one wave, and four of 2 minutes");
    assert_eq!(forecast.hours.iter().map(|it| it.in_flight_p95).max(), Some(2));
}

#[test]
fn users_who_are_asked_are_taken_not_to_answer() {
    let yaml = "soak: 5m, publish: {deadline: 8h}, rings: [{name: all, rest: true}]";
    let forecast = played(yaml, &fleet(4), &faultless(60, 30));
    assert_eq!(finish(&forecast), ["8h 5m 30s", "8h 5m 30s"]);
    let bytes: Vec<_> = forecast.hours.iter().map(|it| it.bytes).filter(|it| *it > 0).collect();
    assert_eq!(bytes, [4 * ARCHIVE_BYTES], "it was fetched once, before anybody was asked");
    let basis = forecast.basis.iter().find(|it| it.what == "answers of users").unwrap();
    assert!(!basis.is_measured && basis.value.contains("deadline"), "{basis:?}");
}

#[test]
fn bytes_are_told_by_hour_and_site() {
    let yaml = "soak: 0s, max_in_flight: 10, rings: [{name: all, rest: true}]";
    let forecast = played(yaml, &fleet(31), &faultless(2400, 0));
    let hours: Vec<_> = forecast.hours.iter().map(|it| (it.hour, it.bytes)).collect();
    assert_eq!(
        hours,
        [(0, 10 * ARCHIVE_BYTES), (1, 15 * ARCHIVE_BYTES), (2, 6 * ARCHIVE_BYTES)],
        "waves end after 40, 80, 120 and 160 minutes; half of each comes in its midst"
    );
    let sites: Vec<_> = forecast.sites.iter().map(|it| (it.site.as_str(), it.devices)).collect();
    assert_eq!(sites, [("berlin", 16), ("oslo", 15)]);
    assert_eq!(forecast.sites[0].bytes, 16 * ARCHIVE_BYTES);
    let by_site: u64 = forecast.sites.iter().flat_map(|it| &it.hours).map(|(_, it)| it).sum();
    assert_eq!(by_site, 31 * ARCHIVE_BYTES);
}

#[test]
fn windows_are_those_of_each_devices_zone() {
    let window = "window: {open: ['daily 22:00-23:00']}, rings: [{name: all, rest: true}]";
    let mut devices = fleet(2);
    devices[1].facts.zone = Some("America/New_York".to_owned());
    let forecast = played(&format!("soak: 0s, {window}"), &devices, &faultless(60, 0));
    // 22:00 in Berlin is 21:00 UTC in winter, in New York 03:00 UTC.
    assert_eq!(finish(&forecast), ["19h", "19h"]);
    let first = forecast.arrival.iter().find(|it| it.median > 0).unwrap();
    assert!(first.after.as_millis().abs_diff(13 * HOUR_MS) < HOUR_MS, "{}", first.after);
    assert_eq!(forecast.hours[0].bytes, 2 * ARCHIVE_BYTES, "staging needs no window");
    let told = |forecast: &Forecast| {
        let mut basis = forecast.basis.iter();
        basis.find(|it| it.what.contains("zone")).unwrap().value.clone()
    };
    assert_eq!(told(&forecast), "told by 2 of 2");
    devices[0].facts.zone = None;
    let forecast = played(&format!("soak: 0s, {window}"), &devices, &faultless(60, 0));
    assert_eq!(told(&forecast), "told by 1 of 2; UTC is assumed for the other 1");
}

#[test]
fn a_release_that_fails_stops_where_its_gate_says() {
    let strict = format!("soak: 1m, {TWO_RINGS}");
    // Half of all devices fail: two of two do well in a quarter of all runs.
    let half = behaviour(60, 0, 1_000_000, 500_000);
    let forecast = played(&strict, &fleet(40), &half);
    let passed = f64::from(forecast.rings[0].passed) / f64::from(forecast.runs);
    assert!((passed - 0.25).abs() < 0.1, "{passed}");
    assert_eq!((forecast.completed, forecast.rings[1].passed), (0, 0));
    assert_eq!(forecast.stops.iter().map(|stop| stop.runs).sum::<u32>(), forecast.runs);
    assert_eq!(forecast.stops[0].ring, "test");
    assert!(forecast.stops[0].example.contains("failed, at most 0 may"), "{forecast:?}");
    assert!(forecast.finish.is_none());

    let patient = "gate: {max_failures: 40}, soak: 1m, rings: [{name: all, rest: true}]";
    let forecast = played(patient, &fleet(40), &half);
    assert_eq!(forecast.completed, forecast.runs, "{:?}", forecast.stops);
}

#[test]
fn few_samples_leave_more_open_than_many() {
    let spread = |devices: u64, failures: u64| {
        let forecast = played(
            "soak: 0s, gate: {max_failures: 12}, rings: [{name: all, rest: true}]",
            &fleet(100),
            &behaviour(60, 0, devices, failures),
        );
        f64::from(forecast.completed) / f64::from(forecast.runs)
    };
    // A tenth fails: 12 of 100 are allowed, which 100 devices keep to in four of five runs, if the
    // rate is known. From ten devices it is not.
    let (known, guessed) = (spread(1_000_000, 100_000), spread(10, 1));
    assert!((known - 0.8).abs() < 0.1, "{known}");
    assert!(guessed > known + 0.05, "the published rate carries most of it: {guessed}");
}

#[test]
fn silence_is_waited_for_and_counts() {
    let mut silent = behaviour(60, 0, 1_000_000, 500_000);
    silent.fared.silent = 500_000;
    let forecast = played(
        "soak: 0s, silence_after: 2h, rings: [{name: all, rest: true}]",
        &fleet(40),
        &silent,
    );
    assert_eq!(forecast.stops.len(), 1);
    assert_eq!(forecast.stops[0].runs, forecast.runs);
    assert_eq!(forecast.stops[0].at.p50.to_string(), "2h");
}

#[test]
fn what_passes_by_itself_is_tried_again() {
    let mut flaky = faultless(60, 0);
    flaky.fared.attempts = flaky.fared.devices / 2 * 3;
    let yaml = "soak: 0s, retry: {times: 10, after: 5m}, rings: [{name: all, rest: true}]";
    let forecast = played(yaml, &fleet(1), &flaky);
    assert_eq!(forecast.completed, forecast.runs);
    // Two of three runs end at the first attempt; one of nine needs a third, after waits of 5 and
    // 10 minutes.
    assert_eq!(finish(&forecast)[0], "1m");
    assert!(forecast.finish.unwrap().p95 >= Span::from_secs(18 * 60), "{:?}", forecast.finish);
}

#[test]
fn who_is_away_or_held_is_not_waited_for_and_comes_back_in_its_time() {
    let mut devices = fleet(9);
    devices[1].last_seen = NOW - Span::from_secs(3600);
    let hold = Hold {
        id: "h1".parse().unwrap(),
        devices: String::new(),
        reason: "repair".to_owned(),
        by: "ann".to_owned(),
        from: NOW,
        until: Some(NOW + Span::from_secs(7200)),
    };
    devices[2].kept_out = Some(KeptOut::Hold(hold));
    let yaml = "soak: 4h, rings: [{name: all, rest: true}]";
    let forecast = played(yaml, &devices, &faultless(60, 0));
    assert_eq!(forecast.completed, forecast.runs);
    let last = forecast.arrival.last().unwrap();
    assert_eq!((last.low, last.high), (8, 9), "half come back within the hour, a few never");
    assert!(
        forecast.finish.unwrap().p50 >= Span::from_secs(6 * 3600),
        "it waits for whom it let in"
    );
    let away = forecast.basis.iter().find(|it| it.what.contains("away")).unwrap();
    assert!(away.value.starts_with("1 of 9, one since "), "{away:?}");
}

#[test]
fn it_says_what_was_measured_and_what_is_assumed() {
    let yaml = format!("soak: 1m, {TWO_RINGS}");
    let measured = |behaviour: &Behaviour| {
        let forecast = played(&yaml, &fleet(10), behaviour);
        let told = |it: &Basis| (it.is_measured, it.samples, it.value.clone());
        forecast.basis.iter().map(told).take(3).collect::<Vec<_>>()
    };
    let assumed = measured(&Behaviour::default());
    assert_eq!(assumed[0], (false, 0, "about 1m".to_owned()));
    assert_eq!(assumed[1], (false, 0, "about 2%, as is published".to_owned()));
    assert_eq!(assumed[2], (false, 0, "1% of the attempts".to_owned()));
    let seen = measured(&behaviour(60, 30, 200, 4));
    let times = "1m 30s in the median, 1m 30s at most for 95%";
    assert_eq!(seen[0], (true, 10, times.to_owned()));
    assert!(seen[1].2.starts_with("2% (4 of 200; it may be up to "), "{seen:?}");
    assert_eq!(seen[2], (true, 200, "0% of the attempts".to_owned()));
}

#[test]
fn the_same_question_gets_the_same_answer_within_its_budget() {
    let yaml = format!("soak: 1m, max_in_flight: 20, {TWO_RINGS}");
    let ask = || played(&yaml, &fleet(600), &behaviour(60, 30, 200, 1));
    let forecast = ask();
    assert_eq!(forecast, ask());
    assert!((1..200).contains(&forecast.runs), "{}", forecast.runs);
    let json = serde_json::to_string(&forecast).unwrap();
    assert_eq!(serde_json::from_str::<Forecast>(&json).unwrap(), forecast);
}

/// Every device was away from 18:00 to 06:00 in each of so many nights.
fn nights(devices: usize, nights: u64) -> Vec<Absence> {
    let hours = |hours: u64| Span::from_secs(3600 * hours);
    let night = |device: usize, night: u64| {
        let from = NOW - hours(24 * night) + hours(10);
        Absence { device: self::device(device).id, from, until: from + hours(12) }
    };
    let all = (0..devices).flat_map(|device| (1..=nights).map(move |it| night(device, it)));
    all.collect()
}

#[test]
fn devices_go_away_as_they_were_seen_to() {
    // 55 minutes each, one by one: the eleventh is at work when the night begins.
    let yaml = "max_in_flight: 1, soak: 0s, silence_after: 1d, rings: [{name: all, rest: true}]";
    let check = |absences: Vec<Absence>, expect: std::ops::Range<u64>, basis: &str| {
        let behaviour = Behaviour { absences, ..faultless(1800, 1500) };
        let forecast = played(yaml, &fleet(13), &behaviour);
        let minutes = forecast.finish.unwrap().p50.as_millis() / 60_000;
        assert!(expect.contains(&minutes), "{minutes}");
        let known = forecast.basis.iter().find(|it| it.what == "when devices go away").unwrap();
        assert!(known.value.contains(basis), "{known:?}");
        assert_eq!(known.is_measured, !basis.starts_with("not"));
    };
    let (at_once, next_morning) = (715..730, 24 * 60 - 20..24 * 60);
    check(Vec::new(), at_once.clone(), "not recorded");
    // One night alone is not a day.
    check(nights(13, 1), at_once, "not recorded");
    check(nights(13, 3), next_morning.clone(), "one of the last 2 days, with 39 absences");
    check(nights(13, 15), next_morning, "one of the last 2 weeks, with 195 absences");
}

#[test]
fn who_goes_away_in_the_midst_is_silent() {
    let yaml = "max_in_flight: 1, soak: 0s, silence_after: 2h, rings: [{name: all, rest: true}]";
    let behaviour = Behaviour { absences: nights(13, 15), ..faultless(1800, 1500) };
    let forecast = played(yaml, &fleet(13), &behaviour);
    assert_eq!((forecast.completed, forecast.stops.len()), (0, 1), "{:?}", forecast.stops);
}
