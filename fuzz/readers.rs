//! What each target does with its bytes. Tests include this file too.

use std::sync::LazyLock;
use std::{fs, io};

use gofleet_core::digest::Digest;
use gofleet_core::manifest::{Manifest, ManifestFile};
use gofleet_depot::delta::Delta;
use gofleet_depot::{Files, pack as packs};

/// The bytes as a file, for as long as `read` takes.
fn with_file(bytes: &[u8], read: impl FnOnce(&std::path::Path)) {
    let folder = tempfile::tempdir().expect("a folder for a file");
    let path = folder.path().join("bytes");
    fs::write(&path, bytes).expect("room for a file");
    read(&path);
}

/// Any bytes as an archive.
pub fn archive(bytes: &[u8]) {
    with_file(bytes, |path| {
        let _ = gofleet_depot::archive::inspect(path);
    });
}

/// Any bytes as a pack.
pub fn pack(bytes: &[u8]) {
    with_file(bytes, |path| {
        if let Ok(manifest) = packs::manifest(path) {
            let _ = packs::check(path, &manifest);
        }
    });
}

/// Any bytes as a delta for a small release.
pub fn delta(bytes: &[u8]) {
    with_file(bytes, |path| {
        if let Ok(delta) = Delta::open(path) {
            let _ = delta.check(&*BASE);
        }
    });
}

/// A release of text, zeros and the beginning of an executable: this program's own.
struct Base {
    contents: Vec<Vec<u8>>,
    manifest: Manifest,
}

static BASE: LazyLock<Base> = LazyLock::new(|| {
    let program = std::env::current_exe().and_then(fs::read).unwrap_or_default();
    let program = program[..program.len().min(1 << 20)].to_vec();
    let contents = vec![b"package fmt\n".repeat(99), vec![0; 5000], program];
    let file = |(number, content): (usize, &Vec<u8>)| ManifestFile {
        path: format!("file{number}").parse().expect("a safe path"),
        size: content.len() as u64,
        executable: false,
        sha256: Digest::of(content),
    };
    let files = contents.iter().enumerate().map(file).collect();
    Base { manifest: Manifest::new(files).expect("a tree"), contents }
});

impl Files for Base {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn read(&self, index: usize) -> io::Result<Vec<u8>> {
        Ok(self.contents[index].clone())
    }
}
