//! When devices were away: written when one is heard again, read for forecasts.

use gofleet_core::ids::DeviceId;
use gofleet_core::rollout::forecast::Absence;
use gofleet_core::time::{Span, Timestamp};
use sqlx::any::AnyRow;

use crate::query::{Columns as _, During as _};
use crate::write::Write;
use crate::{Storage, StorageError};

/// Who was not heard for so long was away: an agent that is well asks every minute.
const AWAY: Span = Span::from_secs(15 * 60);
/// Absences are kept for so long.
const KEPT: Span = Span::from_secs(28 * 86_400);
/// The latest that are read: of 10,000 devices those of a week of nights and a half.
const READ: i64 = 100_000;

impl Write<'_> {
    /// A device is heard that was heard last at that time. If it was away, that is noted, as far
    /// as the server listened meanwhile.
    pub(crate) async fn note_absence(
        &mut self,
        device: &DeviceId,
        last_seen: Timestamp,
    ) -> Result<(), StorageError> {
        let from = last_seen.max(self.storage.listening_since(self.now));
        if self.now.since(from) < AWAY {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO absences (device, since_at, until_at) VALUES ($1, $2, $3) \
             ON CONFLICT (device, since_at) DO UPDATE SET until_at = excluded.until_at",
        )
        .bind(device.to_string())
        .bind(from.as_millis())
        .bind(self.now.as_millis())
        .execute(&mut *self.transaction)
        .await
        .during("note that a device was away")?;
        sqlx::query("DELETE FROM absences WHERE until_at < $1")
            .bind((self.now - KEPT).as_millis())
            .execute(&mut *self.transaction)
            .await
            .during("forget old absences")?;
        Ok(())
    }
}

impl Storage {
    /// The latest absences, newest first.
    pub(crate) async fn absences(&self) -> Result<Vec<Absence>, StorageError> {
        let rows = sqlx::query(
            "SELECT device, since_at, until_at FROM absences ORDER BY since_at DESC LIMIT $1",
        )
        .bind(READ)
        .fetch_all(&self.readers)
        .await
        .during("read absences")?;
        rows.iter().map(absence).collect()
    }
}

fn absence(row: &AnyRow) -> Result<Absence, StorageError> {
    Ok(Absence {
        device: row.parsed("device")?,
        from: row.time("since_at")?,
        until: row.time("until_at")?,
    })
}
