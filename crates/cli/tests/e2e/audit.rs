//! The audit log as an auditor uses it: fetched, verified, exported, sent to receivers that others
//! wrote, across kills and restored databases.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use gofleet_testkit::fleet::{Fleet, Ran};
use gofleet_testkit::wait_until;
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gofleet");
/// How long anything may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A server on which some things were done.
fn fleet(tokens: usize) -> Fleet {
    let fleet = Fleet::start_with(PROGRAM, &["--prepare", "false"]);
    for n in 0..tokens {
        fleet.ok(["token", "create", "--note", &format!("für „{n}“ \\ ] \"")]);
    }
    fleet
}

#[track_caller]
fn finds(ran: &Ran, fault: &str, words: &str) {
    assert_eq!(ran.code, Some(3), "{ran}");
    let outcome: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(outcome["is_whole"], false, "{ran}");
    assert_eq!(outcome["fault"], fault, "{ran}");
    assert!(outcome["message"].as_str().unwrap().contains(words), "{ran}");
}

fn path(fleet: &Fleet, name: &str) -> String {
    fleet.folder().join(name).to_str().unwrap().to_owned()
}

#[test]
fn a_log_is_listed_exported_and_verified_here_and_elsewhere() {
    let fleet = fleet(3);
    let list = fleet.json(["audit", "list", "--action", "token", "--limit", "2"]);
    assert_eq!(list[0]["sequence"], 5);
    assert_eq!(list.as_array().unwrap().len(), 2);
    let text = fleet.ok(["audit", "list", "--actor", "admin"]).stdout;
    assert!(text.contains("token.created") && text.contains("admin from 127.0.0.1"), "{text}");

    let head = path(&fleet, "head");
    let key = fleet.json(["audit", "head", "--out", &head])["key"].as_str().unwrap().to_owned();
    fleet.ok(["token", "create"]);
    let whole = fleet.json(["audit", "verify", "--head", &head, "--key", &key]);
    assert_eq!((&whole["is_whole"], &whole["count"]), (&true.into(), &6.into()));
    assert_eq!(whole["vouched_count"], 5);

    let export = path(&fleet, "export.jsonl");
    let told = fleet.json(["audit", "export", "--out", &export, "--head", &head]);
    assert_eq!((&told["entries"], &told["last"]), (&6.into(), &6.into()));
    let stdout = fleet.ok(["audit", "export"]).stdout;
    assert_eq!(stdout, fs::read_to_string(&export).unwrap(), "the same to a file and to a pipe");
    let verify = ["audit", "verify", "--json", "--file", &export, "--head", &head, "--key", &key];
    assert_eq!(fleet.run(verify).code, Some(0));
    // Without the key the log's own is taken, and a person is told to pin it.
    let unpinned = fleet.ok(["audit", "verify", "--file", &export, "--head", &head]);
    assert!(unpinned.stderr.contains(&format!("--key {key}")), "{unpinned}");

    let lines: Vec<String> = stdout.lines().map(str::to_owned).collect();
    let with = |lines: &[String]| {
        fs::write(&export, lines.join("\n")).unwrap();
        fleet.run(verify)
    };
    let mut harmed = lines.clone();
    harmed[3] = harmed[3].replace("\"admin\"", "\"eve12\"");
    finds(&with(&harmed), "edited", "entry 4 was edited");
    let without: Vec<_> = [&lines[..2], &lines[4..]].concat();
    finds(&with(&without), "deleted", "entries 3 to 4 were deleted");
    let mut swapped = lines.clone();
    swapped.swap(1, 2);
    finds(&with(&swapped), "reordered", "entry 3 stands in the place of entry 2");
    finds(&with(&lines[..4]), "tail_cut", "entries 5 to 6 are missing");
    let note = fs::read_to_string(&head).unwrap();
    fs::write(&head, note.replace("\n6\n", "\n5\n")).unwrap();
    finds(&with(&lines[..5]), "signature", "it was edited");
}

