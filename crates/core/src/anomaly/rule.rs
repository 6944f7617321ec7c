//! Rules as people write them: `busy: processor > 95% for 5m`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::parser;
use super::{Reading, SignalName};
use crate::mistake;
use crate::time::Span;

/// The rules that are in force where nobody says otherwise.
pub const DEFAULT_RULES: &str = "busy: processor > 95% for 5m; \
                                 errors: errors > 100/min for 1m and errors > 10x baseline; \
                                 silent: silent for 10m";

/// What makes a device suspicious: any of these rules. In text they are separated by `;`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rules(pub(super) Vec<Rule>);

/// A device is suspicious as long as all conditions hold, each for its span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Names the rule; no other one has it.
    pub name: String,
    /// At least one.
    pub conditions: Vec<Condition>,
}

/// One of the conditions of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The device was not heard for so long.
    Silent(Span),
    /// A signal was beyond a limit in every sample of so long a span.
    Beyond {
        /// The signal.
        signal: SignalName,
        /// What it must not be beyond.
        limit: Limit,
        /// For how long without interruption; nothing: in one sample.
        span: Span,
    },
}

/// On which side of a level it begins to be too much, or too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// More than this.
    Above(Level),
    /// Less than this.
    Below(Level),
}

/// What a signal is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// A number.
    Fixed(Reading, Unit),
    /// So many times what is normal for devices of the class.
    Baseline(Reading),
}

/// What a number counts; it is not reckoned with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Of a hundred.
    Percent,
    /// Happenings a minute.
    PerMinute,
    /// Whatever the signal is measured in.
    Own,
}

/// The text says no rules.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct InvalidRules {
    /// Where the mistake begins, in characters counted from 1.
    pub column: usize,
    message: String,
    text: String,
}

impl fmt::Display for InvalidRules {
    /// With the text, and a sign below the mistake.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        mistake::point(formatter, &self.text, self.column, &self.message)
    }
}

impl Rules {
    /// Each rule, as it was written.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }

    /// Whether some rule looks at a signal.
    pub(super) fn mention(&self, name: &SignalName) -> bool {
        self.conditions().any(|condition| match condition {
            Condition::Silent(_) => false,
            Condition::Beyond { signal, .. } => signal == name,
        })
    }

    /// All conditions of all rules, in their order.
    pub(super) fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.0.iter().flat_map(|rule| &rule.conditions)
    }
}

impl Condition {
    /// For how long it must hold.
    pub const fn span(&self) -> Span {
        match self {
            Self::Silent(span) | Self::Beyond { span, .. } => *span,
        }
    }
}

impl FromStr for Rules {
    type Err = InvalidRules;

    fn from_str(text: &str) -> Result<Self, InvalidRules> {
        parser::parse(text).map(Self).map_err(|(at, message)| InvalidRules {
            column: at + 1,
            message,
            text: text.to_owned(),
        })
    }
}

impl TryFrom<String> for Rules {
    type Error = InvalidRules;

    fn try_from(text: String) -> Result<Self, InvalidRules> {
        text.parse()
    }
}

impl From<Rules> for String {
    fn from(rules: Rules) -> Self {
        rules.to_string()
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str(parser::NONE);
        }
        let mut separator = "";
        for rule in &self.0 {
            write!(formatter, "{separator}{}: {rule}", rule.name)?;
            separator = "; ";
        }
        Ok(())
    }
}

impl fmt::Display for Rule {
    /// Its conditions, without its name.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for condition in &self.conditions {
            write!(formatter, "{separator}{condition}")?;
            separator = " and ";
        }
        Ok(())
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(span) => write!(formatter, "silent for {span}"),
            Self::Beyond { signal, limit, span } => {
                write!(formatter, "{signal} {limit}")?;
                if *span == Span::ZERO { Ok(()) } else { write!(formatter, " for {span}") }
            }
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Above(level) => write!(formatter, "> {level}"),
            Self::Below(level) => write!(formatter, "< {level}"),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(number, unit) => write!(formatter, "{number}{}", unit.as_str()),
            Self::Baseline(factor) => write!(formatter, "{factor}x baseline"),
        }
    }
}

impl Unit {
    /// As it stands behind a number.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Percent => "%",
            Self::PerMinute => "/min",
            Self::Own => "",
        }
    }
}

#[cfg(feature = "schema")]
crate::string_schema!(Rules, "Rules like busy: processor > 95% for 5m, separated by ;");
