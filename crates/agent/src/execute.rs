//! Obeying the newest order: one action after the other, each written down before the next.

use std::convert::Infallible;
use std::time::Duration;

use gofleet_core::agent::{Action, Event, OnDisk, Outcome, Task};
use gofleet_core::ids::ReleaseId;
use gofleet_core::order::{Failure, FailureKind, Step, Want};
use gofleet_core::time::Timestamp;
use gofleet_depot::{Depot, DepotError};
use gofleet_platform::checkpoint;
use gofleet_platform::machine::release_memory;

use crate::backoff::{Backoff, random};
use crate::device::{Device, blocking, now, open_depot};
use crate::facts;
use crate::ledger::LedgerError;
use crate::soak::{broken, changed_by_somebody, with_causes};
use crate::stage::Staged;

/// How long a change of the clock or the zone may stay unseen by one who waits for a window.
const WINDOW_LOOKED_AT_EVERY: Duration = Duration::from_secs(60);

impl Device {
    /// Obeys orders for ever.
    pub async fn execute(&self) -> Infallible {
        let mut backoff = Backoff::for_server();
        loop {
            match self.act().await {
                Ok(()) => backoff.reset(),
                // A full disk, most likely. What is on disk is whole; it is tried again.
                Err(error) => {
                    tracing::error!("{}", with_causes(&error));
                    tokio::time::sleep(backoff.after_failure(random())).await;
                }
            }
        }
    }

    /// Takes up a new order if there is one, and does the next action, or waits.
    async fn act(&self) -> Result<(), LedgerError> {
        self.take_up_pending()?;
        self.show_offers();
        let task = self.ledger.borrow().memory().task().cloned();
        let action = self.next_action();
        // Nothing is under way while a user thinks it over.
        self.resting.send_replace(matches!(action, Action::Rest | Action::AskUser));
        let Some(task) = task.filter(|_| action != Action::Rest) else {
            release_memory();
            self.order_news.notified().await;
            return Ok(());
        };
        tracing::debug!(generation = task.order.generation, step = %task.step, ?action);
        if action == Action::AskUser {
            return self.ask_user().await;
        }
        if let Action::Await { opens } = action {
            return self.await_window(opens).await;
        }
        let outcome = tokio::select! {
            biased;
            // Only what leaves no trace when it is given up.
            () = self.order_news.notified(), if may_be_given_up(&action) => return Ok(()),
            outcome = self.perform(&task, action) => outcome,
        };
        self.record(outcome)
    }

    /// Waits for the window of the order, or for another order. The clock and the zone may be
    /// changed meanwhile, so both are looked at every minute.
    async fn await_window(&self, opens: Option<Timestamp>) -> Result<(), LedgerError> {
        let version = facts::active_version(&self.root);
        if self.ledger.borrow_mut().note_waiting(opens, version.as_deref())? {
            tracing::info!(opens = opens.map(tracing::field::display), "outside the window");
            self.report_news.notify_one();
        }
        let left = opens.map_or(WINDOW_LOOKED_AT_EVERY, |opens| opens.since(now()).as_duration());
        tokio::select! {
            () = self.order_news.notified() => {}
            () = tokio::time::sleep(left.min(WINDOW_LOOKED_AT_EVERY)) => {}
        }
        Ok(())
    }

    fn take_up_pending(&self) -> Result<(), LedgerError> {
        let Some(order) = self.pending.borrow().clone() else { return Ok(()) };
        tracing::info!(generation = order.generation, want = %in_words(&order.want), "new order");
        self.ledger.borrow_mut().take_up(order, now())?;
        self.pending.take();
        self.notice_news.notify_one();
        checkpoint("agent-order-recorded");
        Ok(())
    }

    fn next_action(&self) -> Action {
        let active = self.root.active().ok().flatten().map(|active| active.active);
        self.ledger.borrow().memory().next_action(active.as_ref(), now(), &facts::zone())
    }

