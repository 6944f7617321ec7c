//! What is known of how a device does, for those who look.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Class, Reading, SignalCommandFailure, SignalName};
use crate::time::Timestamp;

/// One condition that held, as the evidence for a quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Finding {
    /// The condition, like `processor > 95% for 5m`.
    pub condition: String,
    /// What was measured the last time; absent: nothing, since the device is silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
    /// What it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Reading>,
    /// Since when it holds.
    pub since: Timestamp,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { condition, reading, limit, since } = self;
        write!(formatter, "{condition}")?;
        match (reading, limit) {
            (Some(reading), Some(limit)) => {
                write!(formatter, " ({reading} against {limit}, since {since})")
            }
            _ => write!(formatter, " (since {since})"),
        }
    }
}

/// How a device does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DeviceHealth {
    /// The devices that it is compared with.
    pub class: Class,
    /// When it told its signals the last time; absent: never since the server was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled_at: Option<Timestamp>,
    /// The signals that it told then.
    #[cfg_attr(feature = "schema", schema(value_type = BTreeMap<String, f64>))]
    pub signals: BTreeMap<SignalName, Reading>,
    /// What is normal for its class, as far as it is known.
    #[cfg_attr(feature = "schema", schema(value_type = BTreeMap<String, f64>))]
    pub normal: BTreeMap<SignalName, Reading>,
    /// Why the command of its administrator tells no signals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_failure: Option<SignalCommandFailure>,
    /// Where it stands with each rule.
    pub rules: Vec<RuleView>,
    /// Whether it would be in quarantine if not so many of its class were anomalous at once.
    pub is_withheld: bool,
    /// Since when it is well, while it is in quarantine for an anomaly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy_since: Option<Timestamp>,
}

/// Where a device stands with a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RuleView {
    /// The rule's name.
    pub rule: String,
    /// Whether all its conditions hold, each for its span.
    pub fires: bool,
    /// Its conditions.
    pub conditions: Vec<ConditionView>,
}

/// Where a device stands with a condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ConditionView {
    /// The condition, like `processor > 95% for 5m`.
    pub condition: String,
    /// How it stands.
    pub standing: Standing,
    /// Since when it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// How a condition stands at a moment, whatever the span that it is to hold for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is not known: the signal is not told, or what is normal is not learned yet.
    Unknown,
    /// The device is well, by a margin of a tenth.
    Healthy,
    /// It does not hold, but the device is not well by the margin: this neither makes it
    /// suspicious nor lets it out.
    Between,
    /// It holds.
    Holds,
}

impl Standing {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "not known",
            Self::Healthy => "healthy",
            Self::Between => "almost",
            Self::Holds => "holds",
        }
    }
}
