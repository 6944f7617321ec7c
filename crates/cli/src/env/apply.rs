//! `gofleet env apply`: gofleet's Go before all others, and what is dead or double gone.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use gofleet_core::environment::{
    Change, Excess, Limit, Place, PlanError, Request, Savings, Stored, plan, with_snippet,
};
use gofleet_depot::Root;

use super::here::{self, Here};
use super::ledger::Ledger;
use super::{Outcome, Shown, Target};
use crate::failure::Hinted;
use crate::printer::{Printer, paint, style};

/// Put gofleet's Go before all others on PATH
#[derive(Debug, Args)]
#[command(after_help = "\
On Windows this edits PATH in the registry entry by entry: its type, its order, empty entries and
%VARIABLES% stay. On Linux it writes a marked block into ~/.profile (and into .bash_profile,
.bash_login and .zprofile where they are), for the machine into /etc/profile.d/gofleet.sh. What was
there before is kept, and `gofleet env undo` puts it back. Doing it twice changes nothing.

Examples:
  gofleet env apply --dry-run
  gofleet env apply --mend
  gofleet env apply --scope machine --root 'C:\\ProgramData\\gofleet'")]
pub struct Apply {
    /// Print what would change, entry by entry, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove duplicates and folders of Gos that are gone, and set GOROOT aside
    #[arg(long)]
    mend: bool,
    /// Remove every other entry whose folder is not there, too
    #[arg(long, requires = "mend")]
    remove_dead: bool,
    /// Go past 2,047 characters, which newer Windows can take (never past 8,191)
    #[arg(long)]
    allow_long: bool,
    #[command(flatten)]
    target: Target,
}

/// Does it.
pub fn run(apply: &Apply, printer: Printer) -> anyhow::Result<ExitCode> {
    apply.target.check_root()?;
    let root = Root::new(apply.target.root.path()?);
    let scope = apply.target.scope();
    let work = if apply.dry_run {
        apply.work(&root)?
    } else {
        let mut ledger = Ledger::open(&root, scope)?;
        let work = apply.work(&root)?;
        let changes: Vec<Change> = work.iter().map(|(change, _)| change.clone()).collect();
        if !changes.is_empty() {
            ledger.make(&changes, printer)?;
        }
        work
    };
    let changes = work.into_iter().map(|(_, shown)| shown).collect();
    let outcome = Outcome { scope, is_done: !apply.dry_run, changes };
    printer.data(&outcome, describe)?;
    if !root.bin().is_dir() {
        let bin = root.bin();
        printer.warning(format_args!("{} is not there yet: gofleet install", bin.display()));
    }
    Ok(ExitCode::SUCCESS)
}

impl Apply {
    /// What is to be changed, and how it is shown.
    fn work(&self, root: &Root) -> anyhow::Result<Vec<(Change, Shown)>> {
        let bin = root.bin();
        let bin = bin.to_str().with_context(|| format!("{} is not Unicode", bin.display()))?;
        if cfg!(windows) { self.registry(bin) } else { self.files(bin) }
    }

    fn registry(&self, bin: &str) -> anyhow::Result<Vec<(Change, Shown)>> {
        let (here, scope) = (Here::read()?, self.target.scope());
        let request = Request {
            scope,
            bin,
            mends: self.mend,
            removes_dead: self.remove_dead,
            allows_long: self.allow_long,
        };
        let plan = plan(&here.environment, &request, &here).map_err(advise)?;
        let mut work = Vec::new();
        if plan.is_path_new {
            let change = here.change(scope, here::PATH, Some(plan.path.stored()));
            let shown = Shown { place: change.place.clone(), lines: plan.lines.clone() };
            work.push((change, shown));
        }
        if plan.goroot.is_some() {
            let change = here.change(scope, here::GOROOT, None);
            let shown = Shown::of(&change);
            work.push((change, shown));
        }
        Ok(work)
    }

    fn files(&self, bin: &str) -> anyhow::Result<Vec<(Change, Shown)>> {
        let mut work = Vec::new();
        for path in here::profiles(self.target.scope())? {
            let place = Place::File(path);
            let before = here::read(&place)?;
            let content = before.as_ref().map_or(&[][..], |stored| &stored.bytes);
            let after = with_snippet(content, bin, self.mend).map_err(|error| {
                let hint = "mend it by hand: remove what is left of the block";
                anyhow::Error::from(error)
                    .context(Hinted::new(format!("{place} is left alone"), hint))
            })?;
            if after != content {
                let change = Change { place, before, after: Some(Stored::file(after)) };
                let shown = Shown::of(&change);
                work.push((change, shown));
            }
        }
        Ok(work)
    }
}

fn advise(error: PlanError) -> anyhow::Error {
    let hint = match &error {
        PlanError::Unfit { .. } => "choose a root without it: --root DIR".to_owned(),
        PlanError::TooLong(excess) => offers(excess),
    };
    anyhow::Error::from(error).context(Hinted::new("nothing is changed", hint))
}

/// What could go.
fn offers(excess: &Excess) -> String {
    let Savings { mended, mended_characters, dead, dead_characters } = excess.savings;
    let mut offers = Vec::new();
    if mended > 0 {
        offers.push(format!(
            "--mend removes {mended} that are double or dead Gos ({mended_characters} characters)"
        ));
    }
    if dead > 0 {
        offers.push(format!(
            "--mend --remove-dead removes {dead} more whose folders are not there \
             ({dead_characters} characters)"
        ));
    }
    if offers.is_empty() {
        offers.push("all entries are alive and single; remove by hand what you can spare".into());
    }
    if excess.limit == Limit::Value {
        offers.push("--allow-long goes past it, which newer Windows can take".to_owned());
    }
    offers.join("; ")
}

fn describe(outcome: &Outcome) -> String {
    let Outcome { scope, is_done, changes } = outcome;
    if changes.is_empty() {
        return paint(style::GOOD, format_args!("the {scope}'s environment is right already"));
    }
    let told = changes.iter().map(Shown::describe);
    let end = match is_done {
        true => format!("done; `gofleet env undo --scope {scope}` puts back what was there"),
        false => "nothing is changed (--dry-run)".to_owned(),
    };
    told.chain([end]).collect::<Vec<_>>().join("\n")
}
