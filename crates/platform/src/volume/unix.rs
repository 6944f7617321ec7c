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
