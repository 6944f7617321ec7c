//! What these tests share.

use std::fs;
use std::path::{Path, PathBuf};

use gofleet_core::manifest::Manifest;
use gofleet_core::release::ReleaseRef;
use gofleet_depot::{Depot, Source, archive};
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
    pub fn stage(
        &self,
        depot: &Depot,
    ) -> Result<gofleet_depot::StageReport, gofleet_depot::DepotError> {
        depot.stage(&self.release, &self.manifest, Source::Archive(&self.path), &())
    }
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
