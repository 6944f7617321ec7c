//! `gofleet env`: what is set for new programs on this machine, and putting gofleet's Go first.
//!
//! [`gofleet_core::environment`] decides, [`gofleet_platform::environment`] reads and writes; here
//! the two meet, with the journal between.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use gofleet_core::environment::{Change, Line, Mark, Place, Scope, Stored, difference, split};
use serde::Serialize;

use crate::failure::Hinted;
use crate::local::RootOption;
use crate::printer::{Printer, paint, style};

mod apply;
mod doctor;
mod here;
mod ledger;
mod show;
mod undo;

/// See and mend what new programs get: PATH and GOROOT
#[derive(Debug, Args)]
pub struct EnvArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Show(show::Show),
    Apply(apply::Apply),
    Undo(undo::UndoLast),
    Doctor(doctor::Doctor),
}

/// Does it.
pub fn run(arguments: &EnvArguments, printer: Printer) -> anyhow::Result<ExitCode> {
    match &arguments.verb {
        Verb::Show(show) => show::run(show, printer),
        Verb::Apply(apply) => apply::run(apply, printer),
        Verb::Undo(undo) => undo::run(undo, printer),
        Verb::Doctor(doctor) => doctor::run(doctor, printer),
    }
}

/// Whose environment is changed, and whose journal tells of it.
#[derive(Debug, Args)]
struct Target {
    /// Whose environment is changed
    #[arg(long, value_enum, default_value_t = ScopeName::User)]
    scope: ScopeName,
    #[command(flatten)]
    root: RootOption,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScopeName {
    /// Your own; needs no rights
    User,
    /// That of all users and services; needs the rights of an administrator
    Machine,
}

impl Target {
    fn scope(&self) -> Scope {
        match self.scope {
            ScopeName::User => Scope::User,
            ScopeName::Machine => Scope::Machine,
        }
    }

    /// One user's own folder on the `PATH` of all would let that user run programs as anybody.
    fn check_root(&self) -> anyhow::Result<()> {
        if self.scope == ScopeName::User || self.root.is_named() {
            return Ok(());
        }
        let hint = "name the machine's root with --root or GOFLEET_ROOT: a folder that only \
                    administrators can write, since all users run what is in it";
        let message = "the root of one user has no place on the PATH of all";
        Err(Hinted::usage(message, hint).into())
    }
}

/// What was done, or would be.
#[derive(Debug, Serialize)]
struct Outcome {
    scope: Scope,
    /// Whether it is done; false with `--dry-run`.
    is_done: bool,
    changes: Vec<Shown>,
}

/// One value or file, line by line.
#[derive(Debug, Serialize)]
struct Shown {
    place: Place,
    lines: Vec<Line>,
}

impl Shown {
    fn of(change: &Change) -> Self {
        let before = parts(&change.place, change.before.as_ref());
        let after = parts(&change.place, change.after.as_ref());
        Self { place: change.place.clone(), lines: difference(&refer(&before), &refer(&after)) }
    }

    fn describe(&self) -> String {
        let mut text = paint(style::STRONG, format_args!("{}:", self.place));
        // Of a file only what changes: the rest is its owner's.
        let is_file = matches!(self.place, Place::File(_));
        for line in self.lines.iter().filter(|line| !is_file || line.mark != Mark::Kept) {
            let colour = match line.mark {
                Mark::Kept => style::FAINT,
                Mark::Added => style::GOOD,
                Mark::Removed => style::ERROR,
            };
            text.push_str(&format!("\n  {}", paint(colour, line)));
        }
        text
    }
}

fn refer(parts: &[String]) -> Vec<&str> {
    parts.iter().map(String::as_str).collect()
}

/// What is stored, in the parts that a person thinks of: the entries of a list, the lines of a
/// file.
fn parts(place: &Place, stored: Option<&Stored>) -> Vec<String> {
    let Some(stored) = stored else { return Vec::new() };
    let text = match (place, stored.text()) {
        (Place::File(_), _) => String::from_utf8_lossy(&stored.bytes).into_owned(),
        (Place::Variable { .. }, Ok(text)) => text.text,
        (Place::Variable { .. }, Err(error)) => {
            return vec![format!("{} bytes ({error})", stored.bytes.len())];
        }
    };
    match place {
        Place::Variable { name, .. } if name == here::PATH => {
            split(&text, here::STYLE).into_iter().map(str::to_owned).collect()
        }
        Place::Variable { .. } => vec![text],
        Place::File(_) => text.lines().map(str::to_owned).collect(),
    }
}
