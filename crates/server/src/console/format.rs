//! Numbers, sizes and times in words for people. The script spells times in the same way.

use gofleet_core::time::{Span, Timestamp};

/// A point in time, as a page shows it.
pub(super) struct Moment {
    /// For programs: RFC 3339.
    pub(super) iso: String,
    /// For people who want it exactly.
    pub(super) absolute: String,
    /// For everybody: `3 min ago`.
    pub(super) relative: String,
}

impl Moment {
    /// `at`, seen from `now`.
    pub(super) fn new(at: Timestamp, now: Timestamp) -> Self {
        let absolute = jiff::Timestamp::from_millisecond(at.as_millis())
            .map(|at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
            .unwrap_or_default();
        Self { iso: at.to_string(), absolute, relative: ago(now.since(at)) }
    }
}

const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];

/// How long ago: one unit is enough.
fn ago(span: Span) -> String {
    let seconds = span.as_millis() / 1000;
    match UNITS.iter().find(|(size, _)| seconds >= *size) {
        Some((size, name)) if seconds >= 2 => format!("{} {name} ago", seconds / size),
        _ => "just now".to_owned(),
    }
}

/// A span with its two largest units: `2 min 5 s`; below a second `0.4 s`.
pub(super) fn spell(span: Span) -> String {
    let seconds = span.as_millis() / 1000;
    let Some(at) = UNITS.iter().position(|(size, _)| seconds >= *size) else {
        let tenths = span.as_millis() / 100;
        return if tenths == 0 { "0 s".to_owned() } else { format!("0.{tenths} s") };
    };
    let (size, name) = UNITS[at];
    let whole = format!("{} {name}", seconds / size);
    match UNITS.get(at + 1).map(|(next, name)| (seconds % size / next, name)) {
        Some((rest, name)) if rest > 0 => format!("{whole} {rest} {name}"),
        _ => whole,
    }
}

/// A size with three digits that count, in powers of ten as archives are measured: `75.5 MB`.
pub(super) fn bytes(bytes: u64) -> String {
    const SIZES: [(u64, &str); 4] =
        [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match SIZES.iter().find(|(size, _)| bytes >= *size) {
        None => format!("{bytes} B"),
        Some((size, name)) => {
            let value = bytes as f64 / *size as f64;
            let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
            format!("{value:.decimals$} {name}")
        }
    }
}

/// A number with a comma at each thousand.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 device`, `2 devices`.
pub(super) fn counted(number: u64, singular: &str) -> String {
    format!("{} {singular}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A share of a whole. Only all is `100%`, only nothing is `0%`.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return "0%".to_owned();
    }
    match part as f64 * 100.0 / whole as f64 {
        share if share < 1.0 => "<1%".to_owned(),
        share if share > 99.0 && part < whole => ">99%".to_owned(),
        share => format!("{share:.0}%"),
    }
}

/// The first digits of a digest, enough for a person to compare.
pub(super) fn short_digest(digest: gofleet_core::digest::Digest) -> String {
    format!("{}…", &digest.to_string()[..12])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units() {
        for (ms, expect) in [
            (0, "0 s"),
            (430, "0.4 s"),
            (59_999, "59 s"),
            (125_000, "2 min 5 s"),
            (7_200_000, "2 h"),
            (93_600_000, "1 d 2 h"),
        ] {
            assert_eq!(spell(Span::from_millis(ms)), expect, "{ms}");
        }
        assert_eq!(ago(Span::from_millis(1_500)), "just now");
        assert_eq!(ago(Span::from_secs(7_300)), "2 h ago");
    }

    #[test]
    fn numbers_read_well() {
        for (number, expect) in
            [(0, "0"), (999, "999"), (12_087, "12,087"), (1_000_000, "1,000,000")]
        {
            assert_eq!(count(number), expect);
        }
        for (size, expect) in [(999, "999 B"), (75_531_459, "75.5 MB"), (981_000, "981 kB")] {
            assert_eq!(bytes(size), expect);
        }
        for (part, expect) in [(0, "0%"), (1, "<1%"), (500, "50%"), (999, ">99%"), (1000, "100%")] {
            assert_eq!(percent(part, 1000), expect);
        }
        assert_eq!(
            (counted(1, "device"), counted(0, "device")),
            ("1 device".into(), "0 devices".into())
        );
    }
}
