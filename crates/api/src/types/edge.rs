//! Distribution points: a machine becomes one.

use gofleet_core::edge::EdgeReport;
use gofleet_core::ids::EdgeId;
use serde::{Deserialize, Serialize};

/// A machine asks to become a distribution point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EnrolEdgeRequest {
    /// The enrolment token: one use.
    pub token: String,
    /// What it tells of itself.
    pub report: EdgeReport,
}

/// The machine is a distribution point now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EnrolEdgeResponse {
    /// Its id from now on.
    pub edge: EdgeId,
    /// The secret that it authenticates with. Told this once; the server keeps a hash.
    pub credential: String,
}
