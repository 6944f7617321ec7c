//! The verbs for the machine that one sits at, without any server.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod inventory;

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;

use gofleet_core::digest::Digest;
use gofleet_testkit::fleet::Ran;
use gofleet_testkit::{archive, go};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A user with a home and a root, in an environment of their own.
struct User {
    folder: TempDir,
}

impl User {
    fn new() -> Self {
        let user = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir_all(user.path("home")).unwrap();
        fs::create_dir_all(user.path("work")).unwrap();
        user
    }

    /// A user with Go in miniature of these versions; the first is the machine's choice.
    fn with(versions: &[&str]) -> Self {
        let user = Self::new();
        for version in versions {
            user.ok(["install", "--from", &user.small(version)]);
        }
        user
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// An archive of a Go in miniature.
    fn small(&self, version: &str) -> String {
        let path = self.path(&format!("go{version}.tar.gz"));
        fs::write(&path, archive::tar_gz(&archive::small_go(version))).unwrap();
        path.display().to_string()
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env_clear().env("HOME", self.path("home")).env("NO_COLOR", "1");
        command.env("PATH", self.search_path()).env("GOFLEET_ROOT", self.path("root"));
        command.env("GOTELEMETRY", "off").current_dir(self.path("work"));
        command
    }

    /// The shims come first.
    fn search_path(&self) -> String {
        format!("{}:/usr/bin:/bin", self.path("root/bin").display())
    }

    fn run<const N: usize>(&self, arguments: [&str; N]) -> Ran {
        Ran::of(self.command(env!("CARGO_BIN_EXE_gofleet")).args(arguments))
    }

    #[track_caller]
    fn ok<const N: usize>(&self, arguments: [&str; N]) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{ran}");
        ran
    }

    #[track_caller]
    fn json<const N: usize>(&self, arguments: [&str; N]) -> Value {
        let mut command = self.command(env!("CARGO_BIN_EXE_gofleet"));
        Ran::of(command.args(arguments).arg("--json")).json()
    }

    /// It must fail with this code, and say all of this.
    #[track_caller]
    fn refused<const N: usize>(&self, arguments: [&str; N], code: i32, says: &[&str]) {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(code), "{ran}");
        for part in says {
            assert!(ran.stderr.contains(part), "no `{part}` in {ran}");
        }
    }

    /// The codes of what `doctor` finds.
    fn findings(&self) -> Vec<String> {
        let found = self.json(["doctor"])["findings"].as_array().unwrap().clone();
        found.iter().map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
    }

    /// Path, size and time of each file in the root.
    fn snapshot(&self) -> Vec<String> {
        let listing = Command::new("find")
            .arg(self.path("root"))
            .args(["-type", "f", "-printf", "%p %s %T@\n"])
            .output()
            .unwrap();
        let mut lines: Vec<_> =
            String::from_utf8(listing.stdout).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

/// A download mirror of these archives: their versions and bytes.
struct Mirror {
    address: String,
}

impl Mirror {
    fn start(archives: &[(&str, Vec<u8>)]) -> Self {
        let (os, arch) = go::HOST.split_once('-').unwrap();
        let mut files = HashMap::new();
        let mut releases = Vec::new();
        for (version, content) in archives {
            let name = format!("go{version}.{os}-{arch}.tar.gz");
            releases.push(json!({
                "version": format!("go{version}"),
                "stable": true,
                "files": [{
                    "filename": name, "os": os, "arch": arch, "kind": "archive",
                    "sha256": Digest::of(content), "size": content.len(),
                }],
            }));
            files.insert(format!("/{name}"), content.clone());
        }
        let listing = serde_json::to_vec(&releases).unwrap();
        files.insert("/?mode=json&include=all".to_owned(), listing);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let files = Arc::new(files);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let files = Arc::clone(&files);
                thread::spawn(move || answer(&stream.unwrap(), &files));
            }
        });
        Self { address }
    }
}

/// Answers one request.
fn answer(mut stream: &TcpStream, files: &HashMap<String, Vec<u8>>) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    while lines.next().is_some_and(|line| !line.is_empty()) {}
    let found = request.split(' ').nth(1).and_then(|path| files.get(path));
    let status = if found.is_some() { "200 OK" } else { "404 Not Found" };
    let content = found.map(Vec::as_slice).unwrap_or_default();
    let length = content.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(content));
}

