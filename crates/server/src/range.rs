//! Conditional and partial requests for one file (RFC 9110, sections 13 and 14). Pure.

/// What is to be sent of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// From `start` up to and with `last`.
    Range {
        /// The first byte's place.
        start: u64,
        /// The last byte's place.
        last: u64,
    },
    /// Nothing: the caller has it already.
    NotModified,
    /// Nothing: no byte of the range exists.
    NotSatisfiable,
}

/// The headers of a request that matter here.
#[derive(Debug, Clone, Copy, Default)]
pub struct Conditions<'a> {
    /// `If-None-Match`
    pub if_none_match: Option<&'a str>,
    /// `Range`
    pub range: Option<&'a str>,
    /// `If-Range`
    pub if_range: Option<&'a str>,
}

/// What to send of a file of `size` bytes whose strong entity tag is `etag`, quotes included.
pub fn part_of(size: u64, etag: &str, conditions: Conditions<'_>) -> Part {
    // Section 13.2.2, step 3: a condition that fails ends it before any range counts.
    if conditions.if_none_match.is_some_and(|tags| matches_any(tags, etag)) {
        return Part::NotModified;
    }
    // Section 13.1.5: the range counts only for the very file that the caller has a part of; a
    // date, which no file here has, never matches.
    if conditions.if_range.is_some_and(|tag| tag.trim() != etag) {
        return Part::Whole;
    }
    conditions.range.map_or(Part::Whole, |range| single_range(range, size))
}

/// Whether a list of entity tags has this one, weakly compared (section 8.8.3.2).
fn matches_any(tags: &str, etag: &str) -> bool {
    tags.trim() == "*" || tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag)
}

/// The one range that is asked for. What is not understood is as if it were not there (section
/// 14.2), and so are several ranges at once, which no client of an archive needs.
fn single_range(text: &str, size: u64) -> Part {
    let Some((first, last)) = text
        .trim()
        .strip_prefix("bytes=")
        .filter(|range| !range.contains(','))
        .and_then(|range| range.split_once('-'))
    else {
        return Part::Whole;
    };
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than a u64 has mean "past the end", not "misunderstood".
        is_number.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let (start, last) = match (number(first.trim()), number(last.trim())) {
        (Some(start), Some(last)) if start <= last => (start, last),
        (Some(start), None) if last.trim().is_empty() => (start, u64::MAX),
        (None, Some(suffix)) if first.trim().is_empty() => {
            if suffix == 0 {
                return Part::NotSatisfiable;
            }
            (size.saturating_sub(suffix), u64::MAX)
        }
        _ => return Part::Whole,
    };
    if start >= size {
        return Part::NotSatisfiable;
    }
    Part::Range { start, last: last.min(size - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        let range = |start, last| Part::Range { start, last };
        for (text, size, expect) in [
            ("bytes=0-499", 10_000, range(0, 499)),
            ("bytes=9500-", 10_000, range(9500, 9999)),
            ("bytes=-500", 10_000, range(9500, 9999)),
            ("bytes=-20000", 10_000, range(0, 9999)),
            ("bytes=0-99999999999999999999999", 10, range(0, 9)),
            ("bytes=10000-", 10_000, Part::NotSatisfiable),
            ("bytes=99999999999999999999999-", 10, Part::NotSatisfiable),
            ("bytes=-0", 10, Part::NotSatisfiable),
            ("bytes=0-", 0, Part::NotSatisfiable),
            ("bytes=5-4", 10, Part::Whole),
            ("bytes=0-1,3-4", 10, Part::Whole),
            ("bytes=a-b", 10, Part::Whole),
            ("bytes=+1-2", 10, Part::Whole),
            ("bytes=-", 10, Part::Whole),
            ("lines=1-2", 10, Part::Whole),
            ("", 10, Part::Whole),
        ] {
            let conditions = Conditions { range: Some(text), ..Conditions::default() };
            assert_eq!(part_of(size, "\"x\"", conditions), expect, "{text} of {size}");
        }
    }

    #[test]
    fn conditions_come_before_ranges() {
        let check = |if_none_match, if_range, expect| {
            let conditions = Conditions { if_none_match, range: Some("bytes=1-2"), if_range };
            assert_eq!(part_of(10, "\"x\"", conditions), expect, "{if_none_match:?} {if_range:?}");
        };
        let part = Part::Range { start: 1, last: 2 };
        check(Some("\"x\""), None, Part::NotModified);
        check(Some("\"y\", W/\"x\""), None, Part::NotModified);
        check(Some("*"), None, Part::NotModified);
        check(Some("\"y\""), None, part);
        check(None, Some("\"x\""), part);
        check(None, Some("W/\"x\""), Part::Whole);
        check(None, Some("\"y\""), Part::Whole);
        check(None, Some("Tue, 01 Dec 2026 00:00:00 GMT"), Part::Whole);
    }
}
