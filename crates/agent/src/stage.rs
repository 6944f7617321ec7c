//! Bringing a release onto the device: manifest, archive, verified tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gofleet_api::ClientError;
use gofleet_api::download::{Download, DownloadError, Patience, Size, download};
use gofleet_core::digest::Digest;
use gofleet_core::manifest::Manifest;
use gofleet_core::order::FailureKind;
use gofleet_core::release::ReleaseRef;
use gofleet_depot::DepotError;
use gofleet_platform::{Access, atomic_write, checkpoint, remove_tree};
use thiserror::Error;

use crate::backoff::{Backoff, random};
use crate::device::{Device, blocking, open_depot};
use crate::facts;

/// How often the server hears how much has been downloaded.
const TELL_EVERY: Duration = Duration::from_secs(2);
/// A server may be away for an hour (60 pauses of a minute) before the device gives up and says
/// so; every byte that comes begins the hour anew. A new order ends the waiting at once.
const PATIENCE_ATTEMPTS: u32 = 60;

/// Why a release did not come onto the device.
#[derive(Debug, Error)]
pub enum StageError {
    /// The server does not give the manifest.
    #[error("cannot get the manifest of the release")]
    Manifest(#[source] ClientError),
    /// The manifest is another one than ordered.
    #[error("the server's manifest has the digest {found}, ordered was {expected}")]
    WrongManifest {
        /// In the order.
        expected: Digest,
        /// Of what came.
        found: Digest,
    },
    /// The manifest cannot be kept.
    #[error("cannot write {}", path.display())]
    Keep {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The archive does not come.
    #[error("cannot download the release")]
    Download(#[source] DownloadError),
    /// The tree does not come about.
    #[error("cannot unpack the release")]
    Depot(#[source] DepotError),
}

impl StageError {
    /// The kind of failure, for grouping.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Manifest(_) => FailureKind::Network,
            Self::WrongManifest { .. } => FailureKind::Integrity,
            Self::Keep { source, .. } => kind_of(source),
            Self::Download(error) => match error {
                DownloadError::WrongDigest { .. } | DownloadError::WrongSize { .. } => {
                    FailureKind::Integrity
                }
                DownloadError::File { source, .. } => kind_of(source),
                DownloadError::Request(_)
                | DownloadError::Refused { .. }
                | DownloadError::Unreachable { .. } => FailureKind::Network,
            },
            Self::Depot(error) => error.failure_kind(),
        }
    }
}

fn kind_of(error: &std::io::Error) -> FailureKind {
    match error.kind() {
        std::io::ErrorKind::StorageFull => FailureKind::DiskFull,
        _ => FailureKind::FileSystem,
    }
}

impl Device {
    /// Brings the release onto the device; returns how many files were compared with the manifest.
    /// Whatever is there of it already is not fetched again.
    ///
    /// # Errors
    ///
    /// [`StageError`]; nothing has changed for the user.
    pub async fn stage(&self, release: &ReleaseRef) -> Result<u64, StageError> {
        if let Some(files) = self.is_there(release).await {
            return Ok(files);
        }
        let manifest = self.manifest(release).await?;
        let archive = self.root.downloads().join(release.archive.sha256.to_string());
        self.download(release, &archive).await?;
        checkpoint("agent-downloaded");
        let depot = open_depot(&self.root).await.map_err(StageError::Depot)?;
        let (release, path) = (release.clone(), archive.clone());
        let report = blocking(move || depot.stage(&release, &manifest, &path, &()))
            .await
            .map_err(StageError::Depot)?;
        checkpoint("agent-staged");
        self.clear_downloads();
        Ok(report.files)
    }

    /// Removes archives, whole or not, and manifests: none is needed any more, or there is no room
    /// for them. What cannot be removed now is removed another time.
    pub fn clear_downloads(&self) {
        let entries = fs::read_dir(self.root.downloads());
        for entry in entries.into_iter().flatten().flatten() {
            if let Err(error) = remove_tree(&entry.path()) {
                tracing::debug!(path = %entry.path().display(), %error, "cannot be removed yet");
            }
        }
    }

    /// Whether the very release stands on the device already, every file as it should be.
    async fn is_there(&self, release: &ReleaseRef) -> Option<u64> {
        if !self.root.is_installed(&release.id) {
            return None;
        }
        let (root, release) = (self.root.clone(), release.clone());
        blocking(move || {
            let manifest = root.manifest(&release.id).ok()?;
            (manifest.digest() == release.manifest).then_some(())?;
            match root.verify(&release.id, &()) {
                Ok(verified) => Some(verified.files),
                Err(error) => {
                    tracing::warn!(%error, "the release is there, but must be brought again");
                    None
                }
            }
        })
        .await
    }

    /// The manifest, from the server once, and kept beside the archive: with both, the server may
    /// be gone.
    async fn manifest(&self, release: &ReleaseRef) -> Result<Manifest, StageError> {
        let path = self.root.downloads().join(format!("{}.manifest", release.manifest));
        let kept = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(manifest) = kept.filter(|kept: &Manifest| kept.digest() == release.manifest) {
            return Ok(manifest);
        }
        let manifest = self.ask_for_manifest(release).await?;
        let found = manifest.digest();
        if found != release.manifest {
            return Err(StageError::WrongManifest { expected: release.manifest, found });
        }
        let bytes = serde_json::to_vec(&manifest).expect("a manifest is made of strings");
        atomic_write(&path, &bytes, Access::Everyone)
            .map_err(|source| StageError::Keep { path, source })?;
        Ok(manifest)
    }

    async fn ask_for_manifest(&self, release: &ReleaseRef) -> Result<Manifest, StageError> {
        let mut backoff = Backoff::for_server();
        for _ in 0..PATIENCE_ATTEMPTS {
            match self.client.agent_manifest(&release.id).await {
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "cannot get the manifest yet");
                    tokio::time::sleep(backoff.after_failure(random())).await;
                }
                other => return other.map_err(StageError::Manifest),
            }
        }
        self.client.agent_manifest(&release.id).await.map_err(StageError::Manifest)
    }

    async fn download(&self, release: &ReleaseRef, target: &Path) -> Result<(), StageError> {
        let wanted = Download {
            request: self.client.archive(&release.archive.sha256),
            target,
            sha256: release.archive.sha256,
            size: Size::Exactly(release.archive.size),
            patience: Patience { attempts: PATIENCE_ATTEMPTS, ..Patience::default() },
        };
        let bytes = AtomicU64::new(0);
        let progress = |now| bytes.store(now, Ordering::Relaxed);
        let tell = async {
            loop {
                tokio::time::sleep(TELL_EVERY).await;
                self.tell_bytes(bytes.load(Ordering::Relaxed));
            }
        };
        let downloaded = tokio::select! {
            downloaded = download(&wanted, &progress) => downloaded.map_err(StageError::Download)?,
            () = tell => return Ok(()),
        };
        let before = self.ledger.borrow().memory().task().map_or(0, |task| task.bytes_downloaded);
        if downloaded.transferred > 0 || before > 0 {
            self.tell_bytes(downloaded.bytes);
        }
        Ok(())
    }

    /// Lets the server know how many bytes have come; that it does not hear it once is no harm.
    fn tell_bytes(&self, bytes: u64) {
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
