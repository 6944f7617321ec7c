//! One change of the server's state: a transaction with its events, and with what the audit log is
//! told of it. Nothing can be committed without saying that.

use gofleet_core::event::Change;
use gofleet_core::time::Timestamp;
use sqlx::{Any, Transaction};

use crate::audit::{Record, Telling};
use crate::query::{During as _, from_i64, to_i64, to_json};
use crate::{Storage, StorageError};

/// A moment in a change of a rollout at which a server might be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// All is decided and nothing is committed.
    Decided,
    /// All is committed and nobody was told.
    Committed,
}

/// A transaction that is under way; dropped without [`commit`](Write::commit), it changes nothing.
pub(crate) struct Write<'a> {
    pub transaction: Transaction<'static, Any>,
    pub now: Timestamp,
    pub storage: &'a Storage,
    sequence: Option<u64>,
}

impl Storage {
    pub(crate) async fn write(&self, now: Timestamp) -> Result<Write<'_>, StorageError> {
        // Taking the write lock at once: a transaction that reads first and then writes could be
        // refused because another process wrote in between.
        let transaction =
            self.writer.begin_with("BEGIN IMMEDIATE").await.during("begin a transaction")?;
        Ok(Write { transaction, now, storage: self, sequence: None })
    }
}

impl Write<'_> {
    /// Appends an event to the transaction.
    pub async fn event(&mut self, change: &Change) -> Result<(), StorageError> {
        let sequence = self.next_sequence().await?;
        sqlx::query(
            "INSERT INTO events (sequence, at, kind, device, rollout, body) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(to_i64(sequence))
        .bind(self.now.as_millis())
        .bind(change.kind())
        .bind(change.device().map(ToString::to_string))
        .bind(change.rollout().map(ToString::to_string))
        .bind(to_json(change))
        .execute(&mut *self.transaction)
        .await
        .during("record an event")?;
        self.sequence = Some(sequence);
        Ok(())
    }

    async fn next_sequence(&mut self) -> Result<u64, StorageError> {
        if let Some(last) = self.sequence {
            return Ok(last + 1);
        }
        let last: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(sequence), 0) FROM events")
            .fetch_one(&mut *self.transaction)
            .await
            .during("number an event")?;
        Ok(from_i64(last) + 1)
    }

    /// Makes the change last together with what the audit log is told of it, and then tells those
    /// who wait for changes.
    pub async fn commit(self, record: Record) -> Result<(), StorageError> {
        self.commit_observed(record, &|_| {}).await.map(drop)
    }

    /// As [`commit`](Write::commit), and says when it comes to each moment; what became of what the
    /// audit log was told.
    pub async fn commit_observed(
        mut self,
        record: Record,
        at: &impl Fn(Moment),
    ) -> Result<Telling, StorageError> {
        let telling = self.tell(record).await?;
        at(Moment::Decided);
        self.transaction.commit().await.during("commit a transaction")?;
        self.storage.told(telling);
        at(Moment::Committed);
        if let Some(sequence) = self.sequence {
            self.storage.changes.send_replace(sequence);
        }
        Ok(telling)
    }
}
