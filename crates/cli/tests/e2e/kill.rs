//! Killing the agent and the server at every named point of an upgrade of real Go, and the other
//! rude things that happen to a device: at no point may it be without a working Go, and the next
//! start ends in the new version or in the old.
//!
//! Each device goes back and forth between two releases; where a point lies before the tree
//! stands, the tree is taken away first.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use gofleet_platform::checkpoint;
use gofleet_testkit::archive::{small_go, zip};
use gofleet_testkit::fleet::{AgentOptions, Fleet, Ran};
use gofleet_testkit::{go, wait_until};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gofleet");
const OLD: &str = "1.27.2";
const NEW: &str = "1.27.3";
/// Two busy processors download, unpack and check a tree well within this.
const DEADLINE: Duration = Duration::from_secs(180);

/// A server with one agent that has [`OLD`], and a count of the rollouts begun.
struct Bed {
    fleet: Fleet,
    rollouts: usize,
}

impl Bed {
    #[track_caller]
    fn new() -> Self {
        let mut fleet =
            Fleet::start_with(PROGRAM, &["--reconcile-every", "100ms", "--prepare", "false"]);
        for version in [OLD, NEW] {
            fleet.import_lean_go(version);
        }
        fleet.start_agent("device");
        fleet.wait_devices(1);
        let mut bed = Self { fleet, rollouts: 0 };
        let rollout = bed.begin(OLD, "0s");
        bed.wait_for(&rollout, "completed");
        bed
    }

    /// Begins a rollout to all devices and returns its name.
    #[track_caller]
    fn begin(&mut self, version: &str, soak: &str) -> String {
        self.rollouts += 1;
        let name = format!("rollout-{}", self.rollouts);
        self.fleet.ok([
            "rollout",
            "start",
            version,
            "--yes",
            "--rings",
            "all:rest",
            "--allow-downgrade",
            "--soak",
            soak,
            "--name",
            &name,
        ]);
        name
    }

    #[track_caller]
    fn wait_for(&self, rollout: &str, state: &str) -> Value {
        wait_until(&format!("{rollout} to be {state}"), DEADLINE, || {
            let status = self.fleet.json(["rollout", "status", rollout]);
            (status["state"] == state).then_some(status)
        })
    }

    /// The step of the device in a rollout.
    fn step(&self, rollout: &str) -> String {
        let status = self.fleet.json(["rollout", "status", rollout]);
        let step = status["rings_detail"][0]["devices"][0]["step"].as_str();
        step.unwrap_or_default().to_owned()
    }

    #[track_caller]
    fn wait_for_step(&self, rollout: &str, step: &str) {
        wait_until(&format!("the step {step}"), DEADLINE, || {
            (self.step(rollout) == step).then_some(())
        });
    }

    /// Starts the agent again such that it parks at a checkpoint (or at none).
    #[track_caller]
    fn restart_agent(&mut self, checkpoint: Option<&str>) -> PathBuf {
        let reached = self.fleet.folder().join("reached");
        let _ = fs::remove_file(&reached);
        let asked = checkpoint.map(|name| format!("{name}={}", reached.display()));
        let asked: Vec<_> =
            asked.iter().map(|asked| ("GOFLEET_CHECKPOINT", asked.as_str())).collect();
        self.fleet.set_agent_environment("device", &asked);
        self.fleet.restart_agent("device");
        reached
    }

    /// Kills the agent once it has parked; then Go must work as it stands.
    #[track_caller]
    fn kill_agent_at(&mut self, checkpoint: &str, reached: &Path) {
        wait_until(&format!("the agent at {checkpoint}"), DEADLINE, || {
            reached.exists().then_some(())
        });
        self.fleet.kill_agent("device");
        let version = self.go_version();
        assert!([OLD, NEW].contains(&version.as_str()), "{version} after {checkpoint}");
    }

    /// What `go version` says through the shim, without any agent's help.
    #[track_caller]
    fn go_version(&self) -> String {
        let text = self.fleet.agent("device").go_version();
        let version = text.split_whitespace().nth(2).and_then(|word| word.strip_prefix("go"));
        version.unwrap_or_else(|| panic!("no version in {text}")).to_owned()
    }

    fn root(&self) -> PathBuf {
        self.fleet.agent("device").root().to_owned()
    }

    fn tree(&self, version: &str) -> PathBuf {
        self.root().join("releases").join(id(version))
    }

