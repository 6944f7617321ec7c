//! The listing that `go.dev/dl/?mode=json` gives, with `include=all` for old releases too.
//!
//! The format is that of `golang.org/x/website/internal/dl` (types `Release` and `File`).

use gofleet_core::digest::Digest;
use gofleet_core::manifest::TreePath;
use gofleet_core::version;
use serde::Deserialize;
use thiserror::Error;

/// The official base address.
pub const OFFICIAL: &str = "https://go.dev/dl/";

/// All releases of a listing, the newest first; what is no version of Go comes last.
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A zip or tar.gz with `go/` inside.
    Archive,
    /// An MSI or pkg.
    Installer,
    /// The sources.
    Source,
    /// Something newer than this program.
    #[default]
    #[serde(other)]
    Other,
}

/// Which files are wanted; what is `None` or empty matches anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Versions (`1.27.3`), lines (`1.27`: the newest stable release of it), or `latest`.
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

/// What a listing holds, before it is checked: every field may be missing or odd.
#[derive(Deserialize)]
struct RawRelease {
    version: String,
    #[serde(default)]
    stable: bool,
    #[serde(default)]
    files: Vec<RawFile>,
}

#[derive(Deserialize)]
struct RawFile {
    filename: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    arch: String,
    #[serde(default)]
    sha256: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    kind: FileKind,
}

impl Listing {
    /// Reads a listing. Files whose name could lead elsewhere are left out.
    ///
    /// # Errors
    ///
    /// [`ListingError::Json`].
    pub fn parse(json: &[u8]) -> Result<Self, ListingError> {
        let raw: Vec<RawRelease> = serde_json::from_slice(json).map_err(ListingError::Json)?;
        let mut releases: Vec<ListedRelease> = raw.into_iter().map(release).collect();
        releases.sort_by(|a, b| version::compare(&b.version, &a.version));
        Ok(Self { releases })
    }

    /// The files that the query wants, newest version first.
    pub fn select(&self, query: &Query) -> Vec<&ListedFile> {
        let fits = |wanted: &[String], has: &str| {
            wanted.is_empty() || wanted.iter().any(|wanted| wanted == has)
        };
        let releases = self.releases.iter().filter(|release| self.is_wanted(release, query));
        let files = releases.flat_map(|release| &release.files);
        files
            .filter(|file| fits(&query.os, &file.os) && fits(&query.arch, &file.arch))
            .filter(|file| query.kind.is_none_or(|kind| kind == file.kind))
            .collect()
    }

    fn is_wanted(&self, release: &ListedRelease, query: &Query) -> bool {
        query.versions.is_empty()
            || query.versions.iter().any(|wanted| {
                let found = self.release(wanted);
                found.is_some_and(|found| found.version == release.version)
            })
    }

    /// The release that a version, a line or `latest` means.
    fn release(&self, wanted: &str) -> Option<&ListedRelease> {
        let wanted = wanted.strip_prefix("go").unwrap_or(wanted);
        if let Some(exact) = self.releases.iter().find(|release| release.version == wanted) {
            return Some(exact);
        }
        let mut stable = self.releases.iter().filter(|release| release.is_stable);
        if wanted == "latest" {
            return stable.next();
        }
        let line = version::is_lang(wanted).then(|| version::lang(wanted))?;
        stable.find(|release| version::lang(&release.version) == line)
    }
}

fn release(raw: RawRelease) -> ListedRelease {
    let version = raw.version.strip_prefix("go").unwrap_or(&raw.version).to_owned();
    let files = raw.files.into_iter().filter_map(|raw| file(raw, &version)).collect();
    ListedRelease { version, is_stable: raw.stable, files }
}

fn file(raw: RawFile, version: &str) -> Option<ListedFile> {
    let RawFile { filename, os, arch, sha256, size, kind } = raw;
    // A single safe component: it becomes a part of an address and the name of a file.
    let is_safe = filename.parse::<TreePath>().is_ok() && !filename.contains(['/', '%', '#']);
    let sha256 = sha256.parse().ok();
    is_safe.then(|| ListedFile {
        filename,
        version: version.to_owned(),
        os,
        arch,
        sha256,
        size,
        kind,
    })
}

