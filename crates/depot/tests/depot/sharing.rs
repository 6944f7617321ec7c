//! What the installed trees hold is shared with a new one, if it is intact; the rest comes from
//! wherever it can be had.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use gofleet_depot::delta::{self, DeltaError};
use gofleet_depot::{Damage, Depot, DepotError, Difference, LoadedFiles, Progress, Source, pack};
use gofleet_platform::Sharing;
use gofleet_testkit::archive::{File, PLAIN, small_go, zip};
use gofleet_testkit::go;

#[cfg(target_os = "linux")]
use crate::support::{Disk, mounted};
use crate::support::{Ground, Imported, damage, files_below, imported, small_disk, told};

#[test]
fn real_go_shares_with_its_neighbour() {
    let ground = Ground::new();
    let [old, new] = ["1.27.2", "1.27.3"].map(|version| imported(go::archive(version, go::HOST)));
    let depot = ground.open();
    old.stage(&depot).unwrap();
    let report = new.stage(&depot).unwrap();
    assert_eq!(report.files, new.manifest.files().len() as u64);
    assert!(report.files - report.shared_files < 50, "{report:?}");
    assert_eq!(report.damages, []);
    // What one more patch version takes on the disk; links and clones take nothing.
    let written = report.bytes - report.shared_bytes;
    assert!(written * 100 < report.bytes * 45, "{report:?}");
    depot.verify(&new.release.id, &()).unwrap();
    let tree = depot.tree(&new.release.id);
    let go = tree.join(format!("bin/go{}", std::env::consts::EXE_SUFFIX));
    let said = Command::new(go).arg("version").env("GOTOOLCHAIN", "local").output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.starts_with("go version go1.27.3 "), "{said}");
    // The old one can go without harm to the new.
    depot.remove(&old.release.id).unwrap();
    depot.verify(&new.release.id, &()).unwrap();
}

/// Two versions, the second of which changes a byte of a large program, and the delta.
struct Pair {
    ground: Ground,
    old: Imported,
    new: Imported,
    delta: PathBuf,
}

impl Pair {
    fn new() -> Self {
        let ground = Ground::new();
        let import = |version: &str, byte: u8| {
            let mut files = small_go(version);
            // Random numbers, so that the new one is made of the old one.
            let mut state = 1u32;
            files[1].1.extend((0..200_000).map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            }));
            files[1].1[100_000] = byte;
            imported(ground.write(version, &zip(&files)))
        };
        let (old, new) = (import("1.27.2", 2), import("1.27.3", 3));
        let delta = ground.path().join("delta");
        let load =
            |of: &Imported| LoadedFiles::from_archive(&of.path, of.manifest.clone(), None).unwrap();
        delta::make(&load(&old), &load(&new), &delta).unwrap();
        assert!(fs::metadata(&delta).unwrap().len() < 5000, "it is made of the old one");
        Self { ground, old, new, delta }
    }
}

#[test]
fn a_delta_and_a_pack_make_what_the_archive_holds() {
    let Pair { ground, old, new, delta } = Pair::new();
    let depot = ground.open();
    old.stage(&depot).unwrap();
    let report = new.stage_from(&depot, Source::Delta(&delta)).unwrap();
    assert_eq!((report.files, report.shared_files), (6, 4));
    depot.verify(&new.release.id, &()).unwrap();
    check_read_only(&depot.tree(&new.release.id));
    // From nothing, and into a depot that holds most.
    let packed = ground.path().join("packed");
    pack::make(&new.path, &new.manifest, &packed).unwrap();
    depot.remove(&new.release.id).unwrap();
    for expected in [4, 0] {
        let report = new.stage_from(&depot, Source::Pack(&packed)).unwrap();
        assert_eq!(report.shared_files, expected);
        depot.verify(&new.release.id, &()).unwrap();
        depot.remove(&new.release.id).unwrap();
        if depot.is_installed(&old.release.id) {
            depot.remove(&old.release.id).unwrap();
        }
    }
    // A pack of another release.
    let error = old.stage_from(&depot, Source::Pack(&packed)).unwrap_err();
    assert!(matches!(error, DepotError::Pack { .. }), "{error}");
}

/// A miniature in which a file has moved, one has changed, and one is new.
fn newer() -> Vec<File> {
    let mut files = small_go("1.27.3");
    files[4].0 = "go/src/fmt/moved.go".to_owned();
    files.push(("go/src/new.go".to_owned(), b"package new\n".to_vec(), PLAIN));
    files
}

fn difference(error: &DepotError) -> String {
    match error {
        DepotError::Incomplete { first, .. } => first.clone(),
        other => panic!("{other}"),
    }
}

