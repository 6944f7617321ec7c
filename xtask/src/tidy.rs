//! `cargo xtask tidy`: what the compiler does not check. The walls between the crates, what every
//! file begins with, how long files are, dependencies that nobody uses, and tests that a page
//! promises.

mod edges;
mod files;
mod manifests;
mod promises;

use anyhow::{Result, ensure};
use cargo_metadata::MetadataCommand;

use crate::run::root;

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// What breaks the build.
    pub errors: Vec<String>,
    /// What is worth a look.
    pub warnings: Vec<String>,
}

pub fn main() -> Result<()> {
    let metadata =
        MetadataCommand::new().current_dir(root()).other_options(["--offline".into()]).exec();
    // A fresh clone has not downloaded what the lock file names.
    let metadata = metadata.or_else(|_| MetadataCommand::new().current_dir(root()).exec())?;
    let mut findings = Findings::default();
    edges::check(&metadata, &mut findings);
    manifests::check(&metadata, &mut findings)?;
    files::check(root(), &mut findings)?;
    promises::check(root(), &mut findings)?;
    for warning in &findings.warnings {
        eprintln!("warning: {warning}");
    }
    for error in &findings.errors {
        eprintln!("error: {error}");
    }
    ensure!(findings.errors.is_empty(), "{} things are not tidy", findings.errors.len());
    Ok(())
}
