//! Applying patches, piece by piece.

use super::address::AddressMap;
use super::image::Region;
use super::{
    FIXES, GAPS, LENGTHS, LITERALS, MAX_BYTES, Placing, SEEKS, SETUP, SKIPS, STREAMS, Source, Span,
    images, parts,
};
use crate::format::FormatError;
use crate::format::codec::Codec;
use crate::format::wire::Reader;

/// Bytes of a piece, about.
const PIECE_BYTES: usize = 256 << 10;

/// A patch whose streams are unpacked.
pub(crate) struct Patch {
    streams: [Vec<u8>; STREAMS],
    size: usize,
}

impl Patch {
    /// Unpacks a patch that makes `size` bytes.
    pub(crate) fn open(patch: &[u8], size: usize) -> Result<Self, FormatError> {
        let (mut patch, mut streams) = (Reader::new(patch), <[Vec<u8>; STREAMS]>::default());
        // All streams together: corrections are fewer than bytes, and two numbers each.
        let mut most = 2 * size + (1 << 20);
        for stream in &mut streams {
            let codec = Codec::of(patch.u8()?)?;
            let (plain, packed) = (patch.count(most)?, patch.count(MAX_BYTES)?);
            most -= plain;
            let packed = patch.bytes(packed)?;
            codec.unpack(packed, &[], plain, stream).map_err(|_| BROKEN)?;
        }
        if !patch.is_at_end() {
            return Err(BROKEN);
        }
        Ok(Self { streams, size })
    }

    /// One of its streams, to be harmed.
    #[cfg(test)]
    pub(super) fn stream(&mut self, number: usize) -> &mut Vec<u8> {
        &mut self.streams[number]
    }

    /// What it makes of its sources.
    pub(crate) fn pieces<'a>(&'a self, sources: &[&'a Source]) -> Result<Pieces<'a>, FormatError> {
        let mut streams = self.streams.each_ref().map(|stream| Reader::new(stream));
        let (regions, bases) = read_setup(&mut streams[SETUP])?;
        let parts = parts(sources).ok_or(BROKEN)?;
        let [.., steps, shifts] = &mut streams;
        // Where nothing moved, nobody needs to know where addresses are said.
        let images = if steps.is_at_end() { Vec::new() } else { images(&parts) };
        let map = AddressMap::read(steps, shifts, &images)?;
        let fixes = Fixes::new(streams[GAPS].clone(), streams[FIXES].clone())?;
        let place = Placing { parts, regions, bases, map };
        let span = Span { new: 0, old: 0, length: 0 };
        Ok(Pieces { place, streams, size: self.size, fixes, span, piece: Vec::new() })
    }
}

/// Replaces the content of `new` with the `size` bytes that a patch makes of its sources.
pub(crate) fn apply(
    patch: &[u8],
    sources: &[&Source],
    size: usize,
    new: &mut Vec<u8>,
) -> Result<(), FormatError> {
    let patch = Patch::open(patch, size)?;
    let mut pieces = patch.pieces(sources)?;
    new.clear();
    new.reserve_exact(size);
    while let Some(piece) = pieces.next()? {
        new.extend_from_slice(piece);
    }
    Ok(())
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

/// The new file, as it comes about.
pub(crate) struct Pieces<'a> {
    place: Placing<'a>,
    streams: [Reader<'a>; STREAMS],
    size: usize,
    fixes: Fixes<'a>,
    /// What remains of the copy that is being made. Up to its beginning the new file is done.
    span: Span,
    piece: Vec<u8>,
}

impl Pieces<'_> {
    /// The next piece; none at the end, when all of the patch was used.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, FormatError> {
        self.piece.clear();
        while self.piece.len() < PIECE_BYTES {
            if self.span.length > 0 {
                self.copy()?;
            } else if !self.streams[LENGTHS].is_at_end() {
                let skip = self.streams[SKIPS].count(self.size - self.span.new)?;
                self.literals(skip)?;
                self.span.length = self.streams[LENGTHS].count(self.size - self.span.new)?;
                let seek = isize::try_from(self.streams[SEEKS].signed()?).map_err(|_| BROKEN)?;
                self.span.old = self.span.old.checked_add_signed(seek).ok_or(BROKEN)?;
            } else if self.span.new < self.size {
                self.literals(self.size - self.span.new)?;
            } else {
                break;
            }
        }
        if self.piece.is_empty() && !self.is_used_up() {
            return Err(BROKEN);
        }
        Ok(Some(&self.piece[..]).filter(|piece| !piece.is_empty()))
    }

    fn literals(&mut self, count: usize) -> Result<(), FormatError> {
        self.piece.extend_from_slice(self.streams[LITERALS].bytes(count)?);
        self.span.new += count;
        Ok(())
    }

    fn copy(&mut self) -> Result<(), FormatError> {
        let Span { new, old, length } = self.span;
        let room = PIECE_BYTES - self.piece.len();
        let now =
            if length > room { (self.place.cut(old + room) - old).min(length) } else { length };
        let start = self.piece.len();
        self.place.copy(Span { new, old, length: now }, &mut self.piece).ok_or(BROKEN)?;
        self.fixes.correct(&mut self.piece[start..])?;
        self.span = Span { new: new + now, old: old + now, length: length - now };
        Ok(())
    }

    fn is_used_up(&self) -> bool {
        let rest = [SKIPS, SEEKS, LITERALS];
        rest.iter().all(|&stream| self.streams[stream].is_at_end()) && self.fixes.is_at_end()
    }
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
