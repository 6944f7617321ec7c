//! Requests about releases; a release itself travels as `gofleet_core::release::Release`.

use gofleet_core::release::Release;
use serde::{Deserialize, Serialize};

/// Approve or block a release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DecisionRequest {
    /// Why, in the person's words.
    #[serde(default)]
    pub reason: String,
}

/// How an upload ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadOutcome {
    /// The release, as the catalog has it now.
    pub release: Release,
    /// Whether it is new in the catalog, or was known with the same content.
    pub is_new: bool,
}
