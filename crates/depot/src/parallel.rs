//! Doing one thing with each of many items, on all processors.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// How many threads are worth having for `items` pieces of work.
pub(crate) fn threads(items: usize) -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(items).max(1)
}

/// Calls `work` once for each item, in order of the list but on several threads, each of which
/// has a state of its own. The first error ends it.
pub(crate) fn each<T: Sync, State, E: Send>(
    items: &[T],
    state: impl Fn() -> State + Sync,
    work: impl Fn(&mut State, &T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let (next, failed, first_error) =
        (AtomicUsize::new(0), AtomicBool::new(false), Mutex::new(None));
    let run = || {
        let mut state = state();
        while !failed.load(Ordering::Relaxed) {
            let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            if let Err(error) = work(&mut state, item) {
                failed.store(true, Ordering::Relaxed);
                first_error.lock().expect("no holder panics").get_or_insert(error);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads(items.len()) {
            scope.spawn(run);
        }
        run();
    });
    first_error.into_inner().expect("no holder panics").map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn every_item_is_worked_on_once() {
        let items: Vec<u64> = (0..1000).collect();
        let sum = AtomicU64::new(0);
        let add = |(): &mut (), item: &u64| {
            sum.fetch_add(*item, Ordering::Relaxed);
            Ok::<(), ()>(())
        };
        each(&items, || (), add).unwrap();
        assert_eq!(sum.into_inner(), 499_500);
    }

    #[test]
    fn an_error_ends_it() {
        let items: Vec<u64> = (0..100_000).collect();
        let done = AtomicU64::new(0);
        let fail = |(): &mut (), item: &u64| {
            done.fetch_add(1, Ordering::Relaxed);
            if *item == 3 { Err("three") } else { Ok(()) }
        };
        assert_eq!(each(&items, || (), fail), Err("three"));
        assert!(done.into_inner() < 100_000);
    }
}
