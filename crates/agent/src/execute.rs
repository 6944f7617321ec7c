//! Obeying the newest order: one action after the other, each written down before the next.

use std::convert::Infallible;

use gofleet_core::agent::{Action, Event, Situation, decide};
use gofleet_core::ids::ReleaseId;
use gofleet_core::order::{Evidence, Failure, FailureKind, Receipt, Step, Taken, Want};
use gofleet_core::release::ReleaseRef;
use gofleet_core::time::Span;
use gofleet_depot::{Depot, DepotError};
use gofleet_platform::checkpoint;

use crate::backoff::{Backoff, random};
use crate::device::{Device, blocking, now, open_depot};
use crate::facts;
use crate::ledger::{LedgerError, Task, Unproven};
use crate::soak::{broken, changed_by_somebody, with_causes};
use crate::stage::Staged;

/// What an action brought.
struct Outcome {
    event: Event,
    failure: Option<Failure>,
    evidence: Option<Evidence>,
    files_verified: Option<u64>,
    way: Option<Taken>,
}

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
        let task = self.ledger.borrow().task().cloned();
        let action = task.as_ref().map_or(Action::Rest, |task| self.next_action(task));
        self.resting.send_replace(action == Action::Rest);
        let Some(task) = task.filter(|_| action != Action::Rest) else {
            self.order_news.notified().await;
            return Ok(());
        };
        tracing::debug!(generation = task.order.generation, step = %task.step, ?action);
        let outcome = tokio::select! {
            biased;
            // Only what leaves no trace when it is given up.
            () = self.order_news.notified(), if may_be_given_up(&action) => return Ok(()),
            outcome = self.perform(&task, action) => outcome,
        };
        self.record(&task, outcome)
    }

    fn take_up_pending(&self) -> Result<(), LedgerError> {
        let Some(order) = self.pending.borrow().clone() else { return Ok(()) };
        tracing::info!(generation = order.generation, want = %in_words(&order.want), "new order");
        self.ledger.borrow_mut().take_up(order, now())?;
        self.pending.take();
        checkpoint("agent-order-recorded");
        Ok(())
    }

    fn next_action(&self, task: &Task) -> Action {
        let active = self.root.active().ok().flatten().map(|active| active.active);
        let soak = match &task.order.want {
            Want::Activate { soak, .. } => *soak,
            Want::Revert { .. } | Want::Hold => Span::ZERO,
        };
        let left = soak.as_millis().saturating_sub(task.soaked.as_millis());
        decide(&Situation {
            want: &task.order.want,
            step: task.step,
            active: active.as_ref(),
            is_unproven: self.ledger.borrow().unproven().is_some(),
            soak_left: Span::from_millis(left),
        })
    }

    async fn perform(&self, task: &Task, action: Action) -> Outcome {
        let step = task.step;
        match action {
            Action::Rest => std::future::pending().await,
            Action::Note(event) => Outcome::of(event),
            Action::NoticeChange => Outcome::failed(changed_by_somebody(step)),
            Action::PutBack => self.put_back(task).await,
            Action::Stage | Action::Switch | Action::Check | Action::Soak(_) => {
                let Some(release) = self.concerned(&task.order.want) else {
                    return Outcome::failed(changed_by_somebody(step));
                };
                self.bring_forward(task, action, &release).await
            }
        }
    }

    /// The release that an action is about: the wanted one, or, under an order to hold, the one
    /// that an earlier order left.
    fn concerned(&self, want: &Want) -> Option<ReleaseId> {
        match want {
            Want::Activate { release, .. } => Some(release.id.clone()),
            Want::Revert { .. } | Want::Hold => {
                self.root.active().ok().flatten().map(|active| active.active)
            }
        }
    }

    async fn bring_forward(&self, task: &Task, action: Action, release: &ReleaseId) -> Outcome {
        let step = task.step;
        match action {
            Action::Stage => self.stage_wanted(task).await,
            Action::Switch => match self.switch(release).await {
                Ok(()) => Outcome::of(Event::Switched),
                Err(error) => Outcome::failed(depot_failure(step, &error)),
            },
            Action::Check => match self.check(release).await {
                Ok(evidence) => {
                    checkpoint("agent-verified");
                    let event =
                        if task.order.want == Want::Hold { Event::Dropped } else { Event::Passed };
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
            Action::Rest | Action::Note(_) | Action::PutBack | Action::NoticeChange => {
                Outcome::failed(changed_by_somebody(step))
            }
        }
    }

    async fn stage_wanted(&self, task: &Task) -> Outcome {
        let Want::Activate { release, .. } = &task.order.want else {
            return Outcome::failed(changed_by_somebody(task.step));
        };
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
        let target = self.target_of(task);
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

    /// What to go back to.
    fn target_of(&self, task: &Task) -> Target {
        match (&task.order.want, self.ledger.borrow().unproven()) {
            (Want::Revert { release }, _) => {
                Some(release.as_ref().map(|release: &ReleaseRef| release.id.clone()))
            }
            (Want::Activate { .. } | Want::Hold, Some(unproven)) => Some(unproven.earlier.clone()),
            // It failed before anything was switched.
            (Want::Activate { .. } | Want::Hold, None) => None,
        }
    }

    /// Writes down what an action brought.
    fn record(&self, task: &Task, outcome: Outcome) -> Result<(), LedgerError> {
        let active = self.root.active().ok().flatten();
        let active_version = facts::active_version(&self.root);
        let earlier = earlier_than(task, active.as_ref().map(|a| (&a.active, a.fallback.as_ref())));
        let manifest = active.as_ref().and_then(|active| self.root.manifest(&active.active).ok());
        let Outcome { event, failure, evidence, files_verified, way } = outcome;
        if let Some(failure) = &failure {
            tracing::warn!(step = %failure.step, kind = ?failure.kind, "{}", failure.message);
        }
        self.ledger.borrow_mut().record(
            event,
            active_version.as_deref(),
            now(),
            |task, unproven| {
                task.failure = failure.or(task.failure.take());
                task.files_verified = files_verified.unwrap_or(task.files_verified);
                task.way = way.or(task.way.take());
                mark(event, earlier, unproven);
                if !task.step.is_in_flight() {
                    task.receipt = Some(Receipt {
                        outcome: task.step,
                        active: active_version.clone(),
                        manifest: manifest.map(|manifest| manifest.digest()),
                        files_verified: task.files_verified,
                        evidence,
                        bytes_downloaded: task.bytes_downloaded,
                        way: task.way.clone(),
                        started_at: task.started_at,
                        finished_at: now().max(task.started_at),
                        steps: task.steps.clone(),
                        failure: task.failure.clone(),
                    });
                }
            },
        )?;
        if let Some(task) = self.ledger.borrow().task() {
            tracing::info!(generation = task.order.generation, step = %task.step);
            if task.step == Step::Accepted {
                checkpoint("agent-accepted");
            }
        }
        self.report_news.notify_one();
        Ok(())
    }
}

/// Where to go back to: outer none leaves what is active, inner none means no release at all.
type Target = Option<Option<ReleaseId>>;

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

/// What was active before the wanted release.
fn earlier_than(
    task: &Task,
    active: Option<(&ReleaseId, Option<&ReleaseId>)>,
) -> Option<ReleaseId> {
    let (active, fallback) = active?;
    match &task.order.want {
        Want::Activate { release, .. } if release.id == *active => fallback.cloned(),
        Want::Activate { .. } | Want::Revert { .. } | Want::Hold => Some(active.clone()),
    }
}

/// Keeps the mark that a release may be active which no check has passed. The first mark stays
/// over several unfinished orders: what was active before them all is what is known to work.
fn mark(event: Event, earlier: Option<ReleaseId>, unproven: &mut Option<Unproven>) {
    match event {
        Event::Switching => {
            unproven.get_or_insert(Unproven { earlier });
        }
        Event::Soaked | Event::PutBack | Event::Dropped => *unproven = None,
        Event::Begun
        | Event::Staged
        | Event::Switched
        | Event::Passed
        | Event::Broke
        | Event::GoingBack
        | Event::Stuck
        | Event::Doubted => {}
    }
}

fn may_be_given_up(action: &Action) -> bool {
    match action {
        Action::Rest | Action::Stage | Action::Check | Action::Soak(_) => true,
        Action::Note(_) | Action::Switch | Action::PutBack | Action::NoticeChange => false,
    }
}

impl Outcome {
    const fn of(event: Event) -> Self {
        Self { event, failure: None, evidence: None, files_verified: None, way: None }
    }

    fn failed(failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::of(Event::Broke) }
    }

    /// Going back failed too; what failed first is told with it.
    fn stuck(task: &Task, mut failure: Failure) -> Self {
        if let Some(first) = &task.failure {
            failure.message =
                format!("{}; it was to be put back since {}", failure.message, first.message);
        }
        Self { failure: Some(failure), ..Self::of(Event::Stuck) }
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
        Want::Revert { release: Some(release) } => format!("go back to {}", release.id),
        Want::Revert { release: None } => "go back to no release".to_owned(),
        Want::Hold => "hold".to_owned(),
    }
}
