//! What an agent must not forget: the newest order, how far it came with it, and what the server
//! has not heard yet. One file, replaced as a whole.
//!
//! The ledger never says what is active: that is `active.json`, the depot's own. So a lost ledger
//! costs history but cannot make the agent believe something wrong about the disk.

use std::fs;
use std::io;
use std::path::PathBuf;

use gofleet_core::agent::{Event, Impossible, Seen, advance};
use gofleet_core::ids::ReleaseId;
use gofleet_core::order::{Failure, Order, Progress, Receipt, Step, Taken};
use gofleet_core::time::{Span, Timestamp};
use gofleet_platform::{Access, atomic_write};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The form of the file that this program writes, and the newest that it reads.
const VERSION: u32 = 1;
/// Final answers that wait for the server: more than a device gets orders while a server is away.
const MAX_OUTBOX: usize = 64;

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
    /// What the next order is measured against.
    seen: Option<Seen>,
    /// The newest order.
    task: Option<Task>,
    /// Set from the moment before a release is made active until its checks have passed: the
    /// release to go back to.
    unproven: Option<Unproven>,
    /// What the server has not heard yet, oldest first.
    outbox: Vec<Progress>,
    /// What the sequence of the next order begins with.
    first_sequence: u64,
}

/// A release may be active that no check has passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unproven {
    /// What was active before it; none: nothing.
    pub earlier: Option<ReleaseId>,
}

/// An order and how far it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The order.
    pub order: Order,
    /// Where the device stands with it.
    pub step: Step,
    /// The sequence of its last report.
    pub sequence: u64,
    /// When the order was taken up.
    pub started_at: Timestamp,
    /// When the present step began, by this device's clock: for the record only.
    pub step_since: Timestamp,
    /// How long the earlier steps took.
    pub steps: Vec<(Step, Span)>,
    /// How long the release has been healthy after activation.
    pub soaked: Span,
    /// Bytes downloaded for the order.
    pub bytes_downloaded: u64,
    /// How the release came onto the device.
    #[serde(default)]
    pub way: Option<Taken>,
    /// Files that were compared with the manifest.
    pub files_verified: u64,
    /// What failed.
    pub failure: Option<Failure>,
    /// The evidence for how it ended.
    pub receipt: Option<Receipt>,
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
        Self {
            version: VERSION,
            seen: None,
            task: None,
            unproven: None,
            outbox: Vec::new(),
            first_sequence,
        }
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

    /// What the next order is measured against.
    pub fn seen(&self) -> Option<&Seen> {
        self.content.seen.as_ref()
    }

    /// The newest order and how far it came.
    pub fn task(&self) -> Option<&Task> {
        self.content.task.as_ref()
    }

    /// Whether and what to go back to if what is active proves broken.
    pub fn unproven(&self) -> Option<&Unproven> {
        self.content.unproven.as_ref()
    }

    /// The oldest report that the server has not heard.
    pub fn next_report(&self) -> Option<&Progress> {
        self.content.outbox.first()
    }

    /// Takes up an order.
    ///
    /// Crash ordering: before this is on disk nothing is done for the order, so a kill leaves the
    /// device with the earlier one; afterwards the order is never asked for again.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unwritable`], and the earlier order stays.
    pub fn take_up(&mut self, order: Order, now: Timestamp) -> Result<(), LedgerError> {
        self.change(|content| {
            content.seen = Some(Seen::of(&order));
            content.task = Some(Task {
                order,
                step: Step::Offered,
                sequence: content.first_sequence,
                started_at: now,
                step_since: now,
                steps: Vec::new(),
                soaked: Span::ZERO,
                bytes_downloaded: 0,
                way: None,
                files_verified: 0,
                failure: None,
                receipt: None,
            });
        })
    }

    /// Writes down what happened and, with it, what the server is to hear of it. `change` adds
    /// what is known besides.
    ///
    /// Crash ordering: whatever the next step does begins only after this returned. So the step in
    /// the file is the one that was being worked on, and to repeat its action is always right.
    ///
    /// # Errors
    ///
    /// [`LedgerError`], and the ledger is as before.
    pub fn record(
        &mut self,
        event: Event,
        active: Option<&str>,
        now: Timestamp,
        change: impl FnOnce(&mut Task, &mut Option<Unproven>),
    ) -> Result<(), LedgerError> {
        let Some(task) = &self.content.task else { return Ok(()) };
        let next = advance(task.step, event).map_err(LedgerError::Impossible)?;
        self.change(|content| {
            let Some(task) = &mut content.task else { return };
            task.steps.push((task.step, now.since(task.step_since)));
            task.step = next;
            task.step_since = now;
            change(task, &mut content.unproven);
            task.sequence += 1;
            let progress = task.progress(active);
            put_out(&mut content.outbox, progress);
        })
    }

    /// Changes what is known of the present step, without a report.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unwritable`], and the ledger is as before.
    pub fn note(&mut self, change: impl FnOnce(&mut Task)) -> Result<(), LedgerError> {
        self.change(|content| {
            if let Some(task) = &mut content.task {
                change(task);
            }
        })
    }

    /// Reports the present step once more, with what is known of it now.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unwritable`], and the ledger is as before.
    pub fn report_again(
        &mut self,
        active: Option<&str>,
        change: impl FnOnce(&mut Task),
    ) -> Result<(), LedgerError> {
        self.change(|content| {
            let Some(task) = &mut content.task else { return };
            change(task);
            task.sequence += 1;
            let progress = task.progress(active);
            put_out(&mut content.outbox, progress);
        })
    }

    /// The server has heard this report: it and those that it replaced need not be told again.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unwritable`]: then it is told again, which changes nothing.
    pub fn delivered(&mut self, told: &Progress) -> Result<(), LedgerError> {
        let is_told = |progress: &Progress| {
            progress.generation == told.generation && progress.sequence <= told.sequence
        };
        if self.content.outbox.iter().any(is_told) {
            self.change(|content| content.outbox.retain(|progress| !is_told(progress)))
        } else {
            Ok(())
        }
    }

    /// Writes first, and believes it only then.
    fn change(&mut self, change: impl FnOnce(&mut Content)) -> Result<(), LedgerError> {
        let mut content = self.content.clone();
        change(&mut content);
        let bytes = serde_json::to_vec(&content).expect("a ledger is made of strings and numbers");
        atomic_write(&self.path, &bytes, Access::Private)
            .map_err(|source| LedgerError::Unwritable { path: self.path.clone(), source })?;
        self.content = content;
        Ok(())
    }
}

impl Task {
    fn progress(&self, active: Option<&str>) -> Progress {
        Progress {
            generation: self.order.generation,
            sequence: self.sequence,
            step: self.step,
            active: active.map(str::to_owned),
            bytes_downloaded: self.bytes_downloaded,
            way: self.way.clone(),
            failure: self.failure.clone(),
            receipt: self.receipt.clone(),
        }
    }
}

/// A later step replaces an earlier one that was not told; how an order ended is never replaced.
fn put_out(outbox: &mut Vec<Progress>, progress: Progress) {
    outbox.retain(|other| other.generation != progress.generation || !other.step.is_in_flight());
    outbox.push(progress);
    if outbox.len() > MAX_OUTBOX {
        outbox.remove(0);
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
