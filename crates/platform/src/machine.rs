//! What a machine tells of itself.

#[cfg(unix)]
#[path = "machine/unix.rs"]
mod system;
#[cfg(windows)]
#[path = "machine/windows.rs"]
mod system;

/// The host name; `unknown` where there is none.
pub fn hostname() -> String {
    system::hostname().unwrap_or_else(|| "unknown".to_owned())
}

/// The operating system's name and version, as a person would read it.
pub fn os_version() -> String {
    system::os_version().unwrap_or_else(|| std::env::consts::OS.to_owned())
}

/// Logical processors that this process may use.
pub fn processors() -> u32 {
    std::thread::available_parallelism()
        .ok()
        .and_then(|count| u32::try_from(count.get()).ok())
        .unwrap_or(1)
}

/// How much the processors of the machine have done since it was started, in units of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessorTimes {
    /// What they worked.
    pub busy: u64,
    /// What they could have worked.
    pub total: u64,
}

impl ProcessorTimes {
    /// The part of the time since an earlier moment that they worked, from 0 to 1; none if no time
    /// has passed.
    pub fn share(self, earlier: Self) -> Option<f64> {
        let total = self.total.checked_sub(earlier.total).filter(|total| *total > 0)?;
        // The parts are not read at the very same moment.
        let busy = self.busy.saturating_sub(earlier.busy).min(total);
        Some(busy as f64 / total as f64)
    }
}

/// What the processors have done; none where the system does not tell.
pub fn processor_times() -> Option<ProcessorTimes> {
    system::processor_times()
}

/// The machine's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// All of it.
    pub total_bytes: u64,
    /// What programs could have without others being put aside.
    pub available_bytes: u64,
}

impl Memory {
    /// What is in use.
    pub const fn used_bytes(self) -> u64 {
        self.total_bytes.saturating_sub(self.available_bytes)
    }
}

/// The machine's memory; none where the system does not tell.
pub fn memory() -> Option<Memory> {
    system::memory()
}

/// Bytes of memory that this process has resident; none where the system does not tell.
pub fn resident_bytes() -> Option<u64> {
    system::resident_bytes()
}

/// Lets this process keep no more than a megabyte that it has freed, from now on: for one that does
/// something large now and then, and rests for nearly all of its life. Called before it has threads.
pub fn keep_little_memory() {
    system::keep_little_memory();
}

/// Gives memory back to the system: what this process freed, where its allocator keeps it, and the
/// code that it ran, which is mapped again where it is run again.
///
/// For a process that has done something large and goes to rest. It takes some milliseconds.
pub fn release_memory() {
    system::release_memory();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Held by the one test that measures what the process occupies.
    #[cfg(target_os = "linux")]
    static MEASURING: std::sync::Mutex<()> = std::sync::Mutex::new(());

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn freed_memory_goes_back_to_the_system() {
        let _alone = MEASURING.lock().unwrap();
        // Pieces so small that the allocator keeps them in its heap, and one more above them that
        // stays, so that it cannot shrink the heap from its end.
        let pieces: Vec<_> = (0..60_000).map(|at| vec![at as u8; 1000]).collect();
        let last = vec![1u8; 1000];
        let full = resident_bytes().unwrap();
        drop(pieces);
        release_memory();
        let left = resident_bytes().unwrap();
        assert_eq!(last.len(), 1000);
        assert!(left + 50_000_000 < full, "{full} bytes before, {left} bytes after");
    }

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn little_is_kept_of_what_another_thread_has_freed() {
        let _alone = MEASURING.lock().unwrap();
        keep_little_memory();
        // By such a block the allocator would learn to keep twice as much.
        drop(std::hint::black_box(vec![1u8; 31 << 20]));
        let largest = std::thread::spawn(|| {
            let pieces: Vec<_> = (0..60_000).map(|at| vec![at as u8; 1000]).collect();
            let largest = resident_bytes().unwrap();
            drop(pieces);
            largest
        });
        let largest = largest.join().unwrap();
        let left = resident_bytes().unwrap();
        assert!(left + 50_000_000 < largest, "{largest} bytes at most, {left} bytes after");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn code_that_was_given_back_runs_again() {
        let _alone = MEASURING.lock().unwrap();
        let before = resident_bytes().unwrap();
        release_memory();
        let after = resident_bytes().unwrap();
        assert!(after < before, "{before} bytes before, {after} bytes after");
        let memory = memory().unwrap();
        assert!(memory.used_bytes() > 0);
    }

    #[test]
    fn a_machine_has_a_name_a_system_and_a_processor() {
        assert!(!hostname().is_empty());
        assert_ne!(os_version(), "");
        assert!(processors() >= 1);
        assert!(resident_bytes().is_some_and(|bytes| bytes > 100_000));
    }

    #[test]
    fn a_machine_tells_its_load() {
        let memory = memory().unwrap();
        assert!(memory.used_bytes() > 0 && memory.used_bytes() < memory.total_bytes, "{memory:?}");
        let first = processor_times().unwrap();
        let share = loop {
            // This very loop is work.
            if let Some(share) = processor_times().unwrap().share(first) {
                break share;
            }
        };
        assert!((0.0..=1.0).contains(&share), "{share}");
        assert_eq!(first.share(first), None);
    }
}
