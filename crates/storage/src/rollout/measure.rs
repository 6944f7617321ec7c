//! How the devices of finished rollouts fared.

use gofleet_core::advice::Outcome;
use gofleet_core::ids::RolloutId;
use gofleet_core::order::Step;
use gofleet_core::rollout::RolloutSpec;
use sqlx::any::AnyRow;

use crate::query::{Columns as _, During as _};
use crate::{Storage, StorageError};

impl Storage {
    /// How the devices of the latest finished rollouts fared, of at most `rollouts` of them. Who
    /// was never ordered to activate, or was put back by order, says nothing and is left out.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn outcomes(&self, rollouts: u32) -> Result<Vec<Outcome>, StorageError> {
        let finished = sqlx::query(
            "SELECT id, spec FROM rollouts \
             WHERE state IN ('completed', 'stopped', 'rolled_back') ORDER BY place DESC LIMIT $1",
        )
        .bind(i64::from(rollouts))
        .fetch_all(&self.readers)
        .await
        .during("list finished rollouts")?;
        let mut outcomes = Vec::new();
        for row in &finished {
            let (id, spec): (RolloutId, RolloutSpec) = (row.parsed("id")?, row.json("spec")?);
            let rows = sqlx::query(
                "SELECT m.step, m.since, o.issued_at FROM rollout_devices m \
                 JOIN orders o ON o.device = m.device AND o.generation = m.generation \
                 WHERE m.rollout = $1 AND ((m.step = 'accepted' AND o.want = 'activate') \
                 OR m.failure IS NOT NULL OR m.is_silent = 1)",
            )
            .bind(id.to_string())
            .fetch_all(&self.readers)
            .await
            .during("read how devices fared")?;
            for row in &rows {
                outcomes.push(outcome(row, &spec)?);
            }
        }
        Ok(outcomes)
    }
}

fn outcome(row: &AnyRow, spec: &RolloutSpec) -> Result<Outcome, StorageError> {
    let step: Step = row.word("step")?;
    if step != Step::Accepted {
        return Ok(Outcome::Failed);
    }
    let whole = row.time("since")?.since(row.time("issued_at")?);
    let took = spec.window.is_none().then(|| whole.saturating_sub(spec.soak));
    Ok(Outcome::Accepted { took })
}
