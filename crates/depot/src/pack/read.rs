//! Reading packs.

use std::path::Path;

use gofleet_core::manifest::Manifest;

use super::MAGIC;
use crate::archive::Sink;
use crate::files::{Checker, LoadError};
use crate::format::assembly::{Assembly, Base};
use crate::format::wire::Reader;
use crate::format::{Container, FormatError, listing};

/// Gives each wanted file, known by its place in the manifest, to `sink`, from several threads.
/// Frames in which nothing is wanted are not even read. `manifest` is the pack's own.
pub(crate) fn read<S: Sink>(
    pack: &Path,
    manifest: &Manifest,
    wanted: &(dyn Fn(usize) -> bool + Sync),
    sink: &S,
) -> Result<(), S::Error>
where
    S::Error: From<FormatError>,
{
    let assembly = open(pack, manifest)?;
    let base = Base {
        read: &|places| match places {
            [] => Ok(Vec::new()),
            _ => Err(FormatError::Malformed("a pack has no base").into()),
        },
        explain: &|error, _, _| error.into(),
    };
    assembly.make(manifest.files(), wanted, &base, sink)
}

/// Unpacks all of a pack and compares it with the manifest.
///
/// # Errors
///
/// [`LoadError`] if it can't be unpacked, or holds anything else than the manifest says.
pub fn check(pack: &Path, manifest: &Manifest) -> Result<(), LoadError> {
    read(pack, manifest, &|_| true, &Checker::<LoadError>::new(manifest))
}

fn open(pack: &Path, manifest: &Manifest) -> Result<Assembly, FormatError> {
    let mut container = Container::open(pack, MAGIC)?;
    let head = std::mem::take(&mut container.head);
    let mut head = Reader::new(&head);
    if listing::read(&mut head)? != *manifest {
        return Err(FormatError::WrongRelease);
    }
    Assembly::read(container, &mut head, manifest.files())
}