#[test]
fn every_way_of_sharing_gives_the_same_tree() {
    for best in [Sharing::Clone, Sharing::HardLink, Sharing::Copy] {
        let ground = Ground::new();
        let depot = ground.open().with_sharing_at_best(best);
        let old = ground.staged(&depot, "1.27.2");
        let new = ground.import(&newer());
        // A source is not even looked at for what is there; and what is not, can't be had.
        let error = new.stage_from(&depot, Source::Nothing).unwrap_err();
        assert_eq!(difference(&error), "VERSION", "{error}");
        assert!(files_below(&ground.root().join("staging")).is_empty());
        let report = new.stage(&depot).unwrap();
        assert_eq!((report.files, report.shared_files), (7, 5), "{best:?}");
        depot.verify(&new.release.id, &()).unwrap();
        check_read_only(&depot.tree(&new.release.id));
        check_links(&depot, [&old, &new], best);
    }
}

fn check_read_only(tree: &Path) {
    for file in files_below(tree) {
        assert!(fs::metadata(tree.join(&file)).unwrap().permissions().readonly(), "{file}");
    }
}

#[cfg(unix)]
fn check_links(depot: &Depot, [old, new]: [&Imported; 2], best: Sharing) {
    use std::os::unix::fs::MetadataExt as _;
    let inode =
        |of: &Imported, path| fs::metadata(depot.tree(&of.release.id).join(path)).unwrap().ino();
    let is_one = inode(old, "src/fmt/print.go") == inode(new, "src/fmt/moved.go");
    let can_clone = Sharing::of(depot.path()).unwrap() == Sharing::Clone;
    assert_eq!(is_one, best <= Sharing::HardLink && !(can_clone && best == Sharing::Clone));
}

#[cfg(not(unix))]
fn check_links(_depot: &Depot, _of: [&Imported; 2], _best: Sharing) {}

#[test]
fn a_file_that_was_changed_is_told_and_taken_from_elsewhere() {
    let check = |harm: &dyn Fn(&Path), kind: fn(String) -> Difference| {
        let ground = Ground::new();
        let depot = ground.open();
        let old = ground.staged(&depot, "1.27.2");
        harm(&depot.tree(&old.release.id).join("src/fmt/print.go"));
        let new = ground.import(&newer());
        let release = old.release.id.clone();
        let damages = [Damage { release, difference: kind("src/fmt/print.go".to_owned()) }];
        let error = new.stage_from(&depot, Source::Nothing).unwrap_err();
        assert!(told(&error).contains("bring the archive"), "{error}");
        let report = new.stage(&depot).unwrap();
        assert_eq!(report.damages, damages);
        assert_eq!(report.shared_files, 4);
        depot.verify(&new.release.id, &()).unwrap();
        assert!(depot.verify(&old.release.id, &()).is_err(), "what is damaged is not hidden");
    };
    check(&|path| damage(path, &[b'x'; 3600]), Difference::Content);
    check(&|path| damage(path, b"short"), Difference::Size);
    check(&|path| gofleet_platform::remove_tree(path).unwrap(), Difference::Missing);
    let replace = |path: &Path| {
        gofleet_platform::remove_tree(path).unwrap();
        fs::create_dir(path).unwrap();
    };
    check(&replace, Difference::NotAFile);
    #[cfg(unix)]
    {
        let link = |path: &Path| {
            gofleet_platform::remove_tree(path).unwrap();
            std::os::unix::fs::symlink("/etc/hostname", path).unwrap();
        };
        check(&link, Difference::NotAFile);
    }
}

#[test]
fn a_file_that_is_damaged_in_one_tree_is_taken_from_another() {
    let ground = Ground::new();
    // Copies, so that the damage is one tree's alone.
    let depot = ground.open().with_sharing_at_best(Sharing::Copy);
    let old = ground.staged(&depot, "1.27.1");
    ground.staged(&depot, "1.27.2");
    damage(&depot.tree(&old.release.id).join("src/fmt/print.go"), b"short");
    let new = ground.import(&small_go("1.27.3"));
    let report = new.stage(&depot).unwrap();
    assert_eq!((report.shared_files, report.damages.len()), (5, 1));
    depot.verify(&new.release.id, &()).unwrap();
}

/// Removes the tree that the new one is made of while that happens.
struct Vanish<'a>(&'a Path, Once);

impl Progress for Vanish<'_> {
    fn file_done(&self, _bytes: u64) {
        self.1.call_once(|| gofleet_platform::remove_tree(self.0).unwrap());
    }
}

#[test]
fn a_base_that_vanishes_is_replaced_by_the_source() {
    let ground = Ground::new();
    let depot = ground.open();
    let old = ground.staged(&depot, "1.27.2");
    let mut files = small_go("1.27.3");
    let more = |number| (format!("go/src/more-{number}.go"), vec![7; 9000], PLAIN);
    files.extend((0..50).map(more));
    let new = ground.import(&files);
    let tree = depot.tree(&old.release.id);
    let vanish = Vanish(&tree, Once::new());
    let Imported { release, manifest, path } = &new;
    let report = depot.stage(release, manifest, Source::Archive(path), &vanish).unwrap();
    assert!(!tree.exists() && !report.damages.is_empty(), "{report:?}");
    depot.verify(&release.id, &()).unwrap();
}

