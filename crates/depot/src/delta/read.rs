//! Reading deltas.

use std::path::Path;

use gofleet_core::digest::Digest;
use gofleet_core::manifest::{MAX_FILES, Manifest, ManifestFile};

use super::{BaseFile, Delta, DeltaError, MAGIC, MAX_FRAME_BYTES, PATCH, Parts, patch};
use crate::archive::{Entry, Sink, Whole};
use crate::format::codec::Codec;
use crate::format::listing::Changes;
use crate::format::wire::Reader;
use crate::format::{Container, FormatError};
use crate::parallel;

/// Every fresh file is made by exactly one frame.
pub(super) fn open(path: &Path) -> Result<Delta, FormatError> {
    let container = Container::open(path, MAGIC)?;
    let mut head = Reader::new(&container.head);
    let base = Digest::from_bytes(head.array()?);
    let target = Digest::from_bytes(head.array()?);
    let changes = Changes::read(&mut head)?;
    let mut is_missing = vec![true; changes.fresh().len()];
    let frames = container.frames(&mut head, |head| {
        let parts =
            Parts { fresh: head.indices(is_missing.len())?, base: head.indices(MAX_FILES)? };
        if !parts.fresh.iter().all(|&index| std::mem::take(&mut is_missing[index])) {
            return Err(FormatError::Malformed("a file stands in it twice"));
        }
        if size_of(changes.fresh(), &parts.fresh) > MAX_FRAME_BYTES {
            return Err(FormatError::Malformed("a frame is too large"));
        }
        Ok(parts)
    })?;
    if is_missing.contains(&true) {
        return Err(FormatError::Malformed("a file stands in none of its frames"));
    }
    Ok(Delta { container, base, target, changes, frames })
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
    parallel::each(&delta.frames, Vec::new, |plain, (frame, parts)| {
        let sources = base_of(base, base_file, &parts.base)?;
        let size = size_of(delta.changes.fresh(), &parts.fresh) as usize;
        let packed = delta.container.read(frame).map_err(DeltaError::Format)?;
        let unpacked = match frame.codec {
            PATCH => patch::apply(&packed, &sources, size, plain),
            other => Codec::of(other).and_then(|codec| {
                let damaged = |_| FormatError::DamagedFrame(frame.number);
                codec.unpack(&packed, &sources, size, plain).map_err(damaged)
            }),
        };
        if let Err(error) = unpacked {
            return Err(changed(base, &parts.base, &sources).unwrap_or(error.into()).into());
        }
        let mut rest = &plain[..];
        for &index in &parts.fresh {
            let ManifestFile { path, size, executable, .. } = &delta.changes.fresh()[index];
            let (content, behind) = rest.split_at(*size as usize);
            rest = behind;
            let entry = Entry { path: path.clone(), size: *size, executable: *executable };
            sink.file(&entry, &mut Whole::new(content))?;
        }
        Ok(())
    })
}

/// The files of the base, one behind the other, each as long as the manifest says.
fn base_of(base: &Manifest, base_file: BaseFile, places: &[usize]) -> Result<Vec<u8>, DeltaError> {
    let files = base.files();
    if places.iter().any(|&place| place >= files.len()) {
        return Err(FormatError::WrongRelease.into());
    }
    if places.iter().map(|&place| files[place].size).sum::<u64>() > MAX_FRAME_BYTES {
        return Err(FormatError::Malformed("a frame is too large").into());
    }
    let mut all = Vec::new();
    for file in places.iter().map(|&place| &files[place]) {
        let path = || file.path.to_string();
        let content =
            base_file(file).map_err(|source| DeltaError::Base { path: path(), source })?;
        if content.len() as u64 != file.size {
            return Err(DeltaError::BaseChanged { path: path() });
        }
        if all.is_empty() {
            all = content;
        } else {
            all.extend(content);
        }
    }
    Ok(all)
}

/// The file of the base that is not as the manifest says, if there is one.
fn changed(base: &Manifest, places: &[usize], content: &[u8]) -> Option<DeltaError> {
    let mut rest = content;
    places.iter().map(|&place| &base.files()[place]).find_map(|file| {
        let (content, behind) = rest.split_at(file.size as usize);
        rest = behind;
        let is_same = Digest::of(content) == file.sha256;
        (!is_same).then(|| DeltaError::BaseChanged { path: file.path.to_string() })
    })
}

fn size_of(files: &[ManifestFile], places: &[usize]) -> u64 {
    places.iter().map(|&place| files[place].size).fold(0, u64::saturating_add)
}
