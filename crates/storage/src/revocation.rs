//! Devices and distribution points whose keys count no more.

use gofleet_core::audit::{Act, By};
use gofleet_core::hold::{Quarantine, QuarantineCause};
use gofleet_core::ids::{DeviceId, EdgeId};
use gofleet_core::time::Timestamp;

use crate::audit::Record;
use crate::query::During as _;
use crate::{Storage, StorageError};

impl Storage {
    /// Knows a device's key no more, for good: its next request is refused. It is kept out of
    /// rollouts from now on, so that none waits for it; gives the quarantine that says so.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownDevice`] if there is none of this id.
    pub async fn revoke_device(
        &self,
        by: &By,
        device: &DeviceId,
        reason: &str,
        now: Timestamp,
    ) -> Result<Quarantine, StorageError> {
        let mut write = self.write(now).await?;
        if let Some(quarantine) = write.quarantine_of(device).await?
            && let QuarantineCause::Revoked { .. } = quarantine.cause
        {
            return Ok(quarantine);
        }
        sqlx::query("UPDATE devices SET revoked_at = $2 WHERE id = $1")
            .bind(device.to_string())
            .bind(now.as_millis())
            .execute(&mut *write.transaction)
            .await
            .during("revoke a device")?;
        let cause = QuarantineCause::Revoked { by: by.name.clone(), reason: reason.to_owned() };
        let quarantine = write.quarantine(device, cause).await?;
        let (device, reason) = (device.clone(), reason.to_owned());
        write.commit(Record::act(by, now, Act::DeviceRevoked { device, reason })).await?;
        Ok(quarantine)
    }

    /// Whether a device was revoked.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn is_revoked(&self, device: &DeviceId) -> Result<bool, StorageError> {
        let revoked: Option<i64> =
            sqlx::query_scalar("SELECT revoked_at FROM devices WHERE id = $1 AND revoked_at > 0")
                .bind(device.to_string())
                .fetch_optional(&self.readers)
                .await
                .during("look for a device")?;
        Ok(revoked.is_some())
    }

    /// Knows a distribution point's key no more, for good.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownEdge`] if there is none of this id, or it is revoked already.
    pub async fn revoke_edge(
        &self,
        by: &By,
        edge: &EdgeId,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut write = self.write(now).await?;
        let changed =
            sqlx::query("UPDATE edges SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL")
                .bind(edge.to_string())
                .bind(now.as_millis())
                .execute(&mut *write.transaction)
                .await
                .during("revoke a distribution point")?;
        if changed.rows_affected() == 0 {
            return Err(StorageError::UnknownEdge(edge.clone()));
        }
        let (edge, reason) = (edge.clone(), reason.to_owned());
        write.commit(Record::act(by, now, Act::EdgeRevoked { edge, reason })).await
    }
}
