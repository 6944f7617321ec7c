//! Rollouts: started, read, and moved on by the core's actions.

mod apply;
mod behaviour;
mod late;
mod measure;
mod read;
mod requires;
mod standing;

use gofleet_core::audit::{Act, By};
use gofleet_core::digest::Digest;
use gofleet_core::event::Change;
use gofleet_core::ids::{DeviceId, ReleaseId, RolloutId};
use gofleet_core::order::Step;
use gofleet_core::release::ReleaseStatus;
use gofleet_core::rollout::{PlannedDevice, RingState, RolloutPlan, RolloutState};
use gofleet_core::time::Timestamp;

pub use apply::Decider;

use crate::audit::Record;
use crate::query::{Columns as _, During as _, to_i64, to_json};
use crate::write::Write;
use crate::{StartError, Storage, StorageError, release};

impl Storage {
    /// Starts a rollout as it was planned, unless something changed since.
    ///
    /// # Errors
    ///
    /// [`StartError`] if its name is taken, a device has gone elsewhere, or a release has lost
    /// its approval.
    pub async fn start_rollout(
        &self,
        by: &By,
        plan: &RolloutPlan,
        now: Timestamp,
    ) -> Result<RolloutId, StartError> {
        let mut write = self.write(now).await?;
        check_name(&mut write, &plan.spec.name).await?;
        for id in &plan.releases {
            let found = release::find(&mut write, id).await?;
            let found = found.ok_or_else(|| StorageError::UnknownRelease(id.clone()))?;
            if found.status != ReleaseStatus::Approved {
                let (release, status) = (id.clone(), found.status);
                return Err(StartError::NotApproved { release, status });
            }
        }
        let rollout = insert_rollout(&mut write, plan, &by.name).await?;
        for (place, ring) in plan.rings.iter().enumerate() {
            insert_ring(&mut write, &rollout, place).await?;
            for planned in &ring.devices {
                check_free(&mut write, planned).await?;
                let (device, release) = (&planned.device, &planned.release);
                insert_device(&mut write, &rollout, place, (device, release)).await?;
            }
        }
        let (name, author) = (plan.spec.name.clone(), by.name.clone());
        write.event(&Change::RolloutStarted { rollout: rollout.clone(), name, by: author }).await?;
        write.commit(Record::act(by, now, started(&rollout, plan))).await?;
        Ok(rollout)
    }
}

fn started(rollout: &RolloutId, plan: &RolloutPlan) -> Act {
    Act::RolloutStarted {
        rollout: rollout.clone(),
        name: plan.spec.name.clone(),
        releases: plan.releases.clone(),
        devices: plan.rings.iter().map(|ring| ring.devices.len() as u64).sum(),
        spec: Digest::of(to_json(&plan.spec).as_bytes()),
    }
}

async fn check_name(write: &mut Write<'_>, name: &str) -> Result<(), StartError> {
    let row = sqlx::query(
        "SELECT id FROM rollouts WHERE name = $1 \
         AND state NOT IN ('completed', 'stopped', 'rolled_back')",
    )
    .bind(name.to_owned())
    .fetch_optional(&mut *write.transaction)
    .await
    .during("look for a rollout")?;
    match row {
        None => Ok(()),
        Some(row) => {
            Err(StartError::NameTaken { name: name.to_owned(), rollout: row.parsed("id")? })
        }
    }
}

/// Whether a device is in no other rollout than the one that it waits for.
async fn check_free(write: &mut Write<'_>, planned: &PlannedDevice) -> Result<(), StartError> {
    let device = &planned.device;
    let row = sqlx::query(
        "SELECT r.id FROM rollout_devices m JOIN rollouts r ON r.id = m.rollout \
         WHERE m.device = $1 AND m.step <> 'skipped' \
         AND r.state NOT IN ('completed', 'stopped', 'rolled_back') AND r.id <> $2",
    )
    .bind(device.to_string())
    .bind(planned.waits_for.as_ref().map_or("", RolloutId::as_str).to_owned())
    .fetch_optional(&mut *write.transaction)
    .await
    .during("look for a device's rollout")?;
    match row {
        None => Ok(()),
        Some(row) => {
            Err(StartError::DeviceBusy { device: device.clone(), rollout: row.parsed("id")? })
        }
    }
}

async fn insert_rollout(
    write: &mut Write<'_>,
    plan: &RolloutPlan,
    author: &str,
) -> Result<RolloutId, StorageError> {
    let place: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(place), 0) + 1 FROM rollouts")
        .fetch_one(&mut *write.transaction)
        .await
        .during("number a rollout")?;
    let looked_upto = late::looked_upto(&mut write.transaction, write.now).await?;
    let rollout: RolloutId = format!("r{place}").parse().expect("a letter and a number are an id");
    sqlx::query(
        "INSERT INTO rollouts (id, place, name, state, spec, left_out, author, started_at, \
         changed_at, looked_upto) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)",
    )
    .bind(rollout.to_string())
    .bind(place)
    .bind(plan.spec.name.clone())
    .bind(RolloutState::Running.as_str())
    .bind(to_json(&plan.spec))
    .bind(to_json(&plan.left_out))
    .bind(author.to_owned())
    .bind(write.now.as_millis())
    .bind(to_i64(looked_upto))
    .execute(&mut *write.transaction)
    .await
    .during("add a rollout")?;
    Ok(rollout)
}

async fn insert_ring(
    write: &mut Write<'_>,
    rollout: &RolloutId,
    place: usize,
) -> Result<(), StorageError> {
    sqlx::query("INSERT INTO rings (rollout, place, state) VALUES ($1, $2, $3)")
        .bind(rollout.to_string())
        .bind(to_i64(place as u64))
        .bind(RingState::Waiting.as_str())
        .execute(&mut *write.transaction)
        .await
        .during("add a ring")?;
    Ok(())
}

async fn insert_device(
    write: &mut Write<'_>,
    rollout: &RolloutId,
    ring: usize,
    (device, release): (&DeviceId, &ReleaseId),
) -> Result<(), StorageError> {
    sqlx::query(
        "INSERT INTO rollout_devices (rollout, device, ring, target, step, since, is_silent, \
         is_waived, bytes_downloaded) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0)",
    )
    .bind(rollout.to_string())
    .bind(device.to_string())
    .bind(to_i64(ring as u64))
    .bind(release.to_string())
    .bind(Step::Waiting.as_str())
    .bind(write.now.as_millis())
    .execute(&mut *write.transaction)
    .await
    .during("add a device to a rollout")?;
    Ok(())
}
