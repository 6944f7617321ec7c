//! `gofleet rollout explain`: why a rollout did what it did.

use std::collections::BTreeMap;
use std::process::ExitCode;

use gofleet_api::{Change, Client, Event, RolloutSummary};
use gofleet_core::rollout::{Replayed, RolloutStatus, Unmet, replay};
use serde::Serialize;

use crate::failure;
use crate::printer::Printer;

/// A decision, with what comes out if it is made again.
#[derive(Debug, Serialize)]
struct Decision {
    #[serde(flatten)]
    event: Event,
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed: Option<Replayed>,
}

/// Shows every decision about a rollout; a gate's decisions are made again here, by what was kept
/// with them.
///
/// # Errors
///
/// If the server can't be asked.
pub async fn explain(
    client: &Client,
    rollout: &RolloutSummary,
    printer: Printer,
) -> anyhow::Result<ExitCode> {
    let events = client.decisions(&rollout.id).await?;
    let decided = |event: Event| Decision { replayed: replay(&event.what), event };
    let decisions: Vec<Decision> = events.into_iter().map(decided).collect();
    printer.data(&decisions, |decisions| {
        let lines: Vec<String> = decisions.iter().map(describe).collect();
        lines.join("\n")
    })?;
    for (reason, devices) in lacking(&client.rollout(&rollout.id).await?) {
        let devices = match devices {
            1 => "1 device".to_owned(),
            devices => format!("{devices} devices"),
        };
        printer.message(format_args!("{devices}: {reason}"));
    }
    let replayed = || decisions.iter().filter_map(|it| it.replayed.as_ref());
    let (count, others) = (replayed().count(), replayed().filter(|it| !it.is_same).count());
    if others > 0 {
        printer.message(format_args!("made again, {others} of {count} come out otherwise"));
        return Ok(ExitCode::from(failure::NEGATIVE));
    }
    printer.message(format_args!("made again, all {count} decisions of gates come out the same"));
    Ok(ExitCode::SUCCESS)
}

/// Why devices of a rollout wait for packages or lack them, with the chains, and how many each
/// concerns.
fn lacking(status: &RolloutStatus) -> BTreeMap<&str, usize> {
    let members = status.rings_detail.iter().flat_map(|ring| &ring.devices);
    let reasons = members.filter_map(|device| device.reason.as_ref());
    let reasons = reasons.chain(status.left_out.iter().map(|device| &device.reason));
    let mut counted = BTreeMap::new();
    for reason in reasons.filter(|reason| Unmet::CODES.contains(&reason.code.as_str())) {
        *counted.entry(reason.text.as_str()).or_default() += 1;
    }
    counted
}

fn describe(decision: &Decision) -> String {
    let Event { at, what, .. } = &decision.event;
    let because = |reason: &str| {
        if reason.is_empty() { String::new() } else { format!(": {reason}") }
    };
    match what {
        Change::RolloutStarted { name, by, .. } => format!("{at}  {name} started by {by}"),
        Change::RolloutState { state, reason, .. } => {
            format!("{at}  rollout {state}{}", because(reason))
        }
        Change::RingState { ring, state, reason, inputs, .. } => {
            let mut text = format!("{at}  ring {ring} {state}{}", because(reason));
            if let Some(inputs) = inputs {
                text.push_str(&format!("\n    by: {inputs}"));
            }
            if decision.replayed.as_ref().is_some_and(|replayed| !replayed.is_same) {
                text.push_str("\n    made again, it comes out otherwise");
            }
            text
        }
        Change::RingLook { ring, look, .. } => format!("{at}  ring {ring}, {look}"),
        other => format!("{at}  {}", other.kind()),
    }
}
