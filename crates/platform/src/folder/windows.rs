//! Folders on Windows, which has no calls that take one: its path is kept.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use windows_sys::Win32::Storage::FileSystem::FILE_FLAG_OPEN_REPARSE_POINT;

use super::Found;

#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn open(path: &Path) -> io::Result<Self> {
        if fs::metadata(path)?.is_dir() {
            Ok(Self(path.to_owned()))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    pub fn find(&self, name: &str) -> io::Result<Found> {
        let path = self.0.join(name);
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
        match options.open(&path) {
            Ok(file) => {
                let metadata = file.metadata()?;
                Ok(if metadata.is_file() { Found::File(file, metadata) } else { Found::NotAFile })
            }
            Err(error) if is_absent(&error) => Ok(Found::Absent),
            // A folder is not opened that way.
            Err(error) => match fs::symlink_metadata(&path) {
                Ok(metadata) if !metadata.is_file() => Ok(Found::NotAFile),
                _ => Err(error),
            },
        }
    }

    pub fn create(&self, name: &str, _executable: bool) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).open(self.0.join(name))
    }

    pub fn link(&self, name: &str, folder: &Self, from: &str) -> io::Result<()> {
        fs::hard_link(folder.0.join(from), self.0.join(name))
    }

    pub fn remove(&self, name: &str) -> io::Result<()> {
        crate::file::remove_tree(&self.0.join(name))
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Read-only from here on; the handle may still write.
pub fn finish(file: &File) -> io::Result<()> {
    super::make_read_only(file, &file.metadata()?)
}

/// ReFS could, NTFS can't.
pub fn clone_file(_from: &Path, _to: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub fn clone_content(_from: &File, _to: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
