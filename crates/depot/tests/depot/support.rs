//! What these tests share.

use std::fs;
use std::path::{Path, PathBuf};

use gofleet_core::manifest::Manifest;
use gofleet_core::release::ReleaseRef;
use gofleet_depot::{Depot, DepotError, Source, StageReport, archive};
use gofleet_testkit::archive::{File, small_go, zip};
use tempfile::TempDir;

/// A folder with archives, and one beside it for a root.
pub struct Ground {
    folder: TempDir,
}

/// An archive on disk with what an import knows of it.
pub struct Imported {
    pub path: PathBuf,
    pub release: ReleaseRef,
    pub manifest: Manifest,
}

impl Ground {
    pub fn new() -> Self {
        // In memory where there is such a place: staging syncs the whole file system, with all
        // that other programs have written to it.
        let memory = Path::new("/dev/shm");
        let folder =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self { folder: folder.unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn root(&self) -> PathBuf {
        self.path().join("root")
    }

    pub fn open(&self) -> Depot {
        Depot::open(self.root()).unwrap()
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    pub fn import(&self, files: &[File]) -> Imported {
        imported(self.write("archive", &zip(files)))
    }

    /// A miniature of this version, imported and staged.
    pub fn staged(&self, depot: &Depot, version: &str) -> Imported {
        let imported = self.import(&small_go(version));
        imported.stage(depot).unwrap();
        imported
    }
}

impl Imported {
    pub fn stage(&self, depot: &Depot) -> Result<StageReport, DepotError> {
        self.stage_from(depot, Source::Archive(&self.path))
    }

    pub fn stage_from(&self, depot: &Depot, source: Source<'_>) -> Result<StageReport, DepotError> {
        depot.stage(&self.release, &self.manifest, source, &())
    }
}

/// Changes a file in place, as somebody does who may write to what is read-only.
pub fn damage(path: &Path, content: &[u8]) {
    let mut permissions = fs::metadata(path).unwrap().permissions();
    #[expect(clippy::permissions_set_readonly_false, reason = "as somebody does")]
    permissions.set_readonly(false);
    fs::set_permissions(path, permissions).unwrap();
    fs::write(path, content).unwrap();
}

pub fn imported(path: PathBuf) -> Imported {
    let inspected = archive::inspect(&path).unwrap();
    Imported { release: inspected.release(), manifest: inspected.manifest, path }
}

/// Every file below `folder`, by its path in `/`, in order.
pub fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else {
                let below = path.strip_prefix(folder).unwrap();
                found.push(below.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

/// The error with its causes, as a user sees it.
pub fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// A file system of its own that goes away with this value.
pub struct Disk(PathBuf);

impl Disk {
    pub fn path(&self) -> &Path {
        &self.0
    }

    #[cfg(target_os = "linux")]
    pub fn remount_read_only(&self) {
        assert!(mount(&["-o", "remount,ro"], &self.0));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str], on: &Path) -> bool {
    let mount = std::process::Command::new("mount").args(arguments).arg(on).output();
    mount.is_ok_and(|output| output.status.success())
}

/// What `mount` makes of these arguments; none, and a word about it, where this user may not.
pub fn mounted(ground: &Ground, arguments: &[&str]) -> Option<Disk> {
    let path = ground.path().join("disk");
    fs::create_dir(&path).unwrap();
    if mount(arguments, &path) {
        return Some(Disk(path));
    }
    eprintln!("SKIPPED: this test mounts a file system, which this user or this system can't");
    None
}

/// A small tmpfs.
pub fn small_disk(ground: &Ground, size: &str) -> Option<Disk> {
    mounted(ground, &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
}
