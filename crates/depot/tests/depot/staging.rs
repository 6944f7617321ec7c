//! Staging: the tree is what the manifest says, or there is none.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use gofleet_core::manifest::{Manifest, ManifestFile};
use gofleet_depot::{Depot, DepotError, Difference, Progress, Source};
use gofleet_testkit::archive::{PLAIN, hostile, small_go, tar_gz, zip};
use gofleet_testkit::go;

use crate::support::{Ground, Imported, damage as change, files_below, imported, small_disk, told};

#[derive(Default)]
struct Count(AtomicU64, AtomicU64);

impl Progress for Count {
    fn file_done(&self, bytes: u64) {
        self.0.fetch_add(1, Ordering::Relaxed);
        self.1.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[test]
fn real_go_becomes_a_tree_that_runs() {
    let ground = Ground::new();
    let real = imported(go::archive("1.27.3", go::HOST));
    let (depot, count) = (ground.open(), Count::default());
    let report =
        depot.stage(&real.release, &real.manifest, Source::Archive(&real.path), &count).unwrap();
    assert_eq!(report.files, real.manifest.files().len() as u64);
    assert_eq!(report.bytes, real.manifest.tree_bytes());
    assert_eq!((count.0.into_inner(), count.1.into_inner()), (report.files, report.bytes));
    let verified = depot.verify(&real.release.id, &()).unwrap();
    assert_eq!((verified.files, verified.bytes), (report.files, report.bytes));
    let go = depot.tree(&real.release.id).join(format!("bin/go{}", std::env::consts::EXE_SUFFIX));
    let output = std::process::Command::new(go).arg("version").env("GOTOOLCHAIN", "local").output();
    let said = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(said.starts_with("go version go1.27.3 "), "{said}");
    assert!(files_below(&ground.root().join("staging")).is_empty());
}

#[test]
fn a_tar_and_a_zip_become_the_same_tree() {
    let ground = Ground::new();
    let known = ground.import(&small_go("1.27.3"));
    let tar = ground.write("tar", &tar_gz(&small_go("1.27.3")));
    let depot = ground.open();
    depot.stage(&known.release, &known.manifest, Source::Archive(&tar), &()).unwrap();
    depot.verify(&known.release.id, &()).unwrap();
    let names: Vec<_> = known.manifest.files().iter().map(|file| file.path.to_string()).collect();
    assert_eq!(files_below(&depot.tree(&known.release.id)), names);
}

#[test]
fn what_differs_from_the_manifest_is_refused_and_leaves_nothing() {
    let check = |change: &dyn Fn(&mut Vec<gofleet_testkit::archive::File>), expected| {
        let ground = Ground::new();
        let known = ground.import(&small_go("1.27.3"));
        let mut files = small_go("1.27.3");
        change(&mut files);
        for bytes in [zip(&files), tar_gz(&files)] {
            let archive = ground.write("changed", &bytes);
            let depot = ground.open();
            let refused =
                depot.stage(&known.release, &known.manifest, Source::Archive(&archive), &());
            match refused.unwrap_err() {
                DepotError::Differs { difference, .. } => assert_eq!(difference, expected),
                DepotError::Incomplete { first, files: 1, .. } => {
                    assert_eq!(Difference::Missing(first), expected);
                }
                other => panic!("{other}"),
            }
            check_nothing_left(&depot, &known);
        }
    };
    let name = |name: &str| name.to_owned();
    check(&|files| files[1].1[40] ^= 1, Difference::Content(name("bin/go")));
    check(&|files| files[4].1.push(b'\n'), Difference::Size(name("src/fmt/print.go")));
    check(&|files| drop(files.remove(4)), Difference::Missing(name("src/fmt/print.go")));
    check(
        &|files| files.push((name("go/src/extra.go"), b"x".to_vec(), PLAIN)),
        Difference::Unexpected(name("src/extra.go")),
    );
}

fn check_nothing_left(depot: &Depot, known: &Imported) {
    assert!(depot.installed().unwrap().is_empty());
    assert!(!depot.tree(&known.release.id).exists());
    let left = files_below(depot.path());
    assert!(left.iter().all(|path| path.starts_with("agent/")), "{left:?}");
}

#[test]
fn hostile_archives_write_nothing_outside() {
    let ground = Ground::new();
    let known = ground.import(&small_go("1.27.3"));
    let mut archives = hostile::names();
    archives.extend([
        ("overlap", hostile::overlapping()),
        ("larger", hostile::larger_than_told()),
        ("zeros", hostile::zeros()),
        ("symlink", hostile::symlink()),
        ("twice", hostile::name_twice()),
        ("twins", hostile::case_twins()),
        ("tar", hostile::tar_climbing()),
        ("tar zeros", hostile::tar_zeros()),
        ("cut", zip(&small_go("1.27.3"))[..500].to_vec()),
    ]);
    let depot = ground.open();
    for (name, bytes) in archives {
        let archive = ground.write("hostile", &bytes);
        let error = depot
            .stage(&known.release, &known.manifest, Source::Archive(&archive), &())
            .unwrap_err();
        let is_refused = matches!(
            error,
            DepotError::Archive { .. } | DepotError::Differs { .. } | DepotError::Incomplete { .. }
        );
        assert!(is_refused, "{name}: {}", told(&error));
        check_nothing_left(&depot, &known);
        fs::remove_file(&archive).unwrap();
        let outside = files_below(ground.path());
        let is_known = |path: &String| path == "archive" || path.starts_with("root/agent/");
        assert!(outside.iter().all(is_known), "{name}: {outside:?}");
    }
}

#[test]
fn another_manifest_than_the_approved_one_is_refused() {
    let ground = Ground::new();
    let known = ground.import(&small_go("1.27.3"));
    let mut files: Vec<ManifestFile> = known.manifest.files().to_vec();
    files.pop();
    let other = Manifest::new(files).unwrap();
    let depot = ground.open();
    let error = depot.stage(&known.release, &other, Source::Archive(&known.path), &()).unwrap_err();
    assert!(matches!(error, DepotError::WrongManifest { .. }), "{error}");
}

#[test]
fn staging_again_verifies_and_mends() {
    let ground = Ground::new();
    let depot = ground.open();
    let known = ground.staged(&depot, "1.27.3");
    assert!(known.stage(&depot).unwrap().was_there);
    depot.activate(&known.release.id).unwrap();
    let tree = depot.tree(&known.release.id);
    let damage = |change: &dyn Fn(), expected: Difference| {
        change();
        match depot.verify(&known.release.id, &()).unwrap_err() {
            DepotError::Damaged { first, differences: 1, .. } => assert_eq!(first, expected),
            other => panic!("{other}"),
        }
        assert!(!known.stage(&depot).unwrap().was_there);
        depot.verify(&known.release.id, &()).unwrap();
    };
    let print = tree.join("src/fmt/print.go");
    let name = |name: &str| name.to_owned();
    damage(&|| change(&print, &[b'x'; 3600]), Difference::Content(name("src/fmt/print.go")));
    damage(&|| change(&print, b"short"), Difference::Size(name("src/fmt/print.go")));
    damage(&|| fs::remove_file(&print).unwrap(), Difference::Missing(name("src/fmt/print.go")));
    damage(
        &|| fs::write(tree.join("src/more.go"), "x").unwrap(),
        Difference::Unexpected(name("src/more.go")),
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let link = || {
            fs::remove_file(&print).unwrap();
            symlink("/etc/hostname", &print).unwrap();
        };
        damage(&link, Difference::NotAFile(name("src/fmt/print.go")));
        let mode = || fs::set_permissions(tree.join("bin/go"), fs::Permissions::from_mode(0o644));
        damage(&|| mode().unwrap(), Difference::Mode(name("bin/go")));
    }
    assert_eq!(depot.active().unwrap().unwrap().active, known.release.id);
}

#[test]
fn two_stagings_at_once_end_in_one_tree() {
    let ground = Ground::new();
    let depot = ground.open();
    let known = ground.import(&small_go("1.27.3"));
    let reports: Vec<_> = std::thread::scope(|scope| {
        let stagings: Vec<_> =
            (0..4).map(|_| scope.spawn(|| known.stage(&depot).unwrap())).collect();
        stagings.into_iter().map(|staging| staging.join().unwrap()).collect()
    });
    assert_eq!(reports.iter().filter(|report| !report.was_there).count(), 1);
    depot.verify(&known.release.id, &()).unwrap();
}

#[test]
fn a_root_with_a_name_beyond_ascii_works() {
    let ground = Ground::new();
    let depot = Depot::open(ground.path().join("Büro 東京 ±")).unwrap();
    let known = ground.staged(&depot, "1.27.3");
    depot.activate(&known.release.id).unwrap();
    depot.verify(&known.release.id, &()).unwrap();
}

#[test]
fn too_little_room_is_told_before_anything_is_written() {
    let ground = Ground::new();
    let known = ground.import(&small_go("1.27.3"));
    let mut files: Vec<ManifestFile> = known.manifest.files().to_vec();
    files[0].size = 4 << 30;
    files[0].size -= 1 << 20;
    let (mut release, manifest) = (known.release.clone(), Manifest::new(files).unwrap());
    release.manifest = manifest.digest();
    let Some(small) = small_disk(&ground, "16m") else { return };
    let depot = Depot::open(small.path()).unwrap();
    let error = depot.stage(&release, &manifest, Source::Archive(&known.path), &()).unwrap_err();
    assert!(matches!(error, DepotError::NoSpace { .. }), "{error}");
    assert!(told(&error).contains("MB are needed; make room"), "{error}");
    check_nothing_left(&depot, &known);
}

/// Fills the disk while the first files are being written.
struct Filler<'a>(&'a std::path::Path);

impl Progress for Filler<'_> {
    fn file_done(&self, _bytes: u64) {
        let _ = fs::write(self.0.join("filler"), vec![0; 80 << 20]);
    }
}

