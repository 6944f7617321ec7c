//! Harm without a fuzzer: valid bytes are changed as strangers change them, over and over, and a
//! reader must not only survive that but keep what it promises. Tests of several crates include
//! this file.
//!
//! Harm is made by a generator of numbers whose start is printed when something is found, with the
//! bytes themselves after the harms that do not matter were taken away.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Environment variable with the seconds that each reader is given, instead of its own few.
const SECONDS: &str = "GOFLEET_FUZZ_SECONDS";
/// The most bytes that harm makes of something: what a request may bring.
const MOST_BYTES: usize = 1 << 20;
/// The most bytes that the process may have had in memory at any time: readers of texts of at most
/// a megabyte need a small part of it, and what is announced and not there must cost nothing.
const MOST_MEMORY_KIB: u64 = 1 << 20;
/// Texts that mean something to many formats, or stand at the edge of what numbers and names can be.
const WORDS: [&str; 36] = [
    "0",
    "-1",
    "1",
    "127",
    "255",
    "65536",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "1e999",
    "0x10",
    "-0",
    "null",
    "true",
    "\"\"",
    "{}",
    "[]",
    "[[[[[[[[",
    "((((((((",
    "not ",
    "..",
    "../",
    "\\",
    "\u{0}",
    "\u{feff}",
    "\u{202e}",
    "\r\n",
    "\t",
    "=",
    ",",
    ";",
    "\"",
    "%00",
];

/// What is done to some bytes.
#[derive(Debug, Clone)]
enum Harm {
    Set(usize, u8),
    Flip(usize, u8),
    Insert(usize, u8),
    Cut(usize),
    Delete(usize, usize),
    Copy(usize, usize, usize),
    Repeat(usize, usize, usize),
    Word(usize, usize),
    Number(usize, usize),
    Splice(usize, usize, usize, usize),
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
struct Dice(u64);

impl Dice {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound.max(1) as u64) as usize
    }

    /// A place in some bytes of any length.
    fn place(&mut self) -> usize {
        (self.number() >> 8) as usize
    }

    fn harm(&mut self) -> Harm {
        let (at, to, byte) = (self.place(), self.place(), self.number() as u8);
        match self.below(16) {
            0..3 => Harm::Set(at, byte),
            3..6 => Harm::Flip(at, 1 << (byte % 8)),
            6 => Harm::Insert(at, byte),
            7 => Harm::Cut(at),
            8 => Harm::Delete(at, 1 + self.below(40)),
            9 => Harm::Copy(at, to, 1 + self.below(60)),
            10 => Harm::Repeat(at, 1 + self.below(12), 1 << self.below(14)),
            11..13 => Harm::Word(at, self.below(WORDS.len())),
            13..15 => Harm::Number(at, self.below(WORDS.len())),
            _ => Harm::Splice(at, self.place(), to, 1 + self.below(200)),
        }
    }

    /// Mostly one or two: what is harmed all over is refused at its first byte.
    fn harms(&mut self) -> Vec<Harm> {
        let count = 1 + self.number().trailing_zeros().min(9);
        (0..count).map(|_| self.harm()).collect()
    }
}

