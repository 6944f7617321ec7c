//! Rules, devices and classes together.

use proptest::prelude::*;

use super::*;
use crate::hold::QuarantineCause;
use crate::ids::DeviceId;
use crate::time::{Span, Timestamp};

/// A fleet that is watched; its devices are d0, d1, …
struct Fleet {
    monitor: Monitor,
    now: Timestamp,
    kept_out: Vec<DeviceId>,
    told: Vec<Withheld>,
}

fn id(n: usize) -> DeviceId {
    format!("d{n}").parse().unwrap()
}

fn sample(values: &[(&str, f64)]) -> Sample {
    let value =
        |(name, value): &(&str, f64)| (name.parse().unwrap(), Reading::try_from(*value).unwrap());
    let values = values.iter().map(value).collect();
    Sample { over: Span::from_secs(60), values, command_failure: None }
}

impl Fleet {
    fn new(rules: &str, devices: usize) -> Self {
        let settings = Settings {
            rules: rules.parse().unwrap(),
            release_after: Span::from_secs(600),
            max_share: "10%".parse().unwrap(),
        };
        let now = Timestamp::from_millis(1_800_000_000_000);
        let mut monitor = Monitor::new(settings);
        let class = Class::from("linux-amd64".to_owned());
        for n in 0..devices {
            monitor.watch(&id(n), Watch::new(class.clone(), now, None), now);
        }
        Self { monitor, now, kept_out: Vec::new(), told: Vec::new() }
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now + Span::from_secs(seconds);
    }

    fn tell(&mut self, n: usize, values: &[(&str, f64)]) {
        let verdict = self.monitor.observe(&id(n), &sample(values), self.now);
        self.obey(verdict);
    }

    fn tick(&mut self) {
        for verdict in self.monitor.tick(self.now) {
            self.obey(Some(verdict));
        }
    }

    /// As a server does it.
    fn obey(&mut self, verdict: Option<Verdict>) {
        match verdict {
            None => {}
            Some(Verdict::Quarantine(device, cause)) => {
                let QuarantineCause::Anomaly { rule, evidence } = cause else { panic!("{cause}") };
                assert!(!evidence.is_empty());
                self.monitor.confine(&device, Some(Confined::Anomaly(rule)), self.now);
                self.kept_out.push(device);
            }
            Some(Verdict::LetIn(device, _)) => {
                self.monitor.confine(&device, None, self.now);
                self.kept_out.retain(|kept_out| *kept_out != device);
            }
            Some(Verdict::Withhold(device, _, withheld)) => {
                assert!(!self.kept_out.contains(&device));
                self.told.push(withheld);
            }
        }
    }

    /// Minute after minute the same from one device.
    fn minutes(&mut self, minutes: usize, n: usize, values: &[(&str, f64)]) {
        for _ in 0..minutes {
            self.pass(60);
            self.tell(n, values);
        }
    }

    /// Everybody has taught what is normal.
    fn learn(&mut self, devices: usize, values: &[(&str, f64)]) {
        for _ in 0..100 / devices + 1 {
            self.pass(60);
            (0..devices).for_each(|n| self.tell(n, values));
        }
    }

    fn is_out(&self, n: usize) -> bool {
        self.kept_out.contains(&id(n))
    }
}

#[track_caller]
fn check(text: &str, expect: &str) {
    let rules: Rules = text.parse().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(rules.to_string(), expect);
    assert_eq!(expect.parse::<Rules>().as_ref(), Ok(&rules), "it reads what it writes");
}

