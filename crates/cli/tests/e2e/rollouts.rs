//! The whole way on real Go: a server, agents, and the verbs that an administrator uses, each a
//! process of its own.
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gofleet_testkit::fleet::{AgentOptions, Fleet, Ran};
use gofleet_testkit::{go, wait_until};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gofleet");
/// Two processors unpack and check three trees well within this.
const MOVE_DEADLINE: Duration = Duration::from_secs(120);

/// More than a compressed manifest of Go takes, and less than the text of one.
const MANIFEST_BYTES: u64 = 1_000_000;
/// Packing a whole Go twice and comparing both, behind whatever else the machine has to do.
const PREPARE_DEADLINE: Duration = Duration::from_secs(840);

/// A fleet with these agents.
fn fleet(agents: &[&str]) -> Fleet {
    // Nothing is made in the background but where a test is about that: it takes a processor.
    let mut fleet =
        Fleet::start_with(PROGRAM, &["--reconcile-every", "200ms", "--prepare", "false"]);
    for agent in agents {
        fleet.start_agent(agent);
    }
    fleet.wait_devices(agents.len());
    fleet
}

/// Long enough to begin a rollout in after a device was heard, also on a busy machine.
const AWAY_AFTER: &str = "8s";

/// Whether a rollout that began at this moment would hold the device apart.
fn is_offline(fleet: &Fleet, hostname: &str) -> bool {
    let words = ["rollout", "plan", "1.27.3", "--rings", "all:rest", "--offline-after", AWAY_AFTER];
    let plan = fleet.json(words);
    let devices = plan["rings"][0]["devices"].as_array().unwrap();
    let device = devices.iter().find(|device| device["hostname"] == hostname).unwrap();
    device["offline_since"].is_string()
}

/// Waits until a rollout is in a state, and gives its status.
#[track_caller]
fn wait_state(fleet: &Fleet, name: &str, state: &str) -> Value {
    wait_until(&format!("`{name}` to be {state}"), MOVE_DEADLINE, || {
        let status = fleet.json(["rollout", "status", name]);
        (status["state"] == state).then_some(status)
    })
}

/// The devices of a rollout with step and reason code, by host name.
fn devices(status: &Value) -> Vec<(String, String, String)> {
    let rings = status["rings_detail"].as_array().unwrap();
    let mut devices: Vec<_> = rings
        .iter()
        .flat_map(|ring| ring["devices"].as_array().unwrap())
        .map(|device| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&device["hostname"]), text(&device["step"]), text(&device["reason"]["code"]))
        })
        .collect();
    devices.sort();
    devices
}

#[track_caller]
fn refused<const N: usize>(fleet: &Fleet, arguments: [&str; N], code: i32, expect: &[&str]) {
    let ran = fleet.run(arguments);
    assert_eq!(ran.code, Some(code), "{ran}");
    check_error(&ran, expect);
}

#[track_caller]
fn check_error(ran: &Ran, expect: &[&str]) {
    for part in expect {
        assert!(ran.stderr.contains(part), "no `{part}` in {ran}");
    }
    assert!(ran.stdout.is_empty(), "an error is no data: {ran}");
}

