//! A Go that somebody else installed, taken into the depot without downloading it again.
//!
//! What is in the folder (of an installer, a zip, Scoop, `~/sdk`) is compared with the manifest of
//! a known release; what is the same is copied (or cloned: never linked, so that neither can change
//! the other), and the folder stays as it is.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use gofleet_core::digest::Digest;
use gofleet_core::ids::{PackageName, ReleaseId};
use gofleet_core::manifest::{InvalidManifest, Manifest, ManifestFile, TreePath};
use gofleet_core::release::{Platform, ReleaseRef};
use gofleet_platform::{Folder, Found};
use thiserror::Error;

use crate::archive::{ArchiveError, HEAD, Heads, identify, is_program, is_telling};
use crate::check::{self, CHUNK};
use crate::parallel;
use crate::verify::Difference;

/// What a folder with a Go holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// From `VERSION`, without `go`: `1.27.3`.
    pub version: String,
    /// From the executables.
    pub platform: Platform,
    /// Every ordinary file with a name that a release may have.
    pub found: Manifest,
    /// What else there is: links, and names that no release may have.
    pub others: Vec<String>,
}

/// Why a folder can't be adopted.
#[derive(Debug, Error)]
pub enum SurveyError {
    /// The system does not let us read it.
    #[error("could not read `{}`", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Its files can't stand side by side in a release.
    #[error("its files do not make up a tree")]
    Tree(#[source] InvalidManifest),
    /// It holds something else than one Go.
    #[error("it holds no Go")]
    NotGo(#[source] ArchiveError),
}

impl Survey {
    /// Reads every file of a folder. Links are not followed, but the folder itself may be one.
    ///
    /// # Errors
    ///
    /// [`SurveyError`] if it can't be read or is not a Go.
    pub fn of(folder: &Path) -> Result<Self, SurveyError> {
        let mut listed = Listed::default();
        listed.walk(folder, "")?;
        let opened = Folder::open(folder).map_err(unreadable(folder))?;
        let read = Mutex::new((Vec::new(), Heads::new()));
        parallel::each(
            &listed.files,
            || vec![0; CHUNK],
            |chunk, path| {
                let met = look_at(&opened, path, chunk);
                let met = met.map_err(|error| unreadable(&folder.join(path.as_str()))(error))?;
                if let Some((file, head)) = met {
                    let mut read = read.lock().expect("no holder panics");
                    read.1.extend(head.map(|head| (path.to_string(), head)));
                    read.0.push(file);
                }
                Ok(())
            },
        )?;
        let (files, heads) = read.into_inner().expect("no holder panics");
        let found = Manifest::new(files).map_err(SurveyError::Tree)?;
        let (version, platform) = identify(&found, &heads).map_err(SurveyError::NotGo)?;
        listed.others.sort();
        Ok(Self { version, platform, found, others: listed.others })
    }

    /// The id that this release of Go has.
    pub fn release(&self) -> ReleaseId {
        let package: PackageName = "go".parse().expect("a valid name");
        ReleaseRef::id_of(&package, &self.version, &self.platform)
            .expect("the version was checked when it was read")
    }

    /// In what the folder differs from a release, in order. Where a system has no modes (Windows),
    /// they are not compared.
    pub fn differences(&self, known: &Manifest) -> Vec<Difference> {
        let mut differences: Vec<Difference> = Vec::new();
        for file in known.files() {
            let name = || file.path.to_string();
            differences.extend(match self.found.file(file.path.as_str()) {
                None => Some(Difference::Missing(name())),
                Some(found) if found.size != file.size => Some(Difference::Size(name())),
                Some(found) if found.sha256 != file.sha256 => Some(Difference::Content(name())),
                Some(_) => None,
            });
        }
        let found = self.found.files().iter().map(|file| file.path.as_str());
        let extra = found.filter(|path| known.file(path).is_none()).map(str::to_owned);
        differences.extend(extra.chain(self.others.iter().cloned()).map(Difference::Unexpected));
        differences.sort();
        differences
    }
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> SurveyError {
    move |source| SurveyError::Read { path: path.to_owned(), source }
}

#[derive(Default)]
struct Listed {
    files: Vec<TreePath>,
    others: Vec<String>,
}

impl Listed {
    fn walk(&mut self, folder: &Path, below: &str) -> Result<(), SurveyError> {
        let here = folder.join(below);
        for entry in fs::read_dir(&here).map_err(unreadable(&here))? {
            let entry = entry.map_err(unreadable(&here))?;
            let kind = entry.file_type().map_err(unreadable(&here))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            match path.parse() {
                _ if kind.is_dir() => self.walk(folder, &path)?,
                Ok(path) if kind.is_file() => self.files.push(path),
                _ => self.others.push(path),
            }
        }
        Ok(())
    }
}

/// What is to be said of a file, and how it begins if that tells something; none if it has gone.
fn look_at(
    folder: &Folder,
    path: &TreePath,
    chunk: &mut [u8],
) -> io::Result<Option<(ManifestFile, Option<Vec<u8>>)>> {
    let Found::File(mut file, metadata) = folder.find(path.as_str())? else { return Ok(None) };
    let (size, executable) = (metadata.len(), check::is_executable(&metadata) || is_program(path));
    let head = if is_telling(path.as_str()) {
        let mut head = Vec::new();
        let Found::File(again, _) = folder.find(path.as_str())? else { return Ok(None) };
        again.take(HEAD as u64).read_to_end(&mut head)?;
        Some(head)
    } else {
        None
    };
    let sha256: Option<Digest> = check::digest(&mut file, size, chunk)?;
    let file = |sha256| ManifestFile { path: path.clone(), size, executable, sha256 };
    Ok(sha256.map(|sha256| (file(sha256), head)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_no_go_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = Survey::of(folder.path()).unwrap_err();
        assert!(matches!(error, SurveyError::Tree(InvalidManifest::Empty)), "{error}");
        fs::write(folder.path().join("VERSION"), b"go1.27.3").unwrap();
        let error = Survey::of(folder.path()).unwrap_err();
        assert!(matches!(error, SurveyError::NotGo(_)), "{error}");
        let error = Survey::of(&folder.path().join("absent")).unwrap_err();
        assert!(matches!(error, SurveyError::Read { .. }), "{error}");
    }
}
