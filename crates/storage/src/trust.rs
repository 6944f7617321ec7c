//! TUF metadata, as it was signed. What it means is not known here.

use gofleet_core::audit::{Act, By};
use gofleet_core::time::Timestamp;

use crate::audit::{Record, Routine};
use crate::query::{Columns as _, During as _, to_i64};
use crate::{Storage, StorageError};

/// Metadata of one role in one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustDocument {
    /// Whose, like `root` or `go`.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// The text that was signed, with its signatures.
    pub body: String,
}

impl Storage {
    /// Metadata of a role: of this version, or the latest.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn trust_document(
        &self,
        role: &str,
        version: Option<u64>,
    ) -> Result<Option<TrustDocument>, StorageError> {
        let row = sqlx::query(
            "SELECT role, version, body FROM trust_documents \
             WHERE role = $1 AND ($2 < 0 OR version = $2) ORDER BY version DESC LIMIT 1",
        )
        .bind(role.to_owned())
        .bind(version.map_or(-1, to_i64))
        .fetch_optional(&self.readers)
        .await
        .during("read metadata")?;
        row.as_ref().map(document).transpose()
    }

    /// All metadata that is kept, the latest of each role last.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn trust_documents(&self) -> Result<Vec<TrustDocument>, StorageError> {
        let rows =
            sqlx::query("SELECT role, version, body FROM trust_documents ORDER BY role, version")
                .fetch_all(&self.readers)
                .await
                .during("read metadata")?;
        rows.iter().map(document).collect()
    }

    /// Keeps metadata; what the server itself signs only as long as somebody may ask for it. The
    /// log is told of an act of a person's, and of none of the server's own.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails, or a version is there already.
    pub async fn keep_trust(
        &self,
        documents: &[TrustDocument],
        act: Option<(&By, Act)>,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut write = self.write(now).await?;
        for TrustDocument { role, version, body } in documents {
            sqlx::query("INSERT INTO trust_documents (role, version, body) VALUES ($1, $2, $3)")
                .bind(role.clone())
                .bind(to_i64(*version))
                .bind(body.clone())
                .execute(&mut *write.transaction)
                .await
                .during("keep metadata")?;
            // A client that has the timestamp of before still asks for its snapshot.
            if matches!(role.as_str(), "timestamp" | "snapshot") {
                sqlx::query(
                    "DELETE FROM trust_documents WHERE role = $1 AND version NOT IN \
                     (SELECT version FROM trust_documents WHERE role = $1 \
                      ORDER BY version DESC LIMIT 3)",
                )
                .bind(role.clone())
                .execute(&mut *write.transaction)
                .await
                .during("drop old metadata")?;
            }
        }
        write
            .commit(match act {
                Some((by, act)) => Record::act(by, now, act),
                None => Record::Routine(Routine::Renewed),
            })
            .await
    }
}

fn document(row: &sqlx::any::AnyRow) -> Result<TrustDocument, StorageError> {
    Ok(TrustDocument {
        role: row.text("role")?,
        version: row.number("version")?,
        body: row.text("body")?,
    })
}
