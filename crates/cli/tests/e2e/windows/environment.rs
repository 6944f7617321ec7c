//! `gofleet env` on the registry of a Windows: seeded, read and compared by `reg.exe`, which we
//! did not write. An export holds type and bytes of every value, so that "as before" means exactly
//! that.
//!
//! What new programs get is only looked at for short values: Wine cuts longer ones, Windows does
//! not.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use gofleet_platform::checkpoint;
use gofleet_testkit::fleet::Ran;
use gofleet_testkit::wait_until;
use serde_json::Value;

use super::Device;

const MACHINE: &str =
    r"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\Session Manager\Environment";
const USER: &str = r"HKEY_CURRENT_USER\Environment";
const ROOT: &str = r"C:\gofleet";
const DEADLINE: Duration = Duration::from_secs(120);

/// `REG_SZ` and `REG_EXPAND_SZ`, as `.reg` files have them.
const SZ: u32 = 1;
const EXPAND_SZ: u32 = 2;

/// A Windows with gofleet and nothing else.
struct Windows(Device);

impl Windows {
    fn new(name: &str) -> Self {
        let log = std::env::temp_dir().join(format!("gofleet-{name}.log"));
        let windows = Self(Device::new(name, log));
        for folder in ["gofleet/bin", "tools", "Go/bin", "Jörg/bin"] {
            fs::create_dir_all(windows.0.drive(folder)).unwrap();
        }
        fs::write(windows.0.drive("Go/bin/go.exe"), "").unwrap();
        fs::write(windows.0.drive("gofleet/bin/go.exe"), "").unwrap();
        windows
    }

    fn command(&self, program: &str) -> Command {
        let mut command = self.0.command(program);
        command.env("LC_ALL", "C.UTF-8").env("NO_COLOR", "1").env("GOFLEET_ROOT", ROOT);
        command
    }

    /// Through `cmd`: what Linux sees as the exit code of a program with several threads is now
    /// and then 0, whatever the program said; Wine's `cmd` has one, and passes on what it was told.
    fn gofleet<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Ran {
        let program = ["/c", r"C:\installed\gofleet.exe", "env"];
        Ran::of(self.command("cmd").args(program).args(words))
    }

    #[track_caller]
    fn ok<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Value {
        let words = words.into_iter().chain(["--json"]);
        let ran = self.gofleet(words);
        assert_eq!(ran.code, Some(0), "{ran}");
        ran.json()
    }

