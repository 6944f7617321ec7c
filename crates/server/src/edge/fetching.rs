//! Fetching artifacts from the server: each once at a time, however many devices wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gofleet_api::Client;
use gofleet_api::download::{Download, Patience, Size, download};
use gofleet_api::throttle::Throttle;
use gofleet_core::digest::Digest;
use tokio::sync::{Semaphore, watch};
use tracing::{info, warn};

use super::cache::Cache;

/// Artifacts that are fetched at once; questions for what the server does not have count too, so
/// that nobody can have a distribution point flood its server.
const AT_ONCE: usize = 4;

/// How it goes with one artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The server is being asked.
    Asking,
    /// It comes.
    Coming {
        /// Its size.
        size: u64,
        /// How much of it is there.
        bytes: u64,
        /// Grows when what had come is thrown away.
        attempt: u32,
    },
    /// All of it is there, and kept.
    Done,
    /// The server has none.
    Missing,
    /// The server does not answer, or there is no room.
    Failed,
}

/// The artifacts that are being fetched.
pub struct Fetching {
    client: Client,
    cache: Arc<Cache>,
    throttle: Arc<Throttle>,
    slots: Semaphore,
    running: Mutex<HashMap<Digest, watch::Receiver<Progress>>>,
}

impl Fetching {
    /// Fetches with this client into this cache.
    pub fn new(client: Client, cache: Arc<Cache>, throttle: Arc<Throttle>) -> Arc<Self> {
        let slots = Semaphore::new(AT_ONCE);
        Arc::new(Self { client, cache, throttle, slots, running: Mutex::default() })
    }

    /// Watches an artifact come; it is asked for if it is not on its way already. It goes on coming
    /// when nobody watches any more.
    pub fn join(self: &Arc<Self>, digest: Digest) -> watch::Receiver<Progress> {
        let mut running = self.lock();
        if let Some(progress) = running.get(&digest) {
            return progress.clone();
        }
        let (sender, receiver) = watch::channel(Progress::Asking);
        running.insert(digest, receiver.clone());
        let fetching = Arc::clone(self);
        tokio::spawn(async move {
            let ended = fetching.fetch(&digest, &sender).await;
            // Gone from the list before anybody hears of the end: who comes next asks anew.
            fetching.lock().remove(&digest);
            sender.send_replace(ended);
        });
        receiver
    }

    async fn fetch(&self, digest: &Digest, progress: &watch::Sender<Progress>) -> Progress {
        let _slot = self.slots.acquire().await.expect("it is never closed");
        let size = match self.client.artifact_size(digest).await {
            Ok(Some(size)) => size,
            Ok(None) => return Progress::Missing,
            Err(error) => {
                warn!(%digest, %error, "the server cannot be asked");
                return Progress::Failed;
            }
        };
        if let Err(error) = self.cache.make_room(size) {
            warn!(%digest, size, %error, "there is no room");
            return Progress::Failed;
        }
        progress.send_replace(Progress::Coming { size, bytes: 0, attempt: 0 });
        let wanted = Download {
            request: self.client.artifact(digest),
            target: &self.cache.place(digest),
            sha256: *digest,
            size: Size::Exactly(size),
            patience: Patience::default(),
            meter: Some(&*self.throttle),
        };
        match download(&wanted, &|bytes| come(progress, size, bytes)).await {
            Ok(_) => {
                info!(%digest, size, "fetched");
                self.cache.insert(digest, size);
                Progress::Done
            }
            Err(error) => {
                warn!(%digest, %error, "could not be fetched");
                Progress::Failed
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, watch::Receiver<Progress>>> {
        // Nothing that holds the lock can panic between two states of the map.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many bytes are there; fewer than before means that it was begun anew.
fn come(progress: &watch::Sender<Progress>, size: u64, bytes: u64) {
    progress.send_modify(|progress| {
        let attempt = match *progress {
            Progress::Coming { bytes: before, attempt, .. } if bytes < before => attempt + 1,
            Progress::Coming { attempt, .. } => attempt,
            _ => 0,
        };
        *progress = Progress::Coming { size, bytes, attempt };
    });
}
