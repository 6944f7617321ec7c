//! Distribution points: a machine becomes one.

use gofleet_core::edge::EdgeReport;
use gofleet_core::ids::EdgeId;
use serde::{Deserialize, Serialize};

use super::IssuedCertificate;

/// A machine asks to become a distribution point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EnrolEdgeRequest {
    /// The enrolment token: one use.
    pub token: String,
    /// What it tells of itself.
    pub report: EdgeReport,
    /// A request for a certificate, signed with the key that it made (PKCS #10 in PEM).
    pub request: String,
}

/// The machine is a distribution point now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EnrolEdgeResponse {
    /// Its id from now on.
    pub edge: EdgeId,
    /// What it authenticates with, to its server and to devices.
    pub issued: IssuedCertificate,
}
