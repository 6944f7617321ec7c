//! Named collections of devices.

use gofleet_core::collection::{Collection, Members, Roster};
use gofleet_core::ids::CollectionName;
use gofleet_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Write who belongs to a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CollectionRequest {
    /// Who belongs to it.
    #[serde(flatten)]
    pub members: Members,
    /// What it is for, in words.
    #[serde(default)]
    pub note: String,
}

/// A collection in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CollectionSummary {
    /// Its name.
    pub collection: CollectionName,
    /// `static`, `selector` or `imported`.
    pub kind: String,
    /// How many devices belong to it at the moment.
    pub devices: u64,
    /// How many names it lists that no device has.
    pub unknown: u64,
    /// The selector, or how many names are listed, in words.
    pub members: String,
    /// What it is for, in words.
    pub note: String,
    /// Who wrote it last.
    pub by: String,
    /// When.
    pub changed_at: Timestamp,
}

/// A collection with whom it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CollectionDetail {
    /// The collection.
    pub collection: Collection,
    /// Who belongs to it at the moment.
    pub roster: Roster,
    /// What asks for it, in words. While something does, it can't be deleted.
    pub used_by: Vec<String>,
}