    async fn perform(&self, task: &Task, action: Action) -> Outcome {
        let step = task.step;
        match action {
            Action::Rest | Action::Await { .. } | Action::AskUser => std::future::pending().await,
            Action::Note(event) => Outcome::of(event),
            Action::NoticeChange => Outcome::failed(changed_by_somebody(step)),
            Action::PutBack => self.put_back(task).await,
            Action::Stage => self.stage_wanted(task).await,
            Action::Switch | Action::Check | Action::Soak(_) => {
                let Some(release) = self.concerned(&task.order.want) else {
                    return Outcome::failed(changed_by_somebody(step));
                };
                self.bring_forward(task, action, &release).await
            }
        }
    }

    /// The release that an action is about: the wanted one, or, where nothing is activated, the one
    /// that an earlier order left.
    fn concerned(&self, want: &Want) -> Option<ReleaseId> {
        match want {
            Want::Activate { release, .. } => Some(release.id.clone()),
            Want::Offer { .. } | Want::Revert { .. } | Want::Hold => {
                self.root.active().ok().flatten().map(|active| active.active)
            }
        }
    }

    async fn bring_forward(&self, task: &Task, action: Action, release: &ReleaseId) -> Outcome {
        let step = task.step;
        match action {
            Action::Switch => match self.switch_wanted(task, release).await {
                Ok(()) => Outcome::of(Event::Switched),
                Err(failure) => Outcome::failed(failure),
            },
            Action::Check => match self.check(release).await {
                Ok(evidence) => {
                    checkpoint("agent-verified");
                    self.just_checked.replace(Some((release.clone(), evidence.clone())));
                    let event = match task.order.want {
                        Want::Hold => Event::Dropped,
                        Want::Offer { .. } => Event::Cleared,
                        Want::Activate { .. } | Want::Revert { .. } => Event::Passed,
                    };
                    Outcome { evidence: Some(evidence), ..Outcome::of(event) }
                }
                Err(error) => Outcome::failed(broken(step, &error)),
            },
            Action::Soak(left) => match self.soak(release, left).await {
                Ok(evidence) => {
                    checkpoint("agent-soaked");
                    Outcome { evidence: Some(evidence), ..Outcome::of(Event::Soaked) }
                }
                Err(failure) => Outcome::failed(failure),
            },
            Action::Rest
            | Action::Await { .. }
            | Action::AskUser
            | Action::Stage
            | Action::Note(_)
            | Action::PutBack
            | Action::NoticeChange => Outcome::failed(changed_by_somebody(step)),
        }
    }

    async fn stage_wanted(&self, task: &Task) -> Outcome {
        let (Want::Activate { release, .. } | Want::Offer { release, .. }) = &task.order.want
        else {
            return Outcome::failed(changed_by_somebody(task.step));
        };
        if let Err(error) = self.authorize(&task.order, release).await {
            return Outcome::failed(error.at(task.step));
        }
        match self.stage(release).await {
            Ok(Staged { files, way }) => {
                Outcome { files_verified: Some(files), way, ..Outcome::of(Event::Staged) }
            }
            Err(error) => Outcome::failed(Failure {
                step: task.step,
                kind: error.kind(),
                message: with_causes(&error),
            }),
        }
    }

    async fn switch_wanted(&self, task: &Task, release: &ReleaseId) -> Result<(), Failure> {
        if let Want::Activate { release, .. } = &task.order.want {
            // Again: what was unpacked may have waited for days.
            self.authorize(&task.order, release).await.map_err(|error| error.at(task.step))?;
        }
        self.switch(release).await.map_err(|error| depot_failure(task.step, &error))
    }

    async fn switch(&self, release: &ReleaseId) -> Result<(), DepotError> {
        checkpoint("agent-activating");
        let depot = open_depot(&self.root).await?;
        let release = release.clone();
        blocking(move || depot.activate(&release)).await?;
        checkpoint("agent-activated");
        Ok(())
    }

