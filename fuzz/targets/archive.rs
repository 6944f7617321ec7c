//! Any bytes as an archive: `cargo +nightly fuzz run archive`.
#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder for a file");
    let path = folder.path().join("archive");
    fs::write(&path, bytes).expect("room for a file");
    let _ = gofleet_depot::archive::inspect(&path);
});