fn apply(bytes: &mut Vec<u8>, harm: &Harm, seeds: &[Vec<u8>]) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    let end = |at: usize, count: usize| (at + count).min(length);
    match *harm {
        Harm::Set(at, byte) => bytes[at % length] = byte,
        Harm::Flip(at, bit) => bytes[at % length] ^= bit,
        Harm::Insert(at, byte) => bytes.insert(at % length, byte),
        Harm::Cut(at) => bytes.truncate(at % length),
        Harm::Delete(at, count) => drop(bytes.drain(at % length..end(at % length, count))),
        Harm::Copy(from, to, count) => {
            let (from, to) = (from % length, to % length);
            let count = count.min(length - from).min(length - to);
            bytes.copy_within(from..from + count, to);
        }
        Harm::Repeat(at, count, times) => {
            let part = bytes[at % length..end(at % length, count)].to_vec();
            let times = times.min(MOST_BYTES.saturating_sub(length) / part.len());
            let at = at % length;
            bytes.splice(at..at, part.repeat(times));
        }
        Harm::Word(at, word) => {
            let at = at % length;
            bytes.splice(at..at, WORDS[word].bytes());
        }
        Harm::Number(at, word) => {
            // The next number, or what is no number.
            let Some(first) = (at % length..length).find(|at| bytes[*at].is_ascii_digit()) else {
                return;
            };
            let last = (first..length).find(|at| !bytes[*at].is_ascii_digit()).unwrap_or(length);
            bytes.splice(first..last, WORDS[word].bytes());
        }
        Harm::Splice(at, seed, from, count) => {
            let other = &seeds[seed % seeds.len()];
            let from = from % other.len().max(1);
            let part = other[from..(from + count).min(other.len())].to_vec();
            let at = at % length;
            bytes.splice(at..at, part);
        }
    }
}

fn with(seed: &[u8], harms: &[Harm], seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    harms.iter().for_each(|harm| apply(&mut bytes, harm, seeds));
    bytes
}

/// Has `read` read each of the seeds, which it must accept, and then harmed ones for some seconds.
/// It tells whether it accepted the bytes, and panics if it does not keep what it promises.
pub fn harmed(target: &str, seconds: u64, seeds: &[Vec<u8>], read: impl Fn(&[u8]) -> bool) {
    for seed in seeds {
        assert!(read(seed), "{target}: what is not harmed is refused: {}", seed.escape_ascii());
    }
    let told = std::env::var(SECONDS).ok().and_then(|text| text.parse().ok());
    let budget = Duration::from_secs(told.unwrap_or(seconds));
    let start = RandomState::new().build_hasher().finish();
    let mut dice = Dice(start);
    let survives = |bytes: &[u8]| catch_unwind(AssertUnwindSafe(|| read(bytes)));
    let (begun, mut rounds, mut accepted) = (Instant::now(), 0_u64, 0_u64);
    let mut slowest = Duration::ZERO;
    while begun.elapsed() < budget {
        let seed = &seeds[dice.below(seeds.len())];
        let harms = dice.harms();
        let bytes = with(seed, &harms, seeds);
        let before = Instant::now();
        match survives(&bytes) {
            Ok(is_accepted) => accepted += u64::from(is_accepted),
            Err(_) => found(target, start, seed, harms, seeds, &|bytes| survives(bytes).is_err()),
        }
        slowest = slowest.max(before.elapsed());
        rounds += 1;
        if rounds % 256 == 0 {
            let kib = peak_memory_kib();
            assert!(kib <= MOST_MEMORY_KIB, "{target}: {kib} KiB in memory at most, from {start}");
        }
    }
    let slowest_ms = slowest.as_millis();
    println!("{target}: read {rounds} times, accepted {accepted}, slowest {slowest_ms} ms");
}

/// Takes away the harms that do not matter, and tells the rest.
fn found(
    target: &str,
    start: u64,
    seed: &[u8],
    mut harms: Vec<Harm>,
    seeds: &[Vec<u8>],
    fails: &dyn Fn(&[u8]) -> bool,
) -> ! {
    let mut at = 0;
    while at < harms.len() {
        let mut fewer = harms.clone();
        fewer.remove(at);
        if fails(&with(seed, &fewer, seeds)) {
            harms = fewer;
        } else {
            at += 1;
        }
    }
    let bytes = with(seed, &harms, seeds);
    let path = std::env::temp_dir().join(format!("harmed-{target}"));
    let kept = fs::write(&path, &bytes).map(|()| path.display().to_string());
    let shown = bytes[..bytes.len().min(4000)].escape_ascii();
    panic!("{target}, from {start}: {harms:?}\n{shown}\n(all of it: {kept:?})")
}

/// The most that this process has had in memory (proc(5)); none where that is not told.
fn peak_memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok()).unwrap_or(0)
}
