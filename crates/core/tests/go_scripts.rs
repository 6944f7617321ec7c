//! Go's own test scripts for the selection of toolchains, run against our resolution.
//!
//! The scripts are read out of a real release. A small interpreter stands in for the script
//! engine, with files in memory and a `go` command that selects with our code. What needs a
//! network or a build is skipped and counted as such, so that a script that quietly stops
//! checking anything fails the test.
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::fs;

use gofleet_testkit::go;

#[path = "go_scripts/fake_go.rs"]
mod fake_go;
#[path = "go_scripts/interpreter.rs"]
mod interpreter;
#[path = "go_scripts/world.rs"]
mod world;

use interpreter::{Counts, Interpreter};

/// The release whose scripts are run.
const RELEASE: &str = "1.27.3";

/// Runs a script; it must make exactly `checked` assertions and skip `skipped`.
fn check(name: &str, checked: usize, skipped: usize) {
    let folder = go::tree(RELEASE, go::HOST).join("src/cmd/go/testdata/script");
    let text = fs::read_to_string(folder.join(name)).unwrap();
    let counts = Interpreter::run(name, &text);
    assert_eq!(counts, Counts { checked, skipped }, "{name}");
}

#[test]
fn local() {
    // Skipped: what `go install m@v` says after it has asked a proxy which Go the module needs.
    check("gotoolchain_local.txt", 126, 50);
}

#[test]
fn path() {
    // Skipped: `go run m@v`, which asks a proxy.
    check("gotoolchain_path.txt", 28, 2);
}

#[test]
fn trace() {
    check("gotoolchain_godebug_trace.txt", 59, 0);
}

#[test]
fn language_versions_are_no_toolchains() {
    check("gotoolchain_issue66175.txt", 56, 0);
}

#[test]
fn workspace_with_modules_on_demand() {
    check("gotoolchain_work_issue76728.txt", 3, 0);
}

#[test]
fn names_with_slashes() {
    check("mod_toolchain_slash.txt", 4, 0);
}

#[test]
fn editing_a_workspace() {
    check("work_edit_toolchain.txt", 7, 0);
}

#[test]
fn switching_in_circles() {
    // Skipped: a mismatched toolchain, a loop of switches, `go test` and `go run`.
    check("gotoolchain_loop.txt", 4, 10);
}
