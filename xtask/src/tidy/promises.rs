//! Whether each test that `docs/threats.md` names is there.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::Findings;
use super::files::rust_files;
use crate::threats;

pub fn check(root: &Path, findings: &mut Findings) -> Result<()> {
    let mut missing = threats::tests(root)?;
    for folder in ["crates", "xtask"] {
        for path in rust_files(&root.join(folder))? {
            let source = fs::read_to_string(path)?;
            missing.retain(|test| !source.contains(&format!("fn {test}(")));
        }
    }
    let told = missing.iter().map(|test| format!("docs/threats.md names no test: `{test}`"));
    findings.errors.extend(told);
    Ok(())
}
