//! Unpacking tar.gz as a stream: one thread inflates, the others hash and write.
//!
//! Gzip can't be entered in the middle, so inflating is one thread's work and sets the pace.

use std::borrow::Cow;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::mem;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use flate2::bufread::MultiGzDecoder;
use gofleet_core::manifest::{InvalidManifest, MAX_FILES};
use tar::{EntryType, Header};

use super::content::{Content, Entry, Sink, Whole, is_program};
use super::{ArchiveError, check_ratio, place};
use crate::parallel;

/// Files up to this size travel to the writers in one piece, longer ones in pieces of it.
const CHUNK: usize = 1 << 20;
/// Files on the way to the writers: with [`CHUNK`] this bounds the memory.
const QUEUE: usize = 24;
/// Longest name or set of attributes in an extension header; names over 240 bytes are refused.
const MAX_EXTENSION: u64 = 64 << 10;

/// A file on its way to a writer.
enum Job {
    Whole(Entry, Vec<u8>),
    Streamed(Entry, Receiver<Vec<u8>>),
}

/// Gives every file to `sink`.
pub(super) fn read<S: Sink>(file: &File, sink: &S) -> Result<(), S::Error> {
    let (jobs, queue) = bounded(QUEUE);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..parallel::threads(QUEUE))
            .map(|_| {
                let queue = queue.clone();
                scope.spawn(move || write(&queue, sink))
            })
            .collect();
        // Writers that are all gone make sending fail, which ends the reader.
        drop(queue);
        let inflated = inflate(file, &jobs, &|entry| sink.wants(entry));
        // The writers end when nothing can come any more.
        drop(jobs);
        let written: Result<(), S::Error> =
            writers.into_iter().try_for_each(|writer| writer.join().expect("writers don't panic"));
        match inflated {
            // What a writer met is the cause, if the reader stopped for want of writers.
            Ok(()) | Err(Stop::NoWriters) => written,
            Err(Stop::Refused(error)) => Err(error.into()),
        }
    })
}

fn write<S: Sink>(queue: &Receiver<Job>, sink: &S) -> Result<(), S::Error> {
    for job in queue {
        match job {
            Job::Whole(entry, bytes) => sink.file(&entry, &mut Whole::new(&bytes))?,
            Job::Streamed(entry, chunks) => {
                let mut content = Pieces { left: entry.size, chunks, chunk: Vec::new() };
                sink.file(&entry, &mut content)?;
            }
        }
    }
    Ok(())
}

/// A file that arrives in pieces.
struct Pieces {
    left: u64,
    chunks: Receiver<Vec<u8>>,
    chunk: Vec<u8>,
}

impl Content for Pieces {
    fn next(&mut self) -> Result<Option<&[u8]>, ArchiveError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.chunk = self.chunks.recv().map_err(|_| ArchiveError::Truncated)?;
        self.left -= self.chunk.len() as u64;
        Ok(Some(&self.chunk))
    }
}

/// Why reading ended early.
enum Stop {
    Refused(ArchiveError),
    NoWriters,
}

impl From<ArchiveError> for Stop {
    fn from(error: ArchiveError) -> Self {
        Self::Refused(error)
    }
}

fn inflate(file: &File, jobs: &Sender<Job>, wants: &dyn Fn(&Entry) -> bool) -> Result<(), Stop> {
    let packed = file.metadata().map_err(ArchiveError::Read)?.len();
    let unpacked = Cell::new(0);
    let explain = |error: io::Error| explain(error, unpacked.get(), packed);
    let gzip = MultiGzDecoder::new(BufReader::with_capacity(CHUNK, file));
    let mut archive = tar::Archive::new(Counted { reader: gzip, count: &unpacked, packed });
    let mut extension = Extension::default();
    let mut files = 0;
    for entry in archive.entries().map_err(explain)?.raw(true) {
        let mut entry = entry.map_err(explain)?;
        match entry.header().entry_type() {
            EntryType::GNULongName | EntryType::XHeader => extension.read(&mut entry, &explain)?,
            EntryType::XGlobalHeader => {}
            kind => {
                let name = extension.name_of(entry.header())?;
                let Some(found) = describe(&name, kind, entry.header())? else { continue };
                files += 1;
                if files > MAX_FILES {
                    return Err(ArchiveError::Tree(InvalidManifest::TooManyFiles).into());
                }
                if wants(&found) {
                    send(found, &mut entry, jobs, &explain)?;
                }
            }
        }
    }
    // Only the end of the gzip has its checksum.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(explain)?;
    Ok(())
}

