//! Packs and deltas of real Go.

use gofleet_depot::archive::inspect;
use gofleet_depot::delta::{self, Delta};
use gofleet_depot::{LoadedFiles, TreeFiles, pack};
use gofleet_testkit::go;

#[test]
fn a_pack_holds_every_file_of_its_archive() {
    let folder = tempfile::tempdir().unwrap();
    let archive = go::archive("1.27.3", "linux-amd64");
    let (manifest, path) = (inspect(&archive).unwrap().manifest, folder.path().join("pack"));
    let made = pack::make(&archive, &manifest, &path).unwrap();
    assert_eq!(made.bytes, path.metadata().unwrap().len());
    let archive_bytes = archive.metadata().unwrap().len();
    assert!(made.bytes * 10 < archive_bytes * 7, "{} of {archive_bytes}", made.bytes);
    assert_eq!(pack::manifest(&path).unwrap(), manifest);
    pack::check(&path, &manifest).unwrap();
}

#[test]
fn a_delta_makes_the_next_patch_version() {
    let folder = tempfile::tempdir().unwrap();
    let archives = ["1.27.2", "1.27.3"].map(|version| go::archive(version, "linux-amd64"));
    let [from, to] = archives.each_ref().map(|archive| inspect(archive).unwrap().manifest);
    let base = TreeFiles::new(&go::tree("1.27.2", "linux-amd64"), from.clone());
    let target = LoadedFiles::from_archive(&archives[1], to.clone(), Some(&from)).unwrap();
    let path = folder.path().join("delta");
    let made = delta::make(&base, &target, &path).unwrap();
    assert!(made.bytes < 150_000, "{}", made.bytes);
    let delta = Delta::open(&path).unwrap();
    assert_eq!((delta.base(), delta.target()), (from.digest(), to.digest()));
    assert_eq!(delta.manifest(&from).unwrap(), to);
    delta.check(&base).unwrap();
}
