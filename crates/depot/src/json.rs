//! The depot's own small files.

use std::fs;
use std::io;
use std::path::Path;

use gofleet_platform::{Access, atomic_write};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{DepotError, failed};

/// Reads a file; none if there is none.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, DepotError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| DepotError::Corrupt { path: path.to_owned(), source }),
    }
}

/// Replaces a file in one step; when this returns it is safe on disk.
pub(crate) fn save(path: &Path, value: &impl Serialize) -> Result<(), DepotError> {
    let bytes = serde_json::to_vec(value).expect("the depot's types have string keys only");
    atomic_write(path, &bytes, Access::Everyone).map_err(failed("save", path))
}
