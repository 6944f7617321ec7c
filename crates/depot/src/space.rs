//! Room on the disk, looked for before the first byte is written.

use gofleet_core::manifest::Manifest;
use gofleet_platform::free_space;

use crate::error::{DepotError, failed};
use crate::root::Root;

/// Allocation unit of NTFS, ext4, XFS and APFS unless chosen otherwise.
const BLOCK: u64 = 4096;
/// What folders, the manifest and the file system's own records take, and what must stay for
/// other programs: room for one small build.
const RESERVE: u64 = 32 << 20;

/// Refuses to begin what would not fit.
pub(crate) fn check(root: &Root, manifest: &Manifest) -> Result<(), DepotError> {
    let free_bytes = free_space(root.path()).map_err(failed("ask for the room on", root.path()))?;
    let needed_bytes = needed(manifest);
    if free_bytes < needed_bytes {
        let root = root.path().to_owned();
        return Err(DepotError::NoSpace { root, needed_bytes, free_bytes });
    }
    Ok(())
}

/// Bytes that a tree takes on the disk, with a reserve.
fn needed(manifest: &Manifest) -> u64 {
    let blocks: u64 = manifest.files().iter().map(|file| file.size.div_ceil(BLOCK) + 1).sum();
    blocks * BLOCK + RESERVE
}
