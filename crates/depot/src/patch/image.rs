//! Where the bytes of an executable stand in memory: enough of PE and ELF to follow addresses.
//!
//! Both sides of a patch read the old executable in this way, so this is a part of the format: what
//! is read here may be wrong about a file, but it must be the same everywhere.

use std::ops::Range;

/// A part of the file that is loaded to an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Region {
    /// Its bytes in the file.
    pub file: Range<usize>,
    /// Where the first of them stands in memory.
    pub address: u64,
    /// Whether it is code.
    pub is_code: bool,
}

/// A table of symbols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Symbols {
    /// COFF: 18 bytes each, then the names.
    Coff(Range<usize>),
    /// ELF with 64 bits: 24 bytes each.
    Elf(Range<usize>),
}

/// An executable, little endian with addresses of 64 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Image {
    /// In the order of the file, without overlaps.
    pub regions: Vec<Region>,
    /// All addresses that it takes, with what is zero at first.
    pub addresses: Range<u64>,
    /// For x86-64.
    pub is_amd64: bool,
    /// The table that Windows unwinds stacks by: three addresses for each function, relative to
    /// the image.
    pub unwinding: Range<usize>,
    /// The table of places that move with the image.
    pub relocations: Range<usize>,
    /// What debuggers read.
    pub symbols: Option<Symbols>,
}

/// Sections that an executable has at most; Go's have 8 to 30.
const MAX_SECTIONS: usize = 64;

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let end = at.checked_add(2)?;
    Some(u16::from_le_bytes(bytes.get(at..end)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let end = at.checked_add(4)?;
    Some(u32::from_le_bytes(bytes.get(at..end)?.try_into().ok()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let end = at.checked_add(8)?;
    Some(u64::from_le_bytes(bytes.get(at..end)?.try_into().ok()?))
}

fn size_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u64_at(bytes, at)?).ok()
}

/// A range of the file, if it lies in it.
fn within(bytes: &[u8], start: usize, length: usize) -> Option<Range<usize>> {
    let end = start.checked_add(length)?;
    (end <= bytes.len()).then_some(start..end)
}

impl Image {
    /// Reads the headers; none if it is no executable of these kinds.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut image = match bytes {
            [b'M', b'Z', ..] => pe(bytes)?,
            [0x7f, b'E', b'L', b'F', 2, 1, ..] => elf(bytes)?,
            _ => return None,
        };
        image.regions.retain(|region| !region.file.is_empty());
        image.regions.sort_by_key(|region| region.file.start);
        let is_ordered =
            image.regions.windows(2).all(|pair| pair[0].file.end <= pair[1].file.start);
        (is_ordered && image.addresses.end < 1 << 48).then_some(image)
    }

    /// Where a byte of the file stands in memory.
    pub(super) fn address_of(&self, at: usize) -> Option<u64> {
        address_of(&self.regions, at)
    }

    /// Where in the file a byte of memory comes from.
    pub(super) fn place_of(&self, address: u64) -> Option<usize> {
        self.regions.iter().find_map(|region| {
            let offset = usize::try_from(address.checked_sub(region.address)?).ok()?;
            (offset < region.file.len()).then(|| region.file.start + offset)
        })
    }
}

pub(super) fn address_of(regions: &[Region], at: usize) -> Option<u64> {
    let next = regions.partition_point(|region| region.file.start <= at);
    let region = &regions[next.checked_sub(1)?];
    (at < region.file.end).then(|| region.address.wrapping_add((at - region.file.start) as u64))
}

/// Microsoft's PE format, PE32+.
fn pe(bytes: &[u8]) -> Option<Image> {
    const COFF_BYTES: usize = 24;
    const SECTION_BYTES: usize = 40;
    const SYMBOL_BYTES: usize = 18;
    const IS_CODE: u32 = 0x20;
    let coff = u32_at(bytes, 0x3c)? as usize;
    if bytes.get(coff..coff.checked_add(4)?)? != b"PE\0\0" {
        return None;
    }
    let optional = coff + COFF_BYTES;
    if u16_at(bytes, optional)? != 0x20b {
        return None;
    }
    let base = u64_at(bytes, optional + 24)?;
    let size = u64::from(u32_at(bytes, optional + 56)?);
    let sections = optional + usize::from(u16_at(bytes, coff + 20)?);
    let mut image = Image {
        regions: Vec::new(),
        addresses: base..base.checked_add(size)?,
        is_amd64: u16_at(bytes, coff + 4)? == 0x8664,
        unwinding: 0..0,
        relocations: 0..0,
        symbols: None,
    };
    for section in 0..usize::from(u16_at(bytes, coff + 6)?).min(MAX_SECTIONS) {
        let header = sections + section * SECTION_BYTES;
        let name = bytes.get(header..header + 8)?;
        let length = u32_at(bytes, header + 8)?.min(u32_at(bytes, header + 16)?) as usize;
        let address = base.checked_add(u64::from(u32_at(bytes, header + 12)?))?;
        let file = within(bytes, u32_at(bytes, header + 20)? as usize, length)?;
        match name {
            b".pdata\0\0" => image.unwinding = file.clone(),
            b".reloc\0\0" => image.relocations = file.clone(),
            _ => {}
        }
        let is_code = u32_at(bytes, header + 36)? & IS_CODE != 0;
        image.regions.push(Region { file, address, is_code });
    }
    let (symbols, count) = (u32_at(bytes, coff + 8)? as usize, u32_at(bytes, coff + 12)? as usize);
    image.symbols = within(bytes, symbols, count.checked_mul(SYMBOL_BYTES)?).map(Symbols::Coff);
    Some(image)
}

/// System V ABI, chapter 4, with 64 bits.
fn elf(bytes: &[u8]) -> Option<Image> {
    const SECTION_BYTES: usize = 64;
    const PROGRAM_BITS: u32 = 1;
    const SYMBOLS: u32 = 2;
    const NO_BITS: u32 = 8;
    const IS_LOADED: u64 = 2;
    const IS_CODE: u64 = 4;
    let (sections, count) = (size_at(bytes, 40)?, usize::from(u16_at(bytes, 60)?));
    let mut image = Image {
        regions: Vec::new(),
        addresses: 0..0,
        is_amd64: u16_at(bytes, 18)? == 62,
        unwinding: 0..0,
        relocations: 0..0,
        symbols: None,
    };
    for section in 0..count.min(MAX_SECTIONS) {
        let header = sections.checked_add(section * SECTION_BYTES)?;
        let (kind, flags) = (u32_at(bytes, header + 4)?, u64_at(bytes, header + 8)?);
        let (address, length) = (u64_at(bytes, header + 16)?, u64_at(bytes, header + 32)?);
        let has_bytes = kind != NO_BITS && kind != 0;
        let length_here = if has_bytes { usize::try_from(length).ok()? } else { 0 };
        let file = within(bytes, size_at(bytes, header + 24)?, length_here)?;
        if flags & IS_LOADED != 0 && matches!(kind, PROGRAM_BITS | NO_BITS) {
            let (end, all) = (address.checked_add(length)?, image.addresses);
            let start = if all.is_empty() { address } else { all.start.min(address) };
            image.addresses = start..all.end.max(end);
            image.regions.push(Region { file, address, is_code: flags & IS_CODE != 0 });
        } else if kind == SYMBOLS {
            image.symbols = Some(Symbols::Elf(file));
        }
    }
    (!image.regions.is_empty()).then_some(image)
}
