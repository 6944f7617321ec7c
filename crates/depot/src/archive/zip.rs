//! Unpacking zips (PKWARE's APPNOTE 6.3.10), on all processors, by reading at positions.

mod directory;

use std::cmp::Reverse;
use std::fs::File;
use std::io::{self, Read};

use flate2::read::DeflateDecoder;
use gofleet_platform::positioned::read_exact_at;
use libdeflater::{Crc, Decompressor};

use self::directory::{Directory, LOCAL_HEADER, Method, ZipEntry};
use super::content::{Content, Entry, Sink, Whole, is_program};
use super::{ArchiveError, WHOLE_LIMIT, check_ratio, place};
use crate::parallel;

/// A chunk of a streamed file.
const CHUNK: usize = 256 << 10;

/// Gives every file below `go/` to `sink`.
pub(super) fn read<S: Sink>(file: &File, sink: &S) -> Result<(), S::Error> {
    let mut work = plan(&directory::read(file)?)?;
    work.retain(|(entry, _)| sink.wants(entry));
    // The largest first: the threads then end at nearly the same time.
    work.sort_by_key(|(entry, _)| Reverse(entry.size));
    parallel::each(&work, Unpacker::default, |unpacker, (entry, zipped)| {
        unpacker.unpack(file, entry, zipped, sink)
    })
}

/// The files of the release among the entries.
fn plan(directory: &Directory) -> Result<Vec<(Entry, ZipEntry)>, ArchiveError> {
    let is_wheel = directory.entries.iter().any(|entry| {
        let top = entry.name.split_once('/');
        top.is_some_and(|(top, rest)| top.ends_with(".dist-info") && rest == "WHEEL")
    });
    let (mut work, mut unpacked) = (Vec::with_capacity(directory.entries.len()), 0u64);
    for zipped in &directory.entries {
        if let Some(folder) = zipped.name.strip_suffix('/') {
            if folder != "go" {
                place(folder, is_wheel)?;
            }
            continue;
        }
        let Some(path) = place(&zipped.name, is_wheel)? else { continue };
        let executable = zipped.is_executable || is_program(&path);
        unpacked = unpacked.saturating_add(zipped.size);
        work.push((Entry { path, size: zipped.size, executable }, zipped.clone()));
    }
    check_ratio(unpacked, directory.archive_size)?;
    Ok(work)
}

/// Unpacks one entry after the other, with buffers that it keeps.
struct Unpacker {
    decompressor: Decompressor,
    packed: Vec<u8>,
    plain: Vec<u8>,
}

impl Default for Unpacker {
    fn default() -> Self {
        Self { decompressor: Decompressor::new(), packed: Vec::new(), plain: Vec::new() }
    }
}

impl Unpacker {
    fn unpack<S: Sink>(
        &mut self,
        file: &File,
        entry: &Entry,
        zipped: &ZipEntry,
        sink: &S,
    ) -> Result<(), S::Error> {
        if zipped.size > WHOLE_LIMIT || zipped.packed > WHOLE_LIMIT {
            return sink.file(entry, &mut Streamed::open(file, zipped)?);
        }
        sink.file(entry, &mut Whole::new(self.whole(file, zipped)?))
    }

    /// The content of an entry, in one piece.
    fn whole(&mut self, file: &File, zipped: &ZipEntry) -> Result<&[u8], ArchiveError> {
        let damaged = |reason| ArchiveError::damaged(&zipped.name, reason);
        // Local header and data in one read; its extra field is nearly always that short.
        const USUAL_EXTRA: u64 = 64;
        let data = LOCAL_HEADER + zipped.name.len() as u64 + zipped.packed;
        let span = (data + USUAL_EXTRA).min(zipped.end - zipped.offset) as usize;
        let packed = slice_of(&mut self.packed, span);
        read_exact_at(file, packed, zipped.offset).map_err(ArchiveError::of_read)?;
        let start = (zipped.data_start(packed)? - zipped.offset) as usize;
        let needed = start + zipped.packed as usize;
        if needed > span {
            let packed = slice_of(&mut self.packed, needed);
            read_exact_at(file, packed, zipped.offset).map_err(ArchiveError::of_read)?;
        }
        let packed = &self.packed[start..needed];
        let plain = match zipped.method {
            Method::Stored => packed,
            Method::Deflated => {
                let plain = slice_of(&mut self.plain, zipped.size as usize);
                let size = self.decompressor.deflate_decompress(packed, plain);
                let size = size.map_err(|_| damaged("it does not unpack to the size it tells"))?;
                &self.plain[..size]
            }
        };
        check(zipped, plain.len() as u64, libdeflater::crc32(plain))?;
        Ok(plain)
    }
}

/// The first `length` bytes of a buffer that only grows.
fn slice_of(buffer: &mut Vec<u8>, length: usize) -> &mut [u8] {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    &mut buffer[..length]
}

fn check(zipped: &ZipEntry, size: u64, crc: u32) -> Result<(), ArchiveError> {
    if size != zipped.size {
        return Err(ArchiveError::damaged(&zipped.name, "it has another size than it tells"));
    }
    if crc != zipped.crc {
        return Err(ArchiveError::damaged(&zipped.name, "its checksum is wrong"));
    }
    Ok(())
}

/// An entry too large for one piece.
struct Streamed<'a> {
    zipped: &'a ZipEntry,
    reader: Box<dyn Read + 'a>,
    chunk: Vec<u8>,
    size: u64,
    crc: Crc,
}

impl<'a> Streamed<'a> {
    fn open(file: &'a File, zipped: &'a ZipEntry) -> Result<Self, ArchiveError> {
        let mut header = vec![0; LOCAL_HEADER as usize + zipped.name.len()];
        read_exact_at(file, &mut header, zipped.offset).map_err(ArchiveError::of_read)?;
        let start = zipped.data_start(&header)?;
        let packed = Range { file, at: start, end: start + zipped.packed };
        let reader: Box<dyn Read> = match zipped.method {
            Method::Stored => Box::new(packed),
            Method::Deflated => Box::new(DeflateDecoder::new(packed)),
        };
        Ok(Self { zipped, reader, chunk: vec![0; CHUNK], size: 0, crc: Crc::new() })
    }
}

impl Content for Streamed<'_> {
    fn next(&mut self) -> Result<Option<&[u8]>, ArchiveError> {
        let count = self.reader.read(&mut self.chunk).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                ArchiveError::damaged(&self.zipped.name, "it can't be unpacked")
            }
            _ => ArchiveError::of_read(error),
        })?;
        let chunk = &self.chunk[..count];
        self.size += count as u64;
        self.crc.update(chunk);
        if self.size > self.zipped.size || count == 0 {
            check(self.zipped, self.size, self.crc.sum())?;
        }
        Ok(Some(chunk).filter(|chunk| !chunk.is_empty()))
    }
}

/// A part of a file, read at positions.
struct Range<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for Range<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (self.end - self.at).min(buffer.len() as u64) as usize;
        read_exact_at(self.file, &mut buffer[..count], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
