//! Files that shells read.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Key, Location, Raw, Told};
use crate::file::{self, Access};

/// Those who change an environment hold a lock of their own in the root that they keep a journal
/// in; there is nothing more to hold here.
#[derive(Debug)]
pub struct Alone;

impl Alone {
    #[expect(clippy::unnecessary_wraps, reason = "the same signature as on Windows")]
    pub fn enter(_longest: Duration) -> io::Result<Self> {
        Ok(Self)
    }
}

fn path_of(location: &Location) -> io::Result<&Path> {
    match location {
        Location::File(path) => Ok(path),
        Location::Value { .. } => Err(io::ErrorKind::Unsupported.into()),
    }
}

pub fn read_value(_key: &Key, _name: &str) -> io::Result<Option<Raw>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub fn write(location: &Location, new: Option<&Raw>) -> io::Result<()> {
    let path = target(path_of(location)?)?;
    let Some(new) = new else {
        file::remove_tree(&path)?;
        return file::sync_folder_of(&path);
    };
    let mode = match fs::metadata(&path) {
        Ok(metadata) => metadata.permissions().mode() & 0o7777,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0o644,
        Err(error) => return Err(error),
    };
    if mode == 0o644 {
        return file::atomic_write(&path, &new.bytes, Access::Everyone);
    }
    // Closed to others until it has the mode that it had.
    file::atomic_write(&path, &new.bytes, Access::Private)?;
    fs::set_permissions(&path, Permissions::from_mode(mode))
}

/// The file itself where the path is a link, as in a home that is kept in a repository.
fn target(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
        other => other,
    }
}

/// A file that is there is opened for writing; replacing it also takes a folder that can be
/// written, which the write itself finds out.
pub fn check_access(location: &Location) -> io::Result<()> {
    let path = target(path_of(location)?)?;
    match OpenOptions::new().append(true).open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().unwrap_or(Path::new("/"));
            let is_writable =
                rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).map_err(io::Error::from);
            is_writable.and_then(|()| File::open(folder).map(drop))
        }
        other => other.map(drop),
    }
}

/// A shell reads its files when it starts.
pub fn announce(_longest: Duration) -> Told {
    Told::Nobody
}
