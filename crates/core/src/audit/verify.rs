//! Finding the first fault of a log.
//!
//! The verifier takes the lines of an export one after the other and keeps only the last link, so
//! that a log of any length is verified in the memory of one entry.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::{Head, Link, canonical, hash_of};
use crate::digest::Digest;

/// What an entry is called that tells of lost ones.
const HISTORY_LOST: &str = "audit.history_lost";

/// The first thing that is wrong with a log, and where: `entry` is a sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// The entry is not what was written.
    Edited {
        /// The entry.
        entry: u64,
    },
    /// The entry fits its own hash but does not follow from the one before: one of the two was
    /// written anew, with its hash.
    Unlinked {
        /// The entry.
        entry: u64,
    },
    /// Entries are missing before others.
    Deleted {
        /// The first that is missing.
        entry: u64,
        /// The last of them.
        through: u64,
    },
    /// Another entry stands in this one's place; both are there, or one is there twice.
    Reordered {
        /// The entry whose place it is.
        entry: u64,
        /// The one that stands there.
        found: u64,
    },
    /// The log ends before its own head says.
    TailCut {
        /// The first that is missing.
        entry: u64,
        /// How many there must be.
        count: u64,
    },
    /// The entry is not the one that the log's own head tells of: it and those before it, or some
    /// of them, were written anew.
    Rewritten {
        /// The entry.
        entry: u64,
    },
    /// The log is not the one of which a head was kept: an older database was put in its place,
    /// and may have gone on since.
    OlderDatabase {
        /// The first entry that is known to be missing or to be another.
        entry: u64,
        /// How many entries there are.
        found: u64,
        /// How many there were when the head was kept.
        count: u64,
    },
    /// An entry tells that the server found entries of its log missing, and no head vouches for
    /// what is there since.
    HistoryLost {
        /// The entry that tells it.
        entry: u64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edited { entry } => write!(formatter, "entry {entry} was edited"),
            Self::Unlinked { entry } if *entry == 1 => {
                write!(formatter, "entry 1 is not the first of a log: it was written anew")
            }
            Self::Unlinked { entry } => write!(
                formatter,
                "entry {entry} does not follow from entry {}: one of them was written anew, with \
                 its hash",
                entry - 1
            ),
            Self::Deleted { entry, through } if entry == through => {
                write!(formatter, "entry {entry} was deleted")
            }
            Self::Deleted { entry, through } => {
                write!(formatter, "entries {entry} to {through} were deleted")
            }
            Self::Reordered { entry, found } => {
                write!(formatter, "entry {found} stands in the place of entry {entry}")
            }
            Self::TailCut { entry, count } => write!(
                formatter,
                "the tail was cut: entries {entry} to {count} are missing, of which the log's own \
                 head tells"
            ),
            Self::Rewritten { entry } => write!(
                formatter,
                "entry {entry} is not the one that the log's own head tells of: it was written \
                 anew, and those before it may have been"
            ),
            Self::OlderDatabase { entry, found, count } if found < count => write!(
                formatter,
                "an older database was put in place: it has {found} entries, and the head that was \
                 kept tells of {count}; entry {entry} is the first that is missing"
            ),
            Self::OlderDatabase { entry, .. } => write!(
                formatter,
                "an older database was put in place and has gone on since, or the log was written \
                 anew: entry {entry} is not the one that the kept head tells of"
            ),
            Self::HistoryLost { entry } => write!(
                formatter,
                "entry {entry} tells that the server found its log cut or its database older than \
                 its last head: entries were lost"
            ),
        }
    }
}

impl std::error::Error for Fault {}

/// A log without a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// How far it goes.
    #[serde(flatten)]
    pub link: Link,
    /// How far the head that was kept vouches for it, if one was given.
    pub vouched_count: Option<u64>,
}

/// Verifies a log line by line.
#[derive(Debug)]
pub struct Verifier {
    last: Link,
    current: Option<Head>,
    kept: Option<Head>,
    lost: Option<u64>,
    /// Entries that were not where they should be; whether they come later is not known yet.
    gap: Option<Gap>,
}

#[derive(Debug)]
struct Gap {
    first: u64,
    found: u64,
}

impl Default for Verifier {
    fn default() -> Self {
        Self::after(Link::START)
    }
}

impl Verifier {
    /// For a log whose beginning up to `last` is known.
    pub const fn after(last: Link) -> Self {
        Self { last, current: None, kept: None, lost: None, gap: None }
    }

