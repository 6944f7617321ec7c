//! What devices report. A report that comes late, twice or out of order changes nothing.

use gofleet_core::event::Change;
use gofleet_core::facts::Facts;
use gofleet_core::ids::{DeviceId, RolloutId};
use gofleet_core::offer::Answer;
use gofleet_core::order::{Failure, Order, Progress, Report, Step};
use gofleet_core::rollout::{self, News, Told};
use gofleet_core::time::Timestamp;
use sqlx::any::AnyRow;

use crate::audit::{Record, Routine};
use crate::query::{Columns as _, During as _, optional_json, to_i64, to_json};
use crate::write::Write;
use crate::{Storage, StorageError};

impl Storage {
    /// Takes a device's report. Its signals are not kept: there are too many of them, and soon
    /// there are others.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownDevice`] if there is no such device.
    pub async fn take_report(
        &self,
        device: &DeviceId,
        report: &Report,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        if report.facts.is_none() && report.progress.is_none() {
            return match report.signals {
                Some(_) => self.touch_beside(device, now).await,
                None => self.touch(device, now).await,
            };
        }
        let mut write = self.write(now).await?;
        let row = sqlx::query("SELECT facts, generation, last_seen FROM devices WHERE id = $1")
            .bind(device.to_string())
            .fetch_optional(&mut *write.transaction)
            .await
            .during("look for a device")?
            .ok_or_else(|| StorageError::UnknownDevice(device.clone()))?;
        write.note_absence(device, row.time("last_seen")?).await?;
        let known: Facts = row.json("facts")?;
        let mut facts = report.facts.clone().unwrap_or_else(|| known.clone());
        facts.collections.clear();
        if let Some(progress) = &report.progress {
            let is_news = take_progress(&mut write, device, progress).await?;
            if is_news && progress.generation >= row.number("generation")? {
                facts.active.clone_from(&progress.active);
            }
        }
        keep_facts(&mut write, device, &facts).await?;
        if facts != known {
            let active = facts.active;
            write.event(&Change::DeviceFacts { device: device.clone(), active }).await?;
        }
        write.commit(Record::Routine(Routine::Heard)).await
    }
}

async fn keep_facts(
    write: &mut Write<'_>,
    device: &DeviceId,
    facts: &Facts,
) -> Result<(), StorageError> {
    sqlx::query(
        "UPDATE devices SET facts = $2, hostname = $3, platform = $4, active = $5, \
         last_seen = $6 WHERE id = $1",
    )
    .bind(device.to_string())
    .bind(to_json(facts))
    .bind(facts.hostname.clone())
    .bind(facts.platform.to_string())
    .bind(facts.active.clone())
    .bind(write.now.as_millis())
    .execute(&mut *write.transaction)
    .await
    .during("keep a device's facts")?;
    Ok(())
}

/// An order of the device, and what is known of it.
struct Known {
    rollout: RolloutId,
    order: Order,
    step: Step,
    sequence: Option<u64>,
    bytes: u64,
    failure: Option<Failure>,
    answer: Option<Answer>,
    progressed_at: Timestamp,
}

impl Known {
    fn read(row: &AnyRow) -> Result<Self, StorageError> {
        Ok(Self {
            rollout: row.parsed("rollout")?,
            order: row.json("body")?,
            step: row.word("step")?,
            sequence: row.optional_number("sequence")?,
            bytes: row.number("bytes_downloaded")?,
            failure: row.optional_json("failure")?,
            answer: row.optional_json("answer")?,
            progressed_at: row.time("progressed_at")?,
        })
    }

    fn told(&self) -> Told<'_> {
        Told {
            order: &self.order,
            step: self.step,
            sequence: self.sequence,
            bytes_downloaded: self.bytes,
            failure: self.failure.as_ref(),
        }
    }
}

