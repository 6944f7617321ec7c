//! Making files of frames, on all processors.
//!
//! A frame makes one or several files, of nothing, of files of a base, or of one that an earlier
//! frame made: the programs of a release have much in common.

mod pack;

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::{Arc, Condvar, Mutex};

use gofleet_core::manifest::{MAX_FILES, MAX_TREE_BYTES, ManifestFile};

use super::codec::Codec;
use super::wire::{Reader, Writer};
use super::{Container, FormatError, Frame};
use crate::archive::{ArchiveError, Content, Entry, Sink, Whole};
use crate::parallel;
use crate::patch::{self, Patch, Pieces, Source};

pub(crate) use self::pack::{Origin, group, pack};

/// Most bytes that the files of a frame may have, and those that it is made of.
const MAX_FRAME_BYTES: u64 = 512 << 20;
/// Number of the codec that is no [`Codec`], but a patch.
const PATCH: u8 = 16;

/// What a frame makes, and of what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    /// Which files it makes.
    pub made: Vec<usize>,
    /// Files of the base that it needs.
    pub base: Vec<usize>,
    /// Files that it needs, each of them made by an earlier frame that makes nothing else.
    pub earlier: Vec<usize>,
}

impl Parts {
    fn write(&self, to: &mut Writer) {
        to.indices(&self.made);
        to.indices(&self.base);
        to.indices(&self.earlier);
    }

    fn read(from: &mut Reader, files: usize) -> Result<Self, FormatError> {
        let made = from.indices(files)?;
        Ok(Self { made, base: from.indices(MAX_FILES)?, earlier: from.indices(files)? })
    }
}

/// Bytes of sources that all frames so far need.
struct Needed(u64);

const TOO_LARGE: FormatError = FormatError::Malformed("a frame is too large");

impl Needed {
    fn add(&mut self, bytes: u64) -> Result<(), FormatError> {
        self.0 = self.0.saturating_add(bytes);
        // One file may well be needed several times, but no tree so often.
        if bytes > MAX_FRAME_BYTES || self.0 > MAX_TREE_BYTES {
            return Err(TOO_LARGE);
        }
        Ok(())
    }
}

fn concatenate(sources: &[&Source]) -> Vec<u8> {
    sources.iter().flat_map(|source| source.bytes()).copied().collect()
}

/// The frames of a pack or delta.
pub(crate) struct Assembly {
    container: Container,
    frames: Vec<(Frame, Parts)>,
}

impl Assembly {
    /// Reads the table of frames. Each of the files is made by exactly one.
    pub(crate) fn read(
        container: Container,
        head: &mut Reader,
        files: &[ManifestFile],
    ) -> Result<Self, FormatError> {
        let size = |places: &[usize]| {
            places.iter().map(|&place| files[place].size).fold(0, u64::saturating_add)
        };
        let (mut is_made, mut is_alone) = (vec![false; files.len()], vec![false; files.len()]);
        let mut earlier = Needed(0);
        let frames = container.frames(head, |head| {
            let parts = Parts::read(head, files.len())?;
            if !parts.earlier.iter().all(|&file| is_alone[file]) {
                return Err(FormatError::Malformed("a frame needs what is not made before it"));
            }
            if parts.made.iter().any(|&file| mem::replace(&mut is_made[file], true)) {
                return Err(FormatError::Malformed("a file stands in it twice"));
            }
            if let [file] = parts.made[..] {
                is_alone[file] = true;
            }
            if size(&parts.made) > MAX_FRAME_BYTES {
                return Err(TOO_LARGE);
            }
            earlier.add(size(&parts.earlier))?;
            Ok(parts)
        })?;
        if is_made.contains(&false) {
            return Err(FormatError::Malformed("a file stands in none of its frames"));
        }
        Ok(Self { container, frames })
    }

