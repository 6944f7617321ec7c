//! All devices together: who is to be kept out, who is let in, and when it is not the devices.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::view::DeviceHealth;
use super::watch::{Measure, Watch};
use super::{Baseline, Class, Reading, Rules, Sample, SignalName};
use crate::guard::{Guard, detects, permits};
use crate::hold::QuarantineCause;
use crate::ids::DeviceId;
use crate::statistics::Share;
use crate::time::{Span, Timestamp};

/// A device that was not heard for so long is no part of the fleet at the moment: it is not
/// suspicious for its silence any more, and its class is counted without it.
pub const GONE_AFTER: Span = Span::from_secs(24 * 60 * 60);

/// A device teaches at most so often: one that tells more often than others must not outvote them.
const TEACH_EVERY: Span = Span::from_secs(30);
/// As long as so many of a class are anomalous, people are told so again after this time.
const TELL_AGAIN_AFTER: Span = Span::from_secs(60 * 60);
/// More classes and signals than this are not learned: labels are free text.
const MOST_BASELINES: usize = 4096;

/// What holds for all rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The rules.
    pub rules: Rules,
    /// How long a device must be well before it is let in again.
    pub release_after: Span,
    /// The largest part of a class that can be at fault itself at once; one device always can.
    pub max_share: Share,
}

/// What a device is in quarantine for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Confined {
    /// An anomaly, by the rule of this name: it may leave by itself.
    Anomaly(String),
    /// Anything else: a person must let it in.
    Otherwise,
}

impl Confined {
    /// As the cause of the quarantine says.
    pub fn by(cause: &QuarantineCause) -> Self {
        match cause {
            QuarantineCause::Anomaly { rule, .. } => Self::Anomaly(rule.clone()),
            QuarantineCause::Person { .. }
            | QuarantineCause::RetriesExhausted { .. }
            | QuarantineCause::FailsAlike { .. }
            | QuarantineCause::AwaitsApproval { .. }
            | QuarantineCause::SharedKey { .. }
            | QuarantineCause::Revoked { .. }
            | QuarantineCause::Stuck { .. } => Self::Otherwise,
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Put a device into quarantine.
    Quarantine(DeviceId, QuarantineCause),
    /// Let a device in again, which was well for this span.
    LetIn(DeviceId, Span),
    /// Tell people that so many devices are anomalous at once that this one, which fires a rule, is
    /// not put into quarantine, and nobody after it.
    Withhold(DeviceId, QuarantineCause, Withheld),
}

/// So many devices of a class are anomalous at once that it is not the devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Withheld {
    /// The class.
    pub class: Class,
    /// The rule that fires on one of them.
    pub rule: String,
    /// How many are anomalous, or in quarantine since they were.
    pub anomalous: u64,
    /// How many there are.
    pub devices: u64,
}

impl fmt::Display for Withheld {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { class, rule, anomalous, devices } = self;
        write!(
            formatter,
            "not put into quarantine by `{rule}`, since {anomalous} of the {devices} devices of \
             {class} are anomalous"
        )
    }
}

/// What is known of every device.
#[derive(Debug, Clone)]
pub struct Monitor {
    settings: Settings,
    baselines: BTreeMap<(Class, SignalName), Baseline>,
    watches: BTreeMap<DeviceId, Watch>,
    crowds: BTreeMap<Class, Crowd>,
}

/// The devices of a class.
#[derive(Debug, Clone, Default)]
struct Crowd {
    devices: u64,
    anomalous: u64,
    told_at: Option<Timestamp>,
}

impl Crowd {
    fn was_told_lately(&self, now: Timestamp) -> bool {
        self.told_at.is_some_and(|at| now.since(at) < TELL_AGAIN_AFTER)
    }

    /// Whether more are anomalous than can be at fault themselves.
    fn is_anomalous_itself(&self, max_share: Share) -> bool {
        let most = (self.devices as f64 * max_share.as_f64()).floor().max(1.0);
        self.anomalous as f64 > most
    }
}

impl Monitor {
    /// Nothing is known yet.
    pub const fn new(settings: Settings) -> Self {
        Self {
            settings,
            baselines: BTreeMap::new(),
            watches: BTreeMap::new(),
            crowds: BTreeMap::new(),
        }
    }

    /// What holds for all rules.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is normal, as it was learned before.
    pub fn learned(&mut self, class: Class, signal: SignalName, baseline: Baseline) {
        self.baselines.insert((class, signal), baseline);
    }

