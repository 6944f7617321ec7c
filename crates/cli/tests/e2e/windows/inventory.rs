//! `gofleet inventory` on a Windows: its registry is written by `reg.exe`, in both views, as Go's
//! MSI leaves it; a command without a `VERSION` beside it is that of a real Go.

use std::collections::BTreeMap;
use std::fs;

use gofleet_testkit::fleet::Ran;
use gofleet_testkit::go;
use serde_json::Value;

use super::{Device, PLATFORM};

const UNINSTALL: &str = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall";
/// The `UpgradeCode` {22ea7650-4ac6-4001-bf29-f4b8775db1c0} of Go for amd64, packed.
const UPGRADE: &str = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Installer\UpgradeCodes\0567AE226CA41004FB924F8B77D51B0C";
const PROFILES: &str = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList";

#[track_caller]
fn add(device: &Device, key: &str, name: &str, data: &str, view: &str) {
    let words = ["add", key, "/v", name, "/t", "REG_SZ", "/d", data, "/f", view];
    let ran = Ran::of(device.command("reg").args(words));
    assert_eq!(ran.code, Some(0), "{ran}");
}

/// An entry of the installed programs, without a location, as Go's MSI writes it.
fn install(device: &Device, code: &str, name: &str, version: &str, view: &str) {
    let key = format!(r"{UNINSTALL}\{code}");
    add(device, &key, "DisplayName", name, view);
    add(device, &key, "DisplayVersion", version, view);
    add(device, &key, "InstallLocation", "", view);
}

/// A folder that looks like a Go.
fn plant(device: &Device, tree: &str, version: &str) {
    let tree = device.drive(tree);
    fs::create_dir_all(tree.join("bin")).unwrap();
    fs::write(tree.join("bin/go.exe"), b"").unwrap();
    fs::write(tree.join("VERSION"), format!("go{version}\n")).unwrap();
}

#[test]
#[ignore = "needs Wine: cargo xtask test --suite windows"]
fn every_go_of_a_windows_is_told_with_who_put_it_there() {
    let device = Device::new("inventory", std::env::temp_dir().join("gofleet-inventory.log"));
    plant(&device, "Program Files/Go", "1.27.3");
    plant(&device, "Program Files (x86)/Go", "1.26.1");
    plant(&device, "Go", "1.15.2");
    plant(&device, "tools/go", "1.25.3");
    plant(&device, "users/Jörg/sdk/go1.27.2", "1.27.2");
    plant(&device, "users/Jörg/scoop/apps/go/1.24.1", "1.24.1");
    let bare = device.drive("users/Jörg/sdk/go-bare/bin");
    fs::create_dir_all(&bare).unwrap();
    fs::copy(go::tree("1.27.3", PLATFORM).join("bin/go.exe"), bare.join("go.exe")).unwrap();

    // By its UpgradeCode alone, whatever it calls itself.
    install(&device, "{11111111-2222-3333-4444-555555555555}", "Renamed", "1.27.3", "/reg:64");
    add(&device, UPGRADE, "11111111222233334444555555555555", "", "/reg:64");
    // By its name alone, in the other view.
    let name = "Go Programming Language 386 go1.26.1";
    install(&device, "{32000000-0000-0000-0000-000000000000}", name, "1.26.1", "/reg:32");
    // Where Go's MSI noted it, installed by Chocolatey.
    let name = "Go Programming Language amd64 go1.25.3";
    install(&device, "{64000000-0000-0000-0000-000000000000}", name, "1.25.3", "/reg:64");
    let msi = r"HKCU\Software\GoProgrammingLanguage";
    add(&device, msi, "installLocation", r"C:\tools\go\", "/reg:64");
    let package = device.drive("ProgramData/chocolatey/lib/golang");
    fs::create_dir_all(&package).unwrap();
    let description = "<package><metadata><id>golang</id><version>1.25.3</version></metadata>";
    fs::write(package.join("golang.nuspec"), description).unwrap();
    // The folder of one is gone, and another is no Go.
    let name = "Go Programming Language amd64 go1.20";
    install(&device, "{20000000-0000-0000-0000-000000000000}", name, "1.20.0", "/reg:64");
    install(&device, "Browser", "Google Browser", "1.27.3", "/reg:64");
    // Somebody else's home.
    let profile = format!(r"{PROFILES}\S-1-5-21-1-2-3-1001");
    add(&device, &profile, "ProfileImagePath", r"C:\users\Jörg", "/reg:64");

    let program = ["/c", r"C:\installed\gofleet.exe", "inventory", "--json"];
    let mut command = device.command("cmd");
    command.args(program).env("LC_ALL", "C.UTF-8").env("WINEPATH", r"C:\tools\go\bin");
    let ran = Ran::of(&mut command);
    assert_eq!(ran.code, Some(0), "{ran}");
    let inventory = ran.json();
    let text = |go: &Value, name: &str| go[name].as_str().unwrap_or_default().to_owned();
    let found: BTreeMap<String, [String; 3]> = inventory["found"]
        .as_array()
        .unwrap()
        .iter()
        .map(|go| {
            (text(go, "path"), ["version", "origin", "version_source"].map(|it| text(go, it)))
        })
        .collect();
    let expect = [
        (r"C:\Go", ["1.15.2", "unpacked", "version_file"]),
        (r"C:\Program Files (x86)\Go", ["1.26.1", "installer", "version_file"]),
        (r"C:\Program Files\Go", ["1.27.3", "installer", "version_file"]),
        (r"C:\tools\go", ["1.25.3", "chocolatey", "version_file"]),
        (r"C:\users\Jörg\scoop\apps\go\1.24.1", ["1.24.1", "scoop", "version_file"]),
        (r"C:\users\Jörg\sdk\go-bare", ["1.27.3", "sdk", "build_info"]),
        (r"C:\users\Jörg\sdk\go1.27.2", ["1.27.2", "sdk", "version_file"]),
    ];
    let expect = expect.map(|(path, texts)| (path.to_owned(), texts.map(str::to_owned)));
    assert_eq!(found, BTreeMap::from(expect), "{ran}");

    let of = |path: &str| {
        let found = inventory["found"].as_array().unwrap();
        found.iter().find(|go| go["path"] == path).unwrap().clone()
    };
    let programs = of(r"C:\Program Files\Go");
    assert_eq!(programs["vouched_by"], "Renamed ({11111111-2222-3333-4444-555555555555})");
    assert_eq!(
        (programs["size"]["files"].as_u64(), &programs["is_in_use"]),
        (Some(2), &false.into())
    );
    assert!(!text(&programs, "owner").is_empty());
    let tools = of(r"C:\tools\go");
    assert_eq!((&tools["is_first_on_path"], &tools["is_in_use"]), (&true.into(), &true.into()));
    let gone = inventory["without_files"].as_array().unwrap();
    assert_eq!(gone.len(), 1, "{gone:?}");
    assert!(text(&gone[0], "name").ends_with("go1.20"));
}
