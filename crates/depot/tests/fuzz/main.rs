//! The targets of `fuzz/` without a fuzzer: each reads harmed bytes for a while. Compiled with
//! the feature `fuzzing`, so that checksums do not keep the harm from the readers.

#![expect(clippy::unwrap_used, reason = "these are tests")]

#[path = "../depot/harm.rs"]
mod harm;
#[path = "../../../../fuzz/readers.rs"]
mod readers;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

/// How long each is harmed.
const BUDGET: Duration = Duration::from_secs(15);

/// Reads the seed of a target, each time after other harm.
fn harmed(target: &str, read: fn(&[u8])) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let seed = fs::read(seeds.join("small")).unwrap();
    let (begun, mut rounds) = (Instant::now(), 0_u64);
    let (mut runner, harms) = (TestRunner::default(), vec(harm::harm(), 1..12));
    while begun.elapsed() < BUDGET {
        let harms = harms.new_tree(&mut runner).unwrap().current();
        let mut bytes = seed.clone();
        harms.iter().for_each(|harm| harm::apply(&mut bytes, harm));
        assert!(catch_unwind(|| read(&bytes)).is_ok(), "{target}: {harms:?}");
        rounds += 1;
    }
    println!("{target}: read {rounds} times");
}

#[test]
#[ignore = "15 seconds: cargo xtask test --suite fuzz"]
fn harmed_archives_are_read_without_a_panic() {
    harmed("archive", readers::archive);
}

#[test]
#[ignore = "15 seconds: cargo xtask test --suite fuzz"]
fn harmed_packs_are_read_without_a_panic() {
    harmed("pack", readers::pack);
}

#[test]
#[ignore = "15 seconds: cargo xtask test --suite fuzz"]
fn harmed_deltas_are_read_without_a_panic() {
    harmed("delta", readers::delta);
}