    /// What was learned of what is normal.
    pub fn baselines(&self) -> impl Iterator<Item = (&Class, &SignalName, &Baseline)> {
        self.baselines.iter().map(|((class, signal), baseline)| (class, signal, baseline))
    }

    /// Whether a device is watched.
    pub fn knows(&self, device: &DeviceId) -> bool {
        self.watches.contains_key(device)
    }

    /// Watches a device, or corrects what is known of its class and quarantine.
    pub fn watch(&mut self, device: &DeviceId, watch: Watch, now: Timestamp) {
        let Watch { class, heard, confined, .. } = &watch;
        if let Some(known) = self.watches.get_mut(device) {
            known.class.clone_from(class);
            known.heard = known.heard.max(*heard);
            let confined = confined.clone();
            self.confine(device, confined, now);
            return;
        }
        let crowd = self.crowds.entry(class.clone()).or_default();
        crowd.devices += 1;
        crowd.anomalous += u64::from(watch.is_anomalous);
        self.watches.insert(device.clone(), watch);
    }

    /// The class of a device, if it is watched.
    pub fn class_of(&self, device: &DeviceId) -> Option<&Class> {
        self.watches.get(device).map(|watch| &watch.class)
    }

    /// A device was heard.
    pub fn heard(&mut self, device: &DeviceId, now: Timestamp) {
        if let Some(watch) = self.watches.get_mut(device) {
            watch.heard = watch.heard.max(now);
        }
    }

    /// A device was put into quarantine, or let in: then it is watched anew, and what it did
    /// before is not held against it a second time.
    pub fn confine(&mut self, device: &DeviceId, confined: Option<Confined>, now: Timestamp) {
        let Some(watch) = self.watches.get_mut(device).filter(|it| it.confined != confined) else {
            return;
        };
        if confined.is_none() {
            watch.forget(now);
        }
        watch.confined = confined;
        watch.healthy_since = None;
    }

    /// Takes in what a device measured, and says what is to be done about it.
    pub fn observe(
        &mut self,
        device: &DeviceId,
        sample: &Sample,
        now: Timestamp,
    ) -> Option<Verdict> {
        let Self { settings, baselines, watches, .. } = self;
        let watch = watches.get_mut(device)?;
        let class = watch.class.clone();
        let normal = |signal: &SignalName| normal(baselines, &class, signal);
        watch.take(sample, Measure { rules: &settings.rules, normal: &normal }, now);
        if may_teach(watch, &settings.rules, now) {
            watch.taught_at = Some(now);
            let values = watch.sample().map(|(_, sample)| sample.values.clone());
            let values = values.unwrap_or_default().into_iter();
            // Names are free text too: only those are learned that somebody asks for.
            for (signal, reading) in values.filter(|(name, _)| settings.rules.mention(name)) {
                teach(baselines, (class.clone(), signal), device, reading, now);
            }
        }
        self.judge(device, now)
    }

    /// People could not be told that devices of a class are withheld: they are to be told again.
    pub fn not_told(&mut self, class: &Class) {
        if let Some(crowd) = self.crowds.get_mut(class) {
            crowd.told_at = None;
        }
    }

