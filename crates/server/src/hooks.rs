//! Tells hooks of devices that were put into quarantine or let in again.
//!
//! What is to be told stands in an outbox that was written with the change itself. An attempt that
//! was cut (by a kill, or because the server stops) is made again: calls are told at least once.
//! Nothing waits for a hook but the next call about the same device.

mod command;
mod webhook;

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gofleet_core::hook::HookTarget;
use gofleet_storage::{DueCall, StorageError};
use thiserror::Error;
use tokio::task::JoinSet;
use tracing::{info, warn};

use self::webhook::Webhook;
use crate::config::HookSettings;
use crate::state::AppState;

/// So many hooks run at once; one that hangs takes the place of one.
const MOST_AT_ONCE: u32 = 16;
/// How much of an answer or of an output is told as the reason of a failure.
const TOLD_CHARS: usize = 300;

/// Why the hooks can't be used.
#[derive(Debug, Error)]
pub enum HookError {
    /// The file with the secret can't be read.
    #[error("the secret of the hook can't be read from {}", path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The secret is too short to sign with, or not what its prefix says.
    #[error("{} holds no secret of at least 24 bytes", path.display())]
    WeakSecret {
        /// The file.
        path: PathBuf,
    },
    /// No HTTP client can be made.
    #[error("the hook can't be called over HTTP")]
    Http(#[source] reqwest::Error),
}

/// The hooks, ready to be called.
#[derive(Debug, Clone)]
pub struct Hooks {
    command: Vec<String>,
    webhook: Option<Webhook>,
    timeout: Duration,
}

impl Hooks {
    /// Prepares the hooks that are set.
    ///
    /// # Errors
    ///
    /// [`HookError`] if the secret can't be used.
    pub fn new(settings: &HookSettings) -> Result<Self, HookError> {
        let HookSettings { command, url, secret_file, timeout } = settings;
        let timeout = timeout.as_duration();
        let webhook = url
            .as_ref()
            .map(|url| Webhook::new(url.clone(), secret_file.as_deref(), timeout))
            .transpose()?;
        Ok(Self { command: command.clone(), webhook, timeout })
    }

    /// Who is told.
    pub fn targets(&self) -> Vec<HookTarget> {
        let command = (!self.command.is_empty()).then_some(HookTarget::Command);
        let webhook = self.webhook.as_ref().map(|_| HookTarget::Webhook);
        command.into_iter().chain(webhook).collect()
    }

    /// Makes one attempt; what went wrong, in words for an administrator.
    async fn attempt(&self, due: &DueCall, state: &AppState) -> Result<(), String> {
        match (due.target, &self.webhook) {
            (HookTarget::Command, _) => command::run(&self.command, &due.call, self.timeout).await,
            (HookTarget::Webhook, Some(webhook)) => webhook.post(&due.call, state.now()).await,
            (HookTarget::Webhook, None) => Err("no address is set".to_owned()),
        }
    }
}

/// Calls what is due until the server stops.
pub async fn run(state: AppState, hooks: Hooks) {
    if hooks.targets().is_empty() {
        return;
    }
    let hooks = Arc::new(hooks);
    let mut changes = state.storage().changes();
    let mut period = tokio::time::interval(state.config().reconcile_every.as_duration());
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut running, mut places) = (JoinSet::new(), HashSet::new());
    loop {
        changes.mark_unchanged();
        match state.storage().due_calls(state.now(), 2 * MOST_AT_ONCE).await {
            Ok(due) => {
                for due in due {
                    if places.len() < MOST_AT_ONCE as usize && places.insert(due.place) {
                        running.spawn(call(state.clone(), Arc::clone(&hooks), due));
                    }
                }
            }
            Err(error) => warn!(%error, "calls of hooks could not be read"),
        }
        tokio::select! {
            // What runs is cut with the set, and told again after the next start.
            () = state.stopping().cancelled() => return,
            Some(done) = running.join_next() => match done {
                Ok(place) => drop(places.remove(&place)),
                // Not told which: those that still run are found in the outbox, at worst twice.
                Err(_) => places.clear(),
            },
            _ = period.tick() => {}
            Ok(()) = changes.changed() => {}
        }
    }
}

async fn call(state: AppState, hooks: Arc<Hooks>, due: DueCall) -> u64 {
    let (device, event, target) = (&due.call.device, due.call.event.as_str(), due.target.as_str());
    let outcome = hooks.attempt(&due, &state).await;
    match &outcome {
        Ok(()) => info!(%device, event, target, "hook"),
        Err(reason) => warn!(%device, event, target, reason, "a hook failed"),
    }
    if let Err(error) = noted(&state, &due, outcome).await {
        warn!(%device, event, target, %error, "an attempt could not be noted, and is made again");
    }
    due.place
}

async fn noted(
    state: &AppState,
    due: &DueCall,
    outcome: Result<(), String>,
) -> Result<(), StorageError> {
    state.storage().call_tried(due.place, outcome, state.now()).await
}

/// The beginning of a text, in one line.
fn told(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(TOLD_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
