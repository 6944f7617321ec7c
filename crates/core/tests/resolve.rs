//! Which version runs in which folder, over made-up folders.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use gofleet_core::resolve::{
    Known, Modules, ReadError, Resolution, Role, Surroundings, Switching, resolve,
};

/// A made-up machine.
#[derive(Default)]
struct Machine {
    files: HashMap<PathBuf, Vec<u8>>,
    variables: HashMap<&'static str, String>,
    go_environment_file: Option<String>,
    unreadable: Option<PathBuf>,
    modules: Option<Modules>,
    user: Option<&'static str>,
    machine: Option<&'static str>,
}

const INSTALLED: [&str; 6] = ["1.25.9", "1.26.6", "1.27.1", "1.27.3", "1.28rc1", "1.20"];

impl Machine {
    /// A machine that runs 1.27.3 where nobody says otherwise.
    fn new() -> Self {
        Self { machine: Some("1.27.3"), ..Self::default() }
    }

    fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(PathBuf::from(path), content.into());
        self
    }

    fn variable(mut self, name: &'static str, value: &str) -> Self {
        self.variables.insert(name, value.to_owned());
        self
    }

    fn resolve(&self, folder: &str) -> Resolution {
        let installed = INSTALLED.map(str::to_owned);
        let known = Known {
            folder: Path::new(folder),
            installed: &installed,
            user: self.user,
            machine: self.machine,
            modules: self.modules.unwrap_or(Modules::Asked),
        };
        resolve(&known, self)
    }

    /// The version and how it may switch; or the whole error and its hint.
    #[track_caller]
    fn check(&self, folder: &str, expect: &str) {
        let said = match self.resolve(folder).outcome {
            Ok(chosen) => match chosen.switching {
                Switching::Off => chosen.version,
                Switching::AsUserSet => format!("{} as user set", chosen.version),
            },
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                let hint = error.hint().map(|hint| format!(" | {hint}"));
                format!("{error}{}{}", cause.unwrap_or_default(), hint.unwrap_or_default())
            }
        };
        assert_eq!(said, expect, "in {folder}");
    }
}

impl Surroundings for Machine {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn read(&self, path: &Path, limit_bytes: usize) -> Result<Option<Vec<u8>>, ReadError> {
        if self.unreadable.as_deref() == Some(path) {
            return Err(ReadError::System(io::Error::from(io::ErrorKind::PermissionDenied)));
        }
        match self.files.get(path) {
            Some(content) if content.len() > limit_bytes => Err(ReadError::TooLarge(limit_bytes)),
            content => Ok(content.cloned()),
        }
    }

    fn go_environment_file(&self) -> Option<String> {
        self.go_environment_file.clone()
    }

    fn temporary_folder(&self) -> PathBuf {
        PathBuf::from("/tmp")
    }
}

#[test]
fn the_order_is_variable_file_user_machine() {
    Machine::new().check("/w/a", "1.27.3");
    let machine = Machine { user: Some("1.26.6"), ..Machine::new() };
    machine.check("/w/a", "1.26.6");
    let machine = machine.file("/w/.go-version", "1.25.9\n");
    machine.check("/w/a", "1.25.9");
    machine.check("/other", "1.26.6");
    let machine = machine.variable("GOFLEET_VERSION", "go1.27.1");
    machine.check("/w/a", "1.27.1");
    machine.variable("GOFLEET_VERSION", "machine").check("/w/a", "1.27.3");
}

#[test]
fn the_nearest_folder_wins_and_in_a_folder_pins_come_before_modules() {
    let machine = Machine::new()
        .file("/w/.go-version", "1.25.9")
        .file("/w/.tool-versions", "golang 1.26.6")
        .file("/w/go.mod", "module m\ngo 1.28rc1\n")
        .file("/w/near/.tool-versions", "nodejs 22\ngo 1.27.1 1.26.6 # team\n")
        .file("/w/other-tools/.tool-versions", "nodejs 22\n");
    machine.check("/w", "1.25.9");
    machine.check("/w/deep/down", "1.25.9");
    machine.check("/w/near/x", "1.27.1");
    machine.check("/w/other-tools", "1.25.9");
}

