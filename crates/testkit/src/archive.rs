//! Archives made in memory: a Go in miniature, and archives that mean harm, each with a name.
//!
//! [`Zip`] can lie in every field that a reader might believe.

pub mod hostile;

use std::io::Write;

use flate2::write::{DeflateEncoder, GzEncoder};
use flate2::{Compression, Crc};

/// A file of an archive: name (with its `go/`), content, and Unix mode with its type.
pub type File = (String, Vec<u8>, u32);

/// An ordinary file's type and mode.
pub const PLAIN: u32 = 0o100_644;
/// A program's type and mode.
pub const PROGRAM: u32 = 0o100_755;

/// The files of a Go in miniature, with everything that an import looks at: it is read as
/// `version` (like `1.27.3`) for `linux-amd64`.
pub fn small_go(version: &str) -> Vec<File> {
    let mut program = b"\x7fELF\x02\x01\x01".to_vec();
    program.resize(18, 0);
    program.extend([62, 0]);
    program.resize(3000, 0x5a);
    let file = |name: &str, content: &[u8], mode| (format!("go/{name}"), content.to_vec(), mode);
    vec![
        file("VERSION", format!("go{version}\ntime 2026-10-19T22:20:36Z\n").as_bytes(), PLAIN),
        file("bin/go", &program, PROGRAM),
        file("bin/gofmt", &program, PROGRAM),
        file("pkg/tool/linux_amd64/compile", &program, PROGRAM),
        file("src/fmt/print.go", "package fmt\n".repeat(300).as_bytes(), PLAIN),
        file("src/fmt/empty.go", b"", PLAIN),
    ]
}

/// A zip of these files.
pub fn zip(files: &[File]) -> Vec<u8> {
    Zip::of(files).bytes()
}

/// A tar.gz of these files.
pub fn tar_gz(files: &[File]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, content, mode) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(mode & 0o777);
        // `set_path` would refuse the names that matter here.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, content.as_slice()).expect("memory can be written");
    }
    builder.into_inner().and_then(GzEncoder::finish).expect("memory can be written")
}

/// A zip in the making.
#[derive(Debug, Default)]
pub struct Zip {
    entries: Vec<Entry>,
    comment: Vec<u8>,
}

/// An entry of a zip, which may lie.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name in the directory.
    pub name: String,
    /// Its name in the local header.
    pub local_name: String,
    /// What it unpacks to.
    pub content: Vec<u8>,
    /// The size that it tells.
    pub told_size: u64,
    /// Unix type and mode.
    pub mode: u32,
    /// General purpose flags.
    pub flags: u16,
    /// The method that it tells; 8 is what it really is.
    pub method: u16,
    /// The entry whose bytes it claims as its own.
    pub bytes_of: Option<usize>,
    /// Whether sizes and offset stand in a zip64 extra field.
    pub is_zip64: bool,
}

impl Entry {
    /// An honest entry.
    pub fn new(name: &str, content: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            local_name: name.to_owned(),
            content: content.to_owned(),
            told_size: content.len() as u64,
            mode: PLAIN,
            flags: 0,
            method: 8,
            bytes_of: None,
            is_zip64: false,
        }
    }
}

impl Zip {
    /// A zip that holds these files first.
    pub fn of(files: &[File]) -> Self {
        files.iter().fold(Self::default(), |zip, (name, content, mode)| {
            zip.with(Entry { mode: *mode, ..Entry::new(name, content) })
        })
    }

    /// The same with one more entry.
    #[must_use]
    pub fn with(mut self, entry: Entry) -> Self {
        self.entries.push(entry);
        self
    }

    /// The same with a comment at its end.
    #[must_use]
    pub fn with_comment(mut self, comment: &[u8]) -> Self {
        self.comment = comment.to_owned();
        self
    }

    /// Its bytes (PKWARE's APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16).
    pub fn bytes(&self) -> Vec<u8> {
        let (mut bytes, mut directory, mut offsets) = (Vec::new(), Vec::new(), Vec::new());
        for entry in &self.entries {
            let packed = deflated(&entry.content);
            let mut crc = Crc::new();
            crc.update(&entry.content);
            let fixed = Fixed { entry, packed: packed.len() as u64, crc: crc.sum() };
            offsets.push(bytes.len() as u64);
            if entry.bytes_of.is_none() {
                fixed.local(&mut bytes);
                bytes.extend(packed);
            }
            let shared = entry.bytes_of.map_or(offsets.len() - 1, |of| of);
            fixed.central(&mut directory, offsets[shared]);
        }
        let (start, size) = (bytes.len() as u32, directory.len() as u32);
        bytes.extend(directory);
        bytes.extend(b"PK\x05\x06\0\0\0\0");
        let count = self.entries.len() as u16;
        bytes.extend([count, count].iter().flat_map(|count| count.to_le_bytes()));
        bytes.extend([size, start].iter().flat_map(|number| number.to_le_bytes()));
        bytes.extend((self.comment.len() as u16).to_le_bytes());
        bytes.extend(&self.comment);
        bytes
    }
}

fn deflated(content: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).and_then(|()| encoder.finish()).expect("memory can be written")
}

/// What local header and directory have in common.
struct Fixed<'a> {
    entry: &'a Entry,
    packed: u64,
    crc: u32,
}

impl Fixed<'_> {
    fn common(&self, bytes: &mut Vec<u8>, name: &str, extra: usize) {
        bytes.extend(
            [20u16, self.entry.flags, self.entry.method, 0, 0].map(u16::to_le_bytes).concat(),
        );
        let is_wide = extra > 0;
        let size = |size: u64| if is_wide { u32::MAX } else { size as u32 };
        let numbers = [self.crc, size(self.packed), size(self.entry.told_size)];
        bytes.extend(numbers.map(u32::to_le_bytes).concat());
        bytes.extend([name.len() as u16, extra as u16].map(u16::to_le_bytes).concat());
    }

    fn local(&self, bytes: &mut Vec<u8>) {
        bytes.extend(b"PK\x03\x04");
        self.common(bytes, &self.entry.local_name, 0);
        bytes.extend(self.entry.local_name.as_bytes());
    }

    fn central(&self, bytes: &mut Vec<u8>, offset: u64) {
        let extra = if self.entry.is_zip64 { 28 } else { 0 };
        bytes.extend(b"PK\x01\x02\x14\x03");
        self.common(bytes, &self.entry.name, extra);
        bytes.extend([0; 6]);
        bytes.extend((self.entry.mode << 16).to_le_bytes());
        let told = if self.entry.is_zip64 { u32::MAX } else { offset as u32 };
        bytes.extend(told.to_le_bytes());
        bytes.extend(self.entry.name.as_bytes());
        if self.entry.is_zip64 {
            bytes.extend([1, 0, 24, 0]);
            let wide = [self.entry.told_size, self.packed, offset];
            bytes.extend(wide.map(u64::to_le_bytes).concat());
        }
    }
}
