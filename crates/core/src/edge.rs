//! Distribution points: caching mirrors near the devices. What they serve is named by its digest,
//! so nobody needs to trust them.

use serde::{Deserialize, Serialize};

use crate::ids::EdgeId;
use crate::time::Timestamp;

/// The label of a device that says at which site it stands.
pub const SITE_LABEL: &str = "site";

/// What a distribution point tells of itself, when it enrols and ever so often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EdgeReport {
    /// Its name for people: its host name.
    pub name: String,
    /// Its site; devices whose label `site` is the same are told of it. Empty: nobody is.
    pub site: String,
    /// The address that devices reach it by, like `http://10.1.2.3:8471`.
    pub url: String,
    /// Bytes that it has sent to devices since it enrolled.
    pub served_bytes: u64,
    /// Bytes that it has fetched for that.
    pub fetched_bytes: u64,
}

/// A distribution point, as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Edge {
    /// The distribution point.
    pub id: EdgeId,
    /// What it told of itself last.
    #[serde(flatten)]
    pub report: EdgeReport,
    /// When it enrolled.
    pub enrolled_at: Timestamp,
    /// When it was heard last, by the server's clock.
    pub last_seen: Timestamp,
    /// Whether it was heard within [`ONLINE_WITHIN`](crate::device::ONLINE_WITHIN).
    pub online: bool,
}
