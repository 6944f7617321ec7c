//! `gofleet rule`: what is forbidden although a role permits it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use gofleet_api::{AccessDecision, RuleDetail, RuleRequest, RuleTrial};
use gofleet_authorization::{check_rule, examples, schema_text};
use gofleet_core::account::Refusal;
use gofleet_core::ids::RuleName;
use gofleet_core::time::Timestamp;

use crate::connection::Connection;
use crate::failure::Hinted;
use crate::printer::{Printer, table};

/// Forbid what roles permit: four eyes, freezes, tickets
#[derive(Debug, Args)]
pub struct RuleArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the rules, and how often each refused
    #[command(after_help = "Example:\n  gofleet rule list")]
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Show a rule
    #[command(after_help = "Example:\n  gofleet rule show four-eyes")]
    Show {
        #[command(flatten)]
        connection: Connection,
        /// The rule
        #[arg(value_name = "NAME")]
        name: RuleName,
    },
    /// Write a rule; it is in force from the next request on
    #[command(
        after_help = "A rule is one Cedar policy that begins with `forbid`. Without --from the \
example of that name is taken as it is. `--dry-run` tells which of the latest requests would have \
been refused.

Examples:
  gofleet rule set four-eyes --dry-run
  gofleet rule set four-eyes
  gofleet rule set christmas --from christmas.cedar"
    )]
    Set {
        #[command(flatten)]
        connection: Connection,
        /// The rule
        #[arg(value_name = "NAME")]
        name: RuleName,
        /// File with its text [default: the example of this name]
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
        /// Only show what would have come of the latest requests
        #[arg(long)]
        dry_run: bool,
    },
    /// Delete a rule
    #[command(after_help = "Example:\n  gofleet rule delete four-eyes")]
    Delete {
        #[command(flatten)]
        connection: Connection,
        /// The rule
        #[arg(value_name = "NAME")]
        name: RuleName,
    },
    /// Look whether a file holds a rule, without a server
    #[command(after_help = "Example:\n  gofleet rule check christmas.cedar")]
    Check {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Show rules to begin with
    #[command(after_help = "Examples:
  gofleet rule example
  gofleet rule example freeze > freeze.cedar")]
    Example {
        /// One of them
        #[arg(value_name = "NAME")]
        name: Option<RuleName>,
    },
    /// Show what rules can ask about, as a Cedar schema
    #[command(after_help = "Example:\n  gofleet rule schema > gofleet.cedarschema")]
    Schema,
    /// Show what was asked and what was decided, newest first
    #[command(after_help = "Examples:
  gofleet rule decisions
  gofleet rule decisions --refused --since 2026-11-01T00:00:00Z --json")]
    Decisions {
        #[command(flatten)]
        connection: Connection,
        /// Only what was refused
        #[arg(long)]
        refused: bool,
        /// Only later ones
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
        /// At most so many
        #[arg(long, value_name = "NUMBER", default_value_t = 50)]
        limit: u32,
    },
}

