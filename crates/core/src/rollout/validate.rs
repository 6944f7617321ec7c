//! Every mistake in a rollout's specification, found at once and said in words.

use std::collections::BTreeSet;
use std::fmt;

use thiserror::Error;

use super::{RingSize, RolloutSpec};
use crate::anomaly::MAX_SIGNALS;
use crate::canary::Canary;
use crate::ids::CollectionName;
use crate::offer::{LONGEST_NOTICE, Publish};
use crate::selector::{Selector, SelectorError};
use crate::time::Span;

/// Percentages are written by people with at most a few decimals: closer than this is equal.
const PERCENT_TOLERANCE: f64 = 1e-6;
/// Fewer devices on a side can't show anything by their ranks.
const FEWEST_COMPARED: u32 = 5;
/// Nobody asks for longer than that.
const LONGEST_DEADLINE: Span = Span::from_secs(366 * 24 * 3600);

/// A specification with mistakes, all of them.
#[derive(Debug, Clone, PartialEq, Error)]
pub struct InvalidSpec {
    /// At least one.
    pub mistakes: Vec<Mistake>,
}

impl fmt::Display for InvalidSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the rollout cannot be planned as it is written:")?;
        self.mistakes.iter().try_for_each(|mistake| {
            let text = mistake.to_string().replace('\n', "\n  ");
            write!(formatter, "\n- {text}")
        })
    }
}

/// A mistake in a specification.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum Mistake {
    /// No name.
    #[error("`name` is empty")]
    NoName,
    /// The name is too long to be shown.
    #[error("`name` is longer than 100 characters")]
    LongName,
    /// No version, or one with the prefix `go`.
    #[error("`version` must be a version like 1.27.3, not `{0}`")]
    Version(String),
    /// No ring.
    #[error("there are no rings: a rollout needs at least one, like `rest: true`")]
    NoRings,
    /// A ring without a name.
    #[error("ring {0} has no name")]
    UnnamedRing(usize),
    /// Two rings of one name.
    #[error("two rings are called `{0}`")]
    DuplicateRing(String),
    /// `count: 0`.
    #[error("ring `{0}` has a count of 0: it would be empty")]
    EmptyCount(String),
    /// A percentage that is none.
    #[error("ring `{ring}` has {percent}%: a percentage is more than 0 and at most 100")]
    Percent {
        /// The ring.
        ring: String,
        /// What was given.
        percent: f64,
    },
    /// Percentages over 100 in all.
    #[error("the percentages of the rings add up to {0}, which is more than 100")]
    PercentOver(f64),
    /// Percentages under 100 in all, and no ring takes the rest.
    #[error(
        "the percentages of the rings add up to {0}, not to 100: raise them, or end with a ring \
         of `rest: true`"
    )]
    PercentUnder(f64),
    /// A ring after the one that takes all.
    #[error("ring `{0}` takes the rest, so it must be the last one")]
    RestNotLast(String),
    /// The rollout's selector.
    #[error("`devices` is not a selector: {0}")]
    Devices(SelectorError),
    /// A ring's selector.
    #[error("ring `{ring}`: `select` is not a selector: {error}")]
    Select {
        /// The ring.
        ring: String,
        /// What is wrong.
        error: SelectorError,
    },
    /// `min_successes: 0`.
    #[error("{0} asks for 0 successes: it would pass without evidence")]
    NoSuccesses(String),
    /// A gate that a ring of this count can never pass.
    #[error("ring `{ring}` has {count} devices, but its gate asks for {min} successes")]
    GateOverCount {
        /// The ring.
        ring: String,
        /// Its devices.
        count: u32,
        /// What its gate asks for.
        min: u32,
    },
    /// A canary that compares nothing, or more than a sample can hold.
    #[error(
        "the canary of {0} names {1} signals: name 1 to {MAX_SIGNALS} under `higher_is_worse` or \
         `lower_is_worse`, like `processor`"
    )]
    CanarySignals(String, usize),
    /// A canary that would decide by next to nothing.
    #[error("the canary of {0} asks for {1} devices: fewer than 5 on a side show nothing")]
    CanaryDevices(String, u32),
    /// A canary that measures for no time.
    #[error("the canary of {0}: `measure` is 0s: devices need time to be measured")]
    CanaryMeasure(String),
    /// A canary of the last ring.
    #[error(
        "{0} asks for a canary, but no later ring is left to compare with: add a ring, or leave \
         `canary` out"
    )]
    CanaryLast(String),
    /// A first ring that its canary can never be content with.
    #[error(
        "ring `{ring}` has {count} devices, but its canary compares {devices}: make the ring larger"
    )]
    CanaryOverCount {
        /// The ring.
        ring: String,
        /// Its devices.
        count: u32,
        /// What its canary compares.
        devices: u32,
    },
    /// A rehearsal in another ring than the first.
    #[error("ring `{0}` cannot rehearse: that is for the first ring, before others rely on it")]
    RehearsalNotFirst(String),
    /// A rehearsal that would ask users twice.
    #[error("ring `{0}` cannot rehearse in a published rollout: its users would be asked twice")]
    RehearsalPublished(String),
    /// A rehearsal that says nothing of a failure rate.
    #[error(
        "ring `{0}` rehearses, so its gate counts second upgrades, and they show no failure rate: \
         give the ring a gate of its own, with `max_failures`"
    )]
    RehearsalRate(String),
    /// A window without a stretch: nothing would ever be activated.
    #[error("`window` has nothing in `open`: it would never open")]
    NeverOpen,
    /// A span of what is published that would leave nobody the time to answer.
    #[error("`publish`: `{0}` is 0s: users need time to answer")]
    NoTimeToAnswer(&'static str),
    /// A postponement that the deadline never lets be.
    #[error(
        "`publish`: `postpone` is for {at_most}, but the deadline is after {deadline}: postpone for \
         less, or set a later deadline"
    )]
    PostponedBeyondDeadline {
        /// How long it may be postponed.
        at_most: Span,
        /// When the deadline is.
        deadline: Span,
    },
    /// A deadline that no calendar has.
    #[error("`publish`: the deadline is after {0}, which is more than a year")]
    FarDeadline(Span),
    /// A note for users that can't be shown.
    #[error(
        "`publish`: `notice` is longer than {LONGEST_NOTICE} characters, or has control characters"
    )]
    UnfitNotice,
    /// A span that would count every order as failed at once.
    #[error("`{0}` is 0s: a device needs time to answer")]
    NoTime(&'static str),
}

