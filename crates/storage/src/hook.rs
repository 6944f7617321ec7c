//! Calls of hooks: an outbox that is written in the transaction of what it tells of.

use gofleet_core::anomaly::Withheld;
use gofleet_core::facts::Facts;
use gofleet_core::hold::QuarantineCause;
use gofleet_core::hook::{
    DeliveryState, HookCall, HookDelivery, HookEvent, HookTarget, wait_after,
};
use gofleet_core::ids::DeviceId;
use gofleet_core::time::{Span, Timestamp};
use sqlx::any::AnyRow;

use crate::audit::{Record, Routine};
use crate::query::{Columns as _, During as _, to_i64, to_json};
use crate::write::Write;
use crate::{Storage, StorageError};

/// Calls that have ended are kept for so long.
const KEPT: Span = Span::from_secs(30 * 24 * 60 * 60);
/// The newest calls of a device that are shown.
const SHOWN: i64 = 10;

/// A call that is to be told.
#[derive(Debug, Clone)]
pub struct DueCall {
    /// Names it in the outbox.
    pub place: u64,
    /// Who is told.
    pub target: HookTarget,
    /// What is told.
    pub call: HookCall,
}

impl Storage {
    /// At most so many calls that are due, of each device and target the oldest: what happened
    /// later is told later.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails.
    pub async fn due_calls(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueCall>, StorageError> {
        if self.hooks.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(
            "SELECT place, target, body FROM hook_calls c WHERE next_at <= $1 AND NOT EXISTS \
             (SELECT 1 FROM hook_calls o WHERE o.device = c.device AND o.target = c.target \
             AND o.place < c.place AND o.next_at IS NOT NULL) ORDER BY place LIMIT $2",
        )
        .bind(now.as_millis())
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await
        .during("look for calls of hooks")?;
        let mut calls = rows.iter().map(due_call).collect::<Result<Vec<_>, _>>()?;
        calls.retain(|call| self.hooks.contains(&call.target));
        Ok(calls)
    }

    /// Notes how an attempt went, and when the next one is due.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if the database fails: then the call is told again.
    pub async fn call_tried(
        &self,
        place: u64,
        outcome: Result<(), String>,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let mut write = self.write(now).await?;
        let attempts: i64 = sqlx::query_scalar("SELECT attempts FROM hook_calls WHERE place = $1")
            .bind(to_i64(place))
            .fetch_one(&mut *write.transaction)
            .await
            .during("look for a call of a hook")?;
        let attempts = u32::try_from(attempts).unwrap_or(u32::MAX).saturating_add(1);
        let next = outcome.as_ref().err().and_then(|_| wait_after(attempts)).map(|wait| now + wait);
        sqlx::query(
            "UPDATE hook_calls SET attempts = $2, next_at = $3, ended_at = $4, failure = $5 \
             WHERE place = $1",
        )
        .bind(to_i64(place))
        .bind(i64::from(attempts))
        .bind(next.map(Timestamp::as_millis))
        .bind(next.is_none().then_some(now.as_millis()))
        .bind(outcome.err())
        .execute(&mut *write.transaction)
        .await
        .during("note an attempt of a hook")?;
        sqlx::query("DELETE FROM hook_calls WHERE ended_at < $1")
            .bind((now - KEPT).as_millis())
            .execute(&mut *write.transaction)
            .await
            .during("forget old calls of hooks")?;
        write.commit(Record::Routine(Routine::Told)).await
    }

    /// The newest calls about a device, newest first.
    pub(crate) async fn deliveries(
        &self,
        device: &DeviceId,
    ) -> Result<Vec<HookDelivery>, StorageError> {
        let rows = sqlx::query(
            "SELECT target, body, attempts, next_at, failure FROM hook_calls WHERE device = $1 \
             ORDER BY place DESC LIMIT $2",
        )
        .bind(device.to_string())
        .bind(SHOWN)
        .fetch_all(&self.readers)
        .await
        .during("read the calls of hooks about a device")?;
        rows.iter().map(delivery).collect()
    }
}

impl Write<'_> {
    /// Has the hooks told, if there are any, what happens to a device in this transaction.
    pub(crate) async fn call_hooks(
        &mut self,
        event: HookEvent,
        device: &DeviceId,
        cause: &QuarantineCause,
        withheld: Option<&Withheld>,
    ) -> Result<(), StorageError> {
        let targets = self.storage.hooks.clone();
        if targets.is_empty() {
            return Ok(());
        }
        let row = sqlx::query(
            "SELECT facts, (SELECT COALESCE(MAX(place), 0) FROM hook_calls) AS place \
             FROM devices WHERE id = $1",
        )
        .bind(device.to_string())
        .fetch_one(&mut *self.transaction)
        .await
        .during("prepare a call of a hook")?;
        let (facts, last): (Facts, u64) = (row.json("facts")?, row.number("place")?);
        for (target, place) in targets.iter().zip(last + 1..) {
            let call = HookCall {
                // Unlike the place, the time keeps it apart from calls before a restore.
                id: format!("{}-{place}", self.now.as_millis()),
                event,
                at: self.now,
                device: device.clone(),
                hostname: facts.hostname.clone(),
                platform: facts.platform.clone(),
                labels: facts.labels.clone(),
                reason: match withheld {
                    Some(withheld) => format!("{withheld}: {cause}"),
                    None => cause.to_string(),
                },
                cause: cause.clone(),
                withheld: withheld.cloned(),
            };
            sqlx::query(
                "INSERT INTO hook_calls (place, device, target, body, attempts, next_at) \
                 VALUES ($1, $2, $3, $4, 0, $5)",
            )
            .bind(to_i64(place))
            .bind(device.to_string())
            .bind(target.as_str())
            .bind(to_json(&call))
            .bind(self.now.as_millis())
            .execute(&mut *self.transaction)
            .await
            .during("add a call of a hook")?;
        }
        Ok(())
    }
}

fn due_call(row: &AnyRow) -> Result<DueCall, StorageError> {
    Ok(DueCall {
        place: row.number("place")?,
        target: row.word("target")?,
        call: row.json("body")?,
    })
}

fn delivery(row: &AnyRow) -> Result<HookDelivery, StorageError> {
    let call: HookCall = row.json("body")?;
    let failure = row.optional_text("failure")?;
    let state = match (row.optional_time("next_at")?, &failure) {
        (Some(_), _) => DeliveryState::Pending,
        (None, None) => DeliveryState::Delivered,
        (None, Some(_)) => DeliveryState::GivenUp,
    };
    Ok(HookDelivery {
        id: call.id,
        event: call.event,
        target: row.word("target")?,
        at: call.at,
        attempts: u32::try_from(row.number("attempts")?).unwrap_or(u32::MAX),
        state,
        failure,
    })
}
