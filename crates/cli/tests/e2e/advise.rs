//! `gofleet advise` as a process, and the shell script that it writes on a Go in miniature.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use gofleet_core::digest::Digest;
use gofleet_testkit::archive::{PLAIN, PROGRAM, tar_gz};
use serde_json::Value;
use tempfile::TempDir;

/// A folder in which a name has to be quoted.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir_all(bench.root()).unwrap();
        let written =
            bench.gofleet(&["--nodes", "20", "1.27.3", "--write-script"], Some("scripts"));
        assert!(written.status.success(), "{written:?}");
        bench
    }

    /// Where Go is installed.
    fn root(&self) -> PathBuf {
        self.folder.path().join("größe und $HOME")
    }

    fn gofleet(&self, arguments: &[&str], last: Option<&str>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gofleet"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GOFLEET_") {
                command.env_remove(name);
            }
        }
        let home = self.folder.path();
        command.arg("advise").args(arguments).args(last).current_dir(home);
        command.env("HOME", home).env("XDG_CONFIG_HOME", home).stdin(Stdio::null());
        command.output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.gofleet(arguments, Some("--json"));
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// An archive whose `go` says that it is `version`.
    fn archive(&self, version: &str) -> PathBuf {
        let go = format!("#!/bin/sh\necho go version go{version} linux/amd64\n");
        let files = [
            ("go/VERSION".to_owned(), format!("go{version}").into_bytes(), PLAIN),
            ("go/bin/go".to_owned(), go.into_bytes(), PROGRAM),
        ];
        let path = self.folder.path().join(format!("an archive of {version}.tar.gz"));
        fs::write(&path, tar_gz(&files)).unwrap();
        path
    }

    fn script(&self, shell: &str, arguments: &[&str]) -> Output {
        let script = self.folder.path().join("scripts/upgrade-go.sh");
        let mut command = Command::new(shell);
        command.arg(script).arg("--root").arg(self.root()).args(arguments);
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// Runs the script on an archive, given with its digest.
    fn upgrade(&self, shell: &str, archive: &Path, more: &[&str]) -> Output {
        let sha256 = Digest::of(&fs::read(archive).unwrap()).to_string();
        let archive = archive.to_str().unwrap();
        self.script(shell, &[&["--archive", archive, "--sha256", &sha256], more].concat())
    }

    /// What `go version` says in the root, if there is a Go.
    fn active(&self) -> Option<String> {
        let go = self.root().join("go/bin/go");
        let output = Command::new(go).arg("version").output().ok()?;
        Some(String::from_utf8(output.stdout).unwrap().split(' ').nth(2)?.to_owned())
    }

    /// Every name below the root with when it was changed, to see that nothing was touched.
    fn picture(&self) -> Vec<(PathBuf, std::time::SystemTime)> {
        fn walk(folder: &Path, all: &mut Vec<(PathBuf, std::time::SystemTime)>) {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                all.push((entry.path(), entry.metadata().unwrap().modified().unwrap()));
                if entry.file_type().unwrap().is_dir() {
                    walk(&entry.path(), all);
                }
            }
        }
        let mut all = Vec::new();
        walk(&self.root(), &mut all);
        all.sort();
        all
    }

    /// A Go as an administrator once unpacked it.
    fn put_by_hand(&self, version: &str) {
        let bin = self.root().join("go/bin");
        fs::create_dir_all(&bin).unwrap();
        let status = Command::new("tar")
            .arg("-xzf")
            .arg(self.archive(version))
            .arg("-C")
            .arg(self.root())
            .status();
        assert!(status.unwrap().success());
    }
}

#[track_caller]
fn check(output: &Output, code: i32, text: &str) {
    let both = [&output.stdout[..], &output.stderr].concat();
    let told = String::from_utf8_lossy(&both);
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(told.contains(text), "{told}");
}

/// The shells that are here; the first one is everywhere.
fn shells() -> Vec<&'static str> {
    let mut shells = vec!["sh"];
    let is_here = |shell: &&str| Command::new(shell).args(["-c", ":"]).output().is_ok();
    shells.extend(["dash", "bash"].into_iter().filter(is_here));
    shells
}

#[test]
fn the_script_upgrades_once_and_goes_back() {
    for shell in shells() {
        let bench = Bench::new();
        bench.put_by_hand("1.26.5");
        let archive = bench.archive("1.27.3");
        let before = bench.picture();
        check(&bench.upgrade(shell, &archive, &["--dry-run"]), 0, "from 1.26.5 to 1.27.3");
        assert_eq!(bench.picture(), before, "{shell}: a dry run changes nothing");

        check(&bench.upgrade(shell, &archive, &[]), 0, "is 1.27.3 now, it was 1.26.5");
        assert_eq!(bench.active().as_deref(), Some("go1.27.3"));
        let after = bench.picture();
        check(&bench.upgrade(shell, &archive, &[]), 0, "is 1.27.3 already");
        assert_eq!(bench.picture(), after, "{shell}: a second run changes nothing");

        check(&bench.script(shell, &["--back", "--dry-run"]), 0, "back to 1.26.5");
        assert_eq!(bench.picture(), after, "{shell}: a dry run changes nothing");
        check(&bench.script(shell, &["--back"]), 0, "is 1.26.5 again");
        assert_eq!(bench.active().as_deref(), Some("go1.26.5"));
        check(&bench.script(shell, &["--back"]), 6, "go-previous");
        // The version is there already: no archive is needed any more.
        check(&bench.script(shell, &[]), 0, "is 1.27.3 now");
        assert_eq!(bench.active().as_deref(), Some("go1.27.3"));
    }
}

