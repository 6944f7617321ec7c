//! Go's tables of functions, symbols and types, as far as they say addresses in 32 bits.

use std::ops::Range;

use super::image::{Image, Symbols, u16_at, u32_at, u64_at};
use super::references::{Kind, Reference};

/// What the 32 bits are relative to. Numbers that are no addresses have spaces of their own.
#[derive(Debug, Clone, Copy)]
enum Base {
    Text,
    Names,
    Tables,
    Functions,
    FunctionData,
    Files,
    Image,
    Units,
    Indices,
    SymbolNames,
    Zero,
    /// The first of the sections.
    Sections,
}

const BASES: usize = Base::Sections as usize + MAX_SECTIONS;
const MAX_SECTIONS: usize = 16;
/// Far above all addresses.
const UNITS: u64 = 1 << 52;
const INDICES: u64 = 2 << 52;
const SYMBOL_NAMES: u64 = 3 << 52;

/// The places in Go's tables that say addresses.
#[derive(Debug)]
pub(super) struct Tables {
    /// In the order of the file.
    pub references: Vec<Reference>,
    /// By number.
    pub bases: Vec<u64>,
    /// The table of functions, in which nothing else says addresses.
    pub range: Range<usize>,
}

pub(super) fn tables(bytes: &[u8], image: &Image) -> Tables {
    let mut finder = Finder { bytes, found: Vec::new(), bases: vec![0; BASES] };
    finder.set(Base::Image, image.addresses.start);
    finder.set(Base::Units, UNITS);
    finder.set(Base::Indices, INDICES);
    finder.set(Base::SymbolNames, SYMBOL_NAMES);
    let range = finder.functions(image).unwrap_or(0..0);
    finder.unwinding(image.unwinding.clone());
    finder.symbols(image);
    finder.found.retain(|reference| reference.at as usize + 4 <= bytes.len());
    finder.found.sort_by_key(|reference| reference.at);
    Tables { references: finder.found, bases: finder.bases, range }
}

struct Finder<'a> {
    bytes: &'a [u8],
    found: Vec<Reference>,
    bases: Vec<u64>,
}

/// `runtime.pcHeader`, of Go 1.20 and later.
struct Header {
    at: usize,
    functions: usize,
    /// Names, units, files, tables, functions: from the header's beginning.
    offsets: [usize; 5],
}