    /// The log must go as far as this: it is the head that the log has of itself.
    #[must_use]
    pub fn with_current(self, head: Head) -> Self {
        Self { current: Some(head), ..self }
    }

    /// The log must be the one of this head, which was kept elsewhere.
    #[must_use]
    pub fn with_kept(self, head: Head) -> Self {
        Self { kept: Some(head), ..self }
    }

    /// Takes the next line, without its end.
    ///
    /// # Errors
    ///
    /// The first [`Fault`]. Some show only later, at the latest when [`finish`](Self::finish) is
    /// called.
    pub fn take(&mut self, line: &[u8]) -> Result<(), Fault> {
        let entry = self.last.count + 1;
        if let Some(gap) = &self.gap {
            // Only one question is left: was it taken out, or moved?
            return match read(line) {
                Some(read) if read.sequence == gap.first => {
                    Err(Fault::Reordered { entry: gap.first, found: gap.found })
                }
                _ => Ok(()),
            };
        }
        let read = read(line).ok_or(Fault::Edited { entry })?;
        if read.sequence < entry {
            return Err(Fault::Reordered { entry, found: read.sequence });
        }
        if read.sequence > entry {
            self.gap = Some(Gap { first: entry, found: read.sequence });
            return Ok(());
        }
        if read.previous != self.last.hash {
            return Err(Fault::Unlinked { entry });
        }
        self.last = Link { count: entry, hash: read.hash };
        if read.tells_of_loss {
            self.lost = Some(entry);
        }
        self.compare()
    }

    /// Compares the heads that end with this entry.
    fn compare(&self) -> Result<(), Fault> {
        let Link { count: entry, hash } = self.last;
        let is_other =
            |head: &Option<Head>| head.is_some_and(|head| head.count == entry && head.hash != hash);
        if is_other(&self.kept) {
            return Err(Fault::OlderDatabase { entry, found: entry, count: entry });
        }
        if is_other(&self.current) {
            return Err(Fault::Rewritten { entry });
        }
        Ok(())
    }

    /// No line is left.
    ///
    /// # Errors
    ///
    /// The first [`Fault`].
    pub fn finish(self) -> Result<Verified, Fault> {
        if let Some(Gap { first, found }) = self.gap {
            return Err(Fault::Deleted { entry: first, through: found - 1 });
        }
        let (found, entry) = (self.last.count, self.last.count + 1);
        if let Some(head) = self.current.filter(|head| head.count > found) {
            return Err(Fault::TailCut { entry, count: head.count });
        }
        if let Some(head) = self.kept.filter(|head| head.count > found) {
            return Err(match self.current {
                // The log is whole by what it has of itself: all of it is older.
                Some(_) => Fault::OlderDatabase { entry, found, count: head.count },
                None => Fault::TailCut { entry, count: head.count },
            });
        }
        let vouched_count = self.kept.map(|head| head.count);
        match self.lost.filter(|lost| vouched_count.is_none_or(|count| count < *lost)) {
            Some(entry) => Err(Fault::HistoryLost { entry }),
            None => Ok(Verified { link: self.last, vouched_count }),
        }
    }
}

/// Verifies a whole log.
///
/// # Errors
///
/// The first [`Fault`].
pub fn verify<L: AsRef<[u8]>>(
    mut verifier: Verifier,
    lines: impl IntoIterator<Item = L>,
) -> Result<Verified, Fault> {
    for line in lines {
        verifier.take(line.as_ref())?;
    }
    verifier.finish()
}

/// What the chain needs of an entry.
struct Read {
    sequence: u64,
    previous: Digest,
    hash: Digest,
    tells_of_loss: bool,
}

/// Reads an entry that is byte for byte what was hashed; none if it is not.
fn read(line: &[u8]) -> Option<Read> {
    let text = std::str::from_utf8(line).ok()?;
    let mut value: Value = serde_json::from_str(text).ok()?;
    // One way only to write it: no other order, space or escape passes.
    if canonical(&value).ok()? != text {
        return None;
    }
    let fields = value.as_object_mut()?;
    let Value::String(hash) = fields.remove("hash")? else { return None };
    let read = Read {
        sequence: fields.get("sequence")?.as_u64()?,
        previous: fields.get("previous")?.as_str()?.parse().ok()?,
        hash: hash_of(&canonical(&value).ok()?),
        tells_of_loss: value.get("action")?.as_str()? == HISTORY_LOST,
    };
    // As text: a digest may be written in capitals too.
    (read.hash.to_string() == hash).then_some(read)
}
