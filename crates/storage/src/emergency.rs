//! The emergency stop, while it holds: one setting.
//!
//! It is called when things go wrong, so it holds whatever else fails. If the audit log can't be
//! written, the stop is owed to it; if the database can't be, the stop holds in this process's
//! memory, and [`settle_emergency`](Storage::settle_emergency) writes it as soon as that can be
//! done. Lifting it is a change as any other.

use std::sync::{MutexGuard, PoisonError};

use gofleet_core::audit::{Act, By, Deed};
use gofleet_core::emergency::EmergencyStop;
use gofleet_core::event::Change;
use gofleet_core::time::Timestamp;

use crate::audit::{IfUnwritable, Record, Telling};
use crate::query::{During as _, from_json, to_json};
use crate::write::Write;
use crate::{Storage, StorageError};

/// An emergency stop that holds after it was called.
#[derive(Debug)]
pub struct Stopped {
    /// The stop: an earlier one, if one held.
    pub stop: EmergencyStop,
    /// Where it is kept.
    pub kept: Kept,
}

/// Where an emergency stop is kept.
#[derive(Debug)]
pub enum Kept {
    /// In the database and in the audit log.
    Logged,
    /// In the database; the audit log is told as soon as it can be written.
    Owed,
    /// In the memory of this process only: a restart would forget it.
    InMemory {
        /// Why the database could not take it.
        reason: StorageError,
    },
}

/// An emergency stop that the database could not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    by: By,
    stop: EmergencyStop,
}

impl Storage {
    /// The emergency stop, while it holds.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn emergency(&self) -> Result<Option<EmergencyStop>, StorageError> {
        if let Some(held) = &*self.held_stop() {
            return Ok(Some(held.stop.clone()));
        }
        let mut reader = self.readers.acquire().await.during("begin to read")?;
        read(&mut reader).await
    }

    /// The same within a transaction.
    pub(crate) async fn emergency_within(
        &self,
        connection: &mut sqlx::AnyConnection,
    ) -> Result<Option<EmergencyStop>, StorageError> {
        if let Some(held) = &*self.held_stop() {
            return Ok(Some(held.stop.clone()));
        }
        read(connection).await
    }

    /// Stops everything, unless that is so already: the first call holds. It does not fail.
    pub async fn stop_everything(&self, by: &By, stop: EmergencyStop) -> Stopped {
        let at = stop.at;
        // In memory first: it holds from here on, also if whoever waits for the rest goes away.
        let held = Held { by: by.clone(), stop };
        let held = self.held_stop().get_or_insert(held).clone();
        match self.keep_stop(at).await {
            Ok(Some(stopped)) => stopped,
            // Somebody else has just written it.
            Ok(None) => Stopped { stop: held.stop, kept: Kept::Logged },
            Err(reason) => Stopped { stop: held.stop, kept: Kept::InMemory { reason } },
        }
    }

    /// Writes an emergency stop that is held in memory; does nothing if none is.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database can't take it yet; it stays in memory.
    pub async fn settle_emergency(&self, now: Timestamp) -> Result<(), StorageError> {
        if self.held_stop().is_none() {
            return Ok(());
        }
        self.keep_stop(now).await.map(drop)
    }

    /// Writes the stop that is held in memory, which holds in the database from then on; gives the
    /// one that does.
    async fn keep_stop(&self, now: Timestamp) -> Result<Option<Stopped>, StorageError> {
        let mut write = self.write(now).await?;
        // Looked for under the write lock: one that was written and lifted meanwhile is gone.
        let held = self.held_stop().clone();
        let Some(held) = held else { return Ok(None) };
        let stopped = match read(&mut write.transaction).await? {
            Some(stop) => Stopped { stop, kept: Kept::Logged },
            None => insert(write, &held).await?,
        };
        let mut slot = self.held_stop();
        // Another one that was called since must not be forgotten with it.
        if *slot == Some(held) {
            *slot = None;
        }
        Ok(Some(stopped))
    }

    /// Lifts the emergency stop; none holds afterwards. Gives the one that held.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn lift_emergency(
        &self,
        by: &By,
        now: Timestamp,
    ) -> Result<Option<EmergencyStop>, StorageError> {
        self.settle_emergency(now).await?;
        let mut write = self.write(now).await?;
        let Some(held) = read(&mut write.transaction).await? else { return Ok(None) };
        sqlx::query("DELETE FROM meta WHERE name = 'emergency_stop'")
            .execute(&mut *write.transaction)
            .await
            .during("lift the emergency stop")?;
        write.event(&Change::EmergencyLifted { by: by.name.clone() }).await?;
        let (called_by, reason) = (held.by.clone(), held.reason.clone());
        write.commit(Record::act(by, now, Act::EmergencyLifted { called_by, reason })).await?;
        Ok(Some(held))
    }

    fn held_stop(&self) -> MutexGuard<'_, Option<Held>> {
        // Nothing that holds the lock can panic between two states of it.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn insert(mut write: Write<'_>, held: &Held) -> Result<Stopped, StorageError> {
    let Held { by, stop } = held.clone();
    sqlx::query("INSERT INTO meta (name, value) VALUES ('emergency_stop', $1)")
        .bind(to_json(&stop))
        .execute(&mut *write.transaction)
        .await
        .during("stop everything")?;
    let (name, reason) = (stop.by.clone(), stop.reason.clone());
    write.event(&Change::EmergencyStopped { by: name, reason: reason.clone() }).await?;
    let deed = Deed { at: stop.at, by, act: Act::EmergencyStopped { reason } };
    let record = Record::Deeds(vec![deed], IfUnwritable::Owe);
    let kept = match write.commit_observed(record, &|_| {}).await? {
        Telling::Owed => Kept::Owed,
        Telling::Appended(_) | Telling::Nothing => Kept::Logged,
    };
    Ok(Stopped { stop, kept })
}

/// Reads it within a transaction.
async fn read(connection: &mut sqlx::AnyConnection) -> Result<Option<EmergencyStop>, StorageError> {
    let value: Option<String> =
        sqlx::query_scalar("SELECT value FROM meta WHERE name = 'emergency_stop'")
            .fetch_optional(connection)
            .await
            .during("read the emergency stop")?;
    value.map(|text| from_json(&text, "emergency stop")).transpose()
}
