//! Folders on Unix: a descriptor, and the calls that take one.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, linkat, openat, unlinkat};
use rustix::io::Errno;

use super::Found;

#[derive(Debug)]
pub struct Folder(OwnedFd);

impl Folder {
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// Non-blocking, since opening a pipe would else wait for whoever writes to it.
    pub fn find(&self, name: &str) -> io::Result<Found> {
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match openat(&self.0, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Found::Absent),
            // A symbolic link; a socket.
            Err(Errno::LOOP | Errno::NXIO) => return Ok(Found::NotAFile),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        Ok(if metadata.is_file() { Found::File(file, metadata) } else { Found::NotAFile })
    }

    pub fn create(&self, name: &str, executable: bool) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = if executable { 0o555 } else { 0o444 };
        Ok(openat(&self.0, name, flags, Mode::from_raw_mode(mode))?.into())
    }

    pub fn link(&self, name: &str, folder: &Self, from: &str) -> io::Result<()> {
        Ok(linkat(&folder.0, from, &self.0, name, AtFlags::empty())?)
    }

    pub fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::empty())?)
    }
}

/// It was made read-only.
#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Windows")]
pub fn finish(_file: &File) -> io::Result<()> {
    Ok(())
}

pub fn clone_file(from: &Path, to: &Path) -> io::Result<()> {
    let target = OpenOptions::new().write(true).create_new(true).open(to)?;
    clone_content(&File::open(from)?, &target)
}

#[cfg(target_os = "linux")]
pub fn clone_content(from: &File, to: &File) -> io::Result<()> {
    Ok(rustix::fs::ioctl_ficlone(to, from)?)
}

#[cfg(not(target_os = "linux"))]
pub fn clone_content(_from: &File, _to: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
