//! What is known of one device, and how the conditions of the rules stand on it.

use serde::{Deserialize, Serialize};

use super::monitor::{Confined, GONE_AFTER};
use super::view::{ConditionView, Finding, RuleView, Standing};
use super::{
    Class, Condition, Level, Limit, MAX_SIGNALS, Reading, Rule, Rules, Sample,
    SignalCommandFailure, SignalName,
};
use crate::hold::QuarantineCause;
use crate::time::{Span, Timestamp};

/// A device that was heard, but has told no signals for so long, has no signals; and one sample
/// stands for no longer span.
pub const MAX_GAP: Span = Span::from_secs(5 * 60);
/// How late a sample may be.
const LATENESS: Span = Span::from_secs(30);

/// What is known of a device. It grows with the number of rules and signals only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The devices that it is compared with.
    pub class: Class,
    /// When it was heard the last time.
    pub heard: Timestamp,
    /// Whether it is in quarantine, and what for.
    pub confined: Option<Confined>,
    /// Whether a rule fires, or it is in quarantine because one did, as its class counts it.
    pub(super) is_anomalous: bool,
    /// Since when it is well.
    pub(super) healthy_since: Option<Timestamp>,
    /// When it taught what is normal the last time.
    pub(super) taught_at: Option<Timestamp>,
    /// What happened before counts no more.
    begin: Option<Timestamp>,
    sample: Option<(Timestamp, Sample)>,
    /// For each condition of all rules, in their order: since when it holds in every sample.
    since: Vec<Option<Timestamp>>,
}

/// The rules, and what is normal for the class of a device.
#[derive(Clone, Copy)]
pub(super) struct Measure<'a> {
    pub rules: &'a Rules,
    pub normal: &'a dyn Fn(&SignalName) -> Option<Reading>,
}

impl Watch {
    /// A device of which nothing is known yet.
    pub const fn new(class: Class, heard: Timestamp, confined: Option<Confined>) -> Self {
        Self {
            class,
            heard,
            is_anomalous: matches!(confined, Some(Confined::Anomaly(_))),
            confined,
            healthy_since: None,
            taught_at: None,
            begin: None,
            sample: None,
            since: Vec::new(),
        }
    }

    /// It is watched anew from here on.
    pub(super) fn forget(&mut self, now: Timestamp) {
        self.begin = Some(now);
        self.since.clear();
        self.healthy_since = None;
    }

    /// Takes in a sample.
    pub(super) fn take(&mut self, sample: &Sample, measure: Measure<'_>, now: Timestamp) {
        let over = sample.over.min(MAX_GAP);
        let mut sample = sample.clone();
        sample.command_failure = sample.command_failure.map(SignalCommandFailure::bounded);
        while sample.values.len() > MAX_SIGNALS {
            sample.values.pop_last();
        }
        let mut begin = now - over;
        // A clock that was put back makes no future: then it begins anew.
        let last = self.sample.as_ref().map(|(at, _)| *at).filter(|at| *at <= now);
        // One lost sample is forgiven; more leave a time of which nobody knows anything.
        let is_interrupted =
            last.is_none_or(|last| begin.since(last) > over.saturating_add(LATENESS));
        // Its span is the device's measure. The times of arrival, from which it seems shorter where
        // the sample before was late, only keep it from reaching far into that one.
        let earliest = last.map(|last| last - LATENESS);
        let from = self.begin.filter(|at| *at <= now);
        begin = begin.max(from.unwrap_or(begin)).max(earliest.unwrap_or(begin));
        let since = measure.rules.conditions().enumerate().map(|(at, condition)| {
            let holds = match condition {
                Condition::Silent(_) => false,
                Condition::Beyond { signal, limit, .. } => {
                    let reading = sample.values.get(signal).copied();
                    stands(signal, *limit, reading, measure) == Standing::Holds
                }
            };
            let before = self.since.get(at).copied().flatten().filter(|_| !is_interrupted);
            holds.then(|| before.unwrap_or(begin))
        });
        self.since = since.collect();
        self.sample = Some((now, sample));
        self.heard = now;
    }

    /// The sample, unless the device was heard without one for long.
    pub(super) fn sample(&self) -> Option<&(Timestamp, Sample)> {
        self.sample.as_ref().filter(|(at, _)| self.heard.since(*at) <= MAX_GAP)
    }

    /// Whether it is in quarantine for an anomaly. Drained, it may fire no more: it counts all the
    /// same until it is let in, or one after the other would take out the whole class.
    pub(super) const fn is_confined_by_rule(&self) -> bool {
        matches!(self.confined, Some(Confined::Anomaly(_)))
    }

    /// For how long it was not heard.
    fn silence(&self, now: Timestamp) -> Span {
        now.since(self.heard)
    }

    /// Whether it was not heard for so long that it belongs to no fleet at the moment.
    pub(super) fn is_gone(&self, now: Timestamp) -> bool {
        self.silence(now) >= GONE_AFTER
    }