#[test]
fn a_disk_that_becomes_full_leaves_the_old_release() {
    let ground = Ground::new();
    let Some(small) = small_disk(&ground, "64m") else { return };
    let depot = Depot::open(small.path()).unwrap();
    let old = ground.staged(&depot, "1.27.2");
    depot.activate(&old.release.id).unwrap();
    let mut files = small_go("1.27.3");
    for (number, (_, content, _)) in files.iter_mut().enumerate().skip(1) {
        // As random numbers don't pack, the archive is no bomb; and every file comes to be written.
        let mut state = number as u32 + 1;
        *content = content[..content.len().min(20)].to_vec();
        content.extend((0..3 << 20).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        }));
    }
    let new = ground.import(&files);
    let error =
        depot.stage(&new.release, &new.manifest, Source::Archive(&new.path), &Filler(small.path()));
    let error = error.unwrap_err();
    assert!(matches!(error, DepotError::DiskFull { .. }), "{}", told(&error));
    fs::remove_file(small.path().join("filler")).unwrap();
    assert!(files_below(&small.path().join("staging")).is_empty());
    assert_eq!(depot.installed().unwrap(), std::slice::from_ref(&old.release.id));
    depot.verify(&old.release.id, &()).unwrap();
    assert_eq!(depot.active().unwrap().unwrap().active, old.release.id);
    new.stage(&depot).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_read_only_root_is_told() {
    let ground = Ground::new();
    let Some(disk) = small_disk(&ground, "16m") else { return };
    disk.remount_read_only();
    let error = told(&Depot::open(disk.path()).unwrap_err());
    assert!(error.contains("could not create the folder") && error.contains("ead-only"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_root_that_became_read_only_keeps_what_it_has() {
    let ground = Ground::new();
    let Some(disk) = small_disk(&ground, "64m") else { return };
    let depot = Depot::open(disk.path()).unwrap();
    let id = ground.staged(&depot, "1.27.2").release.id;
    depot.activate(&id).unwrap();
    // The lock is held by an open file, which would forbid it.
    drop(depot);
    disk.remount_read_only();
    assert!(Depot::open(disk.path()).is_err());
    let root = gofleet_depot::Root::new(disk.path());
    assert_eq!(root.active().unwrap().unwrap().active, id);
    root.verify(&id, &()).unwrap();
}
