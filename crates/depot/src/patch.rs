//! One file from another: copies of the old one, in which addresses are put right, then corrected.
//!
//! When a function grows by a few bytes, everything behind it moves, and every instruction and
//! table that names what has moved changes: a thousand bytes for each that was written by a
//! person. So a patch tells what moved by how much; whoever applies it finds the places that say
//! addresses in the old executable, and puts the new addresses into the copies. What is still wrong
//! then is corrected byte by byte.

mod address;
mod golang;
mod image;
mod matches;
mod references;

use std::ops::Range;
use std::sync::OnceLock;

use crate::format::FormatError;
use crate::format::codec::{Codec, Preference};
use crate::format::wire::{Reader, Writer};

use self::address::{AddressMap, SPACE_BITS, Votes};
use self::image::{Image, Region, address_of};
use self::matches::Copy;
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

/// What a patch is told by.
struct Plan {
    copies: Vec<Copy>,
    map: AddressMap,
}

/// The patch that makes `new` of the sources; none if they can't be handled.
pub(crate) fn make(sources: &[&Source], new: &Source, preference: Preference) -> Option<Vec<u8>> {
    let parts = parts(sources)?;
    if new.bytes.len() > MAX_BYTES {
        return None;
    }
    let plan = plan(&parts, new);
    Some(write(&parts, new, &plan, preference))
}

fn plan(parts: &[Part], new: &Source) -> Plan {
    // First by what does not depend on addresses, then by where they lead to.
    let blank = |source: &Source, bytes: &mut Vec<u8>| {
        let start = bytes.len();
        bytes.extend_from_slice(&source.bytes);
        for reference in &source.addressed().references.all {
            if matches!(reference.kind, Kind::Relative(_)) {
                bytes[start + reference.at as usize..][..4].fill(0);
            }
        }
    };
    let (mut was, mut is) = (Vec::new(), Vec::new());
    parts.iter().for_each(|part| blank(part.source, &mut was));
    blank(new, &mut is);
    let copies = split(matches::find(&was, &is), parts);
    let images = images(parts);
    let map = votes(parts, new, &copies).map(&images);
    if map.is_empty() {
        return Plan { copies, map };
    }
    let label = |source: &Source,
                 start: usize,
                 target: &dyn Fn(Reference) -> Option<u64>,
                 bytes: &mut [u8]| {
        bytes[start..][..source.bytes.len()].copy_from_slice(&source.bytes);
        for &reference in &source.addressed().references.all {
            if let Some(target) = target(reference) {
                let label = (target as u32).to_le_bytes();
                bytes[start + reference.at as usize..][..4].copy_from_slice(&label);
            }
        }
    };
    for part in parts {
        let target = |reference| part.target(reference).map(|target| map.apply(target));
        label(part.source, part.place.start, &target, &mut was);
    }
    label(new, 0, &|reference| new.addressed().target(&new.bytes, reference), &mut is);
    let copies = split(matches::find(&was, &is), parts);
    let map = votes(parts, new, &copies).map(&images);
    Plan { copies, map }
}

/// Cuts copies where one old file ends and the next begins.
fn split(copies: Vec<Copy>, parts: &[Part]) -> Vec<Copy> {
    let mut all = Vec::with_capacity(copies.len());
    for mut copy in copies {
        while let Some(part) = part_of(parts, copy.old).filter(|_| copy.length > 0) {
            let length = copy.length.min(part.place.end - copy.old);
            all.push(Copy { length, ..copy });
            copy = Copy {
                new: copy.new + length,
                old: copy.old + length,
                length: copy.length - length,
            };
        }
    }
    all
}

