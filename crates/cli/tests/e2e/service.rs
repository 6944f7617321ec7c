//! The agent as a service of Linux, as far as that goes without a systemd that runs: what would be
//! installed, what is refused, and that an agent that is told to end does so in the middle of an
//! installation. (The units themselves are tested in `gofleet-platform`.)
#![cfg(target_os = "linux")]

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gofleet_testkit::fleet::{AgentOptions, Fleet, Ran};
use gofleet_testkit::wait_until;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gofleet");
const DEADLINE: Duration = Duration::from_secs(120);
/// What is promised of a stop, whatever the agent does.
const STOP: Duration = Duration::from_secs(5);

fn agent(words: &[&str], environment: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GOFLEET_") {
            command.env_remove(name);
        }
    }
    command.arg("agent").args(words).envs(environment.iter().copied()).stdin(Stdio::null());
    Ran::of(&mut command)
}

/// A process that is killed when this is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_dry_run_shows_the_unit_and_no_token() {
    let words = [
        "install",
        "--server",
        "https://gofleet.example.org",
        "--root",
        "/var/lib/größe 5%",
        "--label",
        "site=köln",
        "--limit",
        "2 MB/s",
        "--dry-run",
    ];
    let ran = agent(&words, &[("GOFLEET_ENROLMENT_TOKEN", "canary")]);
    assert_eq!(ran.code, Some(0), "{ran}");
    for part in [
        r#""agent" "run" "--service" "--root" "/var/lib/größe 5%%""#,
        r#""--server" "https://gofleet.example.org" "--label" "site=köln" "--limit" "2 MB/s""#,
        r#"ReadWritePaths="/var/lib/größe 5%%""#,
        "NoNewPrivileges=yes",
        "systemctl enable gofleet-agent",
    ] {
        assert!(ran.stdout.contains(part), "no `{part}` in {ran}");
    }
    assert!(!format!("{ran}").contains("canary"), "{ran}");
}

#[test]
fn what_could_not_run_is_refused() {
    for (root, environment, expect) in [
        ("/home/ann/gofleet", &[("GOFLEET_ENROLMENT_TOKEN", "x")][..], "sees no homes"),
        ("/var/lib/gofleet-absent", &[], "no enrolment token was given"),
    ] {
        let words = ["install", "--server", "http://127.0.0.1:9", "--root", root];
        let ran = agent(&words, environment);
        assert_eq!(ran.code, Some(2), "{ran}");
        assert!(ran.stderr.contains(expect) && ran.stderr.contains("hint: "), "{ran}");
    }
    let absent = agent(&["uninstall", "--root", "/etc", "--purge"], &[]);
    assert_eq!(absent.code, Some(1), "{absent}");
    assert!(absent.stderr.contains("/etc is not the root of an agent"), "{absent}");
}

#[test]
fn a_package_makes_no_service_without_a_server_and_a_token() {
    let url = "--server=https://gofleet.example.org";
    for (words, expect) in [
        (&["setup"][..], "gofleet-agent is not installed: no server is named"),
        (&["setup", "--server=", "--token="], "gofleet-agent is not installed: no server is named"),
        (&["setup", "--server=", "--token=canary"], "no server is named"),
        (&["setup", url, "--token="], "gofleet-agent is not installed: no enrolment token"),
    ] {
        let ran = agent(words, &[]);
        assert_eq!(ran.code, Some(0), "{ran}");
        assert!(ran.stdout.contains(expect) && !ran.stdout.contains("canary"), "{ran}");
    }
    let ran = agent(&["setup", "--server=gofleet", "--token=canary"], &[]);
    assert_eq!(ran.code, Some(2), "{ran}");
    assert!(ran.stderr.contains("is not the address of a server"), "{ran}");
}

#[test]
fn the_unit_for_a_package_has_its_program_and_its_settings_from_the_root() {
    let mut command = Command::new(PROGRAM);
    command.args(["export", "unit", "--program", "/opt/go fleet/gofleet"]).stdin(Stdio::null());
    let ran = Ran::of(&mut command);
    assert_eq!(ran.code, Some(0), "{ran}");
    let start = r#"ExecStart="/opt/go fleet/gofleet" "agent" "run" "--service" "--root" "#;
    let command = format!("{start}\"/var/lib/gofleet\"\n");
    for part in [&command, "ReadWritePaths=\"/var/lib/gofleet\"", "NoNewPrivileges=yes"] {
        assert!(ran.stdout.contains(part), "no `{part}` in {ran}");
    }
}

#[test]
fn a_token_that_was_left_for_the_service_is_used_and_deleted() {
    let fleet = Fleet::start_with(PROGRAM, &["--prepare", "false"]);
    let root = fleet.folder().join("left");
    fs::create_dir(&root).unwrap();
    let left = root.join("enrolment-token");
    fs::write(&left, format!("{}\n", fleet.enrolment_token())).unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["agent", "run", "--service", "--server", fleet.url(), "--root"]).arg(&root);
    command.env_remove("GOFLEET_ENROLMENT_TOKEN").stdin(Stdio::null()).stderr(Stdio::null());
    let first = Killed(command.spawn().unwrap());
    fleet.wait_devices(1);
    wait_until("the credential to be there", DEADLINE, || {
        root.join("agent/credential").exists().then_some(())
    });
    drop(first);
    let _second = Killed(command.spawn().unwrap());
    wait_until("the token to be deleted", DEADLINE, || (!left.exists()).then_some(()));
}

#[test]
fn an_agent_ends_in_the_middle_of_an_installation_and_goes_on_later() {
    let mut fleet =
        Fleet::start_with(PROGRAM, &["--reconcile-every", "200ms", "--prepare", "false"]);
    let reached = fleet.folder().join("reached");
    let checkpoint = format!("depot-stage-unpacked={}", reached.display());
    let options = AgentOptions {
        environment: vec![("GOFLEET_CHECKPOINT".to_owned(), checkpoint)],
        ..AgentOptions::default()
    };
    fleet.start_agent_with("one", &options);
    fleet.wait_devices(1);
    let id = fleet.import_lean_go("1.27.3");
    let words = ["rollout", "start", "1.27.3", "--yes", "--rings", "all:rest", "--soak", "0s"];
    fleet.ok(words);
    wait_until("the installation to be under way", DEADLINE, || reached.exists().then_some(()));

    let pid = fleet.agent("one").process_id().unwrap().to_string();
    let root = fleet.agent("one").root().to_str().unwrap().to_owned();
    let asked = Instant::now();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    wait_until("the agent to end", STOP, || {
        let status = agent(&["status", "--root", &root], &[]);
        status.stdout.contains("not running").then_some(())
    });
    assert!(asked.elapsed() < STOP, "{:?}", asked.elapsed());

    fleet.set_agent_environment("one", &[]);
    fleet.restart_agent("one");
    wait_until("the release to be active", DEADLINE, || {
        (fleet.agent("one").active().as_deref() == Some(id.as_str())).then_some(())
    });
    assert!(fleet.agent("one").go_version().starts_with("go version go1.27.3 "));
}