/// Whether the report was news.
async fn take_progress(
    write: &mut Write<'_>,
    device: &DeviceId,
    progress: &Progress,
) -> Result<bool, StorageError> {
    let row = sqlx::query("SELECT * FROM orders WHERE device = $1 AND generation = $2")
        .bind(device.to_string())
        .bind(to_i64(progress.generation))
        .fetch_optional(&mut *write.transaction)
        .await
        .during("look for an order")?;
    let Some(row) = row else {
        // A restore may have lost generations that the device has seen: the next order must
        // have a greater one.
        raise_generation(write, device, progress.generation).await?;
        return Ok(true);
    };
    let known = Known::read(&row)?;
    let Some(News { step, failure, has_moved }) = rollout::take_report(&known.told(), progress)
    else {
        return Ok(false);
    };
    let progressed_at = if has_moved { write.now } else { known.progressed_at };
    update_order(write, device, progress, step, failure.as_ref(), progressed_at).await?;
    update_rollout(write, device, &known.rollout, progress, step, failure.as_ref()).await?;
    if let Some(answer) = progress.answer
        && answer != known.answer.unwrap_or_default()
    {
        let (device, rollout) = (device.clone(), known.rollout.clone());
        let generation = progress.generation;
        write.event(&Change::DeviceAnswered { device, rollout, generation, answer }).await?;
    }
    if has_moved || failure != known.failure {
        write
            .event(&Change::DeviceStep {
                device: device.clone(),
                rollout: known.rollout,
                generation: progress.generation,
                step,
                bytes_downloaded: progress.bytes_downloaded,
                failure,
            })
            .await?;
    }
    Ok(true)
}

async fn raise_generation(
    write: &mut Write<'_>,
    device: &DeviceId,
    generation: u64,
) -> Result<(), StorageError> {
    sqlx::query("UPDATE devices SET generation = $2 WHERE id = $1 AND generation < $2")
        .bind(device.to_string())
        .bind(to_i64(generation))
        .execute(&mut *write.transaction)
        .await
        .during("raise a generation")?;
    Ok(())
}

async fn update_order(
    write: &mut Write<'_>,
    device: &DeviceId,
    progress: &Progress,
    step: Step,
    failure: Option<&Failure>,
    progressed_at: Timestamp,
) -> Result<(), StorageError> {
    sqlx::query(
        "UPDATE orders SET step_at = CASE WHEN step = $3 THEN step_at ELSE $4 END, step = $3, \
         progressed_at = $5, sequence = $6, bytes_downloaded = $7, failure = $8, \
         receipt = COALESCE($9, receipt), way = COALESCE($10, way), waits_until = $11, \
         answer = $12 \
         WHERE device = $1 AND generation = $2",
    )
    .bind(device.to_string())
    .bind(to_i64(progress.generation))
    .bind(step.as_str())
    .bind(write.now.as_millis())
    .bind(progressed_at.as_millis())
    .bind(to_i64(progress.sequence))
    .bind(to_i64(progress.bytes_downloaded))
    .bind(optional_json(failure))
    .bind(optional_json(progress.receipt.as_ref()))
    .bind(optional_json(progress.way.as_ref()))
    .bind(progress.waits_until.map(Timestamp::as_millis))
    .bind(optional_json(progress.answer.as_ref()))
    .execute(&mut *write.transaction)
    .await
    .during("take a report")?;
    Ok(())
}

/// Tells the rollout, if it has not given the device another order since.
async fn update_rollout(
    write: &mut Write<'_>,
    device: &DeviceId,
    rollout: &RolloutId,
    progress: &Progress,
    step: Step,
    failure: Option<&Failure>,
) -> Result<(), StorageError> {
    sqlx::query(
        "UPDATE rollout_devices SET since = CASE WHEN step = $4 THEN since ELSE $5 END, \
         step = $4, is_silent = 0, failure = $6, way = COALESCE($7, way), bytes_downloaded = \
         (SELECT SUM(o.bytes_downloaded) FROM orders o WHERE o.rollout = $1 AND o.device = $2) \
         WHERE rollout = $1 AND device = $2 AND generation = $3",
    )
    .bind(rollout.to_string())
    .bind(device.to_string())
    .bind(to_i64(progress.generation))
    .bind(step.as_str())
    .bind(write.now.as_millis())
    .bind(optional_json(failure))
    .bind(optional_json(progress.way.as_ref()))
    .execute(&mut *write.transaction)
    .await
    .during("tell the rollout of a report")?;
    Ok(())
}
