//! The directory at the end of a zip, read strictly: what two readers could understand in two
//! ways is refused. Section numbers are those of PKWARE's APPNOTE 6.3.10.

use std::fs::File;

use gofleet_core::manifest::MAX_FILES;
use gofleet_platform::positioned::read_exact_at;

use super::super::ArchiveError;

/// Length of a local file header without name and extra field (4.3.7).
pub(super) const LOCAL_HEADER: u64 = 30;
/// Length of a central directory header without its variable fields (4.3.12).
const CENTRAL_HEADER: usize = 46;
/// Length of the end of central directory record without its comment (4.3.16).
const END_RECORD: usize = 22;
/// Length of the zip64 end of central directory record without extensible data (4.3.14).
const END_RECORD_64: usize = 56;
/// Length of the zip64 end of central directory locator (4.3.15).
const LOCATOR_64: usize = 20;
/// Most bytes of a directory: 320 for each of the most files.
const MAX_DIRECTORY: u64 = 320 * MAX_FILES as u64;
/// Deflate makes at most 1032 bytes of one (zlib's technical notes), give or take a block's end.
const MAX_DEFLATE_RATIO: u64 = 1032;

/// All entries of a zip.
pub(super) struct Directory {
    pub entries: Vec<ZipEntry>,
    /// Bytes of the whole zip.
    pub archive_size: u64,
}

/// One entry; folders end with `/`.
#[derive(Debug, Clone)]
pub(super) struct ZipEntry {
    pub name: String,
    pub method: Method,
    pub packed: u64,
    pub size: u64,
    pub crc: u32,
    /// Whether Unix mode bits say so.
    pub is_executable: bool,
    /// Where its local header begins.
    pub offset: u64,
    /// Where the next entry, or the directory, begins.
    pub end: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Stored,
    Deflated,
}

/// Where the directory stands.
struct End {
    offset: u64,
    size: u64,
    entries: u64,
    /// Where the record after the directory begins.
    record: u64,
}

/// Reads the directory and checks it against itself.
pub(super) fn read(file: &File) -> Result<Directory, ArchiveError> {
    let archive_size = file.metadata().map_err(ArchiveError::Read)?.len();
    let end = find_end(file, archive_size)?;
    if end.entries > MAX_FILES as u64 * 2 || end.size > MAX_DIRECTORY {
        return Err(ArchiveError::Malformed("its directory is too large"));
    }
    if end.offset.checked_add(end.size) != Some(end.record) {
        return Err(ArchiveError::Malformed("its directory does not stand where it should"));
    }
    let mut bytes = vec![0; end.size as usize];
    read_exact_at(file, &mut bytes, end.offset).map_err(ArchiveError::of_read)?;
    let mut rest = bytes.as_slice();
    let mut entries = Vec::with_capacity(end.entries as usize);
    for _ in 0..end.entries {
        entries.push(read_entry(&mut rest)?);
    }
    if !rest.is_empty() {
        return Err(ArchiveError::Malformed("its directory has more entries than it tells"));
    }
    set_ends(&mut entries, end.offset)?;
    Ok(Directory { entries, archive_size })
}

/// Finds the last record (4.3.16), whose comment must end with the file, and the zip64 one before
/// it (4.3.14, 4.3.15) if there is one.
fn find_end(file: &File, archive_size: u64) -> Result<End, ArchiveError> {
    let tail_size = archive_size.min((END_RECORD + usize::from(u16::MAX)) as u64);
    let tail_start = archive_size - tail_size;
    let mut tail = vec![0; tail_size as usize];
    read_exact_at(file, &mut tail, tail_start).map_err(ArchiveError::of_read)?;
    let is_end = |at: &usize| {
        let record = &tail[*at..];
        record.starts_with(b"PK\x05\x06")
            && record.len() == END_RECORD + usize::from(u16_at(record, 20))
    };
    let at = (0..(tail.len() + 1).saturating_sub(END_RECORD)).rev().find(is_end);
    let at = at.ok_or(ArchiveError::Truncated)?;
    let (record, position) = (&tail[at..], tail_start + at as u64);
    if at >= LOCATOR_64 && tail[at - LOCATOR_64..].starts_with(b"PK\x06\x07") {
        return read_end_64(file, &tail[at - LOCATOR_64..at], position - LOCATOR_64 as u64);
    }
    let is_one_disk =
        u16_at(record, 4) == 0 && u16_at(record, 6) == 0 && u16_at(record, 8) == u16_at(record, 10);
    if !is_one_disk {
        return Err(ArchiveError::Malformed("it is a part of a zip on several disks"));
    }
    Ok(End {
        offset: u64::from(u32_at(record, 16)),
        size: u64::from(u32_at(record, 12)),
        entries: u64::from(u16_at(record, 10)),
        record: position,
    })
}

