//! Moving rollouts on: what the core decided, written as one transaction with its events.

use std::collections::HashMap;

use gofleet_core::audit::{Act, By, Deed};
use gofleet_core::canary::Look;
use gofleet_core::event::Change;
use gofleet_core::hold::QuarantineCause;
use gofleet_core::ids::{DeviceId, ReleaseId, RolloutId};
use gofleet_core::offer::Offer;
use gofleet_core::order::{Order, Want, next_generation};
use gofleet_core::release::ReleaseRef;
use gofleet_core::rollout::{
    Action, Cause, Command, DeviceView, GateInputs, Previous, RingState, RolloutState, RolloutView,
    WantKind,
};
use gofleet_core::time::Timestamp;

use super::read::view;
use crate::audit::{IfUnwritable, Record, Routine};
use crate::query::{During as _, from_i64, optional_json, to_i64, to_json};
use crate::write::{Moment, Write};
use crate::{Storage, StorageError, release};

/// The devices of a rollout by their ids.
type Devices<'a> = HashMap<&'a DeviceId, &'a DeviceView>;

/// Who decides about a rollout.
#[derive(Debug, Clone, Copy)]
pub enum Decider<'a> {
    /// The server, as was planned.
    Server,
    /// A person, by a command.
    Person {
        /// The person.
        by: &'a By,
        /// The command.
        command: Command,
    },
    /// A person, who says that users need not be asked any more.
    Assigner {
        /// The person.
        by: &'a By,
        /// The device, if it is only one.
        device: Option<&'a DeviceId>,
    },
}

impl Decider<'_> {
    /// What the audit log is told. The server's decisions on whether a rollout goes on are; its
    /// orders and what it hears stand in the events.
    fn record(self, view: &RolloutView, actions: &[Action], at: Timestamp) -> Record {
        let deeds: Vec<Deed> = match self {
            Self::Person { by, command } => {
                let act = Act::RolloutCommanded { rollout: view.id.clone(), command };
                vec![Deed { at, by: by.clone(), act }]
            }
            Self::Assigner { by, device } => {
                let (rollout, device) = (view.id.clone(), device.cloned());
                let act = Act::RolloutAssigned { rollout, device };
                vec![Deed { at, by: by.clone(), act }]
            }
            Self::Server => {
                let acts = actions.iter().filter_map(|action| decision(view, action));
                acts.map(|act| Deed { at, by: By::server(), act }).collect()
            }
        };
        // What an emergency stop brings about must not wait for the log.
        let is_emergency = matches!(self, Self::Server) && view.emergency.is_some();
        match deeds.is_empty() {
            true => Record::Routine(Routine::Advanced),
            false if is_emergency => Record::Deeds(deeds, IfUnwritable::Owe),
            false => Record::Deeds(deeds, IfUnwritable::Refuse),
        }
    }
}

/// What the server decides by an action, if the audit log is told of it.
fn decision(view: &RolloutView, action: &Action) -> Option<Act> {
    let rollout = view.id.clone();
    match action {
        Action::SetState { state, cause } => {
            let reason = cause.as_ref().map(ToString::to_string).unwrap_or_default();
            Some(Act::RolloutState { rollout, state: *state, reason })
        }
        Action::SetRing { ring, state, inputs } => {
            let reason = inputs.as_ref().map(GateInputs::reason).unwrap_or_default();
            let ring = view.spec.rings[*ring as usize].name.clone();
            Some(Act::RingState { rollout, ring, state: *state, reason })
        }
        // One that is there already stays there for its first cause.
        Action::Quarantine { device, cause } => {
            let mut devices = view.devices.iter();
            let known = devices.find(|known| known.device == *device)?;
            (!known.is_in_quarantine()).then(|| Act::device_quarantined(device, cause))
        }
        Action::Order { .. }
        | Action::Look { .. }
        | Action::MarkSilent { .. }
        | Action::Assign { .. }
        | Action::Requeue { .. }
        | Action::Waive { .. } => None,
    }
}

