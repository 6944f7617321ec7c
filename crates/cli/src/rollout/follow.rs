//! Following a rollout by the event stream.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use gofleet_api::Client;
use gofleet_api::client::EventStream;
use gofleet_core::ids::{DeviceId, RolloutId};
use gofleet_core::order::Step;
use gofleet_core::rollout::{RingState, RolloutState, RolloutStatus};
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::picture;
use crate::failure;
use crate::printer::Printer;

/// Reasons and times change without events: so often the view is made new in any case.
const REFRESH: Duration = Duration::from_secs(5);
/// Events that come within this span make one view.
const GATHER: Duration = Duration::from_millis(100);

/// A change that a follower sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Change {
    Rollout { state: RolloutState, reason: Option<String> },
    Ring { ring: String, state: RingState },
    Device { ring: String, hostname: String, step: Step, failure: Option<String> },
}

/// Follows a rollout until nothing will happen by itself, and tells each view of it.
///
/// # Errors
///
/// If the server can't be asked any more.
pub async fn follow(
    client: &Client,
    rollout: &RolloutId,
    mut view: impl FnMut(&RolloutStatus) -> anyhow::Result<()>,
) -> anyhow::Result<RolloutStatus> {
    let mut status = client.rollout(rollout).await?;
    let mut events = client.events(Some(status.sequence));
    loop {
        view(&status)?;
        if is_settled(&status) {
            return Ok(status);
        }
        wait_for_news(&mut events, rollout).await?;
        status = client.rollout(rollout).await?;
    }
}

/// Waits for an event about the rollout, then for those that come with it.
async fn wait_for_news(events: &mut EventStream, rollout: &RolloutId) -> anyhow::Result<()> {
    let deadline = Instant::now() + REFRESH;
    while let Ok(event) = timeout_at(deadline, events.next()).await {
        if event?.what.rollout() == Some(rollout) {
            let gathered = Instant::now() + GATHER;
            while let Ok(event) = timeout_at(gathered, events.next()).await {
                event?;
            }
            return Ok(());
        }
    }
    Ok(())
}

/// Whether nothing changes until a person acts.
fn is_settled(status: &RolloutStatus) -> bool {
    let state = status.summary.state;
    state.is_final() || (state == RolloutState::Paused && status.awaited == 0)
}

/// Follows a rollout on the terminal; exit code 0 only if every ring came through.
///
/// # Errors
///
/// If the server can't be asked any more.
pub async fn watch(
    client: &Client,
    rollout: &RolloutId,
    printer: Printer,
) -> anyhow::Result<ExitCode> {
    let bar = printer.spinner("");
    let mut seen = Seen::default();
    let following = follow(client, rollout, |status| {
        bar.set_message(picture(status));
        tell(&seen.changes(status), &bar, printer)
    });
    let outcome = tokio::select! {
        outcome = following => Some(outcome),
        _ = tokio::signal::ctrl_c() => None,
    };
    bar.finish_and_clear();
    let Some(outcome) = outcome else {
        printer.message(format_args!("left; the rollout goes on"));
        return Ok(ExitCode::from(failure::INTERRUPTED));
    };
    let summary = outcome?.summary;
    if summary.state == RolloutState::Paused {
        let id = &summary.id;
        printer.message(format_args!(
            "it waits for a person: `gofleet rollout resume {id}`, `stop {id}` or `rollback {id}`"
        ));
    }
    let is_good = summary.state == RolloutState::Completed;
    Ok(ExitCode::from(if is_good { failure::DONE } else { failure::NEGATIVE }))
}

fn tell(changes: &[Change], bar: &ProgressBar, printer: Printer) -> anyhow::Result<()> {
    for change in changes {
        bar.suspend(|| {
            if printer.is_json() {
                printer.json_line(change)
            } else {
                printer.line(&change.to_string())
            }
        })?;
    }
    Ok(())
}

/// What a follower knows already.
#[derive(Debug, Default)]
struct Seen {
    state: Option<RolloutState>,
    rings: Vec<RingState>,
    devices: BTreeMap<DeviceId, Step>,
}

impl Seen {
    /// What is new in `status`.
    fn changes(&mut self, status: &RolloutStatus) -> Vec<Change> {
        let mut changes = Vec::new();
        for (place, ring) in status.rings_detail.iter().enumerate() {
            for device in &ring.devices {
                if self.devices.insert(device.device.clone(), device.step) != Some(device.step) {
                    changes.push(Change::Device {
                        ring: ring.name.clone(),
                        hostname: device.hostname.clone(),
                        step: device.step,
                        failure: device.failure.as_ref().map(|failure| failure.message.clone()),
                    });
                }
            }
            if self.rings.get(place) != Some(&ring.state) {
                changes.push(Change::Ring { ring: ring.name.clone(), state: ring.state });
            }
        }
        self.rings = status.rings_detail.iter().map(|ring| ring.state).collect();
        let state = status.summary.state;
        if self.state.replace(state) != Some(state) {
            let reason = status.summary.reason.as_ref().map(ToString::to_string);
            changes.push(Change::Rollout { state, reason });
        }
        changes
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rollout { state, reason: None } => write!(formatter, "rollout {state}"),
            Self::Rollout { state, reason: Some(reason) } => {
                write!(formatter, "rollout {state}: {reason}")
            }
            Self::Ring { ring, state } => write!(formatter, "  {ring} {state}"),
            Self::Device { ring, hostname, step, failure: None } => {
                write!(formatter, "    {ring:12} {hostname:16} {step}")
            }
            Self::Device { ring, hostname, step, failure: Some(failure) } => {
                write!(formatter, "    {ring:12} {hostname:16} {step}: {failure}")
            }
        }
    }
}
