//! `docs/threats.md` promises a test for each control: they must exist, and can be run by
//! themselves.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The names of the tests in the last column of each table.
pub fn tests(root: &Path) -> Result<BTreeSet<String>> {
    let path = root.join("docs").join("threats.md");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    Ok(named(&text))
}

fn named(text: &str) -> BTreeSet<String> {
    let rows = text.lines().filter_map(|line| line.trim().strip_prefix('|')?.strip_suffix('|'));
    let shown_by = rows.filter_map(|row| row.rsplit_once('|').map(|(_, last)| last));
    // What stands between backquotes and is one word with underscores.
    let quoted = shown_by.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    quoted.filter(|word| word.contains('_')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_column_names_tests() {
        let text = "`not_this_one`\n| a | b | c |\n|---|---|---|\n\
                    | x `no_test` | y | `one_test`, `another_test` and the suite `simulation` |\n";
        let expected = ["another_test", "one_test"].map(str::to_owned);
        assert_eq!(named(text), BTreeSet::from(expected));
    }
}