    /// Refuses what would read far more of the base than there is. `size` tells the bytes of a file
    /// of the base.
    pub(crate) fn check_base(
        &self,
        size: impl Fn(usize) -> Option<u64>,
    ) -> Result<(), FormatError> {
        let mut needed = Needed(0);
        self.frames.iter().try_for_each(|(_, parts)| {
            let mut sizes = parts.base.iter().map(|&place| size(place));
            let sum = sizes.try_fold(0u64, |sum, size| Some(sum.saturating_add(size?)));
            needed.add(sum.ok_or(FormatError::WrongRelease)?)
        })
    }

    /// Makes the wanted files and gives them to `sink`, from several threads. Frames that are not
    /// needed are not even read.
    pub(crate) fn make<S: Sink>(
        &self,
        files: &[ManifestFile],
        wanted: &(dyn Fn(usize) -> bool + Sync),
        base: &Base<S::Error>,
        sink: &S,
    ) -> Result<(), S::Error> {
        let needed = self.needed(wanted);
        let frames: Vec<_> = self.frames.iter().filter(|frame| needed[frame.0.number]).collect();
        let shelf = Shelf::new(frames.iter().flat_map(|(_, parts)| &parts.earlier));
        parallel::each(&frames, Vec::new, |plain, (frame, parts)| {
            let guard = Guard(&shelf);
            let Some(mut sources) = shelf.take(&parts.earlier) else { return Ok(()) };
            // The base's come first.
            let mut all: Vec<_> = (base.read)(&parts.base)?.into_iter().map(Arc::new).collect();
            all.append(&mut sources);
            let explain = |error| (base.explain)(error, &parts.base, &all);
            match parts.made[..] {
                [file] if frame.codec == PATCH && !shelf.needs(file) => {
                    self.stream(frame, &files[file], &all, &explain, sink)?;
                }
                _ => {
                    self.unpack(frame, files, parts, &all, plain).map_err(explain)?;
                    hand_over(files, &parts.made, plain, wanted, sink)?;
                    shelf.put(&parts.made, plain);
                }
            }
            mem::forget(guard);
            Ok(())
        })
    }

    /// Makes a file that nobody else needs, without holding all of it.
    fn stream<S: Sink>(
        &self,
        frame: &Frame,
        file: &ManifestFile,
        sources: &[Arc<Source>],
        explain: &dyn Fn(FormatError) -> S::Error,
        sink: &S,
    ) -> Result<(), S::Error> {
        let packed = self.container.read(frame).map_err(explain)?;
        let patch = Patch::open(&packed, file.size as usize).map_err(explain)?;
        drop(packed);
        let sources: Vec<&Source> = sources.iter().map(Arc::as_ref).collect();
        let pieces = patch.pieces(&sources).map_err(explain)?;
        let mut content = Streamed { pieces, failure: None };
        let taken = sink.file(&entry(file), &mut content);
        // What went wrong here says more than what the sink made of it.
        content.failure.map_or(taken, |failure| Err(explain(failure)))
    }

    /// Which frames make something that is wanted, or that such a frame needs.
    fn needed(&self, wanted: &(dyn Fn(usize) -> bool + Sync)) -> Vec<bool> {
        let (mut needed, mut files) = (vec![false; self.frames.len()], HashSet::<usize>::new());
        for (frame, parts) in self.frames.iter().rev() {
            if parts.made.iter().any(|&file| wanted(file) || files.contains(&file)) {
                needed[frame.number] = true;
                files.extend(&parts.earlier);
            }
        }
        needed
    }

    fn unpack(
        &self,
        frame: &Frame,
        files: &[ManifestFile],
        parts: &Parts,
        sources: &[Arc<Source>],
        plain: &mut Vec<u8>,
    ) -> Result<(), FormatError> {
        let packed = self.container.read(frame)?;
        let size = parts.made.iter().map(|&file| files[file].size as usize).sum();
        let sources: Vec<&Source> = sources.iter().map(Arc::as_ref).collect();
        if frame.codec == PATCH {
            return patch::apply(&packed, &sources, size, plain);
        }
        let codec = Codec::of(frame.codec)?;
        let damaged = |_| FormatError::DamagedFrame(frame.number);
        match sources[..] {
            [] => codec.unpack(&packed, &[], size, plain),
            [one] => codec.unpack(&packed, one.bytes(), size, plain),
            _ => codec.unpack(&packed, &concatenate(&sources), size, plain),
        }
        .map_err(damaged)
    }
}

