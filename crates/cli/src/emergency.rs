//! `gofleet emergency`: stop everything, and lift that again.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use gofleet_api::{EmergencyRequest, EmergencyView, RolloutState};

use crate::connection::Connection;
use crate::printer::Printer;

/// Stop every rollout at once, and lift that again
#[derive(Debug, Args)]
pub struct Emergency {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Stop everything: nothing begins, and what has not switched is taken back
    #[command(
        after_help = "Devices that are connected are told at once, all others at their next \
contact. What has switched stays, or goes back if it fails; a rollback goes on.

Examples:
  gofleet emergency stop --reason 'builds fail since noon' --dry-run
  gofleet emergency stop --reason 'builds fail since noon'"
    )]
    Stop {
        #[command(flatten)]
        connection: Connection,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Only show which rollouts it would stop
        #[arg(long)]
        dry_run: bool,
    },
    /// Lift the stop; each rollout stays paused until it is resumed
    #[command(after_help = "Example:\n  gofleet emergency lift")]
    Lift {
        #[command(flatten)]
        connection: Connection,
    },
    /// Tell whether everything is stopped, and why
    #[command(after_help = "Example:\n  gofleet emergency status")]
    Status {
        #[command(flatten)]
        connection: Connection,
    },
}

/// Does it.
pub async fn run(emergency: Emergency, printer: Printer) -> anyhow::Result<ExitCode> {
    match emergency.verb {
        Verb::Stop { connection, dry_run: true, .. } => {
            let mut moving = connection.client()?.overview().await?.moving;
            // One that ends or goes back goes on with that.
            moving.retain(|it| matches!(it.state, RolloutState::Running | RolloutState::Paused));
            printer.data(&moving, |moving| {
                let lines = moving.iter().map(|it| format!("{} ({})", it.name, it.state));
                let lines: Vec<_> = lines.collect();
                if lines.is_empty() {
                    "it would stop no rollout".to_owned()
                } else {
                    lines.join("\n")
                }
            })?;
        }
        Verb::Stop { connection, reason, dry_run: false } => {
            let view = connection.client()?.stop_everything(&EmergencyRequest { reason }).await?;
            printer.message(format_args!(
                "to go on: gofleet emergency lift, then resume each rollout"
            ));
            printer.data(&view, describe)?;
        }
        Verb::Lift { connection } => {
            let view = connection.client()?.lift_emergency().await?;
            printer.message(format_args!("rollouts stay paused until they are resumed"));
            printer.data(&view, |view| match &view.stop {
                Some(stop) => format!("lifted: {stop}"),
                None => NONE.to_owned(),
            })?;
        }
        Verb::Status { connection } => {
            printer.data(&connection.client()?.emergency().await?, describe)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

const NONE: &str = "no emergency stop holds";

fn describe(view: &EmergencyView) -> String {
    view.stop.as_ref().map_or_else(|| NONE.to_owned(), ToString::to_string)
}