#[test]
fn a_restored_older_database_is_found_by_the_server_and_by_a_kept_head() {
    let mut fleet = fleet(2);
    fleet.kill_server();
    let (data, copy) = (fleet.data(), fleet.folder().join("copy"));
    copy_database(&data, &copy);
    fleet.start_server();
    fleet.ok(["token", "create"]);
    let head = path(&fleet, "head");
    let key = fleet.json(["audit", "head", "--out", &head])["key"].as_str().unwrap().to_owned();
    // The server writes its own at once after each entry; until then it could not find it.
    let own = data.join("audit-head");
    wait_until("the head beside the database", DEADLINE, || {
        (fs::read_to_string(&own).ok()? == fs::read_to_string(&head).ok()?).then_some(())
    });
    fleet.kill_server();
    copy_database(&copy, &data);
    fleet.start_server();
    finds(
        &fleet.run(["audit", "verify", "--json", "--head", &head, "--key", &key]),
        "older_database",
        "an older database was put in place",
    );
    finds(&fleet.run(["audit", "verify", "--json"]), "history_lost", "entries were lost");
    let log = fs::read_to_string(fleet.server_log()).unwrap();
    assert!(log.contains("THE DATABASE IS OLDER"), "{log}");
    fleet.ok(["token", "create"]);
    fleet.ok(["audit", "head", "--out", &head]);
    fleet.ok(["audit", "verify", "--head", &head]);
}

fn copy_database(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for end in ["", "-wal", "-shm"] {
        let name = format!("gofleet.db{end}");
        let _may_be_absent = fs::remove_file(to.join(&name));
        if from.join(&name).exists() {
            fs::copy(from.join(&name), to.join(&name)).unwrap();
        }
    }
}

#[test]
fn kills_do_not_break_the_chain() {
    let mut fleet = fleet(0);
    for round in 0..5 {
        // Killed in the middle of writing, or a little before or after.
        let mut writers: Vec<_> = (0..3)
            .map(|_| {
                let mut command = fleet.command();
                command.env("GOFLEET_SERVER", fleet.url());
                command.env("GOFLEET_TOKEN", fleet.admin_token());
                command.args(["token", "create"]).stdout(Stdio::null()).stderr(Stdio::null());
                command.spawn().unwrap()
            })
            .collect();
        if round % 2 == 0 {
            writers.pop().unwrap().wait().unwrap();
        }
        fleet.kill_server();
        for writer in &mut writers {
            writer.wait().unwrap();
        }
        fleet.start_server();
        let whole = fleet.json(["audit", "verify"]);
        let tokens = fleet.json(["token", "list"]).as_array().unwrap().len();
        let told = fleet.json(["audit", "list", "--action", "token.created", "--limit", "1000"]);
        assert_eq!(whole["is_whole"], true);
        assert_eq!(told.as_array().unwrap().len(), tokens, "an entry for each, and no other");
    }
}

#[test]
fn messages_reach_receivers_by_udp_and_by_tcp() {
    let fleet = fleet(2);
    let messages = fleet.ok(["audit", "export", "--format", "syslog"]).stdout;
    let messages: Vec<&str> = messages.lines().collect();
    assert_eq!(messages.len(), 4);
    assert!(messages[2].starts_with("<109>1 ") && messages[2].contains(" 127.0.0.1 gofleet - "));

    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(DEADLINE)).unwrap();
    let to = format!("udp://{}", udp.local_addr().unwrap());
    let told = fleet.json(["audit", "export", "--syslog", &to, "--after", "1"]);
    assert_eq!((&told["entries"], &told["last"]), (&3.into(), &4.into()));
    let mut datagram = vec![0; 65_536];
    for expect in &messages[1..] {
        let length = udp.recv(&mut datagram).unwrap();
        assert_eq!(std::str::from_utf8(&datagram[..length]).unwrap(), *expect);
    }

    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("tcp://{}", tcp.local_addr().unwrap());
    let receiver = std::thread::spawn(move || {
        let mut text = String::new();
        tcp.accept().unwrap().0.read_to_string(&mut text).unwrap();
        text
    });
    fleet.ok(["audit", "export", "--syslog", &to]);
    let framed: String = messages.iter().map(|it| format!("{} {it}", it.len())).collect();
    assert_eq!(receiver.join().unwrap(), framed);

    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ran = fleet.run(["audit", "export", "--syslog", &format!("tcp://{nobody}")]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("is it listening there"), "{ran}");
}

/// Where a program is, if the machine has it.
fn program(name: &str) -> Option<PathBuf> {
    let folders = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    folders.split(':').map(|folder| Path::new(folder).join(name)).find(|path| path.exists())
}