/// How files of the base are had.
pub(crate) struct Base<'a, E> {
    /// Reads some of them, by their places in the base's manifest.
    pub read: &'a ReadBase<'a, E>,
    /// Why a frame can't be unpacked, by the files of the base that it was to be unpacked with,
    /// then others.
    pub explain: &'a Explain<'a, E>,
}

type ReadBase<'a, E> = dyn Fn(&[usize]) -> Result<Vec<Source>, E> + Sync + 'a;
type Explain<'a, E> = dyn Fn(FormatError, &[usize], &[Arc<Source>]) -> E + Sync + 'a;

fn hand_over<S: Sink>(
    files: &[ManifestFile],
    made: &[usize],
    mut plain: &[u8],
    wanted: &(dyn Fn(usize) -> bool + Sync),
    sink: &S,
) -> Result<(), S::Error> {
    for &place in made {
        let file = &files[place];
        let (content, rest) = plain.split_at(file.size as usize);
        plain = rest;
        if wanted(place) {
            sink.file(&entry(file), &mut Whole::new(content))?;
        }
    }
    Ok(())
}

fn entry(file: &ManifestFile) -> Entry {
    let ManifestFile { path, size, executable, .. } = file;
    Entry { path: path.clone(), size: *size, executable: *executable }
}

/// A file that is made while it is taken.
struct Streamed<'a> {
    pieces: Pieces<'a>,
    failure: Option<FormatError>,
}

impl Content for Streamed<'_> {
    fn next(&mut self) -> Result<Option<&[u8]>, ArchiveError> {
        self.pieces.next().map_err(|error| {
            self.failure = Some(error);
            ArchiveError::Malformed("a patch can't be applied")
        })
    }
}

/// Files that were made and are still needed.
struct Shelf {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// How many frames still need a file, and the file as soon as it is made.
    files: HashMap<usize, (usize, Option<Arc<Source>>)>,
    has_failed: bool,
}

impl Shelf {
    fn new<'a>(needed: impl Iterator<Item = &'a usize>) -> Self {
        let mut files = HashMap::new();
        needed.for_each(|&file| files.entry(file).or_insert((0, None)).0 += 1);
        Self { state: Mutex::new(State { files, has_failed: false }), changed: Condvar::new() }
    }

    /// Waits for these files; none if they will not come. Each of them is being made already,
    /// since frames are begun in their order.
    fn take(&self, wanted: &[usize]) -> Option<Vec<Arc<Source>>> {
        let mut state = self.state.lock().expect("no holder panics");
        let is_there = |state: &State| wanted.iter().all(|file| state.files[file].1.is_some());
        while !state.has_failed && !is_there(&state) {
            state = self.changed.wait(state).expect("no holder panics");
        }
        if state.has_failed {
            return None;
        }
        let take = |file| {
            let (uses, source) = state.files.get_mut(file).expect("it is needed");
            *uses -= 1;
            if *uses == 0 { source.take() } else { source.clone() }
        };
        wanted.iter().map(take).collect()
    }

    /// Takes the content of a single file out of `plain`, if some frame needs it.
    fn put(&self, made: &[usize], plain: &mut Vec<u8>) {
        let &[file] = made else { return };
        let mut state = self.state.lock().expect("no holder panics");
        if let Some((_, source)) = state.files.get_mut(&file) {
            *source = Some(Arc::new(Source::new(mem::take(plain))));
            self.changed.notify_all();
        }
    }

    /// Whether some frame needs this file.
    fn needs(&self, file: usize) -> bool {
        self.state.lock().expect("no holder panics").files.contains_key(&file)
    }
}

/// Tells those who wait when a frame fails.
struct Guard<'a>(&'a Shelf);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Ok(mut state) = self.0.state.lock() {
            state.has_failed = true;
        }
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
