//! The journal of one scope on the disk, and making changes such that it is right at any moment.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use gofleet_core::environment::{Change, Entry, Journal, Place, Scope, Stored};
use gofleet_depot::Root;
use gofleet_platform::environment::{self, Alone, Raw, SwapError, Told};
use gofleet_platform::{Access, FileLock, LockError, atomic_write, checkpoint};

use super::here;
use crate::clock::now;
use crate::failure::Hinted;
use crate::printer::Printer;

/// Another gofleet is done within a blink; what takes longer is stuck.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A window that does not answer hangs; it learns of the change when it starts programs anew.
const LONGEST_ANNOUNCEMENT: Duration = Duration::from_secs(5);

/// A journal that this process alone has, and the right to change what it tells of.
pub struct Ledger {
    path: PathBuf,
    scope: Scope,
    pub journal: Journal,
    alone: Alone,
    _lock: FileLock,
}

impl Ledger {
    /// Takes the journal of a scope. What a killed process left in it is settled.
    pub fn open(root: &Root, scope: Scope) -> anyhow::Result<Self> {
        let folder = root.environment();
        let failed = || {
            let hint = "nothing is changed without a way back; name another root with --root";
            Hinted::new(format!("the journal in {} can't be kept", folder.display()), hint)
        };
        fs::create_dir_all(&folder).with_context(failed)?;
        let lock = FileLock::acquire(&folder.join("lock")).map_err(|error| match error {
            LockError::Held { .. } => {
                let hint = "wait until it is done, and try again";
                anyhow::Error::from(error)
                    .context(Hinted::new("another gofleet changes the environment", hint))
            }
            error @ LockError::Unusable { .. } => anyhow::Error::from(error).context(failed()),
        })?;
        let alone = Alone::enter(LONGEST_WAIT)
            .context("another gofleet changes the environment, and does not come to an end")?;
        let path = path_of(root, scope);
        let journal = load(&path)?;
        let mut ledger = Self { path, scope, journal, alone, _lock: lock };
        let there = there(&ledger.journal)?;
        if ledger.journal.settle(&there) {
            ledger.save()?;
        }
        Ok(ledger)
    }

    fn save(&self) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(&self.journal).expect("keys are strings");
        let failed = || format!("the journal {} can't be saved", self.path.display());
        // Values may hold secrets of one user.
        let access = match self.scope {
            Scope::User => Access::Private,
            Scope::Machine => Access::Everyone,
        };
        atomic_write(&self.path, &text, access).with_context(failed)
    }

    /// Makes the changes, such that [`Journal::undo`] takes them back.
    ///
    /// 1. Missing rights are found out before anything is written.
    /// 2. The journal is safe on the disk before the first change: whoever is killed after it
    ///    leaves an entry that tells what was there.
    /// 3. Every change is one replacement, which is there or is not.
    pub fn make(&mut self, changes: &[Change], printer: Printer) -> anyhow::Result<()> {
        self.check_access(changes)?;
        let made_at = now();
        self.journal.entries.push(Entry { made_at, changes: changes.to_vec() });
        self.save()?;
        checkpoint("environment-journaled");
        for change in changes {
            self.swap(change)?;
            checkpoint("environment-changed");
        }
        tell(printer);
        Ok(())
    }

    /// Makes the changes that take back the newest entry, and then forgets it: whoever is killed
    /// in between finds it void, or takes back the rest.
    pub fn take_back(&mut self, changes: &[Change], printer: Printer) -> anyhow::Result<()> {
        self.check_access(changes)?;
        for change in changes {
            self.swap(change)?;
            checkpoint("environment-restored");
        }
        self.journal.entries.pop();
        self.save()?;
        tell(printer);
        Ok(())
    }

    fn check_access(&self, changes: &[Change]) -> anyhow::Result<()> {
        for Change { place, .. } in changes {
            let checked = environment::check_access(&here::location(place));
            checked.map_err(|error| refused(error, place, self.scope))?;
        }
        Ok(())
    }

    fn swap(&self, change: &Change) -> anyhow::Result<()> {
        let Change { place, before, after } = change;
        let [before, after] = [before, after].map(|stored| stored.as_ref().map(raw));
        let location = here::location(place);
        let swapped = environment::swap(&location, before.as_ref(), after.as_ref(), &self.alone);
        swapped.map_err(|error| match error {
            SwapError::System(error) => refused(error, place, self.scope),
            SwapError::Changed => {
                let hint = "nothing of theirs is overwritten; try again, and it is read anew";
                anyhow::Error::from(error)
                    .context(Hinted::new(format!("{place} is left as it is"), hint))
            }
        })
    }
}

/// The journal of a scope without taking it, for those who only look.
pub fn look(root: &Root, scope: Scope) -> anyhow::Result<Journal> {
    let mut journal = load(&path_of(root, scope))?;
    let there = there(&journal)?;
    journal.settle(&there);
    Ok(journal)
}

fn path_of(root: &Root, scope: Scope) -> PathBuf {
    root.environment().join(format!("{scope}.json"))
}

fn load(path: &Path) -> anyhow::Result<Journal> {
    let failed = || {
        let hint = "it tells what was there before; look at it, and put it elsewhere to go on \
                    without";
        Hinted::new(format!("the journal {} can't be read", path.display()), hint)
    };
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Journal::default()),
        Err(error) => Err(error).with_context(failed),
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(failed),
    }
}

/// What is in the places that a journal tells of.
pub fn there(journal: &Journal) -> anyhow::Result<impl Fn(&Place) -> Option<Stored> + use<>> {
    let mut found = Vec::new();
    for place in journal.places() {
        found.push((place.clone(), here::read(place)?));
    }
    Ok(move |place: &Place| {
        let (_, stored) = found.iter().find(|(known, _)| known == place)?;
        stored.clone()
    })
}

fn raw(stored: &Stored) -> Raw {
    Raw { kind: stored.kind, bytes: stored.bytes.clone() }
}

/// What to do where rights are missing.
fn refused(error: io::Error, place: &Place, scope: Scope) -> anyhow::Error {
    let failed = format!("{place} can't be changed");
    if error.kind() != io::ErrorKind::PermissionDenied {
        return anyhow::Error::from(error).context(failed);
    }
    let hint = match scope {
        Scope::Machine if cfg!(windows) => {
            "open a console as administrator and run it there, or change your own environment, \
             which needs no rights: --scope user"
        }
        Scope::Machine => {
            "run it as root, or change your own environment, which needs no rights: --scope user"
        }
        Scope::User => {
            "something keeps you from changing your own environment; ask who \
                        administers this machine"
        }
    };
    anyhow::Error::from(error).context(Hinted::new(failed, hint))
}

/// Tells programs that run, and the person.
fn tell(printer: Printer) {
    match environment::announce(LONGEST_ANNOUNCEMENT) {
        Told::All => printer.message(format_args!(
            "programs that start from now on see it; a console that is open does not"
        )),
        Told::NotAll => printer.message(format_args!(
            "not every window took notice in time; whoever signs in again surely sees it"
        )),
        Told::Nobody => printer.message(format_args!("shells for a login see it from now on")),
    }
}
