//! What is not needed goes, what was changed is found and mended.

use std::fs;
use std::path::Path;

use gofleet_core::ids::ReleaseId;
use gofleet_depot::{Depot, DepotError, Difference, Need, Removal, Supply, pack};
use gofleet_platform::Sharing;
use gofleet_testkit::archive::{small_go, zip};
use gofleet_testkit::go;

use crate::support::{Ground, Imported, damage, files_below, imported};

fn staged(ground: &Ground, depot: &Depot, versions: &[&str]) -> Vec<ReleaseId> {
    versions.iter().map(|version| ground.staged(depot, version).release.id).collect()
}

fn staying(depot: &Depot, chosen: &[ReleaseId]) -> Vec<Option<Need>> {
    let plan = depot.prune_plan(chosen).unwrap();
    plan.releases.into_iter().map(|candidate| candidate.stays).collect()
}

#[test]
fn pruning_keeps_what_is_needed() {
    let ground = Ground::new();
    let depot = ground.open();
    let ids = staged(&ground, &depot, &["1.26.1", "1.26.2", "1.26.3", "1.26.4", "1.26.5"]);
    depot.activate(&ids[3]).unwrap();
    depot.activate(&ids[4]).unwrap();
    depot.pin(&ids[1], true).unwrap();
    depot.pin(&ids[1], true).unwrap();
    let chosen = [ids[2].clone()];
    let needs = [Need::Pinned, Need::Chosen, Need::Fallback, Need::Active].map(Some);
    assert_eq!(staying(&depot, &chosen)[0], None);
    assert_eq!(staying(&depot, &chosen)[1..], needs);
    assert!(matches!(depot.remove(&ids[1]), Err(DepotError::Needed { need: Need::Pinned, .. })));
    // A plan changes nothing.
    assert_eq!(depot.installed().unwrap(), ids);
    let (plan, later) = depot.prune(&chosen).unwrap();
    assert_eq!(plan.goes().collect::<Vec<_>>(), [&ids[0]]);
    assert_eq!(later, []);
    assert_eq!(depot.installed().unwrap(), ids[1..]);
    depot.pin(&ids[1], false).unwrap();
    depot.prune(&[]).unwrap();
    assert_eq!(depot.installed().unwrap(), ids[3..]);
    for id in &ids[3..] {
        depot.verify(id, &()).unwrap();
    }
    let absent = "go-1.20.1-linux-amd64".parse().unwrap();
    assert!(matches!(depot.pin(&absent, true), Err(DepotError::NotInstalled { .. })));
    assert!(files_below(&ground.root().join("staging")).is_empty());
}

#[test]
fn bytes_that_others_share_are_not_freed() {
    for (best, expected) in [(Sharing::HardLink, 35), (Sharing::Copy, 12_635)] {
        let ground = Ground::new();
        let depot = ground.open().with_sharing_at_best(best);
        let ids = staged(&ground, &depot, &["1.27.1", "1.27.2"]);
        depot.activate(&ids[1]).unwrap();
        let plan = depot.prune_plan(&[]).unwrap();
        assert_eq!(plan.releases[0].tree_bytes, 12_635);
        // Only VERSION is its own, where files are shared.
        assert_eq!(plan.frees_bytes, expected, "{best:?}");
        // When both go, nothing is shared with anybody.
        depot.deactivate().unwrap();
        let both = depot.prune_plan(&[]).unwrap().frees_bytes;
        assert_eq!(both, 12_635 + expected, "{best:?}");
    }
}

#[test]
fn a_release_whose_program_runs_stays() {
    let ground = Ground::new();
    let depot = ground.open();
    let real = imported(go::archive("1.27.3", go::HOST));
    real.stage(&depot).unwrap();
    let mut gofmt = gofmt(&depot, &real);
    match &staying(&depot, &[])[..] {
        [Some(Need::Running { pid, program })] => {
            assert_eq!(*pid, gofmt.id());
            assert!(program.ends_with(format!("bin/gofmt{}", std::env::consts::EXE_SUFFIX)));
        }
        other => panic!("{other:?}"),
    }
    depot.prune(&[]).unwrap();
    assert!(depot.is_installed(&real.release.id));
    gofmt.kill().unwrap();
    gofmt.wait().unwrap();
    assert_eq!(staying(&depot, &[]), [None]);
    depot.prune(&[]).unwrap();
    assert_eq!(depot.installed().unwrap(), []);
    assert!(!depot.tree(&real.release.id).exists());
}

