//! What a device measures of itself.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::SignalCommandFailure;
use crate::facts::Facts;
use crate::time::Span;

/// The signal of how much of its processors the machine uses, in percent of all of them.
pub const PROCESSOR: &str = "processor";
/// The signal of how much of its memory the machine uses, in percent.
pub const MEMORY: &str = "memory";
/// The signal of how much of the root's volume is free, in percent.
pub const DISK_FREE: &str = "disk_free";

/// The most signals that one sample may hold.
pub const MAX_SIGNALS: usize = 32;

/// The name of a signal, like `processor` or `errors`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SignalName(String);

/// The text names no signal.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "not the name of a signal: `{0}` (expected 1 to 60 of a-z, 0-9, `_`, beginning with a letter)"
)]
pub struct InvalidSignalName(String);

impl SignalName {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one of those that every agent measures in percent.
    pub fn is_percentage(&self) -> bool {
        [PROCESSOR, MEMORY, DISK_FREE].contains(&self.as_str())
    }
}

impl FromStr for SignalName {
    type Err = InvalidSignalName;

    fn from_str(text: &str) -> Result<Self, InvalidSignalName> {
        let is_part = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        let fits = (1..=60).contains(&text.len())
            && text.as_bytes()[0].is_ascii_lowercase()
            && text.bytes().all(is_part);
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidSignalName(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for SignalName {
    type Error = InvalidSignalName;

    fn try_from(text: String) -> Result<Self, InvalidSignalName> {
        text.parse()
    }
}

impl From<SignalName> for String {
    fn from(name: SignalName) -> Self {
        name.0
    }
}

impl fmt::Display for SignalName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// What was measured: a number of at least 0, with a resolution of a thousandth.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "f64", into = "f64")]
pub struct Reading(u64);

/// The number is negative, or none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a signal cannot be {0}: it must be a number of at least 0")]
pub struct InvalidReading(String);

impl Reading {
    /// The largest that there is; what is larger becomes it. Exact in a JSON number.
    const MAX_THOUSANDTHS: u64 = 1 << 50;

    /// So many thousandths.
    pub const fn from_thousandths(thousandths: u64) -> Self {
        let most = Self::MAX_THOUSANDTHS;
        Self(if thousandths < most { thousandths } else { most })
    }

    /// A whole number.
    pub const fn whole(number: u64) -> Self {
        Self::from_thousandths(number.saturating_mul(1000))
    }

    /// In thousandths.
    pub const fn as_thousandths(self) -> u64 {
        self.0
    }
}

impl TryFrom<f64> for Reading {
    type Error = InvalidReading;

    fn try_from(number: f64) -> Result<Self, InvalidReading> {
        if number.is_finite() && number >= 0.0 {
            Ok(Self::from_thousandths((number * 1000.0).round() as u64))
        } else {
            Err(InvalidReading(number.to_string()))
        }
    }
}

impl From<Reading> for f64 {
    fn from(reading: Reading) -> Self {
        reading.0 as Self / 1000.0
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", f64::from(*self))
    }
}

/// What a device measured of itself since it did so the last time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Sample {
    /// The span that it is about, up to the moment at which it is sent: shares and rates are
    /// means over it.
    pub over: Span,
    /// The signals; of more than [`MAX_SIGNALS`] only the first are looked at.
    #[cfg_attr(feature = "schema", schema(value_type = BTreeMap<String, f64>))]
    pub values: BTreeMap<SignalName, Reading>,
    /// Why the command of the device's administrator tells no signals; absent where it does, or
    /// where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_failure: Option<SignalCommandFailure>,
}

/// Devices among which the same is normal: those of one platform and one label `class`. Clones
/// share the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Class(Arc<str>);

impl Class {
    /// The class of a device that tells this of itself.
    pub fn of(facts: &Facts) -> Self {
        match facts.labels.get("class") {
            Some(class) => Self::from(format!("{}/{class}", facts.platform)),
            None => Self::from(facts.platform.to_string()),
        }
    }

    /// As text, like `linux-amd64/ci`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Class {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl From<Class> for String {
    fn from(class: Class) -> Self {
        class.as_str().to_owned()
    }
}

impl fmt::Display for Class {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(feature = "schema")]
crate::string_schema!(Class, "Platform, and label `class` if there is one, like linux-amd64/ci");
#[cfg(feature = "schema")]
crate::string_schema!(SignalName, "Name of a signal, like processor or errors");

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for Reading {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::Number)
            .description(Some("What was measured: at least 0, in thousandths"))
            .into()
    }
}
#[cfg(feature = "schema")]
impl utoipa::ToSchema for Reading {}