/// What the references that stand in copies were and became.
fn votes(parts: &[Part], new: &Source, copies: &[Copy]) -> Votes {
    let (mut votes, addressed) = (Votes::default(), new.addressed());
    for copy in copies {
        let part = part_of(parts, copy.old).expect("copies are of old files");
        let became = addressed.references.within(copy.new, copy.new + copy.length);
        let mut became = became.iter().peekable();
        for (offset, was) in part.within(copy.old, copy.length) {
            let at = (copy.new + offset) as u32;
            while became.next_if(|next| next.at < at).is_some() {}
            let Some(&&is) = became.peek() else { break };
            if is.at != at || is.kind != was.kind {
                continue;
            }
            if let (Some(was), Some(is)) = (part.target(was), addressed.target(&new.bytes, is)) {
                votes.add(was, is);
            }
        }
    }
    votes
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

fn write(parts: &[Part], new: &Source, plan: &Plan, preference: Preference) -> Vec<u8> {
    let mut streams: [Writer; STREAMS] = Default::default();
    write_setup(new.addressed(), &mut streams[SETUP]);
    let [.., steps, shifts] = &mut streams;
    plan.map.write(steps, shifts);
    let addressed = new.addressed();
    let (regions, bases) = (&addressed.regions, &addressed.references.bases);
    let place = Placing { parts, regions, bases, map: &plan.map };
    let (mut new_at, mut old_at, mut gap) = (0, 0, 0);
    let mut copied = Vec::new();
    for copy in &plan.copies {
        streams[SKIPS].varint((copy.new - new_at) as u64);
        streams[LENGTHS].varint(copy.length as u64);
        streams[SEEKS].signed(copy.old as i64 - old_at as i64);
        streams[LITERALS].bytes(&new.bytes[new_at..copy.new]);
        place.copy(copy, &mut copied).expect("copies are of old files");
        for (copied, wanted) in copied.iter().zip(&new.bytes[copy.new..]) {
            if copied == wanted {
                gap += 1;
            } else {
                streams[GAPS].varint(gap);
                streams[FIXES].u8(wanted.wrapping_sub(*copied));
                gap = 0;
            }
        }
        (new_at, old_at) = (copy.new + copy.length, copy.old + copy.length);
    }
    streams[LITERALS].bytes(&new.bytes[new_at..]);
    let mut patch = Writer::default();
    for stream in &streams {
        let (codec, packed) = Codec::smallest_of_all(stream.as_bytes(), preference);
        patch.u8(codec as u8);
        patch.varint(stream.as_bytes().len() as u64);
        patch.varint(packed.len() as u64);
        patch.bytes(&packed);
    }
    patch.as_bytes().to_vec()
}

fn write_setup(new: &Addressed, to: &mut Writer) {
    to.varint(new.regions.len() as u64);
    let mut last = (0, 0);
    for region in &new.regions {
        to.varint((region.file.start - last.0) as u64);
        to.varint(region.file.len() as u64);
        to.signed(region.address.wrapping_sub(last.1) as i64);
        last = (region.file.end, region.address);
    }
    to.varint(new.references.bases.len() as u64);
    for &base in &new.references.bases {
        to.varint(base);
    }
}

/// Copies, and puts addresses right.
struct Placing<'a> {
    parts: &'a [Part<'a>],
    regions: &'a [Region],
    bases: &'a [u64],
    map: &'a AddressMap,
}

impl Placing<'_> {
    /// Replaces the content of `copied`; none if that is not within one of the old files.
    fn copy(&self, copy: &Copy, copied: &mut Vec<u8>) -> Option<()> {
        copied.clear();
        let part = part_of(self.parts, copy.old)?;
        let start = copy.old - part.place.start;
        copied.extend_from_slice(part.source.bytes.get(start..start.checked_add(copy.length)?)?);
        if self.map.is_empty() {
            return Some(());
        }
        for (at, reference) in part.within(copy.old, copy.length) {
            let Some(target) = part.target(reference) else { continue };
            let Some(site) = site(self.regions, copy.new + at, reference.kind) else { continue };
            let bytes = &mut copied[at..at + reference.len()];
            reference.set(bytes, self.map.apply(target), site, self.bases);
        }
        Some(())
    }
}

/// Applies a patch to its sources; `new` becomes the file of `size` bytes.
pub(crate) fn apply(
    patch: &[u8],
    sources: &[&Source],
    size: usize,
    new: &mut Vec<u8>,
) -> Result<(), FormatError> {
    let (mut patch, mut streams) = (Reader::new(patch), <[Vec<u8>; STREAMS]>::default());
    let most = 2 * size + (1 << 20);
    for stream in &mut streams {
        let codec = Codec::of(patch.u8()?)?;
        let (plain, packed) = (patch.count(most)?, patch.count(most)?);
        let packed = patch.bytes(packed)?;
        codec.unpack(packed, &[], plain, stream).map_err(|_| BROKEN)?;
    }
    let mut streams = streams.each_ref().map(|stream| Reader::new(stream));
    let (regions, bases) = read_setup(&mut streams[SETUP])?;
    let parts = parts(sources).ok_or(BROKEN)?;
    let [.., steps, shifts] = &mut streams;
    // Where nothing moved, nobody needs to know where addresses are said.
    let images = if steps.is_at_end() { Vec::new() } else { images(&parts) };
    let map = AddressMap::read(steps, shifts, &images)?;
    let place = Placing { parts: &parts, regions: &regions, bases: &bases, map: &map };
    build(&place, &mut streams, size, new)
}

