//! What an archive holds: read from its content, never from its name.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use gofleet_core::digest::Digest;
use gofleet_core::ids::PackageName;
use gofleet_core::manifest::{Manifest, ManifestFile};
use gofleet_core::release::{Archive, Platform, ReleaseRef};
use gofleet_platform::positioned::read_exact_at;
use sha2::{Digest as _, Sha256};

use super::content::{Content, Entry, Sink, drain};
use super::{ArchiveError, executable, format_of};

/// What an archive holds, as read from its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// The package: `go`.
    pub package: PackageName,
    /// From `VERSION`, without `go`: `1.27.3`.
    pub version: String,
    /// From the executables.
    pub platform: Platform,
    /// Digest, size and format of the archive itself.
    pub archive: Archive,
    /// Every file that it unpacks to.
    pub manifest: Manifest,
}

impl Inspected {
    /// What an agent must know of the release.
    pub fn release(&self) -> ReleaseRef {
        let Self { package, version, platform, archive, manifest } = self.clone();
        let id = ReleaseRef::id_of(&package, &version, &platform).expect("checked when inspected");
        ReleaseRef { id, package, version, platform, manifest: manifest.digest(), archive }
    }
}

/// Reads an archive of Go: version, platform and manifest, all from its content, on all
/// processors.
///
/// # Errors
///
/// [`ArchiveError`] if it can't be read, is hostile, or is not Go.
pub fn inspect(path: &Path) -> Result<Inspected, ArchiveError> {
    let file = File::open(path).map_err(ArchiveError::Read)?;
    let format = format_of(&file)?;
    let size = file.metadata().map_err(ArchiveError::Read)?.len();
    let collector = Collector::default();
    let sha256 = thread::scope(|scope| {
        let hashing = scope.spawn(|| digest_of(&file, size));
        super::read(path, &collector)?;
        hashing.join().expect("hashing does not panic").map_err(ArchiveError::of_read)
    })?;
    let Collected { files, heads } = collector.0.into_inner().expect("no holder panics");
    let manifest = Manifest::new(files).map_err(ArchiveError::Tree)?;
    let (version, platform) = identify(&manifest, &heads)?;
    let package = "go".parse().expect("a valid name");
    let archive = Archive { sha256, size, format };
    Ok(Inspected { package, version, platform, archive, manifest })
}

/// How those files begin that tell version and platform.
pub(crate) type Heads = HashMap<String, Vec<u8>>;

/// Whether the beginning of this file tells version or platform.
pub(crate) fn is_telling(path: &str) -> bool {
    path == "VERSION" || path.starts_with("bin/")
}

/// Version and platform of a Go with these files.
pub(crate) fn identify(
    manifest: &Manifest,
    heads: &Heads,
) -> Result<(String, Platform), ArchiveError> {
    let version = version_of(heads)?;
    let platform = platform_of(manifest, heads)?;
    let package: PackageName = "go".parse().expect("a valid name");
    ReleaseRef::id_of(&package, &version, &platform).map_err(|_| strange(&version))?;
    Ok((version, platform))
}

/// Reads by position: the cursor is not needed here, and the file is shared.
fn digest_of(file: &File, size: u64) -> io::Result<Digest> {
    let (mut hash, mut chunk, mut at) = (Sha256::new(), vec![0; 1 << 20], 0);
    while at < size {
        let count = (size - at).min(chunk.len() as u64) as usize;
        read_exact_at(file, &mut chunk[..count], at)?;
        hash.update(&chunk[..count]);
        at += count as u64;
    }
    Ok(Digest::from_bytes(hash.finalize().into()))
}

#[derive(Default)]
struct Collector(Mutex<Collected>);

#[derive(Default)]
struct Collected {
    files: Vec<ManifestFile>,
    heads: Heads,
}

impl Sink for Collector {
    type Error = ArchiveError;

    fn file(&self, entry: &Entry, content: &mut dyn Content) -> Result<(), ArchiveError> {
        let path = entry.path.as_str();
        let wanted = if is_telling(path) { executable::HEAD } else { 0 };
        let mut head = Vec::new();
        let (size, sha256) = drain(content, |chunk| {
            let missing = (wanted - head.len()).min(chunk.len());
            head.extend_from_slice(&chunk[..missing]);
            Ok::<(), ArchiveError>(())
        })?;
        let file =
            ManifestFile { path: entry.path.clone(), size, executable: entry.executable, sha256 };
        let mut collected = self.0.lock().expect("no holder panics");
        collected.files.push(file);
        if is_telling(path) {
            collected.heads.insert(path.to_owned(), head);
        }
        Ok(())
    }
}

/// The version in the first line of `VERSION`, like `go1.27.3`.
fn version_of(heads: &Heads) -> Result<String, ArchiveError> {
    let not_go = || ArchiveError::NotGo("it has no file `go/VERSION`".to_owned());
    let text = String::from_utf8_lossy(heads.get("VERSION").ok_or_else(not_go)?);
    let line = text.lines().next().unwrap_or_default().trim();
    let version =
        line.strip_prefix("go").filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    version.map(str::to_owned).ok_or_else(|| strange(line))
}

fn strange(version: &str) -> ArchiveError {
    let shown: String = version.chars().take(80).flat_map(char::escape_debug).collect();
    ArchiveError::NotGo(format!("`go/VERSION` says `{shown}`, which is no version of Go"))
}

/// The platform that the folder of the tools names and the `go` program was made for.
fn platform_of(manifest: &Manifest, heads: &Heads) -> Result<Platform, ArchiveError> {
    let tools = manifest.files().iter().filter_map(|file| {
        let (folder, _) = file.path.as_str().strip_prefix("pkg/tool/")?.split_once('/')?;
        Some(folder)
    });
    let mut folders: Vec<&str> = tools.collect();
    folders.dedup();
    let not_go = |reason: String| Err(ArchiveError::NotGo(reason));
    let [folder] = folders[..] else {
        return not_go(format!("`go/pkg/tool` has {} platforms, not one", folders.len()));
    };
    let platform = folder.split_once('_').and_then(|(os, arch)| Platform::new(os, arch).ok());
    let Some(platform) = platform else {
        return not_go(format!("`go/pkg/tool/{folder}` is no platform"));
    };
    let suffix = platform.executable_suffix();
    let compiler = format!("pkg/tool/{folder}/compile{suffix}");
    if manifest.file(&compiler).is_none() {
        return not_go(format!("it has no compiler (`go/{compiler}`)"));
    }
    let program = format!("bin/go{suffix}");
    match heads.get(&program) {
        Some(head) if executable::is_for(head, platform.os(), platform.arch()) => Ok(platform),
        Some(_) => not_go(format!("`go/{program}` is no program for {platform}")),
        None => not_go(format!("it has no `go/{program}`")),
    }
}
