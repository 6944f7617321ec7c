//! `gofleet env` on Unix: a marked block in the files that shells read, and the way back.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use gofleet_platform::checkpoint;
use gofleet_testkit::fleet::Ran;
use gofleet_testkit::wait_until;
use serde_json::{Value, json};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gofleet");
const PROFILE: &[u8] = b"umask 022\n# caf\xe9\nexport EDITOR=vi";
const DEADLINE: Duration = Duration::from_secs(60);

/// A user with a home of their own; its name and the root's are what quoting must stand.
struct User(TempDir);

impl User {
    fn new() -> Self {
        let user = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(user.path("home")).unwrap();
        fs::create_dir_all(user.path("root/O'Zoë/bin")).unwrap();
        user
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", self.path("home")).env("PATH", "/usr/bin:/bin");
        command.env("NO_COLOR", "1").env("GOFLEET_ROOT", self.path("root/O'Zoë"));
        command
    }

    fn run<const N: usize>(&self, words: [&str; N]) -> Ran {
        Ran::of(self.command(PROGRAM).arg("env").args(words))
    }

    #[track_caller]
    fn ok<const N: usize>(&self, words: [&str; N]) -> Value {
        let ran = Ran::of(self.command(PROGRAM).arg("env").args(words).arg("--json"));
        assert_eq!(ran.code, Some(0), "{ran}");
        ran.json()
    }

    fn profile(&self) -> Vec<u8> {
        fs::read(self.path("home/.profile")).unwrap()
    }

    /// What a shell has after reading the profile twice, as a shell within a shell does.
    #[track_caller]
    fn shell(&self, prints: &str) -> String {
        let script = format!(". ~/.profile; . ~/.profile; printf %s \"{prints}\"");
        Ran::of(self.command("/bin/sh").args(["-c", &script])).stdout
    }
}

#[test]
fn a_shell_finds_gofleet_first_and_undo_puts_the_file_back() {
    let user = User::new();
    fs::write(user.path("home/.profile"), PROFILE).unwrap();
    fs::write(user.path("home/.zprofile"), "").unwrap();
    let dry = user.ok(["apply", "--dry-run"]);
    assert_eq!((dry["changes"].as_array().unwrap().len(), user.profile()), (2, PROFILE.to_vec()));
    user.ok(["apply"]);
    let bin = user.path("root/O'Zoë/bin");
    assert_eq!(user.shell("$PATH"), format!("{}:/usr/bin:/bin", bin.display()));
    assert!(user.profile().starts_with(PROFILE));
    let after = user.profile();
    assert_eq!((user.ok(["apply"])["changes"].clone(), user.profile()), (json!([]), after));
    user.ok(["undo"]);
    assert_eq!(user.profile(), PROFILE);
    assert_eq!(fs::read(user.path("home/.zprofile")).unwrap(), b"");
    assert_eq!(user.ok(["undo"])["changes"], json!([]));
}

#[test]
fn a_file_that_was_not_there_is_gone_again_and_goroot_is_unset_on_request() {
    let user = User::new();
    user.ok(["apply", "--mend"]);
    let shown = Ran::of(
        user.command("/bin/sh")
            .env("GOROOT", "/old")
            .args(["-c", ". ~/.profile; echo \"${GOROOT-none}\""]),
    );
    assert_eq!(shown.stdout, "none\n");
    user.ok(["undo"]);
    assert!(!user.path("home/.profile").exists());
}

#[test]
fn what_another_changed_since_is_not_undone_unless_forced() {
    let user = User::new();
    fs::write(user.path("home/.profile"), PROFILE).unwrap();
    user.ok(["apply"]);
    let theirs = [user.profile(), b"export THEIRS=1\n".to_vec()].concat();
    fs::write(user.path("home/.profile"), &theirs).unwrap();
    let refused = user.run(["undo"]);
    assert_eq!(refused.code, Some(1), "{refused}");
    for part in ["another program has changed", "+ export THEIRS=1", "hint: ", "--force"] {
        assert!(refused.stderr.contains(part), "no `{part}` in {refused}");
    }
    assert_eq!(user.profile(), theirs);
    user.ok(["undo", "--force"]);
    assert_eq!(user.profile(), PROFILE);
}

