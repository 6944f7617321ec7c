//! Bodies about rollouts that the core does not have as they travel.

use gofleet_core::ids::DeviceId;
use gofleet_core::rollout::forecast::Forecast;
use gofleet_core::rollout::{Preview, RolloutPlan};
use serde::{Deserialize, Serialize};

/// What a rollout would do, and if that was asked for, how it would probably go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SimulatedPlan {
    /// What it would do.
    #[serde(flatten)]
    pub plan: RolloutPlan,
    /// How it would probably go: present if it was played.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
}

/// Which devices a selector picks, and when they may activate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PreviewAnswer {
    /// In numbers.
    #[serde(flatten)]
    pub preview: Preview,
    /// In words.
    pub text: String,
}

/// Ask users of a published rollout no more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AssignRequest {
    /// Only that of this device; every user, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
}
