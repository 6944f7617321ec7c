//! A Windows device in a fleet: the program and the shim, built for Windows and run under Wine,
//! against a server on Linux, with real Windows Go.
//!
//! Needs what `cargo xtask test --suite windows` installs and builds, so that a plain `cargo test`
//! leaves it out. What Wine does otherwise than Windows (no junctions, no POSIX delete) is not
//! asserted here.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod environment;
mod inventory;
mod msi;
mod policy;
mod service;

use std::env;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gofleet_testkit::fleet::{Fleet, Ran};
use gofleet_testkit::{cache, go, wait_until};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gofleet");
const PLATFORM: &str = "windows-amd64";
/// Files are made several times slower under Wine, and its first `go build` compiles all of the
/// standard library that is used.
const DEADLINE: Duration = Duration::from_secs(420);
/// Time to do damage in, while the device believes itself healthy.
const SOAK: &str = "15s";

/// Prints what runs it, so that it can't be the output of another Go than the one on the PATH.
const HELLO: &str = r#"package main

import "runtime"

func main() { println("hello from", runtime.Version(), runtime.GOOS) }
"#;

/// A Windows of its own (a prefix of Wine), with gofleet installed and its agent running.
struct Device {
    runner: PathBuf,
    prefix: PathBuf,
    log: PathBuf,
    agent: Option<Child>,
}

impl Device {
    fn new(name: &str, log: PathBuf) -> Self {
        let runner = from_environment("GOFLEET_WINE");
        let prefixes = cache::folder().join("wine/prefixes");
        let prefix = prefixes.join(format!("{name}-{}", std::process::id()));
        let device = Self { runner, prefix, log, agent: None };
        // The first program makes the prefix.
        let mut first = device.command("cmd");
        assert_eq!(Ran::of(first.args(["/c", "exit"]).current_dir("/")).code, Some(0));
        let programs = from_environment("GOFLEET_WINDOWS_PROGRAMS");
        let installed = device.drive("installed");
        fs::create_dir(&installed).unwrap();
        for program in ["gofleet.exe", "gofleet-shim.exe"] {
            fs::copy(programs.join(program), installed.join(program)).unwrap();
        }
        device
    }

    /// A path on drive C, as Linux sees it.
    fn drive(&self, path: &str) -> PathBuf {
        self.prefix.join("drive_c").join(path)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(&self.runner);
        command.arg(program).env("WINEPREFIX", &self.prefix).current_dir(self.drive(""));
        command
    }

    fn start_agent(&mut self, fleet: &Fleet) {
        let log = File::create(&self.log).unwrap();
        let token = fleet.enrolment_token();
        let mut command = self.command(r"C:\installed\gofleet.exe");
        command
            .args(["agent", "run", "--root", r"C:\gofleet", "--hostname", "windows-one"])
            .args(["--server", fleet.url(), "--token", &token])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0);
        self.agent = Some(command.spawn().unwrap());
    }

    /// Runs the shim `go.exe` with these words, in a folder on drive C.
    #[track_caller]
    fn go(&self, folder: &str, words: &[&str]) -> String {
        let mut command = self.command(r"C:\gofleet\bin\go.exe");
        command
            .args(words)
            .current_dir(self.drive(folder))
            .env("GOFLEET_ROOT", r"C:\gofleet")
            .env("GOCACHE", r"C:\go-build")
            .env("GOTOOLCHAIN", "local");
        let ran = Ran::of(&mut command);
        assert_eq!(ran.code, Some(0), "{ran}");
        ran.stdout.trim().to_owned()
    }

    /// The device runs this Go and no other: by the truth on disk, by the shim, and by a program
    /// that is compiled and run.
    #[track_caller]
    fn check_runs(&self, version: &str) {
        let active = fs::read(self.drive("gofleet/active.json")).unwrap();
        let active: Value = serde_json::from_slice(&active).unwrap();
        assert_eq!(active["active"], format!("go-{version}-{PLATFORM}"));
        let said = self.go("", &["version"]);
        assert_eq!(said, format!("go version go{version} windows/amd64"));

        let module = format!("hello-{version}");
        fs::create_dir_all(self.drive(&module)).unwrap();
        fs::write(self.drive(&module).join("go.mod"), "module hello\n\ngo 1.27.0\n").unwrap();
        fs::write(self.drive(&module).join("main.go"), HELLO).unwrap();
        self.go(&module, &["build", "-o", "hello.exe", "."]);
        let ran = Ran::of(&mut self.command(&format!(r"C:\{module}\hello.exe")));
        let said = format!("hello from go{version} windows");
        assert!(ran.stderr.contains(&said), "{ran}");
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "---- log of the agent\n{}",
                fs::read_to_string(&self.log).unwrap_or_default()
            );
        }
        // Ends all that runs in this Windows, the agent with it.
        let _ = Command::new(self.runner.with_file_name("stop"))
            .env("WINEPREFIX", &self.prefix)
            .status();
        if let Some(mut agent) = self.agent.take() {
            let _ = agent.wait();
        }
        // Drive Z is a link to all of this machine; a link is removed, not followed.
        let _ = fs::remove_dir_all(&self.prefix);
        let _ = fs::remove_file(self.prefix.with_added_extension("lock"));
    }
}