/// What the entry is; none for a folder.
fn describe(name: &str, kind: EntryType, header: &Header) -> Result<Option<Entry>, ArchiveError> {
    let malformed = |_| ArchiveError::Malformed("a header of its tar makes no sense");
    match kind {
        EntryType::Directory => {
            let folder = name.strip_suffix('/').unwrap_or(name);
            if folder != "go" {
                place(folder, false)?;
            }
            Ok(None)
        }
        EntryType::Regular => {
            let Some(path) = place(name, false)? else { return Ok(None) };
            let mode = header.mode().map_err(malformed)?;
            let executable = mode & 0o111 != 0 || is_program(&path);
            Ok(Some(Entry { path, size: header.entry_size().map_err(malformed)?, executable }))
        }
        _ => Err(ArchiveError::NotAFile { name: name.to_owned() }),
    }
}

fn send(
    found: Entry,
    content: &mut impl Read,
    jobs: &Sender<Job>,
    explain: &impl Fn(io::Error) -> ArchiveError,
) -> Result<(), Stop> {
    let mut left = found.size;
    let mut next = || {
        let mut chunk = vec![0; left.min(CHUNK as u64) as usize];
        content.read_exact(&mut chunk).map_err(explain)?;
        left -= chunk.len() as u64;
        Ok::<_, Stop>(chunk)
    };
    if found.size <= CHUNK as u64 {
        return jobs.send(Job::Whole(found, next()?)).map_err(|_| Stop::NoWriters);
    }
    let pieces = found.size.div_ceil(CHUNK as u64);
    let (chunks, queue) = bounded(4);
    jobs.send(Job::Streamed(found, queue)).map_err(|_| Stop::NoWriters)?;
    for _ in 0..pieces {
        chunks.send(next()?).map_err(|_| Stop::NoWriters)?;
    }
    Ok(())
}

/// The name that an extension header gives to the entry after it.
#[derive(Default)]
struct Extension {
    name: Option<String>,
}

impl Extension {
    /// Reads GNU's long name, or the `path` of a pax header (POSIX.1-2001, pax, "Extended
    /// Header"); other attributes (times, owners) don't matter for a release.
    fn read<R: Read>(
        &mut self,
        entry: &mut tar::Entry<'_, R>,
        explain: &impl Fn(io::Error) -> ArchiveError,
    ) -> Result<(), ArchiveError> {
        let malformed = ArchiveError::Malformed("an extension header of its tar makes no sense");
        if entry.size() > MAX_EXTENSION {
            return Err(malformed);
        }
        let is_pax = entry.header().entry_type() == EntryType::XHeader;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(explain)?;
        let name = if is_pax { pax_path(&bytes) } else { Ok(Some(gnu_name(&bytes))) };
        let Ok(name) = name else { return Err(malformed) };
        if let Some(name) = name {
            self.name = Some(String::from_utf8(name.to_vec()).map_err(|_| not_utf8())?);
        }
        Ok(())
    }

    fn name_of(&mut self, header: &Header) -> Result<String, ArchiveError> {
        match mem::take(&mut self.name) {
            Some(name) => Ok(name),
            None => Cow::into_owned(header.path_bytes()).try_into().map_err(|_| not_utf8()),
        }
    }
}

fn not_utf8() -> ArchiveError {
    ArchiveError::Malformed("it holds a name that is not UTF-8")
}

fn gnu_name(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\0").unwrap_or(bytes)
}

/// The `path` attribute. A `size` (for files over 8 GiB) or a sparse map would change how the
/// entry is read: refused.
fn pax_path(bytes: &[u8]) -> Result<Option<&[u8]>, ()> {
    let mut path = None;
    for attribute in tar::PaxExtensions::new(bytes) {
        let attribute = attribute.map_err(|_| ())?;
        match attribute.key_bytes() {
            b"path" => path = Some(attribute.value_bytes()),
            b"size" => return Err(()),
            key if key.starts_with(b"GNU.sparse") => return Err(()),
            _ => {}
        }
    }
    Ok(path)
}

/// Counts what was unpacked and stops a bomb.
struct Counted<'a, R> {
    reader: R,
    count: &'a Cell<u64>,
    packed: u64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.count.set(self.count.get() + count as u64);
        check_ratio(self.count.get(), self.packed).map_err(io::Error::other)?;
        Ok(count)
    }
}

/// What an error of the readers means: they tell what is wrong with the content by kinds.
fn explain(error: io::Error, unpacked: u64, packed: u64) -> ArchiveError {
    if let Err(bomb) = check_ratio(unpacked, packed) {
        return bomb;
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => ArchiveError::Truncated,
        _ if error.raw_os_error().is_some() => ArchiveError::Read(error),
        _ => ArchiveError::Malformed("its gzip or tar structure is damaged"),
    }
}
