//! What calls and lifts the emergency stop.

use gofleet_core::emergency::EmergencyStop;
use serde::{Deserialize, Serialize};

/// Stop everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EmergencyRequest {
    /// Why, in the person's words.
    pub reason: String,
}

/// Whether everything is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EmergencyView {
    /// The stop that holds, or that was lifted just now; none if none did.
    pub stop: Option<EmergencyStop>,
}
