//! Releases that ask for other packages, from their import to a device.
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::time::Duration;

use gofleet_testkit::fleet::Fleet;
use gofleet_testkit::{go, wait_until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_gofleet");
const MOVE_DEADLINE: Duration = Duration::from_secs(120);
/// The agent that the tests run.
const AGENT: &str = env!("CARGO_PKG_VERSION");

fn import(fleet: &Fleet, version: &str, more: &[&str]) -> String {
    let archive = go::lean_archive(version, go::HOST);
    let archive = archive.to_str().unwrap();
    let words = ["release", "import", archive].into_iter().chain(more.iter().copied());
    let imported = fleet.json(words);
    let id = imported["imported"][0]["id"].as_str().unwrap().to_owned();
    fleet.ok(["release", "approve", &id]);
    id
}

#[test]
fn a_release_goes_only_where_its_packages_are() {
    let mut fleet =
        Fleet::start_with(PROGRAM, &["--reconcile-every", "200ms", "--prepare", "false"]);
    fleet.start_agent("one");
    fleet.wait_devices(1);

    // An agent that nobody has, and that no release would bring.
    let id = import(&fleet, "1.27.2", &["--requires", "gofleet-agent>=99"]);
    let shown = fleet.ok(["release", "show", &id]);
    assert!(shown.stdout.contains("requires  gofleet-agent>=99"), "{shown}");
    let refused = fleet.run(["rollout", "plan", "1.27.2", "--rings", "all:rest"]);
    assert_eq!(refused.code, Some(1), "{refused}");
    let chain = format!(
        "1 device: {id} requires gofleet-agent>=99; the device has gofleet-agent {AGENT}; no \
         release in the catalog would do"
    );
    for part in ["no device has the packages", &chain, "hint: roll out what is missing first"] {
        assert!(refused.stderr.contains(part), "no `{part}` in {refused}");
    }
    let late = fleet.run(["release", "import", "nowhere.zip", "--requires", "go=>1"]);
    assert_eq!(late.code, Some(2), "{late}");

    // One that every device has.
    let required = format!("gofleet-agent>={AGENT}");
    let more = ["--requires", required.as_str(), "--conflicts", "golangci-lint<2"];
    let id = import(&fleet, "1.27.3", &more);
    let release = fleet.json(["release", "show", &id]);
    assert_eq!(release["requires"][0], *required);
    assert_eq!(release["conflicts"][0], "golangci-lint<2");
    let words = ["rollout", "start", "1.27.3", "--name", "go", "--rings", "all:rest", "--yes"];
    fleet.ok(words.into_iter().chain(["--soak", "0s"]));
    wait_until("the rollout to complete", MOVE_DEADLINE, || {
        let status = fleet.json(["rollout", "status", "go"]);
        (status["state"] == "completed").then_some(())
    });
    assert_eq!(fleet.agent("one").active(), Some(id));
}
