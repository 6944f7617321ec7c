//! What was changed, with exactly what was there before.
//!
//! An entry is saved before its first change, and says nothing of how far the changes came: that
//! is told by what is there. So a kill at any moment leaves an entry that is right.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Scope, Stored};
use crate::time::Timestamp;

/// All that was changed and not undone, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// The newest is the last.
    pub entries: Vec<Entry>,
}

/// What one command changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub made_at: Timestamp,
    /// In the order in which it was done.
    pub changes: Vec<Change>,
}

/// One value or file that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which one.
    pub place: Place,
    /// What was there; none: nothing.
    pub before: Option<Stored>,
    /// What was put there.
    pub after: Option<Stored>,
}

/// Where something is stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A variable in Windows' registry.
    Variable {
        /// For whom.
        scope: Scope,
        /// Its name.
        name: String,
    },
    /// A file that shells read.
    File(PathBuf),
}

/// What undoing the newest entry takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undo {
    /// From what is there to what was there before, the last change first. Empty where nothing
    /// is to be done.
    pub changes: Vec<Change>,
    /// What somebody else has changed since.
    pub conflicts: Vec<Conflict>,
}

/// A place that holds neither what was put there nor what was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Which one.
    pub place: Place,
    /// What was put there.
    pub expected: Option<Stored>,
    /// What is there.
    pub found: Option<Stored>,
}

impl Journal {
    /// Forgets the newest entries of which nothing is there: whoever made them was killed before
    /// the first change or after the last step back. Says whether there were any.
    pub fn settle(&mut self, there: impl Fn(&Place) -> Option<Stored>) -> bool {
        let is_void = |entry: &Entry| entry.changes.iter().all(|it| there(&it.place) == it.before);
        let count = self.entries.len();
        while self.entries.last().is_some_and(is_void) {
            self.entries.pop();
        }
        self.entries.len() != count
    }

    /// What undoing the newest entry takes; none if there is no entry.
    pub fn undo(&self, there: impl Fn(&Place) -> Option<Stored>) -> Option<Undo> {
        let entry = self.entries.last()?;
        let mut undo = Undo { changes: Vec::new(), conflicts: Vec::new() };
        for change in entry.changes.iter().rev() {
            let (place, found) = (change.place.clone(), there(&change.place));
            if found == change.before {
                continue;
            }
            if found != change.after {
                let (expected, found) = (change.after.clone(), found.clone());
                undo.conflicts.push(Conflict { place: place.clone(), expected, found });
            }
            undo.changes.push(Change { place, before: found, after: change.before.clone() });
        }
        Some(undo)
    }

    /// Every place that an entry speaks of.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.entries.iter().flat_map(|entry| &entry.changes).map(|change| &change.place)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable { scope, name } => write!(formatter, "{name} of the {scope}"),
            Self::File(path) => write!(formatter, "{}", path.display()),
        }
    }
}
