//! How a stream of bytes is compressed, and by which number that is known.

use std::io::{Read, Write};

use lzma_rust2::{LzmaOptions, LzmaReader, LzmaWriter};
use zstd::zstd_safe::{CCtx, CParameter, DCtx};

use super::FormatError;

/// A way to compress a stream, under its number in packs and deltas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    /// As it is.
    Stored = 0,
    /// One frame of Zstandard (RFC 8878), with the prefix as raw dictionary.
    Zstd = 1,
    /// LZMA without header or end mark, behind the byte of its properties. Slow: for small streams.
    Lzma = 2,
}

/// What matters more where both can't be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preference {
    /// That it is unpacked fast: a whole release.
    Speed,
    /// That it is small: what differs.
    Size,
}

/// The bytes can't be unpacked to what they shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damaged;

/// The slowest level of Zstandard: what is made once is unpacked ten thousand times.
const LEVEL: i32 = 22;
/// From so many bytes on it takes twice the time of this one to win a hundredth.
const LONG_BYTES: usize = 1 << 20;
const LONG_LEVEL: i32 = 19;
/// Longest distance of a match, as the power of two: two of the largest executables.
const MAX_WINDOW_LOG: u32 = 27;

impl Codec {
    pub(crate) fn of(number: u8) -> Result<Self, FormatError> {
        match number {
            0 => Ok(Self::Stored),
            1 => Ok(Self::Zstd),
            2 => Ok(Self::Lzma),
            other => Err(FormatError::UnknownCodec(other)),
        }
    }

    /// The codec that makes least of `plain`, and what it makes. The unpacking side must have the
    /// same `prefix`.
    pub(crate) fn smallest(plain: &[u8], prefix: &[u8]) -> (Self, Vec<u8>) {
        let level = if plain.len() < LONG_BYTES { LEVEL } else { LONG_LEVEL };
        let packed = zstd(plain, prefix, level);
        if packed.len() < plain.len() {
            (Self::Zstd, packed)
        } else {
            (Self::Stored, plain.to_vec())
        }
    }

    /// The same among more codecs, without a prefix.
    pub(crate) fn smallest_of_all(plain: &[u8], preference: Preference) -> (Self, Vec<u8>) {
        const TINY_BYTES: usize = 16;
        // LZMA unpacks some MB in the time of one copy of a tree.
        const LARGE_BYTES: usize = 64 << 10;
        let is_large = plain.len() > LARGE_BYTES;
        let mut best = match plain.len() {
            0..TINY_BYTES => return (Self::Stored, plain.to_vec()),
            // Where LZMA may be tried, it wins.
            _ if is_large && preference == Preference::Size => (Self::Stored, plain.to_vec()),
            _ => Self::smallest(plain, &[]),
        };
        if is_large && preference == Preference::Speed {
            return best;
        }
        // Literal context, literal position and position bits: for text, bytes and numbers.
        let settings = [(3, 0, 2), (0, 0, 0), (3, 0, 0), (0, 2, 2)];
        let count = if plain.len() < LONG_BYTES { settings.len() } else { 1 };
        for &(lc, lp, pb) in &settings[..count] {
            let packed = lzma(plain, lc, lp, pb);
            if packed.len() < best.1.len() {
                best = (Self::Lzma, packed);
            }
        }
        best
    }

    /// About how many bytes would be left, found in little time.
    pub(crate) fn estimate(plain: &[u8]) -> usize {
        const FAST_LEVEL: i32 = 3;
        zstd(plain, &[], FAST_LEVEL).len()
    }

    /// Replaces the content of `plain` with the `size` bytes that `packed` unpacks to.
    pub(crate) fn unpack(
        self,
        packed: &[u8],
        prefix: &[u8],
        size: usize,
        plain: &mut Vec<u8>,
    ) -> Result<(), Damaged> {
        plain.clear();
        match self {
            Self::Stored => plain.extend_from_slice(packed),
            Self::Zstd => {
                plain.reserve_exact(size);
                let mut context = DCtx::create();
                context.ref_prefix(prefix).map_err(|_| Damaged)?;
                context.decompress(plain, packed).map_err(|_| Damaged)?;
            }
            Self::Lzma => {
                let (&properties, packed) = packed.split_first().ok_or(Damaged)?;
                let (whole, window) = (size as u64, window_of(size));
                let reader = LzmaReader::new_with_props(packed, whole, properties, window, None);
                plain.resize(size, 0);
                let mut reader = reader.map_err(|_| Damaged)?;
                reader.read_exact(plain).map_err(|_| Damaged)?;
            }
        }
        if plain.len() == size { Ok(()) } else { Err(Damaged) }
    }
}

fn zstd(plain: &[u8], prefix: &[u8], level: i32) -> Vec<u8> {
    const INVARIANT: &str = "memory suffices and the parameters are within their bounds";
    let mut context = CCtx::create();
    let distance = (plain.len() + prefix.len()).max(1 << 17);
    let window_log = (usize::BITS - (distance - 1).leading_zeros()).min(MAX_WINDOW_LOG);
    let mut set = |parameter| context.set_parameter(parameter).expect(INVARIANT);
    set(CParameter::CompressionLevel(level));
    set(CParameter::WindowLog(window_log));
    set(CParameter::EnableLongDistanceMatching(distance > 8 << 20));
    set(CParameter::ContentSizeFlag(false));
    context.ref_prefix(prefix).expect(INVARIANT);
    let mut packed = Vec::with_capacity(zstd::zstd_safe::compress_bound(plain.len()));
    context.compress2(&mut packed, plain).expect(INVARIANT);
    packed
}

/// Bytes of LZMA's dictionary: all that comes out.
fn window_of(size: usize) -> u32 {
    size.clamp(1 << 12, 1 << 30) as u32
}

fn lzma(plain: &[u8], lc: u32, lp: u32, pb: u32) -> Vec<u8> {
    const INVARIANT: &str = "writing to memory does not fail";
    let mut options = LzmaOptions::with_preset(9);
    (options.lc, options.lp, options.pb) = (lc, lp, pb);
    options.dict_size = window_of(plain.len());
    options.nice_len = 273;
    let packed = vec![options.get_props()];
    let mut writer = LzmaWriter::new_no_header(packed, &options, false).expect(INVARIANT);
    writer.write_all(plain).expect(INVARIANT);
    writer.finish().expect(INVARIANT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(plain: Vec<u8>, prefix: Vec<u8>) {
            let plain = [&plain[..], &prefix, &plain].concat();
            let (codec, packed) = Codec::smallest(&plain, &prefix);
            let mut found = Vec::new();
            prop_assert_eq!(codec.unpack(&packed, &prefix, plain.len(), &mut found), Ok(()));
            prop_assert_eq!(&found, &plain);
            prop_assert_eq!(codec.unpack(&packed, &prefix, plain.len() + 1, &mut found), Err(Damaged));
        }
    }

    #[test]
    fn more_than_was_told_is_refused() {
        let packed = zstd(&[7; 100_000], &[], LEVEL);
        assert_eq!(Codec::Zstd.unpack(&packed, &[], 99_999, &mut Vec::new()), Err(Damaged));
    }

    #[test]
    fn unknown_numbers_are_named() {
        assert!(matches!(Codec::of(77), Err(FormatError::UnknownCodec(77))));
    }
}
