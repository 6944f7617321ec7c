//! Rings on one line: `test:1,pilot:25%,production:rest`.
//!
//! After the colon stands a count, a percentage, `rest`, or a selector over facts
//! (`pilot:site = "berlin"`). Commas inside quotes and parentheses belong to the selector.

use thiserror::Error;

use super::{RingSize, RingSpec};

/// Why a text is no list of rings.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{ring}` is no ring: {reason} (expected NAME:COUNT, NAME:PERCENT%, NAME:rest or NAME:SELECTOR)"
)]
pub struct InvalidRing {
    ring: String,
    reason: &'static str,
}

/// The rings that `text` lists.
///
/// # Errors
///
/// [`InvalidRing`] names the first that can't be read.
pub fn parse_rings(text: &str) -> Result<Vec<RingSpec>, InvalidRing> {
    split(text).into_iter().map(parse_ring).collect()
}

/// The parts between those commas that stand outside quotes and parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut depth, mut is_quoted) = (Vec::new(), 0, 0_u32, false);
    for (index, character) in text.char_indices() {
        match character {
            '"' => is_quoted = !is_quoted,
            '(' | '[' if !is_quoted => depth += 1,
            ')' | ']' if !is_quoted => depth = depth.saturating_sub(1),
            ',' if !is_quoted && depth == 0 => {
                parts.push(&text[begin..index]);
                begin = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

fn parse_ring(text: &str) -> Result<RingSpec, InvalidRing> {
    let refuse = |reason| InvalidRing { ring: text.trim().to_owned(), reason };
    let (name, size) = text.split_once(':').ok_or_else(|| refuse("it has no colon"))?;
    let (name, size) = (name.trim(), size.trim());
    if name.is_empty() {
        return Err(refuse("it has no name"));
    }
    let size = if size.is_empty() {
        return Err(refuse("it has no size"));
    } else if size == "rest" {
        RingSize::Rest
    } else if let Some(percent) = size.strip_suffix('%') {
        // `inf` and `nan` are numbers to Rust.
        let percent = percent.trim().parse().ok().filter(|percent: &f64| percent.is_finite());
        RingSize::Percent(percent.ok_or_else(|| refuse("its percentage is no number"))?)
    } else if size.bytes().all(|byte| byte.is_ascii_digit()) {
        RingSize::Count(size.parse().map_err(|_| refuse("its count is too large"))?)
    } else {
        RingSize::Select(size.to_owned())
    };
    Ok(RingSpec { name: name.to_owned(), size, gate: None, rehearse: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<&[(&str, RingSize)], &str>) {
        match (parse_rings(text), expect) {
            (Ok(rings), Ok(expected)) => {
                let rings: Vec<_> =
                    rings.iter().map(|r| (r.name.as_str(), r.size.clone())).collect();
                assert_eq!(rings, expected, "{text}");
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (outcome, _) => panic!("{text}: {outcome:?}"),
        }
    }

    #[test]
    fn rings_on_one_line() {
        check(
            "test:1, pilot:12.5% ,production:rest",
            Ok(&[
                ("test", RingSize::Count(1)),
                ("pilot", RingSize::Percent(12.5)),
                ("production", RingSize::Rest),
            ]),
        );
        check(
            r#"a:site in ("x, y", "z"),b:rest"#,
            Ok(&[
                ("a", RingSize::Select(r#"site in ("x, y", "z")"#.into())),
                ("b", RingSize::Rest),
            ]),
        );
        check("test", Err("it has no colon"));
        check("test:1,", Err("it has no colon"));
        check(":1", Err("it has no name"));
        check("test:", Err("it has no size"));
        for percent in ["x", "inf", "nan", "1e999"] {
            check(&format!("test:{percent}%"), Err("its percentage is no number"));
        }
        check("test:99999999999", Err("its count is too large"));
    }
}
