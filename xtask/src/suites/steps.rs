//! The commands of each suite.
//!
//! All of them select the whole workspace and at least one test, so that every dependency is
//! compiled once with one set of features (those of the tests' own among them), and only filter what
//! is run of it. Tests that a plain `cargo test` should leave out
//! are marked `#[ignore]`, with their suite's name as the reason.

use std::collections::BTreeSet;
use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use cargo_metadata::{MetadataCommand, TargetKind};

use crate::dist::{self, build::Platform};
use crate::run::{cargo, find_program, quiet, root, run, target_folder};
use crate::setup::windows_target::TARGET;
use crate::setup::{self, Part, packages, wine};
use crate::{docs as references, threats, tidy};

/// Environment variable by which the Windows tests learn of the runner.
const WINE_RUNNER: &str = "GOFLEET_WINE";
/// Environment variable by which they learn where the Windows programs lie.
const WINDOWS_PROGRAMS: &str = "GOFLEET_WINDOWS_PROGRAMS";

/// Environment variable by which the tests learn of a Python that has the package `tuf`.
const PYTHON_TUF: &str = "GOFLEET_TUF_PYTHON";
/// Environment variable that may name a checkout of `theupdateframework/tuf-conformance`.
const TUF_CONFORMANCE: &str = "GOFLEET_TUF_CONFORMANCE";

/// Environment variable by which they learn where npm installed `oidc-provider`.
const OIDC_PROVIDER: &str = "GOFLEET_OIDC_PROVIDER";

/// Environment variable by which tests learn where packages lie.
const PACKAGES: &str = "GOFLEET_PACKAGES";
/// Environment variable by which they learn of a Python that has CycloneDX's library.
const PYTHON_CYCLONEDX: &str = "GOFLEET_CYCLONEDX_PYTHON";
/// Tests in which other people's programs read what we write, show it, sign for us, or say who
/// somebody is.
const WITNESSED: [&str; 11] = [
    "a_directory_lets_in_only_who_proves_it",
    "a_directory_that_nobody_vouches_for_learns_no_password",
    "a_key_of_openssl_signs",
    "a_key_behind_pkcs11_signs",
    "markup_in_what_devices_tell_stays_text",
    "people_of_a_directory_have_the_roles_of_their_groups",
    "people_of_a_provider_have_the_roles_of_their_groups",
    "rsyslog_reads_what_was_meant",
    "samba_reads_what_was_meant",
    "systemd_understands_the_unit",
    "who_leaves_the_directory_has_nothing_left_here",
];

/// Crates whose unit tests say something about Windows. What is pure says the same everywhere, and
/// the server runs on Linux; the program is tested as a whole.
const ON_WINDOWS: [&str; 4] =
    ["gofleet-platform", "gofleet-depot", "gofleet-shim", "gofleet-agent"];
/// No whole fleet is played there, and optimizing the core takes minutes.
const CORE: &str = "profile.dev.package.gofleet-core.opt-level=0";
/// What is pure in those, and takes long.
const PURE: &str = "patch::tests::a_harmed";

pub fn lint() -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    tidy::main()?;
    deny()?;
    run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))
}

/// What `deny.toml` says of other people's crates. Known weaknesses only where their database can
/// be fetched.
fn deny() -> Result<()> {
    let program = match setup::install(Part::CargoDeny) {
        Ok(program) => program,
        Err(reason) if env::var_os("CI").is_some() => return Err(reason),
        Err(reason) => {
            eprintln!("SKIPPED: licences and sources are not checked: {reason:#}");
            return Ok(());
        }
    };
    let deny = || {
        let mut deny = Command::new(&program);
        deny.current_dir(root()).env("GIT_TERMINAL_PROMPT", "0");
        deny
    };
    run(deny().args(["--log-level", "error", "check", "licenses", "bans", "sources"]))?;
    match quiet(deny().args(["--log-level", "error", "fetch", "db"])) {
        Ok(()) => run(deny().args(["--log-level", "error", "check", "advisories"])),
        Err(reason) => {
            let reason = format!("{reason:#}");
            let line = reason.lines().find(|line| line.starts_with("fatal:")).unwrap_or(&reason);
            eprintln!("SKIPPED: known weaknesses: their database can't be fetched: {line}");
            Ok(())
        }
    }
}

