//! Making deltas.

use std::path::Path;
use std::sync::Mutex;

use gofleet_core::manifest::{Manifest, ManifestFile};

use super::{DeltaError, MAGIC, PATCH, Parts, patch};
use crate::files::Files;
use crate::format::codec::Codec;
use crate::format::listing::Changes;
use crate::format::wire::Writer;
use crate::format::{Builder, Made};
use crate::parallel;

/// Bytes of small files in a frame: enough to find what they have in common, few enough to give
/// every processor several frames.
const FRAME_BYTES: u64 = 4 << 20;
/// A file of this size is compared with its like in the base alone.
const ALONE_BYTES: u64 = 1 << 20;

/// Makes the delta from one release to another.
///
/// # Errors
///
/// [`DeltaError::Source`] if a file can't be read, [`DeltaError::Write`] if the delta can't be
/// written.
pub fn make(base: &dyn Files, target: &dyn Files, delta: &Path) -> Result<Made, DeltaError> {
    let (from, to) = (base.manifest(), target.manifest());
    let changes = Changes::between(from, to);
    let frames: Vec<_> = group(from, &changes.fresh).into_iter().enumerate().collect();
    let packed = Mutex::new(Vec::new());
    parallel::each(
        &frames,
        || (),
        |(), (number, parts)| {
            let places = parts.fresh.iter().map(|&fresh| {
                to.index_of(changes.fresh[fresh].path.as_str()).expect("a file of the target")
            });
            let plain = concatenate(target, places)?;
            let prefix = concatenate(base, parts.base.iter().copied())?;
            let (codec, bytes) = smallest(&plain, &prefix, parts.fresh.len() == 1);
            packed.lock().expect("no holder panics").push((*number, codec, bytes));
            Ok::<(), DeltaError>(())
        },
    )?;
    let mut packed = packed.into_inner().expect("no holder panics");
    packed.sort_by_key(|(number, ..)| *number);
    let mut head = Writer::default();
    head.bytes(from.digest().as_bytes());
    head.bytes(to.digest().as_bytes());
    changes.write(from, &mut head);
    let mut builder = Builder::new(MAGIC, head);
    for ((_, codec, bytes), (_, parts)) in packed.into_iter().zip(&frames) {
        builder.frame(codec, bytes, |detail| {
            detail.indices(&parts.fresh);
            detail.indices(&parts.base);
        });
    }
    builder.write(delta).map_err(DeltaError::Write)
}

/// The way that makes least of `plain`, and what it makes.
fn smallest(plain: &[u8], prefix: &[u8], is_alone: bool) -> (u8, Vec<u8>) {
    if is_alone && let Some(patch) = patch::make(prefix, plain) {
        return (PATCH, patch);
    }
    let (codec, bytes) = Codec::smallest(plain, prefix);
    (codec as u8, bytes)
}

/// Which files are made together: the large ones alone, the others by their endings and folders.
fn group(base: &Manifest, fresh: &[ManifestFile]) -> Vec<Parts> {
    let like = |file: &ManifestFile| base.index_of(file.path.as_str());
    let (mut large, mut small): (Vec<usize>, Vec<usize>) =
        (0..fresh.len()).partition(|&index| fresh[index].size >= ALONE_BYTES);
    large.sort_by_key(|&index| std::cmp::Reverse(fresh[index].size));
    let alone =
        |index: usize| Parts { fresh: vec![index], base: Vec::from_iter(like(&fresh[index])) };
    let mut frames: Vec<Parts> = large.into_iter().map(alone).collect();
    let path = |index: usize| fresh[index].path.as_str();
    small.sort_by_key(|&index| (path(index).rsplit_once('.').map(|(_, ending)| ending), index));
    let mut bytes = FRAME_BYTES;
    for index in small {
        if bytes >= FRAME_BYTES {
            frames.push(Parts { fresh: Vec::new(), base: Vec::new() });
            bytes = 0;
        }
        let frame = frames.last_mut().expect("one was pushed");
        frame.fresh.push(index);
        frame.base.extend(like(&fresh[index]));
        bytes += fresh[index].size;
    }
    frames
}

fn concatenate(
    files: &dyn Files,
    mut places: impl Iterator<Item = usize>,
) -> Result<Vec<u8>, DeltaError> {
    places.try_fold(Vec::new(), |mut all, place| {
        let content = files.read(place).map_err(|source| {
            let path = files.manifest().files()[place].path.to_string();
            DeltaError::Source { path, source }
        })?;
        all.extend(content);
        Ok(all)
    })
}
