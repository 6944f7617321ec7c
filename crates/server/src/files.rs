//! Hashing files.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use gofleet_core::digest::Digest;
use sha2::{Digest as _, Sha256};

/// Read at once: as much as keeps the disk busy.
const CHUNK_BYTES: usize = 256 << 10;

/// The digest of a file's content.
///
/// # Errors
///
/// If it cannot be read.
pub fn digest_of(path: &Path) -> io::Result<Digest> {
    let (mut file, mut hash) = (File::open(path)?, Sha256::new());
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(Digest::from_bytes(hash.finalize().into())),
            count => hash.update(&chunk[..count]),
        }
    }
}
