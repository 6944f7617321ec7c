//! A Go that somebody else installed comes into the depot, and stays where it was.

use std::fs;
use std::path::{Path, PathBuf};

use gofleet_depot::{DepotError, Difference, Supply, Survey};
use gofleet_testkit::archive::{small_go, zip};
use gofleet_testkit::go;

use crate::support::{Ground, Imported, files_below, imported};

/// A miniature as an installer leaves it: writable, on Unix with its modes.
fn installed(ground: &Ground) -> (PathBuf, Imported) {
    let folder = ground.path().join("installed");
    for (name, content, mode) in small_go("1.27.3") {
        let path = folder.join(name.strip_prefix("go/").unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode & 0o777)).unwrap();
        }
        #[cfg(not(unix))]
        let _ = mode;
    }
    (folder, ground.import(&small_go("1.27.3")))
}

/// Name, content, and whether it may be written, of every file.
fn state(folder: &Path) -> Vec<(String, Vec<u8>, bool)> {
    let read = |name: String| {
        let path = folder.join(&name);
        let is_read_only = fs::metadata(&path).unwrap().permissions().readonly();
        (name, fs::read(path).unwrap(), is_read_only)
    };
    files_below(folder).into_iter().map(read).collect()
}

#[test]
fn what_is_the_same_is_taken_and_the_folder_stays() {
    let ground = Ground::new();
    let (folder, known) = installed(&ground);
    let before = state(&folder);
    let survey = Survey::of(&folder).unwrap();
    assert_eq!(survey.release(), known.release.id);
    assert_eq!(survey.found, known.manifest);
    assert_eq!(survey.differences(&known.manifest), []);
    let (depot, id) = (ground.open(), &known.release.id);
    let report = depot.adopt(id, &known.manifest, &folder, &[], false).unwrap();
    assert_eq!((report.files, report.shared_files, report.was_there), (6, 6, false));
    depot.verify(id, &()).unwrap();
    assert!(!depot.is_unverified(id).unwrap());
    assert_eq!(state(&folder), before, "nothing of it has changed");
    // Neither is the other.
    fs::write(folder.join("src/fmt/print.go"), b"other").unwrap();
    depot.verify(id, &()).unwrap();
    assert!(depot.adopt(id, &known.manifest, &folder, &[], false).unwrap().was_there);
}

#[test]
fn what_differs_is_told_and_comes_from_an_archive() {
    let ground = Ground::new();
    let (folder, known) = installed(&ground);
    fs::write(folder.join("src/fmt/print.go"), b"other").unwrap();
    fs::remove_file(folder.join("src/fmt/empty.go")).unwrap();
    fs::write(folder.join("mine.txt"), b"mine").unwrap();
    let survey = Survey::of(&folder).unwrap();
    let name = |name: &str| name.to_owned();
    let expected = [
        Difference::Missing(name("src/fmt/empty.go")),
        Difference::Unexpected(name("mine.txt")),
        Difference::Size(name("src/fmt/print.go")),
    ];
    assert_eq!(survey.differences(&known.manifest), expected);
    let (depot, id) = (ground.open(), &known.release.id);
    let error = depot.adopt(id, &known.manifest, &folder, &[], false).unwrap_err();
    assert!(matches!(error, DepotError::Incomplete { files: 2, .. }), "{error}");
    assert_eq!(depot.installed().unwrap(), []);
    let supply = Supply::of(&known.path).unwrap();
    let report = depot.adopt(id, &known.manifest, &folder, &[supply], false).unwrap();
    assert_eq!(report.shared_files, 4);
    depot.verify(id, &()).unwrap();
    assert!(!depot.tree(id).join("mine.txt").exists());
    assert_eq!(fs::read(folder.join("mine.txt")).unwrap(), b"mine");
}

#[test]
fn what_nobody_vouches_for_is_marked_until_somebody_does() {
    let ground = Ground::new();
    let (folder, known) = installed(&ground);
    fs::write(folder.join("mine.txt"), b"mine").unwrap();
    let (depot, survey) = (ground.open(), Survey::of(&folder).unwrap());
    let id = survey.release();
    depot.adopt(&id, &survey.found, &folder, &[], true).unwrap();
    depot.verify(&id, &()).unwrap();
    assert!(depot.is_unverified(&id).unwrap() && depot.tree(&id).join("mine.txt").exists());
    depot.repair(&id, &[], &()).unwrap();
    assert!(depot.is_unverified(&id).unwrap(), "mending vouches for nothing");
    // The release of that name replaces it, with what is the same.
    let report = known.stage(&depot).unwrap();
    assert_eq!((report.was_there, report.shared_files), (false, 6));
    assert!(!depot.is_unverified(&id).unwrap() && !depot.tree(&id).join("mine.txt").exists());
    let error = depot.adopt(&id, &survey.found, &folder, &[], true).unwrap_err();
    assert!(matches!(error, DepotError::Vouched { .. }), "{error}");
    // And the other way round only the mark changes.
    depot.remove(&id).unwrap();
    fs::remove_file(folder.join("mine.txt")).unwrap();
    depot.adopt(&id, &known.manifest, &folder, &[], true).unwrap();
    assert!(known.stage(&depot).unwrap().was_there && !depot.is_unverified(&id).unwrap());
}

#[cfg(unix)]
#[test]
fn a_link_to_the_folder_is_followed_and_links_in_it_are_not() {
    use std::os::unix::fs::symlink;
    let ground = Ground::new();
    let (folder, known) = installed(&ground);
    symlink("/etc", folder.join("src/outside")).unwrap();
    // As Scoop's `current`.
    let current = ground.path().join("current");
    symlink(&folder, &current).unwrap();
    let survey = Survey::of(&current).unwrap();
    assert_eq!(survey.others, ["src/outside"]);
    let outside = Difference::Unexpected("src/outside".to_owned());
    assert_eq!(survey.differences(&known.manifest), [outside]);
}

#[test]
fn real_go_is_adopted() {
    let ground = Ground::new();
    let real = imported(go::archive("1.27.3", go::HOST));
    let tree = go::tree("1.27.3", go::HOST);
    let survey = Survey::of(&tree).unwrap();
    assert_eq!(survey.release(), real.release.id);
    assert_eq!(survey.differences(&real.manifest), []);
    let depot = ground.open();
    let report = depot.adopt(&real.release.id, &real.manifest, &tree, &[], false).unwrap();
    assert_eq!(report.shared_files, report.files);
    depot.verify(&real.release.id, &()).unwrap();
}

#[test]
fn another_go_is_not_taken_for_the_known_one() {
    let ground = Ground::new();
    let (folder, _) = installed(&ground);
    let other = imported(ground.write("other", &zip(&small_go("1.27.2"))));
    let depot = ground.open();
    let survey = Survey::of(&folder).unwrap();
    assert_ne!(survey.release(), other.release.id);
    let adopted = depot.adopt(&other.release.id, &other.manifest, &folder, &[], false);
    assert!(matches!(adopted, Err(DepotError::Incomplete { files: 1, .. })));
}
