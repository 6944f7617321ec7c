//! Reading rollouts.

use std::collections::{BTreeMap, HashMap, HashSet};

use gofleet_core::hold::KeptOut;
use gofleet_core::ids::{PackageName, ReleaseId, RolloutId};
use gofleet_core::order::Step;
use gofleet_core::release::{Release, ReleaseRef, ReleaseStatus};
use gofleet_core::rollout::{
    BlastRadius, Cause, DeviceView, Exposure, OrderView, Previous, Reason, RingState, RingView,
    RolloutSpec, RolloutSummary, RolloutView,
};
use gofleet_core::time::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{Any, Executor};

use crate::query::{Columns as _, During as _, corrupt, from_i64};
use crate::{Storage, StorageError};

impl Storage {
    /// Every rollout, newest first.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn rollouts(&self) -> Result<Vec<RolloutSummary>, StorageError> {
        let rows = sqlx::query("SELECT * FROM rollouts ORDER BY place DESC")
            .fetch_all(&self.readers)
            .await
            .during("list rollouts")?;
        let (mut steps, mut rings) = (self.steps_of_all().await?, self.rings_of_all().await?);
        let mut summaries = Vec::new();
        for row in &rows {
            let id: RolloutId = row.parsed("id")?;
            let (steps, rings) = (steps.remove(&id), rings.remove(&id));
            summaries.push(summary(
                row,
                id,
                steps.unwrap_or_default(),
                &rings.unwrap_or_default(),
            )?);
        }
        Ok(summaries)
    }

    async fn steps_of_all(&self) -> Result<BTreeMap<RolloutId, BTreeMap<Step, u64>>, StorageError> {
        let rows = sqlx::query(
            "SELECT rollout, step, COUNT(*) AS devices FROM rollout_devices GROUP BY rollout, step",
        )
        .fetch_all(&self.readers)
        .await
        .during("count devices of rollouts")?;
        let mut all: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for row in &rows {
            let steps = all.entry(row.parsed("rollout")?).or_default();
            steps.insert(row.word("step")?, row.number("devices")?);
        }
        Ok(all)
    }

    async fn rings_of_all(&self) -> Result<BTreeMap<RolloutId, Vec<RingState>>, StorageError> {
        let rows = sqlx::query("SELECT rollout, state FROM rings ORDER BY rollout, place")
            .fetch_all(&self.readers)
            .await
            .during("list rings")?;
        let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for row in &rows {
            all.entry(row.parsed("rollout")?).or_default().push(row.word("state")?);
        }
        Ok(all)
    }

    /// The rollouts that have not ended, oldest first.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn moving_rollouts(&self) -> Result<Vec<RolloutId>, StorageError> {
        let rows = sqlx::query(
            "SELECT id FROM rollouts WHERE state NOT IN ('completed', 'stopped', 'rolled_back') \
             ORDER BY place",
        )
        .fetch_all(&self.readers)
        .await
        .during("list moving rollouts")?;
        rows.iter().map(|row| row.parsed("id")).collect()
    }

    /// A rollout with every ring and device, all from one moment.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownRollout`] if there is none of this id.
    pub async fn rollout(
        &self,
        id: &RolloutId,
        now: Timestamp,
    ) -> Result<RolloutView, StorageError> {
        let mut snapshot = self.readers.begin().await.during("begin to read")?;
        view(self, &mut snapshot, id, now).await
    }
}

