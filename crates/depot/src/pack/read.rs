//! Reading packs.

use std::path::Path;

use gofleet_core::manifest::Manifest;

use super::{MAGIC, MAX_FRAME_BYTES};
use crate::archive::{Entry, Sink, Whole};
use crate::files::{Checker, LoadError};
use crate::format::codec::Codec;
use crate::format::wire::Reader;
use crate::format::{Container, FormatError, Frame, listing};
use crate::parallel;

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
    let (container, mut frames) = open(pack, manifest)?;
    frames.retain(|(_, files)| files.iter().any(|&index| wanted(index)));
    // The largest first: the threads then end at nearly the same time.
    frames.sort_by_key(|(_, files)| std::cmp::Reverse(size_of(manifest, files)));
    parallel::each(&frames, Vec::new, |plain, (frame, files)| {
        let packed = container.read(frame)?;
        let damaged = |_| FormatError::DamagedFrame(frame.number);
        let size = size_of(manifest, files) as usize;
        Codec::of(frame.codec)?.unpack(&packed, &[], size, plain).map_err(damaged)?;
        let mut rest = &plain[..];
        for &index in files {
            let file = &manifest.files()[index];
            let (content, behind) = rest.split_at(file.size as usize);
            rest = behind;
            if wanted(index) {
                let (path, size, executable) = (file.path.clone(), file.size, file.executable);
                sink.file(&Entry { path, size, executable }, &mut Whole::new(content))?;
            }
        }
        Ok(())
    })
}

/// Unpacks all of a pack and compares it with the manifest.
///
/// # Errors
///
/// [`LoadError`] if it can't be unpacked, or holds anything else than the manifest says.
pub fn check(pack: &Path, manifest: &Manifest) -> Result<(), LoadError> {
    read(pack, manifest, &|_| true, &Checker::<LoadError>::new(manifest))
}

type Frames = Vec<(Frame, Vec<usize>)>;

/// Every file stands in exactly one frame.
fn open(pack: &Path, manifest: &Manifest) -> Result<(Container, Frames), FormatError> {
    let container = Container::open(pack, MAGIC)?;
    let mut head = Reader::new(&container.head);
    if listing::read(&mut head)? != *manifest {
        return Err(FormatError::WrongRelease);
    }
    let mut is_missing = vec![true; manifest.files().len()];
    let frames = container.frames(&mut head, |head| {
        let files = head.indices(is_missing.len())?;
        if !files.iter().all(|&index| std::mem::take(&mut is_missing[index])) {
            return Err(FormatError::Malformed("a file stands in it twice"));
        }
        if size_of(manifest, &files) > MAX_FRAME_BYTES {
            return Err(FormatError::Malformed("a frame is too large"));
        }
        Ok(files)
    })?;
    if is_missing.contains(&true) {
        return Err(FormatError::Malformed("a file stands in none of its frames"));
    }
    Ok((container, frames))
}

fn size_of(manifest: &Manifest, files: &[usize]) -> u64 {
    files.iter().map(|&index| manifest.files()[index].size).sum()
}