fn read_end_64(file: &File, locator: &[u8], before: u64) -> Result<End, ArchiveError> {
    let malformed = || ArchiveError::Malformed("its zip64 record makes no sense");
    let position = u64_at(locator, 8);
    if position.checked_add(END_RECORD_64 as u64).is_none_or(|end| end > before) {
        return Err(malformed());
    }
    let mut record = [0; END_RECORD_64];
    read_exact_at(file, &mut record, position).map_err(ArchiveError::of_read)?;
    let is_one_disk =
        u32_at(&record, 16) == 0 && u32_at(&record, 20) == 0 && u32_at(locator, 4) == 0;
    let is_whole = u64_at(&record, 24) == u64_at(&record, 32)
        && u64_at(&record, 4).checked_add(12 + position) == Some(before);
    if !record.starts_with(b"PK\x06\x06") || !is_one_disk || !is_whole {
        return Err(malformed());
    }
    Ok(End {
        offset: u64_at(&record, 48),
        size: u64_at(&record, 40),
        entries: u64_at(&record, 32),
        record: position,
    })
}

/// Reads one header of the directory (4.3.12) from the front of `rest`.
fn read_entry(rest: &mut &[u8]) -> Result<ZipEntry, ArchiveError> {
    let short = || ArchiveError::Malformed("its directory has fewer entries than it tells");
    let (header, after) = rest.split_at_checked(CENTRAL_HEADER).ok_or_else(short)?;
    if !header.starts_with(b"PK\x01\x02") {
        return Err(short());
    }
    let lengths = [28, 30, 32].map(|at| usize::from(u16_at(header, at)));
    let (name, after) = after.split_at_checked(lengths[0]).ok_or_else(short)?;
    let (extra, after) = after.split_at_checked(lengths[1]).ok_or_else(short)?;
    *rest = after.get(lengths[2]..).ok_or_else(short)?;
    let name = std::str::from_utf8(name)
        .map_err(|_| ArchiveError::Malformed("it holds a name that is not UTF-8"))?
        .to_owned();
    let mode = u32_at(header, 38) >> 16;
    check_kind(&name, u16_at(header, 8), mode)?;
    let mut entry = ZipEntry {
        method: method_of(&name, u16_at(header, 10))?,
        packed: u64::from(u32_at(header, 20)),
        size: u64::from(u32_at(header, 24)),
        crc: u32_at(header, 16),
        is_executable: mode & 0o111 != 0,
        offset: u64::from(u32_at(header, 42)),
        end: 0,
        name,
    };
    read_extra_64(extra, &mut entry)?;
    check_sizes(&entry)?;
    Ok(entry)
}

/// Refuses encryption (flag bits 0, 6 and 13, see 4.4.4) and what Unix mode bits call a link, a
/// device, a socket or a pipe.
fn check_kind(name: &str, flags: u16, mode: u32) -> Result<(), ArchiveError> {
    const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
    const TYPE: u32 = 0o170_000;
    const FOLDER: u32 = 0o040_000;
    const FILE: u32 = 0o100_000;
    if flags & ENCRYPTED != 0 {
        let name = name.to_owned();
        return Err(ArchiveError::Unsupported { name, reason: "it is encrypted" });
    }
    let is_folder = name.ends_with('/');
    match mode & TYPE {
        0 => Ok(()),
        FILE if !is_folder => Ok(()),
        FOLDER if is_folder => Ok(()),
        _ => Err(ArchiveError::NotAFile { name: name.to_owned() }),
    }
}

