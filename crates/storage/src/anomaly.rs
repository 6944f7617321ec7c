//! What the watch over anomalies starts from, and what comes of it.

use gofleet_core::anomaly::{Baseline, Class, Confined, SignalName, Watch, Withheld};
use gofleet_core::audit::{Act, By};
use gofleet_core::event::Change;
use gofleet_core::facts::Facts;
use gofleet_core::hold::{Quarantine, QuarantineCause};
use gofleet_core::hook::HookEvent;
use gofleet_core::ids::DeviceId;
use gofleet_core::time::{Span, Timestamp};
use sqlx::any::AnyRow;

use crate::audit::{Record, Routine};
use crate::query::{Columns as _, During as _, to_json};
use crate::{Storage, StorageError};

/// What is normal for a signal in a class.
pub type Learned = (Class, SignalName, Baseline);

impl Storage {
    /// Every device, as it is watched.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn watches(&self) -> Result<Vec<(DeviceId, Watch)>, StorageError> {
        let rows = sqlx::query("SELECT id, facts, last_seen, quarantine FROM devices")
            .fetch_all(&self.readers)
            .await
            .during("read the devices to be watched")?;
        rows.iter().map(watch).collect()
    }

    /// A device, as it is watched.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownDevice`] if there is none of this id.
    pub async fn watch(&self, device: &DeviceId) -> Result<Watch, StorageError> {
        let row = sqlx::query("SELECT id, facts, last_seen, quarantine FROM devices WHERE id = $1")
            .bind(device.to_string())
            .fetch_optional(&self.readers)
            .await
            .during("read a device to be watched")?;
        let row = row.ok_or_else(|| StorageError::UnknownDevice(device.clone()))?;
        watch(&row).map(|(_, watch)| watch)
    }

    /// What is normal, as it was kept.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn baselines(&self) -> Result<Vec<Learned>, StorageError> {
        let rows = sqlx::query("SELECT class, signal, body FROM baselines")
            .fetch_all(&self.readers)
            .await
            .during("read what is normal")?;
        let learned = |row: &AnyRow| {
            Ok((Class::from(row.text("class")?), row.parsed("signal")?, row.json("body")?))
        };
        rows.iter().map(learned).collect()
    }

    /// Keeps what is normal over a restart.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn keep_baselines(
        &self,
        learned: &[Learned],
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut write = self.write(now).await?;
        for (class, signal, baseline) in learned {
            sqlx::query(
                "INSERT INTO baselines (class, signal, body) VALUES ($1, $2, $3) \
                 ON CONFLICT (class, signal) DO UPDATE SET body = $3",
            )
            .bind(class.as_str().to_owned())
            .bind(signal.as_str().to_owned())
            .bind(to_json(baseline))
            .execute(&mut *write.transaction)
            .await
            .during("keep what is normal")?;
        }
        write.commit(Record::Routine(Routine::Learned)).await
    }

    /// Lets a device in that was well for so long, if an anomaly and nothing else keeps it out;
    /// whether it did.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownDevice`] if there is none of this id.
    pub async fn end_anomaly(
        &self,
        device: &DeviceId,
        healthy_for: Span,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let mut write = self.write(now).await?;
        let Some(Quarantine { cause: cause @ QuarantineCause::Anomaly { .. }, .. }) =
            write.quarantine_of(device).await?
        else {
            return Ok(false);
        };
        let (by, healthy_for) = (By::server(), Some(healthy_for));
        write.let_in(device, &cause, &by, healthy_for).await?;
        let act = Act::DeviceLetIn { device: device.clone(), healthy_for };
        write.commit(Record::act(&by, now, act)).await?;
        Ok(true)
    }

    /// Tells people that it is not the devices.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn withhold(
        &self,
        device: &DeviceId,
        cause: &QuarantineCause,
        withheld: Withheld,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut write = self.write(now).await?;
        write.call_hooks(HookEvent::Withheld, device, cause, Some(&withheld)).await?;
        let act = Act::anomaly_withheld(&withheld);
        write.event(&Change::AnomalyWithheld { withheld }).await?;
        write.commit(Record::act(&By::server(), now, act)).await
    }
}

fn watch(row: &AnyRow) -> Result<(DeviceId, Watch), StorageError> {
    let facts: Facts = row.json("facts")?;
    let quarantine: Option<Quarantine> = row.optional_json("quarantine")?;
    let confined = quarantine.map(|quarantine| Confined::by(&quarantine.cause));
    let watch = Watch::new(Class::of(&facts), row.time("last_seen")?, confined);
    Ok((row.parsed("id")?, watch))
}
