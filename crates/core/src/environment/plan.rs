//! The new text of `PATH`: what `gofleet env apply` would write, or why it must not.

use std::collections::HashSet;
use std::fmt;

use thiserror::Error;

use super::difference::{Line, Mark, Reason};
use super::findings::own_key;
use super::list::is_open;
use super::role::{Role, role};
use super::{
    Environment, LONGEST_VALUE, LONGEST_WHOLE, Reader, Scope, Style, Surroundings, Text, join,
    split,
};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Which variables are edited.
    pub scope: Scope,
    /// gofleet's folder, which comes before all other Gos.
    pub bin: &'a str,
    /// Duplicates and dead Gos go too, and `GOROOT` is set aside.
    pub mends: bool,
    /// All other entries whose folder is not there go too.
    pub removes_dead: bool,
    /// [`LONGEST_VALUE`] may be passed, [`LONGEST_WHOLE`] never.
    pub allows_long: bool,
}

/// What would be done. It is made by [`plan`], and doing it makes no choices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Which variables are edited.
    pub scope: Scope,
    /// Every entry of `PATH`, before and after.
    pub lines: Vec<Line>,
    /// `PATH` as it is to be.
    pub path: Text,
    /// Whether `PATH` is not so already.
    pub is_path_new: bool,
    /// The value of `GOROOT`, which is to be set no more.
    pub goroot: Option<Text>,
}

/// What reads a list, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Windows reads one value.
    Value,
    /// `cmd.exe` reads the machine's and the user's together.
    Whole,
}

/// Why nothing may be written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    /// It would get too long.
    #[error("{0}")]
    TooLong(Excess),
    /// gofleet's folder has a character that lists can't hold.
    #[error("{bin} can't stand on PATH: `{character}` has a meaning of its own there")]
    Unfit {
        /// The folder.
        bin: String,
        /// The character.
        character: char,
    },
}

/// By how much it would be too long, and what would help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excess {
    /// Whose variable is edited.
    pub scope: Scope,
    /// The limit.
    pub limit: Limit,
    /// Characters before.
    pub before: usize,
    /// Characters after.
    pub after: usize,
    /// What could go beside what goes already.
    pub savings: Savings,
}

/// Entries that could go, with their separators.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Savings {
    /// Duplicates and dead Gos.
    pub mended: usize,
    /// Characters that these free.
    pub mended_characters: usize,
    /// Other dead folders.
    pub dead: usize,
    /// Characters that these free.
    pub dead_characters: usize,
}

impl Limit {
    /// Most characters.
    pub const fn characters(self) -> usize {
        match self {
            Self::Value => LONGEST_VALUE,
            Self::Whole => LONGEST_WHOLE,
        }
    }

    /// That `length` is too much.
    pub(super) fn complaint(self, scope: Scope, length: usize) -> String {
        let (length, most) = (number(length), number(self.characters()));
        match self {
            Self::Value => format!(
                "the {scope}'s PATH has {length} characters, and Windows may cut a value at {most}"
            ),
            Self::Whole => format!(
                "the whole PATH has {length} characters, and cmd.exe takes no notice of one with \
                 more than {most}"
            ),
        }
    }
}

impl fmt::Display for Excess {
    /// With the arithmetic.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scope, limit, before, after, .. } = self;
        let most = limit.characters();
        match limit {
            Limit::Value => write!(formatter, "the {scope}'s PATH would get too long: ")?,
            Limit::Whole => formatter.write_str("the whole PATH would get too long: ")?,
        }
        let [before, grown, after, over, most] =
            [*before, after - before, *after, after - most, most].map(number);
        write!(formatter, "{before} characters + {grown} = {after}, {over} more than {most}")
    }
}

/// With commas between thousands.
fn number(number: usize) -> String {
    let digits = number.to_string();
    let (head, tail) = digits.split_at(digits.len() % 3);
    let (threes, _) = tail.as_bytes().as_chunks::<3>();
    let threes = threes.iter().map(|three| String::from_utf8_lossy(three).into_owned());
    let parts = (!head.is_empty()).then(|| head.to_owned()).into_iter().chain(threes);
    parts.collect::<Vec<_>>().join(",")
}