fn method_of(name: &str, method: u16) -> Result<Method, ArchiveError> {
    match method {
        0 => Ok(Method::Stored),
        8 => Ok(Method::Deflated),
        _ => Err(ArchiveError::Unsupported {
            name: name.to_owned(),
            reason: "only stored and deflated files are read",
        }),
    }
}

/// Takes sizes and offset from the zip64 extra field (4.5.3) where the header has no room.
fn read_extra_64(mut extra: &[u8], entry: &mut ZipEntry) -> Result<(), ArchiveError> {
    const NO_ROOM: u64 = u32::MAX as u64;
    let damaged = || ArchiveError::damaged(&entry.name, "its extra field makes no sense");
    let mut values: &[u8] = &[];
    while extra.len() >= 4 {
        let (id, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let field = extra.get(4..4 + length).ok_or_else(damaged)?;
        if id == 1 {
            values = field;
        }
        extra = &extra[4 + length..];
    }
    let mut wide = [entry.size, entry.packed, entry.offset];
    for value in wide.iter_mut().filter(|value| **value == NO_ROOM) {
        let (bytes, after) = values.split_first_chunk().ok_or_else(damaged)?;
        (*value, values) = (u64::from_le_bytes(*bytes), after);
    }
    [entry.size, entry.packed, entry.offset] = wide;
    Ok(())
}

/// Refuses sizes that can't be true.
fn check_sizes(entry: &ZipEntry) -> Result<(), ArchiveError> {
    let is_possible = match entry.method {
        _ if entry.name.ends_with('/') => entry.size == 0,
        Method::Stored => entry.size == entry.packed,
        Method::Deflated => entry.size / MAX_DEFLATE_RATIO <= entry.packed.saturating_add(1),
    };
    if is_possible {
        Ok(())
    } else {
        Err(ArchiveError::damaged(&entry.name, "the size it tells is impossible"))
    }
}

/// Tells each entry where the next one begins, and refuses entries that share bytes.
fn set_ends(entries: &mut [ZipEntry], directory: u64) -> Result<(), ArchiveError> {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|&index| entries[index].offset);
    let mut end = directory;
    for &index in order.iter().rev() {
        let entry = &mut entries[index];
        let least = (LOCAL_HEADER + entry.name.len() as u64).checked_add(entry.packed);
        let data_end = least.and_then(|least| least.checked_add(entry.offset));
        if data_end.is_none_or(|data_end| data_end > end) {
            return Err(ArchiveError::Overlap { name: entry.name.clone() });
        }
        (entry.end, end) = (end, entry.offset);
    }
    Ok(())
}

impl ZipEntry {
    /// Where the data begins, by the local header (4.3.7), which must agree with the directory.
    pub(super) fn data_start(&self, header: &[u8]) -> Result<u64, ArchiveError> {
        let disagrees = || ArchiveError::damaged(&self.name, "header and directory disagree");
        let name = header.get(LOCAL_HEADER as usize..).and_then(|rest| rest.get(..self.name.len()));
        let method = match self.method {
            Method::Stored => 0,
            Method::Deflated => 8,
        };
        let agrees = header.starts_with(b"PK\x03\x04")
            && name == Some(self.name.as_bytes())
            && u16_at(header, 8) == method
            && usize::from(u16_at(header, 26)) == self.name.len();
        if !agrees {
            return Err(disagrees());
        }
        let extra = u64::from(u16_at(header, 28));
        let start = self.offset + LOCAL_HEADER + self.name.len() as u64 + extra;
        if start + self.packed > self.end {
            return Err(ArchiveError::Overlap { name: self.name.clone() });
        }
        Ok(start)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