    /// Makes the earlier release active, without any network, and proves it.
    async fn put_back(&self, task: &Task) -> Outcome {
        checkpoint("agent-reverting");
        if task.failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::DiskFull) {
            // The checks of the earlier release need a little room themselves.
            self.clear_downloads();
        }
        let target = self.ledger.borrow().memory().target();
        let depot = match open_depot(&self.root).await {
            Ok(depot) => depot,
            Err(error) => return Outcome::stuck(task, depot_failure(task.step, &error)),
        };
        let put_back = blocking(move || restore(&depot, target.as_ref())).await;
        let restored = match put_back {
            Ok(restored) => restored,
            Err(error) => return Outcome::stuck(task, depot_failure(task.step, &error)),
        };
        checkpoint("agent-reverted");
        let Some((release, files)) = restored else { return Outcome::of(Event::PutBack) };
        match self.check(&release).await {
            Ok(evidence) => Outcome {
                evidence: Some(evidence),
                files_verified: Some(files),
                ..Outcome::of(Event::PutBack)
            },
            Err(error) => Outcome::stuck(task, broken(task.step, &error)),
        }
    }

    /// Writes down what an action brought.
    fn record(&self, outcome: Outcome) -> Result<(), LedgerError> {
        let active = self.root.active().ok().flatten();
        let version = facts::active_version(&self.root);
        let manifest = active.as_ref().and_then(|active| self.root.manifest(&active.active).ok());
        let disk = OnDisk {
            active: active.as_ref().map(|active| &active.active),
            fallback: active.as_ref().and_then(|active| active.fallback.as_ref()),
            version: version.as_deref(),
            manifest: manifest.map(|manifest| manifest.digest()),
        };
        if let Some(failure) = &outcome.failure {
            tracing::warn!(step = %failure.step, kind = ?failure.kind, "{}", failure.message);
        }
        self.ledger.borrow_mut().record(outcome, &disk, now())?;
        if let Some(task) = self.ledger.borrow().memory().task() {
            tracing::info!(generation = task.order.generation, step = %task.step);
            if task.step == Step::Accepted {
                checkpoint("agent-accepted");
            }
        }
        self.report_news.notify_one();
        self.notice_news.notify_one();
        Ok(())
    }
}

/// Makes the target active and compares its tree with its manifest; tells which release is active
/// then and how many files were compared.
fn restore(
    depot: &Depot,
    target: Option<&Option<ReleaseId>>,
) -> Result<Option<(ReleaseId, u64)>, DepotError> {
    let active = depot.active()?;
    match (target, &active) {
        (None, _) => {}
        (Some(Some(target)), Some(active)) if active.active == *target => {}
        (Some(Some(target)), Some(active)) if active.fallback.as_ref() == Some(target) => {
            depot.revert()?;
        }
        (Some(Some(target)), _) => {
            depot.activate(target)?;
        }
        (Some(None), Some(_)) => depot.deactivate()?,
        (Some(None), None) => {}
    }
    let Some(active) = depot.active()? else { return Ok(None) };
    let verified = depot.verify(&active.active, &())?;
    Ok(Some((active.active, verified.files)))
}

fn may_be_given_up(action: &Action) -> bool {
    match action {
        Action::Rest
        | Action::Await { .. }
        | Action::AskUser
        | Action::Stage
        | Action::Check
        | Action::Soak(_) => true,
        Action::Note(_) | Action::Switch | Action::PutBack | Action::NoticeChange => false,
    }
}

fn depot_failure(step: Step, error: &DepotError) -> Failure {
    Failure { step, kind: error.failure_kind(), message: with_causes(error) }
}

/// The version in a release's id, which is package, version and platform (`GOOS-GOARCH`).
pub fn version_in(release: &ReleaseId) -> &str {
    let id = release.as_str();
    let version = id.split_once('-').map_or(id, |(_, rest)| rest);
    version.rsplitn(3, '-').last().unwrap_or(version)
}

fn in_words(want: &Want) -> String {
    match want {
        Want::Activate { release, .. } => format!("activate {}", release.id),
        Want::Offer { release, .. } => format!("offer {}", release.id),
        Want::Revert { release: Some(release) } => format!("go back to {}", release.id),
        Want::Revert { release: None } => "go back to no release".to_owned(),
        Want::Hold => "hold".to_owned(),
    }
}