/// An entry on its way through the edit.
struct Fate<'a> {
    entry: &'a str,
    role: Role,
    goes: Option<Reason>,
}

/// What is to be done so that gofleet's folder comes before all other Gos of the scope.
///
/// Where there is none of them it comes last, so that it stands in nobody's way; empty entries at
/// the end stay at the end.
///
/// # Errors
///
/// [`PlanError`] if a program could not read the result. What is too long already may get shorter.
pub fn plan(
    environment: &Environment,
    request: &Request<'_>,
    around: &dyn Surroundings,
) -> Result<Plan, PlanError> {
    let style = environment.style;
    let variables = environment.of(request.scope);
    // A new value is of the type that Windows itself gives to Path.
    let new = Text { text: String::new(), is_expanded: true };
    let text = variables.path.as_ref().unwrap_or(&new);
    check_fit(request.bin, text, style)?;
    let goroot = variables.goroot.clone().filter(|_| request.mends);
    let reader = Reader::of(text, style, around);
    let own = own_key(&reader, request.bin);
    let mut fates: Vec<Fate<'_>> = split(&text.text, style)
        .into_iter()
        .map(|entry| Fate { entry, role: role(&reader, entry, &own), goes: None })
        .collect();
    remove(&mut fates, &reader, request, goroot.is_some());
    let lines = place(&mut fates, request.bin, style);
    let after = lines.iter().filter(|line| line.mark != Mark::Removed);
    let after = join(after.map(|line| line.entry.as_str()), style);
    let is_path_new = after != text.text;
    let path = Text { text: after, is_expanded: text.is_expanded };
    if style == Style::Windows && is_path_new {
        let savings = savings(&fates, &reader, request);
        check_length(environment, request, &path, savings, around)?;
    }
    Ok(Plan { scope: request.scope, lines, path, is_path_new, goroot })
}

/// A folder whose name means something in a list would break the list.
fn check_fit(bin: &str, text: &Text, style: Style) -> Result<(), PlanError> {
    let is_unfit = |character: char| match (style, character) {
        (Style::Windows, ';' | '"') | (Style::Unix, ':') => true,
        (Style::Windows, '%') => text.is_expanded,
        _ => character.is_control(),
    };
    match bin.chars().find(|character| is_unfit(*character)) {
        Some(character) => Err(PlanError::Unfit { bin: bin.to_owned(), character }),
        None => Ok(()),
    }
}

