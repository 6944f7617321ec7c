//! What keeps devices out of rollouts.

use gofleet_core::hold::Quarantine;
use gofleet_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Make a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct HoldRequest {
    /// The devices: a selector; empty means every device.
    pub devices: String,
    /// Why, in the person's words.
    pub reason: String,
    /// When it begins to hold; now, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// When it ends by itself; when a person lifts it, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Put a device into quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct QuarantineRequest {
    /// Why, in the person's words.
    pub reason: String,
}

/// Whether a device is in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct QuarantineView {
    /// The quarantine that it is in, or was let out of just now; none if there was none.
    pub quarantine: Option<Quarantine>,
}
