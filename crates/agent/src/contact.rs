//! Talking with the server: asking for orders and delivering reports. Both go on for ever, past
//! any outage; only a server that disowns this device ends them.

use std::time::Duration;

use gofleet_api::{ClientError, ProblemCode, SealedOrder};
use gofleet_core::agent::{Novelty, accept_order};
use gofleet_core::facts::Facts;
use gofleet_core::order::Report;
use tokio::time::Instant;

use crate::AgentError;
use crate::backoff::{Backoff, random};
use crate::device::{Device, blocking};
use crate::facts::{gather, has_changed};
use crate::signals::Sampler;
use crate::soak::with_causes;

/// How long the server may hold a question for orders open. Any proxy keeps an idle connection
/// for so long, and a dead one is noticed soon enough.
const LONG_POLL: Duration = Duration::from_secs(50);
/// A server that answers "nothing" at once is not asked more often than this.
const SHORTEST_POLL: Duration = Duration::from_secs(1);
/// How often facts are gathered anew while nothing happens.
const FACTS_EVERY: Duration = Duration::from_secs(15 * 60);

/// Facts are told again after so long even if nothing has changed: a server that was restored from
/// a backup may believe older ones, and does not know that it does. 100,000 devices make 28
/// requests a second of it, beside some 2,000 polls.
const FACTS_AGAIN_AFTER: Duration = Duration::from_secs(60 * 60);

/// What the server knows of the device, since when, and when to look whether it is still so.
struct ToldFacts {
    told: Option<Facts>,
    told_at: Instant,
    due: Instant,
}

impl ToldFacts {
    /// Whether the server may believe something else.
    fn is_news(&self, now: &Facts) -> bool {
        self.told_at.elapsed() >= FACTS_AGAIN_AFTER
            || self.told.as_ref().is_none_or(|told| has_changed(told, now))
    }
}

impl Device {
    /// Asks for orders and passes those on that may be obeyed.
    pub async fn ask_for_orders(&self) -> AgentError {
        let mut backoff = Backoff::for_server();
        // After a start or an outage the latest order is asked for, whatever its number: the
        // server may be another one, or restored from a backup.
        let mut after = None;
        loop {
            let asked = Instant::now();
            match self.client.sealed_order(after, LONG_POLL).await {
                Ok(Some(answer)) if self.consider(&answer).await => {
                    backoff.reset();
                    after = self.seen().map(|seen| seen.generation);
                }
                Ok(Some(_)) => {
                    after = None;
                    tokio::time::sleep(backoff.after_failure(random())).await;
                }
                Ok(None) => {
                    backoff.reset();
                    after = self.seen().map(|seen| seen.generation);
                    tokio::time::sleep_until(asked + SHORTEST_POLL).await;
                }
                Err(error) if is_disowned(&error) => return self.disowned(error),
                Err(error) => {
                    after = None;
                    let pause = backoff.after_failure(random());
                    tracing::warn!(%error, pause_ms = pause.as_millis(), "cannot ask for orders");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Whether the order may be obeyed; if it is new, it is passed on.
    async fn consider(&self, answer: &SealedOrder) -> bool {
        let order = &answer.order;
        let accepted = accept_order(&self.identity.borrow().device, self.seen().as_ref(), order);
        match accepted {
            Ok(Novelty::Known) => true,
            Ok(Novelty::New) => {
                if let Err(error) = self.may_take_up(answer).await {
                    let reason = with_causes(&error);
                    tracing::warn!(generation = order.generation, "order refused: {reason}");
                    return false;
                }
                self.pending.replace(Some(order.clone()));
                self.order_news.notify_one();
                true
            }
            Err(refusal) => {
                tracing::warn!(generation = order.generation, "order refused: {refusal}");
                false
            }
        }
    }

    /// Delivers reports in their order, facts when they changed, and signals every so often.
    pub async fn deliver_reports(&self) -> AgentError {
        let mut backoff = Backoff::for_server();
        let mut facts = ToldFacts { told: None, told_at: Instant::now(), due: Instant::now() };
        let mut sampler = Sampler::new(self.config.signals_every);
        loop {
            let report = self.next_report(&mut facts, &mut sampler).await;
            match self.client.report(&report).await {
                Ok(()) => {}
                Err(error) if is_disowned(&error) => return self.disowned(error),
                Err(error) if error.is_transient() => {
                    facts.due = facts.due.min(Instant::now());
                    let pause = backoff.after_failure(random());
                    tracing::warn!(%error, pause_ms = pause.as_millis(), "cannot report");
                    tokio::time::sleep(pause).await;
                    continue;
                }
                // Told again it would be refused again, and keep all later ones from being heard.
                Err(error) => tracing::error!(%error, "the server refused a report; it is dropped"),
            }
            if report.facts.is_some() {
                (facts.told, facts.told_at) = (report.facts, Instant::now());
            }
            match report.progress.map(|progress| self.ledger.borrow_mut().delivered(&progress)) {
                Some(Err(error)) => {
                    tracing::warn!(%error, "a delivered report will be told again");
                    tokio::time::sleep(backoff.after_failure(random())).await;
                }
                Some(Ok(())) | None => backoff.reset(),
            }
        }
    }

    /// Waits until there is something to tell. A sample that can't be delivered is lost: the next
    /// one is about what is then.
    async fn next_report(&self, facts: &mut ToldFacts, sampler: &mut Sampler) -> Report {
        loop {
            let progress = self.ledger.borrow().memory().next_report().cloned();
            // With the end of an order, what is active has changed.
            let is_end = progress.as_ref().is_some_and(|progress| !progress.step.is_in_flight());
            let mut news = None;
            if is_end || Instant::now() >= facts.due {
                facts.due = Instant::now() + FACTS_EVERY;
                let now = self.facts().await;
                news = facts.is_news(&now).then_some(now);
            }
            let signals = sampler
                .sample(self.root.path(), &self.config.signal_files, &self.told_by_command)
                .await;
            if progress.is_some() || news.is_some() || signals.is_some() {
                return Report { facts: news, progress, signals };
            }
            let due = facts.due.min(sampler.due);
            let _ = tokio::time::timeout_at(due, self.report_news.notified()).await;
        }
    }

    async fn facts(&self) -> Facts {
        let (root, places, config) = (self.root.clone(), self.places.clone(), self.config.clone());
        blocking(move || gather(&root, &places, config.hostname.as_deref(), &config.labels)).await
    }

    fn disowned(&self, source: ClientError) -> AgentError {
        AgentError::Unknown {
            server: self.client.server().to_owned(),
            credential: self.folder().join("credential"),
            source,
        }
    }
}

fn is_disowned(error: &ClientError) -> bool {
    matches!(error.code(), Some(ProblemCode::Unauthenticated | ProblemCode::Forbidden))
}
