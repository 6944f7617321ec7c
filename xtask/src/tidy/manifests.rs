//! Dependencies: each is declared once, in the workspace, and somebody uses it.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, Package};

use super::{Findings, files};

pub fn check(metadata: &Metadata, findings: &mut Findings) -> Result<()> {
    let workspace = fs::read_to_string(metadata.workspace_root.join("Cargo.toml"))?;
    let mut used = BTreeSet::new();
    for package in metadata.workspace_packages() {
        let manifest = fs::read_to_string(&package.manifest_path)?;
        check_inherited(package, &manifest, findings);
        check_used(package, findings)?;
        used.extend(package.dependencies.iter().map(|dependency| dependency.name.clone()));
    }
    for name in declared(&workspace) {
        if !used.contains(name) {
            findings.errors.push(format!("no crate uses {name}, which the workspace declares"));
        }
    }
    Ok(())
}

/// Every crate takes lints and versions from the workspace.
fn check_inherited(package: &Package, manifest: &str, findings: &mut Findings) {
    if !manifest.contains("[lints]\nworkspace = true") {
        findings.errors.push(format!("{} does not inherit the workspace's lints", package.name));
    }
    for line in manifest.lines().filter(|line| is_own_version(line)) {
        findings.errors.push(format!(
            "{}: a dependency's version stands in the workspace: {line}",
            package.name
        ));
    }
}

/// `name = "1.2"` or `name = { version = …`, but for what a package says about itself.
fn is_own_version(line: &str) -> bool {
    let Some((name, value)) = line.split_once(" = ") else { return false };
    let about_itself = ["name", "description", "path", "default", "harness", "test", "doctest"];
    !about_itself.contains(&name) && (value.starts_with('"') || value.contains("version = "))
}

/// Each dependency is named in the crate's sources.
fn check_used(package: &Package, findings: &mut Findings) -> Result<()> {
    let folder = package.manifest_path.parent().context("a manifest lies in a folder")?;
    let mut sources = String::new();
    for path in files::rust_files(folder.as_std_path())? {
        sources += &fs::read_to_string(path)?;
    }
    for dependency in &package.dependencies {
        let name = dependency.rename.as_ref().unwrap_or(&dependency.name).replace('-', "_");
        if !mentions(&sources, &name) {
            let package = &package.name;
            findings.errors.push(format!("{package} does not use its dependency {name}"));
        }
    }
    Ok(())
}

/// Whether the word stands in the text as a path's beginning (`name::`) or is imported by itself.
fn mentions(sources: &str, name: &str) -> bool {
    sources.contains(&format!("{name}::"))
        || sources.contains(&format!("use {name}"))
        || sources.contains(&format!("{name} as _"))
}

/// The names in the workspace's table of dependencies.
fn declared(workspace: &str) -> impl Iterator<Item = &str> {
    workspace
        .lines()
        .skip_while(|line| *line != "[workspace.dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| Some(line.split_once(" = ")?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_outside_of_the_workspace_is_seen() {
        let check = |line: &str, expect: bool| assert_eq!(is_own_version(line), expect, "{line}");
        check(r#"serde = "1""#, true);
        check(r#"serde = { version = "1", features = ["derive"] }"#, true);
        check("serde.workspace = true", false);
        check(r#"name = "gofleet""#, false);
    }

    #[test]
    fn the_table_of_dependencies_ends_at_the_next_one() {
        let names: Vec<_> = declared(
            "[a]\nx = 1\n[workspace.dependencies]\nserde = \"1\"\n\ntar = \"2\"\n[b]\ny = 1",
        )
        .collect();
        assert_eq!(names, ["serde", "tar"]);
    }
}
