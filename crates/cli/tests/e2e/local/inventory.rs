//! `gofleet inventory` on real Go, compared with what Go itself says of the same executables.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use gofleet_testkit::fleet::Ran;
use gofleet_testkit::go;
use serde_json::Value;

use super::User;

impl User {
    /// What is found in this user's folder, by the path from there.
    #[track_caller]
    fn inventory(&self) -> Vec<(String, Value)> {
        let base = gofleet_platform::canonical(self.folder.path()).unwrap();
        let found = self.json(["inventory"])["found"].as_array().unwrap().clone();
        let of_user = |go: Value| {
            let path = Path::new(go["path"].as_str().unwrap()).strip_prefix(&base).ok()?;
            Some((path.display().to_string(), go))
        };
        found.into_iter().filter_map(of_user).collect()
    }

    /// Gives a real program another place and name.
    fn place(&self, program: &Path, to: &str) {
        let to = self.path(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(program, to).unwrap();
    }
}

/// The versions that `go version` reads out of the executables below a folder.
fn told_by_go(go: &Path, folder: &Path) -> Vec<(String, String)> {
    let ran = Ran::of(Command::new(go).arg("version").arg(folder));
    assert_eq!(ran.code, Some(0), "{ran}");
    let lines = ran.stdout.lines().map(|line| line.split_once(": ").unwrap());
    lines.map(|(path, version)| (path.to_owned(), version.to_owned())).collect()
}

#[test]
fn every_go_is_told_as_go_itself_tells_it() {
    let user = User::with(&["1.26.4"]);
    let tree = go::tree("1.27.3", go::HOST);
    let (command, gofmt) = (tree.join("bin/go"), tree.join("bin/gofmt"));
    // No file VERSION: what the linker wrote is all that there is.
    user.place(&command, "home/sdk/go-bare/bin/go");
    user.place(&gofmt, "home/sdk/go-bare/bin/gofmt");
    // A program that Go built, and that is no Go.
    user.place(&gofmt, "home/sdk/wrapper/bin/go");
    // One that is there and running.
    user.place(&command, "home/.goenv/versions/1.27.3/bin/go");
    user.place(&gofmt, "home/.goenv/versions/1.27.3/bin/gofmt");
    fs::copy(tree.join("VERSION"), user.path("home/.goenv/versions/1.27.3/VERSION")).unwrap();
    let mut running = Command::new(user.path("home/.goenv/versions/1.27.3/bin/gofmt"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let found = user.inventory();
    drop(running.stdin.take());
    running.wait().unwrap();

    let names: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    let managed = format!("root/releases/go-1.26.4-{}", go::HOST);
    assert_eq!(names, ["home/.goenv/versions/1.27.3", "home/sdk/go-bare", &managed]);
    let of = |name: &str| &found.iter().find(|(path, _)| path == name).unwrap().1;
    for name in &names[..2] {
        let told = told_by_go(&command, &user.path(&format!("{name}/bin/go")));
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].1, format!("go{}", of(name)["version"].as_str().unwrap()), "{name}");
    }
    let bare = of("home/sdk/go-bare");
    assert_eq!((&bare["version_source"], &bare["origin"]), (&"build_info".into(), &"sdk".into()));
    assert_eq!(bare["is_in_use"], false);
    let goenv = of("home/.goenv/versions/1.27.3");
    assert_eq!((&goenv["origin"], &goenv["is_in_use"]), (&"goenv".into(), &true.into()));
    assert_eq!(goenv["running"][0]["pid"], running.id());
    let sizes =
        ["VERSION", "bin/go", "bin/gofmt"].map(|it| fs::metadata(tree.join(it)).unwrap().len());
    assert_eq!(goenv["size"]["bytes"], sizes.iter().sum::<u64>());
    let managed = of(&managed);
    assert_eq!((&managed["origin"], &managed["is_active"]), (&"managed".into(), &true.into()));
    // The shims are first on the path, and run it.
    assert_eq!(managed["is_first_on_path"], true);

    let text = user.ok(["inventory", "--no-sizes"]);
    let line = text.stdout.lines().find(|line| line.contains(".goenv")).unwrap();
    assert!(line.starts_with("1.27.3") && line.contains("goenv"), "{text}");
    assert!(
        text.stdout.lines().any(|line| line.contains("gofleet") && line.contains("active, PATH")),
        "{text}"
    );
}

#[test]
fn a_folder_to_search_must_be_there() {
    let user = User::new();
    user.refused(["inventory", "--search", "absent"], 1, &["absent", "no folder", "hint"]);
}
