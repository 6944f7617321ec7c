//! Opening a root: making its folders, and finishing or undoing what a killed process left.
//!
//! Everything here may itself be killed and is then done again.

use std::fs;
use std::path::Path;

use gofleet_core::ids::ReleaseId;
use gofleet_platform::file;

use crate::error::{DepotError, failed};
use crate::removal::{self, REMOVING};
use crate::root::Root;
use crate::stage::REPLACED;

/// Makes the folders that a root has.
pub(crate) fn create_folders(root: &Root) -> Result<(), DepotError> {
    let agent = root.path().join("agent");
    for folder in
        [root.bin(), root.releases(), root.staging(), root.downloads(), root.manifests(), agent]
    {
        fs::create_dir_all(&folder).map_err(failed("create the folder", &folder))?;
    }
    Ok(())
}

/// Undoes what was left half-made. The caller holds the lock.
pub(crate) fn recover(root: &Root) -> Result<(), DepotError> {
    let staging = root.staging();
    for name in names_in(&staging)? {
        let left = staging.join(&name);
        match name.strip_prefix(REPLACED).and_then(|id| id.parse().ok()) {
            Some(id) if !root.tree(&id).exists() => put_back(root, &id, &left)?,
            Some(_) | None => {
                tracing::info!(path = %left.display(), "removing what an earlier run left");
                // A program that still runs from there keeps it; the next opening tries again.
                if let Err(error) = file::remove_tree(&left) {
                    tracing::warn!(path = %left.display(), %error, "could not be removed");
                }
            }
        }
    }
    for name in names_in(&root.manifests())? {
        let removing = name.strip_suffix(REMOVING).and_then(|id| id.parse().ok());
        if let Some(id) = removing {
            tracing::info!(release = %id, "removing it, as was begun earlier");
            if let Err(error) = removal::finish(root, &id) {
                tracing::warn!(release = %id, %error, "can't be deleted yet");
            }
            continue;
        }
        let id = name.strip_suffix(".json").and_then(|id| id.parse().ok());
        if !id.is_some_and(|id: ReleaseId| root.tree(&id).is_dir()) {
            let path = root.manifests().join(&name);
            file::remove_tree(&path).map_err(failed("remove", &path))?;
        }
    }
    Ok(())
}

/// A damaged tree was moved away, and the one to replace it never came.
fn put_back(root: &Root, id: &ReleaseId, left: &Path) -> Result<(), DepotError> {
    let tree = root.tree(id);
    tracing::info!(release = %id, "putting back a tree that was to be replaced");
    file::rename(left, &tree).map_err(failed("put back", &tree))
}

fn names_in(folder: &Path) -> Result<Vec<String>, DepotError> {
    let entries = fs::read_dir(folder).map_err(failed("read the folder", folder))?;
    entries
        .map(|entry| {
            let entry = entry.map_err(failed("read the folder", folder))?;
            Ok(entry.file_name().to_string_lossy().into_owned())
        })
        .collect()
}
