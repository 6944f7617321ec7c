//! What an edit does to a list, entry by entry.

use std::fmt;

use serde::Serialize;

/// One entry of the list before, after, or both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What becomes of it.
    pub mark: Mark,
    /// The entry as it is written.
    pub entry: String,
    /// Why, where it does not stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// What becomes of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// It stays.
    Kept,
    /// It is new.
    Added,
    /// It goes.
    Removed,
}

/// Why an entry comes or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// gofleet's `go` is to be found.
    Own,
    /// It comes before the other Gos.
    Moved,
    /// The same folder stands further ahead.
    Duplicate,
    /// A Go was there and is not any more.
    DeadGo,
    /// The folder is not there.
    DeadFolder,
    /// It is written with `GOROOT`, which is set aside.
    NeedsGoroot,
}

impl Line {
    pub(super) fn new(mark: Mark, entry: &str, reason: Option<Reason>) -> Self {
        Self { mark, entry: entry.to_owned(), reason }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Own => "gofleet's go",
            Self::Moved => "moved before the other Gos",
            Self::Duplicate => "stands further ahead already",
            Self::DeadGo => "no Go is there any more",
            Self::DeadFolder => "no folder is there",
            Self::NeedsGoroot => "written with GOROOT, which is set aside",
        })
    }
}

impl fmt::Display for Line {
    /// As in a diff, with the reason behind.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.mark {
            Mark::Kept => ' ',
            Mark::Added => '+',
            Mark::Removed => '-',
        };
        write!(formatter, "{mark} {}", self.entry)?;
        match self.reason {
            Some(reason) => write!(formatter, "   ({reason})"),
            None => Ok(()),
        }
    }
}

/// The shortest way from one list to another, by entries as they are written.
pub fn difference(before: &[&str], after: &[&str]) -> Vec<Line> {
    let common = common_lengths(before, after);
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    loop {
        match (before.get(i), after.get(j)) {
            (Some(old), Some(new)) if old == new => {
                lines.push(Line::new(Mark::Kept, old, None));
                (i, j) = (i + 1, j + 1);
            }
            (Some(old), new) if new.is_none() || common[i + 1][j] >= common[i][j + 1] => {
                lines.push(Line::new(Mark::Removed, old, None));
                i += 1;
            }
            (_, Some(new)) => {
                lines.push(Line::new(Mark::Added, new, None));
                j += 1;
            }
            (_, None) => return lines,
        }
    }
}

/// How many entries the tails from `[i]` and `[j]` have in common at best.
fn common_lengths(before: &[&str], after: &[&str]) -> Vec<Vec<usize>> {
    let mut common = vec![vec![0; after.len() + 1]; before.len() + 1];
    for i in (0..before.len()).rev() {
        for j in (0..after.len()).rev() {
            common[i][j] = if before[i] == after[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    common
}
