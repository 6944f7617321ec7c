//! The catalog.

use gofleet_core::audit::{Act, By};
use gofleet_core::digest::Digest;
use gofleet_core::event::Change;
use gofleet_core::ids::ReleaseId;
use gofleet_core::manifest::Manifest;
use gofleet_core::release::{Archive, Release, ReleaseDecision, ReleaseStatus};
use gofleet_core::rollout::Relations;
use gofleet_core::time::Timestamp;

use crate::audit::Record;
use crate::query::{Columns as _, During as _, from_json, to_json};
use crate::write::Write;
use crate::{ImportError, Storage, StorageError};

/// How an import ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imported {
    /// The release is new in the catalog.
    New(Release),
    /// The catalog had it with the same files; this is what it has.
    Known(Release),
}

impl Storage {
    /// Takes a release into the catalog. Of two imports of the same at once one adds it and the
    /// other finds it. What it asks of other packages can be changed by importing it again, until it
    /// is approved or blocked.
    ///
    /// # Errors
    ///
    /// [`ImportError::Conflict`] if the catalog has the release with other files,
    /// [`ImportError::Decided`] if it was decided on with other dependencies, and
    /// [`ImportError::Cycle`] if it would require itself.
    pub async fn import_release(
        &self,
        by: &By,
        release: &Release,
        manifest: &Manifest,
        now: Timestamp,
    ) -> Result<Imported, ImportError> {
        let mut write = self.write(now).await?;
        let id = &release.release.id;
        if let Some(known) = find(&mut write, id).await? {
            let (known_manifest, offered) = (known.release.manifest, release.release.manifest);
            if known_manifest != offered {
                let release = id.clone();
                return Err(ImportError::Conflict { release, known: known_manifest, offered });
            }
            let asked = &release.dependencies;
            if asked.is_empty() || *asked == known.dependencies {
                return Ok(Imported::Known(known));
            }
            if known.status != ReleaseStatus::Imported {
                let (release, status) = (id.clone(), known.status);
                return Err(ImportError::Decided { release, status, known: known.dependencies });
            }
            let known = Release { dependencies: asked.clone(), ..known };
            check_cycle(&mut write, &known).await?;
            update(&mut write, &known).await?;
            imported(write, by, &known).await?;
            return Ok(Imported::Known(known));
        }
        check_cycle(&mut write, release).await?;
        insert(&mut write, (release, manifest), &by.name).await?;
        imported(write, by, release).await?;
        Ok(Imported::New(release.clone()))
    }

    /// Every release, in the order of their ids.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn releases(&self) -> Result<Vec<Release>, StorageError> {
        let rows = sqlx::query("SELECT body FROM releases ORDER BY id")
            .fetch_all(&self.readers)
            .await
            .during("list releases")?;
        rows.iter().map(|row| row.json("body")).collect()
    }

    /// A release.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownRelease`] if there is none of this id.
    pub async fn release(&self, id: &ReleaseId) -> Result<Release, StorageError> {
        let row = sqlx::query("SELECT body FROM releases WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&self.readers)
            .await
            .during("read a release")?;
        row.ok_or_else(|| StorageError::UnknownRelease(id.clone()))?.json("body")
    }

    /// Who imported a release; empty if nobody knows any more.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownRelease`] if there is none of this id.
    pub async fn importer(&self, id: &ReleaseId) -> Result<String, StorageError> {
        let row = sqlx::query("SELECT imported_by FROM releases WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&self.readers)
            .await
            .during("look who imported a release")?;
        let row = row.ok_or_else(|| StorageError::UnknownRelease(id.clone()))?;
        Ok(row.optional_text("imported_by")?.unwrap_or_default())
    }

    /// The text of a release's manifest, as JSON: an agent wants it as it is.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownRelease`] if there is no release of this id.
    pub async fn manifest_json(&self, id: &ReleaseId) -> Result<String, StorageError> {
        let body: Option<String> = sqlx::query_scalar(
            "SELECT manifests.body FROM manifests \
             JOIN releases ON releases.manifest = manifests.digest WHERE releases.id = $1",
        )
        .bind(id.to_string())
        .fetch_optional(&self.readers)
        .await
        .during("read a manifest")?;
        body.ok_or_else(|| StorageError::UnknownRelease(id.clone()))
    }

    /// A release's manifest.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownRelease`] if there is no release of this id.
    pub async fn manifest(&self, id: &ReleaseId) -> Result<Manifest, StorageError> {
        from_json(&self.manifest_json(id).await?, "manifest")
    }

    /// The archive with this digest, if a release came from it.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn archive(&self, sha256: &Digest) -> Result<Option<Archive>, StorageError> {
        let row = sqlx::query("SELECT body FROM releases WHERE archive = $1 LIMIT 1")
            .bind(sha256.to_string())
            .fetch_optional(&self.readers)
            .await
            .during("look for an archive")?;
        let release: Option<Release> = row.map(|row| row.json("body")).transpose()?;
        Ok(release.map(|release| release.release.archive))
    }

    /// Approves or blocks a release, and returns it as it is then.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownRelease`] if there is none of this id.
    pub async fn decide_release(
        &self,
        by: &By,
        id: &ReleaseId,
        status: ReleaseStatus,
        decision: ReleaseDecision,
    ) -> Result<Release, StorageError> {
        let mut write = self.write(decision.at).await?;
        let mut release =
            find(&mut write, id).await?.ok_or_else(|| StorageError::UnknownRelease(id.clone()))?;
        let (at, decider) = (decision.at, decision.by.clone());
        let act = Act::ReleaseDecided {
            release: id.clone(),
            status,
            reason: decision.reason.clone(),
            manifest: release.release.manifest,
        };
        (release.status, release.decision) = (status, Some(decision));
        update(&mut write, &release).await?;
        let change = Change::ReleaseDecided { release: id.clone(), status, by: decider };
        write.event(&change).await?;
        write.commit(Record::act(by, at, act)).await?;
        Ok(release)
    }
}

