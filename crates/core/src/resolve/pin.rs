//! A version as people write it into files and commands.

use std::fmt;
use std::str::FromStr;

use crate::version::{GoVersion, InvalidVersion};

/// Most bytes of a pin: what fits into the name of a release with its package and platform.
const MAX_BYTES: usize = 64;

/// A version as people write it: `1.27.3` (or `go1.27.3`, or `1.27.3-custom`) is that release.
/// One or two numbers alone, `1` or `1.27`, are the newest release of that line, which is also
/// what `1.20` means here (the very first release of 1.20 is `1.20.0`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pin {
    /// One release.
    Exact {
        /// The version, without prefix or suffix.
        version: GoVersion,
        /// What follows it, with its dash; empty for what the Go project releases.
        suffix: String,
    },
    /// The newest release of a line, like `1.27`.
    Line(String),
}

impl Pin {
    /// The one that is meant of `installed` versions. A prerelease is taken for a line only where
    /// the line has nothing else.
    pub fn choose<'a>(&self, installed: &'a [String]) -> Option<&'a str> {
        match self {
            Self::Exact { version, suffix } => find(installed, version, suffix),
            Self::Line(line) => {
                let prefix = format!("{line}.");
                let is_of_line = |version: &&String| {
                    let parsed: Option<GoVersion> = version.parse().ok();
                    parsed.is_some_and(|parsed| {
                        parsed.language().as_str() == line
                            || !line.contains('.') && parsed.as_str().starts_with(&prefix)
                            || parsed.as_str() == line
                    })
                };
                newest_of(installed.iter().filter(is_of_line))
            }
        }
    }

    /// The release that is meant if none is installed from which to choose.
    pub(super) fn first_release(&self) -> String {
        match self {
            Self::Exact { .. } => self.to_string(),
            Self::Line(line) if line.contains('.') => format!("{line}.0"),
            Self::Line(line) => format!("{line}.0.0"),
        }
    }
}

impl FromStr for Pin {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let invalid = || InvalidVersion::new(text);
        if text.len() > MAX_BYTES {
            return Err(invalid());
        }
        let bare = text.trim();
        let bare = bare.strip_prefix("go").unwrap_or(bare);
        let dash = bare.find('-').unwrap_or(bare.len());
        let (number, suffix) = bare.split_at(dash);
        let version: GoVersion = number.parse().map_err(|_| invalid())?;
        let is_suffix = |c: char| c.is_ascii_alphanumeric() || "-._+".contains(c);
        if !suffix.chars().all(is_suffix) {
            return Err(invalid());
        }
        let is_line = number.matches('.').count() < 2
            && number.chars().all(|c| c.is_ascii_digit() || c == '.')
            && suffix.is_empty();
        if is_line {
            return Ok(Self::Line(number.to_owned()));
        }
        Ok(Self::Exact { version, suffix: suffix.to_owned() })
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact { version, suffix } => write!(formatter, "{version}{suffix}"),
            Self::Line(line) => formatter.write_str(line),
        }
    }
}

/// The newest of `installed` versions; a prerelease only where there is nothing else.
pub fn newest(installed: &[String]) -> Option<&str> {
    newest_of(installed.iter())
}

fn newest_of<'a>(versions: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    let parsed = versions.filter_map(|text| Some((text.parse::<GoVersion>().ok()?, text)));
    let newest = parsed.max_by_key(|(version, _)| (!version.is_prerelease(), version.clone()));
    newest.map(|(_, text)| text.as_str())
}

/// The installed version that a toolchain's name, like `go1.27.3`, stands for.
pub(super) fn named_by_toolchain<'a>(name: &str, installed: &'a [String]) -> Option<&'a str> {
    let version = GoVersion::from_toolchain(name)?;
    let suffix = name.find('-').map_or("", |dash| &name[dash..]);
    find(installed, &version, suffix)
}

fn find<'a>(installed: &'a [String], version: &GoVersion, suffix: &str) -> Option<&'a str> {
    let is_meant = |text: &&String| {
        let dash = text.find('-').unwrap_or(text.len());
        text[..dash].parse().is_ok_and(|parsed: GoVersion| parsed == *version)
            && text[dash..] == *suffix
    };
    installed.iter().find(is_meant).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_choose_of_what_is_installed() {
        let installed: Vec<String> =
            ["1.27.3", "1.27.10", "1.28rc1", "1.20", "1.20.4", "1.26.6", "1.26.6-corp", "2.0.1"]
                .map(str::to_owned)
                .into();
        let check = |text: &str, expect: Option<&str>| {
            let pin: Pin = text.parse().unwrap();
            assert_eq!(pin.choose(&installed), expect, "{text}");
        };
        check("1.27.3", Some("1.27.3"));
        check("go1.27.3", Some("1.27.3"));
        check(" 1.27 ", Some("1.27.10"));
        check("1.28", Some("1.28rc1"));
        check("1", Some("1.27.10"));
        check("2", Some("2.0.1"));
        check("1.20", Some("1.20.4"));
        check("1.20.0", Some("1.20"));
        check("1.26.6", Some("1.26.6"));
        check("1.26.6-corp", Some("1.26.6-corp"));
        check("1.26.7", None);
        check("1.2", None);
        check("1.28rc2", None);
        assert_eq!(newest(&installed), Some("2.0.1"));
        assert_eq!(newest(&installed[2..3]), Some("1.28rc1"));
    }

    #[test]
    fn what_names_no_version_is_refused() {
        for text in ["", "latest", "go", "1.27.x", "v1.27.3", "1.27.3 1.26", "1.27.3-../x", "1..2"]
        {
            assert!(text.parse::<Pin>().is_err(), "{text:?}");
        }
    }
}
