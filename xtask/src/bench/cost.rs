//! What running something costs: wall time, processor time, and memory, with all of its children.
//!
//! Processor time is what the kernel has counted for all descendants of this process, those that
//! run and those that have ended and been waited for. Memory is looked at every few milliseconds,
//! as the sum over all descendants of the pages that each has by itself and its share of those that
//! it has with others.

use std::collections::HashMap;
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

/// Runs `work` and tells what it and the processes that it started took, those included that were
/// running before and run on.
pub fn of(work: impl FnOnce() -> Result<()>) -> Result<Cost> {
    let (is_over, peak_bytes) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let kibibytes: u64 = descendants().into_iter().map(proportional_kibibytes).sum();
                peak_bytes.fetch_max(kibibytes * 1024, Ordering::Relaxed);
                thread::park_timeout(LOOK_EVERY);
            }
        });
        let (begin, before) = (Instant::now(), processor_ms());
        let outcome = work();
        let (wall, processor_ms) = (begin.elapsed(), processor_ms() - before);
        is_over.store(true, Ordering::Relaxed);
        watcher.thread().unpark();
        watcher.join().expect("it does not panic");
        outcome?;
        let peak_bytes = peak_bytes.load(Ordering::Relaxed);
        Ok(Cost { wall_ms: wall.as_secs_f64() * 1000.0, processor_ms, peak_bytes })
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

/// Processor time of all that this process has started, in milliseconds.
fn processor_ms() -> f64 {
    /// Of proc(5): user and system time of the process, then of its children that have ended.
    const OWN: [usize; 2] = [14, 15];
    const ENDED: [usize; 2] = [16, 17];
    const TICK_MS: f64 = 10.0;
    let of = |process: u32, fields: &[usize]| -> u64 {
        let stat = Stat::read(process);
        fields.iter().map(|field| stat.number(*field)).sum()
    };
    let own = of(std::process::id(), &ENDED);
    let others = descendants().into_iter();
    let ticks = own + others.map(|it| of(it, &OWN) + of(it, &ENDED)).sum::<u64>();
    ticks as f64 * TICK_MS
}

/// `/proc/<process>/stat`, whose fields are numbered from 1 (proc(5)); zeros if it has ended.
struct Stat(Vec<u64>);

impl Stat {
    fn read(process: u32) -> Self {
        let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // The second field is a name in parentheses, which may hold anything.
        let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
        Self(fields.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect())
    }

    fn number(&self, field: usize) -> u64 {
        const FIRST_AFTER_NAME: usize = 3;
        self.0.get(field - FIRST_AFTER_NAME).copied().unwrap_or(0)
    }

    fn parent(&self) -> u32 {
        u32::try_from(self.number(4)).unwrap_or(0)
    }
}

/// All descendants of this process.
fn descendants() -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(process) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        children.entry(Stat::read(process).parent()).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut left = vec![std::process::id()];
    while let Some(process) = left.pop() {
        let below = children.remove(&process).unwrap_or_default();
        left.extend(&below);
        found.extend(below);
    }
    found
}

fn proportional_kibibytes(process: u32) -> u64 {
    let memory = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
    let line = memory.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok()).unwrap_or(0)
}
