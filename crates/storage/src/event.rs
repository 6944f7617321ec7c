//! What happened, in its order.

use gofleet_core::event::Event;
use gofleet_core::ids::RolloutId;

use crate::query::{Columns as _, During as _, to_i64};
use crate::{Storage, StorageError};

impl Storage {
    /// At most `limit` events after that of `sequence`, oldest first.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn events_since(
        &self,
        sequence: u64,
        limit: u32,
    ) -> Result<Vec<Event>, StorageError> {
        let rows = sqlx::query(
            "SELECT sequence, at, body FROM events WHERE sequence > $1 ORDER BY sequence LIMIT $2",
        )
        .bind(to_i64(sequence))
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await
        .during("read events")?;
        rows.iter().map(event).collect()
    }

    /// What was decided about a rollout and its rings, oldest first.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownRollout`] if there is none of this id.
    pub async fn decisions(&self, rollout: &RolloutId) -> Result<Vec<Event>, StorageError> {
        let rows = sqlx::query(
            "SELECT sequence, at, body FROM events \
             WHERE rollout = $1 AND device IS NULL ORDER BY sequence",
        )
        .bind(rollout.to_string())
        .fetch_all(&self.readers)
        .await
        .during("read decisions")?;
        // Its start is the first of them.
        if rows.is_empty() {
            return Err(StorageError::UnknownRollout(rollout.clone()));
        }
        rows.iter().map(event).collect()
    }

    /// The sequence of the latest event; 0 if nothing ever happened.
    pub fn last_sequence(&self) -> u64 {
        *self.changes.borrow()
    }
}

fn event(row: &sqlx::any::AnyRow) -> Result<Event, StorageError> {
    Ok(Event { sequence: row.number("sequence")?, at: row.time("at")?, what: row.json("body")? })
}