    /// Takes a release away as if it had never been there; it must not be active, and no agent run.
    #[track_caller]
    fn forget(&self, version: &str) {
        let root = self.root();
        let active = self.fleet.agent("device").active();
        assert_ne!(active, Some(id(version)));
        if self.tree(version).exists() {
            fs::remove_dir_all(self.tree(version)).unwrap();
            fs::remove_file(root.join("manifests").join(id(version) + ".json")).unwrap();
        }
        let content = serde_json::json!({"active": active, "fallback": null});
        fs::write(root.join("active.json"), content.to_string()).unwrap();
    }

    /// Makes the compiler of an installed release unusable.
    #[track_caller]
    fn damage_compiler(&self, version: &str) {
        let (os, arch) = go::HOST.split_once('-').unwrap();
        let compiler = self.tree(version).join(format!("pkg/tool/{os}_{arch}/compile"));
        let whole = fs::read(&compiler).unwrap();
        fs::remove_file(&compiler).unwrap();
        fs::write(&compiler, &whole[..whole.len() / 2]).unwrap();
    }
}

fn id(version: &str) -> String {
    format!("go-{version}-{}", go::HOST)
}

/// The points that every upgrade passes, in their order, and whether the tree must not stand yet.
fn points_of_an_upgrade() -> Vec<(&'static str, bool)> {
    let staged = checkpoint::ALL.iter().position(|(name, _)| *name == "agent-staged").unwrap();
    let elsewhere = |name: &str| {
        // Each of these has a test of its own below, removing in the depot.
        let others = ["agent-enrolled", "depot-stage-replacing"];
        let kinds = ["server-", "prepare-", "environment-", "agent-revert", "depot-remove-"];
        others.contains(&name) || kinds.iter().any(|kind| name.starts_with(kind))
    };
    let points = checkpoint::ALL.iter().enumerate();
    points
        .filter(|(_, (name, _))| !elsewhere(name))
        .map(|(at, (name, _))| (*name, at <= staged))
        .collect()
}

#[test]
fn killed_at_any_point_of_an_upgrade_a_device_has_a_working_go_and_goes_on() {
    let mut bed = Bed::new();
    let points = points_of_an_upgrade();
    assert!(points.len() >= 12, "{points:?}");
    let (mut from, mut to) = (OLD, NEW);
    for (point, is_before_tree) in points {
        bed.fleet.kill_agent("device");
        if is_before_tree {
            bed.forget(to);
        }
        let reached = bed.restart_agent(Some(point));
        let rollout = bed.begin(to, "0s");
        bed.kill_agent_at(point, &reached);
        bed.restart_agent(None);
        let status = bed.wait_for(&rollout, "completed");
        assert_eq!(status["rings_detail"][0]["devices"][0]["step"], "accepted", "{point}");
        assert_eq!(bed.go_version(), to, "{point}");
        (from, to) = (to, from);
    }
    assert_ne!(from, to);
}

#[test]
fn killed_while_a_damaged_tree_is_replaced_a_device_goes_on() {
    let mut bed = Bed::new();
    let rollout = bed.begin(NEW, "0s");
    bed.wait_for(&rollout, "completed");
    bed.fleet.kill_agent("device");
    bed.damage_compiler(OLD);
    let reached = bed.restart_agent(Some("depot-stage-replacing"));
    let rollout = bed.begin(OLD, "0s");
    bed.kill_agent_at("depot-stage-replacing", &reached);
    assert_eq!(bed.go_version(), NEW);
    bed.restart_agent(None);
    bed.wait_for(&rollout, "completed");
    assert_eq!(bed.go_version(), OLD);
}

#[test]
fn killed_on_the_way_back_a_device_ends_on_the_earlier_release() {
    let mut bed = Bed::new();
    bed.fleet.kill_agent("device");
    let reached = bed.restart_agent(Some("agent-activated"));
    let rollout = bed.begin(NEW, "0s");
    bed.kill_agent_at("agent-activated", &reached);
    assert_eq!(bed.go_version(), NEW);
    bed.damage_compiler(NEW);
    // All of the way back happens while the server is away.
    bed.fleet.kill_server();
    for point in ["agent-reverting", "agent-reverted"] {
        let reached = bed.restart_agent(Some(point));
        bed.kill_agent_at(point, &reached);
    }
    assert_eq!(bed.go_version(), OLD);
    bed.fleet.start_server();
    bed.restart_agent(None);
    bed.wait_for(&rollout, "paused");
    bed.wait_for_step(&rollout, "reverted");
    let detail = bed.fleet.json(["device", "show", "device"]);
    let receipt = &detail["history"][0]["receipt"];
    assert_eq!(receipt["outcome"], "reverted");
    assert_eq!(receipt["failure"]["kind"], "check", "{receipt:#}");
    let version = receipt["evidence"]["go_version"].as_str().unwrap();
    assert!(version.contains(OLD), "the earlier release is proven: {version}");
}

