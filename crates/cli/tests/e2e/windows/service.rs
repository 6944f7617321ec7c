//! The agent as a service of Windows: installed by gofleet, looked at by Wine's own `sc` and `reg`,
//! upgrading real Go, and stopped in the middle of an installation.
//!
//! Accounts, rights and the event log are not asserted: Wine has one user, and no log
//! (docs/windows.md).

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gofleet_testkit::fleet::{Fleet, Ran};
use gofleet_testkit::{go, wait_until};

use super::{DEADLINE, Device, PLATFORM, PROGRAM, import, start, wait_step};

const SERVICE: &str = r"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\gofleet-agent";
/// From here services get their environment.
const ENVIRONMENT: &str =
    r"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\Session Manager\Environment";
const CONTROL: &str = r"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control";
/// What is promised of a stop, whatever the agent does.
const STOP: Duration = Duration::from_secs(5);

/// A verb of `gofleet agent`. Through `cmd`, which passes on the exit code as it was.
fn agent(device: &Device, words: &[&str]) -> Ran {
    let program = ["/c", r"C:\installed\gofleet.exe", "agent"];
    Ran::of(device.command("cmd").args(program).args(words))
}

#[track_caller]
fn ok(device: &Device, words: &[&str], expect: &str) -> Ran {
    let ran = agent(device, words);
    assert!(ran.code == Some(0) && ran.stdout.contains(expect), "{ran}");
    ran
}

/// What `sc query` says.
pub fn queried(device: &Device) -> String {
    Ran::of(device.command("sc").args(["query", "gofleet-agent"])).stdout
}

pub fn reg(device: &Device, words: &[&str]) -> String {
    let ran = Ran::of(device.command("reg").args(words));
    assert_eq!(ran.code, Some(0), "{ran}");
    ran.stdout
}

/// Starts Windows anew, as services see their environment only then. It ends with the last program
/// of a person, and the services with it, so there is one for as long as the answer lives.
pub fn boot(device: &Device) -> Person {
    let stop = device.runner.with_file_name("stop");
    let status = Command::new(stop).env("WINEPREFIX", &device.prefix).status().unwrap();
    assert!(status.success(), "{status}");
    let mut command = device.command("cmd");
    Person(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
}

/// A prompt at which nobody types.
pub struct Person(Child);

impl Drop for Person {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.0.stdin.take());
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs Wine: cargo xtask test --suite windows"]
fn a_service_upgrades_and_stops_in_the_middle_of_an_installation() {
    let settings = ["--reconcile-every", "200ms", "--prepare", "false"];
    let fleet = Fleet::start_with(PROGRAM, &settings);
    let device = Device::new("service", fleet.folder().join("service.log"));
    // Services with a delayed start come so many milliseconds after the others.
    reg(&device, &["add", CONTROL, "/v", "AutoStartDelay", "/t", "REG_DWORD", "/d", "1", "/f"]);
    let _person = boot(&device);
    let token = fleet.enrolment_token();
    fs::write(device.drive("token.txt"), format!("{token}\r\n")).unwrap();
    let install = [
        "install",
        "--server",
        fleet.url(),
        "--root",
        r"C:\gofleet",
        "--hostname",
        "windows one",
        "--token-file",
        r"C:\token.txt",
    ];

    ok(&device, &[&install[..], &["--dry-run"]].concat(), "automatic, delayed");
    ok(&device, &["uninstall"], "was not installed");
    assert!(!queried(&device).contains("SERVICE_NAME"), "a dry run installs nothing");
    ok(&device, &install, "is installed; it starts with the machine");
    ok(&device, &install, "is installed already");
    let said = queried(&device);
    assert!(said.contains("STOPPED"), "{said}");
    let registered = reg(&device, &["query", SERVICE, "/s"]);
    let command = r#""C:\installed\gofleet.exe" agent run --service --root C:\gofleet"#;
    assert!(registered.contains(command), "{registered}");
    assert!(registered.contains(r#"--hostname "windows one""#), "{registered}");
    assert!(!registered.contains(&token), "the command line is no place for a token");

    ok(&device, &["start"], "gofleet-agent is running");
    ok(&device, &["start"], "gofleet-agent is running");
    let said = queried(&device);
    assert!(said.contains("RUNNING"), "{said}");
    fleet.wait_devices(1);
    import(&fleet, "1.27.2", &go::lean_archive("1.27.2", PLATFORM));
    start(&fleet, "first", "1.27.2", "0s");
    wait_step(&fleet, "first", "accepted");
    device.check_runs("1.27.2");

    // The next process of the service parks where all files are unpacked and none has its name.
    ok(&device, &["stop"], "gofleet-agent is stopped");
    let reached = r"depot-stage-unpacked=C:\reached";
    reg(&device, &["add", ENVIRONMENT, "/v", "GOFLEET_CHECKPOINT", "/d", reached, "/f"]);
    let _person = boot(&device);
    ok(&device, &["start"], "gofleet-agent is running");
    import(&fleet, "1.27.3", &go::lean_archive("1.27.3", PLATFORM));
    start(&fleet, "second", "1.27.3", "0s");
    wait_until("the installation to be under way", DEADLINE, || {
        device.drive("reached").exists().then_some(())
    });
    let asked = Instant::now();
    ok(&device, &["stop"], "gofleet-agent is stopped");
    assert!(asked.elapsed() < STOP, "{:?}", asked.elapsed());
    let said = queried(&device);
    assert!(said.contains("STOPPED"), "{said}");
    device.check_runs("1.27.2");

    reg(&device, &["delete", ENVIRONMENT, "/v", "GOFLEET_CHECKPOINT", "/f"]);
    // It starts with the machine.
    let _person = boot(&device);
    wait_step(&fleet, "second", "accepted");
    device.check_runs("1.27.3");
    let status = ok(&device, &["status", "--root", r"C:\gofleet"], "service    running").stdout;
    assert!(status.contains("agent      running"), "{status}");

    let log = fs::read_to_string(device.drive("gofleet/agent/logs/agent.log")).unwrap();
    assert_eq!(log.matches("the agent starts").count(), 3, "{log}");
    assert_eq!(log.matches("the agent stops").count(), 2, "{log}");
    assert!(!log.contains(&token), "a log is no place for a token");
    assert!(!device.drive("gofleet/enrolment-token").exists(), "there is a credential now");

    ok(&device, &["uninstall", "--root", r"C:\gofleet"], "is removed; C:\\gofleet stays");
    wait_until("the service to be gone", DEADLINE, || {
        (!queried(&device).contains("SERVICE_NAME")).then_some(())
    });
    device.check_runs("1.27.3");
    ok(&device, &["uninstall", "--root", r"C:\gofleet", "--purge"], r"C:\gofleet is removed");
    assert!(!device.drive("gofleet").exists());
}