/// Reads a rollout within a transaction.
pub(super) async fn view(
    storage: &Storage,
    connection: &mut sqlx::AnyConnection,
    id: &RolloutId,
    now: Timestamp,
) -> Result<RolloutView, StorageError> {
    let row = sqlx::query("SELECT * FROM rollouts WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(&mut *connection)
        .await
        .during("read a rollout")?
        .ok_or_else(|| StorageError::UnknownRollout(id.clone()))?;
    let spec: RolloutSpec = row.json("spec")?;
    let rings = rings(&mut *connection, id).await?;
    let catalog = catalog(&mut *connection).await?;
    let mut devices = devices(&mut *connection, id, &spec.package, &catalog).await?;
    super::standing::complete(&mut *connection, id, &mut devices, now).await?;
    super::requires::note_unmet(&mut *connection, id, &catalog.releases, &mut devices).await?;
    let wanted: HashSet<&ReleaseId> = devices.iter().map(|device| &device.release).collect();
    let mut unapproved: Vec<ReleaseId> =
        wanted.into_iter().filter(|it| !catalog.approved.contains(*it)).cloned().collect();
    unapproved.sort();
    let exposure = exposure(&mut *connection, Some(id), storage.blast_radius).await?;
    let emergency = storage.emergency_within(&mut *connection).await?;
    Ok(RolloutView {
        id: id.clone(),
        state: row.word("state")?,
        cause: row.optional_json("cause")?,
        author: row.text("author")?,
        started_at: row.time("started_at")?,
        changed_at: row.time("changed_at")?,
        left_out: row.json("left_out")?,
        spec,
        rings,
        devices: devices.into(),
        unapproved,
        emergency,
        exposure,
        listening_since: storage.listening_since(now),
    })
}

/// What other rollouts than the named one take of the blast radius, or all of them if none is named.
/// It is counted a little too high, where a device has got an order of a later rollout since.
pub(super) async fn exposure(
    connection: &mut sqlx::AnyConnection,
    id: Option<&RolloutId>,
    blast_radius: Option<BlastRadius>,
) -> Result<Option<Exposure>, StorageError> {
    let Some(blast_radius) = blast_radius else { return Ok(None) };
    let fleet: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM devices")
        .fetch_one(&mut *connection)
        .await
        .during("count devices")?;
    let elsewhere: i64 = sqlx::query_scalar(
        "SELECT COUNT(DISTINCT m.device) FROM rollout_devices m \
         JOIN rollouts r ON r.id = m.rollout \
         WHERE m.rollout <> $1 AND m.generation IS NOT NULL \
         AND NOT (m.step = 'staged' AND EXISTS (SELECT 1 FROM orders o WHERE \
         o.device = m.device AND o.generation = m.generation AND o.want = 'offer')) \
         AND NOT (m.is_waived = 1 AND (m.is_silent = 1 OR m.step = 'quarantined')) \
         AND r.state NOT IN ('completed', 'stopped', 'rolled_back') \
         AND m.step NOT IN ('waiting', 'accepted', 'reverted', 'skipped')",
    )
    .bind(id.map_or("", RolloutId::as_str).to_owned())
    .fetch_one(connection)
    .await
    .during("count devices in flight")?;
    Ok(Some(Exposure { max: blast_radius.of(from_i64(fleet)), elsewhere: elsewhere as u32 }))
}

fn summary(
    row: &AnyRow,
    id: RolloutId,
    steps: BTreeMap<Step, u64>,
    rings: &[RingState],
) -> Result<RolloutSummary, StorageError> {
    let cause: Option<Cause> = row.optional_json("cause")?;
    let spec: RolloutSpec = row.json("spec")?;
    let passed = rings.iter().take_while(|state| **state == RingState::Passed).count();
    Ok(RolloutSummary {
        id,
        name: spec.name,
        version: spec.version,
        state: row.word("state")?,
        reason: cause.as_ref().map(Reason::from),
        author: row.text("author")?,
        started_at: row.time("started_at")?,
        changed_at: row.time("changed_at")?,
        current_ring: passed as u32,
        rings: rings.len() as u32,
        steps,
    })
}

async fn rings(
    connection: impl Executor<'_, Database = Any>,
    id: &RolloutId,
) -> Result<Vec<RingView>, StorageError> {
    let rows = sqlx::query("SELECT * FROM rings WHERE rollout = $1 ORDER BY place")
        .bind(id.to_string())
        .fetch_all(connection)
        .await
        .during("read rings")?;
    let ring = |row: &AnyRow| {
        Ok(RingView {
            state: row.word("state")?,
            started_at: row.optional_time("started_at")?,
            ended_at: row.optional_time("ended_at")?,
            look: row.optional_json("look")?,
        })
    };
    rows.iter().map(ring).collect()
}

/// The releases that there are, with the sizes of their archives, and which of them are approved.
struct Catalog {
    known: HashMap<ReleaseId, u64>,
    approved: HashSet<ReleaseId>,
    releases: Vec<Release>,
}

async fn catalog(connection: impl Executor<'_, Database = Any>) -> Result<Catalog, StorageError> {
    let rows = sqlx::query("SELECT body FROM releases")
        .fetch_all(connection)
        .await
        .during("list releases")?;
    let releases: Vec<Release> =
        rows.iter().map(|row| row.json("body")).collect::<Result<_, _>>()?;
    let approved = releases.iter().filter(|it| it.status == ReleaseStatus::Approved);
    Ok(Catalog {
        approved: approved.map(|it| it.release.id.clone()).collect(),
        known: releases.iter().map(|it| (it.release.id.clone(), it.release.archive.size)).collect(),
        releases,
    })
}

async fn devices(
    connection: impl Executor<'_, Database = Any>,
    id: &RolloutId,
    package: &PackageName,
    catalog: &Catalog,
) -> Result<Vec<DeviceView>, StorageError> {
    let rows = sqlx::query(
        "SELECT m.*, d.hostname, d.platform, d.active, d.last_seen, d.quarantine, \
         o.want, o.issued_at, o.progressed_at, o.waits_until, o.answer, \
         l.rollout AS latest_rollout \
         FROM rollout_devices m JOIN devices d ON d.id = m.device \
         LEFT JOIN orders o ON o.device = m.device AND o.generation = m.generation \
         LEFT JOIN orders l ON l.device = m.device AND l.generation = \
         (SELECT MAX(generation) FROM orders WHERE device = m.device) \
         WHERE m.rollout = $1 ORDER BY m.ring, m.device",
    )
    .bind(id.to_string())
    .fetch_all(connection)
    .await
    .during("read a rollout's devices")?;
    rows.iter().map(|row| device(row, id, package, catalog)).collect()
}

fn device(
    row: &AnyRow,
    id: &RolloutId,
    package: &PackageName,
    catalog: &Catalog,
) -> Result<DeviceView, StorageError> {
    let order = order(row)?;
    let latest = row.optional_text("latest_rollout")?;
    let elsewhere = latest.filter(|latest| order.is_some() && latest != id.as_str());
    let superseded_by =
        elsewhere.map(|id| id.parse().map_err(|error| corrupt("rollout id", error))).transpose()?;
    let previous = match row.optional_json("previous")? {
        Some(previous) => previous,
        None => previous(row, package, catalog)?,
    };
    let target = row.parsed("target")?;
    Ok(DeviceView {
        archive_bytes: catalog.known.get(&target).copied().unwrap_or(0),
        device: row.parsed("device")?,
        hostname: row.text("hostname")?,
        ring: row.number("ring")? as u32,
        release: target,
        step: row.word("step")?,
        since: row.time("since")?,
        order,
        previous,
        active: row.optional_text("active")?,
        last_seen: row.time("last_seen")?,
        is_silent: row.flag("is_silent")?,
        attempts: row.number("attempts")? as u32,
        offered_at: row.optional_time("offered_at")?,
        assigned_by: row.optional_text("assigned_by")?,
        is_waived: row.flag("is_waived")?,
        quarantined_for: row.optional_json("quarantined_for")?,
        earlier_failures: Vec::new(),
        kept_out: row.optional_json("quarantine")?.map(KeptOut::Quarantine),
        unmet: None,
        superseded_by,
        bytes_downloaded: row.number("bytes_downloaded")?,
        way: row.optional_json("way")?,
        failure: row.optional_json("failure")?,
    })
}

fn order(row: &AnyRow) -> Result<Option<OrderView>, StorageError> {
    let Some(generation) = row.optional_number("generation")? else { return Ok(None) };
    Ok(Some(OrderView {
        generation,
        want: row.word("want")?,
        ordered_at: row.time("issued_at")?,
        progressed_at: row.time("progressed_at")?,
        waits_until: row.optional_time("waits_until")?,
        answer: row.optional_json("answer")?,
    }))
}

/// What is active on a device that has no order of the rollout yet.
fn previous(
    row: &AnyRow,
    package: &PackageName,
    catalog: &Catalog,
) -> Result<Previous, StorageError> {
    let Some(version) = row.optional_text("active")? else { return Ok(Previous::Nothing) };
    let id = ReleaseRef::id_of(package, &version, &row.parsed("platform")?);
    Ok(match id {
        Ok(id) if catalog.known.contains_key(&id) => Previous::Release(id),
        Ok(_) | Err(_) => Previous::Unknown(version),
    })
}
