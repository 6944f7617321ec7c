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

/// Bytes of memory that this process has resident; none where the system does not tell.
pub fn resident_bytes() -> Option<u64> {
    system::resident_bytes()
}

/// Gives memory that this process freed back to the system, where its allocator keeps it.
///
/// For a process that has done something large and goes to rest. It takes some milliseconds.
pub fn release_freed_memory() {
    system::release_freed_memory();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn freed_memory_goes_back_to_the_system() {
        // Pieces so small that the allocator keeps them in its heap, and one more above them that
        // stays, so that it cannot shrink the heap from its end.
        let pieces: Vec<_> = (0..60_000).map(|at| vec![at as u8; 1000]).collect();
        let last = vec![1u8; 1000];
        let full = resident_bytes().unwrap();
        drop(pieces);
        release_freed_memory();
        let left = resident_bytes().unwrap();
        assert_eq!(last.len(), 1000);
        assert!(left + 50_000_000 < full, "{full} bytes before, {left} bytes after");
    }

    #[test]
    fn a_machine_has_a_name_a_system_and_a_processor() {
        assert!(!hostname().is_empty());
        assert_ne!(os_version(), "");
        assert!(processors() >= 1);
        assert!(resident_bytes().is_some_and(|bytes| bytes > 100_000));
    }
}
