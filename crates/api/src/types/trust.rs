//! Signed metadata, and who signs.

use std::collections::BTreeMap;

use gofleet_core::digest::Digest;
use gofleet_core::order::Order;
use gofleet_core::seal::Seal;
use gofleet_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An order, with the server's signature on it if the server has a root of trust.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SealedOrder {
    /// The order.
    #[serde(flatten)]
    pub order: Order,
    /// The signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
}

/// The keys by which a server signs, as TUF's metadata has keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TrustKeys {
    /// For snapshot and timestamp.
    pub metadata: Value,
    /// For orders.
    pub orders: Value,
}

/// Metadata that was signed elsewhere, by role: `root`, `targets`, and packages like `go`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ImportTrust {
    /// Each as TUF has it: `signed` and `signatures`.
    pub documents: BTreeMap<String, Value>,
}

/// Whether releases need signatures, and whose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TrustView {
    /// The digest of the root of trust, which devices pin; none: releases need no signatures.
    pub root: Option<Digest>,
    /// Each role.
    pub roles: Vec<TrustStanding>,
    /// What holds today, as TUF has it; the root, the targets and the packages.
    pub documents: BTreeMap<String, Value>,
}

/// One role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TrustStanding {
    /// The role.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// Until when it counts.
    pub expires_at: Timestamp,
    /// How many must sign it.
    pub threshold: u32,
    /// Whose signatures count: ids of keys.
    pub keys: Vec<String>,
}
