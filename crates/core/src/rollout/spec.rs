//! What a person writes to ask for a rollout.

use serde::{Deserialize, Serialize};

use crate::ids::PackageName;
use crate::time::Span;

/// A rollout as a person asks for it: on the command line, in a file, or in the console.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RolloutSpec {
    /// A name for people: unique among the rollouts that have not ended.
    pub name: String,
    /// What is rolled out.
    #[serde(default = "go")]
    pub package: PackageName,
    /// Its version, like `1.27.3`.
    pub version: String,
    /// Which devices: a selector over facts; all devices if empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub devices: String,
    /// The stages, first to last.
    pub rings: Vec<RingSpec>,
    /// Most devices between order and final answer at once, over all rings; 0: no limit.
    #[serde(default)]
    pub max_in_flight: u32,
    /// How long a device must stay healthy after activation.
    #[serde(default = "five_minutes")]
    pub soak: Span,
    /// When a ring counts as good, where the ring itself says nothing else.
    #[serde(default)]
    pub gate: Gate,
    /// An order that is not answered for so long counts as a failure.
    #[serde(default = "one_hour")]
    pub silence_after: Span,
    /// A device that has not checked in for so long when its ring starts is held apart as offline.
    #[serde(default = "fifteen_minutes")]
    pub offline_after: Span,
    /// What to do when a gate fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Whether devices with a newer version go back to this one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_downgrade: bool,
}

/// One stage of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RingSpec {
    /// A name for people, unique in the rollout.
    pub name: String,
    /// Which devices are in it.
    #[serde(flatten)]
    pub size: RingSize,
    /// Instead of the rollout's gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
}

/// Which devices are in a ring: none of those in an earlier ring, and then one of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RingSize {
    /// So many devices.
    Count(u32),
    /// So many of 100 devices of the rollout.
    Percent(f64),
    /// The devices that a selector over facts picks.
    Select(String),
    /// All that are left; `rest: true`.
    Rest(bool),
}

/// When a ring counts as good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// At least so many devices must have accepted; all of the ring that are online, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_successes: Option<u32>,
    /// At most so many may have failed: reverted, quarantined or fallen silent.
    #[serde(default)]
    pub max_failures: u32,
}

#[expect(clippy::derivable_impls, reason = "the default is a rule, so it stands here to be read")]
impl Default for Gate {
    /// Every device that is online accepts, and none fails.
    fn default() -> Self {
        Self { min_successes: None, max_failures: 0 }
    }
}

/// What to do when a gate fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Start nothing more and wait for a person.
    #[default]
    Pause,
    /// Put the failed ring back, then wait for a person.
    RollBackRing,
    /// Put every device of the rollout back, then end.
    RollBackAll,
}

fn go() -> PackageName {
    "go".parse().expect("`go` is a package name")
}

const fn five_minutes() -> Span {
    Span::from_secs(5 * 60)
}

const fn fifteen_minutes() -> Span {
    Span::from_secs(15 * 60)
}

const fn one_hour() -> Span {
    Span::from_secs(60 * 60)
}
