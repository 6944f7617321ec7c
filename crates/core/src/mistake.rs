//! What the small languages of people (limits, rules, selectors) have in common: a mistake is shown
//! with a sign below it, and what was found instead is named in one way.

use std::fmt;

/// What is wrong, and where, in characters from 0.
pub(crate) type Wrong = (usize, String);

/// How many characters are shown on each side of a mistake, and of a word.
const AROUND: usize = 100;

/// Writes what is wrong in a column, counted from 1, and below it the text with a sign under it; of
/// a long text what stands around it.
pub(crate) fn point(
    formatter: &mut fmt::Formatter<'_>,
    text: &str,
    column: usize,
    message: &str,
) -> fmt::Result {
    let left_out = column.saturating_sub(AROUND + 1);
    let mut shown = text.chars().skip(left_out);
    // Control characters would move the sign, or more.
    let line: String = shown
        .by_ref()
        .take(2 * AROUND)
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    let begin = if left_out > 0 { "…" } else { "" };
    let end = if shown.next().is_some() { "…" } else { "" };
    let sign = column - left_out + begin.chars().count();
    write!(formatter, "column {column}: {message}\n  {begin}{line}{end}\n  {:>sign$}", "^")
}

/// A word that was found, as it is called in an error.
pub(crate) fn named(word: &str) -> String {
    if word.is_empty() {
        return "the end".to_owned();
    }
    let mut letters = word.chars();
    let shown: String = letters.by_ref().take(AROUND).collect();
    let end = if letters.next().is_some() { "…" } else { "" };
    format!("`{}{end}`", shown.escape_debug())
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

#[cfg(test)]
mod tests {
    use super::*;

    struct Shown<'a>(&'a str, usize);

    impl fmt::Display for Shown<'_> {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            point(formatter, self.0, self.1, "no")
        }
    }

    #[test]
    fn the_sign_stands_below_the_mistake_however_long_the_text_is() {
        let long = format!("{}x{}", "-".repeat(100_000), "-".repeat(100_000));
        for (text, column) in [("x", 1), ("-x-", 2), ("--", 3), (&long, 100_001), (&long, 200_002)]
        {
            let shown = Shown(text, column).to_string();
            let lines: Vec<Vec<char>> = shown.lines().map(|it| it.chars().collect()).collect();
            let place = lines[2].iter().position(|letter| *letter == '^').unwrap();
            let expect = text.chars().nth(column - 1);
            assert_eq!(lines[1].get(place).copied(), expect, "{column}");
            assert!(lines[1].len() < 250, "{column}");
        }
        assert!(named(&long).chars().count() < 110);
    }
}