/// A receiver that others wrote reads what was meant, and what it kept can be verified.
#[test]
#[ignore = "needs rsyslogd, and root or a folder that it may write: apt-get install rsyslog"]
fn rsyslog_reads_what_was_meant() {
    let rsyslogd = program("rsyslogd").expect("rsyslogd is installed");
    let fleet = fleet(3);
    let (out, config) = (path(&fleet, "received"), path(&fleet, "rsyslog.conf"));
    let free = |socket: TcpListener| socket.local_addr().unwrap().port();
    let (tcp, udp) = (
        free(TcpListener::bind("127.0.0.1:0").unwrap()),
        free(TcpListener::bind("127.0.0.1:0").unwrap()),
    );
    let text = format!(
        r#"global(workDirectory="{folder}" maxMessageSize="64k" parser.escapeControlCharactersOnReceive="off")
module(load="imtcp") input(type="imtcp" address="127.0.0.1" port="{tcp}")
module(load="imudp") input(type="imudp" address="127.0.0.1" port="{udp}")
template(name="parts" type="list" option.jsonf="on") {{
  property(outname="priority" name="pri" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="app" name="app-name" format="jsonf")
  property(outname="id" name="msgid" format="jsonf")
  property(outname="structure" name="structured-data" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
}}
action(type="omfile" file="{out}" template="parts")
"#,
        folder = fleet.folder().display()
    );
    fs::write(&config, text).unwrap();
    let mut receiver = Command::new(rsyslogd)
        .args(["-n", "-f", &config, "-i", &path(&fleet, "rsyslog.pid")])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("rsyslogd to listen", DEADLINE, || {
        std::net::TcpStream::connect(("127.0.0.1", tcp)).ok()
    });
    for to in [format!("tcp://127.0.0.1:{tcp}"), format!("udp://127.0.0.1:{udp}")] {
        fleet.ok(["audit", "export", "--syslog", &to]);
    }
    let read = || -> Option<Vec<Value>> {
        let text = fs::read_to_string(&out).ok()?;
        text.lines().map(|line| serde_json::from_str(line).ok()).collect()
    };
    let parts = wait_until("all messages", DEADLINE, || read().filter(|parts| parts.len() == 10));
    receiver.kill().unwrap();
    receiver.wait().unwrap();
    let export = fleet.ok(["audit", "export"]).stdout;
    let lines: Vec<&str> = export.lines().collect();
    for (part, line) in parts.iter().zip(lines.iter().cycle()) {
        let entry: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&part["priority"], &part["app"]), (&"109".into(), &"gofleet".into()));
        assert_eq!(part["id"], entry["action"]);
        let message = part["message"].as_str().unwrap();
        assert_eq!(message.trim_start_matches(['\u{feff}', ' ']), *line);
        let structure = part["structure"].as_str().unwrap();
        let hash = entry["hash"].as_str().unwrap();
        assert!(
            structure.starts_with("[gofleet@32473 ") && structure.ends_with("\"]"),
            "{structure}"
        );
        assert!(structure.contains(&format!("hash=\"{hash}\"")), "{structure}");
    }
}

/// The page says how a log is verified without gofleet; here that is done.
#[test]
fn the_program_on_the_page_verifies_a_log_without_gofleet() {
    let page = include_str!("../../../../docs/audit.md");
    let (_, rest) = page.split_once("```python\n").unwrap();
    let (script, _) = rest.split_once("```").unwrap();
    let Some(python) = program("python3") else {
        assert!(std::env::var_os("CI").is_none(), "python3 is not installed");
        eprintln!("left out, since python3 is not installed");
        return;
    };
    let fleet = fleet(3);
    let export = path(&fleet, "export.jsonl");
    fleet.ok(["audit", "export", "--out", &export]);
    let verify = || {
        let output = Command::new(&python).args(["-c", script, &export]).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (is_whole, told) = verify();
    assert!(is_whole && told.starts_with("5 entries"), "{told}");
    let text = fs::read_to_string(&export).unwrap();
    fs::write(&export, text.replacen("\"admin\"", "\"eve12\"", 1)).unwrap();
    let (is_whole, told) = verify();
    assert!(!is_whole && told.contains("entry 3"), "{told}");
}
