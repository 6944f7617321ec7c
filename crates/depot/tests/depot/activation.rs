//! Activation, going back, removal, the lock and the shims.

use std::fs;

use gofleet_core::ids::ReleaseId;
use gofleet_depot::{Active, Depot, DepotError, Root};

use crate::support::{Ground, told};

fn active(id: &ReleaseId, fallback: Option<&ReleaseId>) -> Option<Active> {
    Some(Active { active: id.clone(), fallback: fallback.cloned() })
}

#[test]
fn activation_goes_forth_and_back_without_an_archive() {
    let ground = Ground::new();
    let depot = ground.open();
    assert_eq!(depot.active().unwrap(), None);
    let old = ground.staged(&depot, "1.27.2").release.id;
    let new = ground.staged(&depot, "1.27.3").release.id;
    assert_eq!(Some(depot.activate(&old).unwrap()), active(&old, None));
    assert_eq!(Some(depot.activate(&new).unwrap()), active(&new, Some(&old)));
    assert_eq!(Some(depot.activate(&new).unwrap()), active(&new, Some(&old)), "twice is once");
    assert_eq!(depot.active().unwrap(), active(&new, Some(&old)));
    check_current(&depot, &new);
    fs::remove_file(ground.path().join("archive")).unwrap();
    assert_eq!(Some(depot.revert().unwrap()), active(&old, None));
    check_current(&depot, &old);
    assert!(matches!(depot.revert(), Err(DepotError::NoFallback { .. })));
    assert_eq!(depot.active().unwrap(), active(&old, None));
    depot.deactivate().unwrap();
    assert_eq!(depot.active().unwrap(), None);
    assert_eq!(depot.installed().unwrap(), [old, new]);
    assert!(!depot.current().exists());
}

#[cfg(unix)]
fn check_current(depot: &Depot, id: &ReleaseId) {
    let go = fs::canonicalize(depot.current().join("bin/go")).unwrap();
    assert_eq!(go, fs::canonicalize(depot.tree(id).join("bin/go")).unwrap());
}

#[cfg(not(unix))]
fn check_current(_depot: &Depot, _id: &ReleaseId) {}

#[test]
fn only_what_is_installed_is_activated() {
    let ground = Ground::new();
    let depot = ground.open();
    let id: ReleaseId = "go-1.27.9-linux-amd64".parse().unwrap();
    let error = depot.activate(&id).unwrap_err();
    assert!(told(&error).contains("go-1.27.9-linux-amd64 is not installed in"), "{error}");
    assert!(matches!(depot.verify(&id, &()), Err(DepotError::NotInstalled { .. })));
    assert!(matches!(depot.remove(&id), Err(DepotError::NotInstalled { .. })));
    // What is active but was deleted behind our back is not installed either.
    let id = ground.staged(&depot, "1.27.3").release.id;
    depot.activate(&id).unwrap();
    fs::remove_dir_all(depot.tree(&id)).unwrap();
    assert!(matches!(depot.activate(&id), Err(DepotError::NotInstalled { .. })));
}

#[test]
fn what_is_needed_is_not_removed() {
    let ground = Ground::new();
    let depot = ground.open();
    let ids =
        ["1.27.1", "1.27.2", "1.27.3"].map(|version| ground.staged(&depot, version).release.id);
    depot.activate(&ids[1]).unwrap();
    depot.activate(&ids[2]).unwrap();
    for id in &ids[1..] {
        assert!(matches!(depot.remove(id), Err(DepotError::Needed { .. })));
        depot.verify(id, &()).unwrap();
    }
    depot.remove(&ids[0]).unwrap();
    assert_eq!(depot.installed().unwrap(), ids[1..]);
    assert!(!depot.tree(&ids[0]).exists());
    assert_eq!(fs::read_dir(ground.root().join("staging")).unwrap().count(), 0);
}

#[test]
fn a_root_has_one_owner_at_a_time() {
    let ground = Ground::new();
    let depot = ground.open();
    let error = Depot::open(ground.root()).unwrap_err();
    assert!(matches!(error, DepotError::Locked { .. }), "{error}");
    let told = told(&error);
    assert!(told.contains("in use by another gofleet") && told.contains("wait for it"), "{told}");
    // Reading needs no lock.
    assert_eq!(Root::new(ground.root()).installed().unwrap(), []);
    drop(depot);
    ground.open();
}

#[test]
fn an_unreadable_truth_is_told_and_not_overwritten() {
    let ground = Ground::new();
    let depot = ground.open();
    let id = ground.staged(&depot, "1.27.3").release.id;
    let path = ground.root().join("active.json");
    fs::write(&path, b"{\"active\": \"go-1.27").unwrap();
    for error in [depot.active().unwrap_err(), depot.activate(&id).unwrap_err()] {
        assert!(matches!(error, DepotError::Corrupt { .. }), "{error}");
    }
    assert_eq!(fs::read(&path).unwrap(), b"{\"active\": \"go-1.27");
}

#[test]
fn shims_are_placed_once_and_replaced_when_they_change() {
    let ground = Ground::new();
    let depot = ground.open();
    let program = ground.write("shim", b"first");
    let bin = depot.place_shims(&program).unwrap();
    let names =
        ["go", "gofmt"].map(|name| bin.join(format!("{name}{}", std::env::consts::EXE_SUFFIX)));
    let written = |path| fs::metadata(path).unwrap().modified().unwrap();
    let before = names.each_ref().map(written);
    depot.place_shims(&program).unwrap();
    assert_eq!(names.each_ref().map(written), before);
    fs::write(&program, b"second").unwrap();
    depot.place_shims(&program).unwrap();
    for name in names {
        assert_eq!(fs::read(name).unwrap(), b"second");
    }
}

#[test]
fn opening_clears_what_was_left() {
    let ground = Ground::new();
    let depot = ground.open();
    let known = ground.staged(&depot, "1.27.3");
    let (tree, root) = (depot.tree(&known.release.id), ground.root());
    drop(depot);
    fs::create_dir_all(root.join("staging/go-1.27.4-linux-amd64/bin")).unwrap();
    fs::write(root.join("staging/go-1.27.4-linux-amd64/bin/go"), b"half").unwrap();
    fs::write(root.join("manifests/go-1.27.4-linux-amd64.json"), b"{").unwrap();
    // A tree that was moved away for a successor which never came.
    fs::rename(&tree, root.join("staging/replaced-go-1.27.3-linux-amd64")).unwrap();
    let depot = ground.open();
    assert_eq!(depot.installed().unwrap(), std::slice::from_ref(&known.release.id));
    depot.verify(&known.release.id, &()).unwrap();
    assert_eq!(fs::read_dir(root.join("staging")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(root.join("manifests")).unwrap().count(), 1);
}
