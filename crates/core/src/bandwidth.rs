//! How many bytes a second may be moved, by the hour of the day: `20 MB/s, 2 MB/s from 9 to 18`.
//!
//! [`Bandwidth`] is what a person writes and [`Bandwidth::at`] what holds at a moment; [`Bucket`]
//! says how long to wait so that it is kept. None of them knows a clock or a time zone.

mod bucket;
mod parser;

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use bucket::Bucket;

use crate::mistake;
use crate::time::Timestamp;

/// The slowest limit: below it a transfer could not be told from one that stands still.
pub const SLOWEST_BYTES_PER_SECOND: u64 = 1000;

const MINUTES_PER_DAY: u32 = 24 * 60;

/// A limit that may depend on the hour. Rules are separated by commas, and of those that hold at a
/// moment the last one counts; where none holds nothing is limited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bandwidth(Vec<Rule>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    rate: Rate,
    hours: Option<Hours>,
}

/// Bytes a second; none: as many as there come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rate(Option<NonZeroU64>);

/// From a minute of the day up to another, past midnight if that is earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hours {
    from: u32,
    to: u32,
}

/// The text is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct InvalidBandwidth {
    /// Where the mistake begins, in characters counted from 1.
    pub column: usize,
    message: String,
    text: String,
}

impl fmt::Display for InvalidBandwidth {
    /// With the text, and a sign below the mistake.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        mistake::point(formatter, &self.text, self.column, &self.message)
    }
}

impl Bandwidth {
    /// No limit at any hour.
    pub const UNLIMITED: Self = Self(Vec::new());

    /// The bytes a second that may be moved at `now`, in a place whose clocks are `offset_minutes`
    /// ahead of UTC; none: as many as there come.
    pub fn at(&self, now: Timestamp, offset_minutes: i32) -> Option<NonZeroU64> {
        let minute = now.as_millis().div_euclid(60_000) + i64::from(offset_minutes);
        let minute = minute.rem_euclid(i64::from(MINUTES_PER_DAY)) as u32;
        let holds = |rule: &&Rule| rule.hours.is_none_or(|hours| hours.contain(minute));
        self.0.iter().rev().find(holds).and_then(|rule| rule.rate.0)
    }
}

impl Hours {
    fn contain(self, minute: u32) -> bool {
        let Self { from, to } = self;
        if from < to { (from..to).contains(&minute) } else { minute >= from || minute < to }
    }
}

impl FromStr for Bandwidth {
    type Err = InvalidBandwidth;

    fn from_str(text: &str) -> Result<Self, InvalidBandwidth> {
        parser::parse(text).map(Self).map_err(|(at, message)| InvalidBandwidth {
            column: at + 1,
            message,
            text: text.to_owned(),
        })
    }
}

impl TryFrom<String> for Bandwidth {
    type Error = InvalidBandwidth;

    fn try_from(text: String) -> Result<Self, InvalidBandwidth> {
        text.parse()
    }
}

impl From<Bandwidth> for String {
    fn from(bandwidth: Bandwidth) -> Self {
        bandwidth.to_string()
    }
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Rate(None).fmt(formatter);
        }
        let mut separator = "";
        for Rule { rate, hours } in &self.0 {
            write!(formatter, "{separator}{rate}")?;
            if let Some(hours) = hours {
                write!(formatter, " {hours}")?;
            }
            separator = ", ";
        }
        Ok(())
    }
}

impl fmt::Display for Rate {
    /// In the largest unit that leaves a whole number.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(rate) = self.0 else { return formatter.write_str(parser::UNLIMITED) };
        let (name, bytes) = parser::BYTE_UNITS
            .into_iter()
            .find(|(_, bytes)| rate.get().is_multiple_of(*bytes))
            .expect("the last unit is one byte");
        write!(formatter, "{} {name}", rate.get() / bytes)
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |minute: u32| match (minute / 60, minute % 60) {
            (hour, 0) => hour.to_string(),
            (hour, minute) => format!("{hour}:{minute:02}"),
        };
        write!(formatter, "from {} to {}", time(self.from), time(self.to))
    }
}

#[cfg(feature = "schema")]
crate::string_schema!(Bandwidth, "Bytes a second by the hour, like 20 MB/s, 2 MB/s from 9 to 18");

#[cfg(test)]
mod tests;
