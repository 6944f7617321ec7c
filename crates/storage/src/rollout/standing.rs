//! What the engine has to know of a rollout's devices beyond the rollout: which are held, and how
//! those that failed did before. Both are looked for only where there is a hold, or a failure.

use std::collections::HashMap;

use gofleet_core::collection::Collections;
use gofleet_core::hold::KeptOut;
use gofleet_core::ids::{DeviceId, ReleaseId, RolloutId};
use gofleet_core::order::{Failure, Step};
use gofleet_core::rollout::{Comparison, DeviceView, EarlierFailure};
use gofleet_core::time::Timestamp;
use sqlx::AnyConnection;

use crate::hold::holds_at;
use crate::query::{Columns as _, During as _};
use crate::{StorageError, collection};

/// Fills in what stands elsewhere.
pub(super) async fn complete(
    connection: &mut AnyConnection,
    rollout: &RolloutId,
    devices: &mut [DeviceView],
    now: Timestamp,
) -> Result<(), StorageError> {
    note_holds(&mut *connection, rollout, devices, now).await?;
    for device in devices.iter_mut().filter(|device| device.quarantined_for.is_none()) {
        if device.failure.is_some() {
            device.earlier_failures =
                earlier_failures(&mut *connection, rollout, &device.device).await?;
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
    let collections = match holds.ask_for_collections() {
        true => collection::ready(&mut *connection).await?,
        false => Collections::default(),
    };
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
        let id: DeviceId = row.parsed("id")?;
        let facts = collection::facts(row, &id, &collections)?;
        if let Some(hold) = holds.on(&id, &facts) {
            held.insert(id, hold);
        }
    }
    for device in devices.iter_mut().filter(|device| device.kept_out.is_none()) {
        device.kept_out = held.get(&device.device).map(|hold| KeptOut::Hold((*hold).clone()));
    }
    Ok(())
}

/// How the device failed in other rollouts, the latest first.
async fn earlier_failures(
    connection: &mut AnyConnection,
    rollout: &RolloutId,
    device: &DeviceId,
) -> Result<Vec<EarlierFailure>, StorageError> {
    let rows = sqlx::query(
        "SELECT m.rollout, m.target, m.failure FROM rollout_devices m \
         JOIN rollouts r ON r.id = m.rollout \
         WHERE m.device = $1 AND m.rollout <> $2 AND m.failure IS NOT NULL ORDER BY r.place DESC",
    )
    .bind(device.to_string())
    .bind(rollout.to_string())
    .fetch_all(&mut *connection)
    .await
    .during("read a device's earlier failures")?;
    let mut earlier = Vec::new();
    for row in &rows {
        let (release, failure): (ReleaseId, Failure) =
            (row.parsed("target")?, row.json("failure")?);
        let rollout: RolloutId = row.parsed("rollout")?;
        let others = comparison(&mut *connection, &rollout, &release, device, &failure).await?;
        earlier.push(EarlierFailure { release, failure, others });
    }
    Ok(earlier)
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
