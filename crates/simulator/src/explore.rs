//! Many seeds on every processor, and what comes of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::invariant::Violation;
use crate::scenario::Scenario;
use crate::world::World;

/// What comes of many stories.
#[derive(Debug, Clone, Default)]
pub struct Explored {
    /// How many were played.
    pub seeds: u64,
    /// How many events there were in all.
    pub events: u64,
    /// How much time passed in them, in ms.
    pub lasted_ms: u64,
    /// The seeds that broke something, in their order, with what they broke.
    pub violations: Vec<(u64, Violation)>,
}

/// Plays the stories of these seeds. With `is_first_enough`, it ends soon after the first that
/// breaks something.
pub fn explore(seeds: std::ops::Range<u64>, devices: u32, is_first_enough: bool) -> Explored {
    explore_with(seeds, devices, is_first_enough, &|play| play())
}

/// What comes of each seed, on every processor; in their order.
pub fn each<T: Send>(seeds: std::ops::Range<u64>, play: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(seeds.start);
    let all = Mutex::new(Vec::new());
    on_every_processor(|| {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let outcome = play(seed);
            all.lock().unwrap_or_else(PoisonError::into_inner).push((seed, outcome));
        }
    });
    let mut all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    all.sort_by_key(|(seed, _)| *seed);
    all.into_iter().map(|(_, outcome)| outcome).collect()
}

fn on_every_processor(work: impl Fn() + Sync) {
    let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(&work);
        }
    });
}

/// As [`explore`]; each story is played by `around`, on the thread that plays it.
pub fn explore_with(
    seeds: std::ops::Range<u64>,
    devices: u32,
    is_first_enough: bool,
    around: &(dyn Fn(&mut dyn FnMut()) + Sync),
) -> Explored {
    let next = AtomicU64::new(seeds.start);
    let all = Mutex::new(Explored::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let scenario = Scenario::of(seed, devices);
            let mut ended = None;
            around(&mut || ended = Some(World::play(&scenario, false)));
            let Some(ended) = ended else { return };
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.seeds += 1;
            all.events += ended.events;
            all.lasted_ms += ended.lasted_ms;
            if let Some(violation) = ended.violation {
                all.violations.push((seed, violation));
                if is_first_enough {
                    next.store(seeds.end, Ordering::Relaxed);
                }
            }
        }
    };
    on_every_processor(work);
    let mut all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    all.violations.sort_by_key(|(seed, _)| *seed);
    all
}
