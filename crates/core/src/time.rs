//! Points in time and spans of it, as they travel over the API and stand in files.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Milliseconds since the Unix epoch, UTC; RFC 3339 in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

/// A span of time with a resolution of one millisecond, written like `90s`, `15m` or `1h 30m`.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Span(u64);

/// The text is neither a point in time nor a span.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidTime {
    /// Not RFC 3339.
    #[error("not a point in time: `{0}` (expected RFC 3339, like 2026-01-31T08:00:00Z)")]
    Timestamp(String),
    /// Not a span.
    #[error("not a span of time: `{0}` (expected one like `90s`, `15m` or `1h 30m`)")]
    Span(String),
}

impl Timestamp {
    /// The point `ms` milliseconds after the Unix epoch.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// How long ago `earlier` was; zero if it lies ahead, as it does after a clock was set back.
    pub fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add_unsigned(span.0))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Self;

    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub_unsigned(span.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => write!(formatter, "{timestamp}"),
            Err(_) => write!(formatter, "@{}ms", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let timestamp: jiff::Timestamp =
            text.parse().map_err(|_| InvalidTime::Timestamp(text.to_owned()))?;
        Ok(Self(timestamp.as_millisecond()))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// `ms` milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// `seconds` seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// In milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Both together, at most the longest span that there is.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left without the other, at least nothing.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// In seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// As the standard library's duration.
    pub const fn as_duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

impl fmt::Display for Span {
    /// The largest two or three units, like `1h 30m`; `0s` for nothing.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 5] =
            [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
        let (mut left, mut separator) = (self.0, "");
        for (unit_ms, name) in UNITS {
            if left >= unit_ms {
                write!(formatter, "{separator}{}{name}", left / unit_ms)?;
                left %= unit_ms;
                separator = " ";
            }
        }
        if self.0 == 0 { formatter.write_str("0s") } else { Ok(()) }
    }
}

/// The longest span that is read: the days between the first and the last date that there is.
const LONGEST: Span = Span::from_secs(7_304_484 * 24 * 60 * 60);

impl FromStr for Span {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let invalid = || InvalidTime::Span(text.to_owned());
        let span: jiff::Span = text.trim().parse().map_err(|_| invalid())?;
        // Nothing here is a day of a calendar, so a day is 24 hours.
        let duration =
            span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| invalid())?;
        let span = u64::try_from(duration.as_millis()).map(Self).map_err(|_| invalid())?;
        // In smaller units more could be written than can be read in days.
        if span <= LONGEST { Ok(span) } else { Err(invalid()) }
    }
}

macro_rules! through_text {
    ($($type:ident),+) => {$(
        impl TryFrom<String> for $type {
            type Error = InvalidTime;

            fn try_from(text: String) -> Result<Self, InvalidTime> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    )+};
}
through_text!(Timestamp, Span);

#[cfg(feature = "schema")]
crate::string_schema!(Timestamp, "RFC 3339 point in time, UTC");
#[cfg(feature = "schema")]
crate::string_schema!(Span, "Span of time like 90s, 15m or 1h 30m");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_what_they_write() {
        for (text, ms) in
            [("0s", 0), ("250ms", 250), ("90s", 90_000), ("1h30m", 5_400_000), ("2d", 172_800_000)]
        {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.as_millis(), ms, "{text}");
            assert_eq!(span.to_string().parse(), Ok(span), "{span}");
        }
        assert_eq!(Span::from_secs(5400).to_string(), "1h 30m");
        assert_eq!(LONGEST.to_string().parse(), Ok(LONGEST));
        for text in ["", "soon", "-5s", "10", "34294967296m", "7304484d 1ms"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_clock_set_back_yields_no_negative_age() {
        let (early, late) = (Timestamp::from_millis(1000), Timestamp::from_millis(2500));
        assert_eq!(late.since(early), Span::from_millis(1500));
        assert_eq!(early.since(late), Span::ZERO);
    }

    #[test]
    fn timestamps_are_rfc_3339() {
        let text = "2026-11-23T12:40:15.25Z";
        let timestamp: Timestamp = text.parse().unwrap();
        assert_eq!(timestamp.to_string(), text);
        assert!("yesterday".parse::<Timestamp>().is_err());
    }
}
