//! `gofleet apply` and `gofleet diff`: a rollout as a file, brought to the server once.
//!
//! A rollout is told by its name. If the newest of that name has the same content, nothing is to
//! be done, whether it still moves or has ended; otherwise a new one is started. One that still
//! moves is never changed under way.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use gofleet_api::Client;
use gofleet_core::ids::RolloutId;
use gofleet_core::rollout::{RolloutPlan, RolloutSpec, RolloutState};
use serde::Serialize;
use serde_json::Value;

use crate::connection::Connection;
use crate::failure::{self, Hinted};
use crate::printer::{Printer, paint, style};
use crate::rollout::{describe_plan, read_file};

/// Start the rollout that a file describes, unless that was done already
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gofleet apply -f rollout.yaml --dry-run
  gofleet apply -f rollout.yaml")]
pub struct Apply {
    #[command(flatten)]
    connection: Connection,
    /// YAML file
    #[arg(long, short, value_name = "FILE")]
    file: PathBuf,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
}

/// Show what `apply` would change
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gofleet diff -f rollout.yaml
  gofleet diff -f rollout.yaml --exit-code || gofleet apply -f rollout.yaml")]
pub struct Diff {
    #[command(flatten)]
    connection: Connection,
    /// YAML file
    #[arg(long, short, value_name = "FILE")]
    file: PathBuf,
    /// End with 3 if something would change
    #[arg(long)]
    exit_code: bool,
}

/// What `apply` does, or would do.
#[derive(Debug, Serialize)]
struct Outcome {
    action: Action,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<RolloutId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<RolloutState>,
    changes: Vec<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<RolloutPlan>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    /// Nothing is to be done.
    Unchanged,
    /// A rollout is started.
    Start,
    /// The rollout of this name moves with another content.
    Conflict,
}

/// A field that differs.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Change {
    field: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

/// Does it.
pub async fn apply(arguments: Apply, printer: Printer) -> anyhow::Result<ExitCode> {
    let client = arguments.connection.client()?;
    let spec = read_file(&arguments.file)?;
    let mut outcome = compare(&client, &spec).await?;
    if !arguments.dry_run {
        match outcome.action {
            Action::Unchanged => {}
            Action::Start => {
                let summary = client.start(&spec).await?.summary;
                (outcome.rollout, outcome.state) = (Some(summary.id), Some(summary.state));
            }
            Action::Conflict => return Err(conflict(&outcome)),
        }
    }
    printer.data(&outcome, |outcome| describe(outcome, arguments.dry_run))?;
    Ok(ExitCode::SUCCESS)
}

/// Does it.
pub async fn diff(arguments: Diff, printer: Printer) -> anyhow::Result<ExitCode> {
    let client = arguments.connection.client()?;
    let outcome = compare(&client, &read_file(&arguments.file)?).await?;
    printer.data(&outcome, |outcome| describe(outcome, true))?;
    let is_same = outcome.action == Action::Unchanged;
    let code = if is_same || !arguments.exit_code { failure::DONE } else { failure::NEGATIVE };
    Ok(ExitCode::from(code))
}

fn conflict(outcome: &Outcome) -> anyhow::Error {
    let (name, state) = (&outcome.name, outcome.state.map_or("moving", RolloutState::as_str));
    Hinted::new(
        format!("the rollout `{name}` is {state} with another content"),
        format!(
            "`gofleet diff` shows the difference; end it first with `gofleet rollout stop \
             '{name}'`, or give the new one another name"
        ),
    )
    .into()
}

async fn compare(client: &Client, spec: &RolloutSpec) -> anyhow::Result<Outcome> {
    // Newest first: the first of this name is the one that counts.
    let known = client.rollouts().await?.into_iter().find(|rollout| rollout.name == spec.name);
    let wanted = serde_json::to_value(spec)?;
    let mut outcome = Outcome {
        action: Action::Start,
        name: spec.name.clone(),
        rollout: None,
        state: None,
        changes: Vec::new(),
        plan: None,
    };
    if let Some(known) = known {
        let status = client.rollout(&known.id).await?;
        outcome.changes = changes(&serde_json::to_value(&status.spec)?, &wanted);
        outcome.action = match (outcome.changes.is_empty(), known.state.is_final()) {
            (true, _) => Action::Unchanged,
            (false, true) => Action::Start,
            (false, false) => Action::Conflict,
        };
        if outcome.action != Action::Start {
            (outcome.rollout, outcome.state) = (Some(known.id), Some(known.state));
        }
    }
    if outcome.action == Action::Start {
        outcome.plan = Some(client.plan(spec).await?);
    }
    Ok(outcome)
}

/// Every field that differs between two values, by its path.
fn changes(server: &Value, file: &Value) -> Vec<Change> {
    let (server, file) = (flatten(server), flatten(file));
    let value_of = |fields: &[(String, String)], field: &str| {
        fields.iter().find(|(name, _)| name == field).map(|(_, value)| value.clone())
    };
    let mut names: Vec<&String> = file.iter().map(|(name, _)| name).collect();
    names
        .extend(server.iter().map(|(name, _)| name).filter(|name| value_of(&file, name).is_none()));
    let change = |field: &String| {
        let (server, file) = (value_of(&server, field), value_of(&file, field));
        (server != file).then(|| Change { field: field.clone(), server, file })
    };
    names.into_iter().filter_map(change).collect()
}

/// Every leaf of a value with its path, like `rings[1].percent`.
fn flatten(value: &Value) -> Vec<(String, String)> {
    fn walk(path: &str, value: &Value, leaves: &mut Vec<(String, String)>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let dot = if path.is_empty() { "" } else { "." };
                    walk(&format!("{path}{dot}{name}"), value, leaves);
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    walk(&format!("{path}[{index}]"), value, leaves);
                }
            }
            Value::String(text) => leaves.push((path.to_owned(), text.clone())),
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                leaves.push((path.to_owned(), value.to_string()));
            }
        }
    }
    let mut leaves = Vec::new();
    walk("", value, &mut leaves);
    leaves
}

fn describe(outcome: &Outcome, is_preview: bool) -> String {
    let name = paint(style::STRONG, &outcome.name);
    let state = outcome.state.map_or("", RolloutState::as_str);
    let mut lines = vec![match (outcome.action, is_preview, &outcome.rollout) {
        (Action::Unchanged, _, _) => format!("{name}: no difference ({state})"),
        (Action::Start, false, Some(id)) => format!("{name}: started as {id}"),
        (Action::Start, _, _) => format!("{name}: would be started"),
        (Action::Conflict, _, _) => format!("{name}: is {state} with another content"),
    }];
    for change in &outcome.changes {
        if let Some(value) = &change.server {
            lines.push(format!("  - {}: {value}", change.field));
        }
        if let Some(value) = &change.file {
            lines.push(format!("  + {}: {value}", change.field));
        }
    }
    if let (true, Some(plan)) = (is_preview, &outcome.plan) {
        lines.push(describe_plan(plan));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_that_differ_are_named() {
        let server = json!({ "a": 1, "rings": [{ "name": "x", "count": 1 }], "old": true });
        let file = json!({ "a": 1, "rings": [{ "name": "x", "percent": 5 }, { "name": "y" }] });
        let found = changes(&server, &file);
        let fields: Vec<_> = found.iter().map(|change| change.field.as_str()).collect();
        assert_eq!(fields, ["rings[0].percent", "rings[1].name", "rings[0].count", "old"]);
        assert_eq!(found[0].file.as_deref(), Some("5"));
        assert_eq!(found[0].server, None);
        assert_eq!(changes(&file, &file), []);
    }
}
