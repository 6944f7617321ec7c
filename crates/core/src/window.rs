//! Maintenance windows: when a release may be made active, in a device's own time zone.
//!
//! A [`Window`] is what a person writes: weekly or monthly [`Stretch`]es like `Sat,Sun 01:00-05:00`
//! and [`Blackout`] dates. It is a small part of RFC 5545, with its meaning: a stretch is an event
//! with `RRULE:FREQ=WEEKLY;BYDAY=…` (or `FREQ=MONTHLY;BYDAY=2SA` for `2nd Sat`) in local time.
//! Where a clock change takes a local time away, the offset before the change is used; where it
//! doubles one, the first counts (RFC 5545, section 3.3.5). The end of a stretch is a local time
//! too, so one from 01:00 to 05:00 lasts three hours in the night in which clocks go forward.
//!
//! Which zone a device is in and what is known of zones are parameters ([`Zone`]); the rules come
//! with the program, so that server, agent and simulator agree, also on Windows, which has none.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::time::Timestamp;

/// Farther ahead nothing is looked for: every monthly stretch comes within it, and a blackout of
/// a whole year ends within it.
const HORIZON_DAYS: i64 = 400;
const DAY_MINUTES: u16 = 24 * 60;
const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];
const NUMBERS: [(&str, i8); 5] = [("1st", 1), ("2nd", 2), ("3rd", 3), ("4th", 4), ("last", -1)];

/// When a release may be made active on a device. Fetching and staging need no window, and going
/// back is never held up by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Stretches in which it is open, like `Sat,Sun 01:00-05:00`; overlapping ones add up.
    pub open: Vec<Stretch>,
    /// Local dates on which it stays closed, like `2026-12-24..2027-01-01`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<Blackout>,
}

/// A stretch of time that comes again: days, and from when until when on each. In text
/// `[1st|2nd|3rd|4th|last] DAYS HH:MM-HH:MM`, where DAYS is `daily`, or days and ranges of days
/// like `Mon-Thu,Sat`. An end that is not after the beginning lies on the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Stretch {
    /// A bit for each day on which it begins, Monday the lowest.
    days: u8,
    /// Only the so-manieth of these weekdays in its month; −1: the last.
    nth: Option<i8>,
    from_min: u16,
    until_min: u16,
}

/// Local dates, both included. In text `2026-12-24..2027-01-01`, or one date alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Blackout {
    first: Date,
    last: Date,
}

/// The text is no part of a window.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidWindow {
    /// Not a stretch.
    #[error("not a window: `{text}`: {wrong} (expected one like `Sat,Sun 01:00-05:00`)")]
    Stretch {
        /// What was given.
        text: String,
        /// What is wrong with it.
        wrong: &'static str,
    },
    /// Not dates.
    #[error("not dates: `{0}` (expected `2026-12-24` or `2026-12-24..2027-01-01`)")]
    Blackout(String),
    /// Not a zone.
    #[error("there is no time zone `{0}` (expected a name like `Europe/Berlin`)")]
    Zone(String),
}

/// A time zone, with its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// Whether a window is open, and when that changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// It is open.
    Open,
    /// It is closed.
    Closed {
        /// When it opens next; none if it does not within 400 days.
        opens: Option<Timestamp>,
    },
}

impl Zone {
    /// The zone of this name in the IANA database that comes with the program.
    ///
    /// # Errors
    ///
    /// [`InvalidWindow::Zone`] if there is none.
    pub fn named(name: &str) -> Result<Self, InvalidWindow> {
        let found = TimeZoneDatabase::bundled().get(name);
        found.map(Self).map_err(|_| InvalidWindow::Zone(name.to_owned()))
    }

    /// Coordinated universal time, for a device that does not know its zone.
    pub const fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// When a local day has so many minutes; minute 1440 is the beginning of the next.
    fn at(&self, date: Date, minutes: u16) -> Option<Timestamp> {
        let date = if minutes < DAY_MINUTES { date } else { date.tomorrow().ok()? };
        let minutes = minutes % DAY_MINUTES;
        let local = date.at((minutes / 60) as i8, (minutes % 60) as i8, 0, 0);
        // `compatible` is what RFC 5545 asks for around clock changes.
        let at = self.0.to_ambiguous_timestamp(local).compatible().ok()?;
        Some(Timestamp::from_millis(at.as_millisecond()))
    }

