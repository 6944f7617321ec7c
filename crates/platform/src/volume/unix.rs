//! File systems on Unix.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::Support;

pub fn free_space(path: &Path) -> io::Result<u64> {
    let volume = rustix::fs::statvfs(path)?;
    Ok(volume.f_bavail.saturating_mul(volume.f_frsize))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn sync_file_system(path: &Path) -> io::Result<Support> {
    rustix::fs::syncfs(File::open(path)?)?;
    Ok(Support::Done)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn sync_file_system(path: &Path) -> io::Result<Support> {
    File::open(path)?;
    rustix::fs::sync();
    Ok(Support::Done)
}

#[cfg(target_os = "linux")]
pub fn reserve(file: &File, bytes: u64) -> io::Result<Support> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;
    let now = file.metadata()?.len();
    if bytes <= now {
        file.set_len(bytes)?;
        return Ok(Support::Done);
    }
    match fallocate(file, FallocateFlags::empty(), now, bytes - now) {
        Ok(()) => Ok(Support::Done),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(Support::Unsupported),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Linux")]
pub fn reserve(_file: &File, _bytes: u64) -> io::Result<Support> {
    Ok(Support::Unsupported)
}
