//! `gofleet anomaly`: by which rules devices are taken out of rollouts by themselves.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use gofleet_api::AnomalyRules;

use crate::connection::Connection;
use crate::printer::{Printer, table};

/// See by which rules devices are put into quarantine by themselves
#[derive(Debug, Args)]
pub struct AnomalyArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the rules in force, where they come from, and what is normal for each class of devices
    #[command(
        after_help = "Rules are a setting of the server, `anomaly_rules`; docs/anomaly.md has their \
language. How a single device stands with them: `gofleet device show DEVICE`.

Examples:
  gofleet anomaly rules
  gofleet anomaly rules --json"
    )]
    Rules {
        #[command(flatten)]
        connection: Connection,
    },
}

/// Does it.
pub async fn run(arguments: AnomalyArguments, printer: Printer) -> anyhow::Result<ExitCode> {
    match arguments.verb {
        Verb::Rules { connection } => {
            let rules = connection.client()?.anomaly_rules().await?;
            printer.data(&rules, describe)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(rules: &AnomalyRules) -> String {
    let AnomalyRules { origin, release_after, max_share, .. } = rules;
    let rows: Vec<_> =
        rules.rules.iter().map(|rule| vec![rule.name.clone(), rule.when.clone()]).collect();
    let mut text = if rows.is_empty() {
        format!("no rules ({origin})")
    } else {
        let rows = table(&["RULE", "QUARANTINE WHEN"], &rows);
        format!(
            "{rows}\n\nfrom {origin}; let in after {release_after} of health; at most {max_share} \
             of a class at once"
        )
    };
    if !rules.baselines.is_empty() {
        let row = |it: &gofleet_api::Baseline| {
            vec![it.class.to_string(), it.signal.to_string(), it.normal.to_string()]
        };
        let rows: Vec<_> = rules.baselines.iter().map(row).collect();
        text = format!("{text}\n\n{}", table(&["CLASS", "SIGNAL", "NORMAL"], &rows));
    }
    text
}
