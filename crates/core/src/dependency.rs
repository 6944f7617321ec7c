//! What a release asks of the other packages on a device: the versions that it requires, and those
//! beside which it may not stand. Whether a device fulfils that is decided in
//! [`rollout`](crate::rollout).
//!
//! A package's versions are read and ordered as Go's are (go.dev/doc/toolchain), which numbers with
//! points between them fit too: `2.5.0`. Of any other version nothing is known, so that no range
//! with a bound holds it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::PackageName;
use crate::version;

/// How a version compares with a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Operator {
    AtMost,
    Less,
    AtLeast,
    Greater,
    Equal,
}

impl Operator {
    /// Every operator; one that another begins with comes after it.
    const ALL: [Self; 5] = [Self::AtMost, Self::Less, Self::AtLeast, Self::Greater, Self::Equal];

    const fn as_str(self) -> &'static str {
        match self {
            Self::AtMost => "<=",
            Self::Less => "<",
            Self::AtLeast => ">=",
            Self::Greater => ">",
            Self::Equal => "=",
        }
    }

    fn holds(self, version: &str, bound: &str) -> bool {
        let ordering = version::compare(version, bound);
        match self {
            Self::AtMost => ordering.is_le(),
            Self::Less => ordering.is_lt(),
            Self::AtLeast => ordering.is_ge(),
            Self::Greater => ordering.is_gt(),
            Self::Equal => ordering.is_eq(),
        }
    }
}

/// Versions of a package, like `>=1.26, <1.28`: those within every bound. Without a bound it is all
/// of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionRange(Vec<(Operator, String)>);

impl VersionRange {
    /// Whether a version is within every bound.
    pub fn contains(&self, version: &str) -> bool {
        let is_known = self.0.is_empty() || version::is_valid(version);
        is_known && self.0.iter().all(|(operator, bound)| operator.holds(version, bound))
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (operator, bound)) in self.0.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(formatter, "{comma}{}{bound}", operator.as_str())?;
        }
        Ok(())
    }
}

/// Versions of a package that a release requires or conflicts with, like `go>=1.26, <1.28`; without
/// a range all of them, like `golangci-lint`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Requirement {
    /// The package.
    pub package: PackageName,
    /// Its versions.
    pub versions: VersionRange,
}

/// The text names no versions of a package.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not versions of a package: `{text}`: {reason} (expected some like `go>=1.26, <1.28`)")]
pub struct InvalidRequirement {
    text: String,
    reason: String,
}

impl fmt::Display for Requirement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.package, self.versions)
    }
}

impl FromStr for Requirement {
    type Err = InvalidRequirement;

    fn from_str(text: &str) -> Result<Self, InvalidRequirement> {
        let shown = || text.chars().take(80).flat_map(char::escape_debug).collect();
        let invalid = |reason: String| InvalidRequirement { text: shown(), reason };
        let end = text.find(['<', '>', '=']).unwrap_or(text.len());
        let (package, bounds) = text.split_at(end);
        let package = package.trim().parse().map_err(|_| invalid("no package is named".into()))?;
        if bounds.is_empty() {
            return Ok(Self { package, versions: VersionRange::default() });
        }
        let bounds: Result<Vec<_>, _> = bounds.split(',').map(|it| bound(it.trim())).collect();
        Ok(Self { package, versions: VersionRange(bounds.map_err(invalid)?) })
    }
}

fn bound(text: &str) -> Result<(Operator, String), String> {
    let cut = |operator: Operator| Some((operator, text.strip_prefix(operator.as_str())?.trim()));
    let found = Operator::ALL.into_iter().find_map(cut);
    let (operator, version) =
        found.ok_or_else(|| "a bound begins with one of < <= = >= >".to_owned())?;
    match version::is_valid(version) {
        true => Ok((operator, version.to_owned())),
        false => {
            let shown: String = version.chars().take(80).flat_map(char::escape_debug).collect();
            Err(format!("`{shown}` is no version"))
        }
    }
}

impl TryFrom<String> for Requirement {
    type Error = InvalidRequirement;

    fn try_from(text: String) -> Result<Self, InvalidRequirement> {
        text.parse()
    }
}

impl From<Requirement> for String {
    fn from(requirement: Requirement) -> Self {
        requirement.to_string()
    }
}

#[cfg(feature = "schema")]
crate::string_schema!(Requirement, "Versions of a package, like go>=1.26, <1.28");

/// What a release asks of the other packages on a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Dependencies {
    /// Each must be active on the device before the release is installed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Requirement>,
    /// None may be active on the device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Requirement>,
}

