//! Releases: one version of a package for one platform, and what is known of it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::dependency::Dependencies;
use crate::digest::Digest;
use crate::ids::{PackageName, ReleaseId};
use crate::time::Timestamp;
use crate::version::GoVersion;

/// An operating system and a processor architecture by Go's names, like `windows-amd64`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Platform {
    os: String,
    arch: String,
}

/// The text names no platform.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a platform: `{0}` (expected GOOS-GOARCH, like windows-amd64)")]
pub struct InvalidPlatform(String);

impl Platform {
    /// The platform of these names (Go's `GOOS` and `GOARCH`).
    ///
    /// # Errors
    ///
    /// [`InvalidPlatform`] unless both are made of lower-case letters and digits.
    pub fn new(os: &str, arch: &str) -> Result<Self, InvalidPlatform> {
        let is_name = |name: &str| {
            (1..=20).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if is_name(os) && is_name(arch) {
            Ok(Self { os: os.to_owned(), arch: arch.to_owned() })
        } else {
            Err(InvalidPlatform(format!("{os}-{arch}").chars().take(80).collect()))
        }
    }

    /// The platform that this program was built for.
    pub fn of_this_program() -> Self {
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "x86" => "386",
            "aarch64" => "arm64",
            other => other,
        };
        let os = match std::env::consts::OS {
            "macos" => "darwin",
            other => other,
        };
        Self { os: os.to_owned(), arch: arch.to_owned() }
    }

    /// Go's `GOOS`, like `windows`.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// Go's `GOARCH`, like `amd64`.
    pub fn arch(&self) -> &str {
        &self.arch
    }

    /// `.exe` on Windows, nothing elsewhere.
    pub fn executable_suffix(&self) -> &'static str {
        if self.os == "windows" { ".exe" } else { "" }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&format!("{}-{}", self.os, self.arch))
    }
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        let invalid = || InvalidPlatform(text.chars().take(80).collect());
        let (os, arch) = text.split_once(['-', '/']).ok_or_else(invalid)?;
        Self::new(os, arch).map_err(|_| invalid())
    }
}

impl TryFrom<String> for Platform {
    type Error = InvalidPlatform;

    fn try_from(text: String) -> Result<Self, InvalidPlatform> {
        text.parse()
    }
}

impl From<Platform> for String {
    fn from(platform: Platform) -> Self {
        platform.to_string()
    }
}

#[cfg(feature = "schema")]
crate::string_schema!(Platform, "GOOS-GOARCH, like windows-amd64");

/// Where a release stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReleaseStatus {
    /// Known, but nobody may get it yet.
    Imported,
    /// May be rolled out.
    Approved,
    /// May not be rolled out any more.
    Blocked,
}

impl ReleaseStatus {
    /// As text, like in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Imported => "imported",
            Self::Approved => "approved",
            Self::Blocked => "blocked",
        }
    }
}

impl fmt::Display for ReleaseStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// How the original archive of a release is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ArchiveFormat {
    /// A zip, or a wheel of PyPI, which is one.
    Zip,
    /// A tar compressed by gzip.
    TarGz,
}

/// The original archive of a release, as it was imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Archive {
    /// The SHA-256 of the archive's bytes: its name in the server's store.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// How it is packed.
    pub format: ArchiveFormat,
}

/// What an agent must know of a release to install it: part of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ReleaseRef {
    /// The release.
    pub id: ReleaseId,
    /// Of which package.
    pub package: PackageName,
    /// In the package's own notation, without prefix: `1.27.3`.
    pub version: String,
    /// For which platform.
    pub platform: Platform,
    /// The digest of its [`Manifest`](crate::manifest::Manifest).
    pub manifest: Digest,
    /// The archive that it can be had from.
    pub archive: Archive,
}

/// A release in the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Release {
    /// What an agent must know of it.
    #[serde(flatten)]
    pub release: ReleaseRef,
    /// What it asks of the other packages on a device.
    #[serde(flatten)]
    pub dependencies: Dependencies,
    /// Where it stands in its life.
    pub status: ReleaseStatus,
    /// Number of files in its manifest.
    pub files: u64,
    /// Sum of the sizes of its files, in bytes.
    pub tree_bytes: u64,
    /// Where the archive came from: a file name or an address.
    pub origin: String,
    /// When it was imported.
    pub imported_at: Timestamp,
    /// Who approved or blocked it, when, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<ReleaseDecision>,
}

/// Whether the support of a version of Go has ended, as far as the versions tell that are known:
/// each line is supported until there are two newer ones (go.dev/doc/devel/release). What is no
/// version of Go is supported for all that can be told.
pub fn is_past_support<'a>(version: &str, known: impl IntoIterator<Item = &'a str>) -> bool {
    let line = |text: &str| {
        let version: GoVersion = text.parse().ok()?;
        let line = version.language();
        let (_, minor) = line.as_str().split_once('.')?;
        Some((minor.parse::<u32>().ok()?, version.is_prerelease()))
    };
    let Some((own, _)) = line(version) else { return false };
    let released = known.into_iter().filter_map(line).filter(|(_, is_prerelease)| !is_prerelease);
    released.map(|(minor, _)| minor).max().is_some_and(|newest| newest >= own.saturating_add(2))
}

/// An approval or a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ReleaseDecision {
    /// Who decided.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why, in the person's words; empty if nothing was said.
    pub reason: String,
}

impl ReleaseRef {
    /// The id that a release of this package, version and platform has.
    ///
    /// # Errors
    ///
    /// [`InvalidId`](crate::ids::InvalidId) if the version has characters that no id may have.
    pub fn id_of(
        package: &PackageName,
        version: &str,
        platform: &Platform,
    ) -> Result<ReleaseId, crate::ids::InvalidId> {
        format!("{package}-{version}-{platform}").parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_supported_until_there_are_two_newer_ones() {
        let known = ["1.25.9", "1.26.6", "1.27.3", "1.28rc1"];
        for (version, expect) in [
            ("1.27.3", false),
            ("1.26.1", false),
            ("1.25.9", true),
            ("1.4.2", true),
            ("1.28rc1", false),
            ("not of Go", false),
        ] {
            assert_eq!(is_past_support(version, known), expect, "{version}");
        }
        assert!(!is_past_support("1.20.1", ["1.20.1"]), "nothing newer is known");
    }

    #[test]
    fn platforms_read_both_separators() {
        let platform: Platform = "windows/amd64".parse().unwrap();
        assert_eq!(platform, "windows-amd64".parse().unwrap());
        assert_eq!(platform.executable_suffix(), ".exe");
        for text in ["windows", "Windows-amd64", "-", "linux-", "linux-amd64/v3"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}