/// Finds every mistake in a specification, which may ask for these collections only.
///
/// # Errors
///
/// [`InvalidSpec`] with all of them.
pub fn validate(spec: &RolloutSpec, collections: &[CollectionName]) -> Result<(), InvalidSpec> {
    let mut mistakes = Vec::new();
    check_head(spec, collections, &mut mistakes);
    check_names(spec, &mut mistakes);
    check_sizes(spec, collections, &mut mistakes);
    check_percentages(spec, &mut mistakes);
    check_gates(spec, &mut mistakes);
    check_canaries(spec, &mut mistakes);
    check_rehearsals(spec, &mut mistakes);
    if let Some(publish) = &spec.publish {
        check_publish(publish, &mut mistakes);
    }
    if mistakes.is_empty() { Ok(()) } else { Err(InvalidSpec { mistakes }) }
}

fn check_head(spec: &RolloutSpec, collections: &[CollectionName], mistakes: &mut Vec<Mistake>) {
    if spec.name.trim().is_empty() {
        mistakes.push(Mistake::NoName);
    }
    if spec.name.chars().count() > 100 {
        mistakes.push(Mistake::LongName);
    }
    if !spec.version.starts_with(|first: char| first.is_ascii_digit()) {
        mistakes.push(Mistake::Version(spec.version.clone()));
    }
    let devices = Selector::parse_among(&spec.devices, collections);
    mistakes.extend(devices.err().map(Mistake::Devices));
    for (span, name) in
        [(spec.silence_after, "silence_after"), (spec.offline_after, "offline_after")]
    {
        if span.as_millis() == 0 {
            mistakes.push(Mistake::NoTime(name));
        }
    }
    if spec.window.as_ref().is_some_and(|window| window.open.is_empty()) {
        mistakes.push(Mistake::NeverOpen);
    }
    if spec.rings.is_empty() {
        mistakes.push(Mistake::NoRings);
    }
}

