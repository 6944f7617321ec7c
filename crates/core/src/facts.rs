//! What a device tells of itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{CollectionName, PackageName};
use crate::release::Platform;
use crate::window::Zone;

/// The package that is Go.
pub const GO: &str = "go";
/// The package that is the agent itself.
pub const AGENT: &str = "gofleet-agent";

/// What a device tells of itself when it enrols and whenever it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Facts {
    /// Its host name.
    pub hostname: String,
    /// Operating system and processor architecture.
    pub platform: Platform,
    /// The operating system's name and version, as a person would read it.
    pub os_version: String,
    /// Logical processors.
    pub processors: u32,
    /// Free bytes on the volume that holds the agent's root.
    pub free_bytes: u64,
    /// The agent's version.
    pub agent_version: String,
    /// The version of Go that is active in the agent's root, like `1.27.3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    /// The version of each further package that the device knows of, beside Go and the agent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub packages: BTreeMap<PackageName, String>,
    /// Every Go that was found on the device.
    #[serde(default)]
    pub found: Vec<FoundGo>,
    /// The IANA name of the time zone that its clock is set to, like `Europe/Berlin`; none where its
    /// agent does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Labels that the administrator gave it, like `site = berlin`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The collections that it belongs to. The server alone says that: what a device tells of it
    /// counts for nothing.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub collections: BTreeSet<CollectionName>,
}

impl Facts {
    /// The zone that its clock is set to; UTC where its agent tells none, or none that is known.
    pub fn clock_zone(&self) -> Zone {
        let named = self.zone.as_deref().and_then(|name| Zone::named(name).ok());
        named.unwrap_or_else(Zone::utc)
    }

    /// The active version of a package: of [`GO`], of the [`AGENT`] itself, or of a further one.
    pub fn version_of(&self, package: &PackageName) -> Option<&str> {
        match package.as_str() {
            GO => self.active.as_deref(),
            AGENT => Some(self.agent_version.as_str()).filter(|version| !version.is_empty()),
            _ => self.packages.get(package).map(String::as_str),
        }
    }

    /// The active version of every package.
    pub fn versions(&self) -> BTreeMap<PackageName, String> {
        let own = [GO, AGENT].map(|name| name.parse().expect("a valid name"));
        let packages = self.packages.keys().cloned().chain(own);
        let known = packages.filter_map(|it| Some((it.clone(), self.version_of(&it)?.to_owned())));
        known.collect()
    }
}

/// A Go that was found on a device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FoundGo {
    /// As its `VERSION` file tells, or else its command, without `go`: `1.27.3`.
    pub version: String,
    /// Its `GOROOT`.
    pub path: String,
    /// How it came there.
    pub origin: GoOrigin,
}

/// How a Go came onto a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum GoOrigin {
    /// gofleet installed it.
    Managed,
    /// For all users: an installer or a package put it there, or it stands where they would.
    System,
    /// It stands in `~/sdk`, where `golang.org/dl` puts it.
    Sdk,
    /// A toolchain that Go downloaded into its module cache.
    ModuleCache,
    /// Elsewhere: another version manager's, or found through `PATH` only.
    Path,
}
