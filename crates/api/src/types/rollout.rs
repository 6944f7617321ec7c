//! What is asked of rollouts.

use gofleet_core::ids::DeviceId;
use serde::{Deserialize, Serialize};

/// Ask users of a published rollout no more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AssignRequest {
    /// Only that of this device; every user, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
}
