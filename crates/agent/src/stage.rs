//! Bringing a release onto the device: by the cheapest way that leads there, else by the next.
//!
//! Whatever the way, the depot compares every file with the manifest, and the manifest's digest
//! with the order.

use std::fs;
use std::path::{Path, PathBuf};

use gofleet_api::download::{DownloadError, Meter as _};
use gofleet_api::throttle::{Throttle, local_clock};
use gofleet_api::{ClientError, Way, WayStep};
use gofleet_core::artifact::ArtifactKind;
use gofleet_core::digest::Digest;
use gofleet_core::manifest::Manifest;
use gofleet_core::order::{FailureKind, GivenUp, Taken};
use gofleet_core::release::ReleaseRef;
use gofleet_depot::delta::{Delta, DeltaError};
use gofleet_depot::pack::PackError;
use gofleet_depot::{DepotError, Root, Source, pack};
use gofleet_platform::{Access, atomic_write, checkpoint, remove_tree};
use thiserror::Error;

use crate::backoff::{Backoff, random};
use crate::device::{Device, blocking, open_depot};
use crate::fetch::{Fetcher, PATIENCE_ATTEMPTS};
use crate::soak::with_causes;

/// What the names of trees begin with that stand only until the next delta of a chain is applied.
/// No release has such a name: theirs have a dash before any dot.
const STEPPING_STONE: &str = "step.";