pub fn unit() -> Result<()> {
    let mut selection = words(&["--workspace", "--lib", "--bins"]);
    for test in integration_tests(|package| package != "gofleet")? {
        selection.extend(["--test".to_owned(), test]);
    }
    test(&selection, Ignored::LeftOut, &mut cargo())
}

pub fn fuzz() -> Result<()> {
    // Of the whole workspace, so that everything but the depot has been compiled already.
    run(cargo()
        .args(["test", "--workspace", "--features", "gofleet-depot/fuzzing", "--test", "fuzz"])
        .args(["--", "--ignored", "--show-output"]))?;
    // With checksums, of which these are about: what the suite `unit` has compiled.
    run(cargo().args(["test", "--workspace", "--test", "harmed"]).args([
        "--",
        "--ignored",
        "--show-output",
    ]))
}

pub fn end_to_end() -> Result<()> {
    // The shim's own program lies beside `gofleet`, as when installed.
    run(cargo().args(["build", "--workspace", "--bins", "--test", "e2e"]))?;
    // One more than a machine of two processors can run: most of them wait for the time to pass.
    let mut command = cargo();
    command.env("NEXTEST_TEST_THREADS", "3");
    test(&words(&["--workspace", "--test", "e2e"]), Ignored::LeftOut, &mut command)
}

pub fn packages() -> Result<()> {
    run(cargo().args(["build", "--workspace", "--bins", "--test", "e2e"]))?;
    let target = target_folder()?;
    let folder = target.join("packages").join("linux");
    dist::of_tests(Platform::LinuxAmd64, &target.join("debug"), &folder, &[&dist::version()?])?;
    let python = packages::python_cyclonedx()?;
    let mut command = cargo();
    command.env(PACKAGES, folder).env(PYTHON_CYCLONEDX, python);
    ignored_of_program("packages", &mut command)?;
    // That they can be made again: a test of what makes them.
    let name = "packages_of_the_same_files_are_the_same_bytes";
    test(&words(&["--workspace", "--bins", name]), Ignored::Included, &mut cargo())
}

pub fn browser() -> Result<()> {
    ignored_of_program("browser", &mut cargo())
}

pub fn windows() -> Result<()> {
    let wine = wine::install()?;
    let workspace = ["--workspace", "--exclude", "xtask", "--target", TARGET, "--config", CORE];
    run(linting().arg("build").args(workspace).args(["--bins"]))?;
    let runner = "CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER";
    let selection = if find_program("cargo-nextest").is_some() {
        let packages: Vec<String> = ON_WINDOWS.iter().map(|it| format!("package({it})")).collect();
        let mut selection = words(&workspace);
        let filter = format!("({}) and not test({PURE})", packages.join(" or "));
        selection.extend(["--lib".to_owned(), "-E".to_owned(), filter]);
        selection
    } else {
        let packages = ON_WINDOWS.iter().flat_map(|it| ["--package", it]);
        ["--target", TARGET, "--config", CORE, "--lib"]
            .into_iter()
            .chain(packages)
            .map(str::to_owned)
            .collect()
    };
    test(&selection, Ignored::LeftOut, linting().env(runner, &wine.run))?;
    let programs = target_folder()?.join(TARGET).join("debug");
    // The second is what an upgrade upgrades to; that it holds the same programs does not matter.
    let folder = target_folder()?.join("packages").join("windows");
    dist::of_tests(Platform::WindowsAmd64, &programs, &folder, &["0.1.0", "0.1.1"])?;
    let mut cargo = cargo();
    cargo.env(WINE_RUNNER, &wine.run).env(WINDOWS_PROGRAMS, programs).env(PACKAGES, folder);
    ignored_of_program("windows", &mut cargo)
}

pub fn docs() -> Result<()> {
    let mut doc = cargo();
    doc.env("RUSTDOCFLAGS", "--deny warnings");
    run(doc.args(["doc", "--workspace", "--no-deps", "--document-private-items"]))?;
    run(cargo().args(["test", "--quiet", "--workspace", "--doc"]))?;
    references::write(true)
}

