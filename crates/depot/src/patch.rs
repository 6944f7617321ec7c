//! One file from another: copies of the old one, in which addresses are put right, then corrected.
//!
//! When a function grows by a few bytes, everything behind it moves, and every instruction and
//! table that names what has moved changes: a thousand bytes for each that was written by a
//! person. So a patch tells what moved by how much; whoever applies it finds the places that say
//! addresses in the old executable, and puts the new addresses into the copies. What is still wrong
//! then is corrected byte by byte.

mod address;
mod apply;
mod golang;
mod image;
mod make;
mod matches;
mod references;

use std::ops::Range;
use std::sync::OnceLock;

use self::address::{AddressMap, SPACE_BITS};
pub(crate) use self::apply::{Patch, Pieces, apply};
use self::image::{Image, Region, address_of};
pub(crate) use self::make::Draft;
use self::references::{Kind, Reference, References};

/// Most bytes of a file: positions in it are numbers with 32 bits.
const MAX_BYTES: usize = 1 << 30;
/// Most files that a patch copies from.
const MAX_SOURCES: usize = 16;

/// A file to copy from.
#[derive(Debug, Default)]
pub(crate) struct Source {
    bytes: Vec<u8>,
    addressed: OnceLock<Addressed>,
}

/// Where a file stands in memory and says addresses: nowhere, unless it is an executable.
#[derive(Debug, Default)]
struct Addressed {
    regions: Vec<Region>,
    addresses: Range<u64>,
    references: References,
}

impl Source {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, addressed: OnceLock::new() }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn addressed(&self) -> &Addressed {
        self.addressed.get_or_init(|| Addressed::of(&self.bytes))
    }
}

impl Addressed {
    fn of(bytes: &[u8]) -> Self {
        let Some(image) = Image::parse(bytes) else { return Self::default() };
        let references = References::find(bytes, &image);
        Self { regions: image.regions, addresses: image.addresses, references }
    }

    /// What the reference at its place in `bytes` leads to.
    fn target(&self, bytes: &[u8], reference: Reference) -> Option<u64> {
        let at = reference.at as usize;
        let site = site(&self.regions, at, reference.kind)?;
        Some(reference.target(&bytes[at..at + reference.len()], site, &self.references.bases))
    }
}

/// Where a reference stands, if that matters.
fn site(regions: &[Region], at: usize, kind: Kind) -> Option<u64> {
    match kind {
        Kind::Relative(_) => address_of(regions, at),
        Kind::Absolute | Kind::Based(_) => Some(0),
    }
}

/// One of the files to copy from; a patch counts their bytes one after the other.
#[derive(Clone)]
struct Part<'a> {
    place: Range<usize>,
    /// Its number, as its addresses hold it.
    space: u64,
    source: &'a Source,
}

impl Part<'_> {
    fn target(&self, reference: Reference) -> Option<u64> {
        let target = self.source.addressed().target(&self.source.bytes, reference)?;
        Some(target.wrapping_add(self.space))
    }

    /// The references in a range of the old files' bytes, and where they stand in it.
    fn within(&self, old: usize, length: usize) -> impl Iterator<Item = (usize, Reference)> {
        let start = old - self.place.start;
        let references = self.source.addressed().references.within(start, start + length);
        references.iter().map(move |&reference| (reference.at as usize - start, reference))
    }
}

fn parts<'a>(sources: &[&'a Source]) -> Option<Vec<Part<'a>>> {
    let mut start = 0usize;
    let part = |(number, source): (usize, &&'a Source)| {
        let place = start..start + source.bytes.len();
        start = place.end;
        Part { place, space: (number as u64) << SPACE_BITS, source }
    };
    let parts: Vec<_> = sources.iter().enumerate().map(part).collect();
    (start <= MAX_BYTES && parts.len() <= MAX_SOURCES).then_some(parts)
}

fn images(parts: &[Part]) -> Vec<Range<u64>> {
    let image = |part: &Part| {
        let Range { start, end } = part.source.addressed().addresses;
        start + part.space..end + part.space
    };
    parts.iter().map(image).collect()
}

fn part_of<'a, 'b>(parts: &'b [Part<'a>], at: usize) -> Option<&'b Part<'a>> {
    parts.iter().find(|part| part.place.contains(&at))
}

/// How many streams a patch has. The last two are the map of addresses: where its steps begin, and
/// what changes there.
const STREAMS: usize = 9;
/// Where the new executable's parts stand, and the bases of its references.
const SETUP: usize = 0;
/// Bytes before each copy that are in no copy.
const SKIPS: usize = 1;
/// Bytes of each copy.
const LENGTHS: usize = 2;
/// Where each copy is from, relative to where the last one ended.
const SEEKS: usize = 3;
/// The bytes that are in no copy.
const LITERALS: usize = 4;
/// Bytes of copies that are right before each one that is not.
const GAPS: usize = 5;
/// What must be added to these.
const FIXES: usize = 6;

/// A part of the new file that is copied from an old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    new: usize,
    old: usize,
    length: usize,
}

/// Copies, and puts addresses right.
struct Placing<'a> {
    parts: Vec<Part<'a>>,
    /// Of the new file.
    regions: Vec<Region>,
    /// Of the new file.
    bases: Vec<u64>,
    map: AddressMap,
}

impl Placing<'_> {
    /// Adds a copy to `to`; none if that is not within one of the old files.
    fn copy(&self, span: Span, to: &mut Vec<u8>) -> Option<()> {
        let part = part_of(&self.parts, span.old)?;
        let start = span.old - part.place.start;
        let first = to.len();
        to.extend_from_slice(part.source.bytes.get(start..start.checked_add(span.length)?)?);
        if self.map.is_empty() {
            return Some(());
        }
        for (at, reference) in part.within(span.old, span.length) {
            let Some(target) = part.target(reference) else { continue };
            let Some(site) = site(&self.regions, span.new + at, reference.kind) else { continue };
            let bytes = &mut to[first + at..][..reference.len()];
            reference.set(bytes, self.map.apply(target), site, &self.bases);
        }
        Some(())
    }

    /// The first place from `old` on at which a copy can be cut in two without cutting a reference.
    fn cut(&self, old: usize) -> usize {
        const LONGEST: usize = 8;
        let Some(part) = part_of(&self.parts, old) else { return old };
        if self.map.is_empty() {
            return old;
        }
        let start = old.saturating_sub(LONGEST).max(part.place.start);
        let mut near = part.within(start, old + LONGEST - start);
        let across = near
            .find(|(at, reference)| (start + at + 1..start + at + reference.len()).contains(&old));
        across.map_or(old, |(at, reference)| start + at + reference.len())
    }
}

#[cfg(test)]
mod tests;
