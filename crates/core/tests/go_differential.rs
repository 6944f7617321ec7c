//! Our selection of toolchains against that of a real Go, on generated modules and settings.
//!
//! The real Go tells its selection by `GODEBUG=toolchaintrace=1` and finds other toolchains as
//! scripts on `PATH`.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use gofleet_core::resolve::{GoSelection, GoSettings, ReadError, Surroundings, go_selection};
use gofleet_core::toolchain::{Local, Mode, unavailable};
use gofleet_testkit::go;

/// The release that is asked, and so the local toolchain of both sides.
const RELEASE: &str = "1.27.3";
const CASES: u64 = 300;

/// Versions for `go` lines: older, equal, newer, of every form, and none.
const VERSIONS: [&str; 18] = [
    "",
    "1",
    "1.18",
    "1.20",
    "1.20rc1",
    "1.21",
    "1.27",
    "1.27rc2",
    "1.27.3",
    "1.27.4",
    "1.28",
    "1.28rc1",
    "1.28.0",
    "1.99999999999999999999",
    "2.0",
    "1.28.x",
    "1.30.1 // soon",
    "v1.30.0",
];
/// Names for `toolchain` lines and, with suffixes, for `GOTOOLCHAIN`.
const TOOLCHAINS: [&str; 14] = [
    "",
    "",
    "default",
    "local",
    "go1.20",
    "go1.27.3",
    "go1.27.3-corp",
    "go1.27.4",
    "go1.28",
    "go1.28rc1",
    "go1.28.0-corp",
    "go1.30.1",
    "bash",
    "go1.40.0-/x",
];
const SUFFIXES: [&str; 5] = ["", "", "+auto", "+path", "+x"];
/// Toolchains that lie on `PATH`. Others are wanted in vain.
const ON_PATH: [&str; 8] = [
    "go1.20",
    "go1.27",
    "go1.27.3-corp",
    "go1.27.4",
    "go1.28rc1",
    "go1.28.0",
    "go1.28.0-corp",
    "go1.30.1",
];

/// Numbers that are the same on each run (Knuth's MMIX generator).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

/// A generated folder with its settings.
#[derive(Debug)]
struct Case {
    folder: PathBuf,
    temporary: PathBuf,
    variables: BTreeMap<&'static str, String>,
}

impl Case {
    /// Makes the folders `/`, `/a`, `/a/b` below `root`, some with module files.
    fn generate(random: &mut Random, root: &Path) -> Self {
        let folders = [root.to_owned(), root.join("a"), root.join("a/b")];
        fs::create_dir_all(&folders[2]).unwrap();
        for folder in &folders {
            for (name, odds) in [("go.mod", 2), ("go.work", 5)] {
                if random.below(odds) == 0 {
                    fs::write(folder.join(name), module_file(random)).unwrap();
                }
            }
        }
        let toolchain = match random.below(2) {
            0 => random.of(&["", "", "auto", "auto", "path", "auto+path"]).to_owned(),
            _ => format!("{}{}", random.of(&TOOLCHAINS), random.of(&SUFFIXES)),
        };
        let named = root.join("a/go.work").display().to_string();
        let workspace = random.of(&["", "", "auto", "off", &named]).to_owned();
        let modules = random.of(&["", "", "", "on", "auto", "off"]).to_owned();
        let variables =
            [("GOTOOLCHAIN", toolchain), ("GOWORK", workspace), ("GO111MODULE", modules)];
        Self {
            folder: folders[random.below(folders.len())].clone(),
            temporary: root.to_owned(),
            variables: variables.into(),
        }
    }