    /// What is to be done because time has passed.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Verdict> {
        self.count(now);
        // Of many who are withheld nothing is to be said one by one.
        let is_due = |watch: &Watch| match watch.confined {
            Some(_) => true,
            None => watch.is_anomalous && !self.is_told(&watch.class, now),
        };
        let due = self.watches.iter().filter(|(_, watch)| is_due(watch));
        let due: Vec<DeviceId> = due.map(|(device, _)| device.clone()).collect();
        due.iter().filter_map(|device| self.judge(device, now)).collect()
    }

    /// Whether people know already that devices of a class are withheld.
    fn is_told(&self, class: &Class, now: Timestamp) -> bool {
        let crowd = self.crowds.get(class);
        crowd.is_some_and(|it| {
            it.is_anomalous_itself(self.settings.max_share) && it.was_told_lately(now)
        })
    }

    /// Counts each class, before anybody is judged by its number.
    fn count(&mut self, now: Timestamp) {
        for crowd in self.crowds.values_mut() {
            (crowd.devices, crowd.anomalous) = (0, 0);
        }
        for watch in self.watches.values_mut() {
            let is_gone = watch.is_gone(now);
            let fires = watch.firing(&self.settings.rules, now).is_some();
            watch.is_anomalous = !is_gone && (fires || watch.is_confined_by_rule());
            let crowd = self.crowds.entry(watch.class.clone()).or_default();
            crowd.devices += u64::from(!is_gone);
            crowd.anomalous += u64::from(watch.is_anomalous);
        }
        self.crowds.retain(|_, crowd| crowd.devices > 0 || crowd.told_at.is_some());
    }

    fn judge(&mut self, device: &DeviceId, now: Timestamp) -> Option<Verdict> {
        let Self { settings, baselines, watches, crowds } = self;
        let watch = watches.get_mut(device)?;
        let class = watch.class.clone();
        let normal = |signal: &SignalName| normal(baselines, &class, signal);
        let measure = Measure { rules: &settings.rules, normal: &normal };
        let firing = watch.firing(&settings.rules, now);
        let crowd = crowds.entry(class.clone()).or_default();
        let is_anomalous = firing.is_some() || watch.is_confined_by_rule();
        match (watch.is_anomalous, is_anomalous) {
            (false, true) => crowd.anomalous += 1,
            (true, false) => crowd.anomalous = crowd.anomalous.saturating_sub(1),
            (true, true) | (false, false) => {}
        }
        watch.is_anomalous = is_anomalous;
        let firing = firing.filter(|_| detects(Guard::AnomalyConfines, true));
        let is_withheld = crowd.is_anomalous_itself(settings.max_share);
        match (&watch.confined, firing) {
            (None, Some(rule)) if detects(Guard::AnomalyShare, is_withheld) => {
                if crowd.was_told_lately(now) {
                    return None;
                }
                crowd.told_at = Some(now);
                let (anomalous, devices) = (crowd.anomalous, crowd.devices);
                let cause = watch.cause(rule, measure);
                let rule = rule.name.clone();
                let withheld = Withheld { class, rule, anomalous, devices };
                Some(Verdict::Withhold(device.clone(), cause, withheld))
            }
            (None, Some(rule)) => {
                Some(Verdict::Quarantine(device.clone(), watch.cause(rule, measure)))
            }
            (Some(Confined::Anomaly(rule)), None) if watch.is_well(rule, measure, now) => {
                let since = *watch.healthy_since.get_or_insert(now);
                let healthy_for = now.since(since);
                let is_due = permits(Guard::WellBeforeLetIn, healthy_for >= settings.release_after);
                is_due.then(|| Verdict::LetIn(device.clone(), healthy_for))
            }
            (Some(_), _) | (None, None) => {
                watch.healthy_since = None;
                None
            }
        }
    }

    /// How a device does; none if it is not watched.
    pub fn health(&self, device: &DeviceId, now: Timestamp) -> Option<DeviceHealth> {
        let Self { settings, baselines, watches, crowds } = self;
        let watch = watches.get(device)?;
        let class = &watch.class;
        let lookup = |signal: &SignalName| normal(baselines, class, signal);
        let measure = Measure { rules: &settings.rules, normal: &lookup };
        let sample = watch.sample();
        let signals = sample.map(|(_, sample)| sample.values.clone()).unwrap_or_default();
        let normal = signals.keys().filter_map(|it| Some((it.clone(), lookup(it)?))).collect();
        let is_free = watch.confined.is_none() && watch.firing(&settings.rules, now).is_some();
        let crowd = crowds.get(class);
        Some(DeviceHealth {
            class: class.clone(),
            sampled_at: sample.map(|(at, _)| *at),
            signals,
            normal,
            command_failure: sample.and_then(|(_, sample)| sample.command_failure.clone()),
            rules: watch.rules(measure, now),
            is_withheld: is_free
                && crowd.is_some_and(|crowd| crowd.is_anomalous_itself(settings.max_share)),
            healthy_since: watch.healthy_since,
        })
    }
}

/// Whether what a device measured shows what is normal: only of one that nothing is wrong with.
fn may_teach(watch: &Watch, rules: &Rules, now: Timestamp) -> bool {
    let is_due = watch.taught_at.is_none_or(|at| now.since(at) >= TEACH_EVERY);
    is_due && watch.confined.is_none() && !watch.is_suspicious(rules)
}

fn teach(
    baselines: &mut BTreeMap<(Class, SignalName), Baseline>,
    key: (Class, SignalName),
    device: &DeviceId,
    reading: Reading,
    now: Timestamp,
) {
    if baselines.len() < MOST_BASELINES || baselines.contains_key(&key) {
        baselines.entry(key).or_default().teach(device, reading, now);
    }
}

fn normal(
    baselines: &BTreeMap<(Class, SignalName), Baseline>,
    class: &Class,
    signal: &SignalName,
) -> Option<Reading> {
    baselines.get(&(class.clone(), signal.clone()))?.normal()
}
