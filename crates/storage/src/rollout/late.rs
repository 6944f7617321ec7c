//! Devices that come late into a rollout: looked for where something changed since the last look.

use gofleet_core::event::Change;
use gofleet_core::ids::RolloutId;
use gofleet_core::rollout::{FleetDevice, Latecomer, RolloutState, latecomers};
use gofleet_core::time::{Span, Timestamp};
use sqlx::AnyConnection;

use super::insert_device;
use super::read::view;
use crate::audit::{Record, Routine};
use crate::device::{Groups, fleet_device};
use crate::query::{Columns as _, During as _, from_i64, to_i64, to_json};
use crate::{Storage, StorageError};

/// A rollout looks at what happened so long before its start as well: its plan is a little older
/// than it. Whom it knows is passed over.
pub(super) const PLANNED_BEFORE: Span = Span::from_secs(60);

/// What members tell of themselves is no news. So many of it are passed for good, or each look would
/// find more of them.
const MANY_EVENTS: u64 = 1000;

/// What has happened since a rollout looked for the last time.
struct News {
    since: u64,
    upto: u64,
    /// Whether it concerns more devices than those that are named in the events.
    is_about_all: bool,
}

impl Storage {
    /// Looks who came late into a rollout that runs, and keeps what becomes of each. Where nothing
    /// has changed that could let a device be picked, that costs two short queries.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn take_latecomers(
        &self,
        id: &RolloutId,
        now: Timestamp,
    ) -> Result<Vec<Latecomer>, StorageError> {
        let mut reader = self.readers.acquire().await.during("begin to read")?;
        if news(&mut reader, id).await?.is_none() {
            return Ok(Vec::new());
        }
        drop(reader);
        let releases = self.releases().await?;
        let mut write = self.write(now).await?;
        let Some(news) = news(&mut write.transaction, id).await? else { return Ok(Vec::new()) };
        let mut view = view(self, &mut write.transaction, id, now).await?;
        let arrivals = arrivals(&mut write.transaction, id, &news, now).await?;
        let late = latecomers(&view, &arrivals, &releases);
        for latecomer in &late {
            match latecomer {
                Latecomer::Joins { device, ring, release } => {
                    insert_device(&mut write, id, *ring as usize, (device, release)).await?;
                    let ring = view.spec.rings[*ring as usize].name.clone();
                    let (device, rollout) = (device.clone(), id.clone());
                    write.event(&Change::DeviceJoined { device, rollout, ring }).await?;
                }
                Latecomer::StaysOut(left_out) => view.left_out.push(left_out.clone()),
            }
        }
        sqlx::query("UPDATE rollouts SET left_out = $2, looked_upto = $3 WHERE id = $1")
            .bind(id.to_string())
            .bind(to_json(&view.left_out))
            .bind(to_i64(news.upto))
            .execute(&mut *write.transaction)
            .await
            .during("note who came late")?;
        write.commit(Record::Routine(Routine::Advanced)).await?;
        Ok(late)
    }
}

/// What has happened since the rollout looked for the last time, if it runs and anything has.
async fn news(
    connection: &mut AnyConnection,
    id: &RolloutId,
) -> Result<Option<News>, StorageError> {
    let row = sqlx::query("SELECT state, looked_upto FROM rollouts WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(&mut *connection)
        .await
        .during("read a rollout")?
        .ok_or_else(|| StorageError::UnknownRollout(id.clone()))?;
    let state: RolloutState = row.word("state")?;
    let Some(since) = row.optional_number("looked_upto")? else { return Ok(None) };
    if state != RolloutState::Running {
        return Ok(None);
    }
    let row = sqlx::query(
        "SELECT COUNT(*) AS events, COALESCE(MAX(sequence), 0) AS upto, \
         COALESCE(SUM(CASE WHEN device IS NULL THEN 1 ELSE 0 END), 0) AS of_all, \
         COALESCE(SUM(CASE WHEN EXISTS (SELECT 1 FROM rollout_devices m \
             WHERE m.rollout = $2 AND m.device = e.device) THEN 1 ELSE 0 END), 0) AS of_members \
         FROM events e WHERE kind IN \
         ('device.enrolled', 'device.facts', 'collection.set', 'collection.deleted') \
         AND sequence > $1",
    )
    .bind(to_i64(since))
    .bind(id.to_string())
    .fetch_one(connection)
    .await
    .during("look what happened")?;
    let (upto, is_about_all) = (row.number("upto")?, row.number("of_all")? > 0);
    let (events, of_members) = (row.number("events")?, row.number("of_members")?);
    let is_news = events > of_members || of_members >= MANY_EVENTS;
    Ok(is_news.then_some(News { since, upto, is_about_all }))
}

/// The devices that something happened to, and that are not in the rollout.
async fn arrivals(
    connection: &mut AnyConnection,
    id: &RolloutId,
    news: &News,
    now: Timestamp,
) -> Result<Vec<FleetDevice>, StorageError> {
    let rows = sqlx::query(
        "SELECT d.id, d.facts, d.last_seen, d.quarantine, (\
             SELECT MAX(r.id) FROM rollout_devices m JOIN rollouts r ON r.id = m.rollout \
             WHERE m.device = d.id AND (m.step <> 'skipped' OR r.state = 'paused') \
             AND r.state NOT IN ('completed', 'stopped', 'rolled_back')\
         ) AS busy FROM devices d \
         WHERE NOT EXISTS (SELECT 1 FROM rollout_devices m WHERE m.rollout = $1 AND m.device = d.id) \
         AND ($2 = 1 OR d.id IN (SELECT device FROM events WHERE sequence > $3 AND sequence <= $4 \
         AND kind IN ('device.enrolled', 'device.facts'))) ORDER BY d.id",
    )
    .bind(id.to_string())
    .bind(i64::from(news.is_about_all))
    .bind(to_i64(news.since))
    .bind(to_i64(news.upto))
    .fetch_all(&mut *connection)
    .await
    .during("look who came late")?;
    let groups = Groups::read(connection, now).await?;
    rows.iter().map(|row| fleet_device(row, &groups)).collect()
}

/// Up to which event a rollout that starts now has looked.
pub(super) async fn looked_upto(
    connection: &mut AnyConnection,
    now: Timestamp,
) -> Result<u64, StorageError> {
    let sequence: Option<i64> = sqlx::query_scalar(
        "SELECT sequence FROM events WHERE at < $1 ORDER BY sequence DESC LIMIT 1",
    )
    .bind((now - PLANNED_BEFORE).as_millis())
    .fetch_optional(connection)
    .await
    .during("look what happened")?;
    Ok(sequence.map_or(0, from_i64))
}
