//! Published releases on real Go: users of the machines accept, put off, or never answer.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use gofleet_testkit::fleet::{AgentOptions, Fleet, Ran};
use gofleet_testkit::wait_until;
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gofleet");
const DEADLINE: Duration = Duration::from_secs(120);

/// A fleet whose agents tell users by a script that keeps what it reads, a line each.
fn fleet(agents: &[&str]) -> Fleet {
    let mut fleet =
        Fleet::start_with(PROGRAM, &["--reconcile-every", "200ms", "--prepare", "false"]);
    for agent in agents {
        let script = fleet.folder().join(format!("tell-{agent}"));
        let text =
            format!("#!/bin/sh\ncat >> '{0}'\necho >> '{0}'\n", told(&fleet, agent).display());
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let arguments = vec!["--notify-command".to_owned(), script.to_str().unwrap().to_owned()];
        fleet.start_agent_with(agent, &AgentOptions { arguments, ..AgentOptions::default() });
    }
    fleet.wait_devices(agents.len());
    fleet
}

fn told(fleet: &Fleet, agent: &str) -> PathBuf {
    fleet.folder().join(format!("told-{agent}"))
}

/// What the user of an agent's machine was told.
fn kinds(fleet: &Fleet, agent: &str) -> Vec<String> {
    let text = fs::read_to_string(told(fleet, agent)).unwrap_or_default();
    let notices = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    notices.map(|notice| notice["kind"].as_str().unwrap().to_owned()).collect()
}

/// A verb by the user of an agent's machine, who knows neither server nor token.
fn user(fleet: &Fleet, agent: &str, words: &[&str]) -> Ran {
    let mut command: Command = fleet.command();
    command.env("GOFLEET_ROOT", fleet.agent(agent).root()).args(words);
    Ran::of(&mut command)
}

#[track_caller]
fn wait_offered(fleet: &Fleet, agent: &str) -> Value {
    wait_until(&format!("{agent} to be offered something"), DEADLINE, || {
        let offers = user(fleet, agent, &["offers", "--json"]).json();
        offers["offers"].get(0).cloned()
    })
}

#[track_caller]
fn wait_active(fleet: &Fleet, agent: &str, id: &str) {
    wait_until(&format!("{agent} to have {id}"), DEADLINE, || {
        (fleet.agent(agent).active().as_deref() == Some(id)).then_some(())
    });
}

fn publish(fleet: &Fleet, deadline: &str, more: &[&str]) {
    let rollout = ["rollout", "start", "1.27.2", "--yes", "--soak", "0s", "--rings", "all:rest"];
    fleet.ok([&rollout, ["--publish", deadline].as_slice(), more].concat());
}

fn device_of(status: &Value, hostname: &str) -> Value {
    let devices = status["rings_detail"][0]["devices"].as_array().unwrap();
    devices.iter().find(|device| device["hostname"] == hostname).unwrap().clone()
}

#[test]
fn users_put_off_as_often_as_allowed_and_accept() {
    let mut fleet = fleet(&["one", "two"]);
    let id = fleet.import_lean_go("1.27.2");
    let asked = ["--postpone", "2", "--postpone-for", "10m", "--notice", "Close your editors."];
    publish(&fleet, "1h", &asked);
    let offered = wait_offered(&fleet, "one");
    assert_eq!((offered["release"].as_str(), &offered["postponed"]), (Some(&*id), &0.into()));
    let text = user(&fleet, "one", &["offers"]).stdout;
    assert!(
        text.contains("postponed 2 times more") && text.contains("Close your editors."),
        "{text}"
    );

    let dry = user(&fleet, "one", &["accept", "1.27.2", "--dry-run"]);
    assert_eq!((dry.code, dry.stdout.trim()), (Some(0), "would accept go 1.27.2"), "{dry}");
    let long = user(&fleet, "one", &["postpone", "--for", "11m"]);
    assert!(long.code == Some(1) && long.stderr.contains("at most 10m"), "{long}");
    let first = user(&fleet, "one", &["postpone", "--json"]);
    assert_eq!(first.json()["postpones_left"], 1, "{first}");
    // What was said is kept where a kill does not reach it.
    fleet.restart_agent("one");
    let second = user(&fleet, "one", &["postpone", "1.27.2", "--for", "5m"]);
    assert_eq!(second.code, Some(0), "{second}");
    let third = user(&fleet, "one", &["postpone"]);
    assert!(third.code == Some(1) && third.stderr.contains("as often as allowed"), "{third}");
    let other = user(&fleet, "one", &["accept", "1.27.3"]);
    assert!(other.code == Some(1) && other.stderr.contains("is not offered"), "{other}");
    let reason = wait_until("the server to hear of it", DEADLINE, || {
        let reason = device_of(&fleet.json(["rollout", "status"]), "one")["reason"].clone();
        reason["text"].as_str().unwrap().contains("postponed 2 times").then_some(reason)
    });
    assert_eq!(reason["code"], "user");
    assert_eq!(fleet.agent("one").active(), None, "nothing was activated so far");

    let accepted = user(&fleet, "one", &["accept"]);
    assert!(
        accepted.code == Some(0) && accepted.stdout.contains("accepted go 1.27.2"),
        "{accepted}"
    );
    wait_active(&fleet, "one", &id);
    assert!(fleet.agent("one").go_version().starts_with("go version go1.27.2 "));
    wait_until("the user to be told that it is active", DEADLINE, || {
        (kinds(&fleet, "one") == ["offered", "activated"]).then_some(())
    });

    // The user of the other machine never answers; an operator says that it need not be.
    let two = wait_until("the other one to wait", DEADLINE, || {
        let two = device_of(&fleet.json(["rollout", "status"]), "two");
        (two["reason"]["code"] == "user").then_some(two)
    });
    assert_eq!(fleet.agent("two").active(), None);
    let device = two["device"].as_str().unwrap();
    fleet.ok(["rollout", "assign", "--device", device, "--dry-run"]);
    fleet.ok(["rollout", "assign", "--device", device]);
    wait_active(&fleet, "two", &id);
    wait_until("the rollout to end", DEADLINE, || {
        let status = fleet.json(["rollout", "status", "go 1.27.2"]);
        (status["state"] == "completed").then_some(())
    });
    assert_eq!(kinds(&fleet, "two")[..2], ["offered", "assigned"]);
    let nothing = user(&fleet, "two", &["accept"]);
    assert!(nothing.code == Some(1) && nothing.stderr.contains("nothing waits"), "{nothing}");
}

#[test]
fn after_its_deadline_a_release_is_activated_without_asking() {
    let fleet = fleet(&["one"]);
    let id = fleet.import_lean_go("1.27.2");
    publish(&fleet, "60s", &[]);
    let offered = wait_offered(&fleet, "one");
    assert_eq!(fleet.agent("one").active(), None, "{offered}");
    wait_active(&fleet, "one", &id);
    wait_until("the user to be told before and after", DEADLINE, || {
        let kinds = kinds(&fleet, "one");
        let ends = kinds.ends_with(&["assigned".to_owned(), "activated".to_owned()]);
        (ends && kinds[0] == "offered").then_some(())
    });
    let notices = user(&fleet, "one", &["offers"]).stdout;
    assert!(notices.contains("go 1.27.2 is active."), "{notices}");
}
