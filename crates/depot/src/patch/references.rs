//! Where an executable says an address, and in which way.

use std::ops::Range;

use super::golang;
use super::image::{Image, u32_at, u64_at};

/// How an address is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// 32 bits, relative to the place this many bytes behind its beginning: x86's calls, jumps and
    /// operands.
    Relative(u8),
    /// 64 bits, as it is.
    Absolute,
    /// 32 bits, relative to the base with this number.
    Based(u8),
}

/// A place that says an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reference {
    /// Where in the file.
    pub at: u32,
    /// In which way.
    pub kind: Kind,
}

impl Reference {
    /// Bytes that it takes.
    pub(super) fn len(self) -> usize {
        match self.kind {
            Kind::Absolute => 8,
            Kind::Relative(_) | Kind::Based(_) => 4,
        }
    }

    /// The address that these bytes say, if they stand at `site`.
    pub(super) fn target(self, bytes: &[u8], site: u64, bases: &[u64]) -> u64 {
        let value = || u32_at(bytes, 0).expect("as long as a reference");
        match self.kind {
            Kind::Relative(end) => {
                let distance = i64::from(value() as i32) + i64::from(end);
                site.wrapping_add_signed(distance)
            }
            Kind::Absolute => u64_at(bytes, 0).expect("as long as a reference"),
            Kind::Based(base) => bases[usize::from(base)].wrapping_add(u64::from(value())),
        }
    }

    /// Writes an address such that [`target`](Self::target) reads it, if that is possible at all.
    pub(super) fn set(self, bytes: &mut [u8], target: u64, site: u64, bases: &[u64]) {
        let value = match self.kind {
            Kind::Relative(end) => target.wrapping_sub(site).wrapping_sub(u64::from(end)),
            Kind::Absolute => return bytes.copy_from_slice(&target.to_le_bytes()),
            Kind::Based(base) => {
                let base = bases.get(usize::from(base)).copied().unwrap_or_default();
                target.wrapping_sub(base)
            }
        };
        bytes.copy_from_slice(&(value as u32).to_le_bytes());
    }
}

/// All places in an executable that say addresses, in the order of the file, and the bases that
/// some of them are relative to.
#[derive(Debug, Default)]
pub(super) struct References {
    pub all: Vec<Reference>,
    pub bases: Vec<u64>,
    /// For each block of the file, how many begin before it.
    blocks: Vec<u32>,
}

const BLOCK_BITS: u32 = 10;

impl References {
    pub(super) fn find(bytes: &[u8], image: &Image) -> Self {
        let tables = golang::tables(bytes, image);
        let mut all = Vec::new();
        let mut based = tables.references.into_iter().peekable();
        for region in &image.regions {
            while let Some(before) = based.next_if(|next| (next.at as usize) < region.file.start) {
                all.push(before);
            }
            if region.is_code {
                if image.is_amd64 {
                    scan_code(bytes, image, region.file.clone(), region.address, &mut all);
                }
                continue;
            }
            let mut at = region.file.start;
            let aligned = region.address.wrapping_neg() as usize & 7;
            at += aligned;
            while at + 8 <= region.file.end {
                while let Some(before) = based.next_if(|next| next.at as usize + 4 <= at) {
                    all.push(before);
                }
                if tables.range.contains(&at) {
                    at = tables.range.end.next_multiple_of(8);
                    continue;
                }
                let is_based = based.peek().is_some_and(|next| (next.at as usize) < at + 8);
                let is_address = u64_at(bytes, at).is_some_and(|v| image.addresses.contains(&v));
                if is_address && !is_based {
                    all.push(Reference { at: at as u32, kind: Kind::Absolute });
                }
                at += 8;
            }
        }
        all.extend(based);
        // Tables may lie anywhere. Of those that begin together the first that was found stays.
        all.sort_by_key(|reference| reference.at);
        all.dedup_by(|next, last| (next.at as usize) < last.at as usize + last.len());
        all.shrink_to_fit();
        Self { blocks: blocks(&all, bytes.len()), all, bases: tables.bases }
    }

