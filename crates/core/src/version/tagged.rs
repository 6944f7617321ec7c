//! Versions with prefix, as `go/version` reads them: `go1.27.3`, `go1.27.3-custom`.

use std::cmp::Ordering;

/// What stands between `go` and the suffix; empty if there is no `go`.
fn strip(version: &str) -> &str {
    let (version, _suffix) = version.split_once('-').unwrap_or((version, ""));
    version.strip_prefix("go").unwrap_or_default()
}

/// Orders two versions; a suffix does not count. What is no version comes first.
pub fn compare(a: &str, b: &str) -> Ordering {
    super::compare(strip(a), strip(b))
}

/// The language version, like `go1.27` of `go1.27.3-custom`; empty if it is no version.
pub fn lang(version: &str) -> String {
    let lang = super::lang(strip(version));
    if lang.is_empty() { lang } else { format!("go{lang}") }
}

/// Whether `version` is a version.
pub fn is_valid(version: &str) -> bool {
    super::is_valid(strip(version))
}
