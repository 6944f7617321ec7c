//! What is recorded of how the fleet behaves, for forecasts, and the forecasts that were kept.

use gofleet_core::anomaly::Class;
use gofleet_core::facts::Facts;
use gofleet_core::ids::RolloutId;
use gofleet_core::order::{Order, Receipt, Step, Want};
use gofleet_core::rollout::Exposure;
use gofleet_core::rollout::forecast::{Behaviour, Fared, Forecast, Timed, Took};
use gofleet_core::time::{Span, Timestamp};
use sqlx::any::AnyRow;

use super::read::exposure;
use crate::audit::{Record, Routine};
use crate::query::{Columns as _, During as _, to_json};
use crate::{Storage, StorageError};

/// So many receipts are read: enough for every class, and few enough to be read for each forecast.
const RECEIPTS: i64 = 2_000;
/// So many finished rollouts: older ones ran with other agents, on other networks.
const ROLLOUTS: i64 = 10;

impl Storage {
    /// What is recorded of how the fleet behaves: how long the latest accepted orders took, how
    /// the devices of the latest finished rollouts fared, and when devices were away.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn behaviour(&self) -> Result<Behaviour, StorageError> {
        let rows = sqlx::query(
            "SELECT o.device, o.body, o.issued_at, o.step_at, o.receipt, d.facts FROM orders o \
             JOIN devices d ON d.id = o.device \
             WHERE o.want = 'activate' AND o.step = 'accepted' AND o.receipt IS NOT NULL \
             ORDER BY o.issued_at DESC LIMIT $1",
        )
        .bind(RECEIPTS)
        .fetch_all(&self.readers)
        .await
        .during("read receipts")?;
        let timed = rows.iter().map(timed).collect::<Result<_, _>>()?;
        Ok(Behaviour { timed, fared: self.fared().await?, absences: self.absences().await? })
    }

    async fn fared(&self) -> Result<Fared, StorageError> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS devices, COALESCE(SUM(m.is_silent), 0) AS silent, \
             COALESCE(SUM(CASE WHEN m.step = 'accepted' THEN 0 ELSE 1 END), 0) AS failures, \
             COALESCE(SUM(CASE WHEN m.attempts > 1 THEN m.attempts ELSE 1 END), 0) AS attempts \
             FROM rollout_devices m \
             JOIN orders o ON o.device = m.device AND o.generation = m.generation \
             WHERE m.rollout IN (SELECT id FROM rollouts \
             WHERE state IN ('completed', 'stopped', 'rolled_back') ORDER BY place DESC LIMIT $1) \
             AND ((m.step = 'accepted' AND o.want = 'activate') \
             OR m.failure IS NOT NULL OR m.is_silent = 1)",
        )
        .bind(ROLLOUTS)
        .fetch_one(&self.readers)
        .await
        .during("count how devices fared")?;
        Ok(Fared {
            devices: row.number("devices")?,
            failures: row.number("failures")?,
            silent: row.number("silent")?,
            attempts: row.number("attempts")?,
        })
    }

    /// The blast radius and what all rollouts take of it, if there is one.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn exposure(&self) -> Result<Option<Exposure>, StorageError> {
        let mut reader = self.readers.acquire().await.during("begin to read")?;
        exposure(&mut reader, None, self.blast_radius).await
    }

    /// Keeps what was forecast of a rollout when it was started.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn keep_forecast(
        &self,
        rollout: &RolloutId,
        forecast: &Forecast,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut write = self.write(now).await?;
        sqlx::query("UPDATE rollouts SET forecast = $2 WHERE id = $1")
            .bind(rollout.to_string())
            .bind(to_json(forecast))
            .execute(&mut *write.transaction)
            .await
            .during("keep a forecast")?;
        write.commit(Record::Routine(Routine::Forecast)).await
    }

    /// What was forecast of a rollout when it was started; none if it was not kept.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn forecast(&self, rollout: &RolloutId) -> Result<Option<Forecast>, StorageError> {
        let row = sqlx::query("SELECT forecast FROM rollouts WHERE id = $1")
            .bind(rollout.to_string())
            .fetch_optional(&self.readers)
            .await
            .during("read a forecast")?;
        row.map_or(Ok(None), |row| row.optional_json("forecast"))
    }
}

/// How long an order took by the server's clock; where the device waited for a window, as long as it
/// says that it worked.
fn timed(row: &AnyRow) -> Result<Timed, StorageError> {
    let (order, receipt): (Order, Receipt) = (row.json("body")?, row.json("receipt")?);
    let facts: Facts = row.json("facts")?;
    let (soak, has_window) = match &order.want {
        Want::Activate { soak, window, .. } => (*soak, window.is_some()),
        Want::Offer { .. } | Want::Revert { .. } | Want::Hold => (Span::ZERO, false),
    };
    let of = |wanted: &[Step]| {
        let steps = receipt.steps.iter().filter(|(step, _)| wanted.contains(step));
        steps.fold(Span::ZERO, |sum, (_, span)| sum.saturating_add(*span))
    };
    let (fetch, worked) = (of(&[Step::Fetching]), of(&[Step::Activating, Step::Verifying]));
    let whole = row.time("step_at")?.since(row.time("issued_at")?).saturating_sub(soak);
    let rest = if has_window { worked } else { whole.saturating_sub(fetch) };
    let took = Took { fetch, rest };
    Ok(Timed { device: row.parsed("device")?, class: Class::of(&facts), took })
}