const BROKEN: FormatError = FormatError::Malformed("a patch in it is broken");

type Setup = (Vec<Region>, Vec<u64>);

fn read_setup(from: &mut Reader) -> Result<Setup, FormatError> {
    let (mut regions, mut last) = (Vec::new(), (0usize, 0u64));
    for _ in 0..from.count(1 << 10)? {
        let start = last.0 + from.count(MAX_BYTES)?;
        let end = start + from.count(MAX_BYTES)?;
        let address = last.1.wrapping_add_signed(from.signed()?);
        regions.push(Region { file: start..end, address, is_code: false });
        last = (end, address);
    }
    let count = from.count(1 << 10)?;
    let bases = (0..count).map(|_| from.varint()).collect::<Result<_, _>>()?;
    Ok((regions, bases))
}

fn build(
    place: &Placing,
    streams: &mut [Reader; STREAMS],
    size: usize,
    new: &mut Vec<u8>,
) -> Result<(), FormatError> {
    new.clear();
    new.reserve_exact(size);
    let (mut old_at, mut copied) = (0i64, Vec::new());
    let mut fixes = Fixes::new(streams[GAPS].clone(), streams[FIXES].clone())?;
    while !streams[LENGTHS].is_at_end() {
        let skip = streams[SKIPS].count(size - new.len())?;
        new.extend_from_slice(streams[LITERALS].bytes(skip)?);
        let length = streams[LENGTHS].count(size - new.len())?;
        old_at = old_at.checked_add(streams[SEEKS].signed()?).ok_or(BROKEN)?;
        let old = usize::try_from(old_at).map_err(|_| BROKEN)?;
        place.copy(&Copy { new: new.len(), old, length }, &mut copied).ok_or(BROKEN)?;
        fixes.correct(&mut copied)?;
        new.extend_from_slice(&copied);
        old_at += length as i64;
    }
    let rest = size - new.len();
    new.extend_from_slice(streams[LITERALS].bytes(rest)?);
    let used = [SKIPS, SEEKS, LITERALS].iter().all(|&stream| streams[stream].is_at_end());
    if used && fixes.is_at_end() { Ok(()) } else { Err(BROKEN) }
}

/// What must be corrected in the copies.
struct Fixes<'a> {
    gaps: Reader<'a>,
    values: Reader<'a>,
    /// Right bytes before the next correction; none if there is no other.
    gap: Option<usize>,
}

impl<'a> Fixes<'a> {
    fn new(gaps: Reader<'a>, values: Reader<'a>) -> Result<Self, FormatError> {
        let mut fixes = Self { gaps, values, gap: None };
        fixes.advance()?;
        Ok(fixes)
    }

    fn advance(&mut self) -> Result<(), FormatError> {
        self.gap = if self.gaps.is_at_end() { None } else { Some(self.gaps.count(MAX_BYTES)?) };
        Ok(())
    }

    fn correct(&mut self, copied: &mut [u8]) -> Result<(), FormatError> {
        let mut at = 0;
        while let Some(gap) = self.gap {
            if gap >= copied.len() - at {
                self.gap = Some(gap - (copied.len() - at));
                break;
            }
            at += gap;
            copied[at] = copied[at].wrapping_add(self.values.u8()?);
            at += 1;
            self.advance()?;
        }
        Ok(())
    }

    fn is_at_end(&self) -> bool {
        self.gap.is_none() && self.values.is_at_end()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(old: &[u8], new: &[u8]) -> usize {
        let (start, end) = old.split_at(old.len() / 3);
        let sources = [start, end].map(|part| Source::new(part.to_vec()));
        let sources = sources.each_ref();
        let patch = make(&sources, &Source::new(new.to_vec()), Preference::Size).unwrap();
        let mut found = Vec::new();
        apply(&patch, &sources, new.len(), &mut found).unwrap();
        assert!(found == new);
        patch.len()
    }

    proptest! {
        #[test]
        fn any_file_from_any_other(
            old in prop::collection::vec(0u8..4, 0..500),
            new in prop::collection::vec(0u8..4, 0..500),
        ) {
            check(&old, &new);
            check(&[&old[..], &new].concat(), &[&new[..], &old, &new].concat());
        }
    }

    #[test]
    fn a_small_change_makes_a_small_patch() {
        let old: Vec<u8> = (0..100_000u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
        let mut new = old.clone();
        new[5000] ^= 1;
        new.splice(9000..9003, [1, 2, 3, 4, 5, 6, 7]);
        assert!(check(&old, &new) < 100);
    }
}
