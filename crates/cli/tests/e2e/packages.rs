//! The packages for Linux: what is in them, that dpkg installs and removes them without starting
//! anything, and that others understand their bill of materials.
//!
//! Needs what `cargo xtask test --suite packages` makes: packages of the programs as tests have
//! them. A systemd that runs is not needed, and not asserted.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use gofleet_testkit::fleet::Ran;
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gofleet");
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn from_environment(name: &str) -> PathBuf {
    env::var_os(name).map(PathBuf::from).unwrap_or_else(|| {
        panic!("{name} is not set; run `cargo xtask test --suite packages`, which sets it")
    })
}

fn package(name: &str) -> PathBuf {
    let path = from_environment("GOFLEET_PACKAGES").join(name);
    assert!(path.is_file(), "there is no {}", path.display());
    path
}

fn deb() -> PathBuf {
    package(&format!("gofleet_{VERSION}_amd64.deb"))
}

#[track_caller]
fn ok(command: &mut Command) -> String {
    let ran = Ran::of(command);
    assert_eq!(ran.code, Some(0), "{ran}");
    ran.stdout
}

fn run(program: impl AsRef<OsStr>, words: &[&str]) -> String {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("GOFLEET_") {
            command.env_remove(name);
        }
    }
    ok(command.args(words))
}

/// What the program here would write for an agent that is installed there.
fn unit(program: &str) -> String {
    run(PROGRAM, &["export", "unit", "--program", program])
}

/// A folder that dpkg takes for the root of a system on which nothing is installed.
struct System(tempfile::TempDir);

impl System {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join("var/lib/dpkg");
        for folder in ["info", "updates"] {
            fs::create_dir_all(state.join(folder)).unwrap();
        }
        fs::write(state.join("status"), "").unwrap();
        Self(root)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// dpkg, whose scripts find themselves in this root by `DPKG_ROOT`.
    fn dpkg(&self, words: &[&OsStr]) -> String {
        let mut dpkg = Command::new("dpkg");
        dpkg.arg(format!("--root={}", self.0.path().display()));
        // The C library is not there, only here; nor are the programs that a system must have.
        dpkg.args(["--force-script-chrootless", "--force-depends", "--force-not-root"]);
        ok(dpkg.arg("--force-bad-path").args(words))
    }

