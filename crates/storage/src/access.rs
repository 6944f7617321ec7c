//! Rules, and the latest requests with what was said to them.

use gofleet_core::account::{AccessDecision, Rule};
use gofleet_core::audit::{Act, By};
use gofleet_core::ids::{RolloutId, RuleName};
use gofleet_core::time::Timestamp;

use crate::audit::{Record, Routine};
use crate::query::{Columns as _, During as _, to_i64, to_json};
use crate::{Storage, StorageError};

/// How many requests are kept: months of a company's, so that a rule can be tried on them.
const KEPT: i64 = 10_000;

impl Storage {
    /// Every rule, in the order of their names.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn rules(&self) -> Result<Vec<Rule>, StorageError> {
        let rows = sqlx::query("SELECT body FROM rules ORDER BY name")
            .fetch_all(&self.readers)
            .await
            .during("list rules")?;
        rows.iter().map(|row| row.json("body")).collect()
    }

    /// Writes a rule that was checked; it is made if there is none of this name.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn set_rule(&self, by: &By, rule: &Rule, now: Timestamp) -> Result<(), StorageError> {
        let mut write = self.write(now).await?;
        sqlx::query(
            "INSERT INTO rules (name, body) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET body = excluded.body",
        )
        .bind(rule.name.to_string())
        .bind(to_json(rule))
        .execute(&mut *write.transaction)
        .await
        .during("write a rule")?;
        let act = Act::RuleSet { rule: rule.name.clone(), text: rule.text.clone() };
        write.commit(Record::act(by, now, act)).await
    }

    /// Deletes a rule; gives the one that there was.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownRule`] if there is none of this name.
    pub async fn delete_rule(
        &self,
        by: &By,
        name: &RuleName,
        now: Timestamp,
    ) -> Result<Rule, StorageError> {
        let mut write = self.write(now).await?;
        let row = sqlx::query("SELECT body FROM rules WHERE name = $1")
            .bind(name.to_string())
            .fetch_optional(&mut *write.transaction)
            .await
            .during("look for a rule")?;
        let rule: Rule =
            row.ok_or_else(|| StorageError::UnknownRule(name.clone()))?.json("body")?;
        sqlx::query("DELETE FROM rules WHERE name = $1")
            .bind(name.to_string())
            .execute(&mut *write.transaction)
            .await
            .during("delete a rule")?;
        write.commit(Record::act(by, now, Act::RuleDeleted { rule: name.clone() })).await?;
        Ok(rule)
    }

    /// Keeps what was asked and said; a refusal stands in the audit log, too.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn keep_decision(
        &self,
        by: &By,
        decision: &AccessDecision,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut write = self.write(now).await?;
        let last: i64 =
            sqlx::query_scalar("SELECT COALESCE(MAX(sequence), 0) FROM access_decisions")
                .fetch_one(&mut *write.transaction)
                .await
                .during("number a decision")?;
        sqlx::query("DELETE FROM access_decisions WHERE sequence <= $1")
            .bind(last + 1 - KEPT)
            .execute(&mut *write.transaction)
            .await
            .during("forget old decisions")?;
        sqlx::query("INSERT INTO access_decisions (sequence, at, body) VALUES ($1, $2, $3)")
            .bind(last + 1)
            .bind(now.as_millis())
            .bind(to_json(decision))
            .execute(&mut *write.transaction)
            .await
            .during("keep a decision")?;
        let record = match &decision.refusal {
            None => Record::Routine(Routine::Permitted),
            Some(refusal) => {
                let request = &decision.request;
                let act = Act::AccessRefused {
                    permission: request.permission,
                    subject: request.subject.to_string(),
                    rule: refusal.rule().cloned(),
                    reason: refusal.to_string(),
                };
                Record::act(by, now, act)
            }
        };
        write.commit(record).await
    }

    /// The requests since then with what was said to them, newest first, at most so many.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn access_decisions(
        &self,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<AccessDecision>, StorageError> {
        let rows = sqlx::query(
            "SELECT body FROM access_decisions WHERE at >= $1 ORDER BY sequence DESC LIMIT $2",
        )
        .bind(since.as_millis())
        .bind(to_i64(u64::from(limit)))
        .fetch_all(&self.readers)
        .await
        .during("list decisions")?;
        rows.iter().map(|row| row.json("body")).collect()
    }

    /// For whom a rollout acts: who started it, or resumed it last.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownRollout`] if there is none of this id.
    pub async fn acts_for(&self, rollout: &RolloutId) -> Result<String, StorageError> {
        let row = sqlx::query("SELECT author, acts_for FROM rollouts WHERE id = $1")
            .bind(rollout.to_string())
            .fetch_optional(&self.readers)
            .await
            .during("look for whom a rollout acts")?
            .ok_or_else(|| StorageError::UnknownRollout(rollout.clone()))?;
        row.optional_text("acts_for")?.map_or_else(|| row.text("author"), Ok)
    }
}
