//! Any bytes as an archive: `cargo +nightly fuzz run archive`.
#![no_main]

#[path = "../readers.rs"]
#[allow(dead_code, reason = "each target is one of the readers")]
mod readers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::archive(bytes));
