//! The manifest of a release: every file with its path, size, mode and digest.
//!
//! What is on disk is compared with it, always. A [`TreePath`] can only be made from a name that
//! is safe below any root on Windows and on Linux alike, and a [`Manifest`] only from files that
//! can stand side by side on a file system that ignores case; so hostile archives are refused
//! where they are read, on every platform in the same words.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::digest::Digest;

/// Longest path of a file in a release, in bytes. The longest in Go 1.27.3 has 113; Windows
/// without long paths allows 260 in all, so this leaves half of them for the root.
pub const MAX_PATH_BYTES: usize = 240;
/// Most files in a release. Go 1.27.3 has 12,087; ten times that leaves room for any toolchain.
pub const MAX_FILES: usize = 200_000;
/// Most bytes in a release. Go 1.27.3 has 228 MB.
pub const MAX_TREE_BYTES: u64 = 4 << 30;

/// A path below the root of a release's tree: `/` between components, safe on every platform.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TreePath(String);

/// Why a name may not stand in a release's tree.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unsafe path `{path}`: {reason}")]
pub struct UnsafePath {
    /// The name as it was given, cut after 200 characters, control characters escaped.
    pub path: String,
    /// What is wrong with it.
    pub reason: UnsafePathReason,
}

/// What makes a name unsafe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnsafePathReason {
    /// No name at all, or an empty component.
    #[error("it has an empty component")]
    Empty,
    /// Begins with `/`, or names a drive.
    #[error("it is absolute")]
    Absolute,
    /// `.` or `..`.
    #[error("it climbs with `.` or `..`")]
    Climbs,
    /// A `\`, which separates components on Windows only.
    #[error("it has a backslash")]
    Backslash,
    /// `:`, which names a drive or an alternate data stream.
    #[error("it has a colon (a drive or an alternate data stream)")]
    Colon,
    /// A control character or one of `<>"|?*`.
    #[error("it has a character that Windows does not allow")]
    Character,
    /// A dot or a space at the end of a component, which Windows drops.
    #[error("a component ends with a dot or a space")]
    TrailingDotOrSpace,
    /// `CON`, `NUL` and their kind, with any ending.
    #[error("a component is a device name of Windows")]
    DeviceName,
    /// Longer than [`MAX_PATH_BYTES`].
    #[error("it is longer than {MAX_PATH_BYTES} bytes")]
    TooLong,
}

/// Names that Windows gives to devices in every folder, whatever ending follows
/// (learn.microsoft.com, "Naming Files, Paths, and Namespaces").
const DEVICE_NAMES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

impl TreePath {
    /// The path as text, `/` between components.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as a file system that ignores case would compare it.
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

impl FromStr for TreePath {
    type Err = UnsafePath;