#[test]
fn real_go_from_archive_to_shim_and_away_again() {
    let user = User::new();
    let archive = |version| go::archive(version, go::HOST).display().to_string();
    let installed = user.json(["install", "1.27.2", "--from", &archive("1.27.2")]);
    assert_eq!(installed["version"], "1.27.2");
    assert_eq!(installed["is_active"], true);
    assert_eq!(installed["is_on_path"], true);
    assert_eq!(installed["was_there"], false);
    assert!(installed["files"].as_u64().unwrap() > 10_000, "{installed}");

    let before = user.snapshot();
    assert_eq!(user.json(["install", "1.27.2"])["was_there"], true, "needs no network");
    assert_eq!(
        user.json(["install", "1.27", "--from", &archive("1.27.2")])["was_there"],
        true,
        "the archive again"
    );
    assert_eq!(user.snapshot(), before, "the second time changes nothing");

    user.ok(["install", "--from", &archive("1.27.3")]);
    let version = || Ran::of(user.command(user.path("root/bin/go")).arg("version")).stdout;
    assert!(version().starts_with("go version go1.27.2 "));
    user.ok(["use", "1.27.3"]);
    assert!(version().starts_with("go version go1.27.3 "));
    let executed = user.ok(["exec", "1.27.2", "--", "sh", "-c", "go version; go env GOTOOLCHAIN"]);
    assert!(executed.stdout.starts_with("go version go1.27.2 "), "{executed}");
    assert!(executed.stdout.ends_with("local\n"), "{executed}");
    assert_eq!(user.findings(), [""; 0]);

    user.refused(["uninstall", "1.27.3"], 1, &["it is your choice", "gofleet use"]);
    user.refused(["uninstall", "1.27.2"], 1, &["it is active", "--machine"]);
    user.ok(["use", "--forget"]);
    let removed = user.json(["uninstall", "1.27.3", "--dry-run"]);
    assert_eq!(removed["is_removed"], false);
    // The programs differ from those of 1.27.2, all else is shared.
    assert!(removed["bytes"].as_u64().unwrap() > 50_000_000);
    assert_eq!(user.json(["list"]).as_array().unwrap().len(), 2);
    user.ok(["uninstall", "1.27.3"]);
    assert_eq!(user.json(["list"]).as_array().unwrap().len(), 1);
    assert!(version().starts_with("go version go1.27.2 "));
}

#[test]
fn the_program_itself_is_a_shim_by_name() {
    let user = User::new();
    let archive = go::archive("1.27.3", go::HOST).display().to_string();
    user.ok(["install", "--from", &archive]);
    let go = user.path("work/go");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_gofleet"), &go).unwrap();
    let ran = Ran::of(user.command(go).arg("version"));
    assert!(ran.stdout.starts_with("go version go1.27.3 "), "{ran}");
}