fn from_environment(name: &str) -> PathBuf {
    env::var_os(name).map(PathBuf::from).unwrap_or_else(|| {
        panic!("{name} is not set; run `cargo xtask test --suite windows`, which sets it")
    })
}

#[track_caller]
fn wait_step(fleet: &Fleet, rollout: &str, step: &str) -> Value {
    wait_until(&format!("the device to be {step} in {rollout}"), DEADLINE, || {
        let status = fleet.json(["rollout", "status", rollout]);
        let device = &status["rings_detail"][0]["devices"][0];
        (device["step"] == step).then(|| device.clone())
    })
}

fn start(fleet: &Fleet, name: &str, version: &str, soak: &str) {
    let words = ["rollout", "start", version, "--yes", "--name", name, "--soak", soak];
    fleet.ok(words.into_iter().chain(["--rings", "all:rest"]));
}

fn import(fleet: &Fleet, version: &str, archive: &Path) {
    fleet.ok(["release".as_ref(), "import".as_ref(), archive.as_os_str()]);
    fleet.ok(["release", "approve", &format!("go-{version}-{PLATFORM}")]);
}

/// Breaks the compiler of an unpacked release, as a virus scanner or a bad disk would.
fn damage(device: &Device, version: &str) {
    let tool =
        format!("gofleet/releases/go-{version}-{PLATFORM}/pkg/tool/windows_amd64/compile.exe");
    let compiler = device.drive(&tool);
    overwrite(&compiler, b"no program at all");
}

fn overwrite(path: &Path, content: &[u8]) {
    // It may be read-only, or a link to what other trees share: replaced, not written into.
    fs::remove_file(path).unwrap();
    fs::write(path, content).unwrap();
}

#[test]
#[ignore = "needs Wine: cargo xtask test --suite windows"]
fn a_windows_device_upgrades_real_go_and_puts_it_back_when_it_breaks() {
    let fleet = Fleet::start_with(PROGRAM, &["--reconcile-every", "200ms"]);
    let mut device = Device::new("upgrade", fleet.folder().join("windows.log"));
    device.start_agent(&fleet);
    fleet.wait_devices(1);
    // One with all of its twelve thousand files, which take a minute each time.
    import(&fleet, "1.27.2", &go::lean_archive("1.27.2", PLATFORM));
    import(&fleet, "1.27.3", &go::archive("1.27.3", PLATFORM));

    start(&fleet, "first", "1.27.2", "0s");
    wait_step(&fleet, "first", "accepted");
    device.check_runs("1.27.2");

    start(&fleet, "upgrade", "1.27.3", "0s");
    wait_step(&fleet, "upgrade", "accepted");
    device.check_runs("1.27.3");

    fleet.ok(["rollout", "rollback", "upgrade"]);
    wait_step(&fleet, "upgrade", "reverted");
    device.check_runs("1.27.2");

    start(&fleet, "broken", "1.27.3", SOAK);
    wait_step(&fleet, "broken", "soaking");
    damage(&device, "1.27.3");
    wait_step(&fleet, "broken", "reverted");
    device.check_runs("1.27.2");
    let shown = fleet.json(["device", "show", "windows-one"]);
    let receipt = &shown["history"][0]["receipt"];
    assert_eq!(receipt["outcome"], "reverted", "{shown:#}");
    assert!(receipt["evidence"]["go_version"].as_str().unwrap().contains("go1.27.2"), "{shown:#}");
}