    /// What the real Go prints on standard error, and its answer.
    fn ask_go(&self, path: &Path) -> String {
        let go = go::tree(RELEASE, go::HOST).join("bin/go");
        let output = Command::new(go)
            .arg("version")
            .current_dir(&self.folder)
            .env_clear()
            .envs(&self.variables)
            .env("GODEBUG", "toolchaintrace=1")
            .env("GOENV", "off")
            .env("GOPROXY", "off")
            .env("GOTELEMETRY", "off")
            .env("HOME", &self.temporary)
            .env("TMPDIR", &self.temporary)
            .env("PATH", path)
            .output()
            .unwrap();
        String::from_utf8([output.stderr, output.stdout].concat()).unwrap()
    }

    /// The same, as we think that it will be.
    fn foretell(&self, path: &Path) -> String {
        let local = Local::new(&format!("go{RELEASE}")).unwrap();
        let answer = format!("go version {} linux/amd64\n", local.name());
        let settings = GoSettings::read(self);
        let asked = match go_selection(&self.folder, &settings, &local, self) {
            Ok(asked) => asked,
            Err(error) => return format!("go: {error}\n"),
        };
        let Some(GoSelection { selection, .. }) = asked else { return answer };
        let mut told: String = selection.steps.iter().map(|step| format!("go: {step}\n")).collect();
        let name = &selection.toolchain;
        if name == local.name() {
            return format!("{told}go: using local toolchain {name}\n{answer}");
        }
        let program = path.join(name);
        if program.exists() {
            let program = program.display();
            told.push_str(&format!(
                "go: using {name} toolchain located in system PATH ({program})\n"
            ));
            return format!("{told}this is {program}\n");
        }
        match selection.mode {
            Mode::Path => told + &format!("go: {}\n", unavailable(&selection, "")),
            // What follows is about the proxy.
            Mode::Fixed | Mode::Auto => told + &format!("go: downloading {name} "),
        }
    }
}

impl Surroundings for Case {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).filter(|value| !value.is_empty()).cloned()
    }

    fn read(&self, path: &Path, _limit_bytes: usize) -> Result<Option<Vec<u8>>, ReadError> {
        match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            content => content.map(Some).map_err(ReadError::System),
        }
    }

    fn go_environment_file(&self) -> Option<String> {
        None
    }

    fn temporary_folder(&self) -> PathBuf {
        self.temporary.clone()
    }
}

fn module_file(random: &mut Random) -> String {
    let line = |key, value: &str| match value {
        "" => String::new(),
        value => format!("{key} {value}\n"),
    };
    let (go, toolchain) = (random.of(&VERSIONS), random.of(&TOOLCHAINS));
    let mut lines = ["module m\r\n".to_owned(), line("go", go), line("\ttoolchain", toolchain)];
    let at = random.below(3);
    lines.rotate_left(at);
    lines.concat()
}

/// A folder of scripts that say who they are.
fn toolchains(folder: &Path) {
    fs::create_dir(folder).unwrap();
    for name in ON_PATH {
        let program = folder.join(name);
        fs::write(&program, "#!/bin/sh\necho \"this is $0\"\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn a_real_go_selects_the_same_for_the_same_reasons() {
    let root = tempfile::tempdir().unwrap();
    let root_path = root.path().canonicalize().unwrap();
    let path = root_path.join("path");
    toolchains(&path);
    let mut random = Random(1);
    let mut upgrades = 0;
    for number in 0..CASES {
        let case = Case::generate(&mut random, &root_path.join(number.to_string()));
        let (said, foretold) = (case.ask_go(&path), case.foretell(&path));
        // An error of ours has no trace with it, and what a proxy says can't be foretold.
        let said_alike = if foretold.starts_with("go: invalid ") {
            said.ends_with(&foretold)
        } else if foretold.ends_with(' ') {
            said.starts_with(&foretold)
        } else {
            said == foretold
        };
        assert!(said_alike, "{case:#?}\nGo said:\n{said}\nforetold:\n{foretold}");
        upgrades += usize::from(foretold.contains("upgrading toolchain"));
    }
    assert!(upgrades > CASES as usize / 10, "only {upgrades} cases upgraded anything");
}