#[track_caller]
fn check_wrong(text: &str, column: usize, says: &str) {
    let error = text.parse::<Rules>().unwrap_err();
    assert_eq!(error.column, column, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn rules_are_read_as_people_write_them() {
    check("processor > 95% for 5m", "processor: processor > 95% for 5m");
    check(
        "errors > 100/min for 1m and errors > 10x baseline;silent for 90s;",
        "errors: errors > 100/min for 1m and errors > 10x baseline; silent: silent for 1m 30s",
    );
    check("full: disk_free < 2.5%", "full: disk_free < 2.5%");
    check("q: queue_length > 7 for 1h 30m", "q: queue_length > 7 for 1h 30m");
    check("none", "none");
    check(DEFAULT_RULES, DEFAULT_RULES);
}

#[test]
fn mistakes_are_pointed_at() {
    check_wrong("", 1, "expected a signal");
    check_wrong("busy: processor >= 95%", 18, "expected a number");
    check_wrong("processor > 95", 13, "measured in percent");
    check_wrong("processor > 101%", 13, "measured in percent");
    check_wrong("processor is 95%", 11, "expected `>` or `<`");
    check_wrong("errors > 10x normal", 14, "expected `baseline`");
    check_wrong("errors > 0x baseline", 13, "0 times");
    check_wrong("errors > 5/s", 12, "expected `/min`");
    check_wrong("errors > 5 for ever", 16, "expected a span");
    check_wrong("errors > 5 for 2d", 16, "more than 1d");
    check_wrong("silent 5m", 8, "expected `for`");
    check_wrong("a: silent for 5m; a: silent for 6m", 19, "already");
    check_wrong("errors > 5, silent for 5m", 11, "expected `and`, `;` or the end");
    check_wrong("errors > 1.2345", 10, "3 decimals");
}

#[test]
fn a_condition_must_hold_in_each_sample_of_its_span() {
    let mut fleet = Fleet::new("busy: processor > 95% for 5m", 30);
    fleet.minutes(4, 0, &[("processor", 99.0)]);
    assert!(!fleet.is_out(0), "four minutes are not five");
    fleet.minutes(1, 0, &[("processor", 95.0)]);
    fleet.minutes(4, 0, &[("processor", 99.0)]);
    assert!(!fleet.is_out(0), "one sample at the limit begins it anew");
    fleet.minutes(1, 0, &[("processor", 99.0)]);
    assert!(fleet.is_out(0), "with the fifth, and not later");
    // A lost sample is forgiven, a hole is not.
    fleet.minutes(3, 1, &[("processor", 99.0)]);
    fleet.pass(60);
    fleet.minutes(1, 1, &[("processor", 99.0)]);
    assert!(fleet.is_out(1));
    fleet.minutes(4, 2, &[("processor", 99.0)]);
    fleet.pass(240);
    fleet.minutes(1, 2, &[("processor", 99.0)]);
    assert!(!fleet.is_out(2), "nobody knows what was in between");
}

#[test]
fn errors_are_compared_with_what_is_normal_for_the_class() {
    let rule = "errors: errors > 100/min for 1m and errors > 10x baseline";
    let mut fleet = Fleet::new(rule, 40);
    fleet.minutes(10, 0, &[("errors", 500.0)]);
    assert!(!fleet.is_out(0), "nothing is known yet of what is normal");
    let mut fleet = Fleet::new(rule, 40);
    fleet.learn(40, &[("errors", 20.0)]);
    fleet.minutes(3, 0, &[("errors", 150.0)]);
    assert!(!fleet.is_out(0), "more than 100, but not ten times as many as is normal");
    fleet.minutes(1, 0, &[("errors", 250.0)]);
    assert!(fleet.is_out(0));
    let normal = fleet.monitor.health(&id(0), fleet.now).unwrap().normal;
    let normal = f64::from(normal[&"errors".parse().unwrap()]);
    assert!((19.0..21.0).contains(&normal), "{normal}");

    let mut fleet = Fleet::new(rule, 40);
    fleet.learn(40, &[("errors", 0.0)]);
    fleet.minutes(1, 0, &[("errors", 101.0)]);
    assert!(fleet.is_out(0), "where none is normal, one counts as normal");
}

#[test]
fn who_is_anomalous_teaches_nothing() {
    let mut fleet = Fleet::new("errors > 10x baseline", 8);
    fleet.learn(8, &[("errors", 10.0)]);
    let normal = |fleet: &Fleet| fleet.monitor.baselines().next().unwrap().2.clone();
    let before = normal(&fleet);
    fleet.minutes(300, 0, &[("errors", 400.0)]);
    assert_eq!(normal(&fleet), before);
    assert!(fleet.is_out(0));
}

#[test]
fn silence_is_found_by_time_alone_until_a_device_is_gone() {
    let mut fleet = Fleet::new("silent for 10m", 30);
    fleet.tick();
    fleet.pass(599);
    (1..30).for_each(|n| fleet.monitor.heard(&id(n), fleet.now));
    fleet.tick();
    assert!(!fleet.is_out(0));
    fleet.pass(1);
    fleet.tick();
    assert!(fleet.is_out(0) && fleet.kept_out.len() == 1);
    for _ in 0..200 {
        fleet.pass(600);
        (1..30).for_each(|n| fleet.monitor.heard(&id(n), fleet.now));
        fleet.tick();
    }
    assert!(fleet.is_out(0), "who is gone is not let in");
    let health = fleet.monitor.health(&id(0), fleet.now).unwrap();
    assert!(!health.rules[0].fires, "but it counts no more");
}

#[test]
fn a_device_is_let_in_only_after_it_was_well_by_a_margin_for_long_enough() {
    let mut fleet = Fleet::new("processor > 90% for 1m", 30);
    fleet.minutes(1, 0, &[("processor", 99.0)]);
    assert!(fleet.is_out(0));
    fleet.minutes(30, 0, &[("processor", 85.0)]);
    assert!(fleet.is_out(0), "below the limit, but not by a tenth");
    fleet.minutes(9, 0, &[("processor", 80.0)]);
    fleet.minutes(1, 0, &[("memory", 80.0)]);
    fleet.minutes(10, 0, &[("processor", 80.0)]);
    assert!(fleet.is_out(0), "a sample without the signal is no evidence");
    fleet.minutes(1, 0, &[("processor", 80.0)]);
    assert!(!fleet.is_out(0));
    // What happened before is not held against it.
    fleet.pass(1);
    fleet.tell(0, &[("processor", 99.0)]);
    assert!(!fleet.is_out(0));

    fleet.minutes(1, 1, &[("processor", 99.0)]);
    assert!(fleet.is_out(1));
    fleet.minutes(5, 1, &[("processor", 10.0)]);
    for _ in 0..30 {
        fleet.pass(60);
        fleet.tick();
    }
    assert!(fleet.is_out(1), "a silent device is not known to be well");
}

#[test]
fn only_an_anomaly_ends_by_itself() {
    let mut fleet = Fleet::new("processor > 90% for 1m", 2);
    fleet.monitor.confine(&id(0), Some(Confined::Otherwise), fleet.now);
    fleet.kept_out.push(id(0));
    fleet.minutes(60, 0, &[("processor", 1.0)]);
    fleet.tick();
    assert!(fleet.is_out(0));
}

#[test]
fn who_was_drained_counts_until_it_is_let_in() {
    let mut fleet = Fleet::new("processor > 90% for 1m", 20);
    for n in 0..20 {
        fleet.minutes(1, n, &[("processor", 99.0)]);
        // It gets no more jobs, and is idle at once.
        fleet.tell(n, &[("processor", 1.0)]);
    }
    assert_eq!(fleet.kept_out, [id(0), id(1)], "one after the other would be all of them");
    assert!(fleet.told.iter().all(|it| it.anomalous == 3), "{:?}", fleet.told);
}

#[test]
fn a_clock_that_is_put_back_makes_nobody_wait_for_the_time_before() {
    let mut fleet = Fleet::new("processor > 90% for 3m", 20);
    fleet.minutes(2, 0, &[("processor", 99.0)]);
    fleet.now = fleet.now - Span::from_secs(3600);
    fleet.minutes(2, 0, &[("processor", 99.0)]);
    assert!(!fleet.is_out(0), "nobody knows what was in between");
    fleet.minutes(1, 0, &[("processor", 99.0)]);
    assert!(fleet.is_out(0));
}

#[test]
fn if_too_many_are_anomalous_it_is_not_the_devices() {
    let mut fleet = Fleet::new("processor > 90% for 1m", 40);
    fleet.pass(60);
    (0..40).for_each(|n| fleet.tell(n, &[("processor", 99.0)]));
    assert_eq!(fleet.kept_out.len(), 4, "a tenth");
    let [told] = &fleet.told[..] else { panic!("{:?}", fleet.told) };
    assert_eq!((told.devices, told.anomalous), (40, 5));
    for _ in 0..59 {
        fleet.pass(60);
        (0..40).for_each(|n| fleet.tell(n, &[("processor", 99.0)]));
        fleet.tick();
    }
    assert_eq!((fleet.kept_out.len(), fleet.told.len()), (4, 1));
    assert!(fleet.monitor.health(&id(39), fleet.now).unwrap().is_withheld);
    fleet.pass(60);
    fleet.tell(39, &[("processor", 99.0)]);
    assert_eq!(fleet.told.len(), 2, "it is told again after an hour");
    // All but one are well again, and let in: that one is to blame.
    for minute in 0..12 {
        assert!(minute > 9 || !fleet.is_out(39), "not before there is room");
        fleet.minutes(1, 39, &[("processor", 99.0)]);
        (0..39).for_each(|n| fleet.tell(n, &[("processor", 1.0)]));
        fleet.tick();
    }
    assert_eq!(fleet.kept_out, [id(39)]);
}

#[test]
fn a_whole_class_that_falls_silent_is_left_alone() {
    let mut fleet = Fleet::new("silent for 10m", 50);
    fleet.pass(900);
    fleet.tick();
    assert_eq!((fleet.kept_out.len(), fleet.told.len()), (0, 1));
}

#[test]
fn readings_are_numbers_of_at_least_nothing() {
    for text in ["-1", "1e400", "\"5\"", "null"] {
        assert!(serde_json::from_str::<Reading>(text).is_err(), "{text}");
    }
    let sample: Sample =
        serde_json::from_str(r#"{"over": "60s", "values": {"processor": 97.25}}"#).unwrap();
    assert_eq!(sample.values.values().next().unwrap().to_string(), "97.25");
    let name = r#"{"over": "60s", "values": {"Pro cessor": 1}}"#;
    assert!(serde_json::from_str::<Sample>(name).is_err());
}

proptest! {
    /// Whatever devices tell, never more than the share of a class are put into quarantine at
    /// once, and nobody who was always well.
    #[test]
    fn no_rule_takes_a_fleet_out(
        seeds in prop::collection::vec((0usize..30, 0u8..101, 0u64..120), 1..400),
    ) {
        let mut fleet = Fleet::new("busy: processor > 50% for 2m; silent for 30m", 30);
        let mut was_bad = [false; 30];
        for (n, processor, pause) in seeds {
            fleet.pass(pause);
            // The last ten are always well, and heard.
            for well in 20..30 {
                fleet.tell(well, &[("processor", 10.0)]);
            }
            let n = n % 20;
            was_bad[n] |= processor > 50;
            fleet.tell(n, &[("processor", f64::from(processor))]);
            let before = fleet.kept_out.len();
            fleet.tick();
            let firing = |n: &usize| {
                let health = fleet.monitor.health(&id(*n), fleet.now).unwrap();
                health.rules.iter().any(|rule| rule.fires)
            };
            let anomalous = (0..30).filter(firing).count();
            prop_assert!(fleet.kept_out.len() <= before || anomalous <= 3, "{anomalous}");
        }
        for n in 20..30 {
            prop_assert!(!fleet.is_out(n));
        }
    }

    /// What is known of a device is small, and survives being written down.
    #[test]
    fn what_is_known_of_a_device_is_small(
        values in prop::collection::btree_map("[a-z]{1,8}", 0u32..1000, 0..60),
    ) {
        let rules: Rules = DEFAULT_RULES.parse().unwrap();
        let now = Timestamp::from_millis(1_800_000_000_000);
        let mut watch = Watch::new(Class::from("c".to_owned()), now, None);
        let values: Vec<(&str, f64)> =
            values.iter().map(|(name, value)| (name.as_str(), f64::from(*value))).collect();
        let normal = |_: &SignalName| None;
        watch.take(&sample(&values), watch::Measure { rules: &rules, normal: &normal }, now);
        let text = serde_json::to_string(&watch).unwrap();
        prop_assert!(text.len() < 2000, "{}", text.len());
        prop_assert_eq!(serde_json::from_str::<Watch>(&text).unwrap(), watch);
    }
}

#[test]
fn a_sample_that_comes_early_after_a_late_one_stands_for_its_whole_span() {
    let mut fleet = Fleet::new("errors > 100/min for 1m", 20);
    fleet.minutes(1, 0, &[("errors", 0.0)]);
    // Each was on its way for as long as it liked.
    fleet.pass(58);
    fleet.tell(0, &[("errors", 1000.0)]);
    assert!(fleet.is_out(0));
}

#[test]
fn samples_that_come_at_once_stand_for_no_more_than_the_time_between() {
    let mut fleet = Fleet::new("busy: processor > 95% for 5m", 20);
    fleet.minutes(1, 0, &[("processor", 10.0)]);
    for _ in 0..10 {
        fleet.pass(1);
        fleet.tell(0, &[("processor", 99.0)]);
    }
    assert!(!fleet.is_out(0));
}