fn check_names(spec: &RolloutSpec, mistakes: &mut Vec<Mistake>) {
    let mut seen = BTreeSet::new();
    for (place, ring) in spec.rings.iter().enumerate() {
        if ring.name.trim().is_empty() {
            mistakes.push(Mistake::UnnamedRing(place + 1));
        } else if !seen.insert(&ring.name) {
            mistakes.push(Mistake::DuplicateRing(ring.name.clone()));
        }
    }
}

fn check_sizes(spec: &RolloutSpec, collections: &[CollectionName], mistakes: &mut Vec<Mistake>) {
    let last = spec.rings.len().saturating_sub(1);
    for (place, ring) in spec.rings.iter().enumerate() {
        let name = ring.name.clone();
        match &ring.size {
            RingSize::Count(0) => mistakes.push(Mistake::EmptyCount(name)),
            RingSize::Count(_) => {}
            RingSize::Percent(percent) => {
                if !(*percent > 0.0 && *percent <= 100.0) {
                    mistakes.push(Mistake::Percent { ring: name, percent: *percent });
                }
            }
            RingSize::Select(selector) => {
                let error = Selector::parse_among(selector, collections).err();
                mistakes.extend(error.map(|error| Mistake::Select { ring: name, error }));
            }
            RingSize::Rest if place != last => mistakes.push(Mistake::RestNotLast(name)),
            RingSize::Rest => {}
        }
    }
}

fn check_percentages(spec: &RolloutSpec, mistakes: &mut Vec<Mistake>) {
    let percentages: Vec<f64> = spec
        .rings
        .iter()
        .filter_map(|ring| match ring.size {
            RingSize::Percent(percent) => Some(percent),
            RingSize::Count(_) | RingSize::Select(_) | RingSize::Rest => None,
        })
        .collect();
    let has_rest = spec.rings.iter().any(|ring| ring.size == RingSize::Rest);
    // Rounded for the message: 0.1 + 0.2 is not 0.30000000000000004 to a person.
    let sum = (percentages.iter().sum::<f64>() * 1e6).round() / 1e6;
    if sum > 100.0 + PERCENT_TOLERANCE {
        mistakes.push(Mistake::PercentOver(sum));
    } else if !percentages.is_empty() && !has_rest && sum < 100.0 - PERCENT_TOLERANCE {
        mistakes.push(Mistake::PercentUnder(sum));
    }
}

fn check_publish(publish: &Publish, mistakes: &mut Vec<Mistake>) {
    let Publish { deadline, postpone, remind, notice, accept_opens_window: _ } = publish;
    let spans = [(*deadline, "deadline"), (*remind, "remind")];
    let postpones = (postpone.times > 0).then_some((postpone.at_most, "postpone: for"));
    for (span, name) in spans.into_iter().chain(postpones) {
        if span == Span::ZERO {
            mistakes.push(Mistake::NoTimeToAnswer(name));
        }
    }
    let (deadline, at_most) = (*deadline, postpone.at_most);
    if deadline > LONGEST_DEADLINE {
        mistakes.push(Mistake::FarDeadline(deadline));
    }
    if postpone.times > 0 && deadline != Span::ZERO && at_most > deadline {
        mistakes.push(Mistake::PostponedBeyondDeadline { at_most, deadline });
    }
    if notice.chars().count() > LONGEST_NOTICE || notice.contains(char::is_control) {
        mistakes.push(Mistake::UnfitNotice);
    }
}

fn check_rehearsals(spec: &RolloutSpec, mistakes: &mut Vec<Mistake>) {
    for (place, ring) in spec.rings.iter().enumerate().filter(|(_, ring)| ring.rehearse) {
        let gate = ring.gate.as_ref().unwrap_or(&spec.gate);
        if place > 0 {
            mistakes.push(Mistake::RehearsalNotFirst(ring.name.clone()));
        }
        if spec.publish.is_some() {
            mistakes.push(Mistake::RehearsalPublished(ring.name.clone()));
        }
        if gate.max_failure_rate.is_some() {
            mistakes.push(Mistake::RehearsalRate(ring.name.clone()));
        }
    }
}

