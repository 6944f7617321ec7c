//! Distribution points: who they are, where they are, and how much they spared.

use gofleet_core::audit::{Act, By};
use gofleet_core::device::ONLINE_WITHIN;
use gofleet_core::digest::Digest;
use gofleet_core::edge::{Edge, EdgeReport};
use gofleet_core::enrolment::OutOfScope;
use gofleet_core::ids::EdgeId;
use gofleet_core::time::Timestamp;
use gofleet_core::ways::EdgeOffer;
use sqlx::any::AnyRow;

use crate::audit::{Record, Routine};
use crate::identity::{TokenUse, holder_of, origin, use_token};
use crate::query::{Columns as _, During as _, corrupt, to_i64};
use crate::{EnrolError, Storage, StorageError};

/// A distribution point that enrols.
#[derive(Debug, Clone)]
pub struct NewEdge {
    /// Its id from now on.
    pub id: EdgeId,
    /// The digest of its public key.
    pub credential: Digest,
    /// What it tells of itself.
    pub report: EdgeReport,
}

impl Storage {
    /// Takes in a distribution point, and uses up the token; gives the distribution point. Whoever
    /// has the key of one is that one, as with devices.
    ///
    /// # Errors
    ///
    /// [`EnrolError`] if the token does not serve.
    pub async fn enrol_edge(
        &self,
        by: &By,
        token: &Digest,
        edge: &NewEdge,
        now: Timestamp,
    ) -> Result<EdgeId, EnrolError> {
        let mut write = self.write(now).await?;
        let NewEdge { id, credential, report } = edge;
        let known: Option<String> = holder_of(&mut write, "edges", credential).await?;
        let id = match &known {
            Some(id) => id.parse().map_err(|error| corrupt("distribution point", error))?,
            None => id.clone(),
        };
        // It tells no facts, and nobody lets it in: a token that asks for either is for devices.
        let used = use_token(&mut write, token, id.as_str(), |scope| {
            let devices = scope.devices.clone();
            if scope.needs_approval || !devices.is_empty() {
                return Err(OutOfScope::Devices { devices });
            }
            scope.admits_address(origin(by))
        });
        if used.await? == TokenUse::Repeated {
            return Ok(id);
        }
        sqlx::query(
            "INSERT INTO edges (id, credential, name, site, url, enrolled_at, last_seen, \
             served_bytes, fetched_bytes) VALUES ($1, $2, $3, $4, $5, $6, $6, 0, 0) \
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, site = excluded.site, \
             url = excluded.url, last_seen = excluded.last_seen",
        )
        .bind(id.to_string())
        .bind(credential.to_string())
        .bind(report.name.clone())
        .bind(report.site.clone())
        .bind(report.url.clone())
        .bind(now.as_millis())
        .execute(&mut *write.transaction)
        .await
        .during("add a distribution point")?;
        let act = Act::EdgeEnrolled {
            edge: id.clone(),
            name: report.name.clone(),
            site: report.site.clone(),
            url: report.url.clone(),
        };
        write.commit(Record::act(by, now, act)).await?;
        Ok(id)
    }

    /// The distribution point with this public key.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn edge_by_credential(
        &self,
        credential: &Digest,
    ) -> Result<Option<EdgeId>, StorageError> {
        let row = sqlx::query("SELECT id FROM edges WHERE credential = $1 AND revoked_at IS NULL")
            .bind(credential.to_string())
            .fetch_optional(&self.readers)
            .await
            .during("look for a distribution point")?;
        row.map(|row| row.parsed("id")).transpose()
    }

    /// Takes a distribution point's report.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn take_edge_report(
        &self,
        edge: &EdgeId,
        report: &EdgeReport,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut write = self.write(now).await?;
        sqlx::query(
            "UPDATE edges SET name = $2, site = $3, url = $4, last_seen = $5, \
             served_bytes = $6, fetched_bytes = $7 WHERE id = $1",
        )
        .bind(edge.to_string())
        .bind(report.name.clone())
        .bind(report.site.clone())
        .bind(report.url.clone())
        .bind(now.as_millis())
        .bind(to_i64(report.served_bytes))
        .bind(to_i64(report.fetched_bytes))
        .execute(&mut *write.transaction)
        .await
        .during("take a distribution point's report")?;
        write.commit(Record::Routine(Routine::Heard)).await
    }

    /// Every distribution point, by site and name.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn edges(&self, now: Timestamp) -> Result<Vec<Edge>, StorageError> {
        let rows =
            sqlx::query("SELECT * FROM edges WHERE revoked_at IS NULL ORDER BY site, name, id")
                .fetch_all(&self.readers)
                .await
                .during("list distribution points")?;
        rows.iter().map(|row| edge(row, now)).collect()
    }

    /// The distribution points of a site that were heard lately.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn edges_of(
        &self,
        site: &str,
        now: Timestamp,
    ) -> Result<Vec<EdgeOffer>, StorageError> {
        let rows = sqlx::query(
            "SELECT name, url FROM edges WHERE site = $1 AND last_seen >= $2 \
             AND revoked_at IS NULL ORDER BY id",
        )
        .bind(site.to_owned())
        .bind((now - ONLINE_WITHIN).as_millis())
        .fetch_all(&self.readers)
        .await
        .during("look for distribution points")?;
        let offer = |row: &AnyRow| Ok(EdgeOffer { name: row.text("name")?, url: row.text("url")? });
        rows.iter().map(offer).collect()
    }
}

fn edge(row: &AnyRow, now: Timestamp) -> Result<Edge, StorageError> {
    let last_seen = row.time("last_seen")?;
    Ok(Edge {
        id: row.parsed("id")?,
        enrolled_at: row.time("enrolled_at")?,
        last_seen,
        online: now.since(last_seen) <= ONLINE_WITHIN,
        report: EdgeReport {
            name: row.text("name")?,
            site: row.text("site")?,
            url: row.text("url")?,
            served_bytes: row.number("served_bytes")?,
            fetched_bytes: row.number("fetched_bytes")?,
        },
    })
}