    /// Those that lie wholly in a range of the file.
    pub(super) fn within(&self, start: usize, end: usize) -> &[Reference] {
        let Some(&block) = self.blocks.get(start >> BLOCK_BITS) else { return &[] };
        let rest = &self.all[block as usize..];
        let before = rest.iter().take_while(|next| (next.at as usize) < start).count();
        let rest = &rest[before..];
        // Behind the end there is nothing, however long the range is.
        let block =
            self.blocks.get((end >> BLOCK_BITS) + 1).map_or(self.all.len(), |&n| n as usize);
        let likely = &rest[..rest.len().min(block.saturating_sub(self.all.len() - rest.len()))];
        let beyond = likely.iter().rev();
        let beyond = beyond.take_while(|next| next.at as usize + next.len() > end).count();
        &likely[..likely.len() - beyond]
    }
}

fn blocks(all: &[Reference], length: usize) -> Vec<u32> {
    let (mut blocks, mut count) = (Vec::with_capacity((length >> BLOCK_BITS) + 1), 0);
    for block in 0..=length >> BLOCK_BITS {
        let behind = &all[count..];
        count += behind.iter().take_while(|next| (next.at as usize) < block << BLOCK_BITS).count();
        blocks.push(count as u32);
    }
    blocks
}

/// x86-64: calls and jumps into code, and operands relative to the instruction pointer, found by
/// their looks. An instruction that only looks so costs a few bytes where it moves.
fn scan_code(
    bytes: &[u8],
    image: &Image,
    file: Range<usize>,
    address: u64,
    found: &mut Vec<Reference>,
) {
    let code = &bytes[file.clone()];
    let code_addresses = address..address.wrapping_add(code.len() as u64);
    let mut at = 1;
    while at + 6 <= code.len() {
        let first = code[at];
        if !IS_TELLING[usize::from(first)] {
            at += 1;
            continue;
        }
        let (place, end, targets) = match first {
            CALL | JUMP => (at + 1, 4, &code_addresses),
            TWO_BYTES if code[at + 1] & 0xf0 == 0x80 => (at + 2, 4, &code_addresses),
            TWO_BYTES => {
                at += 1;
                continue;
            }
            _ => (at + 1, 4 + immediate(code, at), &image.addresses),
        };
        let site = address.wrapping_add(place as u64);
        let reference = Reference { at: (file.start + place) as u32, kind: Kind::Relative(end) };
        if targets.contains(&reference.target(&code[place..], site, &[])) {
            found.push(reference);
            at = place + 4;
        } else {
            at += 1;
        }
    }
}

const CALL: u8 = 0xe8;
const JUMP: u8 = 0xe9;
const TWO_BYTES: u8 = 0x0f;

/// Whether 32 bits behind, or nearly behind, such a byte could lead somewhere. Apart from the
/// above those are the ModRM bytes with mod 0 and r/m 5.
const IS_TELLING: [bool; 256] = {
    let (mut telling, mut byte) = ([false; 256], 0);
    while byte < 256 {
        telling[byte] = matches!(byte as u8, CALL | JUMP | TWO_BYTES) || byte & 0xc7 == 5;
        byte += 1;
    }
    telling
};

/// Bytes behind the operand of the instruction whose ModRM byte is at `at`.
fn immediate(code: &[u8], at: usize) -> u8 {
    let opcode = code[at - 1];
    let is_test = code[at] & 0x38 == 0;
    match opcode {
        0x80 | 0x83 | 0xc0 | 0xc1 | 0xc6 | 0x6b => 1,
        0xf6 if is_test => 1,
        0x81 | 0xc7 | 0x69 => 4,
        0xf7 if is_test => 4,
        0x70 | 0xba | 0xc2 if at > 1 && code[at - 2] == 0x0f => 1,
        _ => 0,
    }
}