fn check_gates(spec: &RolloutSpec, mistakes: &mut Vec<Mistake>) {
    if spec.gate.min_successes == Some(0) {
        mistakes.push(Mistake::NoSuccesses("the rollout's gate".to_owned()));
    }
    for ring in &spec.rings {
        let own = ring.gate.as_ref().and_then(|gate| gate.min_successes);
        if own == Some(0) {
            mistakes.push(Mistake::NoSuccesses(format!("the gate of ring `{}`", ring.name)));
        }
        if let (RingSize::Count(count @ 1..), Some(min)) = (&ring.size, own)
            && min > *count
        {
            let (ring, count) = (ring.name.clone(), *count);
            mistakes.push(Mistake::GateOverCount { ring, count, min });
        }
    }
}

fn check_canaries(spec: &RolloutSpec, mistakes: &mut Vec<Mistake>) {
    let last = spec.rings.len().saturating_sub(1);
    let of_rollout = spec.gate.canary.as_ref().map(|it| ("the rollout's gate".to_owned(), it));
    if let Some((name, canary)) = of_rollout {
        check_canary(&name, canary, mistakes);
        if last == 0 {
            mistakes.push(Mistake::CanaryLast(name));
        }
    }
    for (place, ring) in spec.rings.iter().enumerate() {
        let Some(canary) = ring.gate.as_ref().and_then(|gate| gate.canary.as_ref()) else {
            continue;
        };
        let name = format!("the gate of ring `{}`", ring.name);
        check_canary(&name, canary, mistakes);
        if place == last {
            mistakes.push(Mistake::CanaryLast(name));
        }
    }
    if let Some(first) = spec.rings.first().filter(|_| last > 0)
        && let Some(canary) = &first.gate.as_ref().unwrap_or(&spec.gate).canary
        && let RingSize::Count(count) = first.size
        && (1..canary.devices).contains(&count)
    {
        let (ring, devices) = (first.name.clone(), canary.devices);
        mistakes.push(Mistake::CanaryOverCount { ring, count, devices });
    }
}

