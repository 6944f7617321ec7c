//! The emergency stop, while it holds: one setting.

use gofleet_core::emergency::EmergencyStop;
use gofleet_core::event::Change;
use gofleet_core::time::Timestamp;

use crate::query::{During as _, from_json, to_json};
use crate::{Storage, StorageError};

impl Storage {
    /// The emergency stop, while it holds.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn emergency(&self) -> Result<Option<EmergencyStop>, StorageError> {
        let mut reader = self.readers.acquire().await.during("begin to read")?;
        read(&mut reader).await
    }

    /// Stops everything, unless that is so already: the first call holds. Gives the stop that
    /// holds.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn stop_everything(
        &self,
        stop: EmergencyStop,
    ) -> Result<EmergencyStop, StorageError> {
        let mut write = self.write(stop.at).await?;
        if let Some(holds) = read(&mut write.transaction).await? {
            return Ok(holds);
        }
        sqlx::query("INSERT INTO meta (name, value) VALUES ('emergency_stop', $1)")
            .bind(to_json(&stop))
            .execute(&mut *write.transaction)
            .await
            .during("stop everything")?;
        let (by, reason) = (stop.by.clone(), stop.reason.clone());
        write.event(&Change::EmergencyStopped { by, reason }).await?;
        write.commit().await?;
        Ok(stop)
    }

    /// Lifts the emergency stop; none holds afterwards. Gives the one that held.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn lift_emergency(
        &self,
        by: &str,
        now: Timestamp,
    ) -> Result<Option<EmergencyStop>, StorageError> {
        let mut write = self.write(now).await?;
        let Some(held) = read(&mut write.transaction).await? else { return Ok(None) };
        sqlx::query("DELETE FROM meta WHERE name = 'emergency_stop'")
            .execute(&mut *write.transaction)
            .await
            .during("lift the emergency stop")?;
        write.event(&Change::EmergencyLifted { by: by.to_owned() }).await?;
        write.commit().await?;
        Ok(Some(held))
    }
}

/// Reads it within a transaction.
pub(crate) async fn read(
    connection: &mut sqlx::AnyConnection,
) -> Result<Option<EmergencyStop>, StorageError> {
    let value: Option<String> =
        sqlx::query_scalar("SELECT value FROM meta WHERE name = 'emergency_stop'")
            .fetch_optional(connection)
            .await
            .during("read the emergency stop")?;
    value.map(|text| from_json(&text, "emergency stop")).transpose()
}
