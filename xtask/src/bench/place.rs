//! A fresh file system in memory for each measurement: on a disk, its age would be measured.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;
use tempfile::TempDir;

/// A fresh folder in memory.
pub struct Place {
    folder: TempDir,
    is_mounted: bool,
}

impl Place {
    /// A tmpfs mounted for it; where one may not mount, a folder in one that is there.
    pub fn new() -> Result<Self> {
        let shared = Path::new("/dev/shm");
        let parent = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::tempdir_in(parent)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8g", "tmpfs"]).arg(folder.path());
        let mounted = mount.stderr(Stdio::null()).status();
        let is_mounted = mounted.is_ok_and(|status| status.success());
        Ok(Self { folder, is_mounted })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What it is, for people.
    pub fn kind(&self) -> String {
        if self.is_mounted {
            "a tmpfs mounted for it".to_owned()
        } else {
            // Only the superuser may mount.
            format!(
                "a fresh folder below {}",
                self.path().parent().unwrap_or(self.path()).display()
            )
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_mounted {
            // What stays mounted is seen by whoever looks; there is nothing else to do.
            let _ = Command::new("umount").arg(self.path()).status();
        }
    }
}
