//! Any bytes as a delta for a small release: `cargo +nightly fuzz run delta`. Neither checksums nor
//! the digests of manifests are compared when fuzzing.
#![no_main]

#[path = "../readers.rs"]
#[allow(dead_code, reason = "each target is one of the readers")]
mod readers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::delta(bytes));
