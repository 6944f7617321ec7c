//! What a person writes to ask for a rollout.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::canary::Canary;
use crate::guard::{Guard, permits};
use crate::ids::PackageName;
use crate::offer::Publish;
use crate::statistics::Share;
use crate::time::Span;
use crate::window::Window;

/// After so many the wait grows no more.
const MOST_DOUBLINGS: u32 = 10;

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
    /// When a device may activate, by its own clock and zone; at any time if absent. Fetching and
    /// staging, and going back, need no window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Whether users are asked before the release is activated, and until when; if absent it is
    /// assigned, which means that it installs by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Publish>,
    /// When a ring counts as good, where the ring itself says nothing else.
    #[serde(default)]
    pub gate: Gate,
    /// An order that is not answered for so long counts as a failure.
    #[serde(default = "one_hour")]
    pub silence_after: Span,
    /// A device that has not checked in for so long when its ring starts is held apart as offline.
    #[serde(default = "fifteen_minutes")]
    pub offline_after: Span,
    /// How often a device tries again what may pass by itself.
    #[serde(default)]
    pub retry: Retry,
    /// What to do when a gate fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// What becomes of devices that enrol, or begin to be picked, after the start.
    #[serde(default, skip_serializing_if = "Late::is_never")]
    pub late: Late,
    /// Whether devices with a newer version go back to this one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_downgrade: bool,
}

impl RolloutSpec {
    /// Most devices between order and final answer at once.
    pub fn most_in_flight(&self) -> u32 {
        if self.max_in_flight == 0 { u32::MAX } else { self.max_in_flight }
    }
}

/// How often a device gets its order again, after a failure that says nothing of the release: the
/// network, a full disk, a file that something else holds. Until the last attempt the gate counts
/// it as under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Most times; 0: the first failure counts.
    #[serde(default = "two")]
    pub times: u32,
    /// How long after the first failure; twice as long after each that follows.
    #[serde(default = "five_minutes")]
    pub after: Span,
}

impl Default for Retry {
    fn default() -> Self {
        Self { times: two(), after: five_minutes() }
    }
}

impl Retry {
    /// How long to wait before trying again, after so many attempts; none if that was the last.
    pub fn wait(&self, attempts: u32) -> Option<Span> {
        let is_left = permits(Guard::RetriesBounded, attempts <= self.times);
        let doubled = attempts.saturating_sub(1).min(MOST_DOUBLINGS);
        let wait = || Span::from_millis(self.after.as_millis().saturating_mul(1 << doubled));
        is_left.then(wait)
    }
}

/// One stage of a rollout. In text it has a `name`, one of `count`, `percent`, `select` and
/// `rest: true`, and, if it needs its own, a `gate`; the first one may have `rehearse: true`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawRing", into = "RawRing")]
pub struct RingSpec {
    /// A name for people, unique in the rollout.
    pub name: String,
    /// Which devices are in it.
    pub size: RingSize,
    /// Instead of the rollout's gate.
    pub gate: Option<Gate>,
    /// Whether its devices upgrade, go back and upgrade again before its gate counts them.
    pub rehearse: bool,
}

/// Which devices are in a ring: none of those in an earlier ring, and then one of these.
#[derive(Debug, Clone, PartialEq)]
pub enum RingSize {
    /// So many devices.
    Count(u32),
    /// So many of 100 devices of the rollout.
    Percent(f64),
    /// The devices that a selector over facts picks.
    Select(String),
    /// All that are left.
    Rest,
}

/// A ring as it stands in text, where nothing keeps a person from giving two sizes or none.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct RawRing {
    /// A name for people, unique in the rollout.
    name: String,
    /// So many devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    count: Option<u32>,
    /// So many of 100 devices of the rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    percent: Option<f64>,
    /// The devices that a selector over facts picks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    select: Option<String>,
    /// All that are left.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    rest: bool,
    /// Instead of the rollout's gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gate: Option<Gate>,
    /// Whether its devices upgrade, go back and upgrade again before its gate counts them; for the
    /// first ring.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    rehearse: bool,
}

/// A ring does not say in exactly one way which devices are in it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "ring `{ring}` needs exactly one of `count`, `percent`, `select` and `rest: true`; it has {given}"
)]
struct AmbiguousRing {
    ring: String,
    given: String,
}

impl TryFrom<RawRing> for RingSpec {
    type Error = AmbiguousRing;

    fn try_from(raw: RawRing) -> Result<Self, AmbiguousRing> {
        let RawRing { name, count, percent, select, rest, gate, rehearse } = raw;
        let sizes = [
            ("count", count.map(RingSize::Count)),
            ("percent", percent.map(RingSize::Percent)),
            ("select", select.map(RingSize::Select)),
            ("rest", rest.then_some(RingSize::Rest)),
        ];
        let mut given = sizes.into_iter().filter_map(|(key, size)| Some((key, size?)));
        match (given.next(), given.next()) {
            (Some((_, size)), None) => Ok(Self { name, size, gate, rehearse }),
            (None, _) => Err(AmbiguousRing { ring: name, given: "none".to_owned() }),
            (Some((first, _)), Some((second, _))) => {
                Err(AmbiguousRing { ring: name, given: format!("`{first}` and `{second}`") })
            }
        }
    }
}

