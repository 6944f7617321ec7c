//! The shims as programs, in front of real Go and of scripts that tell how they were called.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use gofleet_testkit::go;
use tempfile::TempDir;

/// A root with shims, and a home of its own.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["root/bin", "root/releases", "home", "work"] {
            fs::create_dir_all(bench.path(folder)).unwrap();
        }
        for name in ["go", "gofmt"] {
            let shim = env!("CARGO_BIN_EXE_gofleet-shim");
            fs::copy(shim, bench.path("root/bin").join(name)).unwrap();
        }
        bench
    }

    /// A bench where this script stands as Go 1.27.3, and is the machine's choice.
    fn with_script(script: &str) -> Self {
        let bench = Self::new();
        bench.install_script("1.27.3", script);
        bench.activate("1.27.3");
        bench
    }

    /// A bench with two real releases of Go; the older one is the machine's choice.
    fn with_real_go() -> Self {
        let bench = Self::new();
        for version in ["1.27.2", "1.27.3"] {
            symlink(go::tree(version, go::HOST), bench.tree(version)).unwrap();
        }
        bench.activate("1.27.2");
        bench
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn tree(&self, version: &str) -> PathBuf {
        self.path("root/releases").join(format!("go-{version}-{}", go::HOST))
    }

    fn install_script(&self, version: &str, script: &str) {
        let bin = self.tree(version).join("bin");
        fs::create_dir_all(&bin).unwrap();
        for name in ["go", "gofmt"] {
            fs::write(bin.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    fn activate(&self, version: &str) {
        let active = format!(r#"{{"active":"go-{version}-{}","fallback":null}}"#, go::HOST);
        fs::write(self.path("root/active.json"), active).unwrap();
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path("work").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A shim in an environment of its own.
    fn command(&self, tool: &str) -> Command {
        self.command_of(&self.path("root/bin").join(tool))
    }

    fn command_of(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", self.path("home")).env("PATH", "/usr/bin:/bin");
        command.env("GOTELEMETRY", "off").env("GOCACHE", self.path("home/cache"));
        command.current_dir(self.path("work"));
        command
    }

    fn go(&self, arguments: &[&str]) -> Output {
        self.command("go").args(arguments).output().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The exit code and what was written to standard error.
#[track_caller]
fn check_failure(output: &Output, code: i32, message: &str) {
    assert_eq!(text(&output.stderr), message);
    assert_eq!(output.status.code(), Some(code));
    assert!(output.stdout.is_empty());
}

#[test]
fn real_go_runs_in_the_version_of_the_folder() {
    let bench = Bench::with_real_go();
    let check = |arguments: &[&str], version: &str| {
        let output = bench.go(arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let said = text(&output.stdout);
        assert!(said.starts_with(&format!("go version go{version} ")), "{said}");
    };
    check(&["version"], "1.27.2");
    bench.write("module/go.mod", "module m\n\ngo 1.27.3\n");
    check(&["-C", "module", "version"], "1.27.3");
    check(&["version", "-C=module"], "1.27.3");
    bench.write(".go-version", "1.27.3\n");
    check(&["version"], "1.27.3");
    let output = bench.command("go").env("GOFLEET_VERSION", "1.27.2").arg("version").output();
    assert!(text(&output.unwrap().stdout).starts_with("go version go1.27.2 "));
}

#[test]
fn real_go_and_the_shim_end_alike() {
    let bench = Bench::with_real_go();
    let check = |arguments: &[&str]| {
        let ours = bench.go(arguments);
        let mut direct = bench.command_of(&bench.tree("1.27.2").join("bin/go"));
        direct.env("GOTOOLCHAIN", "local");
        let theirs = direct.args(arguments).output().unwrap();
        assert_eq!(ours.status, theirs.status, "{arguments:?}");
        assert_eq!(text(&ours.stdout), text(&theirs.stdout), "{arguments:?}");
        assert_eq!(text(&ours.stderr), text(&theirs.stderr), "{arguments:?}");
    };
    check(&["version"]);
    check(&["env", "GOROOT", "GOTOOLCHAIN"]);
    check(&["no-such-verb"]);
    check(&["build", "./no-such-package"]);
    check(&["-C", "no-such-folder", "version"]);
    check(&[]);
}

#[test]
fn standard_streams_pass_through_gofmt() {
    let bench = Bench::with_real_go();
    let mut gofmt = bench.command("gofmt");
    let mut child = gofmt.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"package  x\nvar  a=1\n").unwrap();
    assert_eq!(text(&child.wait_with_output().unwrap().stdout), "package x\n\nvar a = 1\n");
}

#[test]
fn arguments_arrive_as_they_were_given() {
    let bench = Bench::with_script(r#"printf '<%s>' "$@""#);
    let arguments = ["a b", "", "\"quoted\"", "it's", "back\\slash\\", "täst 日本", "*", "-x=1\n2"];
    let expect: String = arguments.iter().map(|argument| format!("<{argument}>")).collect();
    assert_eq!(text(&bench.go(&arguments).stdout), expect);
}

#[test]
fn exit_codes_and_signals_are_those_of_go() {
    for code in [0, 1, 2, 42, 255] {
        let bench = Bench::with_script(&format!("exit {code}"));
        assert_eq!(bench.go(&[]).status.code(), Some(code));
    }
    let bench = Bench::with_script("kill -KILL $$");
    assert_eq!(bench.go(&[]).status.signal(), Some(9));
}

/// The process that was started *is* Go in the end, so that Ctrl-C reaches it and nothing else.
#[test]
fn an_interrupt_reaches_go_itself() {
    let bench = Bench::with_script("trap 'echo interrupted; exit 42' INT\necho $$\nread forever");
    let mut command = bench.command("go");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut pid = String::new();
    stdout.read_line(&mut pid).unwrap();
    assert_eq!(pid.trim(), child.id().to_string(), "one process deep");
    assert!(Command::new("kill").args(["-INT", pid.trim()]).status().unwrap().success());
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "interrupted\n");
    assert_eq!(child.wait().unwrap().code(), Some(42));
}

#[test]
fn go_is_told_not_to_switch_and_forgets_another_goroot() {
    let bench = Bench::with_script(r#"echo "$GOTOOLCHAIN|$GOROOT|$KEPT""#);
    let check = |toolchain: Option<&str>, expect: &str| {
        let mut command = bench.command("go");
        command.env("GOROOT", "/usr/local/go").env("KEPT", "kept");
        if let Some(toolchain) = toolchain {
            command.env("GOTOOLCHAIN", toolchain);
        }
        assert_eq!(text(&command.output().unwrap().stdout), format!("{expect}\n"));
    };
    check(None, "local||kept");
    check(Some("auto"), "auto||kept");
    check(Some("go1.99.9"), "go1.99.9||kept");
    bench.write(".go-version", "1.27");
    check(Some("auto"), "local||kept");
}

#[test]
fn a_shim_within_a_shim_decides_anew() {
    let bench = Bench::with_script(
        r#"echo "outer $GOTOOLCHAIN"; cd inner && exec "$OLDPWD/../root/bin/go""#,
    );
    bench.install_script("1.26.6", r#"echo "inner $GOTOOLCHAIN""#);
    bench.write("inner/go.mod", "go 1.27.3\n");
    bench.write("inner/.go-version", "1.26.6\n");
    assert_eq!(text(&bench.go(&[]).stdout), "outer local\ninner local\n");
    let output = bench.command("go").env("GOTOOLCHAIN", "path").output().unwrap();
    assert_eq!(text(&output.stdout), "outer path\ninner local\n");
}

#[test]
fn shims_that_find_only_shims_stop() {
    let bench = Bench::new();
    bench.install_script("1.27.3", "");
    bench.activate("1.27.3");
    let program = bench.tree("1.27.3").join("bin/go");
    fs::copy(bench.path("root/bin/go"), program).unwrap();
    let output = bench.command("go").env("GOFLEET_ROOT", bench.path("root")).output().unwrap();
    check_failure(
        &output,
        126,
        "gofleet: the shim was started 50 times within itself: what lies where Go should is a \
         shim\nhint: run `gofleet doctor`\n",
    );
}

#[test]
fn nothing_to_run_is_said_with_advice() {
    let bench = Bench::new();
    check_failure(
        &bench.go(&["version"]),
        127,
        "gofleet: no Go is installed\nhint: run `gofleet install VERSION`, like `gofleet install \
         1.27.3`\n",
    );
    bench.install_script("1.27.3", "echo never");
    check_failure(
        &bench.go(&["version"]),
        127,
        "gofleet: no version of Go has been chosen\nhint: run `gofleet use 1.27.3`\n",
    );
    bench.activate("1.27.3");
    bench.write("go.mod", "module m\ngo 1.99.0\n");
    check_failure(
        &bench.go(&["build"]),
        127,
        "gofleet: Go 1.99.0 is not installed, but go.mod wants it\nhint: run `gofleet install \
         1.99.0`, or set GOFLEET_VERSION to a version that is installed\n",
    );
    bench.write("go.mod", "toolchain nonsense\n");
    check_failure(&bench.go(&[]), 1, "go: invalid toolchain \"nonsense\" in go.mod\n");
    fs::write(bench.path("root/active.json"), "{").unwrap();
    let output = bench.go(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("active.json can't be read: EOF"));
}

#[test]
fn a_go_that_does_not_start_is_named() {
    let bench = Bench::with_script("");
    fs::remove_file(bench.tree("1.27.3").join("bin/go")).unwrap();
    let output = bench.go(&[]);
    assert_eq!(output.status.code(), Some(126));
    assert!(text(&output.stderr).contains("/bin/go can't be started: No such file"));
}

#[test]
fn the_users_choice_counts_for_its_root_only() {
    let bench = Bench::with_script("echo machine");
    bench.install_script("1.26.6", "echo user");
    let choose = |root: &Path| {
        let folder = bench.path("home/.config/gofleet");
        fs::create_dir_all(&folder).unwrap();
        let choices = format!("{{{:?}: \"1.26.6\"}}", root.canonicalize().unwrap());
        fs::write(folder.join("choices.json"), choices).unwrap();
    };
    choose(&bench.path("work"));
    assert_eq!(text(&bench.go(&[]).stdout), "machine\n");
    choose(&bench.path("root"));
    assert_eq!(text(&bench.go(&[]).stdout), "user\n");
    let output = bench.command("go").env("GOFLEET_VERSION", "machine").output().unwrap();
    assert_eq!(text(&output.stdout), "machine\n");
}

#[test]
fn links_to_a_shim_and_other_names_work() {
    let bench = Bench::with_script("echo run");
    symlink(bench.path("root/bin/go"), bench.path("work/go")).unwrap();
    let output = bench.command_of(&bench.path("work/go")).output().unwrap();
    assert_eq!(text(&output.stdout), "run\n");
    let lost = Command::new(env!("CARGO_BIN_EXE_gofleet-shim")).output().unwrap();
    assert_eq!(lost.status.code(), Some(2));
}

#[test]
fn a_way_through_a_link_is_searched_as_go_does() {
    let bench = Bench::with_script("echo machine");
    bench.install_script("1.26.6", "echo pinned");
    bench.write("project/.go-version", "1.26.6");
    fs::create_dir_all(bench.path("elsewhere")).unwrap();
    let link = bench.path("work/project/link");
    symlink(bench.path("elsewhere"), &link).unwrap();
    let run = |pwd: &Path| {
        let mut command = bench.command("go");
        text(&command.current_dir(&link).env("PWD", pwd).output().unwrap().stdout)
    };
    assert_eq!(run(&link), "pinned\n");
    assert_eq!(run(&bench.path("work")), "machine\n", "a PWD that is not the current folder");
}

#[test]
fn a_pipe_in_place_of_a_file_does_not_stop_anything() {
    let bench = Bench::with_script("echo run");
    let pipe = bench.path("work/.go-version");
    assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    assert_eq!(text(&bench.go(&[]).stdout), "run\n");
}
