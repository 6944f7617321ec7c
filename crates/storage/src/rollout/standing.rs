//! What the engine has to know of a rollout's devices beyond the rollout: which are held, and which
//! failed before as they do here. Both are looked for only where there is a hold, or a failure.

use std::collections::HashMap;

use gofleet_core::facts::Facts;
use gofleet_core::hold::KeptOut;
use gofleet_core::ids::{DeviceId, ReleaseId, RolloutId};
use gofleet_core::order::{Failure, Step};
use gofleet_core::rollout::{Comparison, DeviceView};
use gofleet_core::time::Timestamp;
use sqlx::AnyConnection;

use crate::StorageError;
use crate::hold::holds_at;
use crate::query::{Columns as _, During as _};

/// Fills in what stands elsewhere.
pub(super) async fn complete(
    connection: &mut AnyConnection,
    rollout: &RolloutId,
    devices: &mut [DeviceView],
    now: Timestamp,
) -> Result<(), StorageError> {
    note_holds(&mut *connection, rollout, devices, now).await?;
    for device in devices.iter_mut().filter(|device| device.quarantined_for.is_none()) {
        if let Some(failure) = &device.failure {
            device.failed_alike = failed_alike(&mut *connection, rollout, device, failure).await?;
        }
    }
    Ok(())
}

async fn note_holds(
    connection: &mut AnyConnection,
    rollout: &RolloutId,
    devices: &mut [DeviceView],
    now: Timestamp,
) -> Result<(), StorageError> {
    let holds = holds_at(&mut *connection, now).await?;
    if holds.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query(
        "SELECT d.id, d.facts FROM devices d JOIN rollout_devices m ON m.device = d.id \
         WHERE m.rollout = $1",
    )
    .bind(rollout.to_string())
    .fetch_all(connection)
    .await
    .during("read the facts of a rollout's devices")?;
    let mut held = HashMap::new();
    for row in &rows {
        let (id, facts): (DeviceId, Facts) = (row.parsed("id")?, row.json("facts")?);
        if let Some(hold) = holds.on(&id, &facts) {
            held.insert(id, hold);
        }
    }
    for device in devices.iter_mut().filter(|device| device.kept_out.is_none()) {
        device.kept_out = held.get(&device.device).map(|hold| KeptOut::Hold((*hold).clone()));
    }
    Ok(())
}

/// The releases of other rollouts with which the device failed alike while most others did well.
async fn failed_alike(
    connection: &mut AnyConnection,
    rollout: &RolloutId,
    device: &DeviceView,
    failure: &Failure,
) -> Result<Vec<ReleaseId>, StorageError> {
    let rows = sqlx::query(
        "SELECT m.rollout, m.target, m.failure FROM rollout_devices m \
         JOIN rollouts r ON r.id = m.rollout \
         WHERE m.device = $1 AND m.rollout <> $2 AND m.target <> $3 AND m.failure IS NOT NULL \
         ORDER BY r.place DESC",
    )
    .bind(device.device.to_string())
    .bind(rollout.to_string())
    .bind(device.release.to_string())
    .fetch_all(&mut *connection)
    .await
    .during("read a device's earlier failures")?;
    let mut releases = Vec::new();
    for row in &rows {
        let (earlier, release): (Failure, ReleaseId) =
            (row.json("failure")?, row.parsed("target")?);
        if !earlier.is_like(failure) || releases.contains(&release) {
            continue;
        }
        let rollout: RolloutId = row.parsed("rollout")?;
        if comparison(&mut *connection, &rollout, &release, &device.device, failure)
            .await?
            .blames_the_device()
        {
            releases.push(release);
        }
    }
    Ok(releases)
}

/// How other devices of a rollout did with a release.
async fn comparison(
    connection: &mut AnyConnection,
    rollout: &RolloutId,
    release: &ReleaseId,
    device: &DeviceId,
    failure: &Failure,
) -> Result<Comparison, StorageError> {
    let rows = sqlx::query(
        "SELECT step, failure FROM rollout_devices WHERE rollout = $1 AND target = $2 \
         AND device <> $3 AND (step = 'accepted' OR failure IS NOT NULL)",
    )
    .bind(rollout.to_string())
    .bind(release.to_string())
    .bind(device.to_string())
    .fetch_all(connection)
    .await
    .during("read how others did with a release")?;
    let mut comparison = Comparison::default();
    for row in &rows {
        let (step, other): (Step, Option<Failure>) =
            (row.word("step")?, row.optional_json("failure")?);
        comparison.count(failure, step, other.as_ref());
    }
    Ok(comparison)
}
