//! What keeps devices out of rollouts: holds, and quarantine.

use gofleet_core::audit::{Act, By};
use gofleet_core::event::Change;
use gofleet_core::facts::Facts;
use gofleet_core::hold::{Hold, Holds, KeptOut, Quarantine, QuarantineCause};
use gofleet_core::hook::HookEvent;
use gofleet_core::ids::{DeviceId, HoldId};
use gofleet_core::time::{Span, Timestamp};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::audit::Record;
use crate::query::{Columns as _, During as _, corrupt, to_json};
use crate::write::Write;
use crate::{Storage, StorageError};

/// A hold that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHold {
    /// The devices: a selector that was checked.
    pub devices: String,
    /// Why.
    pub reason: String,
    /// When it begins to hold.
    pub from: Timestamp,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

impl Storage {
    /// The holds that hold at this time or will, oldest first.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn holds(&self, now: Timestamp) -> Result<Vec<Hold>, StorageError> {
        let mut reader = self.readers.acquire().await.during("begin to read")?;
        read_holds(&mut reader, now).await
    }

    /// Makes a hold.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn add_hold(
        &self,
        by: &By,
        new: NewHold,
        now: Timestamp,
    ) -> Result<Hold, StorageError> {
        let mut write = self.write(now).await?;
        let last: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(place), 0) FROM holds")
            .fetch_one(&mut *write.transaction)
            .await
            .during("number a hold")?;
        let place = last + 1;
        let id: HoldId = format!("h{place}").parse().map_err(|error| corrupt("hold id", error))?;
        let NewHold { devices, reason, from, until } = new;
        let hold = Hold { id, devices, reason, by: by.name.clone(), from, until };
        sqlx::query("INSERT INTO holds (id, place, body) VALUES ($1, $2, $3)")
            .bind(hold.id.to_string())
            .bind(place)
            .bind(to_json(&hold))
            .execute(&mut *write.transaction)
            .await
            .during("add a hold")?;
        write.event(&Change::HoldMade { hold: hold.clone() }).await?;
        write.commit(Record::act(by, now, Act::hold_made(&hold))).await?;
        Ok(hold)
    }

    /// Lifts a hold; gives the one that held.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownHold`] if there is none of this id, or it was lifted already.
    pub async fn lift_hold(
        &self,
        by: &By,
        id: &HoldId,
        now: Timestamp,
    ) -> Result<Hold, StorageError> {
        let mut write = self.write(now).await?;
        let row = sqlx::query("SELECT body FROM holds WHERE id = $1 AND lifted_at IS NULL")
            .bind(id.to_string())
            .fetch_optional(&mut *write.transaction)
            .await
            .during("look for a hold")?
            .ok_or_else(|| StorageError::UnknownHold(id.clone()))?;
        sqlx::query("UPDATE holds SET lifted_at = $2 WHERE id = $1")
            .bind(id.to_string())
            .bind(now.as_millis())
            .execute(&mut *write.transaction)
            .await
            .during("lift a hold")?;
        write.event(&Change::HoldLifted { hold: id.clone(), by: by.name.clone() }).await?;
        write.commit(Record::act(by, now, Act::HoldLifted { hold: id.clone() })).await?;
        row.json("body")
    }

    /// Puts a device into quarantine, unless it is there already: the first cause stays. Gives the
    /// quarantine that it is in.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownDevice`] if there is none of this id.
    pub async fn quarantine(
        &self,
        by: &By,
        device: &DeviceId,
        cause: QuarantineCause,
        now: Timestamp,
    ) -> Result<Quarantine, StorageError> {
        let mut write = self.write(now).await?;
        if let Some(quarantine) = write.quarantine_of(device).await? {
            return Ok(quarantine);
        }
        let quarantine = write.quarantine(device, cause).await?;
        let act = Act::device_quarantined(device, &quarantine.cause);
        write.commit(Record::act(by, now, act)).await?;
        Ok(quarantine)
    }

    /// Lets a device out of quarantine; gives the one that it was in, if it was.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownDevice`] if there is none of this id, [`StorageError::Revoked`] if it
    /// was revoked.
    pub async fn end_quarantine(
        &self,
        by: &By,
        device: &DeviceId,
        now: Timestamp,
    ) -> Result<Option<Quarantine>, StorageError> {
        let mut write = self.write(now).await?;
        let Some(quarantine) = write.quarantine_of(device).await? else { return Ok(None) };
        if let QuarantineCause::Revoked { .. } = quarantine.cause {
            return Err(StorageError::Revoked(device.clone()));
        }
        write.let_in(device, &quarantine.cause, by, None).await?;
        let act = Act::DeviceLetIn { device: device.clone(), healthy_for: None };
        write.commit(Record::act(by, now, act)).await?;
        Ok(Some(quarantine))
    }
}

