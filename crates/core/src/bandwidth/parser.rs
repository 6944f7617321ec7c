//! The grammar of limits: `RATE [from TIME to TIME] {, RATE [from TIME to TIME]}`.

use std::num::NonZeroU64;

use super::{Hours, MINUTES_PER_DAY, Rate, Rule, SLOWEST_BYTES_PER_SECOND};
use crate::mistake::{Wrong, named, thousandths};

/// The word for no limit.
pub(super) const UNLIMITED: &str = "unlimited";

/// Units of bytes, largest first, by powers of ten, as network equipment counts.
pub(super) const BYTE_UNITS: [(&str, u64); 4] =
    [("GB/s", 1_000_000_000), ("MB/s", 1_000_000), ("kB/s", 1000), ("B/s", 1)];
/// Units of bits, with the bytes that a thousand of them hold: an eighth.
const BIT_UNITS: [(&str, u64); 3] =
    [("Gbit/s", 125_000_000_000), ("Mbit/s", 125_000_000), ("kbit/s", 125_000)];

pub(super) fn parse(text: &str) -> Result<Vec<Rule>, Wrong> {
    let mut words = Words { chars: text.chars().collect(), at: 0 };
    let mut rules = Vec::new();
    loop {
        rules.push(words.rule()?);
        if words.is_done() {
            return Ok(rules);
        }
        let (at, word) = words.next();
        if word != "," {
            return Err((at, format!("expected `,`, `from` or the end, found `{word}`")));
        }
    }
}

/// Words of letters, of digits, and single signs; spaces only separate.
struct Words {
    chars: Vec<char>,
    at: usize,
}

impl Words {
    fn skip_spaces(&mut self) {
        while self.chars.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
    }

    fn is_done(&mut self) -> bool {
        self.skip_spaces();
        self.at == self.chars.len()
    }

    /// The next word and where it begins; an empty one at the end.
    fn next(&mut self) -> (usize, String) {
        self.skip_spaces();
        let begin = self.at;
        let kind = |c: char| match c {
            '0'..='9' | '.' | ':' => 1,
            'a'..='z' | 'A'..='Z' | '/' => 2,
            _ => 0,
        };
        let Some(first) = self.chars.get(begin).map(|c| kind(*c)) else {
            return (begin, String::new());
        };
        let length = match first {
            0 => 1,
            _ => self.chars[begin..].iter().take_while(|c| kind(**c) == first).count(),
        };
        self.at = begin + length;
        (begin, self.chars[begin..self.at].iter().collect())
    }

    fn peek(&mut self) -> String {
        let before = self.at;
        let (_, word) = self.next();
        self.at = before;
        word
    }

    fn rule(&mut self) -> Result<Rule, Wrong> {
        let rate = self.rate()?;
        let hours = (self.peek() == "from").then(|| self.hours()).transpose()?;
        Ok(Rule { rate, hours })
    }

    fn rate(&mut self) -> Result<Rate, Wrong> {
        let (at, number) = self.next();
        if number == UNLIMITED {
            return Ok(Rate(None));
        }
        let thousandths = thousandths(&number, 15).ok_or_else(|| {
            (at, format!("expected a rate like `20 MB/s`, found {}", named(&number)))
        })?;
        let (unit_at, unit) = self.next();
        let whole =
            BYTE_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, bytes)| bytes * 1000);
        let bits = || BIT_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, bytes)| *bytes);
        let per_thousand = whole.or_else(bits).ok_or_else(|| (unit_at, no_unit(&unit)))?;
        // Thousandths of the number times a thousand units: a millionth of it are the bytes.
        let bytes = u128::from(thousandths) * u128::from(per_thousand) / 1_000_000;
        let bytes = u64::try_from(bytes).map_err(|_| (at, "no line is so fast".to_owned()))?;
        if bytes < SLOWEST_BYTES_PER_SECOND {
            return Err((at, "less than 1 kB/s cannot be told from standing still".to_owned()));
        }
        Ok(Rate(NonZeroU64::new(bytes)))
    }

    fn hours(&mut self) -> Result<Hours, Wrong> {
        self.next();
        let from = self.time()?;
        let (at, word) = self.next();
        if word != "to" {
            return Err((at, format!("expected `to` and a time, found {}", named(&word))));
        }
        let to_at = self.at;
        let to = self.time()?;
        if from == to || (from, to) == (MINUTES_PER_DAY, 0) {
            let at = to_at + 1;
            return Err((
                at,
                "the span is empty; leave `from` and `to` out for all day".to_owned(),
            ));
        }
        Ok(Hours { from, to })
    }

    /// An hour like `9`, or a time like `8:30`, up to 24; as a minute of the day.
    fn time(&mut self) -> Result<u32, Wrong> {
        let (at, word) = self.next();
        let (hour, minute) = word.split_once(':').unwrap_or((&word, "00"));
        let number = |text: &str, digits: std::ops::RangeInclusive<usize>| {
            let fits = digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            fits.then(|| text.parse::<u32>().ok()).flatten()
        };
        match (number(hour, 1..=2), number(minute, 2..=2)) {
            (Some(hour), Some(minute)) if minute < 60 && hour * 60 + minute <= MINUTES_PER_DAY => {
                Ok(hour * 60 + minute)
            }
            _ => Err((at, format!("expected an hour like `9` or `8:30`, found {}", named(&word)))),
        }
    }
}

fn no_unit(found: &str) -> String {
    let names: Vec<_> = BYTE_UNITS.iter().chain(&BIT_UNITS).map(|(name, _)| *name).collect();
    format!("expected a unit ({}), found {}", names.join(", "), named(found))
}
