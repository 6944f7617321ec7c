//! Enrolment: a machine becomes a device.

use gofleet_core::facts::Facts;
use gofleet_core::ids::DeviceId;
use gofleet_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A machine asks to become a device of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EnrolRequest {
    /// The enrolment token: one use.
    pub token: String,
    /// What the machine tells of itself.
    pub facts: Facts,
    /// A request for a certificate, signed with the key that the machine made (PKCS #10 in PEM).
    pub request: String,
}

/// The machine is a device now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EnrolResponse {
    /// Its name from now on.
    pub device: DeviceId,
    /// What it authenticates with.
    pub issued: IssuedCertificate,
}

/// Asks for a new certificate for the same key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RenewalRequest {
    /// A request for a certificate, signed with the key (PKCS #10 in PEM).
    pub request: String,
}

/// A certificate that the server's authority issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct IssuedCertificate {
    /// The certificate, in PEM.
    pub certificate: String,
    /// When it should be renewed: after two thirds of its life, by the server's clock.
    pub renew_at: Timestamp,
    /// Until when it is good, by the server's clock.
    pub expires_at: Timestamp,
}
