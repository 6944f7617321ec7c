//! Finding what two byte strings have in common, even where single bytes differ.
//!
//! This is how bsdiff does it (Colin Percival, "Naive differences of executable code", 2003), with
//! a table of hashes in the place of a suffix array: many times faster, and blind only to matches
//! shorter than [`WINDOW`] bytes, which would not pay.

use super::Span;

/// Bytes that are hashed.
const WINDOW: usize = 16;
/// Every so many bytes of the old string are to be found.
const STRIDE: usize = 4;
/// Most candidates that are compared.
const MAX_CHAIN: usize = 24;
const NONE: u32 = u32::MAX;

/// The old string, to be searched.
struct Index<'a> {
    old: &'a [u8],
    heads: Vec<u32>,
    /// For each indexed place, the one before it with the same hash.
    chain: Vec<u32>,
    bits: u32,
}

impl<'a> Index<'a> {
    fn new(old: &'a [u8]) -> Self {
        let count = old.len().saturating_sub(WINDOW - 1).div_ceil(STRIDE);
        let bits = (usize::BITS - count.leading_zeros()).clamp(8, 22);
        let mut index = Self { old, heads: vec![NONE; 1 << bits], chain: vec![NONE; count], bits };
        for slot in 0..count {
            let hash = index.hash(&old[slot * STRIDE..]);
            index.chain[slot] = index.heads[hash];
            index.heads[hash] = slot as u32;
        }
        index
    }

    fn hash(&self, bytes: &[u8]) -> usize {
        let word = |at| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight"));
        let mixed = word(0).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ word(8).rotate_left(29);
        (mixed.wrapping_mul(0xd6e8_feb8_6659_fd93) >> (64 - self.bits)) as usize
    }

    /// The longest match of the beginning of `new`: its place in the old string and its length.
    fn longest(&self, new: &[u8], expected: usize) -> (usize, usize) {
        let mut best = (0, 0);
        if let Some(old) = self.old.get(expected..) {
            best = (expected, common(old, new));
        }
        if new.len() < WINDOW {
            return best;
        }
        let mut slot = self.heads[self.hash(new)];
        for _ in 0..MAX_CHAIN {
            if slot == NONE {
                break;
            }
            let at = slot as usize * STRIDE;
            let could_be_longer = self.old.get(at + best.1) == new.get(best.1);
            if could_be_longer {
                let length = common(&self.old[at..], new);
                if length >= WINDOW && length > best.1 {
                    best = (at, length);
                }
            }
            slot = self.chain[slot as usize];
        }
        best
    }
}

/// How many bytes two strings have in common at their beginnings.
fn common(a: &[u8], b: &[u8]) -> usize {
    let (words_a, words_b) = (a.chunks_exact(8), b.chunks_exact(8));
    let same = 8 * words_a.zip(words_b).take_while(|(a, b)| a == b).count();
    same + a[same..].iter().zip(&b[same..]).take_while(|(a, b)| a == b).count()
}

/// What of `new` resembles something in `old`, in the order of `new`, without overlaps.
pub(super) fn find(old: &[u8], new: &[u8]) -> Vec<Span> {
    let index = Index::new(old);
    let mut copies = Vec::new();
    // The last match that was taken up: its places, and up to where `new` is dealt with.
    let (mut last_new, mut last_old) = (0, 0);
    let (mut scan, mut length, mut place) = (0, 0, 0);
    while scan < new.len() {
        let (mut on_diagonal, mut counted) = (0, scan + length);
        scan += length;
        // How far the last match, going on, would be as good as a new one.
        length = 0;
        let diagonal = |at: usize| (last_old + at).wrapping_sub(last_new);
        let agrees = |at: usize| old.get(diagonal(at)) == Some(&new[at]);
        while scan < new.len() {
            (place, length) = index.longest(&new[scan..], diagonal(scan));
            while counted < scan + length {
                on_diagonal += usize::from(agrees(counted));
                counted += 1;
            }
            if (length == on_diagonal && length != 0) || length > on_diagonal + 8 {
                break;
            }
            if counted > scan {
                on_diagonal -= usize::from(agrees(scan));
            } else {
                counted = scan + 1;
            }
            scan += 1;
        }
        if length == on_diagonal && scan < new.len() {
            continue;
        }
        let forward = forward(&old[last_old..], &new[last_new..scan]);
        let backward =
            if scan < new.len() { backward(&old[..place], &new[last_new..scan]) } else { 0 };
        let (forward, backward) =
            settle(old, new, (last_old, last_new), (place, scan), forward, backward);
        if forward > 0 {
            copies.push(Span { new: last_new, old: last_old, length: forward });
        }
        (last_new, last_old) = (scan - backward, place - backward);
    }
    copies
}

/// How far a match goes on, with more bytes that agree than such that do not.
fn forward(old: &[u8], new: &[u8]) -> usize {
    best_length(old.iter().zip(new).map(|(a, b)| a == b))
}

fn backward(old: &[u8], new: &[u8]) -> usize {
    best_length(old.iter().rev().zip(new.iter().rev()).map(|(a, b)| a == b))
}

fn best_length(agreements: impl Iterator<Item = bool>) -> usize {
    let (mut score, mut best, mut length) = (0i64, 0i64, 0);
    for (at, agrees) in agreements.enumerate() {
        score += if agrees { 1 } else { -1 };
        if score > best {
            (best, length) = (score, at + 1);
        }
    }
    length
}

/// Where two matches overlap, each gets that part in which it agrees better.
fn settle(
    old: &[u8],
    new: &[u8],
    (last_old, last_new): (usize, usize),
    (place, scan): (usize, usize),
    forward: usize,
    backward: usize,
) -> (usize, usize) {
    let overlap = (last_new + forward).saturating_sub(scan - backward);
    if overlap == 0 {
        return (forward, backward);
    }
    let (mut score, mut best, mut taken) = (0i64, 0i64, 0);
    for at in 0..overlap {
        let here = last_new + forward - overlap + at;
        score += i64::from(new[here] == old[last_old + forward - overlap + at]);
        score -= i64::from(new[here] == old[place - backward + at]);
        if score > best {
            (best, taken) = (score, at + 1);
        }
    }
    (forward + taken - overlap, backward - taken)
}
