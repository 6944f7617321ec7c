//! Files on Unix.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{Access, Identity};

pub fn create_new(path: &Path, access: Access) -> io::Result<File> {
    let mode = match access {
        Access::Everyone => 0o644,
        Access::Private => 0o600,
    };
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

pub fn remove_folder(path: &Path) -> io::Result<()> {
    fs::remove_dir_all(path)
}

pub fn remove_file(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}

pub fn make_private(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o700))
}

pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// On Unix an open file does not stand in the way.
pub fn may_be_a_scanner(_error: &io::Error) -> bool {
    false
}

pub fn plain(path: PathBuf) -> PathBuf {
    path
}

#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Windows")]
pub fn identity(_file: &File, metadata: &Metadata) -> io::Result<(Identity, u64)> {
    Ok((Identity { volume: metadata.dev(), number: metadata.ino() }, metadata.nlink()))
}
