//! What approvers sign of a release, and whether an order stays within it.
//!
//! The target of a release is the listing of its files, so its SHA-256 is the manifest's digest;
//! beside it stands what may be installed by it, and how.

use gofleet_core::dependency::{Dependencies, Requirement};
use gofleet_core::digest::Digest;
use gofleet_core::ids::{PackageName, ReleaseId};
use gofleet_core::manifest::Manifest;
use gofleet_core::release::{Platform, ReleaseRef};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::metadata::TargetFile;

/// What approvers say of a release beside its files. Whoever does not know all of it refuses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The package.
    pub package: PackageName,
    /// The version, in the package's own notation.
    pub version: String,
    /// The platform.
    pub platform: Platform,
    /// What installs it; none: its files are unpacked, and nothing is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<Install>,
    /// What must be active on a device before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Requirement>,
    /// What may not be active on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Requirement>,
}

/// A command that installs a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Install {
    /// The program, within the release.
    pub program: String,
    /// Its arguments, each as it is.
    #[serde(default)]
    pub arguments: Vec<String>,
}

/// Why a release may not be run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unapproved {
    /// Nobody approved it.
    #[error(
        "no approver has signed {release}: have it signed with `gofleet trust approve {release}`"
    )]
    Unknown {
        /// The release.
        release: ReleaseId,
    },
    /// Other files were approved by this name.
    #[error("the approvers have signed {release} with the manifest {approved}, and not {ordered}")]
    OtherManifest {
        /// The release.
        release: ReleaseId,
        /// What was signed.
        approved: String,
        /// What is wanted.
        ordered: Digest,
    },
    /// Another package, version or platform was approved by this name.
    #[error("what the approvers have signed by the name {release} is another release")]
    OtherRelease {
        /// The release.
        release: ReleaseId,
    },
    /// The release asks for other packages than was approved.
    #[error("the approvers have signed {release} as one that {approved}, and not {asked}")]
    OtherDependencies {
        /// The release.
        release: ReleaseId,
        /// What was signed.
        approved: Dependencies,
        /// What the catalog has.
        asked: Dependencies,
    },
    /// Another command was approved.
    #[error("the approvers have signed {release} with another command to install it")]
    OtherInstall {
        /// The release.
        release: ReleaseId,
    },
}

/// The name of a release among the targets, like `go/go-1.27.3-linux-amd64`.
pub fn path(release: &ReleaseRef) -> String {
    format!("{}/{}", release.package, release.id)
}

/// What is to be signed of a release with these files.
pub fn target(release: &ReleaseRef, manifest: &Manifest, install: Option<Install>) -> TargetFile {
    target_asking(release, manifest, install, Dependencies::default())
}

/// The same of a release that asks for other packages.
pub fn target_asking(
    release: &ReleaseRef,
    manifest: &Manifest,
    install: Option<Install>,
    asked: Dependencies,
) -> TargetFile {
    let listing = manifest.listing();
    let ReleaseRef { package, version, platform, .. } = release.clone();
    let Dependencies { requires, conflicts } = asked;
    let approval = Approval { package, version, platform, install, requires, conflicts };
    TargetFile {
        length: listing.len() as u64,
        hashes: [("sha256".to_owned(), Digest::of(listing.as_bytes()).to_string())].into(),
        custom: Some(serde_json::to_value(approval).expect("an approval is plain data")),
    }
}

/// What approvers have signed that a release asks of other packages; nothing of what is no approval.
pub fn dependencies(target: &TargetFile) -> Dependencies {
    let custom = target.custom.clone().unwrap_or_default();
    let approval: Option<Approval> = serde_json::from_value(custom).ok();
    approval.map_or_else(Dependencies::default, |it| Dependencies {
        requires: it.requires,
        conflicts: it.conflicts,
    })
}

/// Whether approvers have signed that a release asks for this, and nothing else.
///
/// # Errors
///
/// [`Unapproved::OtherDependencies`] if they have not.
pub fn check_dependencies(
    target: &TargetFile,
    release: &ReleaseRef,
    asked: &Dependencies,
) -> Result<(), Unapproved> {
    let approved = dependencies(target);
    if approved == *asked {
        return Ok(());
    }
    let (release, asked) = (release.id.clone(), asked.clone());
    Err(Unapproved::OtherDependencies { release, approved, asked })
}

/// Whether approvers allow this very release, installed by this very command.
///
/// # Errors
///
/// [`Unapproved`] by name.
pub fn check(
    target: Option<&TargetFile>,
    release: &ReleaseRef,
    install: Option<&Install>,
) -> Result<(), Unapproved> {
    let id = || release.id.clone();
    let target = target.ok_or_else(|| Unapproved::Unknown { release: id() })?;
    let approved = target.hashes.get("sha256").cloned().unwrap_or_default();
    if approved != release.manifest.to_string() {
        let ordered = release.manifest;
        return Err(Unapproved::OtherManifest { release: id(), approved, ordered });
    }
    let custom = target.custom.clone().unwrap_or_default();
    let approval: Option<Approval> = serde_json::from_value(custom).ok();
    let named = ReleaseRef::id_of(&release.package, &release.version, &release.platform);
    let is_this = |it: &Approval| {
        it.package == release.package
            && it.version == release.version
            && it.platform == release.platform
            && named.as_ref() == Ok(&release.id)
    };
    let approval =
        approval.filter(is_this).ok_or_else(|| Unapproved::OtherRelease { release: id() })?;
    if approval.install.as_ref() == install {
        Ok(())
    } else {
        Err(Unapproved::OtherInstall { release: id() })
    }
}