#[test]
fn killed_at_any_point_the_old_or_the_new_file_is_there_and_the_next_start_is_clean() {
    let user = User::new();
    let profile = user.path("home/.profile");
    fs::write(&profile, PROFILE).unwrap();
    user.ok(["apply"]);
    let new = user.profile();
    user.ok(["undo"]);
    let points = checkpoint::ALL.iter().map(|(name, _)| *name);
    for point in points.filter(|name| name.starts_with("environment-")) {
        let is_undo = point == "environment-restored";
        if is_undo {
            user.ok(["apply"]);
        }
        let reached = user.path(point);
        let mut command = user.command(PROGRAM);
        command.args(["env", if is_undo { "undo" } else { "apply" }]);
        command.env("GOFLEET_CHECKPOINT", format!("{point}={}", reached.display()));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until(point, DEADLINE, || reached.exists().then_some(()));
        child.kill().unwrap();
        child.wait().unwrap();
        let expect = if point == "environment-changed" { &new[..] } else { PROFILE };
        assert_eq!(user.profile(), expect, "{point}");
        user.ok(["apply"]);
        assert_eq!(user.profile(), new, "{point}");
        user.ok(["undo"]);
        assert_eq!(user.profile(), PROFILE, "{point}");
        assert_eq!(user.ok(["undo"])["changes"], json!([]), "{point}");
    }
}

#[test]
fn doctor_and_show_tell_what_this_process_has() {
    let user = User::new();
    let bin = user.path("root/O'Zoë/bin").display().to_string();
    for folder in ["old/go1.20", "other"] {
        fs::create_dir_all(user.path(folder)).unwrap();
    }
    for program in [format!("{bin}/go"), user.path("other/go").display().to_string()] {
        fs::write(program, "").unwrap();
    }
    let check = |path: &str, codes: &[&str], code: i32| {
        let path = path.replace('@', &user.0.path().display().to_string());
        let mut command = user.command(PROGRAM);
        let ran = Ran::of(command.args(["env", "doctor", "--json"]).env("PATH", &path));
        let found = ran.json()["findings"].as_array().unwrap().clone();
        let found: Vec<_> = found.iter().map(|it| it["code"].as_str().unwrap()).collect();
        assert_eq!((found, ran.code), (codes.to_vec(), Some(code)), "{path}");
    };
    check(&format!("{bin}::/usr/bin"), &[], 0);
    check("/usr/bin", &["path_lacks_bin"], 3);
    check(&format!("@/other:{bin}"), &["another_go_is_ahead"], 3);
    check(&format!("{bin}:@/old/go1.20/bin:@/gone"), &["dead_go", "dead_folder"], 0);
    check(&format!("{bin}:/usr/bin:/usr/bin/"), &["duplicate"], 0);
    let shown = user.ok(["show"]);
    assert_eq!(shown["scopes"][0]["entries"][0]["entry"], "/usr/bin");
}

#[test]
fn without_the_rights_of_root_the_way_out_is_told_and_nothing_is_kept() {
    let is_root =
        fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0);
    let user = User::new();
    let mut command = if is_root {
        // The rights of nobody, in folders that are nobody's and with a program that it can reach.
        let program = user.path("gofleet");
        fs::copy(PROGRAM, &program).unwrap();
        for path in ["", "home", "root", "root/O'Zoë", "root/O'Zoë/bin"] {
            fs::set_permissions(user.path(path), fs::Permissions::from_mode(0o777)).unwrap();
        }
        let mut command = user.command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
        command
    } else {
        user.command(PROGRAM)
    };
    let ran = Ran::of(command.args(["env", "apply", "--scope", "machine"]));
    assert_eq!(ran.code, Some(1), "{ran}");
    for part in ["/etc/profile.d/gofleet.sh can't be changed", "as root", "--scope user"] {
        assert!(ran.stderr.contains(part), "no `{part}` in {ran}");
    }
    assert!(!user.path("root/O'Zoë/environment/machine.json").exists());
}
