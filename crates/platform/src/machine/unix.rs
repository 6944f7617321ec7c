//! A machine with Unix.

#![cfg_attr(target_os = "linux", expect(unsafe_code, reason = "calls of the C library"))]

use super::{Memory, ProcessorTimes};

pub fn hostname() -> Option<String> {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_string_lossy();
    (!name.is_empty()).then(|| name.into_owned())
}

pub fn os_version() -> Option<String> {
    let release = std::fs::read_to_string("/etc/os-release").ok();
    let pretty = release.as_deref().and_then(pretty_name);
    pretty.or_else(|| {
        let uname = rustix::system::uname();
        let (name, version) = (uname.sysname().to_string_lossy(), uname.release());
        Some(format!("{name} {}", version.to_string_lossy()))
    })
}

/// `PRETTY_NAME` of os-release(5).
fn pretty_name(release: &str) -> Option<String> {
    let value = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    let name = value.trim().trim_matches(['"', '\'']);
    (!name.is_empty()).then(|| name.to_owned())
}

pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// The first line of proc_stat(5): user, nice, system, idle, iowait, irq, softirq and steal; what
/// guests use is part of the first two.
pub fn processor_times() -> Option<ProcessorTimes> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let numbers = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8);
    let numbers: Vec<u64> = numbers.map(str::parse).collect::<Result<_, _>>().ok()?;
    let total: u64 = numbers.iter().sum();
    let idle: u64 = numbers.iter().skip(3).take(2).sum();
    Some(ProcessorTimes { busy: total - idle, total })
}

/// proc_meminfo(5).
pub fn memory() -> Option<Memory> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let bytes = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kibibytes * 1024)
    };
    Some(Memory { total_bytes: bytes("MemTotal:")?, available_bytes: bytes("MemAvailable:")? })
}

/// Left to itself, glibc learns from large blocks that are freed to keep up to 64 MB at the end of
/// each arena, where malloc_trim(3) does not reach (mallopt(3), `M_TRIM_THRESHOLD`).
pub fn keep_little_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call takes no pointer, and no other thread allocates at the same time.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 20);
    }
}

/// glibc keeps what was freed in the arenas of its threads until it is told (malloc_trim(3)).
pub fn release_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call takes no pointer and may be made by any thread at any time.
    unsafe {
        libc::malloc_trim(0);
    }
    #[cfg(target_os = "linux")]
    release_code();
}

/// Lets go of the pages of the program's code. The kernel maps them again, from its cache of files,
/// as they are run (madvise(2), `MADV_DONTNEED`).
#[cfg(target_os = "linux")]
fn release_code() {
    let Ok(program) = std::fs::read_link("/proc/self/exe") else { return };
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return };
    for (start, end) in maps.lines().filter_map(|line| code(line, &program.to_string_lossy())) {
        // SAFETY: the mapping is of the program's file, and nobody can have written to it, since it
        // is executable and not writable: what is read from it again is what was there.
        unsafe {
            libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED);
        }
    }
}

/// From where to where a line of proc_pid_maps(5) maps code of this program, if it does.
#[cfg(target_os = "linux")]
fn code(line: &str, program: &str) -> Option<(usize, usize)> {
    let (range, rest) = line.split_once(' ')?;
    let is_code = rest.starts_with("r-xp ") && rest.ends_with(&format!(" {program}"));
    let (start, end) = range.split_once('-').filter(|_| is_code)?;
    Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn only_code_of_the_program_is_let_go() {
        let line = |rights: &str| format!("5579a000-5579b000 {rights} 00012000 fe:00 42   /a b");
        assert_eq!(code(&line("r-xp"), "/a b"), Some((0x5579_a000, 0x5579_b000)));
        for (rights, program) in [("r--p", "/a b"), ("rwxp", "/a b"), ("r-xp", "/lib/a b/c")] {
            assert_eq!(code(&line(rights), program), None, "{rights} {program}");
        }
        assert_eq!(code("7ffd0000-7ffd2000 r-xp 00000000 00:00 0   [vdso]", "/a b"), None);
    }

    #[test]
    fn pretty_names_are_unquoted() {
        let release = "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
        assert_eq!(pretty_name(release).as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
        assert_eq!(pretty_name("PRETTY_NAME=\n"), None);
    }
}
