//! Machines and servers prove to each other who they are: real programs, one of them the wrong one.
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use gofleet_testkit::fleet::Fleet;
use gofleet_testkit::wait::wait_until;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gofleet");
const DEADLINE: Duration = Duration::from_secs(60);

/// An agent that is started by hand, and what it said.
struct Agent {
    process: Child,
    root: PathBuf,
    log: PathBuf,
}

impl Agent {
    fn start(fleet: &Fleet, server: &str, root: &Path, token: &str) -> Self {
        let log = root.with_extension("log");
        fs::create_dir_all(root).unwrap();
        let file = File::create(&log).unwrap();
        let mut command = fleet.command();
        command.args(["agent", "run", "--server", server, "--token", token, "--root"]).arg(root);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        Self { process: command.spawn().unwrap(), root: root.to_owned(), log }
    }

    /// Waits until it ends by itself; what it said, without the line breaks that a terminal needs.
    fn end(mut self) -> String {
        let status = wait_until("the agent ends", DEADLINE, || self.process.try_wait().unwrap());
        assert!(!status.success(), "{status}");
        fs::read_to_string(&self.log).unwrap()
    }

    fn identity(&self) -> PathBuf {
        self.root.join("agent").join("credential")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_token_is_told_to_no_other_server_than_its_own() {
    let (fleet, other) = (Fleet::start(PROGRAM), Fleet::start(PROGRAM));
    let token = fleet.enrolment_token();
    let root = fleet.folder().join("astray");
    let said = Agent::start(&fleet, other.url(), &root, &token).end();
    assert!(said.contains("cannot show that it is the server that was meant"), "{said}");
    assert!(said.contains("a new token tells of the server's authority"), "{said}");
    assert!(!root.join("agent").join("credential").exists());
    // The token was not used up, and the same root goes on with its right server.
    let agent = Agent::start(&fleet, fleet.url(), &root, &token);
    wait_until("it enrols", DEADLINE, || agent.identity().exists().then_some(()));
    assert_eq!(fleet.json(["device", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_revoked_machine_ends_and_comes_back_as_another_with_a_new_key_only() {
    let fleet = Fleet::start(PROGRAM);
    let root = fleet.folder().join("lost");
    let agent = Agent::start(&fleet, fleet.url(), &root, &fleet.enrolment_token());
    wait_until("it enrols", DEADLINE, || agent.identity().exists().then_some(()));
    let device = fleet.json(["device", "list"])[0]["id"].as_str().unwrap().to_owned();
    fleet.ok(["device", "revoke", &device, "--reason", "stolen on a train"]);
    let said = agent.end();
    assert!(said.contains("does not know this device any more"), "{said}");
    let shown = fleet.ok(["device", "show", &device]);
    assert!(shown.stdout.contains("revoked by admin: stolen on a train"), "{shown}");
    let refused = fleet.run(["device", "let-in", &device]);
    assert_ne!(refused.code, Some(0), "{refused}");

    let folder = root.join("agent");
    fs::remove_file(folder.join("credential")).unwrap();
    let said = Agent::start(&fleet, fleet.url(), &root, &fleet.enrolment_token()).end();
    assert!(said.contains("key of this machine was revoked"), "{said}");
    fs::remove_file(folder.join("key.pem")).unwrap();
    let agent = Agent::start(&fleet, fleet.url(), &root, &fleet.enrolment_token());
    wait_until("it enrols anew", DEADLINE, || agent.identity().exists().then_some(()));
    assert_eq!(fleet.json(["device", "list"]).as_array().unwrap().len(), 2);
}

#[test]
fn an_agent_killed_before_it_kept_the_answer_is_the_same_device() {
    let fleet = Fleet::start(PROGRAM);
    let root = fleet.folder().join("killed");
    let token = fleet.enrolment_token();
    let agent = Agent::start(&fleet, fleet.url(), &root, &token);
    wait_until("it enrols", DEADLINE, || agent.identity().exists().then_some(()));
    let identity = agent.identity();
    drop(agent);
    // As if it had been killed between the server's answer and the file.
    fs::remove_file(&identity).unwrap();
    let agent = Agent::start(&fleet, fleet.url(), &root, &token);
    wait_until("it enrols again", DEADLINE, || agent.identity().exists().then_some(()));
    assert_eq!(fleet.json(["device", "list"]).as_array().unwrap().len(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        for name in ["credential", "key.pem"] {
            let mode = fs::metadata(root.join("agent").join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}