impl From<RingSpec> for RawRing {
    fn from(RingSpec { name, size, gate, rehearse }: RingSpec) -> Self {
        let (count, percent, select, rest) = (None, None, None, false);
        let mut raw = Self { name, count, percent, select, rest, gate, rehearse };
        match size {
            RingSize::Count(count) => raw.count = Some(count),
            RingSize::Percent(percent) => raw.percent = Some(percent),
            RingSize::Select(selector) => raw.select = Some(selector),
            RingSize::Rest => raw.rest = true,
        }
        raw
    }
}

#[cfg(feature = "schema")]
mod schema {
    use utoipa::openapi::{RefOr, Schema};
    use utoipa::{PartialSchema, ToSchema};

    use super::{RawRing, RingSpec};

    impl PartialSchema for RingSpec {
        fn schema() -> RefOr<Schema> {
            RawRing::schema()
        }
    }

    impl ToSchema for RingSpec {
        fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
            RawRing::schemas(schemas);
        }
    }
}

impl fmt::Display for RingSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(formatter, "{count} devices"),
            Self::Percent(percent) => write!(formatter, "{percent}%"),
            Self::Select(selector) => write!(formatter, "those with {selector}"),
            Self::Rest => formatter.write_str("the rest"),
        }
    }
}

/// When a ring counts as good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// At least so many devices must have accepted; all of the ring that are online, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_successes: Option<u32>,
    /// At most so many may have failed: reverted, quarantined or fallen silent. With
    /// `max_failure_rate`, 0 leaves that to the rate.
    #[serde(default)]
    pub max_failures: u32,
    /// It must be shown, by this ring and all before it, that less than so many fail. As long as
    /// it is not, the next ring waits; if it can't be any more, the gate fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_failure_rate: Option<Share>,
    /// How sure that must be, over all looks together.
    #[serde(default = "ninety_five_percent", skip_serializing_if = "is_ninety_five_percent")]
    pub confidence: Share,
    /// The devices that have the release must not be worse by these signals than those that don't
    /// have it yet. The last ring is not compared: nobody is left to compare it with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
}

impl Default for Gate {
    /// Every device that is online accepts, and none fails.
    fn default() -> Self {
        Self {
            min_successes: None,
            max_failures: 0,
            max_failure_rate: None,
            confidence: Share::P95,
            canary: None,
        }
    }
}

/// What becomes of devices that enrol, or begin to be picked, after a rollout was started. A device
/// belongs into the ring that would have taken it; a ring of a number of devices takes nobody late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Late {
    /// They are left out: who is in the rollout is fixed when it starts.
    #[default]
    Never,
    /// They join their ring if it has not started, else the next one that has not.
    #[serde(alias = "next ring")]
    NextRing,
    /// They join their ring, also if it has started or passed its gate.
    #[serde(alias = "same ring")]
    SameRing,
}

impl Late {
    /// Every rule.
    pub const ALL: [Self; 3] = [Self::Never, Self::NextRing, Self::SameRing];

    /// As text, like in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::NextRing => "next_ring",
            Self::SameRing => "same_ring",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    fn is_never(&self) -> bool {
        *self == Self::Never
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

const fn ninety_five_percent() -> Share {
    Share::P95
}

fn is_ninety_five_percent(share: &Share) -> bool {
    *share == Share::P95
}

fn go() -> PackageName {
    "go".parse().expect("`go` is a package name")
}

const fn two() -> u32 {
    2
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(yaml: &str) -> Result<RingSpec, String> {
        serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn a_ring_says_in_one_way_who_is_in_it() {
        let cases = [
            ("{name: a, count: 2}", RingSize::Count(2)),
            ("{name: a, percent: 12.5}", RingSize::Percent(12.5)),
            ("{name: a, percent: 10}", RingSize::Percent(10.0)),
            ("{name: a, select: 'os = \"linux\"'}", RingSize::Select("os = \"linux\"".into())),
            ("{name: a, rest: true}", RingSize::Rest),
            ("{name: a, count: 2, rehearse: true}", RingSize::Count(2)),
        ];
        for (yaml, size) in cases {
            let ring = ring(yaml).unwrap();
            assert_eq!(ring.size, size, "{yaml}");
            let json = serde_json::to_string(&ring).unwrap();
            assert_eq!(serde_json::from_str::<RingSpec>(&json).unwrap(), ring, "{json}");
        }
    }

    #[test]
    fn a_ring_that_does_not_is_refused_in_words() {
        for (yaml, expect) in [
            ("{name: a}", "it has none"),
            ("{name: a, rest: false}", "it has none"),
            ("{name: a, count: 1, rest: true}", "it has `count` and `rest`"),
            ("{name: a, count: 1, size: 2}", "unknown field `size`"),
            ("{name: a, count: -1}", "-1"),
        ] {
            let error = ring(yaml).unwrap_err();
            assert!(error.contains(expect), "{yaml}: {error}");
        }
    }
}
