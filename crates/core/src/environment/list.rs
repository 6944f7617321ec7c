//! A list of folders in one text, and when two of its entries are the same.

use super::{Seen, Surroundings, Text};

/// How a system writes lists and paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `;` between entries, quotes around what holds one, no difference between cases or slashes.
    Windows,
    /// `:` between entries, and nothing else.
    Unix,
}

impl Style {
    /// What stands between two entries.
    pub const fn separator(self) -> char {
        match self {
            Self::Windows => ';',
            Self::Unix => ':',
        }
    }
}

/// The entries of a list, each with its quotes, as `cmd.exe`, Go and Rust read it: a separator
/// between quotes separates nothing. [`join`] makes the same text of them again, byte for byte.
/// An empty text has no entry at all.
pub fn split(text: &str, style: Style) -> Vec<&str> {
    if text.is_empty() {
        return Vec::new();
    }
    let mut is_quoted = false;
    let separates = |character: char| {
        is_quoted ^= style == Style::Windows && character == '"';
        character == style.separator() && !is_quoted
    };
    text.split(separates).collect()
}

/// The text of these entries.
pub fn join<'a>(entries: impl IntoIterator<Item = &'a str>, style: Style) -> String {
    let separator = style.separator().to_string();
    entries.into_iter().collect::<Vec<_>>().join(&separator)
}

/// Whether a quote in the entry is never closed; then whatever follows it belongs to it.
pub(super) fn is_open(entry: &str, style: Style) -> bool {
    style == Style::Windows && entry.matches('"').count() % 2 == 1
}

/// Reads entries of one list.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// How the list is written.
    pub style: Style,
    /// Whether `%VARIABLES%` stand for their values.
    pub is_expanded: bool,
    /// What is known beside the list.
    pub around: &'a dyn Surroundings,
}

impl<'a> Reader<'a> {
    /// A reader of the entries of `text`.
    pub fn of(text: &Text, style: Style, around: &'a dyn Surroundings) -> Self {
        Self { style, is_expanded: text.is_expanded, around }
    }

    /// The text with its variables replaced. One that is not set stays as it is written.
    pub fn expand(&self, text: &str) -> String {
        if !self.is_expanded || self.style == Style::Unix {
            return text.to_owned();
        }
        expand(text, |name| self.around.variable(name))
    }

    /// The folder that an entry means: without quotes, variables replaced.
    pub fn folder(&self, entry: &str) -> String {
        match self.style {
            Style::Windows => self.expand(entry).replace('"', ""),
            Style::Unix => entry.to_owned(),
        }
    }

    /// What entries have in common that mean the same folder, told from their text alone: on
    /// Windows neither case nor the kind of a slash counts, nor one at the end, nor quotes. None
    /// for an empty entry, which means no folder.
    pub fn key(&self, entry: &str) -> Option<String> {
        let folder = self.folder(entry);
        let key = match self.style {
            Style::Windows => without_end(&fold(&folder), '\\'),
            Style::Unix => without_end(&folder, '/'),
        };
        (!key.is_empty()).then_some(key)
    }

    /// What stands where the entry says.
    pub(super) fn look(&self, entry: &str) -> Seen {
        let folder = self.folder(entry);
        // A variable that stays unexpanded names nothing that could be looked for.
        let is_open = self.style == Style::Windows && folder.matches('%').count() >= 2;
        if is_open || folder.is_empty() { Seen::Unknown } else { self.around.look(&folder) }
    }
}

/// The text with each `%VARIABLE%` replaced; one that is not set stays as it is written.
pub(crate) fn expand(text: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let (mut done, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('%') {
        done.push_str(before);
        let named = after.split_once('%');
        match named.and_then(|(name, rest)| Some((variable(name)?, rest))) {
            Some((value, behind)) => {
                done.push_str(&value);
                rest = behind;
            }
            None => {
                done.push('%');
                rest = after;
            }
        }
    }
    done + rest
}

/// Upper case, one character for one as Windows compares names, and one kind of slash.
fn fold(path: &str) -> String {
    let upper = |character: char| {
        let mut upper = character.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(single), None) => single,
            _ => character,
        }
    };
    path.chars().map(|character| if character == '/' { '\\' } else { upper(character) }).collect()
}

/// Without separators at the end, but for that of a root (`C:\`, `/`).
fn without_end(path: &str, separator: char) -> String {
    let trimmed = path.trim_end_matches(separator);
    if trimmed.len() == path.len() || !(trimmed.is_empty() || trimmed.ends_with(':')) {
        return trimmed.to_owned();
    }
    format!("{trimmed}{separator}")
}