impl Finder<'_> {
    fn set(&mut self, base: Base, address: u64) {
        self.bases[base as usize] = address;
    }

    fn add(&mut self, at: usize, base: u8) {
        // Tables that contradict themselves could tell of more than there is.
        if self.found.len() > self.bytes.len() / 4 {
            return;
        }
        self.found.push(Reference { at: at as u32, kind: Kind::Based(base) });
    }

    fn header(&self, image: &Image) -> Option<Header> {
        let data = image.regions.iter().filter(|region| !region.is_code);
        let mut words = data.flat_map(|region| region.file.clone().step_by(8));
        words.find_map(|at| {
            // magic, two zeros, quantum of instructions, bytes of a pointer
            let is_header = u32_at(self.bytes, at)? == 0xffff_fff1
                && u32_at(self.bytes, at + 4)? & 0xff00_ffff == 0x0800_0000;
            let word = |index: usize| usize::try_from(u64_at(self.bytes, at + 8 * index)?).ok();
            let offsets = [word(4)?, word(5)?, word(6)?, word(7)?, word(8)?];
            let is_ordered = offsets.is_sorted() && offsets[4] < self.bytes.len() - at;
            (is_header && is_ordered).then_some(Header { at, functions: word(1)?, offsets })
        })
    }

    /// `runtime.pclntab`.
    fn functions(&mut self, image: &Image) -> Option<Range<usize>> {
        let header = self.header(image)?;
        let address = image.address_of(header.at)?;
        let [names, units, files, tables, functions] = header.offsets;
        self.set(Base::Names, address + names as u64);
        self.set(Base::Files, address + files as u64);
        self.set(Base::Tables, address + tables as u64);
        self.set(Base::Functions, address + functions as u64);
        for at in (header.at + units..(header.at + files).min(self.bytes.len())).step_by(4) {
            self.add_unless(at, u32::MAX, Base::Files);
        }
        self.module(image, address);
        let table = header.at + functions;
        let count = header.functions.min((self.bytes.len() - table) / 8);
        for entry in (table..).step_by(8).take(count) {
            self.add(entry, Base::Text as u8);
            self.add(entry + 4, Base::Functions as u8);
        }
        let mut end = table + 8 * count;
        for entry in (table..).step_by(8).take(count) {
            let offset = u32_at(self.bytes, entry + 4)? as usize;
            end = end.max(self.function(table.saturating_add(offset)).unwrap_or(end));
        }
        Some(header.at..end.min(self.bytes.len()))
    }

    /// `runtime._func`; returns where it ends.
    fn function(&mut self, at: usize) -> Option<usize> {
        const FIXED: usize = 44;
        self.bytes.get(at..at.checked_add(FIXED)?)?;
        let tables = u32_at(self.bytes, at + 28)? as usize;
        let data = usize::from(self.bytes[at + FIXED - 1]);
        if tables > 64 {
            return None;
        }
        self.add(at, Base::Text as u8);
        self.add(at + 4, Base::Names as u8);
        for field in [16, 20, 24] {
            self.add_unless(at + field, 0, Base::Tables);
        }
        self.add(at + 32, Base::Units as u8);
        let (data_at, end) = (at + FIXED + 4 * tables, at + FIXED + 4 * (tables + data));
        for field in (at + FIXED..data_at).step_by(4) {
            self.add_unless(field, 0, Base::Tables);
        }
        for field in (data_at..end).step_by(4) {
            self.add_unless(field, u32::MAX, Base::FunctionData);
        }
        Some(end)
    }

    fn add_unless(&mut self, at: usize, nothing: u32, base: Base) {
        if u32_at(self.bytes, at).is_some_and(|value| value != nothing) {
            self.add(at, base as u8);
        }
    }

    /// `runtime.moduledata`, which begins with the address of the table of functions.
    fn module(&mut self, image: &Image, header: u64) -> Option<()> {
        let names = self.bases[Base::Names as usize];
        let data = image.regions.iter().filter(|region| !region.is_code);
        let mut words = data.flat_map(|region| region.file.clone().step_by(8));
        let module = words.find(|&at| {
            u64_at(self.bytes, at) == Some(header) && u64_at(self.bytes, at + 8) == Some(names)
        })?;
        let word = |index: usize| u64_at(self.bytes, module + 8 * index);
        let (find_table, start, end) = (word(19)?, word(20)?, word(21)?);
        let text = word(22)?;
        self.set(Base::Text, text);
        // The base of what functions need is the last address before `epclntab`, which stands
        // where the table of functions ends; the fields before differ between versions of Go.
        const FIELDS: Range<usize> = 34..44;
        let function_data = FIELDS.clone().find(|&field| {
            let (data, behind) = (word(field), word(field + 1));
            data.is_some_and(|data| image.addresses.contains(&data))
                && behind.is_some_and(|behind| behind > header && image.addresses.contains(&behind))
                && word(field + 3) == word(field + 4)
                && word(field + 3).is_some_and(|length| length < 64)
        });
        if let Some(field) = function_data {
            self.set(Base::FunctionData, word(field)?);
        }
        const BUCKET: u64 = 4096;
        const BUCKET_BYTES: usize = 20;
        let buckets = (end.checked_sub(start)? / BUCKET + 1) as usize;
        let table = image.place_of(find_table)?;
        for bucket in 0..buckets.min((self.bytes.len() - table) / BUCKET_BYTES) {
            self.add(table + bucket * BUCKET_BYTES, Base::Indices as u8);
        }
        Some(())
    }

    fn unwinding(&mut self, range: Range<usize>) {
        for at in range.step_by(4) {
            self.add_unless(at, 0, Base::Image);
        }
    }

    fn symbols(&mut self, image: &Image) {
        match &image.symbols {
            Some(Symbols::Coff(range)) => {
                for at in range.clone().step_by(18) {
                    if u32_at(self.bytes, at) == Some(0) {
                        self.add(at + 4, Base::SymbolNames as u8);
                    }
                    let section = usize::from(u16_at(self.bytes, at + 12).unwrap_or(0));
                    if (1..=MAX_SECTIONS).contains(&section) {
                        self.add(at + 8, (Base::Sections as usize + section - 1) as u8);
                    }
                }
                // Sections in the order of the file stand in for those of the header.
                for (number, region) in image.regions.iter().take(MAX_SECTIONS).enumerate() {
                    self.bases[Base::Sections as usize + number] = region.address;
                }
            }
            Some(Symbols::Elf(range)) => {
                for at in range.clone().step_by(24) {
                    self.add_unless(at, 0, Base::SymbolNames);
                    self.add_unless(at + 8, 0, Base::Zero);
                }
            }
            None => {}
        }
    }
}
