//! Removing releases, now or as soon as it is possible.
//!
//! 1. The manifest is renamed to `<id>.removing`. From here on the release is not installed, and
//!    what follows is done by every opening of the depot until it is done.
//! 2. The tree is moved into `staging`. That fails on Windows as long as a program in it runs; the
//!    tree then stays whole where it is.
//! 3. `<id>.removing` is removed.
//! 4. The tree is deleted; what can't be is deleted when the depot is opened next, like all that
//!    lies in `staging`.
//!
//! So the names in `manifests` are the ledger of what is still to be removed.

use gofleet_core::ids::ReleaseId;
use gofleet_platform::{checkpoint, file};

use crate::error::{DepotError, failed};
use crate::root::Root;

/// What stands behind the id in the name of the manifest of a release that is being removed.
pub(crate) const REMOVING: &str = ".removing";

/// Whether something is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Done,
    /// It is not installed any more, but its files can't be deleted yet: a program in it runs. The
    /// next opening of the depot tries again.
    Later,
}

/// Removes an installed release. The caller holds the lock and has asked whether it is needed.
pub(crate) fn remove(root: &Root, id: &ReleaseId) -> Result<Removal, DepotError> {
    let manifest = root.manifest_path(id);
    file::rename(&manifest, &root.removing_path(id)).map_err(failed("remove", &manifest))?;
    checkpoint("depot-remove-begun");
    match finish(root, id) {
        Ok(removal) => Ok(removal),
        Err(error) => {
            tracing::warn!(release = %id, %error, "can't be deleted yet");
            Ok(Removal::Later)
        }
    }
}

/// Steps 2 to 4.
pub(crate) fn finish(root: &Root, id: &ReleaseId) -> Result<Removal, DepotError> {
    let (tree, removing) = (root.tree(id), root.removing_path(id));
    let mut numbers = (0u32..).map(|n| root.staging().join(format!("removed-{n}-{id}")));
    // Unique, since an earlier one may still be there.
    let removed = numbers.find(|path| !path.exists()).expect("numbers don't end");
    if tree.exists() {
        file::rename(&tree, &removed).map_err(failed("move away", &tree))?;
    }
    checkpoint("depot-remove-renamed");
    file::remove_tree(&removing).map_err(failed("remove", &removing))?;
    match file::remove_tree(&removed) {
        Ok(()) => Ok(Removal::Done),
        Err(error) => {
            tracing::warn!(path = %removed.display(), %error, "can't be deleted yet");
            Ok(Removal::Later)
        }
    }
}
