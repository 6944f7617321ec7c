//! Sending an artifact to a device, also while it is still coming from the server.

use std::io::{self, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream::try_unfold;
use gofleet_api::download::Meter as _;
use gofleet_api::throttle::Throttle;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::sync::watch;

use super::fetching::Progress;
use crate::send::CHUNK_BYTES;

/// How soon to look again for what has been announced and is not in the file yet.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A part of an artifact on its way to a device.
pub struct Sending {
    /// Its file; where it is still coming, as soon as there is one.
    pub file: Option<File>,
    /// Where it may lie, in this order.
    pub places: [PathBuf; 2],
    /// The next byte's place.
    pub position: u64,
    /// Behind the last byte.
    pub end: u64,
    /// How it comes; none if it is all there.
    pub coming: Option<watch::Receiver<Progress>>,
    /// The attempt that the bytes sent so far belong to.
    pub attempt: u32,
    /// Counts and slows down what is sent to all devices.
    pub throttle: Arc<Throttle>,
}

impl Sending {
    /// The bytes, as they become available. It breaks off where they do not.
    pub fn into_body(self) -> Body {
        Body::from_stream(try_unfold(self, |mut sending| async move {
            let chunk = sending.next().await?;
            Ok::<_, io::Error>(chunk.map(|chunk| (chunk, sending)))
        }))
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while self.position < self.end {
            let available = self.available()?.min(self.end);
            if available > self.position
                && let Some(chunk) = self.read(available - self.position).await?
            {
                self.position += chunk.len() as u64;
                tokio::time::sleep(self.throttle.came(chunk.len() as u64)).await;
                return Ok(Some(chunk));
            }
            self.wait().await?;
        }
        Ok(None)
    }

    /// Up to where bytes have been announced.
    fn available(&mut self) -> io::Result<u64> {
        let Some(coming) = &mut self.coming else { return Ok(self.end) };
        match *coming.borrow_and_update() {
            Progress::Asking => Ok(0),
            Progress::Coming { attempt, .. } if attempt != self.attempt && self.position > 0 => {
                Err(io::Error::other("what had come was thrown away"))
            }
            Progress::Coming { bytes, .. } => Ok(bytes),
            Progress::Done => Ok(self.end),
            Progress::Missing | Progress::Failed => {
                Err(io::Error::other("it stopped coming from the server"))
            }
        }
    }

    /// What can be read; nothing where the file does not have it yet.
    async fn read(&mut self, available: u64) -> io::Result<Option<Bytes>> {
        if self.file.is_none() {
            self.file = self.open().await?;
        }
        let Some(file) = &mut self.file else { return Ok(None) };
        let mut chunk = vec![0; CHUNK_BYTES.min(usize::try_from(available).unwrap_or(CHUNK_BYTES))];
        match file.read(&mut chunk).await {
            Ok(0) => Ok(None),
            Ok(count) => {
                chunk.truncate(count);
                Ok(Some(chunk.into()))
            }
            // Where locks are enforced, what is being written cannot be read.
            Err(error) if cfg!(windows) && self.coming.is_some() => {
                tracing::debug!(%error, "cannot be read yet");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn open(&self) -> io::Result<Option<File>> {
        for place in &self.places {
            match File::open(place).await {
                Ok(mut file) => {
                    file.seek(SeekFrom::Start(self.position)).await?;
                    return Ok(Some(file));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Waits for more. What was announced goes through a queue before it is in the file, so it is
    /// looked for again without news, too.
    async fn wait(&mut self) -> io::Result<()> {
        let Some(coming) = &mut self.coming else {
            return Err(io::Error::other("the file ends too early"));
        };
        let is_over = *coming.borrow() == Progress::Done;
        if is_over {
            // Its file has its own name now, if the one under the earlier name is gone.
            self.coming = None;
            self.file = None;
            return Ok(());
        }
        let _either_way = tokio::time::timeout(LOOK_AGAIN, coming.changed()).await;
        Ok(())
    }
}
