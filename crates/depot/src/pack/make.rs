//! Making packs.

use std::path::Path;
use std::sync::Mutex;

use gofleet_core::manifest::{Manifest, ManifestFile};

use super::{MAGIC, PackError};
use crate::files::{Files as _, LoadedFiles};
use crate::format::codec::Codec;
use crate::format::wire::Writer;
use crate::format::{Builder, Made, listing};
use crate::parallel;

/// Bytes of small files in a frame: enough to find what they have in common, few enough to give
/// every processor several frames.
const FRAME_BYTES: u64 = 4 << 20;

/// Makes a pack of the archive, which must be what the manifest describes.
///
/// # Errors
///
/// [`PackError::Load`] if the archive can't be read or is another, [`PackError::Write`] if the
/// pack can't be written.
pub fn make(archive: &Path, manifest: &Manifest, pack: &Path) -> Result<Made, PackError> {
    let files = LoadedFiles::from_archive(archive, manifest.clone(), None);
    let files = files.map_err(PackError::Load)?;
    let frames: Vec<_> = group(manifest.files()).into_iter().enumerate().collect();
    let packed = Mutex::new(Vec::new());
    let compress = |(): &mut (), (number, frame): &(usize, Vec<usize>)| {
        let mut plain = Vec::new();
        for &index in frame {
            plain.extend(files.read(index).map_err(PackError::Write)?);
        }
        let (codec, bytes) = Codec::smallest(&plain, &[]);
        packed.lock().expect("no holder panics").push((*number, codec, bytes));
        Ok::<(), PackError>(())
    };
    parallel::each(&frames, || (), compress)?;
    let mut packed = packed.into_inner().expect("no holder panics");
    packed.sort_by_key(|(number, ..)| *number);
    let mut head = Writer::default();
    listing::write(manifest, &mut head);
    let mut builder = Builder::new(MAGIC, head);
    for ((_, codec, bytes), (_, frame)) in packed.into_iter().zip(&frames) {
        builder.frame(codec as u8, bytes, |detail| detail.indices(frame));
    }
    builder.write(pack).map_err(PackError::Write)
}

/// Which files make up a frame: all executables, which have much in common, in one; the others by
/// their endings and folders.
fn group(files: &[ManifestFile]) -> Vec<Vec<usize>> {
    let (programs, mut others): (Vec<usize>, Vec<usize>) =
        (0..files.len()).partition(|&index| files[index].executable);
    let path = |index: usize| files[index].path.as_str();
    others.sort_by_key(|&index| (path(index).rsplit_once('.').map(|(_, ending)| ending), index));
    let mut frames = vec![programs];
    let mut bytes = FRAME_BYTES;
    for index in others {
        if bytes >= FRAME_BYTES {
            frames.push(Vec::new());
            bytes = 0;
        }
        frames.last_mut().expect("one was pushed").push(index);
        bytes += files[index].size;
    }
    frames.retain(|frame| !frame.is_empty());
    frames
}