#[test]
fn the_script_installs_where_there_is_no_go() {
    let bench = Bench::new();
    check(&bench.upgrade("sh", &bench.archive("1.27.3"), &[]), 0, "is 1.27.3 now");
    assert_eq!(bench.active().as_deref(), Some("go1.27.3"));
    check(&bench.script("sh", &["--back"]), 6, "go-previous");
    assert_eq!(bench.active().as_deref(), Some("go1.27.3"));
}

#[test]
fn what_is_wrong_leaves_everything() {
    let bench = Bench::new();
    bench.put_by_hand("1.26.5");
    let archive = bench.archive("1.27.3");
    let name = archive.to_str().unwrap();
    let before = bench.picture();
    let wrong = "0".repeat(64);
    let other = bench.archive("1.27.2");
    let broken = bench.folder.path().join("broken.tar.gz");
    fs::write(&broken, b"no archive").unwrap();
    for (output, code, text) in [
        (
            bench.script("sh", &["--archive", name, "--sha256", &wrong]),
            4,
            "does not have the digest",
        ),
        (bench.script("sh", &["--archive", name]), 2, "give --sha256"),
        (bench.script("sh", &["--archive", "absent", "--sha256", &wrong]), 3, "can't be read"),
        (bench.script("sh", &["--url", "file:///absent", "--sha256", &wrong]), 3, "downloaded"),
        (bench.upgrade("sh", &broken, &[]), 3, "can't be unpacked"),
        (bench.upgrade("sh", &other, &[]), 5, "is not 1.27.3"),
        (bench.script("sh", &["--bakc"]), 2, "what is --bakc?"),
        (bench.script("sh", &["--sha256"]), 2, "needs a value"),
    ] {
        check(&output, code, text);
        assert_eq!(bench.picture(), before, "{text}");
    }
    assert_eq!(bench.active().as_deref(), Some("go1.26.5"));
}

#[test]
fn what_a_killed_run_left_is_cleared_and_a_running_one_is_not_disturbed() {
    let bench = Bench::new();
    let archive = bench.archive("1.27.3");
    let work = bench.root().join(".upgrade-go");
    fs::create_dir(&work).unwrap();
    fs::write(work.join("pid"), std::process::id().to_string()).unwrap();
    check(&bench.upgrade("sh", &archive, &[]), 1, "is under way");
    let mut ended = Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    fs::write(work.join("pid"), ended.id().to_string()).unwrap();
    fs::create_dir(work.join("tree")).unwrap();
    check(&bench.upgrade("sh", &archive, &[]), 0, "is 1.27.3 now");
    assert!(!work.exists());
}

#[test]
fn scripts_hold_the_known_and_windows_line_ends() {
    let bench = Bench::new();
    let read = |name| fs::read_to_string(bench.folder.path().join("scripts").join(name)).unwrap();
    let shell = read("upgrade-go.sh");
    assert!(shell.contains("url='https://go.dev/dl/go1.27.3.linux-amd64.tar.gz'"), "{shell}");
    let windows = read("upgrade-go.ps1");
    assert!(windows.contains("Url = 'https://go.dev/dl/go1.27.3.windows-amd64.zip'"), "{windows}");
    assert_eq!(windows.matches('\n').count(), windows.matches("\r\n").count());
    // Windows PowerShell 5.1 reads a file without a mark in the system's own code page.
    assert!(windows.is_ascii());
    for text in [shell, windows] {
        assert!(!text.contains("@VERSION@") && !text.contains("@KNOWN@"));
    }
}

#[test]
fn few_machines_are_done_by_hand_and_many_are_managed() {
    let bench = Bench::new();
    let few = bench.json(&["--nodes", "3", "1.27.3", "--platform", "windows-amd64"]);
    assert_eq!(few["advised"], "by_hand");
    let commands = few["machines"][0]["commands"].to_string();
    assert!(commands.contains("Get-FileHash go1.27.3.windows-amd64.zip"), "{commands}");
    let many = bench.json(&["--nodes", "100"]);
    assert_eq!((&many["advised"], &many["machines"]), (&"managed".into(), &Value::Array(vec![])));
    assert_eq!(many["costs"][0]["dollars"], 54_000.0);
    assert_eq!(many["costs"][2]["dollars"], 12_000.0);
}

#[test]
fn figures_come_from_the_file_and_the_flags() {
    let bench = Bench::new();
    let printed = bench.gofleet(&["--print-assumptions", "--set", "script.error_rate=7%"], None);
    fs::write(bench.folder.path().join("figures.toml"), printed.stdout).unwrap();
    let answer = bench.json(&[
        "--nodes",
        "30",
        "--assumptions",
        "figures.toml",
        "--changes-per-year",
        "4",
        "--set",
        "managed.minutes_per_node=2",
    ]);
    let figures = answer["assumptions"].as_array().unwrap();
    let edited = figures.iter().filter(|figure| figure["source"]["from"] == "edited");
    let edited: Vec<_> = edited.map(|it| (it["name"].as_str().unwrap(), &it["value"])).collect();
    assert_eq!(
        edited,
        [
            ("changes_per_year", &4.0.into()),
            ("script.error_rate", &0.07.into()),
            ("managed.minutes_per_node", &2.0.into())
        ]
    );
    check(
        &bench.gofleet(&["--nodes", "3", "--set", "error_rate=1"], None),
        2,
        "is by_hand.error_rate meant?",
    );
    check(&bench.gofleet(&[], None), 2, "no server is named");
}
