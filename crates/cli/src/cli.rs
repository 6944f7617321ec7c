//! The arguments of `gofleet`: one grammar, from which help and reference are made.

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::account::{AccountArguments, ApiTokenArguments};
use crate::advise::Advise;
use crate::agent::AgentArguments;
use crate::anomaly::AnomalyArguments;
use crate::apply::{Apply, Diff};
use crate::audit::Audit;
use crate::collection::CollectionArguments;
use crate::demo::Demo;
use crate::device::DeviceArguments;
use crate::edge::EdgeArguments;
use crate::emergency::Emergency;
use crate::env::EnvArguments;
use crate::export::Export;
use crate::hold::HoldArguments;
use crate::local::LocalCommand;
use crate::login::Login;
use crate::offer::{Accept, Offers, Postpone};
use crate::printer::{Format, Level};
use crate::release::ReleaseArguments;
use crate::rollout::RolloutArguments;
use crate::rule::RuleArguments;
use crate::server::Server;
use crate::token::Token;
use crate::trust::TrustArguments;

/// Upgrades Go across fleets of Windows and Linux machines: ring by ring, proven, undone where it fails.
#[derive(Debug, Parser)]
#[command(name = "gofleet", version, styles = STYLES, max_term_width = 100)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub struct Cli {
    /// How the outcome is told.
    #[command(flatten)]
    pub output: Output,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every verb.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct Output {
    /// Print the answer as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Print nothing beside the answer and errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Print each step
    #[arg(long, short, global = true)]
    verbose: bool,
}

/// The verbs; what each does stands with its arguments.
#[derive(Debug, Subcommand)]
pub enum Command {
    Rollout(RolloutArguments),
    Apply(Apply),
    Diff(Diff),
    Emergency(Emergency),
    Hold(HoldArguments),
    Collection(CollectionArguments),
    Release(ReleaseArguments),
    Device(DeviceArguments),
    Anomaly(AnomalyArguments),
    Audit(Audit),
    Advise(Advise),
    Export(Export),
    Token(Token),
    Trust(TrustArguments),
    Account(AccountArguments),
    ApiToken(ApiTokenArguments),
    Rule(RuleArguments),
    Login(Login),
    Server(Server),
    Agent(AgentArguments),
    Edge(EdgeArguments),
    Demo(Demo),
    Env(EnvArguments),
    Offers(Offers),
    Accept(Accept),
    Postpone(Postpone),
    /// Print the reference of all verbs as Markdown
    #[command(hide = true)]
    Reference,
    /// Verbs for the machine that one sits at.
    #[command(flatten)]
    Local(LocalCommand),
}

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Verbs by what one wants to do; help lists them so.
const GROUPS: [(&str, &[&str]); 3] = [
    (
        "Fleet",
        &[
            "rollout",
            "apply",
            "diff",
            "emergency",
            "hold",
            "collection",
            "release",
            "device",
            "anomaly",
            "audit",
            "advise",
            "export",
            "token",
            "trust",
            "account",
            "api-token",
            "rule",
            "login",
        ],
    ),
    ("Services", &["server", "agent", "edge", "demo"]),
    (
        "This machine",
        &[
            "install",
            "adopt",
            "use",
            "list",
            "inventory",
            "which",
            "why",
            "exec",
            "pin",
            "unpin",
            "uninstall",
            "prune",
            "depot",
            "offers",
            "accept",
            "postpone",
            "env",
            "doctor",
        ],
    ),
];

/// Reads the arguments; prints help or a usage error and exits where they ask for it.
pub fn parse() -> Cli {
    Cli::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit())
}

/// The grammar with the verbs of the help in groups.
pub fn command() -> clap::Command {
    let command = Cli::command();
    let header = STYLES.get_header();
    let literal = STYLES.get_literal();
    let mut verbs = String::new();
    for (group, names) in GROUPS {
        verbs.push_str(&format!("{header}{group}:{header:#}\n"));
        for verb in names.iter().filter_map(|name| command.find_subcommand(name)) {
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            verbs.push_str(&format!("  {literal}{:<10}{literal:#} {about}\n", verb.get_name()));
        }
        verbs.push('\n');
    }
    command.help_template(format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{verbs}{header}Options:{header:#}\n{{options}}{{after-help}}"
    ))
}

impl Output {
    /// For whom data is written.
    pub fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Text }
    }

    /// How much is told beside the data.
    pub fn level(&self) -> Level {
        match (self.quiet, self.verbose) {
            (true, _) => Level::Quiet,
            (false, true) => Level::Verbose,
            (false, false) => Level::Normal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_holds() {
        command().debug_assert();
    }

    #[test]
    fn help_lists_every_verb_once() {
        let command = Cli::command();
        let listed = |name: &str| {
            GROUPS.iter().flat_map(|(_, names)| *names).filter(|listed| **listed == name).count()
        };
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            assert_eq!(listed(verb.get_name()), 1, "{}", verb.get_name());
        }
    }

    #[test]
    fn every_verb_has_examples() {
        fn check(path: &str, command: &clap::Command) {
            let path = format!("{path} {}", command.get_name());
            if command.has_subcommands() {
                command.get_subcommands().for_each(|verb| check(&path, verb));
            } else if !command.is_hide_set() {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("Example"), "{path} has no examples");
            }
        }
        Cli::command().get_subcommands().for_each(|verb| check("gofleet", verb));
    }

    /// The commands in a text: what follows `gofleet` where a line, perhaps after a prompt, begins
    /// with it, up to a comment, a remark set apart by two spaces, or another program. A line that
    /// ends with `\` goes on with the next one.
    fn commands(text: &str) -> Vec<Vec<String>> {
        let mut whole = String::new();
        for line in text.split("\\\n") {
            whole.push_str(if whole.is_empty() { line } else { line.trim_start() });
        }
        let lines = whole.lines().map(str::trim_start);
        let lines = lines.map(|line| line.strip_prefix("$ ").unwrap_or(line));
        let lines = lines.map(|line| line.split_once("  ").map_or(line, |(command, _)| command));
        let lines = lines.filter(|line| line.starts_with("gofleet "));
        lines
            .map(|line| {
                let (mut words, mut quoted) = (vec![String::new()], None);
                for character in line.chars() {
                    match (quoted, character) {
                        (None, '#' | '|' | '>' | '&') => break,
                        (None, '\'' | '"') => quoted = Some(character),
                        (Some(quote), _) if quote == character => quoted = None,
                        (None, ' ') => words.push(String::new()),
                        (_, _) => words.last_mut().unwrap().push(character),
                    }
                }
                words.retain(|word| !word.is_empty());
                words
            })
            .collect()
    }

    #[track_caller]
    fn check_commands(text: &str, least: usize) {
        let mut count = 0;
        for words in commands(text) {
            count += 1;
            if let Err(error) = command().try_get_matches_from(&words) {
                assert!(!error.use_stderr(), "{}: {error}", words.join(" "));
            }
        }
        assert!(count >= least, "only {count} commands were found");
    }

    #[test]
    fn what_the_readme_shows_is_accepted() {
        check_commands(include_str!("../../../README.md"), 14);
        check_commands(include_str!("../../../README.zh-CN.md"), 14);
    }

    #[test]
    fn what_help_shows_is_accepted() {
        fn check(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            check_commands(&help, 0);
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
