//! File systems on Unix.

use std::fs::File;
use std::io;
use std::path::Path;

use super::Space;
use crate::Support;

/// What is kept for the superuser is left out, as df(1) does.
pub fn space(path: &Path) -> io::Result<Space> {
    let volume = rustix::fs::statvfs(path)?;
    let used = volume.f_blocks.saturating_sub(volume.f_bfree);
    let bytes = |blocks: u64| blocks.saturating_mul(volume.f_frsize);
    Ok(Space {
        free_bytes: bytes(volume.f_bavail),
        total_bytes: bytes(used.saturating_add(volume.f_bavail)),
    })
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