#[test]
fn a_delta_without_its_base_is_refused() {
    let Pair { ground, old, new, delta } = Pair::new();
    let depot = ground.open();
    let error = new.stage_from(&depot, Source::Delta(&delta)).unwrap_err();
    assert!(matches!(error, DepotError::NoBase { .. }), "{error}");
    old.stage(&depot).unwrap();
    let go = depot.tree(&old.release.id).join("bin/go");
    let mut content = fs::read(&go).unwrap();
    content[150_000] ^= 1;
    damage(&go, &content);
    match new.stage_from(&depot, Source::Delta(&delta)).unwrap_err() {
        // Found by the delta's own checks, or by what came of it.
        DepotError::Delta { source: DeltaError::BaseChanged { path }, .. }
        | DepotError::Differs { difference: Difference::Content(path), .. } => {
            assert_eq!(path, "bin/go");
        }
        other => panic!("{}", told(&other)),
    }
    assert_eq!(depot.installed().unwrap(), [old.release.id]);
    assert!(files_below(&ground.root().join("staging")).is_empty());
    // Another way leads there.
    new.stage(&depot).unwrap();
}

fn imported_as(ground: &Ground, name: &str, version: &str) -> Imported {
    imported(ground.write(name, &zip(&small_go(version))))
}

#[test]
fn upgrades_at_once_on_one_depot_come_one_after_the_other() {
    let ground = Ground::new();
    let depot = ground.open();
    ground.staged(&depot, "1.27.1");
    let all = ["1.27.2", "1.27.3", "1.27.4"].map(|name| imported_as(&ground, name, name));
    std::thread::scope(|scope| {
        for new in &all {
            scope.spawn(|| new.stage(&depot).unwrap());
        }
    });
    for new in &all {
        depot.verify(&new.release.id, &()).unwrap();
    }
    assert_eq!(depot.installed().unwrap().len(), 4);
}

/// A file system of this type in a file; none, and a word about it, where that can't be had.
#[cfg(target_os = "linux")]
fn formatted(ground: &Ground, kind: &str) -> Option<Disk> {
    let image = ground.path().join("image");
    fs::File::create(&image).unwrap().set_len(256 << 20).unwrap();
    let formatted = Command::new(format!("mkfs.{kind}")).arg(&image).output();
    if !formatted.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: there is no mkfs.{kind}");
        return None;
    }
    mounted(ground, &["-t", kind, "-o", "loop", &image.to_string_lossy()])
}

#[cfg(target_os = "linux")]
#[test]
fn each_file_system_shares_as_it_can() {
    let check = |kind, expected| {
        let ground = Ground::new();
        let Some(disk) = formatted(&ground, kind) else { return };
        assert_eq!(Sharing::of(disk.path()).unwrap(), expected, "{kind}");
        let depot = Depot::open(disk.path()).unwrap();
        let old = ground.staged(&depot, "1.27.2");
        let new = ground.import(&small_go("1.27.3"));
        assert_eq!(new.stage(&depot).unwrap().shared_files, 5, "{kind}");
        // A clone is a file of its own: what happens to one does not happen to the other.
        damage(&depot.tree(&old.release.id).join("src/fmt/print.go"), b"short");
        let is_whole = depot.verify(&new.release.id, &()).is_ok();
        assert_eq!(is_whole, expected != Sharing::HardLink, "{kind}");
    };
    check("btrfs", Sharing::Clone);
    check("ext4", Sharing::HardLink);
    check("vfat", Sharing::Copy);
}

#[test]
fn only_what_is_written_needs_room() {
    let ground = Ground::new();
    // 32 MB must stay free: the file stands there once, and not twice.
    let Some(disk) = small_disk(&ground, "64m") else { return };
    let files = |version| {
        let mut files = small_go(version);
        let mut state = 1u32;
        files[1].1.extend((0..20 << 20).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        }));
        files
    };
    let depot = Depot::open(disk.path()).unwrap();
    ground.import(&files("1.27.2")).stage(&depot).unwrap();
    let new = ground.import(&files("1.27.3"));
    let copying = depot.with_sharing_at_best(Sharing::Copy);
    let error = new.stage(&copying).unwrap_err();
    assert!(matches!(error, DepotError::NoSpace { .. }), "{}", told(&error));
    assert!(files_below(&disk.path().join("staging")).is_empty());
    let depot = copying.with_sharing_at_best(Sharing::Clone);
    new.stage(&depot).unwrap();
    depot.verify(&new.release.id, &()).unwrap();
}