#[test]
fn modules_demand_by_gos_rules() {
    let check = |go_mod: &str, expect| {
        Machine { user: Some("1.26.6"), ..Machine::new() }
            .file("/w/go.mod", go_mod)
            .check("/w/sub", expect);
    };
    check("module m\ngo 1.25\n", "1.26.6");
    check("module m\ngo 1.27.1\n", "1.27.1");
    check("module m\ngo 1.25\ntoolchain go1.27.3\n", "1.27.3");
    check("module m\ngo 1.28rc1\ntoolchain go1.27.3\n", "1.28rc1");
    check("module m\ngo 1.28rc1\ntoolchain default\n", "1.26.6");
    check(
        "module m\ngo 1.27\n",
        "Go 1.27.0 is not installed, but /w/go.mod wants it | run `gofleet install 1.27.0`, or set \
         GOFLEET_VERSION to a version that is installed",
    );
    check("toolchain nonsense", "invalid toolchain \"nonsense\" in /w/go.mod");
    check(
        "toolchain go1.29",
        "invalid toolchain: go1.29 is a language version but not a toolchain version (go1.29.x) \
         | name a release in the `toolchain` line, like go1.27.3",
    );
}

#[test]
fn a_module_starts_from_the_pin_above_it() {
    let machine = Machine::new()
        .file("/w/.go-version", "1.26.6")
        .file("/w/old/go.mod", "go 1.22")
        .file("/w/new/go.mod", "go 1.27.1");
    machine.check("/w/old", "1.26.6");
    machine.check("/w/new", "1.27.1");
}

#[test]
fn a_workspace_comes_before_a_nearer_module() {
    let machine = Machine::new().file("/w/go.work", "go 1.28rc1").file("/w/m/go.mod", "go 1.99.0");
    machine.check("/w/m", "1.28rc1");
    let off = machine.variable("GOWORK", "off");
    off.check("/w", "1.27.3");
    assert!(off.resolve("/w/m").outcome.is_err());
    off.variable("GOWORK", "elsewhere/go.work").check("/w", "invalid GOWORK: not an absolute path");
}

#[test]
fn the_users_own_setting_stays_in_force() {
    let module = || Machine::new().file("/w/go.mod", "go 1.28rc1");
    module().variable("GOTOOLCHAIN", "local").check("/w", "1.27.3 as user set");
    module().variable("GOTOOLCHAIN", "go1.26.6").check("/w", "1.26.6 as user set");
    module().variable("GOTOOLCHAIN", "go1.26.6+auto").check("/w", "1.28rc1 as user set");
    // Not installed: the Go that starts may look for it, as it was told.
    module().variable("GOTOOLCHAIN", "go1.99.1").check("/w", "1.27.3 as user set");
    module().variable("GOTOOLCHAIN", "asdf").check("/w", "invalid GOTOOLCHAIN \"asdf\"");
    module().variable("GO111MODULE", "off").check("/w", "1.27.3 as user set");
    let written = Some("GOTOOLCHAIN=go1.25.9\nGOPROXY=off\n".to_owned());
    Machine { go_environment_file: written, ..module() }.check("/w", "1.25.9 as user set");
    // A pin is not a start but the end.
    let pinned = module().file("/w/.go-version", "1.26.6").variable("GOTOOLCHAIN", "go1.25.9");
    pinned.check("/w", "1.26.6");
}

#[test]
fn commands_about_the_setting_itself_do_not_ask_modules() {
    Machine { modules: Some(Modules::Ignored), ..Machine::new() }
        .file("/w/go.mod", "go 1.99.0")
        .check("/w", "1.27.3 as user set");
}

#[test]
fn a_module_left_in_the_temporary_folder_does_not_count() {
    let machine = Machine::new().file("/tmp/go.mod", "go 1.99.0");
    machine.check("/tmp/test-1", "1.27.3");
}

