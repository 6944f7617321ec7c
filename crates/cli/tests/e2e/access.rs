//! People at the command line: accounts, logins, API tokens, rules, as processes.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use gofleet_testkit::fleet::{Fleet, Ran};

const PROGRAM: &str = env!("CARGO_BIN_EXE_gofleet");

/// Somebody at a machine of their own: nothing is known there but what they logged in with.
struct Desk<'a> {
    fleet: &'a Fleet,
    home: tempfile::TempDir,
}

impl<'a> Desk<'a> {
    fn new(fleet: &'a Fleet) -> Self {
        Self { fleet, home: tempfile::tempdir().unwrap() }
    }

    fn run(&self, arguments: &[&str], typed: &str) -> Ran {
        let mut command = Command::new(PROGRAM);
        command.env_clear().env("HOME", self.home.path()).env("NO_PROXY", "*");
        command.args(arguments).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        Ran {
            arguments: arguments.join(" "),
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str], typed: &str) -> String {
        let ran = self.run(arguments, typed);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran}");
        ran.stdout
    }

    #[track_caller]
    fn refused(&self, arguments: &[&str], words: &str) {
        let ran = self.run(arguments, "");
        assert_ne!(ran.code, Some(0), "{arguments:?}: {ran}");
        assert!(ran.stderr.contains(words), "{arguments:?}: {ran}");
    }

    /// Does what `account add` printed, and chooses a password.
    fn log_in(&self, account: &str, grants: &[&str]) {
        let mut add = vec!["account", "add", account];
        for grant in grants {
            add.extend(["--role", grant]);
        }
        let told = self.fleet.ok(&add).stdout;
        let password = told.split("first password").nth(1).unwrap().lines().next().unwrap().trim();
        let login = told.lines().find(|line| line.trim().starts_with("gofleet login")).unwrap();
        let login: Vec<&str> = login.split_whitespace().skip(1).collect();
        self.ok(&login, &format!("{password}\n"));
        self.refused(&["device", "list"], "must choose a password");
        let typed = format!("{password}\ncorrect horse battery\n");
        self.ok(&["account", "password"], &typed);
    }
}

#[test]
fn people_log_in_and_do_what_their_roles_and_the_rules_let_them() {
    let fleet = Fleet::start_with(PROGRAM, &["--prepare", "false"]);
    let release = fleet.import_lean_go("1.27.3");
    let (ann, bob) = (Desk::new(&fleet), Desk::new(&fleet));
    ann.log_in("ann", &["operator"]);
    bob.log_in("bob", &["approver", "auditor"]);
    assert!(ann.ok(&["account", "whoami"], "").starts_with("ann: operator"));

    // Roles.
    ann.ok(&["device", "list"], "");
    ann.refused(&["release", "approve", &release], "it needs `release.approve`");
    ann.refused(&["audit", "list"], "it needs `audit.read`");
    bob.ok(&["audit", "list"], "");
    bob.refused(&["account", "add", "eve"], "it needs `account.change`");

    // Rules: tried, then in force.
    let rule = ann.home.path().join("ticket.cedar");
    let text = fleet.ok(["rule", "example", "change-ticket"]).stdout;
    fs::write(&rule, &text).unwrap();
    let rule = rule.to_str().unwrap();
    assert!(fleet.ok(["rule", "check", rule]).stdout.contains("is a rule"));
    fs::write(rule, text.replace("context.ticket", "context.tickets")).unwrap();
    let wrong = fleet.run(["rule", "set", "change-ticket", "--from", rule]);
    assert!(wrong.code != Some(0) && wrong.stderr.contains("does not fit"), "{wrong}");
    bob.ok(&["release", "block", &release, "--reason", "too new"], "");
    bob.ok(&["release", "approve", &release], "");
    let tried = fleet.ok(["rule", "set", "change-ticket", "--dry-run"]).stdout;
    assert!(tried.contains("2 would have been refused"), "{tried}");
    bob.ok(&["release", "approve", &release], "");
    fleet.ok(["rule", "set", "change-ticket"]);
    bob.refused(&["release", "approve", &release], "the rule `change-ticket` forbids it");
    bob.ok(&["release", "approve", &release, "--ticket", "CHG-1"], "");
    let refused = fleet.ok(["rule", "decisions", "--refused"]).stdout;
    assert!(refused.contains("rule `change-ticket`") && refused.contains("bob"), "{refused}");
    let log = fleet.json(["audit", "list", "--actor", "bob", "--action", "release.decided"]);
    assert_eq!(log[0]["ticket"], "CHG-1");

    // A token for a program.
    let secret = ann.ok(&["api-token", "create", "--role", "operator", "--expires-in", "1h"], "");
    let program = Desk::new(&fleet);
    let with = ["--server", fleet.url(), "--token", secret.trim()];
    program.ok(&[&["device", "list"], with.as_slice()].concat(), "");
    let id = fleet_json(&ann, &["api-token", "list", "--json"])[0]["id"].clone();
    ann.ok(&["api-token", "revoke", id.as_str().unwrap()], "");
    program.refused(&[&["device", "list"], with.as_slice()].concat(), "not known");

    fleet.ok(["account", "disable", "ann"]);
    ann.refused(&["device", "list"], "not known");
    fleet.ok(["account", "remove", "ann"]);
}

fn fleet_json(desk: &Desk<'_>, arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&desk.ok(arguments, "")).unwrap()
}
