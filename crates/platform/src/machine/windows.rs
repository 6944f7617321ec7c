//! A machine with Windows.

#![expect(unsafe_code, reason = "calls of Windows")]

use windows_sys::Wdk::System::SystemServices::RtlGetVersion;
use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::SystemInformation::{
    ComputerNameDnsHostname, GetComputerNameExW, GlobalMemoryStatusEx, MEMORYSTATUSEX,
    OSVERSIONINFOW,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetSystemTimes};

use super::{Memory, ProcessorTimes};

pub fn hostname() -> Option<String> {
    // A label of DNS has at most 63 characters; Windows allows more for the whole.
    let mut name = [0u16; 256];
    let mut length = name.len() as u32;
    // SAFETY: the buffer has the length that is told.
    let done =
        unsafe { GetComputerNameExW(ComputerNameDnsHostname, name.as_mut_ptr(), &raw mut length) };
    let name = name.get(..length as usize)?;
    (done != 0 && !name.is_empty()).then(|| String::from_utf16_lossy(name))
}

/// Windows 11 still calls itself 10.0; it is told from Windows 10 by its build, 22000 or later
/// (learn.microsoft.com, "Windows 11 release information").
pub fn os_version() -> Option<String> {
    let mut version = OSVERSIONINFOW {
        dwOSVersionInfoSize: size_of::<OSVERSIONINFOW>() as u32,
        ..OSVERSIONINFOW::default()
    };
    // SAFETY: the structure tells its own size, as the call demands. Unlike GetVersionExW, this
    // call does not depend on what the program's manifest declares.
    if unsafe { RtlGetVersion(&raw mut version) } != 0 {
        return None;
    }
    let OSVERSIONINFOW {
        dwMajorVersion: major, dwMinorVersion: minor, dwBuildNumber: build, ..
    } = version;
    let name = match (major, minor, build) {
        (10, 0, 22000..) => "Windows 11",
        (10, 0, _) => "Windows 10",
        _ => "Windows",
    };
    Some(format!("{name} ({major}.{minor}.{build})"))
}

pub fn resident_bytes() -> Option<u64> {
    let bytes = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
    let mut counters = PROCESS_MEMORY_COUNTERS { cb: bytes, ..PROCESS_MEMORY_COUNTERS::default() };
    // SAFETY: the handle of the own process is always valid, and the buffer has the size told.
    let done = unsafe { K32GetProcessMemoryInfo(GetCurrentProcess(), &raw mut counters, bytes) };
    (done != 0).then_some(counters.WorkingSetSize as u64)
}

/// What the system calls kernel time holds the idle time too.
pub fn processor_times() -> Option<ProcessorTimes> {
    let [mut idle, mut kernel, mut user] = [FILETIME::default(); 3];
    // SAFETY: all three are valid for the call.
    if unsafe { GetSystemTimes(&raw mut idle, &raw mut kernel, &raw mut user) } == 0 {
        return None;
    }
    let ticks =
        |time: FILETIME| (u64::from(time.dwHighDateTime) << 32) | u64::from(time.dwLowDateTime);
    let total = ticks(kernel) + ticks(user);
    Some(ProcessorTimes { busy: total.saturating_sub(ticks(idle)), total })
}

pub fn memory() -> Option<Memory> {
    let mut status = MEMORYSTATUSEX {
        dwLength: size_of::<MEMORYSTATUSEX>() as u32,
        ..MEMORYSTATUSEX::default()
    };
    // SAFETY: the structure tells its own size, as the call demands.
    let done = unsafe { GlobalMemoryStatusEx(&raw mut status) };
    let memory = Memory { total_bytes: status.ullTotalPhys, available_bytes: status.ullAvailPhys };
    (done != 0).then_some(memory)
}

/// The heap of Windows gives large freed pieces back by itself.
pub fn keep_little_memory() {}

pub fn release_memory() {}
