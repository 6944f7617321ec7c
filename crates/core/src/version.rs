//! Go versions as Go itself reads and orders them.
//!
//! The rules are those of `internal/gover` (versions without prefix, like `1.27.3`), `go/version`
//! (with it, like `go1.27.3-custom`: [`tagged`]) and `cmd/go/internal/gover` (names of toolchains)
//! in Go's source: 1.21 < 1.21rc1 < 1.21.0, but 1.20rc1 < 1.20 = 1.20.0, and numbers have any
//! length. The tests read the tables of Go's own tests out of a real release.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

mod parts;
pub mod tagged;

use parts::Parts;

/// A version of Go without prefix, like `1.27.3` or `1.28rc1`, in the form in which Go's releases
/// are named: `1.20.0` becomes `1.20`, as it is the same version, while `1.21` stays the language
/// version that precedes every release of its line.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GoVersion(String);

/// The text is no version of Go.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a Go version: `{0}` (expected one like 1.27.3 or 1.28rc1)")]
pub struct InvalidVersion(pub(crate) String);

impl InvalidVersion {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.chars().take(80).flat_map(char::escape_debug).collect())
    }
}

impl GoVersion {
    /// The version as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The version of the toolchain of this name, like `go1.27.3` or `go1.27.3-custom`; none if
    /// it names no toolchain (`FromToolchain` in `cmd/go/internal/gover/toolchain.go`).
    pub fn from_toolchain(name: &str) -> Option<Self> {
        if name.contains(['/', '\\']) {
            return None; // Else looking the name up on `PATH` could leave it.
        }
        let version = name.strip_prefix("go")?;
        let end = version.find([' ', '\t', '-']).unwrap_or(version.len());
        version[..end].parse().ok()
    }

    /// The language version, like `1.27` of `1.27.3`.
    pub fn language(&self) -> Self {
        lang(&self.0).parse().expect("a version has a language version, which is a version")
    }

    /// Whether this is a language version rather than a release, as `1.27` is. Before 1.21 there
    /// is no difference, and so no language version.
    pub fn is_language(&self) -> bool {
        is_lang(&self.0)
    }

    /// Whether this is an alpha, a beta or a release candidate.
    pub fn is_prerelease(&self) -> bool {
        !self.parts().kind.is_empty()
    }

    /// Whether `self` belongs to the line of releases `line`, as `1.27.3` does to `1.27`.
    pub fn is_of_line(&self, line: &Self) -> bool {
        self.language() == line.language()
    }

    fn parts(&self) -> Parts<'_> {
        Parts::parse(&self.0).expect("only a valid version is made into a GoVersion")
    }
}

impl FromStr for GoVersion {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let parts = Parts::parse(text).ok_or_else(|| InvalidVersion::new(text))?;
        Ok(Self(parts.canonical()))
    }
}

impl Ord for GoVersion {
    /// As [`compare`]; two versions that are equal in that order have the same text.
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl PartialOrd for GoVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for GoVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl fmt::Debug for GoVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "GoVersion({})", self.0)
    }
}

impl TryFrom<String> for GoVersion {
    type Error = InvalidVersion;

    fn try_from(text: String) -> Result<Self, InvalidVersion> {
        text.parse()
    }
}

impl From<GoVersion> for String {
    fn from(version: GoVersion) -> Self {
        version.0
    }
}

#[cfg(feature = "schema")]
crate::string_schema!(GoVersion, "A version of Go, like 1.27.3");

/// Orders two versions as Go does. What is no version comes before all that are, and equals
/// everything else that is none (`Compare` in `internal/gover`).
pub fn compare(a: &str, b: &str) -> Ordering {
    Parts::parse(a).unwrap_or_default().cmp(&Parts::parse(b).unwrap_or_default())
}

