//! What packs and deltas have in common: a header, a compressed head, then frames.
//!
//! The head tells what the frames hold; each of them can be read without the others. Nothing here
//! believes a length before it was compared with what is left of the file and with what a release
//! may have at most. `docs/pack-and-delta.md` specifies every byte.

pub(crate) mod assembly;
pub(crate) mod codec;
pub(crate) mod listing;
pub(crate) mod wire;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use gofleet_core::manifest::MAX_FILES;
use gofleet_platform::positioned::read_exact_at;
use thiserror::Error;

use self::codec::Codec;
use self::wire::{Reader, Writer};

/// Why the bytes of a pack or delta can't be used.
#[derive(Debug, Error)]
pub enum FormatError {
    /// The operating system could not read it.
    #[error("it could not be read")]
    Read(#[source] io::Error),
    /// It begins otherwise.
    #[error("it is of another kind")]
    WrongKind,
    /// It was made by a newer program, for newer programs.
    #[error("its format has the version {0}, which this program does not know")]
    UnknownVersion(u16),
    /// A part of it is packed in a way that this program does not know.
    #[error("it uses the codec {0}, which this program does not know")]
    UnknownCodec(u8),
    /// It ends too early.
    #[error("it is cut short")]
    Truncated,
    /// It contradicts itself.
    #[error("it is malformed: {0}")]
    Malformed(&'static str),
    /// It was made of, or for, another release than the one at hand.
    #[error("it belongs to another release")]
    WrongRelease,
    /// Its head was changed on the way.
    #[error("its head is damaged")]
    DamagedHead,
    /// A frame was changed on the way.
    #[error("its frame {0} is damaged")]
    DamagedFrame(usize),
}

impl FormatError {
    /// Whether a newer program could use it: reason to ask for another way, not for the same again.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::UnknownVersion(_) | Self::UnknownCodec(_))
    }

    fn of_read(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            _ => Self::Read(error),
        }
    }
}

/// A pack or a delta that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// The size of the file, in bytes.
    pub bytes: u64,
}

/// Whether checksums and manifests' digests are compared. A fuzzer can't guess them.
pub(crate) const IS_STRICT: bool = !cfg!(any(fuzzing, feature = "fuzzing"));

/// The only version so far.
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 24;
/// Most bytes of a head: a file takes its path, its digest and a few numbers.
const MAX_HEAD_BYTES: usize = MAX_FILES * 320;

/// What the first bytes of a file are.
pub(crate) type Magic = [u8; 8];

/// A frame as the head describes it. What it unpacks to follows from the files in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Where it stands among the frames.
    pub number: usize,
    /// How it is packed; what the number means depends on the kind of container.
    pub codec: u8,
    offset: u64,
    packed: usize,
    crc: u32,
}

/// A file whose header and head were read.
pub(crate) struct Container {
    file: File,
    size: u64,
    /// The unpacked head.
    pub head: Vec<u8>,
    frames_start: u64,
}

impl Container {
    pub(crate) fn open(path: &Path, magic: Magic) -> Result<Self, FormatError> {
        let file = File::open(path).map_err(FormatError::Read)?;
        let size = file.metadata().map_err(FormatError::Read)?.len();
        let mut header = [0; HEADER_BYTES];
        read_exact_at(&file, &mut header, 0).map_err(FormatError::of_read)?;
        let mut header = Reader::new(&header);
        if header.array::<8>()? != magic {
            return Err(FormatError::WrongKind);
        }
        let version = header.u16()?;
        if version != VERSION {
            return Err(FormatError::UnknownVersion(version));
        }
        let codec = Codec::of(header.u8()?)?;
        if header.u8()? != 0 {
            return Err(FormatError::Malformed("a reserved byte is not zero"));
        }
        let (packed, plain, crc) = (header.u32()?, header.u32()? as usize, header.u32()?);
        let frames_start = HEADER_BYTES as u64 + u64::from(packed);
        if frames_start > size {
            return Err(FormatError::Truncated);
        }
        if plain > MAX_HEAD_BYTES || packed as usize > MAX_HEAD_BYTES {
            return Err(FormatError::Malformed("its head is too large"));
        }
        let mut bytes = vec![0; packed as usize];
        read_exact_at(&file, &mut bytes, HEADER_BYTES as u64).map_err(FormatError::of_read)?;
        if IS_STRICT && libdeflater::crc32(&bytes) != crc {
            return Err(FormatError::DamagedHead);
        }
        let mut head = Vec::new();
        codec.unpack(&bytes, &[], plain, &mut head).map_err(|_| FormatError::DamagedHead)?;
        Ok(Self { file, size, head, frames_start })
    }

