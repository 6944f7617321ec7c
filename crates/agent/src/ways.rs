//! Asking the server for the ways to a release. The answer is kept beside what is downloaded: with
//! both, the server may be gone.

use std::fs;
use std::path::PathBuf;

use gofleet_api::{ClientError, WaysAnswer, WaysRequest};
use gofleet_core::artifact::FORMAT;
use gofleet_core::digest::Digest;
use gofleet_core::release::ReleaseRef;
use gofleet_core::ways::archive;
use gofleet_platform::{Access, atomic_write};

use crate::backoff::{Backoff, random};
use crate::device::{Device, blocking};
use crate::fetch::PATIENCE_ATTEMPTS;
use crate::stage::StageError;

impl Device {
    /// The ways to the release: those that an earlier start was told, else what the server tells.
    /// A server that knows nothing of ways leaves that by the archive, which the order names.
    ///
    /// # Errors
    ///
    /// [`StageError::Ways`] if the server cannot be asked for all retries.
    pub async fn ways(&self, release: &ReleaseRef) -> Result<WaysAnswer, StageError> {
        let path = self.ways_path(release);
        let kept = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(kept) = kept {
            return Ok(kept);
        }
        let request = WaysRequest {
            release: release.id.clone(),
            holds: self.held().await,
            formats: vec![FORMAT],
        };
        let answer = match self.ask_for_ways(&request).await {
            Ok(answer) => answer,
            Err(error) if error.is_transient() => return Err(StageError::Ways(error)),
            Err(error) => {
                tracing::warn!(%error, "the server tells no ways, so the archive is taken");
                WaysAnswer { ways: vec![archive(release, 0)], edges: Vec::new() }
            }
        };
        let bytes = serde_json::to_vec(&answer).expect("ways are made of strings and numbers");
        atomic_write(&path, &bytes, Access::Everyone)
            .map_err(|source| StageError::Keep { path, source })?;
        Ok(answer)
    }

    /// None of the ways led there: the next try asks anew.
    pub fn forget_ways(&self, release: &ReleaseRef) {
        let _ = fs::remove_file(self.ways_path(release));
    }

    fn ways_path(&self, release: &ReleaseRef) -> PathBuf {
        self.root.downloads().join(format!("{}.ways", release.manifest))
    }

    /// The digests of the manifests of the trees that stand here.
    async fn held(&self) -> Vec<Digest> {
        let root = self.root.clone();
        blocking(move || {
            let installed = root.installed().unwrap_or_default();
            let manifests = installed.iter().filter_map(|id| root.manifest(id).ok());
            manifests.map(|manifest| manifest.digest()).collect()
        })
        .await
    }

    async fn ask_for_ways(&self, request: &WaysRequest) -> Result<WaysAnswer, ClientError> {
        let mut backoff = Backoff::for_server();
        for _ in 0..PATIENCE_ATTEMPTS {
            match self.client.ways(request).await {
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "cannot ask for ways yet");
                    tokio::time::sleep(backoff.after_failure(random())).await;
                }
                other => return other,
            }
        }
        self.client.ways(request).await
    }
}
