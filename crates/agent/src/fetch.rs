//! Getting an artifact: from a distribution point if one is near and well, else from the server.
//!
//! Nobody is trusted with the content: a file counts when it has the digest that was asked for. So
//! a part that came from one place may be completed from another.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use gofleet_api::download::{Download, DownloadError, Patience, Size, download};
use gofleet_api::throttle::Throttle;
use gofleet_api::{Client, EdgeOffer, WayStep};
use gofleet_core::digest::Digest;
use tokio::time::Instant;

use crate::device::Device;
use crate::facts;

/// How often the server hears how much has been downloaded.
const TELL_EVERY: Duration = Duration::from_secs(2);
/// A server may be away for an hour (60 pauses of a minute) before the device gives up and says
/// so; every mebibyte that comes begins the hour anew. A new order ends the waiting at once.
pub const PATIENCE_ATTEMPTS: u32 = 60;
/// A distribution point that does not answer is not waited for: the server is there. One that
/// brings less than 1.6 KB/s is as good as silent. More can't be asked of it: with a limit of
/// 2 MB/s for a site of a thousand devices it gives 2 KB/s to each, and if they gave it up they
/// would all take the line that the limit is for. Both attempts take less than half a minute.
pub const EDGE_PATIENCE: Patience = Patience {
    attempts: 2,
    first_pause: Duration::from_millis(500),
    longest_pause: Duration::from_secs(2),
    stall: Duration::from_secs(10),
};

/// Fetches the artifacts of one order.
pub struct Fetcher<'a> {
    device: &'a Device,
    edges: Vec<EdgeOffer>,
    /// What vouches for distribution points.
    authority: Option<Digest>,
    /// Those that failed, by address: they are not asked again for this order.
    given_up: RefCell<BTreeSet<String>>,
    edge_bytes: Cell<u64>,
    /// Counts what comes for the order, and keeps to the device's limit.
    pub traffic: Throttle,
}

impl<'a> Fetcher<'a> {
    /// Asks the distribution points that the device is configured with, then those offered.
    pub fn new(device: &'a Device, offered: &[EdgeOffer], traffic: Throttle) -> Self {
        let own = |url: &String| EdgeOffer { name: url.clone(), url: url.clone() };
        let mut edges: Vec<EdgeOffer> = device.config.edges.iter().map(own).collect();
        for edge in offered {
            if edges.iter().all(|known| known.url != edge.url) {
                edges.push(edge.clone());
            }
        }
        let authority = device.identity.borrow().fleet_authority();
        Self {
            device,
            edges,
            authority,
            given_up: RefCell::default(),
            edge_bytes: Cell::new(0),
            traffic,
        }
    }

    /// How many bytes came from distribution points.
    pub fn edge_bytes(&self) -> u64 {
        self.edge_bytes.get()
    }

    /// Where the artifact of a step lies, or will.
    pub fn place(&self, step: &WayStep) -> PathBuf {
        self.device.root.downloads().join(step.sha256.to_string())
    }

    /// Brings the artifact of a step onto the device, while the server hears how much came.
    ///
    /// # Errors
    ///
    /// [`DownloadError`] as the server's own answer led to it.
    pub async fn fetch(&self, step: &WayStep) -> Result<PathBuf, DownloadError> {
        let tell = async {
            loop {
                tokio::time::sleep(TELL_EVERY).await;
                self.device.tell_bytes(self.traffic.bytes());
            }
        };
        tokio::select! {
            fetched = self.fetch_quietly(step) => fetched,
            never = tell => never,
        }
    }

    async fn fetch_quietly(&self, step: &WayStep) -> Result<PathBuf, DownloadError> {
        let target = self.place(step);
        for edge in &self.edges {
            if self.given_up.borrow().contains(&edge.url) || self.is_avoided(edge) {
                continue;
            }
            let before = self.traffic.bytes();
            let fetched = match Client::public(&edge.url, self.authority) {
                Ok(client) => self.download(&client, step, self.device.config.edge_patience).await,
                Err(error) => {
                    tracing::warn!(%error, "not an address of a distribution point");
                    self.given_up.borrow_mut().insert(edge.url.clone());
                    continue;
                }
            };
            self.edge_bytes.set(self.edge_bytes.get() + self.traffic.bytes() - before);
            match fetched {
                Ok(()) => return Ok(target),
                Err(error @ DownloadError::File { .. }) => return Err(error),
                Err(error) => {
                    let edge_name = &edge.name;
                    tracing::warn!(edge_name, %error, "going on without this distribution point");
                    self.given_up.borrow_mut().insert(edge.url.clone());
                    if let DownloadError::Unreachable { .. } = error {
                        self.device.avoided_edges.borrow_mut().note(&edge.url, Instant::now());
                    }
                }
            }
        }
        let patience = Patience { attempts: PATIENCE_ATTEMPTS, ..Patience::default() };
        self.download(&self.device.client, step, patience).await?;
        Ok(target)
    }

    /// Whether it failed an earlier order not long ago.
    fn is_avoided(&self, edge: &EdgeOffer) -> bool {
        let is_avoided = self.device.avoided_edges.borrow().contains(&edge.url, Instant::now());
        if is_avoided {
            tracing::debug!(edge_name = edge.name, "passed over: it failed a while ago");
        }
        is_avoided
    }

    async fn download(
        &self,
        from: &Client,
        step: &WayStep,
        patience: Patience,
    ) -> Result<(), DownloadError> {
        let wanted = Download {
            request: from.artifact(&step.sha256),
            target: &self.place(step),
            sha256: step.sha256,
            size: Size::Exactly(step.bytes),
            patience,
            meter: Some(&self.traffic),
        };
        download(&wanted, &|_| {}).await.map(drop)
    }
}

impl Device {
    /// Lets the server know how many bytes have come; that it does not hear it once is no harm.
    pub fn tell_bytes(&self, bytes: u64) {
        let active = facts::active_version(&self.root);
        let mut ledger = self.ledger.borrow_mut();
        if ledger.memory().task().is_none_or(|task| task.bytes_downloaded == bytes) {
            return;
        }
        match ledger.note_bytes(bytes, active.as_deref()) {
            Ok(()) => self.report_news.notify_one(),
            Err(error) => tracing::warn!(%error, "progress is not reported"),
        }
    }
}
