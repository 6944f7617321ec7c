//! Enrolment: a machine becomes a device.

use gofleet_core::facts::Facts;
use gofleet_core::ids::DeviceId;
use serde::{Deserialize, Serialize};

/// A machine asks to become a device of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EnrolRequest {
    /// The enrolment token: one use.
    pub token: String,
    /// What the machine tells of itself.
    pub facts: Facts,
}

/// The machine is a device now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EnrolResponse {
    /// Its name from now on.
    pub device: DeviceId,
    /// The secret that it authenticates with. Told this once; the server keeps a hash.
    pub credential: String,
}
