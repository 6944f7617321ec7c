//! The group policy in the registry of a Windows, written by `reg.exe`.

use gofleet_testkit::fleet::Ran;
use serde_json::{Value, json};

use super::Device;

const KEY: &str = r"HKEY_LOCAL_MACHINE\Software\Policies\GoFleet";
const LABELS: &str = r"HKEY_LOCAL_MACHINE\Software\Policies\GoFleet\Labels";

#[track_caller]
fn reg(device: &Device, words: &[&str]) {
    let ran = Ran::of(device.command("reg").args(words));
    assert_eq!(ran.code, Some(0), "{ran}");
}

#[track_caller]
fn add(device: &Device, key: &str, name: &str, kind: &str, data: &str) {
    reg(device, &["add", key, "/v", name, "/t", kind, "/d", data, "/f"]);
}

/// A verb of `gofleet agent` with `--json`, through `cmd`, which passes on the exit code.
#[track_caller]
fn agent(device: &Device, words: &[&str]) -> Value {
    let program = ["/c", r"C:\installed\gofleet.exe", "agent"];
    let mut command = device.command("cmd");
    let ran = Ran::of(command.args(program).args(words).args(["--json", "--root", r"C:\gofleet"]));
    assert_eq!(ran.code, Some(0), "{ran}");
    ran.json()
}

#[track_caller]
fn check(report: &Value, name: &str, value: &Value, origin: &str) {
    let expect = json!({ "value": value, "origin": origin });
    assert_eq!(report["settings"][name], expect, "{name} in {report:#}");
}

#[test]
#[ignore = "needs Wine: cargo xtask test --suite windows"]
fn a_policy_stands_above_all_and_one_that_does_not_fit_is_told() {
    let device = Device::new("policy", std::env::temp_dir().join("gofleet-policy.log"));
    let flags = ["run", "--print-config", "--server", "https://flag", "--limit", "1 MB/s"];
    check(&agent(&device, &flags), "server", &json!("https://flag"), "--server");

    add(&device, KEY, "Server", "REG_SZ", "https://policy");
    add(&device, KEY, "CheckCache", "REG_EXPAND_SZ", r"%SystemDrive%\cache");
    add(&device, KEY, "Edges", "REG_MULTI_SZ", r"https://one\0https://two");
    add(&device, LABELS, "site", "REG_SZ", "köln");
    add(&device, LABELS, "tier", "REG_SZ", "1");
    let report = agent(&device, &flags);
    assert_eq!(report["policy_problems"], json!([]), "{report:#}");
    check(&report, "server", &json!("https://policy"), "policy");
    check(&report, "check_cache", &json!(r"C:\cache"), "policy");
    check(&report, "edges", &json!(["https://one", "https://two"]), "policy");
    check(&report, "labels", &json!({ "site": "köln", "tier": "1" }), "policy");
    check(&report, "limit", &json!("1 MB/s"), "--limit");
    check(&report, "hostname", &Value::Null, "default");

    add(&device, KEY, "Server", "REG_DWORD", "7");
    add(&device, KEY, "Limit", "REG_SZ", "1 B/s");
    add(&device, KEY, "Servr", "REG_SZ", "x");
    for report in [agent(&device, &flags), agent(&device, &["status"])] {
        let problems = report["policy_problems"].as_array().unwrap();
        let problem = |value: &str| problems.iter().find(|it| it["value"] == value).unwrap();
        assert!(problem("Server")["reason"].as_str().unwrap().contains("type is REG_DWORD"));
        assert!(problem("Limit")["reason"].as_str().unwrap().contains("column 1"));
        assert!(problem("Servr")["reason"].as_str().unwrap().contains("did you mean Server?"));
        check(&report, "labels", &json!({ "site": "köln", "tier": "1" }), "policy");
    }
    let report = agent(&device, &flags);
    check(&report, "server", &json!("https://flag"), "--server");
    check(&report, "limit", &json!("1 MB/s"), "--limit");

    reg(&device, &["delete", KEY, "/f"]);
    let report = agent(&device, &flags);
    check(&report, "labels", &Value::Null, "default");
    assert_eq!(report["policy_problems"], json!([]));
}