impl Dependencies {
    /// Whether it asks nothing.
    pub const fn is_empty(&self) -> bool {
        self.requires.is_empty() && self.conflicts.is_empty()
    }

    /// In words the first thing asked for that a device is not by its own word, if there is one.
    /// What is asked of the package `own` is left out: the release replaces that.
    pub fn refused_by(
        &self,
        own: &PackageName,
        version_of: impl Fn(&PackageName) -> Option<String>,
    ) -> Option<String> {
        let foreign = |list: &'_ [Requirement]| -> Vec<(Requirement, Option<String>)> {
            let others = list.iter().filter(|it| it.package != *own);
            others.map(|it| (it.clone(), version_of(&it.package))).collect()
        };
        let is_within = |it: &(Requirement, Option<String>)| {
            it.1.as_ref().is_some_and(|version| it.0.versions.contains(version))
        };
        let missing = foreign(&self.requires).into_iter().find(|it| !is_within(it));
        if let Some((requirement, version)) = missing {
            let has = version.unwrap_or_else(|| "none".to_owned());
            return Some(format!("requires {requirement}, and this device has {has}"));
        }
        let shunned = foreign(&self.conflicts).into_iter().find(is_within);
        shunned.map(|(conflict, version)| {
            let has = version.unwrap_or_default();
            format!("conflicts with {conflict}, and this device has {has}")
        })
    }
}

impl fmt::Display for Dependencies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list =
            |of: &[Requirement]| of.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        match (self.requires.is_empty(), self.conflicts.is_empty()) {
            (true, true) => formatter.write_str("nothing"),
            (false, true) => write!(formatter, "requires {}", list(&self.requires)),
            (true, false) => write!(formatter, "conflicts with {}", list(&self.conflicts)),
            (false, false) => write!(
                formatter,
                "requires {}, conflicts with {}",
                list(&self.requires),
                list(&self.conflicts)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_the_versions_within_every_bound() {
        #[track_caller]
        fn check(text: &str, within: &[&str], without: &[&str]) {
            let requirement: Requirement = text.parse().unwrap();
            for (versions, expect) in [(within, true), (without, false)] {
                for version in versions {
                    assert_eq!(requirement.versions.contains(version), expect, "{text}: {version}");
                }
            }
            assert_eq!(requirement.to_string().parse(), Ok(requirement.clone()));
            let json = serde_json::to_string(&requirement).unwrap();
            assert_eq!(serde_json::from_str::<Requirement>(&json).unwrap(), requirement);
        }
        check("go>=1.26", &["1.26rc1", "1.26.0", "1.27.3"], &["1.25.9", "tip", ""]);
        check("go >= 1.26 , < 1.28", &["1.26.0", "1.27.9"], &["1.28rc1", "1.28.0", "1.25.0"]);
        check("gofleet-agent>0.1.0,<=0.2.0", &["0.1.1", "0.2.0"], &["0.1.0", "0.2.1"]);
        check("go=1.27.3", &["1.27.3"], &["1.27.2", "1.27.4"]);
        check("golangci-lint", &["2.5.0", "whatever"], &[]);
    }

    #[test]
    fn a_device_refuses_by_what_it_has_itself() {
        #[track_caller]
        fn check(requires: &[&str], conflicts: &[&str], expect: Option<&str>) {
            let list = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
            let asked = Dependencies { requires: list(requires), conflicts: list(conflicts) };
            let version_of = |package: &PackageName| {
                (package.as_str() == "gofleet-agent").then(|| "0.2.0".to_owned())
            };
            let refused = asked.refused_by(&"go".parse().unwrap(), version_of);
            assert_eq!(refused.as_deref(), expect);
        }
        check(&["gofleet-agent>=0.2.0", "go>=9"], &["gofleet-agent<0.2.0", "ruff"], None);
        check(
            &["gofleet-agent>=0.3"],
            &[],
            Some("requires gofleet-agent>=0.3, and this device has 0.2.0"),
        );
        check(&["ruff"], &[], Some("requires ruff, and this device has none"));
        check(
            &[],
            &["gofleet-agent"],
            Some("conflicts with gofleet-agent, and this device has 0.2.0"),
        );
    }

    #[test]
    fn what_is_no_range_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "no package"),
            (">=1.26", "no package"),
            ("go>=", "`` is no version"),
            ("go>=1.26 <1.28", "`1.26 <1.28` is no version"),
            ("go>=1.26,1.28", "begins with one of"),
            ("go>=1.26,", "begins with one of"),
            ("go==1.26", "`=1.26` is no version"),
            ("go 1.26", "no package"),
        ] {
            let error = text.parse::<Requirement>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