    /// Reads the table of frames, which ends the head. `each` reads what the kind of container
    /// tells of a frame.
    pub(crate) fn frames<T>(
        &self,
        head: &mut Reader,
        mut each: impl FnMut(&mut Reader) -> Result<T, FormatError>,
    ) -> Result<Vec<(Frame, T)>, FormatError> {
        let count = head.count(MAX_FILES)?;
        let (mut frames, mut offset) = (Vec::new(), self.frames_start);
        for number in 0..count {
            let (codec, packed, crc) = (head.u8()?, head.varint()?, head.u32()?);
            if packed > self.size - offset {
                return Err(FormatError::Truncated);
            }
            let frame = Frame { number, codec, offset, packed: packed as usize, crc };
            frames.push((frame, each(head)?));
            offset += packed;
        }
        if offset != self.size || !head.is_at_end() {
            return Err(FormatError::Malformed("something follows its last part"));
        }
        Ok(frames)
    }

    /// The packed bytes of a frame, which are those that were written.
    pub(crate) fn read(&self, frame: &Frame) -> Result<Vec<u8>, FormatError> {
        let mut packed = vec![0; frame.packed];
        read_exact_at(&self.file, &mut packed, frame.offset).map_err(FormatError::of_read)?;
        if IS_STRICT && libdeflater::crc32(&packed) != frame.crc {
            return Err(FormatError::DamagedFrame(frame.number));
        }
        Ok(packed)
    }
}

/// Collects head and frames, then writes the file.
pub(crate) struct Builder {
    magic: Magic,
    head: Writer,
    table: Writer,
    count: usize,
    frames: Vec<Vec<u8>>,
}

impl Builder {
    /// Begins with what stands in the head before the table of frames.
    pub(crate) fn new(magic: Magic, head: Writer) -> Self {
        Self { magic, head, table: Writer::default(), count: 0, frames: Vec::new() }
    }

    /// Adds a frame; `detail` is what the kind of container tells of it.
    pub(crate) fn frame(&mut self, codec: u8, packed: Vec<u8>, detail: impl FnOnce(&mut Writer)) {
        self.table.u8(codec);
        self.table.varint(packed.len() as u64);
        self.table.u32(libdeflater::crc32(&packed));
        detail(&mut self.table);
        self.count += 1;
        self.frames.push(packed);
    }

    /// Writes all of it.
    pub(crate) fn write(mut self, path: &Path) -> io::Result<Made> {
        self.head.varint(self.count as u64);
        self.head.bytes(self.table.as_bytes());
        let plain = self.head.as_bytes();
        let (codec, packed) = Codec::smallest(plain, &[]);
        let mut header = Writer::default();
        header.bytes(&self.magic);
        header.u16(VERSION);
        header.u8(codec as u8);
        header.u8(0);
        header.u32(packed.len() as u32);
        header.u32(plain.len() as u32);
        header.u32(libdeflater::crc32(&packed));
        let mut file = File::create(path)?;
        file.write_all(header.as_bytes())?;
        file.write_all(&packed)?;
        self.frames.iter().try_for_each(|frame| file.write_all(frame))?;
        file.sync_all()?;
        let frames: usize = self.frames.iter().map(Vec::len).sum();
        Ok(Made { bytes: (HEADER_BYTES + packed.len() + frames) as u64 })
    }
}
