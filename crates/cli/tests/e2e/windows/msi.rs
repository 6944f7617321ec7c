//! The MSI of the agent, installed as administrators do it: silently, by `msiexec`, with and
//! without a server; upgraded, and removed.
//!
//! The MSIs are made of the programs that the other tests use, by what makes those that are shipped.
//! Exit codes come through Linux, which keeps the lowest eight bits. Wine knows neither hidden
//! properties nor `UPGRADINGPRODUCTCODE` (docs/windows.md).

use std::fs;
use std::process::Stdio;

use gofleet_testkit::fleet::Fleet;
use gofleet_testkit::wait_until;

use super::service::{boot, queried, reg};
use super::{DEADLINE, Device, PROGRAM, from_environment};

/// "A fatal error occurred during installation."
const FAILED: i32 = 1603 & 0xff;
const UNINSTALL: &str = r"HKEY_LOCAL_MACHINE\Software\Microsoft\Windows\CurrentVersion\Uninstall";

fn name(version: &str) -> String {
    format!("gofleet-agent-{version}-windows-amd64.msi")
}

/// Runs msiexec with `verb` (`/i`, `/x`) on the MSI of a version; checks how it ended, and gives
/// its log.
#[track_caller]
fn msiexec(device: &Device, verb: &str, version: &str, properties: &[&str], expect: i32) -> String {
    let log = device.drive("msi.log");
    let _ = fs::remove_file(&log);
    let mut command = device.command("cmd");
    command.args(["/c", "msiexec", verb, &format!(r"C:\{}", name(version))]);
    command.args(["/qn", "/norestart", "/l*v", r"C:\msi.log", "REBOOT=Suppress"]);
    // Not by a pipe: Windows' own services that it starts would hold it open, and live on.
    command.args(properties).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().unwrap();
    let log = fs::read(&log).unwrap_or_default();
    let log = String::from_utf8_lossy(&log).replace('\0', "");
    assert_eq!(status.code(), Some(expect), "{verb} {version}\n{log}");
    log
}

/// The versions of the agent that Windows believes to be installed.
fn installed(device: &Device) -> Vec<String> {
    let said = reg(device, &["query", UNINSTALL, "/s"]);
    let products = said.split("\n\r\n").filter(|product| product.contains("gofleet agent"));
    let value = |product: &str| {
        let line = product.lines().find(|line| line.contains("DisplayVersion"))?;
        Some(line.split_whitespace().last()?.to_owned())
    };
    products.filter_map(value).collect()
}

#[test]
#[ignore = "needs Wine: cargo xtask test --suite windows"]
fn an_msi_installs_upgrades_and_leaves_only_the_root() {
    let fleet = Fleet::start_with(PROGRAM, &["--prepare", "false"]);
    let device = Device::new("msi", fleet.folder().join("msi.log"));
    let packages = from_environment("GOFLEET_PACKAGES");
    for version in ["0.1.0", "0.1.1"] {
        fs::copy(packages.join(name(version)), device.drive(&name(version))).unwrap();
    }
    let _person = boot(&device);
    let has_service = || queried(&device).contains("SERVICE_NAME");
    let usual = device.drive("Program Files/gofleet");

    // Nobody said whose agent this is: the programs, and nothing that runs.
    msiexec(&device, "/i", "0.1.0", &[], 0);
    for file in ["gofleet.exe", "gofleet-shim.exe", "LICENSE.txt", "gofleet.cdx.json"] {
        assert!(usual.join(file).is_file(), "{file}");
    }
    assert!(!has_service());
    assert_eq!(installed(&device), ["0.1.0"]);
    msiexec(&device, "/x", "0.1.0", &[], 0);
    assert!(!usual.exists());
    assert_eq!(installed(&device), [""; 0]);

    // A server and a token: a device of the fleet, in a folder with a name of its own.
    let token = fleet.enrolment_token();
    let (server, secret) = (format!("SERVER={}", fleet.url()), format!("TOKEN={token}"));
    let properties = [server.as_str(), &secret, r"INSTALLDIR=C:\fleet-tools\agent"];
    let log = msiexec(&device, "/i", "0.1.0", &properties, 0);
    // Windows shows asterisks there, by the property that names the hidden ones.
    let is_told = |line: &&str| line.contains(&token) && !line.starts_with("Property(S): TOKEN =");
    assert_eq!(log.lines().find(is_told), None, "a log is no place for a token");
    assert!(log.contains("Property(S): MsiHiddenProperties = TOKEN"), "{log}");
    let own = device.drive("fleet-tools/agent");
    assert!(own.join("gofleet.exe").is_file() && !usual.exists());
    fleet.wait_devices(1);
    assert!(queried(&device).contains("RUNNING"), "{}", queried(&device));
    let devices = fleet.json(["device", "list"]);

    // An upgrade finds the folder, and the same device goes on, without a token. The server is said
    // again, as Wine lets the earlier product remove the service that an upgrade would leave.
    msiexec(&device, "/i", "0.1.1", &[&server], 0);
    assert!(own.join("gofleet.exe").is_file() && !usual.exists());
    assert_eq!(installed(&device), ["0.1.1"]);
    assert!(queried(&device).contains("RUNNING"), "{}", queried(&device));
    assert_eq!(fleet.json(["device", "list"]).as_array().map(Vec::len), Some(1), "{devices}");
    msiexec(&device, "/i", "0.1.0", &[], FAILED);
    assert_eq!(installed(&device), ["0.1.1"], "an older one is refused");
    assert!(queried(&device).contains("RUNNING"), "{}", queried(&device));

    msiexec(&device, "/x", "0.1.1", &[], 0);
    assert!(!own.exists());
    assert_eq!(installed(&device), [""; 0]);
    wait_until("the service to be gone", DEADLINE, || (!has_service()).then_some(()));
    let root = device.drive("ProgramData/gofleet");
    assert!(root.join("agent/credential").exists(), "who the device is outlives the program");
}
