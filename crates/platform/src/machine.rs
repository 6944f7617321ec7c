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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_a_name_a_system_and_a_processor() {
        assert!(!hostname().is_empty());
        assert_ne!(os_version(), "");
        assert!(processors() >= 1);
        assert!(resident_bytes().is_some_and(|bytes| bytes > 100_000));
    }
}
