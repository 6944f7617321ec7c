//! Canary against control: whether the devices that have a release do worse than those of their
//! class that don't have it yet.
//!
//! A release can install well, pass its checks, and still make machines slow. So a gate may ask for
//! a comparison of [signals](SignalName): the [`Ledger`] holds what devices measured since they
//! were upgraded, and what the others measured meanwhile; each [`Look`] compares the two by ranks
//! (Mann and Whitney's test, as an interval for Hodges and Lehmann's shift), and the gate decides
//! by the look alone, so that anybody can decide again.
//!
//! One device is one observation: its mean. Samples of one machine resemble each other, and
//! counting them one by one would find differences where there are none.
//!
//! Looking often is paid for: the `k`-th look gets 6/(π²k²) of the chance of error that the gate
//! grants, and its signals share that (Bonferroni), so that all looks together stay within it.

mod ledger;
mod shift;

#[cfg(test)]
mod tests;

use std::f64::consts::PI;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::anomaly::{Reading, SignalName};
use crate::statistics::Share;
use crate::time::Span;

pub use ledger::Ledger;

/// A change counts only if its interval clears so much of the estimated change. Kayenta's
/// `MannWhitneyClassifier` uses the same band.
const BAND: f64 = 0.25;

/// What a gate asks of the signals of upgraded devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// Signals of which more is worse, like `processor`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub higher_is_worse: Vec<SignalName>,
    /// Signals of which less is worse, like `disk_free`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lower_is_worse: Vec<SignalName>,
    /// A change for the worse by more than so much of what is normal fails the gate.
    #[serde(default = "quarter")]
    pub tolerance: Share,
    /// So many devices must have been measured on each side.
    #[serde(default = "eight")]
    pub devices: u32,
    /// Each of them for so long.
    #[serde(default = "five_minutes")]
    pub measure: Span,
}

/// In which direction a signal is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Worse {
    /// More is worse.
    Higher,
    /// Less is worse.
    Lower,
}

/// One look at the signals of upgraded devices and the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Look {
    /// Which look at this ring it is, counted from 1: the later, the more sure it must be.
    pub number: u32,
    /// How many upgraded devices had been measured for long enough.
    pub devices: u32,
    /// Whether it is the last one: the gate waits for nothing else.
    pub is_final: bool,
    /// Whether a person has gone on regardless of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_accepted: bool,
    /// Signal by signal.
    pub comparisons: Vec<Comparison>,
}

/// How a signal differs between upgraded devices and the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Comparison {
    /// The signal.
    pub signal: SignalName,
    /// In which direction it is worse.
    pub worse: Worse,
    /// How many upgraded devices are compared.
    pub upgraded: u32,
    /// With how many of the others.
    pub control: u32,
    /// The median of the others.
    pub normal: Reading,
    /// By how much the upgraded devices differ; absent if too few could be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Interval>,
}

/// The interval that a change lies in, with its estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Interval {
    /// Hodges and Lehmann's estimate: the median of all differences between an upgraded device and
    /// another.
    pub estimate: Difference,
    /// It is at least so much.
    pub low: Difference,
    /// It is at most so much.
    pub high: Difference,
}

/// A difference of two readings, with a resolution of a thousandth.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(from = "f64", into = "f64")]
pub struct Difference(i64);

/// What a look says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It is shown that upgraded devices are not worse by more than is tolerated.
    Fine,
    /// It is shown that they are.
    Worse,
    /// Neither is shown.
    Unclear,
}

impl Default for Canary {
    /// No signals yet; for each that is named, what holds where nothing else is said.
    fn default() -> Self {
        Self {
            higher_is_worse: Vec::new(),
            lower_is_worse: Vec::new(),
            tolerance: quarter(),
            devices: eight(),
            measure: five_minutes(),
        }
    }
}

impl Canary {
    /// Every signal that is compared, and in which direction it is worse.
    pub fn signals(&self) -> impl Iterator<Item = (&SignalName, Worse)> {
        let higher = self.higher_is_worse.iter().map(|signal| (signal, Worse::Higher));
        higher.chain(self.lower_is_worse.iter().map(|signal| (signal, Worse::Lower)))
    }

    /// How unsure one comparison of the look of this number may be.
    fn error_of(&self, confidence: Share, number: u32) -> f64 {
        let granted = 1.0 - confidence.as_f64();
        let number = f64::from(number);
        granted * 6.0 / (PI * PI * number * number) / self.signals().count().max(1) as f64
    }
}

impl Look {
    /// What it says by this rule.
    pub fn judge(&self, canary: &Canary) -> Judgement {
        let mut judgements = self.comparisons.iter().map(|it| it.judge(canary.tolerance));
        if judgements.clone().any(|it| it == Judgement::Worse) {
            return Judgement::Worse;
        }
        let is_fine = judgements.len() > 0 && judgements.all(|it| it == Judgement::Fine);
        if is_fine { Judgement::Fine } else { Judgement::Unclear }
    }

    /// The first comparison that is judged so.
    pub fn first(&self, canary: &Canary, judgement: Judgement) -> Option<&Comparison> {
        self.comparisons.iter().find(|it| it.judge(canary.tolerance) == judgement)
    }
}

impl Comparison {
    /// What it says, where so much of what is normal is tolerated.
    pub fn judge(&self, tolerance: Share) -> Judgement {
        let Some(Interval { estimate, low, high }) = self.change else { return Judgement::Unclear };
        let (estimate, low, high) = match self.worse {
            Worse::Higher => (estimate.as_f64(), low.as_f64(), high.as_f64()),
            Worse::Lower => (-estimate.as_f64(), -high.as_f64(), -low.as_f64()),
        };
        let tolerated = f64::from(self.normal) * tolerance.as_f64();
        if low > BAND * estimate.abs() && estimate > tolerated {
            Judgement::Worse
        } else if high <= tolerated {
            Judgement::Fine
        } else {
            Judgement::Unclear
        }
    }
}

impl Difference {
    /// As a number.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl From<f64> for Difference {
    fn from(number: f64) -> Self {
        Self((number * 1000.0).round() as i64)
    }
}

impl From<Difference> for f64 {
    fn from(difference: Difference) -> Self {
        difference.as_f64()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:+}", self.as_f64())
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { signal, upgraded, control, normal, change, .. } = self;
        write!(f, "{signal} on {upgraded} devices against {control} without the release")?;
        match change {
            Some(Interval { estimate, low, high }) => {
                write!(f, ": {estimate} ({low} to {high}), where {normal} is normal")
            }
            None => f.write_str(": too few to compare"),
        }
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "look {}", self.number)?;
        for comparison in &self.comparisons {
            write!(f, "; {comparison}")?;
        }
        if self.is_accepted { f.write_str("; accepted by a person") } else { Ok(()) }
    }
}

const fn quarter() -> Share {
    Share::P25
}

const fn eight() -> u32 {
    8
}

const fn five_minutes() -> Span {
    Span::from_secs(5 * 60)
}

#[cfg(feature = "schema")]
mod schema {
    use utoipa::openapi::schema::{ObjectBuilder, Type};
    use utoipa::openapi::{RefOr, Schema};
    use utoipa::{PartialSchema, ToSchema};

    use super::Difference;

    impl PartialSchema for Difference {
        fn schema() -> RefOr<Schema> {
            ObjectBuilder::new()
                .schema_type(Type::Number)
                .description(Some("A difference of two readings, in thousandths"))
                .into()
        }
    }

    impl ToSchema for Difference {}
}
