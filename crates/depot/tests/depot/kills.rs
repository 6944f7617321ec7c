//! Killed at each checkpoint: the next opening has the old state or the new one, whole, and doing
//! the same again succeeds.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gofleet_depot::Depot;
use gofleet_platform::checkpoint::ALL;
use gofleet_testkit::archive::small_go;

use crate::support::{Ground, damage, imported};

/// Names the folder for the process that is killed.
const GROUND: &str = "GOFLEET_TEST_KILL_GROUND";

#[test]
#[ignore = "not a test: what the killed process does"]
fn child() {
    let Some(ground) = std::env::var_os(GROUND).map(PathBuf::from) else { return };
    upgrade(&ground);
}

/// Installs 1.27.3 over a damaged one, activates it, and prunes 1.27.1.
fn upgrade(ground: &Path) {
    let depot = Depot::open(ground.join("root")).unwrap();
    let new = imported(ground.join("new"));
    new.stage(&depot).unwrap();
    depot.activate(&new.release.id).unwrap();
    depot.prune(&[]).unwrap();
}

#[test]
fn a_kill_at_any_checkpoint_ends_in_the_old_or_the_new() {
    let names: Vec<_> =
        ALL.iter().map(|(name, _)| *name).filter(|name| name.starts_with("depot-")).collect();
    assert!(names.len() >= 8, "{names:?}");
    for name in names {
        check(name);
    }
}

fn check(checkpoint: &str) {
    let ground = Ground::new();
    let depot = ground.open();
    for (name, version) in [("oldest", "1.27.1"), ("old", "1.27.2"), ("new", "1.27.3")] {
        let path = ground.write(name, &gofleet_testkit::archive::zip(&small_go(version)));
        imported(path).stage(&depot).unwrap();
    }
    let old = imported(ground.path().join("old")).release.id;
    let new = imported(ground.path().join("new")).release.id;
    depot.activate(&old).unwrap();
    // Damaged, so that it has to be replaced, which is the longest way.
    damage(&depot.tree(&new).join("VERSION"), b"damaged");
    drop(depot);

    kill_at(checkpoint, ground.path());

    let depot = ground.open();
    let active = depot.active().unwrap().unwrap();
    assert!(active.active == old || active.active == new, "{checkpoint}");
    depot.verify(&active.active, &()).unwrap_or_else(|error| panic!("{checkpoint}: {error}"));
    if let Some(fallback) = active.fallback {
        depot.verify(&fallback, &()).unwrap_or_else(|error| panic!("{checkpoint}: {error}"));
    }
    assert_eq!(std::fs::read_dir(ground.root().join("staging")).unwrap().count(), 0);
    drop(depot);
    upgrade(ground.path());
    let depot = ground.open();
    assert_eq!(depot.active().unwrap().unwrap().active, new, "{checkpoint}");
    depot.verify(&new, &()).unwrap();
    assert_eq!(depot.installed().unwrap(), [old, new], "{checkpoint}");
}

fn kill_at(checkpoint: &str, ground: &Path) {
    let reached = ground.join("reached");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["kills::child", "--exact", "--ignored"])
        .env(GROUND, ground)
        .env("GOFLEET_CHECKPOINT", format!("{checkpoint}={}", reached.display()))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !reached.exists() {
        assert!(child.try_wait().unwrap().is_none(), "{checkpoint} was passed");
        assert!(Instant::now() < deadline, "{checkpoint} was not reached");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
