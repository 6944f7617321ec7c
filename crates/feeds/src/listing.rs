//! The listing that `go.dev/dl/?mode=json` gives, with `include=all` for old releases too.
//!
//! The format is that of `golang.org/x/website/internal/dl` (types `Release` and `File`).

use gofleet_core::digest::Digest;
use serde::Deserialize;
use thiserror::Error;

/// The official base address.
pub const OFFICIAL: &str = "https://go.dev/dl/";

/// All releases of a listing, in its order: the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The releases.
    pub releases: Vec<ListedRelease>,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRelease {
    /// Without the `go` prefix: `1.27.3`.
    pub version: String,
    /// Whether the listing calls it stable.
    pub is_stable: bool,
    /// Its files.
    pub files: Vec<ListedFile>,
}

/// One file of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFile {
    /// Its name, which is also its address below the base.
    pub filename: String,
    /// Version without `go`.
    pub version: String,
    /// Go's `GOOS`; empty for sources.
    pub os: String,
    /// Go's `GOARCH`; empty for sources.
    pub arch: String,
    /// The published digest; releases before 2016 have none.
    pub sha256: Option<Digest>,
    /// Size in bytes; 0 if not told.
    pub size: u64,
    /// What it is.
    pub kind: FileKind,
}

/// What a listed file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A zip or tar.gz with `go/` inside.
    Archive,
    /// An MSI or pkg.
    Installer,
    /// The sources.
    Source,
    /// Something newer than this program.
    #[serde(other)]
    Other,
}

/// Which files are wanted; what is `None` or empty matches anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// A version (`1.27.3`), a line (`1.27`: its newest release), or `latest`.
    pub versions: Vec<String>,
    /// Go's `GOOS`.
    pub os: Vec<String>,
    /// Go's `GOARCH`.
    pub arch: Vec<String>,
    /// What it is.
    pub kind: Option<FileKind>,
}

/// The listing can't be understood.
#[derive(Debug, Error)]
pub enum ListingError {
    /// Not the JSON that it should be.
    #[error("not a listing of Go downloads (expected the JSON of go.dev/dl/?mode=json)")]
    Json(#[source] serde_json::Error),
}

impl Listing {
    /// Reads a listing.
    ///
    /// # Errors
    ///
    /// [`ListingError::Json`].
    pub fn parse(_json: &[u8]) -> Result<Self, ListingError> {
        Ok(Self { releases: Vec::new() })
    }

    /// The files that the query wants, newest version first.
    pub fn select(&self, _query: &Query) -> Vec<&ListedFile> {
        Vec::new()
    }
}

/// The address of the listing of all releases below `base`, like `https://go.dev/dl/`.
pub fn listing_url(base: &str) -> String {
    format!("{}/?mode=json&include=all", base.trim_end_matches('/'))
}

/// The address of a file below `base`.
pub fn file_url(base: &str, file: &ListedFile) -> String {
    format!("{}/{}", base.trim_end_matches('/'), file.filename)
}