#[test]
fn a_mirror_gives_versions_lines_and_the_latest() {
    let small = |version| archive::tar_gz(&archive::small_go(version));
    let mirror = Mirror::start(&["1.26.6", "1.27.3", "1.27.10"].map(|v| (v, small(v))));
    let user = User::new();
    let install = |version: &str| {
        let installed = user.json(["install", version, "--mirror", &mirror.address]);
        installed["version"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(install("1.26"), "1.26.6");
    assert_eq!(install("go1.27.3"), "1.27.3");
    assert_eq!(install("latest"), "1.27.10");
    user.refused(
        ["install", "1.27.4", "--mirror", &mirror.address],
        1,
        &["lists no archive of Go 1.27.4", "?mode=json"],
    );
    user.refused(["install", "1.27.4", "--mirror", "http://127.0.0.1:9"], 1, &["can't be had"]);
    let mut offline = user.command(env!("CARGO_BIN_EXE_gofleet"));
    offline.env("GOFLEET_MIRROR", "http://127.0.0.1:9").args(["install", "1.27.3"]);
    let ran = Ran::of(&mut offline);
    assert_eq!(ran.code, Some(0), "what is installed needs no mirror: {ran}");
}

#[test]
fn archives_that_are_not_what_was_asked_for_are_refused() {
    let user = User::new();
    let small = user.small("1.27.3");
    user.refused(
        ["install", "1.26", "--from", &small],
        1,
        &["holds Go 1.27.3, but 1.26 is wanted", "leave 1.26 out"],
    );
    let digest = "0".repeat(64);
    user.refused(
        ["install", "--from", &small, "--sha256", &digest],
        1,
        &["has the SHA-256", "is expected"],
    );
    let windows = go::archive("1.27.3", "windows-amd64").display().to_string();
    user.refused(["install", "--from", &windows], 1, &["is for windows-amd64, but this machine"]);
    let cut = user.path("cut.tar.gz");
    let whole = fs::read(&small).unwrap();
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    user.refused(["install", "--from", &cut.display().to_string()], 1, &["can't be installed"]);
    user.refused(["install", "--from", "no-such-file"], 1, &["no-such-file can't be installed"]);
    user.refused(["install", "nonsense"], 2, &["not a Go version: `nonsense`"]);
    user.refused(["install"], 2, &["VERSION"]);
    assert!(!user.path("root/releases").exists(), "nothing was written");
}

#[test]
fn why_tells_the_whole_chain_also_where_nothing_runs() {
    let user = User::with(&["1.26.6", "1.27.3"]);
    let work = user.path("work");
    fs::write(work.join("go.mod"), "module m\ngo 1.27.3\n").unwrap();
    let told = user.ok(["why"]).stdout;
    let (mod_file, tree) = (work.join("go.mod"), user.path("root/releases"));
    let expect = format!(
        "GOFLEET_VERSION: says nothing\n\
         {}: go 1.27.3 (decides)\n\
         the user's choice: says nothing\n\
         the machine's choice: 1.26.6 (is what Go's selection starts from)\n\
         Go 1.27.3: {}/go-1.27.3-{}\n",
        mod_file.display(),
        tree.display(),
        go::HOST
    );
    assert_eq!(told, expect);
    let which = user.ok(["which", "gofmt"]).stdout;
    assert!(which.ends_with(&format!("go-1.27.3-{}/bin/gofmt\n", go::HOST)), "{which}");

    fs::write(work.join(".go-version"), "1.25\n").unwrap();
    let answer = user.json(["why"]);
    assert_eq!(answer["version"], Value::Null);
    assert_eq!(answer["chain"][1]["source"], "version_file");
    assert_eq!(answer["chain"][1]["role"], "chooses");
    user.refused(["why"], 1, &["Go 1.25 is not installed", "gofleet install 1.25"]);
    user.refused(["which"], 1, &["Go 1.25 is not installed"]);
}

#[test]
fn choices_are_for_user_or_machine_and_say_where_they_do_not_count() {
    let user = User::with(&["1.26.6", "1.27.3"]);
    let chosen = user.json(["use", "1.27"]);
    assert_eq!(chosen, json!({ "version": "1.27.3", "scope": "user", "is_new": true }));
    assert_eq!(user.json(["use", "1.27.3"])["is_new"], false);
    assert_eq!(user.json(["use", "1.27.3", "--machine"])["scope"], "machine");
    fs::write(user.path("work/.go-version"), "1.26.6").unwrap();
    let ran = user.ok(["use", "1.27.3"]);
    assert!(ran.stderr.contains("in this folder Go 1.26.6 runs"), "{ran}");
    let rows = user.ok(["list"]).stdout;
    assert!(rows.contains("\n1.27.3   user, machine  "), "{rows}");
    assert!(rows.contains("\n1.26.6   here, fallback  "), "{rows}");
    user.refused(["use", "1.99.1"], 1, &["not installed", "gofleet install 1.99.1"]);
    user.refused(["use"], 2, &["VERSION"]);
}

#[test]
fn exec_hands_on_arguments_and_exit_code() {
    let user = User::with(&["1.27.3"]);
    let ran = user.run([
        "exec",
        "1.27",
        "--",
        "sh",
        "-c",
        "echo \"$1|$GOFLEET_VERSION\"; exit 7",
        "x",
        "a b",
    ]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(7), "a b|1.27.3\n"), "{ran}");
    user.refused(
        ["exec", "1.27.3", "--", "no-such-program"],
        1,
        &["no-such-program can't be started"],
    );
    user.refused(["exec", "1.99.1", "--", "true"], 1, &["not installed"]);
}

#[test]
fn doctor_finds_what_is_wrong_and_says_what_to_do() {
    let user = User::new();
    assert!(user.findings().contains(&"nothing_installed".to_owned()));
    let small = user.small("1.27.3");
    user.ok(["install", "--from", &small]);
    assert_eq!(user.findings(), [""; 0]);
    assert_eq!(user.ok(["doctor"]).stdout, "all is well\n");

    let tree = user.path("root/releases").join(format!("go-1.27.3-{}", go::HOST));
    let source = tree.join("src/fmt/print.go");
    fs::remove_file(&source).unwrap();
    fs::write(&source, "damaged").unwrap();
    assert_eq!(user.findings(), ["tree_is_damaged"]);
    let ran = user.run(["doctor"]);
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.stdout.contains("`src/fmt/print.go` has another size"), "{ran}");
    user.ok(["install", "1.27.3", "--from", &small]);
    assert_eq!(user.findings(), [""; 0], "installing again mends it");

    fs::create_dir_all(user.path("root/staging/cut-off")).unwrap();
    fs::write(user.path("root/bin/gofmt"), "another").unwrap();
    fs::remove_file(user.path("root/bin/go")).unwrap();
    assert_eq!(user.findings(), ["shim_is_missing", "shim_is_old", "leftovers"]);
}

