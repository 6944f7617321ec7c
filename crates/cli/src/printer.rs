//! The one place that writes to the terminal.
//!
//! Data goes to standard output, as text for people or, with `--json`, as one JSON value for
//! programs. Everything else (messages, warnings, progress) goes to standard error. Colour only
//! underlines what the words say already, and is left out where the terminal or `NO_COLOR` says
//! so.

use std::fmt::{Arguments, Display};
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// For whom data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// How much is told beside the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Errors only.
    Quiet,
    /// What happens.
    Normal,
    /// Each step.
    Verbose,
}

/// Writes data, messages and progress.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    format: Format,
    level: Level,
}

/// Styles of text, by meaning.
pub mod style {
    use super::{AnsiColor, Style};

    /// An error's heading.
    pub const ERROR: Style = AnsiColor::Red.on_default().bold();
    /// A warning's heading, and states that want attention.
    pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
    /// A hint's heading.
    pub const HINT: Style = AnsiColor::Cyan.on_default().bold();
    /// What went well.
    pub const GOOD: Style = AnsiColor::Green.on_default();
    /// Headings.
    pub const STRONG: Style = Style::new().bold();
    /// What is of less interest.
    pub const FAINT: Style = Style::new().dimmed();
}

/// `text` in `style`; the streams of [`Printer`] strip it where no colour is wanted.
pub fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

impl Printer {
    /// A printer of this format and level.
    pub fn new(format: Format, level: Level) -> Self {
        Self { format, level }
    }

    /// Whether programs read the output.
    pub fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Writes the answer of a verb: `value` as JSON, or else the text that `text` makes of it.
    ///
    /// # Errors
    ///
    /// If standard output can't be written, as when a pager was closed.
    pub fn data<T: Serialize + ?Sized>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> io::Result<()> {
        let text = match self.format {
            Format::Text => text(value),
            Format::Json => serde_json::to_string_pretty(value)?,
        };
        self.line(text.trim_end_matches('\n'))
    }

    /// Writes one JSON value on one line: for streams of them.
    ///
    /// # Errors
    ///
    /// If standard output can't be written.
    pub fn json_line<T: Serialize + ?Sized>(self, value: &T) -> io::Result<()> {
        self.line(&serde_json::to_string(value)?)
    }

    /// Writes a line of data as it is.
    ///
    /// # Errors
    ///
    /// If standard output can't be written.
    pub fn line(self, text: &str) -> io::Result<()> {
        let mut stdout = anstream::stdout().lock();
        if !text.is_empty() {
            writeln!(stdout, "{text}")?;
        }
        stdout.flush()
    }

    /// Tells what happens, unless `--quiet`.
    pub fn message(self, text: Arguments<'_>) {
        if self.level >= Level::Normal {
            self.stderr(text);
        }
    }

    /// Tells a step, with `--verbose`.
    pub fn detail(self, text: Arguments<'_>) {
        if self.level >= Level::Verbose {
            self.stderr(text);
        }
    }

    /// Tells what a person should look at, unless `--quiet`.
    pub fn warning(self, text: Arguments<'_>) {
        self.message(format_args!("{} {text}", paint(style::WARNING, "warning:")));
    }

    /// Tells an error, always.
    pub fn error(self, text: Arguments<'_>) {
        self.stderr(text);
    }

    fn stderr(self, text: Arguments<'_>) {
        // Nothing is left to tell it to if standard error is closed.
        let _ = writeln!(anstream::stderr(), "{text}");
    }

    /// A bar that counts bytes, or a spinner where their number is not known; hidden unless a
    /// person looks at a terminal.
    pub fn bytes_bar(self, what: &str, bytes: Option<u64>) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(bytes, self.draw_target());
        let template = match bytes {
            Some(_) => "{msg} {bar:24} {bytes:>10} of {total_bytes} {bytes_per_sec:>12} {eta:>4}",
            None => "{spinner} {msg} {bytes}",
        };
        bar.set_style(ProgressStyle::with_template(template).expect("the template is constant"));
        bar.set_message(what.to_owned());
        bar
    }

    /// A line that says what is being waited for; hidden unless a person looks at a terminal.
    pub fn spinner(self, what: &str) -> ProgressBar {
        let spinner = ProgressBar::with_draw_target(None, self.draw_target());
        spinner.set_message(what.to_owned());
        spinner.enable_steady_tick(Duration::from_millis(120));
        spinner
    }

    /// Where progress is drawn.
    pub fn draw_target(self) -> ProgressDrawTarget {
        if self.level >= Level::Normal && io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        }
    }

    /// Asks a person yes or no; none where no person can answer.
    pub fn ask(self, question: &str) -> Option<bool> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return None;
        }
        let _ = write!(anstream::stderr(), "{question} [y/N] ");
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).ok()?;
        Some(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }
}

/// The most characters of a cell.
const LONGEST_CELL: usize = 500;

/// What somebody else may have written, as a cell: what would move the cursor, or more, is shown as
/// such, and a very long text is cut.
pub fn cell(text: &str) -> String {
    let mut letters = text.chars().map(|letter| {
        // The marks and overrides of writing directions show a text as another one.
        let is_odd = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}');
        if letter.is_control() || is_odd { char::REPLACEMENT_CHARACTER } else { letter }
    });
    let mut cell: String = letters.by_ref().take(LONGEST_CELL).collect();
    if letters.next().is_some() {
        cell.push('…');
    }
    cell
}

/// Lines up columns by their widest cell; the first row is the heading.
pub fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|text| cell(text)).collect()).collect();
    let width_of = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).chain([heading[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width_of).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut text = paint(style::STRONG, line(&mut heading.iter().copied()));
    for row in &rows {
        text.push('\n');
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// A number of bytes as a person reads it: `75.5 MB` (powers of 1000).
pub fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)];
    match UNITS.iter().find(|(_, size)| count >= *size) {
        Some((unit, size)) => format!("{:.1} {unit}", count as f64 / *size as f64),
        None => format!("{count} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let rows = vec![vec!["a".into(), "10".into()], vec!["long".into(), "1".into()]];
        let text = anstream::adapter::strip_str(&table(&["NAME", "N"], &rows)).to_string();
        assert_eq!(text, "NAME  N\na     10\nlong  1");
    }

    #[test]
    fn what_devices_tell_neither_moves_the_cursor_nor_breaks_a_table() {
        let hostile = format!("\u{1b}[2J\u{202e}evil\r\n{}", "x".repeat(100_000));
        let rows = vec![vec![hostile, "1".into()], vec!["long".into(), "2".into()]];
        let text = anstream::adapter::strip_str(&table(&["NAME", "N"], &rows)).to_string();
        assert_eq!(text.lines().count(), 3);
        assert!(text.lines().all(|line| line.chars().count() < 600));
        assert!(text.contains("�[2J�evil��x"), "{text}");
    }

    #[test]
    fn byte_counts_read_well() {
        for (count, text) in [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (75_531_459, "75.5 MB")]
        {
            assert_eq!(bytes(count), text);
        }
    }
}