/// Why a release did not come onto the device.
#[derive(Debug, Error)]
pub enum StageError {
    /// The server does not tell the ways.
    #[error("cannot ask for the ways to the release")]
    Ways(#[source] ClientError),
    /// The server does not give the manifest.
    #[error("cannot get the manifest of the release")]
    Manifest(#[source] ClientError),
    /// The manifest is another one than ordered.
    #[error("the manifest has the digest {found}, ordered was {expected}")]
    WrongManifest {
        /// In the order.
        expected: Digest,
        /// Of what came.
        found: Digest,
    },
    /// A file cannot be kept.
    #[error("cannot write {}", path.display())]
    Keep {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The artifact does not come.
    #[error("cannot download the release")]
    Download(#[source] DownloadError),
    /// The pack cannot be read.
    #[error("cannot read the pack")]
    Pack(#[source] PackError),
    /// The delta cannot be read.
    #[error("cannot read the delta")]
    Delta(#[source] DeltaError),
    /// The tree that a delta begins with is not here.
    #[error("the release that the delta begins with is not here (manifest {0})")]
    NoBase(Digest),
    /// The tree does not come about.
    #[error("cannot build the tree of the release")]
    Depot(#[source] DepotError),
    /// No way was offered at all.
    #[error("the server offers no way to the release")]
    NoWay,
}

impl StageError {
    /// The kind of failure, for grouping.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Ways(_) | Self::Manifest(_) | Self::NoWay => FailureKind::Network,
            Self::WrongManifest { .. } | Self::Pack(_) | Self::Delta(_) | Self::NoBase(_) => {
                FailureKind::Integrity
            }
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

    /// Whether another way may lead where this one did not: what came was wrong, of a kind that
    /// this program does not know, or not to be had. A full disk is full for all of them, and so is
    /// a server that is away.
    fn is_of_the_way(&self) -> bool {
        let is_refused = matches!(self, Self::Download(DownloadError::Refused { .. }));
        is_refused || self.kind() == FailureKind::Integrity
    }
}

fn kind_of(error: &std::io::Error) -> FailureKind {
    match error.kind() {
        std::io::ErrorKind::StorageFull => FailureKind::DiskFull,
        _ => FailureKind::FileSystem,
    }
}

/// A release that is on the device.
#[derive(Debug)]
pub struct Staged {
    /// How many files were compared with the manifest.
    pub files: u64,
    /// How they came; none if they were there.
    pub way: Option<Taken>,
}

impl Device {
    /// Brings the release onto the device. Whatever is there of it already is not fetched again.
    ///
    /// # Errors
    ///
    /// [`StageError`]; nothing has changed for the user.
    pub async fn stage(&self, release: &ReleaseRef) -> Result<Staged, StageError> {
        if let Some(files) = self.is_there(release).await {
            return Ok(Staged { files, way: None });
        }
        let answer = self.ways(release).await?;
        let before = self.ledger.borrow().memory().task().map_or(0, |task| task.bytes_downloaded);
        let traffic = Throttle::new(self.config.limit.clone(), local_clock, before);
        let fetcher = Fetcher::new(self, &answer.edges, traffic);
        let staged = self.try_ways(release, &answer.ways, &fetcher).await;
        self.tell_bytes(fetcher.traffic.bytes());
        match &staged {
            Ok(_) => self.clear_downloads(),
            Err(_) => self.forget_ways(release),
        }
        staged
    }

    /// Removes artifacts, whole or not, manifests and ways: none is needed any more, or there is no
    /// room for them. What cannot be removed now is removed another time.
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

    async fn try_ways(
        &self,
        release: &ReleaseRef,
        ways: &[Way],
        fetcher: &Fetcher<'_>,
    ) -> Result<Staged, StageError> {
        let mut given_up = Vec::new();
        for (place, way) in ways.iter().enumerate() {
            let kind = way.kind;
            match self.go(release, way, fetcher).await {
                Ok(files) => {
                    let edge_bytes = fetcher.edge_bytes();
                    return Ok(Staged { files, way: Some(Taken { kind, edge_bytes, given_up }) });
                }
                Err(error) if error.is_of_the_way() && place + 1 < ways.len() => {
                    let reason = with_causes(&error);
                    tracing::warn!(%kind, reason, "this way leads nowhere, taking the next");
                    given_up.push(GivenUp { kind, reason });
                }
                Err(error) => return Err(error),
            }
        }
        Err(StageError::NoWay)
    }

    /// Goes one way to its end; returns how many files were compared with the manifest.
    async fn go(
        &self,
        release: &ReleaseRef,
        way: &Way,
        fetcher: &Fetcher<'_>,
    ) -> Result<u64, StageError> {
        self.clear_stepping_stones().await;
        let (mut files, last) = (0, way.steps.len().saturating_sub(1));
        for (place, step) in way.steps.iter().enumerate() {
            let path = fetcher.fetch(step).await.map_err(StageError::Download)?;
            if step.kind == ArtifactKind::Archive {
                self.manifest(release, fetcher).await?;
            }
            if place == last {
                checkpoint("agent-downloaded");
            }
            let target =
                if place == last { release.clone() } else { stepping_stone(release, step) };
            files = match self.apply(&target, step, &path, fetcher).await {
                Ok(files) => files,
                Err(error) => {
                    // Whatever is wrong with it, it shall not be taken for good at the next try.
                    let _ = fs::remove_file(&path);
                    return Err(error);
                }
            };
        }
        checkpoint("agent-staged");
        self.clear_stepping_stones().await;
        Ok(files)
    }

    /// Makes a tree of what was fetched.
    async fn apply(
        &self,
        target: &ReleaseRef,
        step: &WayStep,
        path: &Path,
        fetcher: &Fetcher<'_>,
    ) -> Result<u64, StageError> {
        let manifest = match step.kind {
            ArtifactKind::Archive => self.manifest(target, fetcher).await?,
            ArtifactKind::Pack => {
                let path = path.to_owned();
                blocking(move || pack::manifest(&path)).await.map_err(StageError::Pack)?
            }
            ArtifactKind::Delta => {
                let (root, path) = (self.root.clone(), path.to_owned());
                blocking(move || manifest_of_delta(&root, &path)).await?
            }
        };
        let found = manifest.digest();
        if found != target.manifest {
            return Err(StageError::WrongManifest { expected: target.manifest, found });
        }
        let depot = open_depot(&self.root).await.map_err(StageError::Depot)?;
        let (target, kind, path) = (target.clone(), step.kind, path.to_owned());
        let report = blocking(move || {
            let source = match kind {
                ArtifactKind::Archive => Source::Archive(&path),
                ArtifactKind::Pack => Source::Pack(&path),
                ArtifactKind::Delta => Source::Delta(&path),
            };
            depot.stage(&target, &manifest, source, &())
        })
        .await
        .map_err(StageError::Depot)?;
        for damage in &report.damages {
            tracing::warn!(?damage, "a file of an installed release was changed by somebody");
        }
        Ok(report.files)
    }

    /// Removes the trees in the middle of a chain.
    async fn clear_stepping_stones(&self) {
        let stones = self.root.installed().unwrap_or_default();
        let mut stones =
            stones.into_iter().filter(|id| id.as_str().starts_with(STEPPING_STONE)).peekable();
        if stones.peek().is_none() {
            return;
        }
        let Ok(depot) = open_depot(&self.root).await else { return };
        let stones: Vec<_> = stones.collect();
        blocking(move || {
            for id in stones {
                if let Err(error) = depot.remove(&id) {
                    tracing::warn!(%id, %error, "cannot be removed yet");
                }
            }
        })
        .await;
    }

    /// The manifest, from the server once, and kept beside the archive: with both, the server may
    /// be gone.
    async fn manifest(
        &self,
        release: &ReleaseRef,
        fetcher: &Fetcher<'_>,
    ) -> Result<Manifest, StageError> {
        let path = self.root.downloads().join(format!("{}.manifest", release.manifest));
        let kept = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(manifest) = kept.filter(|kept: &Manifest| kept.digest() == release.manifest) {
            return Ok(manifest);
        }
        let (manifest, bytes) = self.ask_for_manifest(release).await?;
        tokio::time::sleep(fetcher.traffic.came(bytes)).await;
        let found = manifest.digest();
        if found != release.manifest {
            return Err(StageError::WrongManifest { expected: release.manifest, found });
        }
        let bytes = serde_json::to_vec(&manifest).expect("a manifest is made of strings");
        atomic_write(&path, &bytes, Access::Everyone)
            .map_err(|source| StageError::Keep { path, source })?;
        Ok(manifest)
    }

    async fn ask_for_manifest(&self, release: &ReleaseRef) -> Result<(Manifest, u64), StageError> {
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
}

/// The manifest that a delta makes of one that is here.
fn manifest_of_delta(root: &Root, path: &Path) -> Result<Manifest, StageError> {
    let delta = Delta::open(path).map_err(StageError::Delta)?;
    let installed = root.installed().unwrap_or_default();
    let mut manifests = installed.iter().filter_map(|id| root.manifest(id).ok());
    let base = manifests.find(|manifest| manifest.digest() == delta.base());
    let base = base.ok_or(StageError::NoBase(delta.base()))?;
    delta.manifest(&base).map_err(StageError::Delta)
}

/// What a tree in the middle of a chain is called. It is never activated, and bears a name of its
/// own, so that no answer of a server can have it replace a release that is installed.
fn stepping_stone(release: &ReleaseRef, step: &WayStep) -> ReleaseRef {
    let id = format!("{STEPPING_STONE}{}", &step.makes.to_string()[..32]);
    ReleaseRef {
        id: id.parse().expect("hexadecimal digits make an id"),
        manifest: step.makes,
        ..release.clone()
    }
}