/// The language version of a version, like `1.27` of `1.27.3`; empty if it is none.
pub fn lang(version: &str) -> String {
    let Some(Parts { major, minor, .. }) = Parts::parse(version) else { return String::new() };
    if major == "1" && minor == "0" { major.to_owned() } else { format!("{major}.{minor}") }
}

/// Whether `version` is a language version, like `1.27`.
pub fn is_lang(version: &str) -> bool {
    Parts::parse(version).is_some_and(|Parts { patch, kind, pre, .. }| {
        [patch, kind, pre].iter().all(|p| p.is_empty())
    })
}

/// Whether `version` is a version.
pub fn is_valid(version: &str) -> bool {
    Parts::parse(version).is_some()
}

/// The language version before that of `version`: `1.26` of `1.27.3`, `1` of `1.1`; empty if it
/// is none (`Prev` in `cmd/go/internal/gover`).
pub fn previous(version: &str) -> String {
    let Some(Parts { major, minor, .. }) = Parts::parse(version) else { return String::new() };
    if parts::compare_numbers(minor, "1").is_le() {
        major.to_owned()
    } else {
        format!("{major}.{}", parts::decrement(minor))
    }
}

/// The release to take of `releases` (in ascending order) where at least `needed` is demanded:
/// the newest patch of the line before the newest line, if that suffices, as Go picks it when a
/// dependency wants a newer Go (`newerToolchain` in `cmd/go/internal/toolchain/switch.go`).
pub fn newer<'a>(needed: &str, releases: &[&'a str]) -> Option<&'a str> {
    let mut latest: Option<&str> = None;
    for release in releases.iter().rev().take_while(|release| compare(release, needed).is_ge()) {
        if latest.is_some_and(|latest| lang(latest) == lang(release)) {
            continue;
        }
        let newer_line = latest.replace(release);
        if newer_line.is_some_and(|version| !is_prerelease(version)) {
            break;
        }
    }
    latest
}

fn is_prerelease(version: &str) -> bool {
    Parts::parse(version).is_some_and(|parts| !parts.kind.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_in_order_means_equal_in_text() {
        let texts =
            ["1", "1.0", "1.20", "1.20.0", "1.20rc1", "1.21", "1.21rc1", "1.21.0", "1.21.1"];
        let versions: Vec<GoVersion> = texts.iter().map(|text| text.parse().unwrap()).collect();
        for a in &versions {
            for b in &versions {
                assert_eq!(a.cmp(b) == Ordering::Equal, a == b, "{a} {b}");
                assert_eq!(a.cmp(b), compare(a.as_str(), b.as_str()), "{a} {b}");
            }
        }
    }

    #[test]
    fn a_version_is_written_as_its_release_is_named() {
        for (text, name) in [
            ("1.20.0", "1.20"),
            ("1.0.0", "1"),
            ("1.21", "1.21"),
            ("1.21.0", "1.21.0"),
            ("1.28rc1", "1.28rc1"),
            ("1.999testmod", "1.999testmod"),
            ("222", "222"),
        ] {
            assert_eq!(text.parse::<GoVersion>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn what_is_no_version_is_refused_legibly() {
        for text in
            ["", "go1.27.3", "1.27.03", "1.27.3rc1", "v1.27", "1.", "1.27.", "１.27", "1.27\n"]
        {
            let error = text.parse::<GoVersion>().unwrap_err().to_string();
            assert!(error.starts_with("not a Go version: `"), "{error}");
            assert!(!error.contains('\n'), "{error:?}");
        }
    }

    #[test]
    fn lines_hold_their_releases_and_prereleases() {
        let check = |version: &str, line: &str, expect| {
            let (version, line): (GoVersion, GoVersion) =
                (version.parse().unwrap(), line.parse().unwrap());
            assert_eq!(version.is_of_line(&line), expect, "{version} of {line}");
        };
        check("1.27.3", "1.27", true);
        check("1.27rc1", "1.27", true);
        check("1.20", "1.20", true);
        check("1.20.4", "1.20", true);
        check("1.27.3", "1.2", false);
    }
}
