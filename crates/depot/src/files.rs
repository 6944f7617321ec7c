//! Where the files of a release are read from when a pack or delta is made of them.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use gofleet_core::manifest::Manifest;
use thiserror::Error;

use crate::archive::{self, ArchiveError, Content, Entry, Sink, drain};
use crate::format::FormatError;
use crate::pack;

/// The files of a release, by their place in its manifest. They are read from several threads.
pub trait Files: Sync {
    /// What there is.
    fn manifest(&self) -> &Manifest;

    /// The content of the file at this place in the manifest.
    ///
    /// # Errors
    ///
    /// If it can't be read.
    fn read(&self, index: usize) -> io::Result<Vec<u8>>;
}

/// The files of a tree on the disk.
#[derive(Debug)]
pub struct TreeFiles {
    folder: PathBuf,
    manifest: Manifest,
}

impl TreeFiles {
    /// The tree in `folder`, which shall be the one that the manifest describes.
    pub fn new(folder: &Path, manifest: Manifest) -> Self {
        Self { folder: folder.to_owned(), manifest }
    }
}

impl Files for TreeFiles {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn read(&self, index: usize) -> io::Result<Vec<u8>> {
        fs::read(self.folder.join(self.manifest.files()[index].path.as_str()))
    }
}

/// Files of an archive or a pack, unpacked into memory and compared with the manifest.
#[derive(Debug)]
pub struct LoadedFiles {
    manifest: Manifest,
    contents: HashMap<usize, Vec<u8>>,
}

/// Why files can't be had from an archive or a pack.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The archive can't be read.
    #[error("the archive can't be read")]
    Archive(#[source] ArchiveError),
    /// The pack can't be read.
    #[error("the pack can't be read")]
    Pack(#[source] FormatError),
    /// A file is in it that the manifest does not list, or the other way round, or it is another.
    #[error("`{0}` is not as the manifest says")]
    Differs(String),
}

impl LoadedFiles {
    /// Unpacks from an archive the files whose content `other` has not; all of them without it.
    ///
    /// # Errors
    ///
    /// [`LoadError`] if the archive can't be read or is not what the manifest describes.
    pub fn from_archive(
        path: &Path,
        manifest: Manifest,
        other: Option<&Manifest>,
    ) -> Result<Self, LoadError> {
        Self::load(manifest, other, |loader| archive::read(path, loader))
    }

    /// The same from a pack.
    ///
    /// # Errors
    ///
    /// [`LoadError`] if the pack can't be read or is not what the manifest describes.
    pub fn from_pack(
        path: &Path,
        manifest: Manifest,
        other: Option<&Manifest>,
    ) -> Result<Self, LoadError> {
        Self::load(manifest, other, |loader| {
            pack::read(path, loader.manifest, &|index| loader.is_wanted[index], loader)
        })
    }

    fn load(
        manifest: Manifest,
        other: Option<&Manifest>,
        read: impl FnOnce(&Loader) -> Result<(), LoadError>,
    ) -> Result<Self, LoadError> {
        let known: Vec<_> = other.iter().flat_map(|other| other.files()).collect();
        let known: std::collections::HashSet<_> = known.iter().map(|file| file.sha256).collect();
        let is_wanted = manifest.files().iter().map(|file| !known.contains(&file.sha256));
        let is_wanted: Vec<bool> = is_wanted.collect();
        let loader =
            Loader { manifest: &manifest, is_wanted: &is_wanted, contents: Mutex::default() };
        read(&loader)?;
        let contents = loader.contents.into_inner().expect("no holder panics");
        let missing =
            (0..is_wanted.len()).find(|index| is_wanted[*index] && !contents.contains_key(index));
        match missing {
            Some(index) => Err(LoadError::Differs(manifest.files()[index].path.to_string())),
            None => Ok(Self { manifest, contents }),
        }
    }
}

impl Files for LoadedFiles {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn read(&self, index: usize) -> io::Result<Vec<u8>> {
        self.contents.get(&index).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

struct Loader<'a> {
    manifest: &'a Manifest,
    is_wanted: &'a [bool],
    contents: Mutex<HashMap<usize, Vec<u8>>>,
}

impl From<ArchiveError> for LoadError {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

impl From<FormatError> for LoadError {
    fn from(error: FormatError) -> Self {
        Self::Pack(error)
    }
}

impl Sink for Loader<'_> {
    type Error = LoadError;

    fn file(&self, entry: &Entry, content: &mut dyn Content) -> Result<(), LoadError> {
        let differs = || LoadError::Differs(entry.path.to_string());
        let index = self.manifest.index_of(entry.path.as_str()).ok_or_else(differs)?;
        if !self.is_wanted[index] {
            return Ok(());
        }
        let expected = &self.manifest.files()[index];
        let mut bytes = Vec::new();
        let (_, sha256) = drain(content, |chunk| {
            bytes.extend_from_slice(chunk);
            Ok::<(), LoadError>(())
        })?;
        if sha256 != expected.sha256 {
            return Err(differs());
        }
        self.contents.lock().expect("no holder panics").insert(index, bytes);
        Ok(())
    }
}

/// Compares every file that comes with the manifest, and keeps nothing.
pub(crate) struct Checker<'a, E> {
    manifest: &'a Manifest,
    error: PhantomData<fn() -> E>,
}

impl<'a, E> Checker<'a, E> {
    pub(crate) fn new(manifest: &'a Manifest) -> Self {
        Self { manifest, error: PhantomData }
    }
}

impl<E: From<ArchiveError> + From<LoadError> + Send> Sink for Checker<'_, E> {
    type Error = E;

    fn file(&self, entry: &Entry, content: &mut dyn Content) -> Result<(), E> {
        let expected = self.manifest.file(entry.path.as_str()).map(|file| file.sha256);
        let (_, found) = drain(content, |_| Ok::<(), E>(()))?;
        let is_same = expected == Some(found);
        if is_same { Ok(()) } else { Err(LoadError::Differs(entry.path.to_string()).into()) }
    }
}
