//! Comparing a tree on disk with its manifest: every file, nothing else, on all processors.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use gofleet_core::digest::Digest;
use gofleet_core::ids::ReleaseId;
use gofleet_core::manifest::{Manifest, ManifestFile};
use gofleet_platform::file::{Identity, identity};
use gofleet_platform::{Folder, Found};
use serde::Serialize;
use thiserror::Error;

use crate::check::{self, CHUNK, Kind};
use crate::error::{DepotError, failed};
use crate::parallel;
use crate::stage::Progress;

/// A tree was compared with its manifest and is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Files that were compared: all of the manifest.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One thing in which a tree is not what its manifest says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Error, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// The manifest has it, the tree does not.
    #[error("`{0}` is missing")]
    Missing(String),
    /// The tree has it, the manifest does not.
    #[error("`{0}` does not belong there")]
    Unexpected(String),
    /// A link, a folder or something else stands where a file should be.
    #[error("`{0}` is not an ordinary file")]
    NotAFile(String),
    /// It has another size.
    #[error("`{0}` has another size")]
    Size(String),
    /// It has another content.
    #[error("`{0}` has another content")]
    Content(String),
    /// It may not be executed but should be, or the other way round.
    #[error("`{0}` has another mode")]
    Mode(String),
}

/// The digests of files that were read already, so that none is read under each of its names.
pub(crate) type Read = Mutex<HashMap<Identity, Digest>>;

/// Compares all, and says all differences in one error.
pub(crate) fn intact(
    id: &ReleaseId,
    tree: &Path,
    manifest: &Manifest,
    progress: &dyn Progress,
) -> Result<Verified, DepotError> {
    let differences = differences(tree, manifest, None, progress)?;
    match differences.first().cloned() {
        None => Ok(Verified { files: manifest.files().len() as u64, bytes: manifest.tree_bytes() }),
        Some(first) => {
            Err(DepotError::Damaged { id: id.clone(), first, differences: differences.len() })
        }
    }
}

/// Everything in which a tree differs from its manifest, in order.
pub(crate) fn differences(
    tree: &Path,
    manifest: &Manifest,
    read: Option<&Read>,
    progress: &dyn Progress,
) -> Result<Vec<Difference>, DepotError> {
    let mut differences = thread::scope(|scope| {
        // The names are read while the files are.
        let walk = scope.spawn(|| {
            let mut unexpected = Vec::new();
            find_unexpected(tree, "", manifest, &mut unexpected).map(|()| unexpected)
        });
        let mut differences = compare_files(tree, manifest, read, progress)?;
        differences.extend(walk.join().expect("reading names does not panic")?);
        Ok::<_, DepotError>(differences)
    })?;
    differences.sort();
    Ok(differences)
}

fn compare_files(
    tree: &Path,
    manifest: &Manifest,
    read: Option<&Read>,
    progress: &dyn Progress,
) -> Result<Vec<Difference>, DepotError> {
    let mut files: Vec<&ManifestFile> = manifest.files().iter().collect();
    files.sort_by_key(|file| Reverse(file.size));
    let folder = Folder::open(tree).map_err(failed("open the folder", tree))?;
    let found = Mutex::new(Vec::new());
    parallel::each(
        &files,
        || vec![0; CHUNK],
        |chunk, file| {
            let kind = compare(&folder, file, read, chunk);
            let kind = kind.map_err(|error| failed("read", &tree.join(file.path.as_str()))(error));
            if let Some(kind) = kind? {
                found.lock().expect("no holder panics").push(kind(file.path.to_string()));
            }
            progress.file_done(file.size);
            Ok(())
        },
    )?;
    Ok(found.into_inner().expect("no holder panics"))
}

fn compare(
    folder: &Folder,
    expected: &ManifestFile,
    read: Option<&Read>,
    chunk: &mut [u8],
) -> io::Result<Option<Kind>> {
    let (mut file, metadata) = match folder.find(expected.path.as_str())? {
        Found::Absent => return Ok(Some(Difference::Missing)),
        Found::NotAFile => return Ok(Some(Difference::NotAFile)),
        Found::File(file, metadata) => (file, metadata),
    };
    let Some(read) = read else {
        return check::difference(&mut file, &metadata, expected, chunk);
    };
    let (identity, _) = identity(&file, &metadata)?;
    if metadata.len() != expected.size {
        return Ok(Some(Difference::Size));
    }
    let known = read.lock().expect("no holder panics").get(&identity).copied();
    let digest = match known {
        Some(digest) => Some(digest),
        None => check::digest(&mut file, expected.size, chunk)?,
    };
    if let Some(digest) = digest {
        read.lock().expect("no holder panics").insert(identity, digest);
    }
    if digest != Some(expected.sha256) {
        return Ok(Some(Difference::Content));
    }
    Ok(check::mode(&metadata, expected))
}

/// A file where a folder should be makes everything below it absent.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Walks through `tree` for whatever the manifest does not have; links are not followed. Empty
/// folders are nothing.
fn find_unexpected(
    tree: &Path,
    below: &str,
    manifest: &Manifest,
    differences: &mut Vec<Difference>,
) -> Result<(), DepotError> {
    let folder = tree.join(below);
    let entries = match fs::read_dir(&folder) {
        Err(error) if is_absent(&error) => return Ok(()),
        entries => entries.map_err(failed("read the folder", &folder))?,
    };
    for entry in entries {
        let entry = entry.map_err(failed("read the folder", &folder))?;
        let kind = entry.file_type().map_err(failed("read the folder", &folder))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = if below.is_empty() { name.into_owned() } else { format!("{below}/{name}") };
        if kind.is_dir() {
            find_unexpected(tree, &path, manifest, differences)?;
        } else if manifest.file(&path).is_none() {
            differences.push(Difference::Unexpected(path));
        }
    }
    Ok(())
}
