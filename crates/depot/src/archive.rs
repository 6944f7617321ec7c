//! Reading archives that nobody vouches for.

use std::path::Path;

use gofleet_core::ids::PackageName;
use gofleet_core::manifest::Manifest;
use gofleet_core::release::{Archive, Platform};
use thiserror::Error;

/// What an archive holds, as read from its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// The package: `go`.
    pub package: PackageName,
    /// From `VERSION`, without `go`: `1.27.3`.
    pub version: String,
    /// From the executables.
    pub platform: Platform,
    /// Digest, size and format of the archive itself.
    pub archive: Archive,
    /// Every file that it unpacks to.
    pub manifest: Manifest,
}

/// Why an archive is refused.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// No Go in it.
    #[error("not Go")]
    NotGo,
}

/// Reads an archive of Go: version, platform and manifest, all from its content.
///
/// # Errors
///
/// [`ArchiveError`] if it can't be read, is hostile, or is not Go.
pub fn inspect(_path: &Path) -> Result<Inspected, ArchiveError> {
    Err(ArchiveError::NotGo)
}
