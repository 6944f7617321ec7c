//! What the small languages of people (limits, rules, selectors) have in common: a mistake is shown
//! with a sign below it, and what was found instead is named in one way.

use std::fmt;

/// What is wrong, and where, in characters from 0.
pub(crate) type Wrong = (usize, String);

/// Writes what is wrong in a column, counted from 1, and below it the text with a sign under it.
pub(crate) fn point(
    formatter: &mut fmt::Formatter<'_>,
    text: &str,
    column: usize,
    message: &str,
) -> fmt::Result {
    // Control characters would move the sign, or more.
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    write!(formatter, "column {column}: {message}\n  {line}\n  {:>column$}", "^")
}

/// A word that was found, as it is called in an error.
pub(crate) fn named(word: &str) -> String {
    if word.is_empty() { "the end".to_owned() } else { format!("`{}`", word.escape_debug()) }
}

/// A decimal number with at most so many digits before the point and three behind it, in
/// thousandths.
pub(crate) fn thousandths(text: &str, digits: usize) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || fraction.len() > 3 || whole.len() > digits {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<3}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(fraction)
}