pub fn trust() -> Result<()> {
    run(cargo().args(["build", "--workspace", "--bins", "--test", "e2e"]))?;
    named(threats::tests(root())?, Ignored::LeftOut, &mut cargo())?;
    let provider = packages::oidc_provider()?;
    let names = WITNESSED.map(str::to_owned);
    named(names, Ignored::Included, cargo().env(OIDC_PROVIDER, provider))?;
    let python = packages::python_tuf()?;
    let client = words(&["--workspace", "--test", "client"]);
    test(&client, Ignored::Included, cargo().env(PYTHON_TUF, &python))?;
    match env::var_os(TUF_CONFORMANCE) {
        Some(suite) => tuf_conformance(Path::new(&suite), &python),
        None => {
            eprintln!("tuf-conformance is not run: {TUF_CONFORMANCE} names no checkout of it");
            Ok(())
        }
    }
}

/// The official suite for TUF clients, from a checkout of it, against ours.
fn tuf_conformance(suite: &Path, python: &Path) -> Result<()> {
    packages::programs(&[("faketime", "faketime")])?;
    let needs = ["pytest", "pytest-json-report", "securesystemslib[crypto]"];
    quiet(Command::new(python).args(["-m", "pip", "install", "--quiet"]).args(needs))?;
    run(cargo().args(["build", "--package", "gofleet-trust", "--example", "conformance"]))?;
    let client = target_folder()?.join("debug").join("examples").join("conformance");
    let mut pytest = Command::new(python);
    pytest.current_dir(suite).args(["-m", "pytest", "-q", "tuf_conformance", "--entrypoint"]);
    run(pytest.arg(client))
}

/// Cargo with clippy as the compiler of the workspace's own crates, which denies warnings: what
/// `cargo clippy` makes of `cargo check`. A pass of its own would read five hundred dependencies
/// again.
fn linting() -> Command {
    let mut cargo = cargo();
    cargo.env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver");
    // One word after the other, each ended by this.
    cargo.env("CLIPPY_ARGS", "--deny__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__");
    cargo
}

/// What becomes of tests that are marked `#[ignore]`.
#[derive(Clone, Copy)]
enum Ignored {
    LeftOut,
    Included,
}

/// Runs the selected tests, by nextest where it is installed.
fn test(selection: &[String], ignored: Ignored, cargo: &mut Command) -> Result<()> {
    if find_program("cargo-nextest").is_some() {
        cargo.args(["nextest", "run", "--no-fail-fast"]).args(selection);
        if matches!(ignored, Ignored::Included) {
            cargo.args(["--run-ignored", "all"]);
        }
    } else {
        cargo.args(["test", "--no-fail-fast"]).args(selection);
        if matches!(ignored, Ignored::Included) {
            cargo.args(["--", "--include-ignored"]);
        }
    }
    run(cargo)
}

/// Runs the program's tests in a module, which a plain `cargo test` leaves out.
fn ignored_of_program(module: &str, cargo: &mut Command) -> Result<()> {
    let mut selection = words(&["--workspace", "--test", "e2e"]);
    if find_program("cargo-nextest").is_some() {
        selection.extend(["-E".to_owned(), format!("test(/^{module}::/)")]);
    } else {
        selection.push(format!("{module}::"));
    }
    test(&selection, Ignored::Included, cargo)
}

/// Runs the tests of these names, wherever they are.
fn named(
    names: impl IntoIterator<Item = String>,
    ignored: Ignored,
    cargo: &mut Command,
) -> Result<()> {
    let everywhere = ["--no-fail-fast", "--workspace", "--lib", "--bins", "--tests"];
    if find_program("cargo-nextest").is_some() {
        cargo.args(["nextest", "run"]).args(everywhere);
        if matches!(ignored, Ignored::Included) {
            cargo.args(["--run-ignored", "all"]);
        }
    } else {
        cargo.arg("test").args(everywhere).arg("--");
        if matches!(ignored, Ignored::Included) {
            cargo.arg("--include-ignored");
        }
    }
    run(cargo.args(names))
}

/// The names of the integration tests of the packages that `is_wanted` picks.
fn integration_tests(is_wanted: impl Fn(&str) -> bool) -> Result<BTreeSet<String>> {
    let metadata = MetadataCommand::new().current_dir(root()).no_deps().exec()?;
    let packages = metadata.packages.iter().filter(|package| is_wanted(&package.name));
    let targets = packages.flat_map(|package| &package.targets);
    let names: BTreeSet<String> = targets
        .filter(|target| target.kind.contains(&TargetKind::Test))
        .map(|target| target.name.clone())
        .collect();
    Ok(names)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