/// Does it.
pub async fn run(arguments: RuleArguments, printer: Printer) -> anyhow::Result<ExitCode> {
    match arguments.verb {
        Verb::List { connection } => {
            let rules = connection.client()?.rules().await?;
            printer.data(&rules, |all| listed(all))?;
        }
        Verb::Show { connection, name } => {
            let rule = connection.client()?.rule(&name).await?;
            printer.data(&rule, shown)?;
        }
        Verb::Set { connection, name, from, dry_run } => {
            let request = RuleRequest { text: text_of(&name, from)? };
            let client = connection.client()?;
            if dry_run {
                let trial = client.try_rule(&name, &request).await?;
                printer.data(&trial, tried)?;
            } else {
                let rule = client.set_rule(&name, &request).await?;
                printer.data(&rule, |rule| format!("in force: {}", rule.rule.name))?;
            }
        }
        Verb::Delete { connection, name } => {
            let rule = connection.client()?.delete_rule(&name).await?;
            printer.data(&rule, |rule| format!("deleted: {}", rule.name))?;
        }
        Verb::Check { file } => {
            let text = read(&file)?;
            let name: RuleName = "checked".parse().expect("it is a good name");
            check_rule(&name, &text).map_err(|error| {
                let error = format!("{}: {error}", file.display());
                Hinted::new(error, "`gofleet rule schema` tells what can be asked")
            })?;
            printer.line(&format!("{} is a rule", file.display()))?;
        }
        Verb::Example { name: None } => {
            let all = examples().map(|it| (it.name, it.text));
            printer.data(&all, |all| {
                let first = |text: &str| {
                    let line = text.lines().next().unwrap_or_default();
                    line.trim_start_matches("// ").to_owned()
                };
                let rows: Vec<_> =
                    all.iter().map(|(name, text)| vec![(*name).to_owned(), first(text)]).collect();
                table(&["RULE", "WHAT FOR"], &rows)
            })?;
        }
        Verb::Example { name: Some(name) } => {
            printer.line(text_of(&name, None)?.trim_end())?;
        }
        Verb::Schema => printer.line(schema_text().trim_end())?,
        Verb::Decisions { connection, refused, since, limit } => {
            let asked = if refused { 10_000 } else { limit };
            let mut all = connection.client()?.access_decisions(since, asked).await?;
            all.retain(|it| !refused || it.refusal.is_some());
            all.truncate(limit as usize);
            printer.data(&all, |all| decisions(all))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &std::path::Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))
}

fn text_of(name: &RuleName, from: Option<PathBuf>) -> anyhow::Result<String> {
    if let Some(file) = from {
        return read(&file);
    }
    let example = examples().into_iter().find(|it| it.name == name.as_str());
    let example = example.ok_or_else(|| {
        let names: Vec<&str> = examples().iter().map(|it| it.name).collect();
        let hint = format!("give --from FILE, or take one of {}", names.join(", "));
        Hinted::usage(format!("there is no example {name}"), hint)
    })?;
    Ok(example.text.to_owned())
}

fn listed(rules: &[RuleDetail]) -> String {
    let row = |it: &RuleDetail| {
        vec![
            it.rule.name.to_string(),
            it.refused.to_string(),
            it.message.clone(),
            it.standards.join(", "),
        ]
    };
    let rows: Vec<_> = rules.iter().map(row).collect();
    table(&["RULE", "REFUSED", "MESSAGE", "STANDARDS"], &rows)
}

fn shown(rule: &RuleDetail) -> String {
    let RuleDetail { rule, refused, is_built_in, .. } = rule;
    let origin = match is_built_in {
        true => "built in".to_owned(),
        false => format!("changed  {} by {}", rule.changed_at, rule.by),
    };
    let (name, text) = (&rule.name, rule.text.trim_end());
    format!("{name}: refused {refused} of the latest requests\n  {origin}\n\n{text}")
}

fn tried(trial: &RuleTrial) -> String {
    let RuleTrial { looked_at, since, newly_refused, newly_allowed, .. } = trial;
    let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
    let mut lines = vec![format!(
        "of {looked_at} requests{since} {} would have been refused, and {} let through",
        newly_refused.len(),
        newly_allowed.len()
    )];
    if !newly_refused.is_empty() {
        lines.push(format!("\nwould have been refused:\n{}", decisions(newly_refused)));
    }
    if !newly_allowed.is_empty() {
        lines.push(format!(
            "\nwere refused, and would not have been:\n{}",
            decisions(newly_allowed)
        ));
    }
    lines.join("\n")
}

fn decisions(all: &[AccessDecision]) -> String {
    let row = |it: &AccessDecision| {
        let request = &it.request;
        vec![
            request.circumstances.at.to_string(),
            request.by.clone(),
            request.permission.to_string(),
            request.subject.to_string(),
            it.refusal.as_ref().map_or_else(|| "permitted".to_owned(), Refusal::to_string),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    table(&["AT", "WHO", "WHAT", "TO", "DECISION"], &rows)
}