impl Storage {
    /// Lets `decide` look at a rollout and makes the changes that it returns, all in one
    /// transaction: nothing can happen between look and change. `at` hears of each [`Moment`].
    /// Returns what was done.
    ///
    /// # Errors
    ///
    /// [`StorageError::UnknownRollout`] if there is none of this id. What `decide` refuses comes
    /// back inside `Ok`, and changes nothing.
    pub async fn decide_rollout<E>(
        &self,
        decider: Decider<'_>,
        id: &RolloutId,
        now: Timestamp,
        decide: impl FnOnce(&RolloutView) -> Result<Vec<Action>, E>,
        at: impl Fn(Moment),
    ) -> Result<Result<Vec<Action>, E>, StorageError> {
        let mut write = self.write(now).await?;
        let view = view(self, &mut write.transaction, id, now).await?;
        let actions = match decide(&view) {
            Ok(actions) => actions,
            Err(refused) => return Ok(Err(refused)),
        };
        if actions.is_empty() {
            return Ok(Ok(actions));
        }
        let devices: Devices<'_> = view.devices.iter().map(|it| (&it.device, it)).collect();
        if let Decider::Assigner { by, device } = decider {
            let (rollout, device, by) = (id.clone(), device.cloned(), by.name.clone());
            write.event(&Change::RolloutAssigned { rollout, device, by }).await?;
        }
        if let Decider::Person { by, command: Command::Resume } = decider {
            write.acts_for(id, &by.name).await?;
        }
        for action in &actions {
            write.apply(&view, &devices, action).await?;
        }
        write.commit_observed(decider.record(&view, &actions, now), &at).await?;
        Ok(Ok(actions))
    }
}

