//! What every source file begins with, and how long it is without its tests.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Findings;

/// Longer than this, a file holds more than one thing.
const LONGEST: usize = 500;

pub fn check(root: &Path, findings: &mut Findings) -> io::Result<()> {
    for folder in ["crates", "xtask"] {
        for path in rust_files(&root.join(folder))? {
            let source = fs::read_to_string(&path)?;
            let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            judge(&shown, &source, findings);
        }
    }
    Ok(())
}

fn judge(path: &str, source: &str, findings: &mut Findings) {
    if !source.starts_with("//!") {
        findings.errors.push(format!("{path} does not begin with what it is (`//!`)"));
    }
    if path.ends_with("/mod.rs") {
        findings.errors.push(format!("{path} should be named like its folder, beside it"));
    }
    let length = source.lines().take_while(|line| *line != "#[cfg(test)]").count();
    if length > LONGEST && !path.contains("/tests/") {
        findings.warnings.push(format!("{path} has {length} lines without its tests"));
    }
}

/// Every `.rs` file under a folder, in a fixed order.
pub fn rust_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() && !is_foreign(&path) {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a folder holds what is built, or belongs to a tool.
fn is_foreign(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default();
    name == "target" || name.to_string_lossy().starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, source: &str, errors: usize, warnings: usize) {
        let mut findings = Findings::default();
        judge(path, source, &mut findings);
        assert_eq!((findings.errors.len(), findings.warnings.len()), (errors, warnings), "{path}");
    }

    #[test]
    fn files_are_judged_by_name_beginning_and_length() {
        check("a/src/lib.rs", "//! what it is\n", 0, 0);
        check("a/src/lib.rs", "use std::fs;\n", 1, 0);
        check("a/src/b/mod.rs", "//! b\n", 1, 0);
        let long = format!("//! long\n{}", "\n".repeat(600));
        check("a/src/lib.rs", &long, 0, 1);
        let tests = format!("//! short\n#[cfg(test)]\n{}", "\n".repeat(600));
        check("a/src/lib.rs", &tests, 0, 0);
    }
}