fn check_canary(name: &str, canary: &Canary, mistakes: &mut Vec<Mistake>) {
    let signals = canary.signals().count();
    if !(1..=MAX_SIGNALS).contains(&signals) {
        mistakes.push(Mistake::CanarySignals(name.to_owned(), signals));
    }
    if canary.devices < FEWEST_COMPARED {
        mistakes.push(Mistake::CanaryDevices(name.to_owned(), canary.devices));
    }
    if canary.measure == Span::ZERO {
        mistakes.push(Mistake::CanaryMeasure(name.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str, expect: &[&str]) {
        let spec: RolloutSpec = serde_saphyr::from_str(yaml).unwrap();
        let mistakes = validate(&spec, &[]).err().map(|error| error.mistakes).unwrap_or_default();
        let texts: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), expect.len(), "{yaml}: {texts:#?}");
        for (text, expect) in texts.iter().zip(expect) {
            assert!(text.contains(expect), "{text} does not say: {expect}");
        }
    }

    #[test]
    fn good_specifications_pass() {
        for rings in [
            "[{name: all, rest: true}]",
            "[{name: a, percent: 10}, {name: b, percent: 90}]",
            "[{name: a, percent: 33.3}, {name: b, percent: 33.3}, {name: c, percent: 33.4}]",
            "[{name: a, count: 1}, {name: b, percent: 25}, {name: c, rest: true}]",
            "[{name: a, select: 'label.ring = \"test\"'}, {name: c, rest: true}]",
        ] {
            check(&format!("{{name: r, version: 1.27.3, rings: {rings}}}"), &[]);
        }
    }

    #[test]
    fn percentages_that_do_not_add_up() {
        let check_rings = |rings: &str, expect| {
            check(&format!("{{name: r, version: 1.2.3, rings: {rings}}}"), expect);
        };
        check_rings("[{name: a, percent: 10}, {name: b, percent: 80}]", &["add up to 90, not to"]);
        check_rings("[{name: a, percent: 60}, {name: b, percent: 60}]", &["add up to 120"]);
        check_rings(
            "[{name: a, percent: 60}, {name: b, percent: 60}, {name: c, rest: true}]",
            &["add up to 120"],
        );
        check_rings("[{name: a, percent: -5}, {name: b, rest: true}]", &["`a` has -5%"]);
        check_rings("[{name: a, percent: .nan}, {name: b, rest: true}]", &["`a` has NaN%"]);
    }

    #[test]
    fn every_mistake_is_found_at_once() {
        check(
            "{name: ' ', version: go1.27.3, devices: 'oss = \"linux\"', silence_after: 0s, \
             gate: {min_successes: 0}, window: {open: []}, rings: [{name: a, rest: true}, {name: a, count: 0}, \
             {name: '', select: 'os ='}, {name: d, count: 2, gate: {min_successes: 3}}]}",
            &[
                "`name` is empty",
                "not `go1.27.3`",
                "unknown field `oss`",
                "`silence_after` is 0s",
                "it would never open",
                "two rings are called `a`",
                "ring 3 has no name",
                "ring `a` takes the rest",
                "ring `a` has a count of 0",
                "`select` is not a selector",
                "asks for 0 successes",
                "ring `d` has 2 devices",
            ],
        );
        check("{name: r, version: 1.27.3, rings: []}", &["there are no rings"]);
    }

    #[test]
    fn a_canary_can_be_contented() {
        let check_canary = |canary: &str, rings: &str, expect| {
            let gate = format!("gate: {{canary: {canary}}}");
            check(&format!("{{name: r, version: 1.2.3, {gate}, rings: {rings}}}"), expect);
        };
        let rings = "[{name: a, count: 8}, {name: b, rest: true}]";
        check_canary("{higher_is_worse: [processor]}", rings, &[]);
        check_canary("{}", rings, &["names 0 signals"]);
        check_canary(
            "{lower_is_worse: [disk_free], devices: 4, measure: 0s}",
            rings,
            &["4 devices: fewer than 5", "`measure` is 0s"],
        );
        let (signal, one) = ("{higher_is_worse: [errors]}", "[{name: a, rest: true}]");
        check_canary(signal, one, &["the rollout's gate asks for a canary, but no later ring"]);
        let small = "[{name: a, count: 7}, {name: b, rest: true}]";
        check_canary(signal, small, &["ring `a` has 7 devices, but its canary compares 8"]);
        let last = "[{name: a, count: 9}, {name: b, rest: true, gate: {canary: {higher_is_worse: [errors]}}}]";
        check_canary(signal, last, &["the gate of ring `b` asks for a canary"]);
    }

    #[test]
    fn what_is_published_leaves_users_time() {
        let check_publish = |publish: &str, expect| {
            check(
                &format!(
                    "{{name: r, version: 1.27.3, rings: [{{name: a, rest: true}}], publish: {publish}}}"
                ),
                expect,
            );
        };
        check_publish("{deadline: 7d}", &[]);
        check_publish("{deadline: 7d, postpone: {times: 3, for: 4h}, notice: 'Save first.'}", &[]);
        check_publish("{deadline: 1h, postpone: {times: 0, for: 4h}}", &[]);
        check_publish("{deadline: 0s, remind: 0s}", &["`deadline` is 0s", "`remind` is 0s"]);
        check_publish("{deadline: 1d, postpone: {times: 1, for: 0s}}", &["`postpone: for` is 0s"]);
        check_publish("{deadline: 1h}", &["`postpone` is for 4h, but the deadline is after 1h"]);
        check_publish("{deadline: 10000d}", &["more than a year"]);
        check_publish("{deadline: 1d, notice: \"a\\nb\"}", &["control characters"]);
        let long = "x".repeat(501);
        check_publish(&format!("{{deadline: 1d, notice: {long}}}"), &["longer than 500"]);
    }
}