    fn from_str(path: &str) -> Result<Self, UnsafePath> {
        let refuse = |reason| UnsafePath {
            path: path.chars().take(200).flat_map(char::escape_debug).collect(),
            reason,
        };
        if path.len() > MAX_PATH_BYTES {
            return Err(refuse(UnsafePathReason::TooLong));
        }
        if path.contains('\\') {
            return Err(refuse(UnsafePathReason::Backslash));
        }
        let is_drive = path.as_bytes().get(1) == Some(&b':')
            && path.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
        if path.starts_with('/') || is_drive {
            return Err(refuse(UnsafePathReason::Absolute));
        }
        path.split('/').try_for_each(check_component).map_err(refuse)?;
        Ok(Self(path.to_owned()))
    }
}

fn check_component(component: &str) -> Result<(), UnsafePathReason> {
    if component.is_empty() {
        return Err(UnsafePathReason::Empty);
    }
    if component == "." || component == ".." {
        return Err(UnsafePathReason::Climbs);
    }
    if component.contains(':') {
        return Err(UnsafePathReason::Colon);
    }
    if component.chars().any(|c| c.is_control() || "<>\"|?*".contains(c)) {
        return Err(UnsafePathReason::Character);
    }
    if component.ends_with(['.', ' ']) {
        return Err(UnsafePathReason::TrailingDotOrSpace);
    }
    let stem = component.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    let is_numbered_port = stem.strip_prefix("com").or(stem.strip_prefix("lpt")).is_some_and(|n| {
        let mut digits = n.chars();
        matches!((digits.next(), digits.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
    });
    if DEVICE_NAMES.contains(&stem.as_str()) || is_numbered_port {
        return Err(UnsafePathReason::DeviceName);
    }
    Ok(())
}

impl TryFrom<String> for TreePath {
    type Error = UnsafePath;

    fn try_from(path: String) -> Result<Self, UnsafePath> {
        path.parse()
    }
}

impl From<TreePath> for String {
    fn from(path: TreePath) -> Self {
        path.0
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One file of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ManifestFile {
    /// Where it stands below the tree's root.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub path: TreePath,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it may be executed (mode 0755, else 0644; Windows ignores it).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
    /// The SHA-256 of its content.
    pub sha256: Digest,
}

/// Every file of a release, in the order of their paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(try_from = "UncheckedManifest")]
pub struct Manifest {
    files: Vec<ManifestFile>,
}

#[derive(Deserialize)]
struct UncheckedManifest {
    files: Vec<ManifestFile>,
}

/// Why files cannot make up a release's tree.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidManifest {
    /// There is no file in it.
    #[error("the release has no files")]
    Empty,
    /// More than [`MAX_FILES`].
    #[error("the release has more than {MAX_FILES} files")]
    TooManyFiles,
    /// More than [`MAX_TREE_BYTES`].
    #[error("the release unpacks to more than {MAX_TREE_BYTES} bytes")]
    TooLarge,
    /// Two names that are one on a file system that ignores case.
    #[error("`{first}` and `{second}` are the same file where case does not count")]
    Duplicate {
        /// The name that came first.
        first: TreePath,
        /// The name that collides with it.
        second: TreePath,
    },
    /// One name is a file and the folder of another file.
    #[error("`{file}` is a file and the folder of `{below}`")]
    FileAndFolder {
        /// The file.
        file: TreePath,
        /// What would have to stand below it.
        below: TreePath,
    },
}

impl Manifest {
    /// The manifest of a tree of these files.
    ///
    /// # Errors
    ///
    /// [`InvalidManifest`] if they could not stand side by side on every file system, or are too
    /// many or too large.
    pub fn new(mut files: Vec<ManifestFile>) -> Result<Self, InvalidManifest> {
        if files.is_empty() {
            return Err(InvalidManifest::Empty);
        }
        if files.len() > MAX_FILES {
            return Err(InvalidManifest::TooManyFiles);
        }
        let bytes = files.iter().try_fold(0u64, |sum, file| sum.checked_add(file.size));
        if bytes.is_none_or(|bytes| bytes > MAX_TREE_BYTES) {
            return Err(InvalidManifest::TooLarge);
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        check_collisions(&files)?;
        Ok(Self { files })
    }

    /// The files in the order of their paths.
    pub fn files(&self) -> &[ManifestFile] {
        &self.files
    }

    /// The sum of the sizes, in bytes.
    pub fn tree_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// The file at `path`, if the release has it.
    pub fn file(&self, path: &str) -> Option<&ManifestFile> {
        self.index_of(path).map(|at| &self.files[at])
    }

    /// Where the file at `path` stands in [`files`](Self::files), if the release has it.
    pub fn index_of(&self, path: &str) -> Option<usize> {
        self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok()
    }

    /// The digest that stands for the whole tree: SHA-256 over its [`listing`](Self::listing).
    pub fn digest(&self) -> Digest {
        Digest::of(self.listing().as_bytes())
    }

    /// One line a file, `<sha256> <x or -> <size> <path>\n`, in the order of the paths.
    pub fn listing(&self) -> String {
        let mut lines = String::with_capacity(self.files.len() * 120);
        for ManifestFile { path, size, executable, sha256 } in &self.files {
            let mode = if *executable { 'x' } else { '-' };
            writeln!(lines, "{sha256} {mode} {size} {path}").expect("a string takes any text");
        }
        lines
    }
}

fn check_collisions(files: &[ManifestFile]) -> Result<(), InvalidManifest> {
    let folded: Vec<String> = files.iter().map(|file| file.path.folded()).collect();
    let mut seen: HashMap<&str, &TreePath> = HashMap::with_capacity(files.len());
    for (file, folded) in files.iter().zip(&folded) {
        if let Some(first) = seen.insert(folded, &file.path) {
            let (first, second) = (first.clone(), file.path.clone());
            return Err(InvalidManifest::Duplicate { first, second });
        }
    }
    // Most files stand in the folder of the file before them, which has been looked at.
    let mut before = "";
    for (file, folded) in files.iter().zip(&folded) {
        let folder = folded.rsplit_once('/').map_or("", |(folder, _)| folder);
        if folder == before {
            continue;
        }
        before = folder;
        let ends = folder.match_indices('/').map(|(slash, _)| slash).chain([folder.len()]);
        for end in ends {
            if let Some(parent) = seen.get(&folder[..end]) {
                let (file, below) = ((*parent).clone(), file.path.clone());
                return Err(InvalidManifest::FileAndFolder { file, below });
            }
        }
    }
    Ok(())
}

impl TryFrom<UncheckedManifest> for Manifest {
    type Error = InvalidManifest;

    fn try_from(unchecked: UncheckedManifest) -> Result<Self, InvalidManifest> {
        Self::new(unchecked.files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> ManifestFile {
        ManifestFile {
            path: path.parse().unwrap(),
            size: 3,
            executable: false,
            sha256: Digest::of(b"abc"),
        }
    }

    #[test]
    fn hostile_names_are_refused_by_reason() {
        type R = UnsafePathReason;
        let cases: &[(&str, R)] = &[
            ("", R::Empty),
            ("a//b", R::Empty),
            ("a/", R::Empty),
            ("/etc/passwd", R::Absolute),
            ("C:/Windows/x", R::Absolute),
            ("c:x", R::Absolute),
            ("../x", R::Climbs),
            ("a/../../x", R::Climbs),
            ("./x", R::Climbs),
            ("a\\..\\x", R::Backslash),
            ("\\\\server\\share", R::Backslash),
            ("bin/go.exe:evil", R::Colon),
            ("a\nb", R::Character),
            ("a\0b", R::Character),
            ("what?", R::Character),
            ("bin/go.", R::TrailingDotOrSpace),
            ("bin /go", R::TrailingDotOrSpace),
            ("CON", R::DeviceName),
            ("lib/nul.txt", R::DeviceName),
            ("Com1.go", R::DeviceName),
            ("lpt9", R::DeviceName),
            ("aux .c", R::DeviceName),
            (&"x".repeat(MAX_PATH_BYTES + 1), R::TooLong),
        ];
        for (path, reason) in cases {
            assert_eq!(path.parse::<TreePath>().unwrap_err().reason, *reason, "{path:?}");
        }
    }

    #[test]
    fn ordinary_names_pass() {
        for path in ["bin/go.exe", "src/cmd/go.mod", "lib/.hidden", "a/..b", "com10", "ü/日本"] {
            assert!(path.parse::<TreePath>().is_ok(), "{path}");
        }
    }

    #[test]
    fn files_that_cannot_stand_side_by_side_are_refused() {
        let of = |names: &[&str]| Manifest::new(names.iter().map(|name| file(name)).collect());
        assert!(matches!(of(&[]), Err(InvalidManifest::Empty)));
        assert!(matches!(of(&["bin/go", "BIN/Go"]), Err(InvalidManifest::Duplicate { .. })));
        assert!(matches!(of(&["a", "a"]), Err(InvalidManifest::Duplicate { .. })));
        assert!(matches!(of(&["a/b/c", "A/B"]), Err(InvalidManifest::FileAndFolder { .. })));
        let mut huge = file("huge");
        huge.size = u64::MAX;
        let bomb = Manifest::new(vec![huge, file("b")]);
        assert!(matches!(bomb, Err(InvalidManifest::TooLarge)));
    }

    #[test]
    fn the_digest_does_not_depend_on_the_order_given() {
        let one = Manifest::new(vec![file("b"), file("a")]).unwrap();
        let two = Manifest::new(vec![file("a"), file("b")]).unwrap();
        assert_eq!(one.digest(), two.digest());
        let mut changed = file("b");
        changed.executable = true;
        let three = Manifest::new(vec![file("a"), changed]).unwrap();
        assert_ne!(one.digest(), three.digest());
        assert_eq!(one.file("b").map(|file| file.size), Some(3));
        assert!(one.file("c").is_none());
    }

    #[test]
    fn a_manifest_read_from_text_is_checked_again() {
        let manifest = Manifest::new(vec![file("bin/go")]).unwrap();
        let text = serde_json::to_string(&manifest).unwrap();
        assert_eq!(serde_json::from_str::<Manifest>(&text).unwrap(), manifest);
        let hostile = text.replace("bin/go", "../go");
        assert!(serde_json::from_str::<Manifest>(&hostile).is_err());
    }
}
