//! The agent's memory on disk: one file, replaced as a whole. What is remembered, and what a
//! change of it is, stands in [`Memory`]; that it is on disk before it is believed, here.

use std::fs;
use std::io;
use std::path::PathBuf;

use gofleet_core::agent::{Impossible, Memory, OnDisk, Outcome};
use gofleet_core::offer::{NotTaken, Note, Notice};
use gofleet_core::order::{Order, Progress};
use gofleet_core::time::{Span, Timestamp};
use gofleet_platform::{Access, atomic_write};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The form of the file that this program writes, and the newest that it reads.
const VERSION: u32 = 1;

/// The ledger with the file that it stands in.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    content: Content,
}

/// What stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    version: u32,
    #[serde(flatten)]
    memory: Memory,
}

/// Why the ledger cannot be used.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// It cannot be read.
    #[error("cannot read the ledger {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write the ledger {}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A newer agent wrote it.
    #[error(
        "the ledger {} has the form {found} of a newer agent, this one knows {VERSION}: start the \
         newer agent again",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its form.
        found: u32,
    },
    /// The agent itself is wrong.
    #[error("the agent's own order of steps is broken")]
    Impossible(#[source] Impossible),
}

/// How a ledger was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// As it was left, or none yet.
    Whole,
    /// Not to be understood; it was put aside and a new one begun.
    Damaged {
        /// Where the damaged one lies now.
        aside: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Content {
    const fn new(first_sequence: u64) -> Self {
        Self { version: VERSION, memory: Memory::new(first_sequence) }
    }
}

impl Ledger {
    /// Reads the ledger at `path`; begins a new one if there is none, or if it is damaged.
    ///
    /// The sequences of a new ledger after a damaged one begin with the present time in
    /// milliseconds, which is beyond any that was counted up from one: else the server would take
    /// the next reports for late ones.
    ///
    /// # Errors
    ///
    /// [`LedgerError`] if it cannot be read or a newer agent wrote it: then it is left alone.
    pub fn open(path: PathBuf, now: Timestamp) -> Result<(Self, Found), LedgerError> {
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((Self { path, content: Content::new(0) }, Found::Whole));
            }
            Err(source) => return Err(LedgerError::Unreadable { path, source }),
        };
        match read(&bytes) {
            Ok(content) => Ok((Self { path, content }, Found::Whole)),
            Err(Unfit::Newer(found)) => Err(LedgerError::Newer { path, found }),
            Err(Unfit::Damaged(reason)) => {
                let aside = path.with_extension("damaged.json");
                gofleet_platform::rename(&path, &aside)
                    .map_err(|source| LedgerError::Unwritable { path: path.clone(), source })?;
                let content = Content::new(now.as_millis().max(0).unsigned_abs());
                Ok((Self { path, content }, Found::Damaged { aside, reason }))
            }
        }
    }

    /// What is remembered.
    pub fn memory(&self) -> &Memory {
        &self.content.memory
    }

    /// Takes up an order.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unwritable`], and the earlier order stays.
    pub fn take_up(&mut self, order: Order, now: Timestamp) -> Result<(), LedgerError> {
        self.change(|memory| memory.take_up(order, now))
    }

    /// Writes down what happened and, with it, what the server is to hear of it.
    ///
    /// # Errors
    ///
    /// [`LedgerError`], and the ledger is as before.
    pub fn record(
        &mut self,
        outcome: Outcome,
        disk: &OnDisk<'_>,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let mut memory = self.content.memory.clone();
        memory.record(outcome, disk, now).map_err(LedgerError::Impossible)?;
        self.change(|known| *known = memory)
    }

    /// Writes down how much longer the release has been healthy.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unwritable`], and the ledger is as before.
    pub fn note_soaked(&mut self, slice: Span) -> Result<(), LedgerError> {
        self.change(|memory| memory.note_soaked(slice))
    }

    /// Writes down until when the window is closed. Whether that is news.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unwritable`], and the ledger is as before.
    pub fn note_waiting(
        &mut self,
        opens: Option<Timestamp>,
        active: Option<&str>,
    ) -> Result<bool, LedgerError> {
        let mut memory = self.content.memory.clone();
        let is_news = memory.note_waiting(opens, active);
        if is_news {
            self.change(|known| *known = memory)?;
        }
        Ok(is_news)
    }

    /// Writes down what the user is to be told now, if anything; whether that is so.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unwritable`], and the ledger is as before.
    pub fn remind(&mut self, now: Timestamp) -> Result<bool, LedgerError> {
        let mut memory = self.content.memory.clone();
        let is_due = memory.remind(now);
        if is_due {
            self.change(|known| *known = memory)?;
        }
        Ok(is_due)
    }

    /// Judges a user's note and writes that down, and what the server is to hear of it.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unwritable`], and the note was not judged.
    pub fn take_note(
        &mut self,
        id: &str,
        note: &Note,
        now: Timestamp,
        active: Option<&str>,
    ) -> Result<Result<(), NotTaken>, LedgerError> {
        let mut memory = self.content.memory.clone();
        let verdict = memory.take_note(id, (note.generation, note.word), now, active);
        self.change(|known| *known = memory)?;
        Ok(verdict)
    }

    /// Writes down that the notifier was given a notice.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unwritable`]: then it is given it again.
    pub fn note_told(&mut self, notice: &Notice) -> Result<(), LedgerError> {
        self.change(|memory| memory.note_told(notice))
    }

    /// Writes down how many bytes have come, and that the server is to hear of it.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unwritable`], and the ledger is as before.
    pub fn note_bytes(&mut self, bytes: u64, active: Option<&str>) -> Result<(), LedgerError> {
        self.change(|memory| memory.note_bytes(bytes, active))
    }

    /// The server has heard this report: it and those that it replaced need not be told again.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unwritable`]: then it is told again, which changes nothing.
    pub fn delivered(&mut self, told: &Progress) -> Result<(), LedgerError> {
        let mut memory = self.content.memory.clone();
        if memory.delivered(told) { self.change(|known| *known = memory) } else { Ok(()) }
    }

    /// Writes first, and believes it only then.
    fn change(&mut self, change: impl FnOnce(&mut Memory)) -> Result<(), LedgerError> {
        let mut content = self.content.clone();
        change(&mut content.memory);
        let bytes = serde_json::to_vec(&content).expect("a ledger is made of strings and numbers");
        atomic_write(&self.path, &bytes, Access::Private)
            .map_err(|source| LedgerError::Unwritable { path: self.path.clone(), source })?;
        self.content = content;
        Ok(())
    }
}

enum Unfit {
    Newer(u32),
    Damaged(String),
}

fn read(bytes: &[u8]) -> Result<Content, Unfit> {
    #[derive(Deserialize)]
    struct Form {
        version: u32,
    }
    let damaged = |error: serde_json::Error| Unfit::Damaged(error.to_string());
    let Form { version } = serde_json::from_slice(bytes).map_err(damaged)?;
    if version > VERSION {
        return Err(Unfit::Newer(version));
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

#[cfg(test)]
#[path = "ledger/tests.rs"]
mod tests;
