//! `gofleet env show`: PATH and GOROOT as they are stored.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use gofleet_core::environment::{
    Known, LONGEST_VALUE, LONGEST_WHOLE, Role, Scope, Text, entries, value_length, whole_length,
};
use gofleet_depot::Root;
use serde::Serialize;

use super::here::Here;
use crate::local::RootOption;
use crate::printer::{Printer, paint, style};

/// Show PATH and GOROOT as they are stored, entry by entry
#[derive(Debug, Args)]
#[command(after_help = "\
On Windows: the values of the machine and of the user, with their types and lengths. Else: what
this process has.

Examples:
  gofleet env show
  gofleet env show --json")]
pub struct Show {
    #[command(flatten)]
    root: RootOption,
}

/// What is stored.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    scopes: Vec<ScopeShown<'a>>,
    /// Characters of the machine's and the user's PATH together, and how many there may be.
    whole_characters: usize,
    most_whole_characters: usize,
}

#[derive(Debug, Serialize)]
struct ScopeShown<'a> {
    scope: Scope,
    path: Option<&'a Text>,
    path_type: Option<&'static str>,
    /// Characters as stored or as programs get it, whichever is more.
    characters: usize,
    most_characters: usize,
    goroot: Option<&'a Text>,
    entries: Vec<Known<'a>>,
}

/// Does it.
pub fn run(show: &Show, printer: Printer) -> anyhow::Result<ExitCode> {
    let bin = Root::new(show.root.path()?).bin();
    let bin = bin.to_str().with_context(|| format!("{} is not Unicode", bin.display()))?;
    let here = Here::read()?;
    let mut known = entries(&here.environment, bin, &here);
    let scopes = [Scope::Machine, Scope::User].into_iter().filter_map(|scope| {
        let variables = here.environment.of(scope);
        let path = variables.path.as_ref();
        let entries: Vec<_> = known.extract_if(.., |known| known.scope == scope).collect();
        (cfg!(windows) || scope == Scope::User).then(|| ScopeShown {
            scope,
            path,
            path_type: path.filter(|_| cfg!(windows)).map(Text::type_name),
            characters: path.map_or(0, |path| value_length(path, &here)),
            most_characters: LONGEST_VALUE,
            goroot: variables.goroot.as_ref(),
            entries,
        })
    });
    let shown = Shown {
        scopes: scopes.collect(),
        whole_characters: whole_length(&here.environment, &here),
        most_whole_characters: LONGEST_WHOLE,
    };
    printer.data(&shown, describe)?;
    Ok(ExitCode::SUCCESS)
}

fn describe(shown: &Shown<'_>) -> String {
    let mut lines: Vec<String> = shown.scopes.iter().flat_map(describe_scope).collect();
    if cfg!(windows) {
        let Shown { whole_characters, most_whole_characters, .. } = shown;
        lines.push(format!("together {whole_characters} of {most_whole_characters} characters"));
    }
    lines.join("\n")
}

fn describe_scope(shown: &ScopeShown<'_>) -> Vec<String> {
    let ScopeShown { scope, characters, most_characters, .. } = shown;
    let heading = match shown.path_type {
        Some(kind) => {
            format!("PATH of the {scope} ({kind}, {characters} of {most_characters} characters):")
        }
        None if shown.path.is_none() => format!("PATH of the {scope} is not set"),
        None => "PATH of this process:".to_owned(),
    };
    let entry = |known: &Known<'_>| {
        let role = match known.role {
            Role::Own => paint(style::GOOD, "gofleet's go"),
            Role::Go => paint(style::WARNING, "another go"),
            Role::DeadGo => paint(style::WARNING, "a go that is gone"),
            Role::Dead => paint(style::FAINT, "not there"),
            Role::Other => String::new(),
        };
        format!("  {:<50} {role}", known.entry).trim_end().to_owned()
    };
    let goroot = shown.goroot.map(|text| format!("GOROOT of the {scope}: {}", text.text));
    let entries = shown.entries.iter().map(entry);
    [paint(style::STRONG, heading)].into_iter().chain(entries).chain(goroot).collect()
}
