//! A whole release in independently compressed frames: less than its archive, and unpacked by all
//! processors.
//!
//! A pack carries the release's manifest. It proves nothing: whoever unpacks it compares the
//! manifest's digest with the one that was ordered, and every file with the manifest.

mod make;
mod read;

use std::io;
use std::path::Path;

use gofleet_core::manifest::Manifest;
use thiserror::Error;

use crate::files::LoadError;
use crate::format::wire::Reader;
use crate::format::{Container, FormatError, Magic, listing};

pub use self::make::make;
pub use self::read::check;
pub(crate) use self::read::read;

const MAGIC: Magic = *b"gofleetP";

/// Why a pack can't be made or used.
#[derive(Debug, Error)]
pub enum PackError {
    /// The release's files can't be had.
    #[error("the release can't be read")]
    Load(#[source] LoadError),
    /// The pack can't be written.
    #[error("it could not be written")]
    Write(#[source] io::Error),
    /// The pack can't be read.
    #[error("the pack can't be used")]
    Format(#[source] FormatError),
}

/// The manifest of the release that a pack holds. The caller compares its digest with the one
/// that was ordered.
///
/// # Errors
///
/// [`PackError::Format`] if it can't be read.
pub fn manifest(pack: &Path) -> Result<Manifest, PackError> {
    let pack = Container::open(pack, MAGIC).map_err(PackError::Format)?;
    listing::read(&mut Reader::new(&pack.head)).map_err(PackError::Format)
}
