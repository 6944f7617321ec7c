//! The agent's settings from their sources, and what `gofleet export` writes. That a policy in the
//! registry counts is shown by the tests of the `windows` suite.
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use gofleet_core::policy::{applied, decode, read};
use gofleet_core::settings::Value;
use gofleet_testkit::fleet::{Fleet, Ran};
use gofleet_testkit::wait_until;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gofleet");
const DEADLINE: Duration = Duration::from_secs(60);

fn gofleet(words: &[&str], environment: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GOFLEET_") {
            command.env_remove(name);
        }
    }
    command.args(words).envs(environment.iter().copied()).stdin(Stdio::null());
    Ran::of(&mut command)
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn every_setting_tells_where_it_comes_from() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("agent.toml");
    let settings = "server = \"https://file\"\nlimit = \"2 MB/s\"\nhostname = \"file\"\n\
                    [labels]\nsite = \"berlin\"\n";
    fs::write(&file, settings).unwrap();
    let root = path(root.path());
    let words = ["agent", "run", "--print-config", "--json", "--root", root, "--edge", "https://e"];
    let environment = [("GOFLEET_HOSTNAME", "environment")];
    let shown = gofleet(&words, &environment).json();
    for (name, value, origin) in [
        ("server", serde_json::json!("https://file"), path(&file)),
        ("limit", "2 MB/s".into(), path(&file)),
        ("labels", serde_json::json!({ "site": "berlin" }), path(&file)),
        ("hostname", "environment".into(), "GOFLEET_HOSTNAME"),
        ("edges", serde_json::json!(["https://e"]), "--edge"),
        ("root", root.into(), "--root"),
        ("check_cache", serde_json::Value::Null, "default"),
    ] {
        let expect = serde_json::json!({ "value": value, "origin": origin });
        assert_eq!(shown["settings"][name], expect, "{name}");
    }
    assert_eq!(shown["policy_problems"], serde_json::json!([]));
    let text = gofleet(&words[..3], &[("GOFLEET_ROOT", root)]).stdout;
    assert!(text.contains("GOFLEET_ROOT") && text.contains("https://file"), "{text}");
    let status = gofleet(&["agent", "status"], &[("GOFLEET_ROOT", root)]).stdout;
    assert!(status.contains("https://file") && status.contains("agent.toml"), "{status}");
}

#[track_caller]
fn check_refused(file: &str, expect: &[&str]) {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("agent.toml"), file).unwrap();
    let ran = gofleet(&["agent", "run", "--root", path(root.path())], &[]);
    assert_ne!(ran.code, Some(0), "{ran}");
    for part in expect {
        assert!(ran.stderr.contains(part), "no {part:?} in {ran}");
    }
}

#[test]
fn a_file_that_means_something_else_is_refused() {
    check_refused("sever = \"x\"", &["agent.toml has a key `sever`", "did you mean `server`?"]);
    check_refused("server = \"x\"", &["`server` cannot be `x`", "agent.toml", "begin with http"]);
    check_refused("limit = 5", &["`limit` in", "neither text", "in quotes"]);
    check_refused("root = \"/x\"", &["can't say where the root is"]);
    check_refused("server =", &["is not valid TOML"]);
    check_refused("", &["no server is named", "by policy"]);
}

#[test]
fn an_agent_leaves_what_it_was_told_for_its_status() {
    let fleet = Fleet::start_with(PROGRAM, &["--prepare", "false"]);
    let root = fleet.folder().join("told");
    let root = path(&root);
    let mut command = Command::new(PROGRAM);
    command.args(["agent", "run", "--server", fleet.url(), "--root", root, "--label", "a=b,c"]);
    command.env("GOFLEET_ENROLMENT_TOKEN", fleet.enrolment_token()).env_remove("GOFLEET_LIMIT");
    let mut agent = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = wait_until("the settings to be there", DEADLINE, || {
        let status = gofleet(&["agent", "status", "--json", "--root", root], &[]).json();
        (status["settings"]["server"]["origin"] == "--server").then_some(status)
    });
    agent.kill().unwrap();
    agent.wait().unwrap();
    let expect = serde_json::json!({ "value": { "a": "b,c" }, "origin": "--label" });
    assert_eq!(status["settings"]["labels"], expect);
    assert_eq!(status["is_policy_outdated"], false);
}

#[test]
fn a_policy_is_exported_the_same_each_time_and_sets_what_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let export = |out: &Path, site: &str| {
        let labels = format!("labels=site={site},tier=1");
        let words = ["export", "gpo", "--server", "https://s", "--json", "--set", &labels];
        gofleet(&[&words[..], &["--out", path(out)]].concat(), &[])
    };
    let written = export(&one, "köln").json();
    let again = export(&two, "köln").json();
    assert_eq!(written["files"], again["files"]);
    let files: Vec<_> =
        written["files"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    for file in &files {
        assert_eq!(fs::read(one.join(file)).unwrap(), fs::read(two.join(file)).unwrap());
    }
    let pol = files.iter().find(|file| file.ends_with("registry.pol")).unwrap();
    let records = decode(&fs::read(one.join(pol)).unwrap()).unwrap();
    let (values, problems) = read(&applied(&records), &|_| None);
    assert_eq!(problems, []);
    let labels = [("site", "köln"), ("tier", "1")].map(|(key, it)| (key.into(), it.into()));
    let expect =
        [("server", Value::Text("https://s".into())), ("labels", Value::Table(labels.into()))];
    assert_eq!(values, expect);

    let other = export(&one, "oslo");
    assert!(other.code == Some(1) && other.stderr.contains("holds backups already"), "{other}");
}

#[test]
fn a_policy_that_would_not_be_understood_is_not_exported() {
    for (setting, expect) in [
        ("sever=x", "did you mean `server`?"),
        ("server=https://t", "given twice"),
        ("limit=fast", "`limit` cannot be `fast`"),
        ("limit", "not KEY=VALUE"),
    ] {
        let words = ["export", "gpo", "--server", "https://s", "--set", setting, "--out", "/x/y"];
        let ran = gofleet(&words, &[]);
        assert!(ran.code == Some(2) && ran.stderr.contains(expect), "{ran}");
    }
}

#[test]
fn the_templates_are_written_as_the_central_store_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let ran = gofleet(&["export", "admx", "--out", path(folder.path())], &[]);
    assert_eq!(ran.code, Some(0), "{ran}");
    for file in ["gofleet.admx", "en-US/gofleet.adml", "zh-CN/gofleet.adml"] {
        let text = fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(text.contains("schemas.microsoft.com/GroupPolicy"), "{file}");
    }
}

#[test]
fn the_documentation_names_every_setting() {
    let text = include_str!("../../../../docs/group-policy.md");
    for setting in &gofleet_core::settings::SETTINGS {
        for name in [setting.name, setting.policy, setting.environment, setting.flag] {
            assert!(text.contains(&format!("`{name}`")), "{name}");
        }
    }
}
