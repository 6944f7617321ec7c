//! Any bytes as a pack: `cargo +nightly fuzz run pack`. Checksums are not compared when fuzzing.
#![no_main]

use std::fs;

use gofleet_depot::pack;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder for a file");
    let path = folder.path().join("pack");
    fs::write(&path, bytes).expect("room for a file");
    if let Ok(manifest) = pack::manifest(&path) {
        let _ = pack::check(&path, &manifest);
    }
});
