//! Devices with what they told of themselves, their orders, and the fleet as a whole.

use gofleet_core::collection::Collections;
use gofleet_core::device::{
    Device, DeviceDetail, DeviceHistory, ONLINE_WITHIN, Overview, VersionCount,
};
use gofleet_core::facts::Facts;
use gofleet_core::hold::Holds;
use gofleet_core::ids::DeviceId;
use gofleet_core::order::{Order, Receipt, Step, Want};
use gofleet_core::rollout::FleetDevice;
use gofleet_core::time::{Span, Timestamp};
use gofleet_core::version;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::audit::{Record, Routine};
use crate::hold::{holds_at, kept_out};
use crate::query::{Columns as _, During as _, corrupt, to_i64};
use crate::{Storage, StorageError, collection};

/// A device is written as heard at most so often: its polls would otherwise cost a synced
/// transaction each, and nothing is decided on less than seconds.
const HEARD_EVERY: Span = Span::from_secs(2);
/// The same for what comes beside the polls, which have the device written as heard every minute.
const HEARD_BESIDE_EVERY: Span = Span::from_secs(90);

impl Storage {
    /// Notes that a device was heard.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn touch(&self, device: &DeviceId, now: Timestamp) -> Result<(), StorageError> {
        self.touch_every(HEARD_EVERY, device, now).await
    }

    /// Notes that a device was heard beside its polls.
    pub(crate) async fn touch_beside(
        &self,
        device: &DeviceId,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        self.touch_every(HEARD_BESIDE_EVERY, device, now).await
    }

    async fn touch_every(
        &self,
        every: Span,
        device: &DeviceId,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let known: Option<i64> = sqlx::query_scalar("SELECT last_seen FROM devices WHERE id = $1")
            .bind(device.to_string())
            .fetch_optional(&self.readers)
            .await
            .during("look for a device")?;
        let known = known.ok_or_else(|| StorageError::UnknownDevice(device.clone()))?;
        let known = Timestamp::from_millis(known);
        // A clock that was set back must not leave the device in the future.
        if known <= now && now.since(known) < every {
            return Ok(());
        }
        let mut write = self.write(now).await?;
        write.note_absence(device, known).await?;
        sqlx::query("UPDATE devices SET last_seen = $2 WHERE id = $1")
            .bind(device.to_string())
            .bind(now.as_millis())
            .execute(&mut *write.transaction)
            .await
            .during("note that a device was heard")?;
        write.commit(Record::Routine(Routine::Heard)).await
    }

    /// The device's current order, if its generation is greater than `generation`.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn order_after(
        &self,
        device: &DeviceId,
        generation: u64,
    ) -> Result<Option<Order>, StorageError> {
        let row = sqlx::query(
            "SELECT body FROM orders WHERE device = $1 AND generation > $2 \
             ORDER BY generation DESC LIMIT 1",
        )
        .bind(device.to_string())
        .bind(to_i64(generation))
        .fetch_optional(&self.readers)
        .await
        .during("read an order")?;
        row.map(|row| row.json("body")).transpose()
    }

    /// What a device told of itself last.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownDevice`] if there is none of this id.
    pub async fn facts(&self, device: &DeviceId) -> Result<Facts, StorageError> {
        let row = sqlx::query("SELECT facts FROM devices WHERE id = $1")
            .bind(device.to_string())
            .fetch_optional(&self.readers)
            .await
            .during("read a device's facts")?;
        let row = row.ok_or_else(|| StorageError::UnknownDevice(device.clone()))?;
        collection::facts(&row, device, &self.ready_collections().await?)
    }

    /// Every device, in the order of their host names.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn devices(&self, now: Timestamp) -> Result<Vec<Device>, StorageError> {
        let rows = sqlx::query(
            "SELECT d.id, d.facts, d.enrolled_at, d.last_seen, d.quarantine, o.* FROM devices d \
             LEFT JOIN orders o ON o.device = d.id AND o.generation = \
             (SELECT MAX(generation) FROM orders WHERE device = d.id) ORDER BY d.hostname, d.id",
        )
        .fetch_all(&self.readers)
        .await
        .during("list devices")?;
        let groups = self.groups(now).await?;
        rows.iter().map(|row| device(row, &groups, now)).collect()
    }

    /// A device with every order that it had.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownDevice`] if there is none of this id.
    pub async fn device(
        &self,
        id: &DeviceId,
        now: Timestamp,
    ) -> Result<DeviceDetail, StorageError> {
        let row = sqlx::query(
            "SELECT d.id, d.facts, d.enrolled_at, d.last_seen, d.quarantine, o.* FROM devices d \
             LEFT JOIN orders o ON o.device = d.id AND o.generation = \
             (SELECT MAX(generation) FROM orders WHERE device = d.id) WHERE d.id = $1",
        )
        .bind(id.to_string())
        .fetch_optional(&self.readers)
        .await
        .during("read a device")?
        .ok_or_else(|| StorageError::UnknownDevice(id.clone()))?;
        let orders = sqlx::query("SELECT * FROM orders WHERE device = $1 ORDER BY generation DESC")
            .bind(id.to_string())
            .fetch_all(&self.readers)
            .await
            .during("read a device's orders")?;
        let history = orders.iter().map(history).collect::<Result<_, _>>()?;
        let groups = self.groups(now).await?;
        let hooks = self.deliveries(id).await?;
        Ok(DeviceDetail { device: device(&row, &groups, now)?, health: None, hooks, history })
    }

    /// The whole fleet at a glance.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn overview(&self, now: Timestamp) -> Result<Overview, StorageError> {
        let sequence = self.last_sequence();
        let counts = sqlx::query(
            "SELECT active, COUNT(*) AS devices, \
             SUM(CASE WHEN last_seen >= $1 THEN 1 ELSE 0 END) AS online, \
             SUM(CASE WHEN quarantine IS NULL THEN 0 ELSE 1 END) AS quarantined \
             FROM devices GROUP BY active",
        )
        .bind((now - ONLINE_WITHIN).as_millis())
        .fetch_all(&self.readers)
        .await
        .during("count devices")?;
        let (mut versions, mut online, mut quarantined) = (Vec::new(), 0, 0);
        for row in &counts {
            let (version, devices) = (row.optional_text("active")?, row.number("devices")?);
            versions.push(VersionCount { version, devices });
            online += row.number("online")?;
            quarantined += row.number("quarantined")?;
        }
        versions.sort_by(|a, b| match (&a.version, &b.version) {
            (Some(a), Some(b)) => version::compare(b, a),
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
        let devices = versions.iter().map(|count| count.devices).sum();
        let mut moving = self.rollouts().await?;
        moving.retain(|rollout| !rollout.state.is_final());
        let (emergency, holds) = (self.emergency().await?, self.holds(now).await?);
        Ok(Overview { devices, online, quarantined, holds, versions, moving, emergency, sequence })
    }

    /// Every device, as a plan wants it.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn fleet(&self, now: Timestamp) -> Result<Vec<FleetDevice>, StorageError> {
        let rows = sqlx::query(
            "SELECT d.id, d.facts, d.last_seen, d.quarantine, (\
                 SELECT MAX(r.id) FROM rollout_devices m JOIN rollouts r ON r.id = m.rollout \
                 WHERE m.device = d.id AND (m.step <> 'skipped' OR r.state = 'paused') \
                 AND r.state NOT IN ('completed', 'stopped', 'rolled_back')\
             ) AS busy FROM devices d ORDER BY d.id",
        )
        .fetch_all(&self.readers)
        .await
        .during("read the fleet")?;
        let groups = self.groups(now).await?;
        rows.iter().map(|row| fleet_device(row, &groups)).collect()
    }

    async fn groups(&self, now: Timestamp) -> Result<Groups, StorageError> {
        let mut reader = self.readers.acquire().await.during("begin to read")?;
        Groups::read(&mut reader, now).await
    }

    /// How long devices took from their order to activation lately: the median of the latest
    /// hundred, without the soak; none while nothing was measured.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn install_time(&self) -> Result<Option<Span>, StorageError> {
        let rows = sqlx::query(
            "SELECT receipt FROM orders WHERE step = 'accepted' AND receipt IS NOT NULL \
             ORDER BY issued_at DESC LIMIT 100",
        )
        .fetch_all(&self.readers)
        .await
        .during("read receipts")?;
        let mut spans = Vec::new();
        for row in &rows {
            let receipt: Receipt = row.json("receipt")?;
            let working = receipt.steps.iter().filter(|(step, _)| *step != Step::Soaking);
            spans.push(working.map(|(_, span)| span.as_millis()).sum::<u64>());
        }
        spans.sort_unstable();
        Ok(spans.get(spans.len() / 2).copied().map(Span::from_millis))
    }
}

