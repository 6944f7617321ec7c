//! A version taken apart, without copying: what all comparing rests on.

use std::cmp::Ordering;

/// The parts of a version; a part that is not there is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    pub major: &'a str,
    pub minor: &'a str,
    pub patch: &'a str,
    /// `alpha`, `beta`, `rc`, or any other word of lower-case letters.
    pub kind: &'a str,
    pub pre: &'a str,
}

impl<'a> Parts<'a> {
    /// Takes `text` apart (`Parse` in `internal/gover`).
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (major, rest) = cut_number(text)?;
        if rest.is_empty() {
            return Some(Self { major, minor: "0", patch: "0", ..Self::default() });
        }
        let (minor, rest) = cut_number(rest.strip_prefix('.')?)?;
        let parts = Self { major, minor, ..Self::default() };
        if rest.is_empty() {
            let patch = if has_release_without_patch(minor) { "0" } else { "" };
            return Some(Self { patch, ..parts });
        }
        if let Some(rest) = rest.strip_prefix('.') {
            // A patch release has no prereleases, so nothing may follow.
            let (patch, rest) = cut_number(rest)?;
            return rest.is_empty().then_some(Self { patch, ..parts });
        }
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (kind, pre) = rest.split_at(letters);
        if kind.is_empty() || !kind.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return None;
        }
        if pre.is_empty() {
            return Some(Self { kind, ..parts });
        }
        let (pre, rest) = cut_number(pre)?;
        rest.is_empty().then_some(Self { kind, pre, ..parts })
    }

    /// The one text that stands for all texts with these parts.
    pub(super) fn canonical(&self) -> String {
        let Self { major, minor, patch, kind, pre } = self;
        if !kind.is_empty() {
            format!("{major}.{minor}{kind}{pre}")
        } else if *patch == "0" && *minor == "0" {
            (*major).to_owned()
        } else if patch.is_empty() || (*patch == "0" && has_release_without_patch(minor)) {
            format!("{major}.{minor}")
        } else {
            format!("{major}.{minor}.{patch}")
        }
    }
}

impl Ord for Parts<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_numbers(self.major, other.major)
            .then_with(|| compare_numbers(self.minor, other.minor))
            .then_with(|| compare_numbers(self.patch, other.patch))
            .then_with(|| self.kind.cmp(other.kind)) // "" < alpha < beta < rc
            .then_with(|| compare_numbers(self.pre, other.pre))
    }
}

impl PartialOrd for Parts<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Whether the first release of the line is called `1.N`. Since Go 1.21 it is `1.N.0`, and `1.N`
/// is the language version, which is older than all its releases.
fn has_release_without_patch(minor: &str) -> bool {
    compare_numbers(minor, "21").is_lt()
}

/// Cuts a decimal number without leading zeros off the front.
fn cut_number(text: &str) -> Option<(&str, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let is_number = digits == 1 || digits > 1 && !text.starts_with('0');
    is_number.then(|| text.split_at(digits))
}

/// Orders decimal numbers of any length without leading zeros; none at all comes first.
pub(super) fn compare_numbers(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// One less than a decimal number above zero.
pub(super) fn decrement(number: &str) -> String {
    let kept = number.trim_end_matches('0');
    let zeros = number.len() - kept.len();
    let Some(last) = kept.chars().next_back() else { return String::new() };
    let digit = char::from_digit(last.to_digit(10).unwrap_or(1).saturating_sub(1), 10);
    let head = &kept[..kept.len() - 1];
    let mut less = head.to_owned();
    let vanishes = head.is_empty() && digit == Some('0') && zeros > 0;
    less.extend(digit.filter(|_| !vanishes));
    less.extend(std::iter::repeat_n('9', zeros));
    less
}
