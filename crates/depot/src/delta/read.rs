//! Reading deltas.

use std::path::Path;
use std::sync::Arc;

use gofleet_core::digest::Digest;
use gofleet_core::manifest::Manifest;

use super::{BaseFile, Delta, DeltaError, MAGIC};
use crate::archive::Sink;
use crate::format::assembly::{Assembly, Base};
use crate::format::listing::Changes;
use crate::format::wire::Reader;
use crate::format::{Container, FormatError};
use crate::patch::Source;

pub(super) fn open(path: &Path) -> Result<Delta, FormatError> {
    let mut container = Container::open(path, MAGIC)?;
    let head = std::mem::take(&mut container.head);
    let mut head = Reader::new(&head);
    let base = Digest::from_bytes(head.array()?);
    let target = Digest::from_bytes(head.array()?);
    let changes = Changes::read(&mut head)?;
    let assembly = Assembly::read(container, &mut head, changes.fresh())?;
    Ok(Delta { assembly, base, target, changes })
}

pub(super) fn read<S: Sink>(
    delta: &Delta,
    base: &Manifest,
    base_file: BaseFile,
    sink: &S,
) -> Result<(), S::Error>
where
    S::Error: From<DeltaError>,
{
    let size = |place: usize| base.files().get(place).map(|file| file.size);
    delta.assembly.check_base(size).map_err(DeltaError::Format)?;
    let base = Base {
        read: &|places| read_base(base, base_file, places).map_err(S::Error::from),
        explain: &|error, places, sources| {
            changed(base, places, sources).unwrap_or(error.into()).into()
        },
    };
    delta.assembly.make(delta.changes.fresh(), &|_| true, &base, sink)
}

/// Files of the base, each as long as the manifest says.
fn read_base(
    base: &Manifest,
    base_file: BaseFile,
    places: &[usize],
) -> Result<Vec<Source>, DeltaError> {
    let read = |&place: &usize| {
        let file = base.files().get(place).ok_or(FormatError::WrongRelease)?;
        let path = || file.path.to_string();
        let content =
            base_file(file).map_err(|source| DeltaError::Base { path: path(), source })?;
        if content.len() as u64 != file.size {
            return Err(DeltaError::BaseChanged { path: path() });
        }
        Ok(Source::new(content))
    };
    places.iter().map(read).collect()
}

/// The file of the base that is not as the manifest says, if there is one.
fn changed(base: &Manifest, places: &[usize], sources: &[Arc<Source>]) -> Option<DeltaError> {
    places.iter().zip(sources).find_map(|(&place, source)| {
        let file = base.files().get(place)?;
        let is_same = Digest::of(source.bytes()) == file.sha256;
        (!is_same).then(|| DeltaError::BaseChanged { path: file.path.to_string() })
    })
}
