//! Whatever is done to the bytes of an archive: no panic, nothing outside, and never a tree that
//! is not the manifest's.

use gofleet_depot::Source;
use gofleet_testkit::archive::{File, small_go, tar_gz, zip};
use proptest::prelude::*;

use crate::harm::{apply, harm};
use crate::support::{Ground, Imported, files_below};

/// Few short files, so that much of the archive is structure.
fn files() -> Vec<File> {
    let mut files = small_go("1.27.3");
    for (_, content, _) in &mut files {
        content.truncate(40);
    }
    files
}

fn check(known: &Imported, ground: &Ground, bytes: &[u8]) {
    let archive = ground.write("harmed", bytes);
    let _ = gofleet_depot::archive::inspect(&archive);
    let depot = ground.open();
    if depot.stage(&known.release, &known.manifest, Source::Archive(&archive), &()).is_ok() {
        let names: Vec<_> =
            known.manifest.files().iter().map(|file| file.path.to_string()).collect();
        assert_eq!(files_below(&depot.tree(&known.release.id)), names);
        depot.verify(&known.release.id, &()).unwrap();
        depot.remove(&known.release.id).unwrap();
    }
    let left = files_below(ground.path());
    let is_known =
        |path: &String| path == "archive" || path == "harmed" || path.starts_with("root/agent/");
    assert!(left.iter().all(is_known), "{left:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_harmed_archive_never_yields_another_tree(
        is_zip in any::<bool>(),
        harms in prop::collection::vec(harm(), 1..6),
    ) {
        let ground = Ground::new();
        let known = ground.import(&files());
        let mut bytes = if is_zip { zip(&files()) } else { tar_gz(&files()) };
        for harm in &harms {
            apply(&mut bytes, harm);
        }
        check(&known, &ground, &bytes);
    }

    /// A tar whose gzip is in order, so that harm reaches the tar's structure.
    #[test]
    fn a_harmed_tar_never_yields_another_tree(harms in prop::collection::vec(harm(), 1..6)) {
        use std::io::{Read as _, Write as _};
        let ground = Ground::new();
        let known = ground.import(&files());
        let mut tar = Vec::new();
        flate2::read::GzDecoder::new(tar_gz(&files()).as_slice()).read_to_end(&mut tar).unwrap();
        for harm in &harms {
            apply(&mut tar, harm);
        }
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&tar).unwrap();
        check(&known, &ground, &gzip.finish().unwrap());
    }
}
