//! `gofleet env undo`: exactly what was there before the last `apply`.

use std::process::ExitCode;

use clap::Args;
use gofleet_core::environment::{Change, Conflict, Journal, Scope, Undo};
use gofleet_depot::Root;

use super::ledger::{self, Ledger};
use super::{Outcome, Shown, Target};
use crate::failure::Hinted;
use crate::printer::Printer;

/// Put back what was there before the last `gofleet env apply`
#[derive(Debug, Args)]
#[command(after_help = "\
Type and bytes are put back exactly. If another program has changed the same value since, nothing
is done: --force puts back what was there all the same, and the other's change is lost. Once more
undoes the apply before that.

Examples:
  gofleet env undo --dry-run
  gofleet env undo
  gofleet env undo --scope machine --root 'C:\\ProgramData\\gofleet'")]
pub struct UndoLast {
    /// Print what would change, entry by entry, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Lose what others have changed since
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    target: Target,
}

/// Does it.
pub fn run(undo: &UndoLast, printer: Printer) -> anyhow::Result<ExitCode> {
    undo.target.check_root()?;
    let root = Root::new(undo.target.root.path()?);
    let scope = undo.target.scope();
    let changes = if undo.dry_run {
        undo.changes(&ledger::look(&root, scope)?)?
    } else {
        let mut ledger = Ledger::open(&root, scope)?;
        let changes = undo.changes(&ledger.journal)?;
        if !changes.is_empty() {
            ledger.take_back(&changes, printer)?;
        }
        changes
    };
    let changes = changes.iter().map(Shown::of).collect();
    let outcome = Outcome { scope, is_done: !undo.dry_run, changes };
    printer.data(&outcome, describe)?;
    Ok(ExitCode::SUCCESS)
}

impl UndoLast {
    fn changes(&self, journal: &Journal) -> anyhow::Result<Vec<Change>> {
        let there = ledger::there(journal)?;
        match journal.undo(there) {
            None => Ok(Vec::new()),
            Some(Undo { conflicts, .. }) if !conflicts.is_empty() && !self.force => {
                Err(refuse(&conflicts, self.target.scope()))
            }
            Some(Undo { changes, .. }) => Ok(changes),
        }
    }
}

/// With what others have done since.
fn refuse(conflicts: &[Conflict], scope: Scope) -> anyhow::Error {
    let mut message = "another program has changed since what `env apply` wrote:".to_owned();
    for Conflict { place, expected, found } in conflicts {
        let (before, after) = (expected.clone(), found.clone());
        let shown = Shown::of(&Change { place: place.clone(), before, after });
        message.push_str(&format!("\n{}", shown.describe()));
    }
    let hint = format!(
        "keep it and take out by hand what you do not want, or lose it: \
         gofleet env undo --scope {scope} --force"
    );
    Hinted::new(message, hint).into()
}

fn describe(outcome: &Outcome) -> String {
    if outcome.changes.is_empty() {
        return "there is nothing to undo".to_owned();
    }
    let told = outcome.changes.iter().map(Shown::describe);
    let end = if outcome.is_done { "put back" } else { "nothing is changed (--dry-run)" };
    told.chain([end.to_owned()]).collect::<Vec<_>>().join("\n")
}
