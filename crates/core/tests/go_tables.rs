//! Our reading and ordering of versions against the tables of Go's own tests, which are read out
//! of a real release.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fs;

use gofleet_core::version::{self, GoVersion, tagged};
use gofleet_testkit::go;

/// The release whose tables are read.
const RELEASE: &str = "1.27.3";

/// A row of a table: its words, quotes removed.
type Row = Vec<String>;

fn source(path: &str) -> String {
    let path = go::tree(RELEASE, go::HOST).join("src").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of `var NAME = []…{`, one a line, up to the line `}`.
fn table(source: &str, name: &str) -> Vec<Row> {
    let start = source.find(&format!("\nvar {name} = []")).unwrap_or_else(|| panic!("no {name}"));
    let rows = source[start + 1..].lines().skip(1).take_while(|line| *line != "}");
    rows.map(str::trim).filter(|line| line.starts_with('{')).map(words).collect()
}

/// Strings, numbers and names in a line of Go.
fn words(line: &str) -> Row {
    let line = line.split("//").next().unwrap_or_default();
    let mut words = Vec::new();
    for (at, piece) in line.split('"').enumerate() {
        if at % 2 == 1 {
            words.push(piece.to_owned());
        } else {
            let bare = piece.split(|c: char| !(c.is_alphanumeric() || c == '-'));
            words.extend(bare.filter(|word| !word.is_empty()).map(str::to_owned));
        }
    }
    words
}

/// Runs `answer` over all rows of a table: it must give each row's last word.
fn check(source: &str, name: &str, least_rows: usize, answer: impl Fn(&[String]) -> String) {
    let rows = table(source, name);
    assert!(rows.len() >= least_rows, "{name} has {} rows, not {least_rows}", rows.len());
    for row in rows {
        let (expect, input) = row.split_last().expect("a row has words");
        assert_eq!(&answer(input), expect, "{name} {input:?}");
    }
}

fn sign(ordering: Ordering) -> String {
    (ordering as i8).to_string()
}

fn check_gover(source: &str) {
    check(source, "compareTests", 25, |row| sign(version::compare(&row[0], &row[1])));
    check(source, "langTests", 5, |row| version::lang(&row[0]));
    check(source, "isLangTests", 10, |row| version::is_lang(&row[0]).to_string());
    check(source, "isValidTests", 14, |row| version::is_valid(&row[0]).to_string());
}

#[test]
fn gover() {
    check_gover(&source("internal/gover/gover_test.go"));
    let source = source("cmd/go/internal/gover/gover_test.go");
    check_gover(&source);
    check(&source, "prevTests", 8, |row| version::previous(&row[0]));
}

#[test]
fn gover_parts() {
    // Each row: the text, the type's name, the five parts. Of them the canonical text is made.
    let rows = table(&source("internal/gover/gover_test.go"), "parseTests");
    assert!(rows.len() >= 13);
    for row in rows {
        let [text, _type, major, minor, patch, kind, pre] = &row[..] else { panic!("{row:?}") };
        let version: GoVersion = text.parse().unwrap();
        let dot = if patch.is_empty() { "" } else { "." };
        let whole = format!("{major}.{minor}{dot}{patch}{kind}{pre}");
        assert_eq!(whole.parse::<GoVersion>().as_ref(), Ok(&version), "{text} {whole}");
        assert_eq!(version.is_prerelease(), !kind.is_empty(), "{text}");
        assert_eq!(version.language().as_str(), version::lang(text), "{text}");
    }
}

#[test]
fn go_version() {
    let source = source("go/version/version_test.go");
    check(&source, "compareTests", 29, |row| sign(tagged::compare(&row[0], &row[1])));
    check(&source, "langTests", 7, |row| tagged::lang(&row[0]));
    check(&source, "isValidTests", 16, |row| tagged::is_valid(&row[0]).to_string());
}

#[test]
fn toolchain_names() {
    let source = source("cmd/go/internal/gover/toolchain_test.go");
    check(&source, "fromToolchainTests", 7, |row| {
        GoVersion::from_toolchain(&row[0]).map(String::from).unwrap_or_default()
    });
    // Rows for `go` and `toolchain`; the others are about semantic versions of modules.
    let source = self::source("cmd/go/internal/gover/mod_test.go");
    let rows = table(&source, "modCompareTests");
    let of_go: Vec<_> = rows.iter().filter(|row| row[0] == "go").collect();
    assert!(of_go.len() >= 3);
    for row in of_go {
        assert_eq!(sign(version::compare(&row[1], &row[2])), row[3], "{row:?}");
    }
}

#[test]
fn newer_toolchain() {
    let source = source("cmd/go/internal/toolchain/toolchain_test.go");
    let lists: HashMap<String, Vec<String>> = source
        .lines()
        .filter(|line| line.starts_with("var rel"))
        .map(|line| {
            let (name, list) = line["var ".len()..].split_once(" = []string").expect("a list");
            (name.to_owned(), words(list))
        })
        .chain([("nil".to_owned(), Vec::new())])
        .collect();
    assert_eq!(lists.len(), 4);
    check(&source, "newerToolchainTests", 31, |row| {
        let releases: Vec<&str> = lists[&row[1]].iter().map(String::as_str).collect();
        version::newer(&row[0], &releases).map(|v| format!("go{v}")).unwrap_or_default()
    });
}