#[test]
fn version_files_are_read_whatever_wrote_them() {
    let check = |content: &[u8], expect: &str| {
        Machine::new().file("/w/.go-version", content).check("/w", expect);
    };
    let wide: Vec<u8> = "\u{feff}1.26.6\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    check(&wide, "1.26.6");
    let wide: Vec<u8> = "\u{feff}1.26.6\r\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    check(&wide, "1.26.6");
    check(b"\xEF\xBB\xBF1.26.6\r\n", "1.26.6");
    check(b"# the team's\n\n  go1.26.6  # pinned\n1.25.9\n", "1.26.6");
    check(b"1.27", "1.27.3");
    check(b"1.28", "1.28rc1");
    check(b"", "1.27.3");
    check(b" \r\n# nothing\r\n", "1.27.3");
    check(b"system\n", "1.27.3");
}

#[test]
fn bad_version_files_are_named_with_advice() {
    let advice = "write a version like 1.27.3, or 1.27 for the newest patch installed";
    let check = |content: &[u8], shown: &str| {
        let expect = format!(
            "/w/.go-version does not name a version of Go: not a Go version: `{shown}` (expected \
             one like 1.27.3 or 1.28rc1) | {advice}"
        );
        Machine::new().file("/w/.go-version", content).check("/w", &expect);
    };
    check(b"latest", "latest");
    check(b"1.27.3 1.26.6", "1.27.3 1.26.6");
    check(b"\x00\x01\xff", "\\0\\u{1}\u{fffd}");
    check(&b"9".repeat(200), &"9".repeat(80));
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let huge = Machine::new().file("/w/.go-version", vec![b'\n'; 1 << 20]);
    huge.check("/w", "/w/.go-version can't be used: it has more than 65536 bytes");
    let unreadable =
        Machine { unreadable: Some(PathBuf::from("/w/.go-version")), ..Machine::new() };
    unreadable.check("/w", "/w/.go-version can't be used: it can't be read");
}

#[test]
fn nothing_installed_and_nothing_chosen_are_told_apart() {
    let nothing = Known {
        folder: Path::new("/w"),
        installed: &[],
        user: None,
        machine: None,
        modules: Modules::Asked,
    };
    let error = resolve(&nothing, &Machine::default()).outcome.unwrap_err();
    assert_eq!(error.to_string(), "no Go is installed");
    assert!(error.hint().unwrap().contains("gofleet install"));
    Machine { machine: None, ..Machine::new() }
        .check("/w", "no version of Go has been chosen | run `gofleet use 1.27.3`");
    Machine { user: Some("1.19.1"), ..Machine::new() }.check(
        "/w",
        "Go 1.19.1 is not installed, but the user's choice wants it | run `gofleet install 1.19.1`, \
         or set GOFLEET_VERSION to a version that is installed",
    );
}

#[test]
fn the_chain_tells_all_that_was_considered() {
    let machine = Machine { user: Some("1.26.6"), ..Machine::new() }
        .file("/w/go.mod", "go 1.22\ntoolchain go1.27.3\n")
        .variable("GOTOOLCHAIN", "auto");
    let resolution = machine.resolve("/w");
    let told: Vec<String> = resolution
        .chain
        .iter()
        .map(|link| {
            format!("{}: {} {}", link.source, link.says.as_deref().unwrap_or("-"), link.role)
        })
        .collect();
    assert_eq!(
        told,
        [
            "GOFLEET_VERSION: - says nothing",
            "GOTOOLCHAIN: auto does not count here",
            "/w/go.mod: go 1.22, toolchain go1.27.3 decides",
            "the user's choice: 1.26.6 is what Go's selection starts from",
        ]
    );
    let pinned = Machine::new().file("/w/.go-version", "1.25.9").resolve("/w");
    assert_eq!(pinned.chain.last().map(|link| link.role), Some(Role::Chooses));
}

#[test]
fn a_go_too_old_for_the_module_is_warned_of() {
    let machine = Machine::new().file("/w/go.mod", "go 1.99.0\ntoolchain default\n");
    assert_eq!(
        machine.resolve("/w").outcome.unwrap().warning.as_deref(),
        Some("go.mod requires go >= 1.99.0 (running go 1.27.3; go.mod sets toolchain default)")
    );
}
