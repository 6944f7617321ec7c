//! Choosing what frames make, and packing them: the side that takes its time.

use std::cmp::Reverse;
use std::sync::Mutex;

use gofleet_core::manifest::ManifestFile;

use super::{PATCH, Parts};
use crate::format::Builder;
use crate::format::codec::{Codec, Preference};
use crate::parallel;
use crate::patch::{Draft, Source};

/// Bytes of small files in a frame: enough to find what they have in common, few enough to give
/// every processor several frames.
const FRAME_BYTES: u64 = 8 << 20;
/// A program of this size is made alone, and so is a file that the base has otherwise.
const ALONE_BYTES: u64 = 1 << 20;

/// Divides files among frames. `like` tells which file of the base resembles one.
pub(crate) fn group(
    files: &[ManifestFile],
    like: impl Fn(&ManifestFile) -> Option<usize>,
) -> Vec<Parts> {
    let is_alone = |&index: &usize| {
        let file: &ManifestFile = &files[index];
        file.size >= ALONE_BYTES && (file.executable || like(file).is_some())
    };
    let (mut alone, mut small): (Vec<usize>, Vec<usize>) = (0..files.len()).partition(is_alone);
    alone.sort_by_key(|&index| (Reverse(files[index].executable), Reverse(files[index].size)));
    let mut programs = Vec::new();
    let mut parts = alone.into_iter().map(|index| {
        let mut earlier = Vec::new();
        if files[index].executable {
            // The largest two have most of what all have in common; the one before is nearest.
            earlier.extend(programs.iter().take(2));
            earlier.extend(programs.iter().skip(2).last());
            programs.push(index);
        }
        Parts { made: vec![index], base: Vec::from_iter(like(&files[index])), earlier }
    });
    // Nobody has to wait for the first of the programs when small files come after it.
    let mut all: Vec<Parts> = parts.by_ref().take(1).collect();
    let ending = |index: usize| files[index].path.as_str().rsplit_once('.').map(|pair| pair.1);
    small.sort_by_key(|&index| (ending(index), index));
    let mut bytes = FRAME_BYTES;
    for index in small {
        if bytes >= FRAME_BYTES {
            all.push(Parts::default());
            bytes = 0;
        }
        let last = all.last_mut().expect("one was pushed");
        last.made.push(index);
        last.base.extend(like(&files[index]));
        bytes += files[index].size;
    }
    all.extend(parts);
    all
}

/// Where the contents come from.
pub(crate) struct Origin<'a, E> {
    /// A file that a frame makes.
    pub file: &'a (dyn Fn(usize) -> Result<Vec<u8>, E> + Sync),
    /// A file of the base.
    pub base: &'a (dyn Fn(usize) -> Result<Vec<u8>, E> + Sync),
    /// What matters more.
    pub preference: Preference,
}

/// Packs every frame, on all processors, and adds it to the builder.
pub(crate) fn pack<E: Send>(
    frames: &[Parts],
    origin: &Origin<E>,
    builder: &mut Builder,
) -> Result<(), E> {
    let packed = Mutex::new(Vec::new());
    let numbered: Vec<_> = frames.iter().enumerate().collect();
    parallel::each(
        &numbered,
        || (),
        |(), (number, parts)| {
            let frame = origin.pack(parts)?;
            packed.lock().expect("no holder panics").push((*number, frame));
            Ok(())
        },
    )?;
    let mut packed = packed.into_inner().expect("no holder panics");
    packed.sort_by_key(|(number, _)| *number);
    for (_, Packed { parts, codec, bytes }) in packed {
        builder.frame(codec, bytes, |detail| parts.write(detail));
    }
    Ok(())
}

struct Packed {
    parts: Parts,
    codec: u8,
    bytes: Vec<u8>,
}

/// A patch of more than one part in so many of its file is worth more sources.
const WORTH: usize = 50;

impl<E> Origin<'_, E> {
    fn pack(&self, parts: &Parts) -> Result<Packed, E> {
        let made = Source::new(read(self.file, &parts.made)?.concat());
        let base = read(self.base, &parts.base)?;
        let mut sources: Vec<_> = base.into_iter().map(Source::new).collect();
        let alone = Parts { earlier: Vec::new(), ..parts.clone() };
        let draft = draft(&alone, &sources, &made);
        let is_small = |draft: &Draft| draft.estimate() < made.bytes().len() / WORTH;
        if parts.earlier.is_empty() || draft.as_ref().is_some_and(is_small) {
            return Ok(self.finish(alone, draft, &sources, &made));
        }
        let earlier = read(self.file, &parts.earlier)?;
        sources.extend(earlier.into_iter().map(Source::new));
        let draft = self::draft(parts, &sources, &made);
        Ok(self.finish(parts.clone(), draft, &sources, &made))
    }

    fn finish(
        &self,
        parts: Parts,
        draft: Option<Draft>,
        sources: &[Source],
        made: &Source,
    ) -> Packed {
        let (codec, bytes) = match draft {
            Some(draft) => (PATCH, draft.pack(self.preference)),
            None => {
                let sources: Vec<&Source> = sources.iter().collect();
                let (codec, bytes) = Codec::smallest(made.bytes(), &super::concatenate(&sources));
                (codec as u8, bytes)
            }
        };
        Packed { parts, codec, bytes }
    }
}

fn read<E>(
    from: &dyn Fn(usize) -> Result<Vec<u8>, E>,
    places: &[usize],
) -> Result<Vec<Vec<u8>>, E> {
    places.iter().map(|&place| from(place)).collect()
}

/// A patch, if it is one file that is made of others.
fn draft(parts: &Parts, sources: &[Source], made: &Source) -> Option<Draft> {
    let sources: Vec<&Source> = sources.iter().collect();
    let is_one = parts.made.len() == 1 && !sources.is_empty();
    if is_one { Draft::make(&sources, made) } else { None }
}