pub(crate) async fn find(
    write: &mut Write<'_>,
    id: &ReleaseId,
) -> Result<Option<Release>, StorageError> {
    let row = sqlx::query("SELECT body FROM releases WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(&mut *write.transaction)
        .await
        .during("look for a release")?;
    row.map(|row| row.json("body")).transpose()
}

/// Refuses a release that would require itself, whatever else comes into the catalog.
async fn check_cycle(write: &mut Write<'_>, release: &Release) -> Result<(), ImportError> {
    if release.dependencies.requires.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query("SELECT body FROM releases WHERE id <> $1")
        .bind(release.release.id.to_string())
        .fetch_all(&mut *write.transaction)
        .await
        .during("list releases")?;
    let others: Result<Vec<Release>, StorageError> =
        rows.iter().map(|row| row.json("body")).collect();
    let catalog: Vec<Release> = others?.into_iter().chain([release.clone()]).collect();
    let release = &release.release.id;
    let own = catalog.last().expect("it was just added");
    let cycle = Relations::of(&catalog).cycle(own);
    cycle.map_or(Ok(()), |chain| Err(ImportError::Cycle { release: release.clone(), chain }))
}

async fn imported(mut write: Write<'_>, by: &By, release: &Release) -> Result<(), StorageError> {
    let (id, now) = (release.release.id.clone(), write.now);
    write.event(&Change::ReleaseImported { release: id.clone() }).await?;
    let act = Act::ReleaseImported {
        release: id,
        archive: release.release.archive.sha256,
        manifest: release.release.manifest,
        origin: release.origin.clone(),
        dependencies: release.dependencies.clone(),
    };
    write.commit(Record::act(by, now, act)).await
}

async fn update(write: &mut Write<'_>, release: &Release) -> Result<(), StorageError> {
    sqlx::query("UPDATE releases SET status = $2, body = $3 WHERE id = $1")
        .bind(release.release.id.to_string())
        .bind(release.status.as_str())
        .bind(to_json(release))
        .execute(&mut *write.transaction)
        .await
        .during("change a release")?;
    Ok(())
}

async fn insert(
    write: &mut Write<'_>,
    (release, manifest): (&Release, &Manifest),
    imported_by: &str,
) -> Result<(), StorageError> {
    sqlx::query("INSERT INTO manifests (digest, body) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(release.release.manifest.to_string())
        .bind(to_json(manifest))
        .execute(&mut *write.transaction)
        .await
        .during("add a manifest")?;
    sqlx::query(
        "INSERT INTO releases (id, manifest, archive, status, body, imported_by) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(release.release.id.to_string())
    .bind(release.release.manifest.to_string())
    .bind(release.release.archive.sha256.to_string())
    .bind(release.status.as_str())
    .bind(to_json(release))
    .bind(imported_by.to_owned())
    .execute(&mut *write.transaction)
    .await
    .during("add a release")?;
    Ok(())
}