    /// It must fail, and say all of this.
    #[track_caller]
    fn refused<'a>(&self, words: impl IntoIterator<Item = &'a str>, says: &[&str]) {
        let ran = self.gofleet(words);
        assert_eq!(ran.code, Some(1), "{ran}");
        for part in says {
            assert!(ran.stderr.contains(part), "no `{part}` in {ran}");
        }
    }

    #[track_caller]
    fn reg(&self, words: &[&str]) -> String {
        let ran = Ran::of(self.command("reg").args(words));
        assert_eq!(ran.code, Some(0), "{ran}");
        ran.stdout
    }

    /// Sets a value with any type and characters, as `reg.exe import` does it.
    #[track_caller]
    fn seed(&self, key: &str, name: &str, kind: u32, text: &str) {
        let bytes = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes);
        let hex: Vec<_> = bytes.map(|byte| format!("{byte:02x}")).collect();
        let hex = hex.join(",");
        let file = format!(
            "Windows Registry Editor Version 5.00\r\n\r\n[{key}]\r\n\"{name}\"=hex({kind}):{hex}\r\n"
        );
        let units = [0xfeff].into_iter().chain(file.encode_utf16());
        let file: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
        fs::write(self.0.drive("seed.reg"), file).unwrap();
        self.reg(&["import", r"C:\seed.reg"]);
    }

    /// All that is in both keys.
    #[track_caller]
    fn export(&self) -> String {
        let mut text = String::new();
        for key in [MACHINE, USER] {
            self.reg(&["export", key, r"C:\export.reg", "/y"]);
            let bytes = fs::read(self.0.drive("export.reg")).unwrap();
            let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
            text += &String::from_utf16(&units.collect::<Vec<_>>()).unwrap();
        }
        text
    }

    /// Type and text of a value as gofleet itself shows it.
    #[track_caller]
    fn shown(&self, scope: usize) -> (String, String) {
        let shown = self.ok(["show"])["scopes"][scope].clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&shown["path_type"]), text(&shown["path"]["text"]))
    }

    /// The codes of what `doctor` finds, and its exit code.
    fn findings(&self) -> (Vec<String>, Option<i32>) {
        let ran = self.gofleet(["doctor", "--json"]);
        let found = ran.json()["findings"].as_array().unwrap().clone();
        let codes = found.iter().map(|it| it["code"].as_str().unwrap().to_owned()).collect();
        (codes, ran.code)
    }

    /// Runs a verb up to a checkpoint, and kills it there.
    #[track_caller]
    fn kill_at<'a>(&self, point: &str, words: impl IntoIterator<Item = &'a str>) {
        let reached: PathBuf = self.0.drive("reached");
        let _ = fs::remove_file(&reached);
        let mut command = self.command(r"C:\installed\gofleet.exe");
        command.arg("env").args(words).env("GOFLEET_CHECKPOINT", format!(r"{point}=C:\reached"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        wait_until(point, DEADLINE, || reached.exists().then_some(()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
#[ignore = "needs Wine: cargo xtask test --suite windows"]
fn path_is_edited_by_entries_seen_by_new_programs_and_put_back_exactly() {
    let windows = Windows::new("env-path");
    let user = r#"%SystemRoot%\system32;;C:/TOOLS/;"C:\Jörg\bin";C:\Go\bin;"#;
    windows.seed(USER, "PATH", EXPAND_SZ, user);
    let before = windows.export();

    let dry = windows.ok(["apply", "--dry-run"]);
    assert_eq!((windows.export(), &dry["is_done"]), (before.clone(), &Value::Bool(false)));
    windows.ok(["apply"]);
    let edited = r#"%SystemRoot%\system32;;C:/TOOLS/;"C:\Jörg\bin";C:\gofleet\bin;C:\Go\bin;"#;
    assert_eq!(windows.shown(1), ("REG_EXPAND_SZ".to_owned(), edited.to_owned()));
    let queried = windows.reg(&["query", USER, "/v", "Path"]);
    assert!(queried.contains("REG_EXPAND_SZ"), "{queried}");
    assert!(queried.contains(r"C:\gofleet\bin;C:\Go\bin;"), "{queried}");
    // A new program has it, its variables expanded.
    let echo = Ran::of(windows.command("cmd").args(["/c", "echo", "%PATH%"])).stdout;
    assert!(echo.contains(r"C:\gofleet\bin;C:\Go\bin"), "{echo}");

    let after = windows.export();
    assert_eq!(windows.ok(["apply"])["changes"], Value::Array(Vec::new()));
    assert_eq!(windows.export(), after);
    windows.ok(["undo"]);
    assert_eq!(windows.export(), before);
    assert_eq!(windows.ok(["undo"])["changes"], Value::Array(Vec::new()));
}

#[test]
#[ignore = "needs Wine: cargo xtask test --suite windows"]
fn the_machines_path_and_one_that_was_not_set_are_edited_too() {
    let windows = Windows::new("env-scopes");
    windows.seed(MACHINE, "Path", SZ, r"C:\windows\system32;C:\Go\bin;C:\windows");
    let before = windows.export();
    assert_eq!(windows.findings(), (vec!["path_lacks_bin".to_owned()], Some(3)));

    windows.ok(["apply"]);
    assert_eq!(windows.shown(1), ("REG_EXPAND_SZ".to_owned(), r"C:\gofleet\bin".to_owned()));
    // A user's entries come behind the machine's, so this takes an administrator.
    assert_eq!(windows.findings(), (vec!["another_go_is_ahead".to_owned()], Some(3)));
    windows.ok(["apply", "--scope", "machine"]);
    let edited = r"C:\windows\system32;C:\gofleet\bin;C:\Go\bin;C:\windows";
    assert_eq!(windows.shown(0), ("REG_SZ".to_owned(), edited.to_owned()));
    assert_eq!(windows.findings(), (vec!["duplicate".to_owned()], Some(0)));

    windows.ok(["undo", "--scope", "machine"]);
    windows.ok(["undo"]);
    assert_eq!(windows.export(), before);

    let mut unnamed = windows.command("cmd");
    unnamed.args(["/c", r"C:\installed\gofleet.exe", "env", "apply", "--scope", "machine"]);
    unnamed.env_remove("GOFLEET_ROOT");
    let ran = Ran::of(&mut unnamed);
    assert!(ran.code == Some(2) && ran.stderr.contains("--root"), "{ran}");
}

#[test]
#[ignore = "needs Wine: cargo xtask test --suite windows"]
fn a_path_of_5000_characters_is_refused_with_the_arithmetic_or_edited_exactly() {
    let windows = Windows::new("env-long");
    let entries: Vec<_> = (0..100).map(|n| format!(r"C:\tools\Ωmega\{n:034}")).collect();
    let long = entries.join(";") + ";";
    assert_eq!(long.encode_utf16().count(), 5000);
    windows.seed(USER, "Path", EXPAND_SZ, &long);
    let before = windows.export();
    let arithmetic = "5,000 characters + 15 = 5,015, 2,968 more than 2,047";
    windows.refused(["apply"], &[arithmetic, "--remove-dead removes 100", "--allow-long"]);
    assert_eq!(windows.export(), before);

    windows.ok(["apply", "--allow-long"]);
    assert_eq!(windows.shown(1).1, format!(r"{long}C:\gofleet\bin;"));
    windows.ok(["undo"]);
    assert_eq!(windows.export(), before);
    windows.ok(["apply", "--mend", "--remove-dead"]);
    assert_eq!(windows.shown(1).1, r"C:\gofleet\bin;");
    windows.ok(["undo"]);
    assert_eq!(windows.export(), before);

    windows.seed(USER, "Path", EXPAND_SZ, &format!("{long}{}", "x".repeat(3160)));
    windows.refused(["apply", "--allow-long"], &["the whole PATH", "more than 8,191"]);
}

#[test]
#[ignore = "needs Wine: cargo xtask test --suite windows"]
fn what_is_dead_or_double_is_mended_on_request_and_put_back() {
    let windows = Windows::new("env-mend");
    let path = r"C:\Jörg\go1.20\bin;C:\tools;c:/TOOLS/;C:\gone;%GOROOT%\bin";
    windows.seed(USER, "Path", EXPAND_SZ, path);
    windows.seed(USER, "GOROOT", SZ, r"C:\Go");
    let before = windows.export();
    let codes = ["path_lacks_bin", "dead_go", "duplicate", "dead_folder", "goroot_is_set"];
    assert_eq!(windows.findings(), (codes.map(str::to_owned).to_vec(), Some(3)));

    windows.ok(["apply", "--mend"]);
    assert_eq!(windows.shown(1).1, r"C:\tools;C:\gone;C:\gofleet\bin");
    assert!(!windows.export().contains("GOROOT"));
    assert_eq!(windows.findings(), (vec!["dead_folder".to_owned()], Some(0)));
    windows.ok(["undo"]);
    assert_eq!(windows.export(), before);
}

#[test]
#[ignore = "needs Wine: cargo xtask test --suite windows"]
fn what_another_program_changed_since_is_not_undone_unless_forced() {
    let windows = Windows::new("env-conflict");
    windows.seed(USER, "Path", EXPAND_SZ, r"C:\tools");
    let before = windows.export();
    windows.ok(["apply"]);
    let theirs = r"C:\tools;C:\gofleet\bin;C:\theirs";
    windows.reg(&["add", USER, "/v", "Path", "/t", "REG_SZ", "/d", theirs, "/f"]);
    let changed = windows.export();
    windows.refused(["undo"], &["another program has changed", r"+ C:\theirs", "--force"]);
    assert_eq!(windows.export(), changed);
    windows.ok(["undo", "--force"]);
    assert_eq!(windows.export(), before);
    let multi = r"C:\a\0C:\b";
    windows.reg(&["add", USER, "/v", "Path", "/t", "REG_MULTI_SZ", "/d", multi, "/f"]);
    windows.refused(["apply"], &["Path of the user is left alone", "registry type is 7"]);
}

#[test]
#[ignore = "needs Wine: cargo xtask test --suite windows"]
fn killed_at_any_point_the_old_or_the_new_value_is_there_and_the_next_start_is_clean() {
    let windows = Windows::new("env-kill");
    windows.seed(USER, "Path", EXPAND_SZ, r"C:\tools;C:\Jörg\go1.20\bin");
    windows.seed(USER, "GOROOT", SZ, r"C:\Go");
    let old = windows.export();
    windows.ok(["apply", "--mend"]);
    let new = windows.export();
    windows.ok(["undo"]);
    let points = checkpoint::ALL.iter().map(|(name, _)| *name);
    for point in points.filter(|name| name.starts_with("environment-")) {
        let is_undo = point == "environment-restored";
        if is_undo {
            windows.ok(["apply", "--mend"]);
            windows.kill_at(point, ["undo"]);
        } else {
            windows.kill_at(point, ["apply", "--mend"]);
        }
        let journaled = windows.export();
        match point {
            "environment-journaled" => assert_eq!(journaled, old),
            _ => assert!(journaled != old && journaled != new, "one of two values: {point}"),
        }
        let path = windows.shown(1).1;
        let whole = [r"C:\tools;C:\Jörg\go1.20\bin", r"C:\tools;C:\gofleet\bin"];
        assert!(whole.contains(&path.as_str()), "{path} at {point}");
        // Going on ends in the new values, and taking back, as often as was applied, in the old.
        windows.ok(["apply", "--mend"]);
        assert_eq!(windows.export(), new, "{point}");
        while !windows.ok(["undo"])["changes"].as_array().unwrap().is_empty() {}
        assert_eq!(windows.export(), old, "{point}");
    }
}