impl Write<'_> {
    /// The quarantine that a device is in.
    pub(crate) async fn quarantine_of(
        &mut self,
        device: &DeviceId,
    ) -> Result<Option<Quarantine>, StorageError> {
        let row = sqlx::query("SELECT quarantine FROM devices WHERE id = $1")
            .bind(device.to_string())
            .fetch_optional(&mut *self.transaction)
            .await
            .during("look for a device")?;
        row.ok_or_else(|| StorageError::UnknownDevice(device.clone()))?.optional_json("quarantine")
    }

    /// Puts a device into quarantine that is not there.
    pub(crate) async fn quarantine(
        &mut self,
        device: &DeviceId,
        cause: QuarantineCause,
    ) -> Result<Quarantine, StorageError> {
        let quarantine = Quarantine { cause, at: self.now };
        sqlx::query("UPDATE devices SET quarantine = $2 WHERE id = $1")
            .bind(device.to_string())
            .bind(to_json(&quarantine))
            .execute(&mut *self.transaction)
            .await
            .during("put a device into quarantine")?;
        self.call_hooks(HookEvent::Drain, device, &quarantine.cause, None).await?;
        let (device, cause) = (device.clone(), quarantine.cause.clone());
        self.event(&Change::DeviceQuarantined { device, cause }).await?;
        Ok(quarantine)
    }

    /// Lets a device in that is in quarantine.
    pub(crate) async fn let_in(
        &mut self,
        device: &DeviceId,
        cause: &QuarantineCause,
        by: &By,
        healthy_for: Option<Span>,
    ) -> Result<(), StorageError> {
        sqlx::query("UPDATE devices SET quarantine = NULL WHERE id = $1")
            .bind(device.to_string())
            .execute(&mut *self.transaction)
            .await
            .during("let a device out of quarantine")?;
        self.call_hooks(HookEvent::Return, device, cause, None).await?;
        let (device, by) = (device.clone(), by.name.clone());
        self.event(&Change::DeviceLetIn { device, by, healthy_for }).await
    }
}

async fn read_holds(
    connection: &mut AnyConnection,
    now: Timestamp,
) -> Result<Vec<Hold>, StorageError> {
    let rows = sqlx::query("SELECT body FROM holds WHERE lifted_at IS NULL ORDER BY place")
        .fetch_all(connection)
        .await
        .during("list holds")?;
    let mut holds = rows.iter().map(|row| row.json("body")).collect::<Result<Vec<Hold>, _>>()?;
    holds.retain(|hold| !hold.has_ended(now));
    Ok(holds)
}

/// The holds of the moment, ready to be asked.
pub(crate) async fn holds_at(
    connection: &mut AnyConnection,
    now: Timestamp,
) -> Result<Holds, StorageError> {
    Ok(Holds::at(read_holds(connection, now).await?, now))
}

/// Why a device is kept out of rollouts, by its row and by the holds of the moment.
pub(crate) fn kept_out(
    row: &AnyRow,
    holds: &Holds,
    device: &DeviceId,
    facts: &Facts,
) -> Result<Option<KeptOut>, StorageError> {
    if let Some(quarantine) = row.optional_json("quarantine")? {
        return Ok(Some(KeptOut::Quarantine(quarantine)));
    }
    Ok(holds.on(device, facts).cloned().map(KeptOut::Hold))
}