#[test]
fn doctor_looks_at_the_environment() {
    let user = User::with(&["1.27.3"]);
    let check = |variables: &[(&str, &str)], expect: &[&str]| {
        let mut command = user.command(env!("CARGO_BIN_EXE_gofleet"));
        let found = Ran::of(command.args(["doctor", "--json"]).envs(variables.iter().copied()));
        let found = found.json()["findings"].as_array().unwrap().clone();
        let codes: Vec<_> = found.iter().map(|f| f["code"].as_str().unwrap()).collect();
        assert_eq!(codes, expect, "{variables:?}");
    };
    check(&[("PATH", "/usr/bin:/bin")], &["path_lacks_bin"]);
    let other = user.path("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("go"), "").unwrap();
    let path = format!("{}:{}", other.display(), user.search_path());
    check(&[("PATH", &path)], &["another_go_is_ahead"]);
    check(&[("GOROOT", "/usr/local/go")], &["goroot_is_set"]);
    check(&[("GOTOOLCHAIN", "auto")], &["toolchain_is_set"]);
    check(&[("GOTOOLCHAIN", "local")], &[]);
    check(&[("GOFLEET_VERSION", "1.99.1")], &["nothing_runs_here", "version_is_set"]);
    let settings = user.path("home/.config/go");
    fs::create_dir_all(&settings).unwrap();
    fs::write(settings.join("env"), "GOTOOLCHAIN=go1.26.6+auto\n").unwrap();
    check(&[], &["toolchain_is_set"]);
    check(&[("GOENV", "off")], &[]);
}

#[test]
fn what_nobody_needs_is_pruned() {
    let user = User::with(&["1.26.1", "1.26.2", "1.26.3", "1.26.4"]);
    user.ok(["use", "1.26.2"]);
    user.ok(["pin", "1.26.3"]);
    user.refused(["uninstall", "1.26.3"], 1, &["it is pinned", "gofleet unpin"]);
    let fates = |answer: &Value| -> Vec<Value> {
        let releases = answer["releases"].as_array().unwrap().clone();
        releases.into_iter().map(|release| release["stays"].clone()).collect()
    };
    let expected = [json!("active"), json!("chosen"), json!("pinned"), Value::Null];
    let before = user.snapshot();
    let planned = user.json(["prune", "--dry-run"]);
    assert_eq!(planned["is_done"], false);
    let frees = planned["frees_bytes"].as_u64().unwrap();
    assert!(frees > 0 && frees < 12_635, "files that others have are not freed: {planned}");
    assert_eq!(fates(&planned), expected);
    assert_eq!(user.snapshot(), before, "a dry run changes nothing");
    let told = user.ok(["prune"]).stdout;
    assert!(told.contains("stays: pinned; unpin it first") && told.contains("freed"), "{told}");
    let versions = || user.json(["list"]).as_array().unwrap().len();
    assert_eq!(versions(), 3);
    user.ok(["unpin", "1.26.3"]);
    user.ok(["prune"]);
    assert_eq!(versions(), 2);
}

#[test]
fn what_was_changed_is_found_and_mended() {
    let user = User::with(&["1.27.1", "1.27.2"]);
    assert!(user.ok(["depot", "verify"]).stdout.contains("whole (6 files"));
    let tree = user.path("root/releases").join(format!("go-1.27.1-{}", go::HOST));
    let print = tree.join("src/fmt/print.go");
    fs::remove_file(&print).unwrap();
    fs::write(&print, "package other\n").unwrap();
    let ran = user.run(["depot", "verify"]);
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.stdout.contains("damaged") && ran.stdout.contains("has another size"), "{ran}");
    assert!(ran.stderr.contains("gofleet depot verify --repair"), "{ran}");
    // The other version has that file, too.
    let mended = user.json(["depot", "verify", "--repair"]);
    assert_eq!((&mended[0]["is_mended"], &mended[1]["is_mended"]), (&json!(true), &json!(false)));
    user.ok(["depot", "verify"]);
    // VERSION is nowhere else.
    fs::remove_file(tree.join("VERSION")).unwrap();
    user.refused(
        ["depot", "verify", "--repair"],
        3,
        &["stays damaged", "give its archive with --from", "gofleet install 1.27.1"],
    );
    let other = user.small("1.27.2");
    user.refused(["depot", "verify", "--repair", "--from", &other], 3, &["stays damaged"]);
    user.ok(["depot", "verify", "--repair", "--from", &user.small("1.27.1")]);
    user.ok(["depot", "verify"]);
    fs::remove_file(tree.join("VERSION")).unwrap();
    let nothing = user.path("root/active.json").display().to_string();
    user.refused(["depot", "verify", "--repair", "--from", &nothing], 2, &["neither an archive"]);
}