/// Marks what goes.
fn remove(fates: &mut [Fate<'_>], reader: &Reader<'_>, request: &Request<'_>, goroot: bool) {
    let mut seen = HashSet::new();
    for fate in fates {
        let Some(key) = reader.key(fate.entry) else { continue };
        let is_double = !seen.insert(key);
        fate.goes = if is_double && request.mends {
            Some(Reason::Duplicate)
        } else if goroot && fate.entry.to_uppercase().contains("%GOROOT%") {
            Some(Reason::NeedsGoroot)
        } else {
            removable(fate.role).filter(|reason| match reason {
                Reason::DeadGo => request.mends,
                _ => request.removes_dead,
            })
        };
    }
}

const fn removable(role: Role) -> Option<Reason> {
    match role {
        Role::DeadGo => Some(Reason::DeadGo),
        Role::Dead => Some(Reason::DeadFolder),
        Role::Own | Role::Go | Role::Other => None,
    }
}

/// Puts gofleet's folder where it belongs, unless it is there, and tells what becomes of each.
fn place(fates: &mut [Fate<'_>], bin: &str, style: Style) -> Vec<Line> {
    let stays = |fate: &Fate<'_>| fate.goes.is_none();
    let is_go = |fate: &Fate<'_>| matches!(fate.role, Role::Go | Role::DeadGo) && stays(fate);
    let first_go = fates.iter().position(is_go);
    let own = fates.iter().position(|fate| fate.role == Role::Own && stays(fate));
    let at = match (own, first_go) {
        (Some(own), first_go) if first_go.is_none_or(|go| own < go) => None,
        (Some(_), first_go) => {
            let moved = fates.iter_mut().filter(|fate| fate.role == Role::Own);
            moved.for_each(|fate| fate.goes = Some(Reason::Moved));
            first_go
        }
        (None, first_go) => Some(first_go.unwrap_or_else(|| end(fates, style))),
    };
    let new =
        Line::new(Mark::Added, bin, Some(if own.is_some() { Reason::Moved } else { Reason::Own }));
    let mut lines: Vec<Line> = fates
        .iter()
        .map(|fate| {
            let mark = if fate.goes.is_some() { Mark::Removed } else { Mark::Kept };
            Line::new(mark, fate.entry, fate.goes)
        })
        .collect();
    if let Some(at) = at {
        lines.insert(at, new);
    }
    lines
}

/// Behind the last entry that is not empty, but before one that would swallow what follows.
fn end(fates: &[Fate<'_>], style: Style) -> usize {
    let last = fates.iter().rposition(|fate| !fate.entry.is_empty());
    match last {
        Some(last) if is_open(fates[last].entry, style) => last,
        Some(last) => last + 1,
        None => 0,
    }
}

fn savings(fates: &[Fate<'_>], reader: &Reader<'_>, request: &Request<'_>) -> Savings {
    let mut savings = Savings::default();
    let mut seen = HashSet::new();
    for fate in fates.iter().filter(|fate| fate.goes.is_none()) {
        let Some(key) = reader.key(fate.entry) else { continue };
        let characters = length(fate.entry) + 1;
        if !seen.insert(key) || fate.role == Role::DeadGo && !request.mends {
            savings.mended += 1;
            savings.mended_characters += characters;
        } else if fate.role == Role::Dead {
            savings.dead += 1;
            savings.dead_characters += characters;
        }
    }
    savings
}

/// Characters as Windows counts them.
fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Characters of a value as it is stored or as programs get it, whichever is more.
pub fn value_length(text: &Text, around: &dyn Surroundings) -> usize {
    length(&text.text).max(expanded_length(text, around))
}

fn expanded_length(text: &Text, around: &dyn Surroundings) -> usize {
    length(&Reader::of(text, Style::Windows, around).expand(&text.text))
}

/// Characters of the machine's and the user's `PATH` as programs get them, with the separator between.
pub fn whole_length(environment: &Environment, around: &dyn Surroundings) -> usize {
    let texts = [&environment.machine.path, &environment.user.path].into_iter().flatten();
    let lengths = texts.map(|text| expanded_length(text, around)).filter(|length| *length > 0);
    lengths.fold(0, |whole, length| if whole == 0 { length } else { whole + 1 + length })
}

fn check_length(
    environment: &Environment,
    request: &Request<'_>,
    path: &Text,
    savings: Savings,
    around: &dyn Surroundings,
) -> Result<(), PlanError> {
    let scope = request.scope;
    let mut edited = environment.clone();
    match scope {
        Scope::User => edited.user.path = Some(path.clone()),
        Scope::Machine => edited.machine.path = Some(path.clone()),
    }
    let value = |environment: &Environment| {
        environment.of(scope).path.as_ref().map_or(0, |text| value_length(text, around))
    };
    let whole = |environment: &Environment| whole_length(environment, around);
    let check = |limit: Limit, before: usize, after: usize| {
        if after > limit.characters() && after > before {
            return Err(PlanError::TooLong(Excess { scope, limit, before, after, savings }));
        }
        Ok(())
    };
    check(Limit::Whole, whole(environment), whole(&edited))?;
    if request.allows_long {
        return Ok(());
    }
    check(Limit::Value, value(environment), value(&edited))
}