/// What devices belong to.
pub(crate) struct Groups {
    collections: Collections,
    holds: Holds,
}

impl Groups {
    pub(crate) async fn read(
        connection: &mut AnyConnection,
        now: Timestamp,
    ) -> Result<Self, StorageError> {
        let collections = collection::ready(&mut *connection).await?;
        Ok(Self { collections, holds: holds_at(connection, now).await? })
    }
}

pub(crate) fn fleet_device(row: &AnyRow, groups: &Groups) -> Result<FleetDevice, StorageError> {
    let busy = row.optional_text("busy")?;
    let id: DeviceId = row.parsed("id")?;
    let facts = collection::facts(row, &id, &groups.collections)?;
    Ok(FleetDevice {
        kept_out: kept_out(row, &groups.holds, &id, &facts)?,
        id,
        facts,
        last_seen: row.time("last_seen")?,
        busy_with: busy
            .map(|id| id.parse().map_err(|error| corrupt("rollout id", error)))
            .transpose()?,
    })
}

fn device(row: &AnyRow, groups: &Groups, now: Timestamp) -> Result<Device, StorageError> {
    let id: DeviceId = row.parsed("id")?;
    let facts = collection::facts(row, &id, &groups.collections)?;
    let last_seen = row.time("last_seen")?;
    let has_order = row.optional_number("generation")?.is_some();
    Ok(Device {
        kept_out: kept_out(row, &groups.holds, &id, &facts)?,
        id,
        facts,
        enrolled_at: row.time("enrolled_at")?,
        last_seen,
        online: now.since(last_seen) <= ONLINE_WITHIN,
        latest: has_order.then(|| history(row)).transpose()?,
    })
}

fn history(row: &AnyRow) -> Result<DeviceHistory, StorageError> {
    let order: Order = row.json("body")?;
    Ok(DeviceHistory {
        generation: row.number("generation")?,
        rollout: row.parsed("rollout")?,
        wanted: in_words(&order.want),
        offer: match &order.want {
            Want::Offer { offer, .. } => Some(offer.clone()),
            Want::Activate { .. } | Want::Revert { .. } | Want::Hold => None,
        },
        answer: row.optional_json("answer")?,
        issued_at: row.time("issued_at")?,
        step: row.word("step")?,
        step_at: row.time("step_at")?,
        bytes_downloaded: row.number("bytes_downloaded")?,
        failure: row.optional_json("failure")?,
        receipt: row.optional_json("receipt")?,
    })
}

fn in_words(want: &Want) -> String {
    match want {
        Want::Activate { release, .. } => format!("activate {}", release.id),
        Want::Offer { release, .. } => format!("offer {}", release.id),
        Want::Revert { release: Some(release) } => format!("go back to {}", release.id),
        Want::Revert { release: None } => "go back to none".to_owned(),
        Want::Hold => "begin nothing".to_owned(),
    }
}