#[test]
fn from_an_archive_to_a_proof_on_every_device_and_back() {
    let fleet = fleet(&["one", "two", "three"]);

    // Known is not allowed: a release must be approved.
    let archive = go::archive("1.27.2", go::HOST);
    let imported = fleet.json(["release".as_ref(), "import".as_ref(), archive.as_os_str()]);
    let id = format!("go-1.27.2-{}", go::HOST);
    assert_eq!(imported["imported"][0]["id"], *id);
    assert_eq!(imported["imported"][0]["status"], "imported");
    refused(
        &fleet,
        ["rollout", "start", "1.27.2", "--yes"],
        1,
        &["error: ", "not approved", "hint: ", "release approve"],
    );
    fleet.ok(["release", "approve", &id, "--reason", "tested"]);
    assert_eq!(fleet.json(["release", "show", &id])["decision"]["reason"], "tested");
    let again = fleet.json(["release".as_ref(), "import".as_ref(), archive.as_os_str()]);
    assert_eq!(again["imported"][0]["is_new"], false);

    // The plan says everything before anything moves.
    let plan = fleet.json(["rollout", "plan", "1.27.2", "--rings", "test:1,pilot:1,rest:rest"]);
    let sizes: Vec<_> = plan["rings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["devices"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [1, 1, 1]);
    let archive_bytes = fs::metadata(&archive).unwrap().len();
    assert_eq!(plan["bytes"], 3 * archive_bytes);
    assert_eq!(fleet.json(["rollout", "list"]), serde_json::json!([]));

    // Nobody can be asked here, so nothing starts without --yes.
    refused(&fleet, ["rollout", "start", "1.27.2"], 2, &["nobody can be asked", "--yes"]);
    let watched = fleet.ok([
        "rollout",
        "start",
        "1.27.2",
        "--yes",
        "--watch",
        "--soak",
        "0s",
        "--rings",
        "test:1,pilot:1,rest:rest",
    ]);
    assert!(watched.stdout.contains("rollout completed"), "{watched}");
    for name in ["one", "two", "three"] {
        assert_eq!(fleet.agent(name).active().as_deref(), Some(id.as_str()));
        assert!(fleet.agent(name).go_version().starts_with("go version go1.27.2 "));
        check_receipt(&fleet, name, archive_bytes);
    }
    let status = fleet.json(["rollout", "status", "go 1.27.2"]);
    let bytes = status["bytes_downloaded"].as_u64().unwrap();
    assert!(3 * archive_bytes < bytes && bytes < 3 * (archive_bytes + MANIFEST_BYTES), "{bytes}");
    assert_eq!(status["traffic"]["ways"][0]["kind"], "archive");
    assert_eq!(status["traffic"]["archive_bytes"], 3 * archive_bytes);

    advised_by_what_was_measured(&fleet);
    upgrade_by_file(&fleet);
}

/// What the finished rollout of three devices showed takes the place of the published figures.
fn advised_by_what_was_measured(fleet: &Fleet) {
    let advice = fleet.json(["advise"]);
    assert_eq!((&advice["nodes"], &advice["advised"]), (&3.into(), &"by_hand".into()));
    assert_eq!(advice["version"], "1.27.2");
    let machines = advice["machines"].as_array().unwrap();
    let names: Vec<_> = machines.iter().map(|machine| machine["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["one", "three", "two"]);
    let figures = advice["assumptions"].as_array().unwrap();
    let measured: Vec<_> =
        figures.iter().filter(|figure| figure["source"]["from"] == "measured").collect();
    let names: Vec<_> = measured.iter().map(|figure| figure["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["managed.minutes_per_node", "managed.error_rate"]);
    assert!(measured.iter().all(|figure| figure["source"]["devices"] == 3));
    let minutes = measured[0]["value"].as_f64().unwrap();
    assert!(0.0 < minutes && minutes < MOVE_DEADLINE.as_secs_f64() / 60.0, "{minutes}");
    assert_eq!(measured[1]["value"], 0.0);
}

/// A device's evidence: files compared, a program compiled and run.
fn check_receipt(fleet: &Fleet, hostname: &str, archive_bytes: u64) {
    let detail = fleet.json(["device", "show", hostname]);
    assert_eq!(detail["device"]["facts"]["active"], "1.27.2");
    let receipt = &detail["history"][0]["receipt"];
    assert_eq!(receipt["outcome"], "accepted");
    let bytes = receipt["bytes_downloaded"].as_u64().unwrap();
    assert!(archive_bytes < bytes && bytes < archive_bytes + MANIFEST_BYTES, "{bytes}");
    assert!(receipt["files_verified"].as_u64().unwrap() > 10_000, "{receipt}");
    let evidence = &receipt["evidence"];
    assert!(evidence["go_version"].as_str().unwrap().contains("go1.27.2"), "{evidence}");
    assert!(!evidence["program_output"].as_str().unwrap().is_empty(), "{evidence}");
}

/// The same fleet goes on by a file, is paused, resumed, and put back.
fn upgrade_by_file(fleet: &Fleet) {
    fleet.import_lean_go("1.27.3");
    let file = fleet.folder().join("rollout.yaml");
    fs::write(
        &file,
        "name: next\nversion: 1.27.3\nrings:\n  - {name: test, count: 1}\n  - {name: rest, rest: true}\nsoak: 2s\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(fleet.run(["diff", "-f", file, "--exit-code"]).code, Some(3));
    assert_eq!(fleet.json(["apply", "-f", file, "--dry-run"])["action"], "start");
    assert_eq!(fleet.json(["apply", "-f", file])["action"], "start");
    fleet.ok(["rollout", "pause", "next"]);

    // The second time nothing is to be done, paused or not; another content is a conflict.
    assert_eq!(fleet.json(["apply", "-f", file])["action"], "unchanged");
    assert_eq!(fleet.run(["diff", "-f", file, "--exit-code"]).code, Some(0));
    assert_eq!(fleet.json(["rollout", "list"]).as_array().unwrap().len(), 2);
    let text = fs::read_to_string(file).unwrap().replace("soak: 2s", "soak: 3s");
    fs::write(file, text).unwrap();
    let diff = fleet.json(["diff", "-f", file]);
    assert_eq!(
        diff["changes"][0],
        serde_json::json!({"field": "soak", "server": "2s", "file": "3s"})
    );
    refused(
        fleet,
        ["apply", "-f", file],
        1,
        &["`next` is paused with another content", "rollout stop"],
    );

    // Each device that has not moved says why.
    let status = fleet.json(["rollout", "status", "next"]);
    assert_eq!(status["state"], "paused");
    for (hostname, step, reason) in devices(&status) {
        assert!(step == "accepted" || !reason.is_empty(), "{hostname} is {step} for no reason");
    }
    fleet.ok(["rollout", "resume", "next"]);
    let status = wait_state(fleet, "next", "completed");
    assert!(devices(&status).iter().all(|(_, step, _)| step == "accepted"), "{status:#}");
    assert!(fleet.agent("two").go_version().starts_with("go version go1.27.3 "));
    explained(fleet);
    assert!(fleet.ok(["rollout", "rollback", "next", "--dry-run"]).stdout.contains("3 devices"));
    fleet.ok(["rollout", "rollback", "next"]);
    wait_state(fleet, "next", "rolled_back");
    for name in ["one", "two", "three"] {
        assert!(fleet.agent(name).go_version().starts_with("go version go1.27.2 "), "{name}");
    }
}

/// Every decision is there with what it was made by, and comes out the same again.
fn explained(fleet: &Fleet) {
    let decisions = fleet.json(["rollout", "explain", "next"]);
    let by_gates: Vec<&Value> =
        decisions.as_array().unwrap().iter().filter(|it| it["replayed"].is_object()).collect();
    assert_eq!(by_gates.len(), 2, "{decisions:#}");
    assert!(by_gates.iter().all(|it| it["replayed"]["is_same"] == true), "{decisions:#}");
    assert_eq!(by_gates[1]["data"]["inputs"]["tallies"][1]["successes"], 2, "{decisions:#}");
    let told = fleet.ok(["rollout", "explain", "next"]).stdout;
    for words in ["next started by", "ring test passed", "1 of 1 accepted", "rollout completed"] {
        assert!(told.contains(words), "no `{words}` in {told}");
    }
}

#[test]
fn who_is_away_is_held_apart_and_who_falls_silent_has_failed() {
    let mut fleet = fleet(&["here", "away"]);
    fleet.import_lean_go("1.27.3");

    // Offline before its ring starts: held apart, and the others go on without it.
    fleet.kill_agent("away");
    wait_until("`away` to count as offline", MOVE_DEADLINE, || {
        is_offline(&fleet, "away").then_some(())
    });
    // A device that waits for its order is not heard in the meantime: a new start is.
    fleet.restart_agent("here");
    wait_until("`here` to be heard", MOVE_DEADLINE, || (!is_offline(&fleet, "here")).then_some(()));
    let begin =
        ["rollout", "start", "1.27.3", "--yes", "--soak", "0s", "--rings", "all:rest", "--name"];
    fleet.ok(begin.iter().copied().chain(["apart", "--offline-after", AWAY_AFTER]));
    let status = wait_state(&fleet, "apart", "completed");
    let expected = [("away", "skipped", "was_offline"), ("here", "accepted", "")];
    assert_eq!(devices(&status), expected.map(|(a, b, c)| (a.into(), b.into(), c.into())));
    let text = fleet.ok(["rollout", "status", "apart"]).stdout;
    assert!(text.contains("away") && text.contains("offline"), "{text}");

    // Heard not long ago, but silent after its order: that is a failure, and the gate says so.
    fleet.ok(begin.iter().copied().chain([
        "silent",
        "--offline-after",
        "1h",
        "--silence-after",
        "2s",
    ]));
    let status = wait_state(&fleet, "silent", "paused");
    assert_eq!(status["rings_detail"][0]["tally"]["silent"], 1, "{status:#}");
    let (_, _, reason) = &devices(&status)[0];
    assert_eq!(reason, "silent", "{status:#}");
    let ran = fleet.run(["rollout", "watch", "silent"]);
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.stderr.contains("rollout resume"), "{ran}");

    // Back again, it does what it was told while it was away.
    fleet.restart_agent("away");
    wait_until("`away` to run Go 1.27.3", MOVE_DEADLINE, || {
        fleet.agent("away").active().filter(|active| active.contains("1.27.3"))
    });
}

/// A stretch of a day that is half a week away in every zone.
fn closed_window() -> String {
    let days = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86_400;
    // The epoch began on a Thursday.
    let half_a_week_on = (days + 3 + 3) % 7;
    let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    format!("{} 01:00-05:00", names[half_a_week_on as usize])
}

#[test]
fn a_window_holds_the_switch_and_an_emergency_takes_it_back() {
    let fleet = fleet(&["one", "two"]);
    fleet.import_lean_go("1.27.3");
    let all = ["--yes", "--soak", "0s", "--rings", "all:rest", "--name"];
    let start = |name: &'static str, more: &[&str]| {
        let words = ["rollout", "start", "1.27.3"].into_iter().chain(all).chain([name]);
        fleet.run(words.chain(more.iter().copied()))
    };
    let window = closed_window();
    assert_eq!(start("weekend", &["--window", &window]).code, Some(0));
    let every = |step: &str, reason: &str| {
        wait_until(&format!("both to be {step} for {reason}"), MOVE_DEADLINE, || {
            let status = fleet.json(["rollout", "status", "weekend"]);
            let is_so = |(_, is, why): &(String, String, String)| is == step && why == reason;
            devices(&status).iter().all(is_so).then_some(())
        });
    };
    every("staged", "window");
    assert!(fleet.agent("one").active().is_none());

    // A word stops everything; what had not switched is taken back.
    let stop = ["emergency", "stop", "--reason", "builds fail"];
    let preview = fleet.ok(stop.into_iter().chain(["--dry-run"]));
    assert!(preview.stdout.contains("weekend (running)"), "{preview}");
    assert_eq!(fleet.json(["emergency", "status"])["stop"], Value::Null);
    fleet.ok(stop);
    every("skipped", "paused");
    let status = fleet.json(["rollout", "status", "weekend"]);
    assert_eq!(status["reason"]["code"], "emergency", "{status:#}");
    assert_eq!(fleet.json(["emergency", "status"])["stop"]["reason"], "builds fail");
    refused(&fleet, ["rollout", "resume", "weekend"], 1, &["gofleet emergency lift"]);

    // Lifted, a person lets it go on where it was.
    fleet.ok(["emergency", "lift"]);
    assert!(fleet.ok(["emergency", "lift"]).stdout.contains("no emergency stop holds"));
    every("skipped", "paused");
    fleet.ok(["rollout", "resume", "weekend"]);
    every("staged", "window");
    fleet.ok(["rollout", "stop", "weekend"]);
    wait_state(&fleet, "weekend", "stopped");
    fleet.ok(stop);
    let ran = start("another", &[]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("builds fail") && ran.stderr.contains("lift"), "{ran}");
    fleet.ok(["emergency", "lift"]);
    assert_eq!(start("another", &[]).code, Some(0));
    let status = wait_state(&fleet, "another", "completed");
    assert!(devices(&status).iter().all(|(_, step, _)| step == "accepted"), "{status:#}");
}

#[test]
fn who_is_held_or_in_quarantine_waits_until_it_is_let_in() {
    let fleet = fleet(&["one", "two", "three"]);
    fleet.import_lean_go("1.27.3");
    let hold = ["hold", "add", "hostname = two", "--reason", "being repaired"];
    let preview = fleet.ok(hold.into_iter().chain(["--dry-run"])).stdout;
    assert!(preview.contains("two") && !preview.contains("three"), "{preview}");
    assert_eq!(fleet.json(["hold", "list"]), Value::Array(Vec::new()));
    let held = fleet.ok(hold).stdout.trim().to_owned();
    refused(&fleet, ["hold", "add", "hostnam = two", "--reason", "x"], 1, &["hostname"]);
    fleet.ok(["device", "quarantine", "three", "--reason", "its disk fails"]);
    assert!(fleet.ok(["device", "show", "three"]).stdout.contains("its disk fails"));

    let start = ["rollout", "start", "1.27.3", "--yes", "--soak", "0s", "--rings", "all:rest"];
    let plan = ["rollout", "plan", "1.27.3", "--rings", "all:rest"];
    let plan = fleet.ok(plan).stdout;
    assert!(plan.contains("being repaired") && plan.contains("in quarantine"), "{plan}");
    fleet.ok(start.into_iter().chain(["--name", "careful"]));
    let status = wait_state(&fleet, "careful", "completed");
    let found = devices(&status);
    let expect = |host: &str, step: &str, why: &str| (host.into(), step.into(), why.into());
    assert_eq!(
        found,
        [
            expect("one", "accepted", ""),
            expect("three", "skipped", "in_quarantine"),
            expect("two", "skipped", "held"),
        ]
    );
    refused(&fleet, ["hold", "lift", "h99"], 1, &["h99", "gofleet hold list"]);
    fleet.ok(["hold", "lift", &held]);
    assert!(fleet.ok(["device", "let-in", "three"]).stdout.contains("let in"));
    fleet.ok(start.into_iter().chain(["--name", "rest"]));
    wait_state(&fleet, "rest", "completed");
    assert!(fleet.agent("two").active().is_some_and(|active| active.contains("1.27.3")));
}

#[test]
fn a_collection_rehearses_on_real_go_and_who_enrols_late_joins() {
    let mut fleet = fleet(&["one", "two"]);
    fleet.import_lean_go("1.27.3");
    let list = fleet.folder().join("pilots.csv");
    fs::write(&list, "Name;Remark\nONE;\nlate;\"not here; yet\"\n").unwrap();
    let list = list.to_str().unwrap();
    let import = ["collection", "import", "pilots", "--from", list];
    let told = fleet.ok(import.into_iter().chain(["--dry-run"])).stdout;
    assert!(told.contains("1 come, 0 go") && told.contains("these names yet (1): late"), "{told}");
    assert_eq!(fleet.json(["collection", "list"]), Value::Array(Vec::new()));
    fleet.ok(import);
    assert_eq!(fleet.json(["collection", "show", "pilots"])["roster"]["unknown"][0], "late");
    let told = fleet.ok(["collection", "preview", "pilots"]).stdout;
    assert_eq!(told, "this 1 device, at any time\n");
    refused(
        &fleet,
        ["rollout", "plan", "1.27.3", "--select", "collection = pilot"],
        1,
        &["column 14", "did you mean `pilots`?"],
    );

    let rings = "first:collection = pilots,all:rest";
    fleet.ok(["rollout", "start", "1.27.3", "--yes", "--name", "careful", "--rehearse"]
        .into_iter()
        .chain(["--rings", rings, "--late", "same-ring", "--soak", "0s"]));
    refused(&fleet, ["collection", "delete", "pilots"], 1, &["used by rollout", "(careful)"]);
    let status = wait_state(&fleet, "careful", "completed");
    let wanted = |host: &str| -> Vec<String> {
        let history = fleet.json(["device", "show", host])["history"].clone();
        let orders = history.as_array().unwrap().iter().rev();
        orders.map(|it| format!("{}: {}", it["wanted"], it["receipt"]["outcome"])).collect()
    };
    let upgrade = format!("\"activate go-1.27.3-{}\": \"accepted\"", go::HOST);
    assert_eq!(wanted("one"), [&*upgrade, "\"go back to none\": \"reverted\"", &*upgrade]);
    assert_eq!(wanted("two"), [&*upgrade], "{status:#}");
    let told = fleet.ok(["rollout", "explain", "careful"]).stdout;
    assert!(told.contains("rehearsing") && told.contains("repeating"), "{told}");
    fleet.ok(["collection", "delete", "pilots"]);

    // A rollout that never ends by itself, since its device is held: who enrols then is late.
    fleet.ok(["hold", "add", "hostname = one", "--reason", "being repaired"]);
    fleet.import_go("1.27.2");
    fleet.ok(["rollout", "start", "1.27.2", "--yes", "--name", "open", "--allow-downgrade"]
        .into_iter()
        .chain(["--select", "hostname in (one, late)", "--rings", "all:rest"])
        .chain(["--late", "same-ring", "--soak", "0s"]));
    fleet.start_agent("late");
    wait_until("who came late to be upgraded", MOVE_DEADLINE, || {
        let status = fleet.json(["rollout", "status", "open"]);
        devices(&status).iter().any(|it| it.0 == "late" && it.1 == "accepted").then_some(())
    });
    assert!(fleet.agent("late").go_version().starts_with("go version go1.27.2 "));
}

#[test]
fn what_may_pass_by_itself_is_tried_again() {
    let fleet = fleet(&["one"]);
    let release = fleet.import_lean_go("1.27.3");
    let sha256 = fleet.json(["release", "show", &release])["archive"]["sha256"].clone();
    let archive = fleet.data().join("artifacts").join(sha256.as_str().unwrap());
    let away = fleet.folder().join("away");
    fs::rename(&archive, &away).unwrap();
    fleet.ok(["rollout", "start", "1.27.3", "--yes", "--soak", "0s", "--rings", "all:rest"]
        .into_iter()
        .chain(["--name", "again", "--retries", "9", "--retry-after", "1s"]));
    wait_until("it to fail and wait for its next attempt", MOVE_DEADLINE, || {
        let status = fleet.json(["rollout", "status", "again"]);
        let (_, step, reason) = devices(&status).remove(0);
        (step == "reverted" && reason == "retry").then_some(())
    });
    fs::rename(&away, &archive).unwrap();
    let status = wait_state(&fleet, "again", "completed");
    assert_eq!(devices(&status)[0].1, "accepted", "{status:#}");
    let device = status["rings_detail"][0]["devices"][0]["device"].as_str().unwrap();
    let history = fleet.json(["device", "show", device])["history"].clone();
    assert_eq!(history[0]["receipt"]["outcome"], "accepted", "{history:#}");
    assert_eq!(history[1]["receipt"]["outcome"], "reverted", "{history:#}");
}

#[test]
fn tokens_are_good_once_and_for_a_while() {
    let mut fleet = Fleet::start(PROGRAM);
    let token = fleet.enrolment_token();
    let options = AgentOptions { token: Some(token.clone()), ..AgentOptions::default() };
    fleet.start_agent_with("first", &options);
    fleet.wait_devices(1);
    let enrol = |token: &str| {
        let root = fleet.folder().join("second");
        let mut command = fleet.command();
        command.args(["agent", "run", "--server", fleet.url(), "--token", token, "--root"]);
        Ran::of(command.arg(root))
    };
    check_error(&enrol(&token), &["error: ", "was used already", "hint: ", "gofleet token create"]);
    let [kind, _, authority] = token.split('_').collect::<Vec<_>>()[..] else { panic!("{token}") };
    let made_up = format!("{kind}_{}_{authority}", "0".repeat(64));
    check_error(&enrol(&made_up), &["error: ", "is unknown", "hint: "]);
    check_error(&enrol("nonsense"), &["error: ", "cannot show that it is the server", "hint: "]);
    let short =
        fleet.json(["token", "create", "--ttl", "1s"])["token"].as_str().unwrap().to_owned();
    wait_until("the token to expire", MOVE_DEADLINE, || {
        let tokens = fleet.json(["token", "list"]);
        let expires_at =
            tokens[0]["expires_at"].as_str()?.parse::<gofleet_core::time::Timestamp>().ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        (now.as_millis() as i64 > expires_at.as_millis()).then_some(())
    });
    check_error(&enrol(&short), &["error: ", "expired at", "hint: "]);
    assert_eq!(fleet.json(["token", "list"]).as_array().unwrap().len(), 2);
}

#[test]
fn mistakes_are_told_with_what_to_do() {
    let fleet = fleet(&[]);
    let broken = fleet.folder().join("broken");
    fs::create_dir(&broken).unwrap();
    let archive = fs::read(go::archive("1.27.3", go::HOST)).unwrap();
    fs::write(broken.join("cut.whl"), &archive[..archive.len() / 2]).unwrap();
    fs::write(broken.join("not-go.zip"), b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
        .unwrap();
    refused_with_data(
        &fleet,
        ["release", "import", broken.to_str().unwrap()],
        &["error: cut.whl was not imported", "error: not-go.zip was not imported"],
    );
    refused(&fleet, ["release", "import", "nowhere.zip"], 1, &["nowhere.zip"]);
    let wrong = "0".repeat(64);
    let real = go::archive("1.27.3", go::HOST);
    let arguments = ["release", "import", real.to_str().unwrap(), "--sha256", &wrong];
    refused_with_data(&fleet, arguments, &["error: ", "because: ", &wrong]);
    fleet.import_lean_go("1.27.3");
    let start = ["rollout", "start", "1.27.3", "--yes", "--rings"];
    let with = |rings| [start[0], start[1], start[2], start[3], start[4], rings];
    refused(&fleet, with("a:60%,b:50%"), 1, &["error: ", "110"]);
    refused(&fleet, with("a:1"), 1, &["error: ", "device"]);
    refused(&fleet, with("a"), 2, &["`a` is no ring", "hint: an example"]);
    refused(&fleet, ["rollout", "start", "1.99.0", "--yes"], 1, &["error: ", "1.99.0"]);
    refused(&fleet, ["device", "show", "nobody"], 1, &["no device `nobody`", "device list"]);
    refused(&fleet, ["rollout", "status"], 2, &["no rollout is under way", "rollout list"]);
    refused(&fleet, ["rollout", "stop", "nothing"], 1, &["no rollout `nothing`"]);
    let file = fleet.folder().join("wrong.yaml");
    fs::write(&file, "name: a\nversion: 1.27.3\nrings:\n  - name: test\n    cuont: 1\n").unwrap();
    refused(
        &fleet,
        ["apply", "-f", file.to_str().unwrap()],
        1,
        &["is not a rollout", "line 5", "cuont"],
    );
}

#[track_caller]
fn refused_with_data<const N: usize>(fleet: &Fleet, arguments: [&str; N], expect: &[&str]) {
    let ran = fleet.run(arguments);
    assert_eq!(ran.code, Some(1), "{ran}");
    for part in expect {
        assert!(ran.stderr.contains(part), "no `{part}` in {ran}");
    }
}

#[test]
fn a_server_that_is_killed_in_mid_ring_goes_on_with_the_same_devices() {
    let mut fleet = fleet(&["one", "two"]);
    fleet.import_lean_go("1.27.3");
    fleet.ok([
        "rollout",
        "start",
        "1.27.3",
        "--yes",
        "--soak",
        "1s",
        "--rings",
        "a:1,b:rest",
        "--name",
        "r",
    ]);
    let before = wait_until("a device to be under way", MOVE_DEADLINE, || {
        let status = fleet.json(["rollout", "status", "r"]);
        devices(&status)
            .iter()
            .any(|(_, step, _)| step == "fetching" || step == "staged")
            .then_some(status)
    });
    fleet.kill_server();
    fleet.start_server();
    let after = wait_state(&fleet, "r", "completed");
    let rings = |status: &Value| -> Vec<Vec<String>> {
        let of_ring = |ring: &Value| {
            ring["devices"].as_array().unwrap().iter().map(|d| d["device"].to_string()).collect()
        };
        status["rings_detail"].as_array().unwrap().iter().map(of_ring).collect()
    };
    assert_eq!(rings(&before), rings(&after));
}

#[test]
fn the_demo_ends_as_it_should() {
    let archives = tempfile::tempdir().unwrap();
    for version in ["1.27.1", "1.27.2", "1.27.3"] {
        let archive = go::archive(version, go::HOST);
        let name = Path::new(archive.file_name().unwrap());
        fs::hard_link(&archive, archives.path().join(name))
            .or_else(|_| fs::copy(&archive, archives.path().join(name)).map(drop))
            .unwrap();
    }
    let mut command = std::process::Command::new(PROGRAM);
    command.args(["demo", "--headless", "--json", "--quiet", "--devices", "3", "--archives"]);
    let ran = Ran::of(command.arg(archives.path()));
    assert_eq!(ran.code, Some(0), "{ran}");
    let story = ran.json();
    for (field, expect) in [("devices", 3), ("accepted", 3), ("reverted", 1)] {
        assert_eq!(story[field], expect, "{field} in {story:#}");
    }
    assert_eq!(story["stopped_in_ring"], "test", "{story:#}");
    assert_eq!(story["rollouts"][2]["accepted"], 0, "{story:#}");
    assert!(story["bytes_downloaded"].as_u64().unwrap() > 100_000_000, "{story:#}");
    assert!(story["seconds"].as_f64().unwrap() > 1.0, "{story:#}");
}

#[test]
fn a_patch_upgrade_takes_the_delta_from_the_distribution_point_of_its_site() {
    let mut fleet = Fleet::start_with(PROGRAM, &["--reconcile-every", "200ms"]);
    let (old, new) = (fleet.import_lean_go("1.27.2"), fleet.import_lean_go("1.27.3"));
    wait_until("the pack and the delta", PREPARE_DEADLINE, || {
        let states = |id: &str| {
            let shown = fleet.json(["release", "show", id]);
            let all = shown["artifacts"].as_array().unwrap().clone();
            all.iter().map(|it| format!("{} {}", it["kind"], it["state"])).collect::<Vec<_>>()
        };
        let is_ready = states(&new) == ["\"pack\" \"ready\"", "\"delta\" \"ready\""]
            && states(&old) == ["\"pack\" \"ready\""];
        is_ready.then_some(())
    });
    let edge = fleet.start_edge("berlin");
    let labels = vec![("site".to_owned(), "berlin".to_owned())];
    fleet.start_agent_with("one", &AgentOptions { labels, ..AgentOptions::default() });
    fleet.wait_devices(1);
    let archive_bytes = fs::metadata(go::lean_archive("1.27.3", go::HOST)).unwrap().len();
    let begin = |version: &str, name: &str| {
        fleet.ok([
            "rollout", "start", version, "--name", name, "--yes", "--soak", "0s", "--rings",
            "all:rest",
        ]);
        let status = wait_state(&fleet, name, "completed");
        assert_eq!(
            fleet.agent("one").go_version().split(' ').nth(2),
            Some(&*format!("go{version}"))
        );
        status["traffic"].clone()
    };
    let first = begin("1.27.2", "first");
    assert_eq!(first["ways"][0]["kind"], "pack", "{first}");
    let pack_bytes = first["ways"][0]["bytes"].as_u64().unwrap();
    assert!(pack_bytes < archive_bytes * 6 / 10, "{first}");
    let next = begin("1.27.3", "next");
    assert_eq!(next["ways"][0]["kind"], "delta", "{next}");
    let delta_bytes = next["ways"][0]["bytes"].as_u64().unwrap();
    assert!(delta_bytes < 400_000, "{next}");
    assert_eq!(next["edge_bytes"], delta_bytes, "all of it from {edge}: {next}");
    assert_eq!(next["saved_bytes"], archive_bytes - delta_bytes);
    let edges = fleet.json(["edge", "list"]);
    assert_eq!((&edges[0]["site"], &edges[0]["url"]), (&"berlin".into(), &edge.into()));
    println!("pack {pack_bytes}, delta {delta_bytes}, archive {archive_bytes}");
}
