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

use crate::format::FormatError;
use crate::format::codec::Codec;
use crate::format::wire::{Reader, Writer};

use self::address::{AddressMap, Votes};
use self::image::{Image, Region, address_of};
use self::matches::Copy;
use self::references::{Kind, Reference, References};

/// Most bytes of a file: positions in it are numbers with 32 bits.
const MAX_BYTES: usize = 1 << 30;

/// An executable, or any other file, and where it says addresses.
struct Side<'a> {
    bytes: &'a [u8],
    regions: Vec<Region>,
    references: References,
}

impl<'a> Side<'a> {
    fn read(bytes: &'a [u8]) -> (Self, std::ops::Range<u64>) {
        match Image::parse(bytes) {
            Some(image) => {
                let references = References::find(bytes, &image);
                (Self { bytes, regions: image.regions, references }, image.addresses)
            }
            None => (Self::plain(bytes), 0..0),
        }
    }

    /// A file in which addresses do not matter.
    fn plain(bytes: &'a [u8]) -> Self {
        Self { bytes, regions: Vec::new(), references: References::default() }
    }

    fn target(&self, reference: Reference) -> Option<u64> {
        let at = reference.at as usize;
        let site = address_of(&self.regions, at)
            .or(matches!(reference.kind, Kind::Based(_)).then_some(0))?;
        Some(reference.target(&self.bytes[at..at + reference.len()], site, &self.references.bases))
    }
}

/// What a patch is told by.
struct Plan {
    copies: Vec<Copy>,
    map: AddressMap,
}

/// The patch that makes `new` of `old`; none if they can't be handled.
pub(super) fn make(old: &[u8], new: &[u8]) -> Option<Vec<u8>> {
    if old.len() > MAX_BYTES || new.len() > MAX_BYTES {
        return None;
    }
    let ((old, addresses), (new, _)) = (Side::read(old), Side::read(new));
    let plan = plan(&old, &new, addresses);
    Some(write(&old, &new, &plan))
}

fn plan(old: &Side, new: &Side, addresses: std::ops::Range<u64>) -> Plan {
    // First by what does not depend on addresses, then by where they lead to.
    let is_relative = |reference: &Reference| matches!(reference.kind, Kind::Relative(_));
    let blank = |side: &Side| {
        let mut bytes = side.bytes.to_vec();
        for reference in side.references.all.iter().filter(|reference| is_relative(reference)) {
            bytes[reference.at as usize..][..4].fill(0);
        }
        bytes
    };
    let copies = matches::find(&blank(old), &blank(new));
    let map = votes(old, new, &copies).map(addresses.clone());
    if map.is_empty() {
        return Plan { copies, map };
    }
    let label = |side: &Side, map: Option<&AddressMap>| {
        let mut bytes = side.bytes.to_vec();
        for &reference in &side.references.all {
            let Some(target) = side.target(reference) else { continue };
            let target = map.map_or(target, |map| map.apply(target));
            bytes[reference.at as usize..][..4].copy_from_slice(&(target as u32).to_le_bytes());
        }
        bytes
    };
    let copies = matches::find(&label(old, Some(&map)), &label(new, None));
    let map = votes(old, new, &copies).map(addresses);
    Plan { copies, map }
}

/// What the references that stand in copies were and became.
fn votes(old: &Side, new: &Side, copies: &[Copy]) -> Votes {
    let mut votes = Votes::default();
    for copy in copies {
        let became = new.references.within(copy.new, copy.new + copy.length);
        let mut became = became.iter().peekable();
        for &was in old.references.within(copy.old, copy.old + copy.length) {
            let at = (was.at as usize - copy.old + copy.new) as u32;
            while became.next_if(|next| next.at < at).is_some() {}
            let Some(&&is) = became.peek() else { break };
            if is.at != at || is.kind != was.kind {
                continue;
            }
            if let (Some(was), Some(is)) = (old.target(was), new.target(is)) {
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

fn write(old: &Side, new: &Side, plan: &Plan) -> Vec<u8> {
    let mut streams: [Writer; STREAMS] = Default::default();
    write_setup(new, &mut streams[SETUP]);
    let [.., steps, shifts] = &mut streams;
    plan.map.write(steps, shifts);
    let place =
        Placing { old, regions: &new.regions, bases: &new.references.bases, map: &plan.map };
    let (mut new_at, mut old_at, mut gap) = (0, 0, 0);
    let mut copied = Vec::new();
    for copy in &plan.copies {
        streams[SKIPS].varint((copy.new - new_at) as u64);
        streams[LENGTHS].varint(copy.length as u64);
        streams[SEEKS].signed(copy.old as i64 - old_at as i64);
        streams[LITERALS].bytes(&new.bytes[new_at..copy.new]);
        place.copy(copy, &mut copied);
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
        let (codec, packed) = Codec::smallest_of_all(stream.as_bytes());
        patch.u8(codec as u8);
        patch.varint(stream.as_bytes().len() as u64);
        patch.varint(packed.len() as u64);
        patch.bytes(&packed);
    }
    patch.as_bytes().to_vec()
}

fn write_setup(new: &Side, to: &mut Writer) {
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
    old: &'a Side<'a>,
    regions: &'a [Region],
    bases: &'a [u64],
    map: &'a AddressMap,
}

impl Placing<'_> {
    /// Replaces the content of `copied`.
    fn copy(&self, copy: &Copy, copied: &mut Vec<u8>) {
        let end = copy.old + copy.length;
        copied.clear();
        copied.extend_from_slice(&self.old.bytes[copy.old..end]);
        if self.map.is_empty() {
            return;
        }
        for &reference in self.old.references.within(copy.old, end) {
            let at = reference.at as usize - copy.old;
            let Some(target) = self.old.target(reference) else { continue };
            let site = address_of(self.regions, copy.new + at).or(matches!(
                reference.kind,
                Kind::Based(_)
            )
            .then_some(0));
            let Some(site) = site else { continue };
            let bytes = &mut copied[at..at + reference.len()];
            reference.set(bytes, self.map.apply(target), site, self.bases);
        }
    }
}

/// Applies a patch to `old`; `new` becomes the file of `size` bytes.
pub(super) fn apply(
    patch: &[u8],
    old: &[u8],
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
    let [.., steps, shifts] = &mut streams;
    let (old, addresses) =
        if steps.is_at_end() { (Side::plain(old), 0..0) } else { Side::read(old) };
    let map = AddressMap::read(steps, shifts, addresses)?;
    if bases.len() != old.references.bases.len() && !map.is_empty() {
        return Err(BROKEN);
    }
    let place = Placing { old: &old, regions: &regions, bases: &bases, map: &map };
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
        let end = old.checked_add(length).ok_or(BROKEN)?;
        if end > place.old.bytes.len() {
            return Err(BROKEN);
        }
        place.copy(&Copy { new: new.len(), old, length }, &mut copied);
        fixes.correct(&mut copied)?;
        new.extend_from_slice(&copied);
        old_at = end as i64;
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
        let patch = make(old, new).unwrap();
        let mut found = Vec::new();
        apply(&patch, old, new.len(), &mut found).unwrap();
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
