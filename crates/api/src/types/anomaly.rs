//! The rules for anomalies that are in force.

use gofleet_core::anomaly::{Class, Reading, SignalName};
use gofleet_core::time::Span;
use serde::{Deserialize, Serialize};

/// The rules for anomalies that are in force, and what they go by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AnomalyRules {
    /// Where the rules come from, like `default` or a file.
    pub origin: String,
    /// The rules.
    pub rules: Vec<AnomalyRule>,
    /// How long a device must be well before it is let in again.
    pub release_after: Span,
    /// The largest part of a class that may be in quarantine for anomalies at once, like `10%`.
    pub max_share: String,
    /// What is normal, as far as it is learned.
    pub baselines: Vec<Baseline>,
}

/// A rule for anomalies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AnomalyRule {
    /// Its name.
    pub name: String,
    /// When it fires, like `processor > 95% for 5m`.
    pub when: String,
}

/// What is normal for a signal among the devices of a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Baseline {
    /// The class.
    pub class: Class,
    /// The signal.
    pub signal: SignalName,
    /// The median of what its devices tell while nothing is wrong with them.
    pub normal: Reading,
}
