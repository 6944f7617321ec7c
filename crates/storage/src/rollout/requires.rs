//! What a rollout's devices lack of what its release asks for. It is looked for only where a release
//! of the catalog asks for anything.

use std::collections::HashMap;

use gofleet_core::facts::Facts;
use gofleet_core::ids::{DeviceId, ReleaseId, RolloutId};
use gofleet_core::order::Step;
use gofleet_core::release::Release;
use gofleet_core::rollout::{DeviceView, Fulfilment, Moving, RolloutSpec};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::query::{Columns as _, During as _};
use crate::{Storage, StorageError};

impl Storage {
    /// What the rollouts bring that have not ended, oldest first.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn moving(&self) -> Result<Vec<Moving>, StorageError> {
        let rows = sqlx::query(
            "SELECT id, spec FROM rollouts WHERE state NOT IN ('completed', 'stopped', \
             'rolled_back') ORDER BY place",
        )
        .fetch_all(&self.readers)
        .await
        .during("list moving rollouts")?;
        rows.iter().map(moving).collect()
    }
}

fn moving(row: &AnyRow) -> Result<Moving, StorageError> {
    let spec: RolloutSpec = row.json("spec")?;
    Ok(Moving { rollout: row.parsed("id")?, package: spec.package, version: spec.version })
}

/// Notes what each device lacks that may yet be ordered to install its release.
pub(super) async fn note_unmet(
    connection: &mut AnyConnection,
    rollout: &RolloutId,
    catalog: &[Release],
    devices: &mut [DeviceView],
) -> Result<(), StorageError> {
    let mut fulfilment = Fulfilment::of(catalog);
    if fulfilment.is_empty() {
        return Ok(());
    }
    let facts = facts(&mut *connection, rollout).await?;
    let coming = coming(connection, rollout).await?;
    let releases: HashMap<&ReleaseId, &Release> =
        catalog.iter().map(|it| (&it.release.id, it)).collect();
    for device in devices.iter_mut().filter(|device| device.step != Step::Accepted) {
        let Some(release) = releases.get(&device.release) else { continue };
        let unmet = facts
            .get(&device.device)
            .and_then(|facts| fulfilment.unmet(release, facts, coming.get(&device.device)));
        device.unmet = unmet.map(Box::new);
    }
    Ok(())
}

async fn facts(
    connection: &mut AnyConnection,
    rollout: &RolloutId,
) -> Result<HashMap<DeviceId, Facts>, StorageError> {
    let rows = sqlx::query(
        "SELECT d.id, d.facts FROM devices d JOIN rollout_devices m ON m.device = d.id \
         WHERE m.rollout = $1 AND m.step <> 'accepted'",
    )
    .bind(rollout.to_string())
    .fetch_all(connection)
    .await
    .during("read the packages of a rollout's devices")?;
    rows.iter().map(|row| Ok((row.parsed("id")?, row.json("facts")?))).collect()
}

/// What earlier rollouts that have not ended are bringing to a rollout's devices.
async fn coming(
    connection: &mut AnyConnection,
    rollout: &RolloutId,
) -> Result<HashMap<DeviceId, Moving>, StorageError> {
    let rows = sqlx::query(
        "SELECT r.id, r.spec FROM rollouts r, rollouts own WHERE own.id = $1 \
         AND r.place < own.place AND r.state NOT IN ('completed', 'stopped', 'rolled_back') \
         ORDER BY r.place",
    )
    .bind(rollout.to_string())
    .fetch_all(&mut *connection)
    .await
    .during("list earlier rollouts")?;
    let mut coming = HashMap::new();
    for row in &rows {
        let moving = moving(row)?;
        let members = sqlx::query(
            "SELECT m.device FROM rollout_devices m JOIN rollout_devices own \
             ON own.device = m.device AND own.rollout = $2 \
             WHERE m.rollout = $1 AND m.step <> 'skipped'",
        )
        .bind(moving.rollout.to_string())
        .bind(rollout.to_string())
        .fetch_all(&mut *connection)
        .await
        .during("read who is in two rollouts")?;
        for member in &members {
            coming.insert(member.parsed("device")?, moving.clone());
        }
    }
    Ok(coming)
}
