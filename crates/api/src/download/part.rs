//! The part of a file that has come so far: written and hashed on a thread of its own, so that the
//! network, the hash and the disk work at the same time.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use gofleet_core::digest::Digest;
use reqwest::header::HeaderValue;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{DownloadError, Size};

/// Chunks between network and disk. With chunks of at most some hundred KiB, a few MB.
const QUEUE: usize = 16;

/// The file behind `.part`, with the hash of what it holds.
pub(super) struct Part {
    path: PathBuf,
    bytes: u64,
    /// What the server calls the version that the bytes belong to; strong ones only.
    pub(super) etag: Option<HeaderValue>,
    sender: mpsc::Sender<Step>,
    writer: JoinHandle<io::Result<(File, Digest)>>,
}

/// What the writer is to do next.
enum Step {
    Write(Bytes),
    Restart,
}

/// The size of the file at `path`, if it is there with this digest.
pub(super) async fn verified(path: &Path, expected: Digest) -> Result<Option<u64>, DownloadError> {
    let owned = path.to_owned();
    let hashed = blocking(move || match File::open(&owned) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(mut file) => {
            let mut hash = Sha256::new();
            let bytes = hash_all(&mut file, &mut hash)?;
            Ok(Some((bytes, Digest::from_bytes(hash.finalize().into()))))
        }
    });
    let hashed = hashed.await.map_err(|source| failed(path, source))?;
    Ok(hashed.filter(|(_, found)| *found == expected).map(|(bytes, _)| bytes))
}

impl Part {
    /// Opens the part beside `target`, or begins one, as soon as nobody else writes to it. One
    /// that is too long is begun anew.
    pub(super) async fn open(target: &Path, size: Size) -> Result<Self, DownloadError> {
        let mut name = OsString::from(target.file_name().unwrap_or_default());
        name.push(".part");
        let path = target.with_file_name(name);
        let opened = path.clone();
        let opened = blocking(move || {
            if let Some(folder) = opened.parent() {
                fs::create_dir_all(folder)?;
            }
            let mut file = open_alone(&opened)?;
            if file.metadata()?.len() > size.limit() {
                file.set_len(0)?;
            }
            let mut hash = Sha256::new();
            let bytes = hash_all(&mut file, &mut hash)?;
            Ok((file, hash, bytes))
        });
        let (file, hash, bytes) = opened.await.map_err(|source| failed(&path, source))?;
        Ok(Self::new(path, file, hash, bytes))
    }

    fn new(path: PathBuf, file: File, hash: Sha256, bytes: u64) -> Self {
        let (sender, steps) = mpsc::channel(QUEUE);
        let writer = spawn_blocking(move || write(file, hash, steps));
        Self { path, bytes, etag: None, sender, writer }
    }

    /// How many bytes of the file are there.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds what came.
    pub(super) async fn write(&mut self, chunk: Bytes) -> Result<(), DownloadError> {
        let length = chunk.len() as u64;
        self.send(Step::Write(chunk)).await?;
        self.bytes += length;
        Ok(())
    }

    /// Throws away what has come.
    pub(super) async fn restart(&mut self) -> Result<(), DownloadError> {
        self.send(Step::Restart).await?;
        self.bytes = 0;
        self.etag = None;
        Ok(())
    }

    async fn send(&mut self, step: Step) -> Result<(), DownloadError> {
        if self.sender.send(step).await.is_ok() {
            return Ok(());
        }
        // While there is a sender, only an error ends the writer.
        let written =
            (&mut self.writer).await.map_err(io::Error::other).and_then(|written| written);
        let source = written.err().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into());
        Err(failed(&self.path, source))
    }

    /// Gives the complete file its name if it has the expected digest; else it is deleted, and
    /// the digest that it has is returned.
    pub(super) async fn finish(
        self,
        target: &Path,
        expected: Digest,
    ) -> Result<Result<u64, Digest>, DownloadError> {
        let Self { path, bytes, sender, writer, .. } = self;
        drop(sender);
        let written = writer.await.map_err(io::Error::other).and_then(|written| written);
        let (file, found) = written.map_err(|source| failed(&path, source))?;
        let (target, part) = (target.to_owned(), path.clone());
        let moved = blocking(move || {
            if found == expected {
                fs::rename(&part, &target)?;
            } else {
                fs::remove_file(&part)?;
            }
            // Only now may somebody else have it.
            drop(file);
            Ok(if found == expected { Ok(bytes) } else { Err(found) })
        });
        moved.await.map_err(|source| failed(&path, source))
    }

    /// Leaves what has come for a later call.
    pub(super) async fn close(self) {
        if self.bytes == 0 {
            return self.discard().await;
        }
        drop(self.sender);
        // The call that closes it has an error to tell already.
        let _ = self.writer.await;
    }

    /// Deletes what has come.
    pub(super) async fn discard(self) {
        drop(self.sender);
        let _ = self.writer.await;
        let path = self.path;
        // What stays is wrong or empty: a later call finds that out.
        let _ = blocking(move || fs::remove_file(path)).await;
    }
}

/// Opens the file when nobody else has it: another process, or the writer of a download that was
/// dropped a moment ago.
fn open_alone(path: &Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        match file.lock() {
            Err(error) if error.kind() != io::ErrorKind::Unsupported => return Err(error),
            Ok(()) | Err(_) => {}
        }
        // Else it was complete, and has its name by now.
        if path.exists() {
            return Ok(file);
        }
    }
}

/// The writer's thread.
fn write(
    mut file: File,
    mut hash: Sha256,
    mut steps: mpsc::Receiver<Step>,
) -> io::Result<(File, Digest)> {
    while let Some(step) = steps.blocking_recv() {
        match step {
            Step::Write(chunk) => {
                hash.update(&chunk);
                file.write_all(&chunk)?;
            }
            Step::Restart => {
                file.set_len(0)?;
                hash = Sha256::new();
            }
        }
    }
    // Before it gets its name it must be on the disk, or a power cut could leave the name with
    // other bytes.
    file.sync_all()?;
    Ok((file, Digest::from_bytes(hash.finalize().into())))
}

fn hash_all(file: &mut File, hash: &mut Sha256) -> io::Result<u64> {
    let (mut chunk, mut bytes) = (vec![0; 256 << 10], 0);
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            return Ok(bytes);
        }
        hash.update(&chunk[..count]);
        bytes += count as u64;
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

fn failed(path: &Path, source: io::Error) -> DownloadError {
    DownloadError::File { path: path.to_owned(), source }
}
