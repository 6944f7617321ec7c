//! The walls of the house: which of our crates may depend on which. What stands here stands in
//! ARCHITECTURE.md too; a new crate needs a line in both.

use cargo_metadata::{DependencyKind, Metadata};

use super::Findings;

/// Crate and those of ours that it may depend on. For tests every one may use the testkit.
const ALLOWED: [(&str, &[&str]); 15] = [
    ("core", &[]),
    ("platform", &[]),
    ("depot", &["core", "platform"]),
    ("api", &["core"]),
    ("authorization", &["core"]),
    ("storage", &["core"]),
    ("feeds", &["core"]),
    ("trust", &["core", "platform"]),
    ("server", &["core", "api", "authorization", "storage", "feeds", "depot", "platform", "trust"]),
    ("agent", &["core", "api", "depot", "platform", "trust"]),
    ("simulator", &["core", "api"]),
    ("shim", &["core", "platform"]),
    (
        "cli",
        &[
            "core",
            "platform",
            "depot",
            "api",
            "authorization",
            "storage",
            "feeds",
            "server",
            "agent",
            "simulator",
            "shim",
            "trust",
        ],
    ),
    ("testkit", &[]),
    ("xtask", &["testkit"]),
];

/// What a core must not know: anything that waits, or reaches out of the process.
const NOT_IN_CORE: [&str; 9] =
    ["tokio", "reqwest", "axum", "sqlx", "libc", "rustix", "windows-sys", "getrandom", "tempfile"];

pub fn check(metadata: &Metadata, findings: &mut Findings) {
    for package in metadata.workspace_packages() {
        let name = short(&package.name);
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
            findings.errors.push(format!("the crate {name} has no line in the table of edges"));
            continue;
        };
        for dependency in &package.dependencies {
            let other = short(&dependency.name);
            let is_for_tests = dependency.kind == DependencyKind::Development;
            let is_allowed = allowed.contains(&other) || is_for_tests && other == "testkit";
            if dependency.path.is_some() && !is_allowed {
                findings.errors.push(format!("{name} must not depend on {other}"));
            }
            let reaches_out = NOT_IN_CORE.contains(&dependency.name.as_str());
            if name == "core" && reaches_out && !is_for_tests {
                findings.errors.push(format!("core decides only: it must not depend on {other}"));
            }
        }
    }
}

/// The name of the crate's folder: `gofleet-core` → `core`; the program `gofleet` → `cli`.
fn short(package: &str) -> &str {
    match package {
        "gofleet" => "cli",
        other => other.strip_prefix("gofleet-").unwrap_or(other),
    }
}
