//! Packs and deltas that the server has made, or has tried to make.

use gofleet_core::artifact::{Artifact, ArtifactState};
use gofleet_core::ids::ReleaseId;
use gofleet_core::preparation::Held;
use gofleet_core::time::Span;
use sqlx::any::AnyRow;

use crate::audit::{Record, Routine};
use crate::query::{Columns as _, During as _, corrupt, to_i64};
use crate::{Storage, StorageError};

impl Storage {
    /// Every pack and delta, whatever came of it.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn artifacts(&self) -> Result<Vec<Artifact>, StorageError> {
        let rows = sqlx::query(
            "SELECT a.*, r.manifest AS makes FROM artifacts a JOIN releases r ON r.id = a.release \
             ORDER BY a.release, a.kind DESC, a.base",
        )
        .fetch_all(&self.readers)
        .await
        .during("list artifacts")?;
        rows.iter().map(artifact).collect()
    }

    /// Those that make one release.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownRelease`] if there is none of this id.
    pub async fn artifacts_of(&self, release: &ReleaseId) -> Result<Vec<Artifact>, StorageError> {
        self.release(release).await?;
        let mut artifacts = self.artifacts().await?;
        artifacts.retain(|artifact| artifact.release == *release);
        Ok(artifacts)
    }

    /// Keeps what came of making an artifact, in place of what came of it before.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn keep_artifact(&self, artifact: &Artifact) -> Result<(), StorageError> {
        let mut write = self.write(artifact.made_at).await?;
        let (sha256, bytes, reason) = match &artifact.state {
            ArtifactState::Ready { sha256, bytes } => (Some(sha256), Some(*bytes), None),
            ArtifactState::Useless { bytes } => (None, Some(*bytes), None),
            ArtifactState::Failed { reason } => (None, None, Some(reason)),
        };
        sqlx::query(
            "INSERT INTO artifacts (kind, release, base, format, state, sha256, bytes, reason, \
             made_at, took_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (kind, release, base) DO UPDATE SET format = excluded.format, \
             state = excluded.state, sha256 = excluded.sha256, bytes = excluded.bytes, \
             reason = excluded.reason, made_at = excluded.made_at, took_ms = excluded.took_ms",
        )
        .bind(artifact.kind.as_str())
        .bind(artifact.release.to_string())
        .bind(artifact.base.map(|base| base.to_string()).unwrap_or_default())
        .bind(i64::from(artifact.format))
        .bind(artifact.state.as_str())
        .bind(sha256.map(ToString::to_string))
        .bind(bytes.map(to_i64))
        .bind(reason.cloned())
        .bind(artifact.made_at.as_millis())
        .bind(to_i64(artifact.took.as_millis()))
        .execute(&mut *write.transaction)
        .await
        .during("keep an artifact")?;
        write.commit(Record::Routine(Routine::Prepared)).await
    }

    /// Forgets an artifact, whose file is lost: it may be made again.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn forget_artifact(&self, artifact: &Artifact) -> Result<(), StorageError> {
        let mut write = self.write(artifact.made_at).await?;
        sqlx::query("DELETE FROM artifacts WHERE kind = $1 AND release = $2 AND base = $3")
            .bind(artifact.kind.as_str())
            .bind(artifact.release.to_string())
            .bind(artifact.base.map(|base| base.to_string()).unwrap_or_default())
            .execute(&mut *write.transaction)
            .await
            .during("forget an artifact")?;
        write.commit(Record::Routine(Routine::Prepared)).await
    }

    /// How many devices have which version active.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn held(&self) -> Result<Vec<Held>, StorageError> {
        let rows = sqlx::query(
            "SELECT platform, active, COUNT(*) AS devices FROM devices \
             WHERE active IS NOT NULL GROUP BY platform, active ORDER BY platform, active",
        )
        .fetch_all(&self.readers)
        .await
        .during("count versions")?;
        let held = |row: &AnyRow| {
            Ok(Held {
                platform: row.parsed("platform")?,
                version: row.text("active")?,
                devices: row.number("devices")?,
            })
        };
        rows.iter().map(held).collect()
    }
}

fn artifact(row: &AnyRow) -> Result<Artifact, StorageError> {
    let base = row.text("base")?;
    let base = (!base.is_empty()).then(|| base.parse());
    Ok(Artifact {
        kind: row.word("kind")?,
        release: row.parsed("release")?,
        makes: row.parsed("makes")?,
        base: base.transpose().map_err(|error| corrupt("base", error))?,
        format: u16::try_from(row.number("format")?).map_err(|error| corrupt("format", error))?,
        state: state(row)?,
        made_at: row.time("made_at")?,
        took: Span::from_millis(row.number("took_ms")?),
    })
}

fn state(row: &AnyRow) -> Result<ArtifactState, StorageError> {
    Ok(match row.text("state")?.as_str() {
        "ready" => {
            ArtifactState::Ready { sha256: row.parsed("sha256")?, bytes: row.number("bytes")? }
        }
        "useless" => ArtifactState::Useless { bytes: row.number("bytes")? },
        _ => ArtifactState::Failed { reason: row.optional_text("reason")?.unwrap_or_default() },
    })
}
