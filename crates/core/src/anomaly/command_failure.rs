//! Why the command that prints signals of a device tells none.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// The most characters of what a command printed, or of what a system said, that are kept.
const TOLD_CHARS: usize = 400;

/// Why the command tells nothing. Its signals are absent then, so no rule takes them for evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum SignalCommandFailure {
    /// It could not be started.
    NotStarted {
        /// What the system said.
        reason: String,
    },
    /// It did not end in time, and was killed with all that it had started.
    TooLong {
        /// How long it may take.
        limit: Span,
    },
    /// It ended with another code than 0.
    Failed {
        /// How it ended, in the system's words.
        status: String,
        /// The end of what it printed.
        printed: String,
    },
    /// It printed more than is read.
    TooMuch {
        /// How many bytes are read.
        limit_bytes: u64,
    },
    /// No line that it printed is a signal.
    NoSignals,
}

impl SignalCommandFailure {
    /// With texts of a bounded length, in one line: they come from a program, by way of a device.
    #[must_use]
    pub fn bounded(self) -> Self {
        match self {
            Self::NotStarted { reason } => Self::NotStarted { reason: line(&reason) },
            Self::Failed { status, printed } => {
                Self::Failed { status: line(&status), printed: line(&printed) }
            }
            Self::TooLong { .. } | Self::TooMuch { .. } | Self::NoSignals => self,
        }
    }
}

/// The end of a text, without control characters.
fn line(text: &str) -> String {
    let skipped = text.chars().count().saturating_sub(TOLD_CHARS);
    text.chars().skip(skipped).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl fmt::Display for SignalCommandFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted { reason } => {
                write!(formatter, "the command with signals could not be started: {reason}")
            }
            Self::TooLong { limit } => {
                write!(formatter, "the command with signals did not end within {limit}")
            }
            Self::Failed { status, printed } if printed.is_empty() => {
                write!(formatter, "the command with signals ended with {status}")
            }
            Self::Failed { status, printed } => {
                write!(formatter, "the command with signals ended with {status}: {printed}")
            }
            Self::TooMuch { limit_bytes } => {
                write!(formatter, "the command with signals printed more than {limit_bytes} bytes")
            }
            Self::NoSignals => {
                formatter.write_str("the command with signals printed no line `name value`")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_printed_is_bounded_and_one_line() {
        let printed = format!("{}\nno\u{1b}[2J runner", "x".repeat(10_000));
        let failure = SignalCommandFailure::Failed { status: "exit status: 3".to_owned(), printed };
        let told = failure.bounded().to_string();
        assert!(told.ends_with("x no [2J runner") && told.chars().count() < 500, "{told}");
        assert!(!told.contains(char::is_control));
    }
}