    /// The local date at a moment.
    fn date(&self, at: Timestamp) -> Option<Date> {
        let at = jiff::Timestamp::from_millisecond(at.as_millis()).ok()?;
        Some(self.0.to_datetime(at).date())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl Window {
    /// Whether it is open at `now` for a device in `zone`.
    pub fn opening(&self, now: Timestamp, zone: &Zone) -> Opening {
        let Some(today) = zone.date(now) else { return Opening::Closed { opens: None } };
        // A stretch of yesterday may last into today.
        let mut date = today.yesterday().unwrap_or(today);
        for _ in 0..=HORIZON_DAYS {
            let ahead = self.pieces(date, zone).filter(|(_, until)| *until > now);
            if let Some((from, _)) = ahead.min() {
                return if from <= now {
                    Opening::Open
                } else {
                    // Another stretch of the next day can't begin earlier.
                    Opening::Closed { opens: Some(from) }
                };
            }
            let Ok(next) = date.tomorrow() else { break };
            date = next;
        }
        Opening::Closed { opens: None }
    }

    /// The stretches that begin on a local date, without what is blacked out, as from–until.
    fn pieces(&self, date: Date, zone: &Zone) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let stretches = self.open.iter().filter(move |stretch| stretch.begins_on(date));
        stretches.flat_map(move |stretch| self.cut(*stretch, date, zone))
    }

    /// A stretch in two parts, divided at midnight, each only if its day is not blacked out.
    fn cut(&self, stretch: Stretch, date: Date, zone: &Zone) -> Vec<(Timestamp, Timestamp)> {
        let midnight = stretch.until_min.min(DAY_MINUTES);
        let mut parts = vec![(date, stretch.from_min, midnight)];
        if stretch.until_min > DAY_MINUTES
            && let Ok(next) = date.tomorrow()
        {
            parts.push((next, 0, stretch.until_min - DAY_MINUTES));
        }
        let is_closed = |date: Date| self.closed.iter().any(|it| it.covers(date));
        let open = parts.into_iter().filter(|(date, ..)| !is_closed(*date));
        open.filter_map(|(date, from, until)| Some((zone.at(date, from)?, zone.at(date, until)?)))
            .collect()
    }
}

impl Stretch {
    fn begins_on(self, date: Date) -> bool {
        let day = 1 << date.weekday().to_monday_zero_offset();
        let is_nth = match self.nth {
            None => true,
            Some(-1) => date.day() > date.days_in_month() - 7,
            Some(nth) => (date.day() - 1) / 7 + 1 == nth,
        };
        self.days & day != 0 && is_nth
    }
}

impl Blackout {
    fn covers(self, date: Date) -> bool {
        self.first <= date && date <= self.last
    }
}

impl FromStr for Stretch {
    type Err = InvalidWindow;

    fn from_str(text: &str) -> Result<Self, InvalidWindow> {
        let wrong = |wrong| InvalidWindow::Stretch { text: text.to_owned(), wrong };
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let nth = words.first().and_then(|word| {
            NUMBERS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, nth)| *nth)
        });
        if nth.is_some() {
            words.remove(0);
        }
        let [days, times] = words[..] else { return Err(wrong("it needs days and times")) };
        let days = parse_days(days).ok_or_else(|| wrong("a day is one of Mon to Sun, or daily"))?;
        let times =
            times.split_once('-').map(|(from, until)| (parse_time(from), parse_time(until)));
        let Some((Some(from_min), Some(until_min))) = times else {
            return Err(wrong("times are written like 01:00-05:00"));
        };
        if from_min == DAY_MINUTES {
            return Err(wrong("it can't begin at 24:00"));
        }
        let is_next_day = until_min <= from_min;
        let until_min = if is_next_day { until_min + DAY_MINUTES } else { until_min };
        Ok(Self { days, nth, from_min, until_min })
    }
}

fn parse_days(text: &str) -> Option<u8> {
    let place = |name: &str| DAYS.iter().position(|(day, _)| day.eq_ignore_ascii_case(name));
    if text.eq_ignore_ascii_case("daily") {
        return Some(0x7f);
    }
    text.split(',').try_fold(0, |days, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (place(first)?, place(last)?);
        let span = if last >= first { last - first } else { last + 7 - first };
        Some((0..=span).fold(days, |days, step| days | 1 << ((first + step) % 7)))
    })
}

fn parse_time(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= DAY_MINUTES).then_some(total)
}

impl fmt::Display for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = NUMBERS.iter().find(|(_, nth)| Some(*nth) == self.nth) {
            write!(f, "{name} ")?;
        }
        if self.days == 0x7f {
            f.write_str("daily")?;
        } else {
            let on = DAYS.iter().enumerate().filter(|(place, _)| self.days & 1 << place != 0);
            let names: Vec<&str> = on.map(|(_, (name, _))| *name).collect();
            f.write_str(&names.join(","))?;
        }
        let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let until = if self.until_min > DAY_MINUTES {
            self.until_min - DAY_MINUTES
        } else {
            self.until_min
        };
        write!(f, " {}-{}", time(self.from_min), time(until))
    }
}

impl FromStr for Blackout {
    type Err = InvalidWindow;

    fn from_str(text: &str) -> Result<Self, InvalidWindow> {
        let invalid = || InvalidWindow::Blackout(text.to_owned());
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let date = |text: &str| text.trim().parse::<Date>().map_err(|_| invalid());
        let (first, last) = (date(first)?, date(last)?);
        if first <= last { Ok(Self { first, last }) } else { Err(invalid()) }
    }
}

impl fmt::Display for Blackout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}..{}", self.first, self.last)
        }
    }
}

macro_rules! through_text {
    ($($type:ident, $words:literal;)+) => {$(
        impl TryFrom<String> for $type {
            type Error = InvalidWindow;

            fn try_from(text: String) -> Result<Self, InvalidWindow> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }

        #[cfg(feature = "schema")]
        crate::string_schema!($type, $words);
    )+};
}
through_text! {
    Stretch, "Days and times like Sat,Sun 01:00-05:00 or 2nd Sat 22:00-04:00";
    Blackout, "Local dates like 2026-12-24 or 2026-12-24..2027-01-01";
}

#[cfg(test)]
#[path = "window/tests.rs"]
mod tests;