/// Runs until it is killed, since its standard input never ends.
fn gofmt(depot: &Depot, of: &Imported) -> std::process::Child {
    let program = format!("bin/gofmt{}", std::env::consts::EXE_SUFFIX);
    std::process::Command::new(depot.tree(&of.release.id).join(program))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn what_could_not_be_removed_is_removed_later() {
    let ground = Ground::new();
    let depot = ground.open();
    let id = ground.staged(&depot, "1.27.1").release.id;
    let (tree, root) = (depot.tree(&id), ground.root());
    // As a kill leaves it, or Windows while a program of it runs.
    let manifests = root.join("manifests");
    let removing = manifests.join(format!("{id}.removing"));
    fs::rename(manifests.join(format!("{id}.json")), &removing).unwrap();
    assert!(!depot.is_installed(&id));
    assert_eq!(depot.prune_plan(&[]).unwrap().releases, []);
    drop(depot);
    let depot = ground.open();
    assert!(!tree.exists() && !removing.exists());
    // Staged again in the meantime, it is a new one.
    ground.staged(&depot, "1.27.1");
    fs::copy(manifests.join(format!("{id}.json")), &removing).unwrap();
    fs::remove_file(manifests.join(format!("{id}.json"))).unwrap();
    let again = ground.staged(&depot, "1.27.1");
    depot.verify(&again.release.id, &()).unwrap();
    assert_eq!(depot.remove(&id).unwrap(), Removal::Done);
    assert!(files_below(&manifests).is_empty());
}

#[test]
fn everything_that_was_changed_is_found_and_mended() {
    let ground = Ground::new();
    let depot = ground.open();
    let path = |name: &str, version: &str| ground.write(name, &zip(&small_go(version)));
    let (one, two) = (imported(path("one", "1.27.1")), imported(path("two", "1.27.2")));
    one.stage(&depot).unwrap();
    two.stage(&depot).unwrap();
    let differences = || -> Vec<Vec<Difference>> {
        let checked = depot.check_all(&()).unwrap();
        checked.into_iter().map(|checked| checked.differences).collect()
    };
    assert_eq!(differences(), [[], []]);
    // One file under two names, where there are links.
    let print = depot.tree(&one.release.id).join("src/fmt/print.go");
    damage(&print, &[b'x'; 3600]);
    fs::write(depot.tree(&two.release.id).join("src/more.go"), "x").unwrap();
    let content = Difference::Content("src/fmt/print.go".to_owned());
    let more = Difference::Unexpected("src/more.go".to_owned());
    let expected = match Sharing::of(depot.path()).unwrap() {
        Sharing::HardLink => [vec![content.clone()], vec![more, content]],
        Sharing::Clone | Sharing::Copy => [vec![content], vec![more]],
    };
    assert_eq!(differences(), expected);
    let is_linked = expected[1].len() == 2;
    if is_linked {
        let error = depot.repair(&one.release.id, &[], &()).unwrap_err();
        assert!(matches!(error, DepotError::Incomplete { files: 1, .. }), "{error}");
    }
    // A pack of the other release does not help this one; the first mends the second.
    let packed = ground.path().join("packed");
    pack::make(&one.path, &one.manifest, &packed).unwrap();
    let supply = |path: &Path| Supply::of(path).unwrap();
    if is_linked {
        depot.repair(&two.release.id, &[supply(&packed)], &()).unwrap_err();
    }
    depot.repair(&one.release.id, &[supply(&two.path), supply(&packed)], &()).unwrap();
    depot.repair(&two.release.id, &[], &()).unwrap();
    assert_eq!(differences(), [[], []]);
    assert!(files_below(&ground.root().join("staging")).is_empty());
    assert!(Supply::of(&print).is_none());
}

#[test]
fn a_file_that_is_whole_elsewhere_needs_no_supply() {
    let ground = Ground::new();
    let depot = ground.open().with_sharing_at_best(Sharing::Copy);
    let ids = staged(&ground, &depot, &["1.27.1", "1.27.2"]);
    damage(&depot.tree(&ids[0]).join("bin/go"), b"bad");
    let report = depot.repair(&ids[0], &[], &()).unwrap();
    assert_eq!(report.damages.len(), 1);
    depot.verify(&ids[0], &()).unwrap();
}