#[test]
fn killed_right_after_enrolment_a_device_needs_no_second_token() {
    let mut fleet = Fleet::start(PROGRAM);
    let reached = fleet.folder().join("reached");
    let asked = format!("agent-enrolled={}", reached.display());
    let environment = vec![("GOFLEET_CHECKPOINT".to_owned(), asked)];
    fleet.start_agent_with("device", &AgentOptions { environment, ..AgentOptions::default() });
    wait_until("enrolment", DEADLINE, || reached.exists().then_some(()));
    fleet.set_agent_environment("device", &[]);
    fleet.restart_agent("device");
    wait_until("the agent to run", DEADLINE, || {
        fleet.agent("device").log().contains("agent is running").then_some(())
    });
    assert_eq!(fleet.json(["device", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_server_killed_at_its_points_goes_on_with_the_same_order() {
    let mut bed = Bed::new();
    let (mut from, mut to) = (OLD, NEW);
    for (point, _) in checkpoint::ALL.iter().filter(|(name, _)| name.starts_with("server-")) {
        bed.fleet.kill_server();
        let reached = bed.fleet.folder().join(point);
        let asked = format!("{point}={}", reached.display());
        bed.fleet.set_server_environment(&[("GOFLEET_CHECKPOINT", &asked)]);
        bed.fleet.start_server();
        let rollout = bed.begin(to, "0s");
        wait_until(&format!("the server at {point}"), DEADLINE, || reached.exists().then_some(()));
        bed.fleet.kill_server();
        bed.fleet.set_server_environment(&[]);
        bed.fleet.start_server();
        bed.wait_for(&rollout, "completed");
        assert_eq!(bed.go_version(), to, "{point}");
        (from, to) = (to, from);
    }
    assert_ne!(from, to);
}

#[test]
fn with_the_server_gone_for_the_whole_installation_it_is_finished_and_told_later() {
    let mut bed = Bed::new();
    bed.fleet.kill_agent("device");
    let reached = bed.restart_agent(Some("agent-downloaded"));
    let rollout = bed.begin(NEW, "0s");
    bed.kill_agent_at("agent-downloaded", &reached);
    bed.fleet.kill_server();
    bed.restart_agent(None);
    let root = bed.root();
    wait_until("the release to be accepted without a server", DEADLINE, || {
        let mut command = bed.fleet.command();
        let status = Ran::of(command.args(["agent", "status", "--json", "--root"]).arg(&root));
        (status.json()["step"] == "accepted").then_some(())
    });
    assert_eq!(bed.go_version(), NEW);
    bed.fleet.start_server();
    bed.wait_for(&rollout, "completed");
    let detail = bed.fleet.json(["device", "show", "device"]);
    assert_eq!(detail["history"][0]["receipt"]["outcome"], "accepted");
}

#[test]
fn a_ledger_that_was_cut_off_is_put_aside_and_the_disk_is_believed() {
    let mut bed = Bed::new();
    let reached = bed.restart_agent(Some("agent-activated"));
    let rollout = bed.begin(NEW, "0s");
    bed.kill_agent_at("agent-activated", &reached);
    let ledger = bed.root().join("agent/ledger.json");
    let whole = fs::read(&ledger).unwrap();
    fs::write(&ledger, &whole[..whole.len() / 2]).unwrap();
    bed.restart_agent(None);
    bed.wait_for(&rollout, "completed");
    assert_eq!(bed.go_version(), NEW);
    assert!(bed.fleet.agent("device").log().contains("the ledger is damaged"));
    assert!(bed.root().join("agent/ledger.damaged.json").exists());
}

#[test]
fn a_second_agent_on_a_root_is_told_who_has_it() {
    let bed = Bed::new();
    let pid = bed.fleet.agent("device").process_id().unwrap().to_string();
    let mut command = bed.fleet.command();
    command.args(["agent", "run", "--server", bed.fleet.url(), "--root"]);
    let second = Ran::of(command.arg(bed.root()));
    assert_eq!(second.code, Some(1), "{second}");
    for part in ["another agent", &format!("pid {pid}"), "hint: ", "--root"] {
        assert!(second.stderr.contains(part), "no `{part}` in {second}");
    }
}

#[test]
fn a_root_that_cannot_be_written_is_named() {
    let fleet = Fleet::start(PROGRAM);
    // Nobody can make a folder there, not even root.
    let mut command = fleet.command();
    command.args(["agent", "run", "--server", fleet.url(), "--root", "/proc/gofleet"]);
    let ran = Ran::of(&mut command);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("cannot use /proc/gofleet as the root of a device"), "{ran}");
}

#[test]
fn a_signal_ends_the_agent_in_the_middle_of_an_installation_and_the_next_start_goes_on() {
    let mut bed = Bed::new();
    bed.fleet.kill_agent("device");
    bed.restart_agent(None);
    let rollout = bed.begin(NEW, "0s");
    wait_until("the installation to begin", DEADLINE, || {
        let files = |folder| fs::read_dir(bed.root().join(folder)).map_or(0, Iterator::count);
        (files("downloads") + files("staging") > 0).then_some(())
    });
    let pid = bed.fleet.agent("device").process_id().unwrap();
    let begun = Instant::now();
    assert!(Command::new("kill").args(["-TERM", &pid.to_string()]).status().unwrap().success());
    wait_until("the agent's end", DEADLINE, || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
    assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
    assert!([OLD, NEW].contains(&bed.go_version().as_str()));
    bed.restart_agent(None);
    bed.wait_for(&rollout, "completed");
    assert_eq!(bed.go_version(), NEW);
}

/// Sets the clock of a process an hour back as soon as a file appears.
const SKEWED_CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    const char *file = getenv("SKEW_FILE");
    if (clock == CLOCK_REALTIME && file && access(file, F_OK) == 0) time->tv_sec -= 3600;
    return result;
}
"#;

#[cfg(target_os = "linux")]
#[test]
fn a_clock_set_an_hour_back_in_mid_soak_prolongs_nothing() {
    let mut bed = Bed::new();
    let folder = bed.fleet.folder().to_owned();
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    let skew = folder.join("skew");
    fs::write(&source, SKEWED_CLOCK).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
    assert!(compiler.status().unwrap().success(), "a C compiler links this very program");
    let (library, skew_file) = (library.to_string_lossy(), skew.to_string_lossy());
    let environment = [("LD_PRELOAD", &*library), ("SKEW_FILE", &*skew_file)];
    bed.fleet.set_agent_environment("device", &environment);
    bed.fleet.restart_agent("device");
    let rollout = bed.begin(NEW, "3s");
    bed.wait_for_step(&rollout, "soaking");
    fs::write(&skew, "").unwrap();
    bed.wait_for(&rollout, "completed");
    assert_eq!(bed.go_version(), NEW);
    let detail = bed.fleet.json(["device", "show", "device"]);
    let receipt = &detail["history"][0]["receipt"];
    // It really was set back, and no time is negative.
    assert_eq!(receipt["started_at"], receipt["finished_at"], "{receipt:#}");
}

#[test]
fn a_server_killed_while_it_makes_a_pack_makes_it_again() {
    let mut fleet = Fleet::start_with(PROGRAM, &["--prepare", "true"]);
    let archive = fleet.folder().join("go.zip");
    for (n, point) in ["prepare-made", "prepare-named"].into_iter().enumerate() {
        let version = format!("1.27.{n}");
        fs::write(&archive, zip(&small_go(&version))).unwrap();
        let reached = fleet.folder().join(point);
        fleet.kill_server();
        let asked = format!("{point}={}", reached.display());
        fleet.set_server_environment(&[("GOFLEET_CHECKPOINT", &asked)]);
        fleet.start_server();
        fleet.ok(["release".as_ref(), "import".as_ref(), archive.as_os_str()]);
        wait_until(&format!("the server at {point}"), DEADLINE, || reached.exists().then_some(()));
        fleet.kill_server();
        fleet.set_server_environment(&[]);
        fleet.start_server();
        let id = format!("go-{version}-linux-amd64");
        let shown = wait_until("the pack", DEADLINE, || {
            let shown = fleet.json(["release", "show", &id]);
            (shown["artifacts"][0]["state"] == "ready").then_some(shown)
        });
        let sha256 = shown["artifacts"][0]["sha256"].as_str().unwrap();
        assert!(fleet.data().join("artifacts").join(sha256).exists(), "{point}");
        // A delta may be in the making still.
        wait_until("nothing is left over", DEADLINE, || {
            let left = fs::read_dir(fleet.data().join("incoming")).unwrap().count();
            (left == 0).then_some(())
        });
    }
    let mut named = BTreeSet::new();
    for release in fleet.json(["release", "list"]).as_array().unwrap() {
        named.insert(release["archive"]["sha256"].as_str().unwrap().to_owned());
        let shown = fleet.json(["release", "show", release["id"].as_str().unwrap()]);
        let made = shown["artifacts"].as_array().unwrap().iter();
        named.extend(made.filter_map(|it| it["sha256"].as_str()).map(str::to_owned));
    }
    let files = fs::read_dir(fleet.data().join("artifacts")).unwrap();
    let there: BTreeSet<_> =
        files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(there, named, "whatever a kill left without a name is gone");
}