impl Write<'_> {
    async fn apply(
        &mut self,
        view: &RolloutView,
        devices: &Devices<'_>,
        action: &Action,
    ) -> Result<(), StorageError> {
        match action {
            Action::MarkSilent { device } => self.mark_silent(&view.id, device).await,
            Action::Waive { device } => {
                let sql = "UPDATE rollout_devices SET is_waived = 1 \
                           WHERE rollout = $1 AND device = $2";
                self.update_device(sql, &view.id, device).await
            }
            Action::Assign { device, by } => self.assign(&view.id, device, by).await,
            Action::Requeue { device } => self.requeue(&view.id, device).await,
            Action::Quarantine { device, cause } => {
                self.quarantine_for(&view.id, device, cause).await
            }
            Action::SetRing { ring, state, inputs } => {
                self.set_ring(view, *ring, *state, inputs.as_ref()).await
            }
            Action::Look { ring, look } => self.look(view, *ring, look).await,
            Action::Order { device, want } => self.order(view, devices[device], *want).await,
            Action::SetState { state, cause } => {
                self.set_state(&view.id, *state, cause.as_ref()).await
            }
        }
    }

    /// Whoever lets a rollout go on answers for it since.
    async fn acts_for(&mut self, rollout: &RolloutId, person: &str) -> Result<(), StorageError> {
        sqlx::query("UPDATE rollouts SET acts_for = $2 WHERE id = $1")
            .bind(rollout.to_string())
            .bind(person.to_owned())
            .execute(&mut *self.transaction)
            .await
            .during("note for whom a rollout acts")?;
        Ok(())
    }

    async fn update_device(
        &mut self,
        sql: &'static str,
        rollout: &RolloutId,
        device: &DeviceId,
    ) -> Result<(), StorageError> {
        sqlx::query(sql)
            .bind(rollout.to_string())
            .bind(device.to_string())
            .execute(&mut *self.transaction)
            .await
            .during("change a device of a rollout")?;
        Ok(())
    }

    async fn mark_silent(
        &mut self,
        rollout: &RolloutId,
        device: &DeviceId,
    ) -> Result<(), StorageError> {
        let sql = "UPDATE rollout_devices SET is_silent = 1 WHERE rollout = $1 AND device = $2";
        self.update_device(sql, rollout, device).await?;
        let (device, rollout) = (device.clone(), rollout.clone());
        self.event(&Change::DeviceSilent { device, rollout }).await
    }

    async fn assign(
        &mut self,
        rollout: &RolloutId,
        device: &DeviceId,
        by: &str,
    ) -> Result<(), StorageError> {
        sqlx::query(
            "UPDATE rollout_devices SET assigned_by = $3 WHERE rollout = $1 AND device = $2",
        )
        .bind(rollout.to_string())
        .bind(device.to_string())
        .bind(by.to_owned())
        .execute(&mut *self.transaction)
        .await
        .during("note that a user need not be asked")?;
        Ok(())
    }

    async fn requeue(
        &mut self,
        rollout: &RolloutId,
        device: &DeviceId,
    ) -> Result<(), StorageError> {
        sqlx::query(
            "UPDATE rollout_devices SET step = 'waiting', since = $3, generation = NULL, \
             previous = NULL, is_silent = 0, is_waived = 0, failure = NULL, \
             quarantined_for = NULL \
             WHERE rollout = $1 AND device = $2",
        )
        .bind(rollout.to_string())
        .bind(device.to_string())
        .bind(self.now.as_millis())
        .execute(&mut *self.transaction)
        .await
        .during("let a device wait again")?;
        Ok(())
    }

    async fn quarantine_for(
        &mut self,
        rollout: &RolloutId,
        device: &DeviceId,
        cause: &QuarantineCause,
    ) -> Result<(), StorageError> {
        sqlx::query(
            "UPDATE rollout_devices SET quarantined_for = $3 WHERE rollout = $1 AND device = $2",
        )
        .bind(rollout.to_string())
        .bind(device.to_string())
        .bind(to_json(cause))
        .execute(&mut *self.transaction)
        .await
        .during("note what a device is put into quarantine for")?;
        if self.quarantine_of(device).await?.is_none() {
            self.quarantine(device, cause.clone()).await?;
        }
        Ok(())
    }

    async fn set_ring(
        &mut self,
        view: &RolloutView,
        ring: u32,
        state: RingState,
        inputs: Option<&GateInputs>,
    ) -> Result<(), StorageError> {
        let sql = match state {
            RingState::Running | RingState::Rehearsing | RingState::Repeating => {
                "UPDATE rings SET state = $3, started_at = COALESCE(started_at, $4), \
                 ended_at = NULL WHERE rollout = $1 AND place = $2"
            }
            RingState::Passed | RingState::Failed | RingState::RollingBack => {
                "UPDATE rings SET state = $3, ended_at = $4 WHERE rollout = $1 AND place = $2"
            }
            RingState::Waiting | RingState::RolledBack => {
                "UPDATE rings SET state = $3, ended_at = COALESCE(ended_at, $4) \
                 WHERE rollout = $1 AND place = $2"
            }
        };
        sqlx::query(sql)
            .bind(view.id.to_string())
            .bind(i64::from(ring))
            .bind(state.as_str())
            .bind(self.now.as_millis())
            .execute(&mut *self.transaction)
            .await
            .during("change a ring")?;
        let name = view.spec.rings[ring as usize].name.clone();
        let reason = inputs.map(GateInputs::reason).unwrap_or_default();
        let (rollout, inputs) = (view.id.clone(), inputs.cloned());
        self.event(&Change::RingState { rollout, ring: name, state, reason, inputs }).await
    }

    async fn look(
        &mut self,
        view: &RolloutView,
        ring: u32,
        look: &Look,
    ) -> Result<(), StorageError> {
        sqlx::query("UPDATE rings SET look = $3 WHERE rollout = $1 AND place = $2")
            .bind(view.id.to_string())
            .bind(i64::from(ring))
            .bind(to_json(look))
            .execute(&mut *self.transaction)
            .await
            .during("keep what the signals of a ring were seen to be")?;
        let ring = view.spec.rings[ring as usize].name.clone();
        let (rollout, look) = (view.id.clone(), look.clone());
        self.event(&Change::RingLook { rollout, ring, look }).await
    }

    async fn set_state(
        &mut self,
        rollout: &RolloutId,
        state: RolloutState,
        cause: Option<&Cause>,
    ) -> Result<(), StorageError> {
        sqlx::query("UPDATE rollouts SET state = $2, cause = $3, changed_at = $4 WHERE id = $1")
            .bind(rollout.to_string())
            .bind(state.as_str())
            .bind(optional_json(cause))
            .bind(self.now.as_millis())
            .execute(&mut *self.transaction)
            .await
            .during("change a rollout")?;
        if state.is_final() {
            sqlx::query(
                "UPDATE rollout_devices SET step = 'skipped', since = $2 \
                 WHERE rollout = $1 AND step = 'waiting' AND generation IS NULL",
            )
            .bind(rollout.to_string())
            .bind(self.now.as_millis())
            .execute(&mut *self.transaction)
            .await
            .during("leave out devices that wait")?;
        }
        let reason = cause.map(ToString::to_string).unwrap_or_default();
        self.event(&Change::RolloutState { rollout: rollout.clone(), state, reason }).await
    }

    /// Gives an order under the device's next generation.
    async fn order(
        &mut self,
        view: &RolloutView,
        known: &DeviceView,
        want: WantKind,
    ) -> Result<(), StorageError> {
        let epoch = self.epoch().await?;
        let generation = self.next_generation(&known.device, epoch).await?;
        let order = Order {
            device: known.device.clone(),
            epoch,
            generation,
            issued_at: self.now,
            rollout: view.id.clone(),
            want: self.want(view, known, want).await?,
        };
        self.insert_order(&order, want).await?;
        self.note_order(view, known, want, generation).await?;
        let (device, rollout) = (known.device.clone(), view.id.clone());
        self.event(&Change::DeviceOrdered { device, rollout, generation, want }).await
    }

    async fn next_generation(
        &mut self,
        device: &DeviceId,
        epoch: u64,
    ) -> Result<u64, StorageError> {
        let latest: i64 = sqlx::query_scalar("SELECT generation FROM devices WHERE id = $1")
            .bind(device.to_string())
            .fetch_one(&mut *self.transaction)
            .await
            .during("read a generation")?;
        let generation = next_generation(epoch, from_i64(latest));
        sqlx::query("UPDATE devices SET generation = $2 WHERE id = $1")
            .bind(device.to_string())
            .bind(to_i64(generation))
            .execute(&mut *self.transaction)
            .await
            .during("raise a generation")?;
        Ok(generation)
    }

    async fn epoch(&mut self) -> Result<u64, StorageError> {
        let epoch: Option<String> =
            sqlx::query_scalar("SELECT value FROM meta WHERE name = 'epoch'")
                .fetch_optional(&mut *self.transaction)
                .await
                .during("read the epoch")?;
        Ok(epoch.and_then(|epoch| epoch.parse().ok()).unwrap_or(1))
    }

    async fn want(
        &mut self,
        view: &RolloutView,
        device: &DeviceView,
        want: WantKind,
    ) -> Result<Want, StorageError> {
        Ok(match want {
            WantKind::Hold => Want::Hold,
            WantKind::Activate => {
                let release = self.release_ref(&device.release).await?;
                let window = view.window_of(device);
                Want::Activate { release, soak: view.spec.soak, window }
            }
            WantKind::Offer => match &view.spec.publish {
                Some(publish) => {
                    let release = self.release_ref(&device.release).await?;
                    let since = device.offered_at.unwrap_or(self.now);
                    Want::Offer { release, offer: Offer::of(publish, since) }
                }
                // The engine offers nothing that is not published.
                None => Want::Hold,
            },
            WantKind::Revert => match &device.previous {
                Previous::Release(id) => {
                    Want::Revert { release: Some(self.release_ref(id).await?) }
                }
                Previous::Nothing => Want::Revert { release: None },
                // The engine orders no revert to what no order can name; beginning nothing is
                // what is left.
                Previous::Unknown(_) => Want::Hold,
            },
        })
    }

    async fn release_ref(&mut self, id: &ReleaseId) -> Result<ReleaseRef, StorageError> {
        let release = release::find(self, id).await?;
        Ok(release.ok_or_else(|| StorageError::UnknownRelease(id.clone()))?.release)
    }

    async fn insert_order(&mut self, order: &Order, want: WantKind) -> Result<(), StorageError> {
        sqlx::query(
            "INSERT INTO orders (device, generation, rollout, want, body, issued_at, step, \
             step_at, progressed_at, bytes_downloaded) \
             VALUES ($1, $2, $3, $4, $5, $6, 'offered', $6, $6, 0)",
        )
        .bind(order.device.to_string())
        .bind(to_i64(order.generation))
        .bind(order.rollout.to_string())
        .bind(want.as_str())
        .bind(to_json(order))
        .bind(self.now.as_millis())
        .execute(&mut *self.transaction)
        .await
        .during("give an order")?;
        Ok(())
    }

    async fn note_order(
        &mut self,
        view: &RolloutView,
        device: &DeviceView,
        want: WantKind,
        generation: u64,
    ) -> Result<(), StorageError> {
        sqlx::query(
            "UPDATE rollout_devices SET step = 'offered', since = $3, generation = $4, \
             previous = $5, attempts = attempts + $6, \
             offered_at = COALESCE(offered_at, $7) WHERE rollout = $1 AND device = $2",
        )
        .bind(view.id.to_string())
        .bind(device.device.to_string())
        .bind(self.now.as_millis())
        .bind(to_i64(generation))
        // While a user thinks it over, something else may become active.
        .bind((want != WantKind::Offer).then(|| to_json(&device.previous)))
        .bind(i64::from(device.begins_attempt(want)))
        .bind((want == WantKind::Offer).then(|| self.now.as_millis()))
        .execute(&mut *self.transaction)
        .await
        .during("note an order")?;
        Ok(())
    }
}
