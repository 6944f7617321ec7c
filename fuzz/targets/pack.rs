//! Any bytes as a pack: `cargo +nightly fuzz run pack`. Checksums are not compared when fuzzing.
#![no_main]

#[path = "../readers.rs"]
#[allow(dead_code, reason = "each target is one of the readers")]
mod readers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::pack(bytes));
