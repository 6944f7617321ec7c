//! How the suites ended: as a table for people, as a line of JSON for programs.

use serde::Serialize;

/// How a suite ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All of it held.
    Passed,
    /// It was not run, for this reason.
    Skipped(String),
    /// This did not hold.
    Failed(String),
}

impl Outcome {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped(_) => "SKIPPED",
            Self::Failed(_) => "FAILED",
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Self::Passed => None,
            Self::Skipped(reason) | Self::Failed(reason) => Some(reason),
        }
    }

    /// Whether the whole run fails of it: where nobody reads the table, a skipped suite too.
    pub const fn is_bad(&self, is_ci: bool) -> bool {
        match self {
            Self::Passed => false,
            Self::Skipped(_) => is_ci,
            Self::Failed(_) => true,
        }
    }
}

/// One suite.
#[derive(Debug)]
pub struct Row {
    /// Its name on the command line.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took, what it needed included.
    pub seconds: f64,
}

/// The table, with the first line of each reason.
pub fn print(rows: &[Row]) {
    eprintln!();
    for Row { name, outcome, seconds } in rows {
        let reason = outcome.reason().and_then(|reason| reason.lines().next()).unwrap_or_default();
        eprintln!("{name:<8} {:<8} {seconds:>6.1} s  {reason}", outcome.as_str());
    }
}

/// One object with all of it.
pub fn json(rows: &[Row]) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct JsonRow<'a> {
        name: &'a str,
        outcome: String,
        seconds: f64,
        reason: Option<&'a str>,
    }
    let suites: Vec<JsonRow<'_>> = rows
        .iter()
        .map(|row| JsonRow {
            name: &row.name,
            outcome: row.outcome.as_str().to_lowercase(),
            seconds: (row.seconds * 10.0).round() / 10.0,
            reason: row.outcome.reason(),
        })
        .collect();
    serde_json::to_string(&serde_json::json!({ "suites": suites }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skipped_suite_fails_where_nobody_reads() {
        let skipped = Outcome::Skipped("no Wine".to_owned());
        assert!(!skipped.is_bad(false));
        assert!(skipped.is_bad(true));
        assert!(Outcome::Failed(String::new()).is_bad(false));
        assert!(!Outcome::Passed.is_bad(true));
    }

    #[test]
    fn the_json_says_why() {
        let outcome = Outcome::Skipped("no Wine".to_owned());
        let row = Row { name: "windows".to_owned(), outcome, seconds: 1.26 };
        assert_eq!(
            json(&[row]).unwrap(),
            r#"{"suites":[{"name":"windows","outcome":"skipped","seconds":1.3,"reason":"no Wine"}]}"#
        );
    }
}
