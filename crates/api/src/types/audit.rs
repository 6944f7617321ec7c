//! How far the audit log goes, under the server's signature.

use gofleet_core::audit::Head;
use serde::{Deserialize, Serialize};

/// The head of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditHead {
    /// What it tells.
    #[serde(flatten)]
    pub head: Head,
    /// The head as a signed note: what to keep elsewhere.
    pub note: String,
    /// The key by which the note is verified.
    pub key: String,
}