/// The address of the listing of all releases below `base`, like `https://go.dev/dl/`.
pub fn listing_url(base: &str) -> String {
    format!("{}/?mode=json&include=all", base.trim_end_matches('/'))
}

/// The address of a file below `base`.
pub fn file_url(base: &str, file: &ListedFile) -> String {
    format!("{}/{}", base.trim_end_matches('/'), file.filename)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An excerpt in the form of go.dev, with the oddities of the years: no digest, an unknown
    /// kind, a version of one's own.
    const JSON: &str = include_str!("listing/sample.json");

    fn select(versions: &[&str], os: &[&str], kind: Option<FileKind>) -> Vec<String> {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let query = Query { versions: owned(versions), os: owned(os), arch: Vec::new(), kind };
        let listing = Listing::parse(JSON.as_bytes()).unwrap();
        listing.select(&query).into_iter().map(|file| file.filename.clone()).collect()
    }

    #[test]
    fn versions_lines_and_latest_are_found() {
        let archive = Some(FileKind::Archive);
        let check = |wanted: &str, expected: &[&str]| {
            assert_eq!(select(&[wanted], &["windows"], archive), expected, "{wanted}");
        };
        check("1.27.2", &["go1.27.2.windows-amd64.zip"]);
        check("go1.27.2", &["go1.27.2.windows-amd64.zip"]);
        check("1.27", &["go1.27.10.windows-amd64.zip"]);
        check("latest", &["go1.27.10.windows-amd64.zip"]);
        check("1.28rc1", &["go1.28rc1.windows-amd64.zip"]);
        check("1.4", &["go1.4.windows-amd64.zip"]);
        check("1.26", &[]);
        check("nonsense", &[]);
    }

    #[test]
    fn the_newest_comes_first_and_filters_hold() {
        let all = select(&["1.27.2", "latest"], &[], None);
        let expected = [
            "go1.27.10.src.tar.gz",
            "go1.27.10.windows-amd64.zip",
            "go1.27.2.linux-amd64.tar.gz",
            "go1.27.2.windows-amd64.msi",
            "go1.27.2.windows-amd64.zip",
        ];
        assert_eq!(all, expected);
        assert_eq!(select(&["1.27.2"], &[], Some(FileKind::Installer)), expected[3..4]);
    }

    #[test]
    fn odd_entries_do_not_hide_the_rest() {
        let listing = Listing::parse(JSON.as_bytes()).unwrap();
        let versions: Vec<_> = listing.releases.iter().map(|release| &release.version).collect();
        assert_eq!(versions, ["1.28rc1", "1.27.10", "1.27.2", "1.4", "company-build"]);
        let old = listing.select(&Query { versions: vec!["1.4".to_owned()], ..Query::default() });
        assert_eq!((old[0].sha256, old[0].size), (None, 0));
        let odd = listing.releases.last().unwrap();
        assert_eq!(odd.files.len(), 1, "names that lead elsewhere are left out: {odd:?}");
        assert_eq!(odd.files[0].kind, FileKind::Other);
    }

    #[test]
    fn what_is_no_listing_is_refused() {
        for text in ["", "{}", "<html>", "[{\"files\": []}]"] {
            assert!(Listing::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Listing::parse(b"[]").unwrap().select(&Query::default()).is_empty());
    }

    #[test]
    fn addresses_stand_below_any_base() {
        let listing = Listing::parse(JSON.as_bytes()).unwrap();
        let file = &listing.releases[0].files[0];
        for base in ["https://mirror.example/go", "https://mirror.example/go/"] {
            let expected = "https://mirror.example/go/go1.28rc1.windows-amd64.zip";
            assert_eq!(file_url(base, file), expected);
            assert_eq!(listing_url(base), "https://mirror.example/go/?mode=json&include=all");
        }
    }
}