    fn names_of(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
#[ignore = "needs packages: cargo xtask test --suite packages"]
fn a_debian_package_is_installed_and_removed_and_starts_nothing() {
    let system = System::new();
    system.dpkg(&["--install".as_ref(), deb().as_os_str()]);
    let installed = system.path("usr/bin/gofleet");
    assert_eq!(run(&installed, &["--version"]), run(PROGRAM, &["--version"]));
    assert_eq!(fs::read_link(&installed).unwrap(), Path::new("../lib/gofleet/gofleet"));
    for (path, mode) in [
        ("usr/lib/gofleet/gofleet", 0o755),
        ("usr/lib/gofleet/gofleet-shim", 0o755),
        ("usr/lib/systemd/system/gofleet-agent.service", 0o644),
        ("usr/share/doc/gofleet/examples/agent.toml", 0o644),
        ("usr/share/doc/gofleet/gofleet.cdx.json", 0o644),
    ] {
        let is = fs::metadata(system.path(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(is, mode, "{path}");
    }
    let there = system.path("usr/lib/systemd/system/gofleet-agent.service");
    assert_eq!(fs::read_to_string(there).unwrap(), unit("/usr/lib/gofleet/gofleet"));
    // An enabled unit is a link here, and a started one has no way around systemd.
    assert!(!system.path("etc/systemd").exists(), "nothing is enabled");
    assert_eq!(system.names_of("var/lib/gofleet"), [""; 0]);
    system.dpkg(&["--verify".as_ref(), "gofleet".as_ref()]);

    // As an agent leaves it.
    fs::write(system.path("var/lib/gofleet/active.json"), "{}").unwrap();
    system.dpkg(&["--remove".as_ref(), "gofleet".as_ref()]);
    assert!(!system.path("usr/lib/gofleet").exists() && !installed.exists());
    let said = system.dpkg(&["--purge".as_ref(), "gofleet".as_ref()]);
    assert_eq!(system.names_of("var/lib/gofleet"), ["active.json"], "{said}");
}

#[test]
#[ignore = "needs packages: cargo xtask test --suite packages"]
fn a_debian_package_says_what_it_needs_and_belongs_to_root() {
    let fields = ok(Command::new("dpkg-deb").arg("--field").arg(deb()));
    for field in ["Package: gofleet\n", &format!("Version: {VERSION}\n"), "Architecture: amd64\n"] {
        assert!(fields.contains(field), "no `{field}` in {fields}");
    }
    let libc = fields.split("libc6 (>= 2.").nth(1).unwrap();
    let minor: u32 = libc.split(')').next().unwrap().parse().unwrap();
    assert!((28..60).contains(&minor), "{fields}");
    let contents = ok(Command::new("dpkg-deb").arg("--contents").arg(deb()));
    for line in contents.lines() {
        assert!(line.contains(" root/root "), "{line}");
        let mode = &line[1..10];
        assert!(line.starts_with('l') || !mode[3..].contains('w'), "{line}");
    }
    assert!(contents.contains("./usr/lib/systemd/system/gofleet-agent.service\n"), "{contents}");
}

#[test]
#[ignore = "needs packages: cargo xtask test --suite packages"]
fn a_tarball_holds_programs_that_run_and_a_unit_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("gofleet-{VERSION}-linux-amd64");
    let archive = package(&format!("{name}.tar.gz"));
    ok(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder.path()));
    let inside = folder.path().join(name);
    assert_eq!(run(inside.join("gofleet"), &["--version"]), run(PROGRAM, &["--version"]));
    let written = fs::read_to_string(inside.join("gofleet-agent.service")).unwrap();
    assert_eq!(written, unit("/usr/local/lib/gofleet/gofleet"));
    assert!(inside.join("gofleet-shim").is_file() && inside.join("LICENSE").is_file());

    // What the example of settings says holds, and so does each line that it proposes.
    let example = fs::read_to_string(inside.join("agent.toml.example")).unwrap();
    let proposed = example.replace("# labels", "labels").replace("# limit", "limit");
    let proposed = proposed.replace("# edges", "edges").replace("# signals", "signals");
    assert_ne!(example, proposed);
    for text in [example, proposed] {
        let config = inside.join("agent.toml");
        fs::write(&config, text).unwrap();
        let words = ["agent", "run", "--print-config", "--json", "--config"];
        let shown =
            run(inside.join("gofleet"), &[&words[..], &[config.to_str().unwrap()]].concat());
        let report: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(report["settings"]["server"]["value"], "https://gofleet.example.org");
    }
}

#[test]
#[ignore = "needs packages: cargo xtask test --suite packages"]
fn every_file_that_is_shipped_has_its_digest() {
    let folder = from_environment("GOFLEET_PACKAGES");
    let said = ok(Command::new("sha256sum").args(["--check", "SHA256SUMS"]).current_dir(&folder));
    let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    for name in files.map(|file| file.file_name().into_string().unwrap()) {
        assert!(name == "SHA256SUMS" || said.contains(&format!("{name}: OK")), "{name}: {said}");
    }
    assert_eq!(said.lines().count(), 5, "two programs, their bill, two packages: {said}");
}

/// By CycloneDX's own library for Python, which brings the official schema.
#[test]
#[ignore = "needs packages: cargo xtask test --suite packages"]
fn the_bill_of_materials_holds_by_the_official_schema() {
    let python = from_environment("GOFLEET_CYCLONEDX_PYTHON");
    let check = |bill: &Path| {
        let script = "import sys\n\
            from cyclonedx.schema import SchemaVersion\n\
            from cyclonedx.validation.json import JsonStrictValidator\n\
            text = open(sys.argv[1], encoding='utf-8').read()\n\
            error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)\n\
            sys.exit(0 if error is None else str(error))\n";
        Ran::of(Command::new(&python).args(["-c", script]).arg(bill))
    };
    let bill = package(&format!("gofleet-{VERSION}-linux-amd64.cdx.json"));
    let ran = check(&bill);
    assert_eq!(ran.code, Some(0), "{ran}");

    // That it can fail at all.
    let folder = tempfile::tempdir().unwrap();
    let harmed = folder.path().join("harmed.cdx.json");
    let mut value: Value = serde_json::from_slice(&fs::read(&bill).unwrap()).unwrap();
    value["components"][0]["scope"] = "sometimes".into();
    fs::write(&harmed, value.to_string()).unwrap();
    let ran = check(&harmed);
    assert_eq!(ran.code, Some(1), "{ran}");
}
