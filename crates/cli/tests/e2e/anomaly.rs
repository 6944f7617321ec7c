//! A CI machine that is not well, with everything real: agent, server, the file that a runner
//! writes, and the hook that drains it.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use gofleet_testkit::fleet::{AgentOptions, Fleet};
use gofleet_testkit::wait_until;
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gofleet");
/// How long anything may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// What the runner writes: as programs do, into another file that it then renames.
fn write_errors(file: &Path, errors: u32) {
    let text = format!("# TYPE errors_total counter\nerrors_total{{job=\"build\"}} {errors}\n");
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, file).unwrap();
}

/// Waits until the device is in quarantine, or is not.
#[track_caller]
fn wait_quarantine(fleet: &Fleet, is_in: bool) -> Value {
    wait_until(&format!("quarantine to be {is_in}"), DEADLINE, || {
        let detail = fleet.json(["device", "show", "ci-1"]);
        let kept_out = &detail["device"]["kept_out"];
        (kept_out.is_object() == is_in).then_some(detail)
    })
}

#[test]
fn a_runner_that_fails_is_drained_within_seconds_and_returns_when_it_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let (signals, drained) = (folder.path().join("signals.prom"), folder.path().join("drained"));
    let hook = format!(
        "['/bin/sh', '-c', 'echo $GOFLEET_HOOK_EVENT $GOFLEET_HOSTNAME >> {}']",
        drained.display()
    );
    let rules = "errors: errors > 100/min for 1s; silent for 10m";
    let mut fleet = Fleet::start_with(
        PROGRAM,
        &[
            "--prepare",
            "false",
            "--anomaly-rules",
            rules,
            "--anomaly-release-after",
            "3s",
            "--hook-command",
            &hook,
        ],
    );
    write_errors(&signals, 7);
    let file = signals.to_str().unwrap().to_owned();
    let arguments = ["--signals", &file, "--signals-every", "1s"].map(str::to_owned).to_vec();
    let labels = vec![("class".to_owned(), "ci".to_owned())];
    let options = AgentOptions { labels, arguments, ..AgentOptions::default() };
    fleet.start_agent_with("ci-1", &options);
    fleet.wait_devices(1);
    let health = wait_until("signals", DEADLINE, || {
        let health = fleet.json(["device", "show", "ci-1"])["health"].take();
        health["signals"]["processor"].is_number().then_some(health)
    });
    assert_eq!(health["signals"]["errors"], 0.0);
    assert!(health["class"].as_str().unwrap().ends_with("/ci"), "{health}");
    let shown = fleet.json(["anomaly", "rules"]);
    assert_eq!(shown["origin"], "--anomaly-rules");

    let fault = Instant::now();
    write_errors(&signals, 1007);
    let detail = wait_quarantine(&fleet, true);
    println!("from the fault to the quarantine as it was seen: {:?}", fault.elapsed());
    let cause = &detail["device"]["kept_out"]["cause"];
    assert_eq!((&cause["code"], &cause["rule"]), (&"anomaly".into(), &"errors".into()));
    let lines = || fs::read_to_string(&drained).unwrap_or_default();
    wait_until("the hook", DEADLINE, || (lines() == "drain ci-1\n").then_some(()));
    let text = fleet.ok(["device", "show", "ci-1"]).stdout;
    assert!(text.contains("anomaly `errors`") && text.contains("hook      drain"), "{text}");

    // No more errors: it is well, and returns by itself.
    wait_quarantine(&fleet, false);
    wait_until("the hook", DEADLINE, || (lines() == "drain ci-1\nreturn ci-1\n").then_some(()));
    let log = fleet.json(["audit", "list", "--actor", "server", "--action", "device"]);
    let actions: Vec<_> = log.as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions, ["device.let_in", "device.quarantined"]);
}

#[test]
fn what_a_command_of_the_device_prints_is_judged_and_its_failure_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = folder.path().join("metrics");
    fs::write(&metrics, "queue 1\n").unwrap();
    let rules = "stuck: queue > 50 for 1s";
    let mut fleet = Fleet::start_with(PROGRAM, &["--prepare", "false", "--anomaly-rules", rules]);
    let file = metrics.to_str().unwrap();
    let arguments = [
        ["--signals-every", "1s"],
        ["--signals-command", "/bin/cat"],
        ["--signals-command", "-u"],
        ["--signals-command", file],
        ["--signals-command-every", "1s"],
    ];
    let arguments = arguments.as_flattened().iter().map(|it| (*it).to_owned()).collect();
    fleet.start_agent_with("ci-1", &AgentOptions { arguments, ..AgentOptions::default() });
    fleet.wait_devices(1);
    let wait_health = |what: &str, holds: &dyn Fn(&Value) -> bool| {
        wait_until(what, DEADLINE, || {
            let health = fleet.json(["device", "show", "ci-1"])["health"].take();
            holds(&health).then_some(health)
        })
    };
    wait_health("the signal", &|health| health["signals"]["queue"] == 1.0);

    fs::remove_file(&metrics).unwrap();
    let health = wait_health("the failure", &|health| health["command_failure"].is_object());
    assert_eq!(health["command_failure"]["code"], "failed", "{health}");
    assert!(health["signals"].get("queue").is_none(), "{health}");
    let text = fleet.ok(["device", "show", "ci-1"]).stdout;
    assert!(text.contains("the command with signals ended with exit status: 1"), "{text}");

    fs::write(&metrics, "queue 51\n").unwrap();
    let detail = wait_quarantine(&fleet, true);
    assert_eq!(detail["device"]["kept_out"]["cause"]["rule"], "stuck");
}
