//! What running something costs: wall time, processor time, and memory, with all of its children.
//!
//! Processor time is what the kernel has counted for children of this process that have ended and
//! been waited for. Memory is looked at every few milliseconds, as the sum over all descendants of
//! the pages that each has by itself and its share of those that it has with others.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// What something took.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    pub wall_ms: f64,
    /// Of all processors together.
    pub processor_ms: f64,
    /// Of all processes together.
    pub peak_bytes: u64,
}

/// Between two looks at the memory.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Runs `work` and tells what it and the processes that it started took; those that outlive it
/// count for memory only.
pub fn of(work: impl FnOnce() -> Result<()>) -> Result<Cost> {
    let (is_over, peak_bytes) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                peak_bytes.fetch_max(resident_bytes(std::process::id()), Ordering::Relaxed);
                thread::park_timeout(LOOK_EVERY);
            }
        });
        let (begin, before) = (Instant::now(), children_ms()?);
        let outcome = work();
        let cost = Cost {
            wall_ms: begin.elapsed().as_secs_f64() * 1000.0,
            processor_ms: children_ms()? - before,
            peak_bytes: 0,
        };
        is_over.store(true, Ordering::Relaxed);
        watcher.thread().unpark();
        watcher.join().expect("it does not panic");
        outcome?;
        Ok(Cost { peak_bytes: peak_bytes.load(Ordering::Relaxed), ..cost })
    })
}

/// How long a command takes, in milliseconds, start and end of its process included.
pub fn timed(command: &mut Command) -> Result<f64> {
    command.stdout(Stdio::null());
    let begin = Instant::now();
    succeed(command)?;
    Ok(begin.elapsed().as_secs_f64() * 1000.0)
}

/// Runs a command that must succeed.
pub fn succeed(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("{program} can't be started"))?;
    ensure!(status.success(), "{program} failed: {status}");
    Ok(())
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Processor time of this process's children that have ended, in milliseconds: fields 16 and 17 of
/// `/proc/self/stat` (proc(5)), in ticks of 1/100 s on every Linux.
fn children_ms() -> Result<f64> {
    const TICK_MS: f64 = 10.0;
    let stat = fs::read_to_string("/proc/self/stat").context("processor time: Linux only")?;
    let (_, fields) = stat.rsplit_once(')').context("/proc/self/stat has no name")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = fields.iter().skip(13).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    Ok(ticks.sum::<f64>() * TICK_MS)
}

/// Memory of all descendants of a process.
fn resident_bytes(ancestor: u32) -> u64 {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(process) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat
            .rsplit_once(')')
            .and_then(|(_, fields)| fields.split_whitespace().nth(1)?.parse().ok());
        children.entry(parent.unwrap_or(0)).or_default().push(process);
    }
    let (mut left, mut seen, mut kibibytes) = (vec![ancestor], HashSet::new(), 0);
    while let Some(process) = left.pop() {
        for child in children.get(&process).into_iter().flatten() {
            if seen.insert(*child) {
                kibibytes += proportional_kibibytes(*child);
                left.push(*child);
            }
        }
    }
    kibibytes * 1024
}

fn proportional_kibibytes(process: u32) -> u64 {
    let memory = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
    let line = memory.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok()).unwrap_or(0)
}