    /// The first rule whose conditions all hold, each for its span.
    pub(super) fn firing<'a>(&self, rules: &'a Rules, now: Timestamp) -> Option<&'a Rule> {
        let mut numbered = numbered(rules);
        numbered.find(|(first, rule)| self.fires(*first, rule, now)).map(|(_, rule)| rule)
    }

    fn fires(&self, first: usize, rule: &Rule, now: Timestamp) -> bool {
        let mut conditions = rule.conditions.iter().zip(first..);
        let is_here = !self.is_gone(now);
        is_here
            && conditions.all(|(condition, at)| match condition {
                Condition::Silent(span) => self.silence(now) >= *span,
                Condition::Beyond { span, .. } => self.held(at).is_some_and(|held| held >= *span),
            })
    }

    /// For how long a condition held up to the latest sample.
    fn held(&self, at: usize) -> Option<Span> {
        let (sampled_at, _) = self.sample()?;
        let since = self.since.get(at).copied().flatten()?;
        Some(sampled_at.since(since))
    }

    /// Whether some rule's conditions all hold in the latest sample, however long.
    pub(super) fn is_suspicious(&self, rules: &Rules) -> bool {
        numbered(rules).any(|(first, rule)| {
            let mut at = first..first + rule.conditions.len();
            at.all(|at| self.since.get(at).copied().flatten().is_some())
        })
    }

    /// Whether every condition of a rule is known to be healthy, and no rule fires.
    pub(super) fn is_well(&self, rule: &str, measure: Measure<'_>, now: Timestamp) -> bool {
        let rules = measure.rules;
        let conditions = rules.iter().filter(|it| it.name == rule).flat_map(|it| &it.conditions);
        let mut standings = conditions.map(|condition| self.standing(condition, measure, now));
        self.silence(now) <= MAX_GAP
            && standings.all(|standing| standing == Standing::Healthy)
            && self.firing(rules, now).is_none()
    }

    fn standing(&self, condition: &Condition, measure: Measure<'_>, now: Timestamp) -> Standing {
        match condition {
            Condition::Silent(span) => {
                let silence = self.silence(now).as_millis();
                match span.as_millis() {
                    span if silence >= span => Standing::Holds,
                    span if silence * 2 >= span => Standing::Between,
                    _ => Standing::Healthy,
                }
            }
            Condition::Beyond { signal, limit, .. } => {
                let reading = self.reading(signal);
                stands(signal, *limit, reading, measure)
            }
        }
    }

    fn reading(&self, signal: &SignalName) -> Option<Reading> {
        self.sample()?.1.values.get(signal).copied()
    }

    /// What it is put into quarantine for, where a rule fires.
    pub(super) fn cause(&self, rule: &Rule, measure: Measure<'_>) -> QuarantineCause {
        let evidence = self.findings(rule, measure);
        QuarantineCause::Anomaly { rule: rule.name.clone(), evidence }
    }

    /// The evidence that a rule fires.
    fn findings(&self, rule: &Rule, measure: Measure<'_>) -> Vec<Finding> {
        let first = numbered(measure.rules).find(|(_, it)| it.name == rule.name);
        let first = first.map_or(0, |(first, _)| first);
        let finding = |(condition, at): (&Condition, usize)| {
            let (reading, limit) = match condition {
                Condition::Silent(_) => (None, None),
                Condition::Beyond { signal, limit, .. } => {
                    (self.reading(signal), level(*limit, signal, measure))
                }
            };
            let since = match condition {
                Condition::Silent(_) => self.heard,
                Condition::Beyond { .. } => {
                    self.since.get(at).copied().flatten().unwrap_or(self.heard)
                }
            };
            Finding { condition: condition.to_string(), reading, limit, since }
        };
        rule.conditions.iter().zip(first..).map(finding).collect()
    }

    /// Where it stands with each rule.
    pub(super) fn rules(&self, measure: Measure<'_>, now: Timestamp) -> Vec<RuleView> {
        let view = |(first, rule): (usize, &Rule)| {
            let condition = |(condition, at): (&Condition, usize)| ConditionView {
                condition: condition.to_string(),
                standing: self.standing(condition, measure, now),
                since: self.since.get(at).copied().flatten(),
            };
            RuleView {
                rule: rule.name.clone(),
                fires: self.fires(first, rule, now),
                conditions: rule.conditions.iter().zip(first..).map(condition).collect(),
            }
        };
        numbered(measure.rules).map(view).collect()
    }
}

/// Each rule with the number of its first condition among all.
fn numbered(rules: &Rules) -> impl Iterator<Item = (usize, &Rule)> {
    rules.iter().scan(0, |next, rule| {
        let first = *next;
        *next += rule.conditions.len();
        Some((first, rule))
    })
}

/// What a signal is compared with; none while what is normal is not known.
fn level(limit: Limit, signal: &SignalName, measure: Measure<'_>) -> Option<Reading> {
    let (Limit::Above(level) | Limit::Below(level)) = limit;
    match level {
        Level::Fixed(reading, _) => Some(reading),
        Level::Baseline(factor) => {
            // Ten times nothing would be nothing: what is normal counts as one at least.
            let normal = (measure.normal)(signal)?.max(Reading::whole(1));
            let product = u128::from(normal.as_thousandths()) * u128::from(factor.as_thousandths());
            let thousandths = u64::try_from(product / 1000).unwrap_or(u64::MAX);
            Some(Reading::from_thousandths(thousandths))
        }
    }
}

/// How a limit stands. To be healthy takes a margin of a tenth, so that a device at the limit does
/// not go in and out.
fn stands(
    signal: &SignalName,
    limit: Limit,
    reading: Option<Reading>,
    measure: Measure<'_>,
) -> Standing {
    let (Some(reading), Some(level)) = (reading, level(limit, signal, measure)) else {
        return Standing::Unknown;
    };
    let (reading, level) = (reading.as_thousandths(), level.as_thousandths());
    let most = if signal.is_percentage() { 100_000 } else { u64::MAX };
    let (holds, is_healthy) = match limit {
        Limit::Above(_) => (reading > level, reading <= level - level / 10),
        Limit::Below(_) => (reading < level, reading >= (level + level / 10).min(most)),
    };
    match (holds, is_healthy) {
        (true, _) => Standing::Holds,
        (false, true) => Standing::Healthy,
        (false, false) => Standing::Between,
    }
}
