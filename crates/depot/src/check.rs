//! Comparing one open file with what a manifest says of it.

use std::fs::{File, Metadata};
use std::io::{self, Read};

use gofleet_core::digest::Digest;
use gofleet_core::manifest::ManifestFile;
use sha2::{Digest as _, Sha256};

use crate::verify::Difference;

/// Bytes that are read at once: enough for most files of Go, and the second level cache of a
/// processor holds them until they are hashed.
pub(crate) const CHUNK: usize = 256 << 10;

/// A kind of difference, for the file that it is found in.
pub(crate) type Kind = fn(String) -> Difference;

/// In what the file differs, if it does. It is read whole, once.
pub(crate) fn difference(
    file: &mut File,
    metadata: &Metadata,
    expected: &ManifestFile,
    chunk: &mut [u8],
) -> io::Result<Option<Kind>> {
    if metadata.len() != expected.size {
        return Ok(Some(Difference::Size));
    }
    if digest(file, expected.size, chunk)? != Some(expected.sha256) {
        return Ok(Some(Difference::Content));
    }
    Ok(mode(metadata, expected))
}

/// The digest of the first `size` bytes; none if there are fewer.
pub(crate) fn digest(file: &mut File, size: u64, chunk: &mut [u8]) -> io::Result<Option<Digest>> {
    let (mut hash, mut left) = (Sha256::new(), size);
    while left > 0 {
        let wanted = left.min(chunk.len() as u64) as usize;
        match file.read(&mut chunk[..wanted]) {
            Ok(0) => return Ok(None),
            Ok(count) => {
                hash.update(&chunk[..count]);
                left -= count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(Digest::from_bytes(hash.finalize().into())))
}

/// Whether it may be executed but should not, or the other way round.
pub(crate) fn mode(metadata: &Metadata, expected: &ManifestFile) -> Option<Kind> {
    Some(Difference::Mode as Kind).filter(|_| !has_mode(metadata, expected.executable))
}

fn has_mode(metadata: &Metadata, executable: bool) -> bool {
    // Windows tells programs by their names.
    cfg!(windows) || is_executable(metadata) == executable
}

/// Whether its owner may execute it; never on Windows.
#[cfg(unix)]
pub(crate) fn is_executable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o100 != 0
}

/// Whether its owner may execute it; never on Windows.
#[cfg(not(unix))]
pub(crate) fn is_executable(_metadata: &Metadata) -> bool {
    false
}