/// A Go in miniature that somebody unpacked.
fn unpacked(user: &User) -> PathBuf {
    let tree = user.path("sdk");
    for (name, content, _) in archive::small_go("1.27.3") {
        let path = tree.join(name.strip_prefix("go/").unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    tree
}

#[test]
fn a_go_that_is_there_is_adopted() {
    let user = User::new();
    let folder = unpacked(&user).display().to_string();
    user.refused(["adopt", &folder], 1, &["nothing proves the files", "gofleet login"]);
    let adopted = user.json(["adopt", &folder, "--unverified"]);
    assert_eq!((&adopted["is_unverified"], &adopted["is_active"]), (&json!(true), &json!(true)));
    assert_eq!(user.json(["list"])[0]["is_unverified"], true);
    // With what proves it, the same tree counts.
    let archive = user.small("1.27.3");
    let adopted = user.json(["adopt", &folder, "--archive", &archive]);
    assert_eq!((&adopted["is_unverified"], &adopted["was_there"]), (&json!(false), &json!(true)));
    assert_eq!(user.json(["list"])[0]["is_unverified"], false);
    let windows = go::tree("1.27.3", "windows-amd64").display().to_string();
    user.refused(["adopt", &windows], 1, &["is for windows-amd64, but this is"]);
    user.refused(["adopt", "nowhere"], 1, &["can't be adopted"]);
}

#[test]
fn a_go_that_is_not_quite_the_known_one_is_told_so() {
    let user = User::new();
    let tree = unpacked(&user);
    let folder = tree.display().to_string();
    user.ok(["install", "--from", &user.small("1.27.3")]);
    // A manifest alone proves, and names what is in the way.
    let manifest = user.path("manifest.json");
    let kept = user.path("root/manifests").join(format!("go-1.27.3-{}.json", go::HOST));
    fs::rename(kept, &manifest).unwrap();
    fs::remove_dir_all(user.path("root")).unwrap();
    let manifest = manifest.display().to_string();
    fs::write(tree.join("src/fmt/print.go"), "package mine\n").unwrap();
    user.refused(
        ["adopt", &folder, "--manifest", &manifest],
        1,
        &["was not adopted", "`src/fmt/print.go` has another size", "--archive"],
    );
    assert_eq!(user.json(["list"]), json!([]));
    // The archive beside it, under the name that Go gives it.
    let archive = user.path(&format!("go1.27.3.{}.tar.gz", go::HOST));
    fs::write(archive, archive::tar_gz(&archive::small_go("1.27.3"))).unwrap();
    let told = user.ok(["adopt", &folder]).stdout;
    assert!(
        told.contains("`src/fmt/print.go` has another size: it came from the archive"),
        "{told}"
    );
    assert_eq!(fs::read(tree.join("src/fmt/print.go")).unwrap(), b"package mine\n");
    user.ok(["depot", "verify"]);
}
