//! From one release to another: only what differs, as the difference.
//!
//! A delta tells which files the target has that its base has not, and how they come about from
//! files of the base. It proves nothing: whoever applies it compares the target manifest's digest
//! with the one that was ordered, and every file with the manifest.

mod make;
mod read;

use std::io;
use std::path::Path;

use gofleet_core::digest::Digest;
use gofleet_core::manifest::{Manifest, ManifestFile};
use thiserror::Error;

use crate::archive::{ArchiveError, Sink};
use crate::files::{Checker, Files, LoadError};
use crate::format::assembly::Assembly;
use crate::format::listing::Unresolved;
use crate::format::{FormatError, IS_STRICT, Magic};

pub use self::make::make;

const MAGIC: Magic = *b"gofleetD";

/// Why a delta can't be made or used.
#[derive(Debug, Error)]
pub enum DeltaError {
    /// A file that it is made of can't be read.
    #[error("`{path}` could not be read")]
    Source {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It can't be written.
    #[error("it could not be written")]
    Write(#[source] io::Error),
    /// It can't be read.
    #[error("the delta can't be used")]
    Format(#[source] FormatError),
    /// A file of the base can't be read.
    #[error("`{path}` of the base could not be read")]
    Base {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file of the base is not the one that the delta was made of.
    #[error("`{path}` of the base was changed")]
    BaseChanged {
        /// The file.
        path: String,
    },
    /// What it makes is not what it promises.
    #[error("it does not make the target's files")]
    WrongResult(#[source] LoadError),
}

impl From<FormatError> for DeltaError {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
    }
}

impl From<LoadError> for DeltaError {
    fn from(error: LoadError) -> Self {
        Self::WrongResult(error)
    }
}

impl From<ArchiveError> for DeltaError {
    fn from(error: ArchiveError) -> Self {
        Self::WrongResult(LoadError::Archive(error))
    }
}

/// An opened delta.
pub struct Delta {
    assembly: Assembly,
    base: Digest,
    target: Digest,
    changes: Unresolved,
}

impl Delta {
    /// Reads the head.
    ///
    /// # Errors
    ///
    /// [`DeltaError::Format`] if it can't be read.
    pub fn open(path: &Path) -> Result<Self, DeltaError> {
        Ok(read::open(path)?)
    }

    /// The digest of the base's manifest.
    pub fn base(&self) -> Digest {
        self.base
    }

    /// The digest of the target's manifest.
    pub fn target(&self) -> Digest {
        self.target
    }

    /// The target's manifest.
    ///
    /// # Errors
    ///
    /// [`DeltaError::Format`] if that is not the manifest of the base, or the changes do not make
    /// the target's manifest of it.
    pub fn manifest(&self, base: &Manifest) -> Result<Manifest, DeltaError> {
        if IS_STRICT && base.digest() != self.base {
            return Err(FormatError::WrongRelease.into());
        }
        let target = self.changes.apply(base)?;
        if IS_STRICT && target.digest() != self.target {
            return Err(FormatError::Malformed("it does not make the manifest it tells").into());
        }
        Ok(target)
    }

    /// Gives those files to `sink`, from several threads, whose content the base has not. The
    /// others are in the base's tree. `base_file` reads a file of that tree.
    pub(crate) fn read<S: Sink>(
        &self,
        base: &Manifest,
        base_file: BaseFile,
        sink: &S,
    ) -> Result<(), S::Error>
    where
        S::Error: From<DeltaError>,
    {
        read::read(self, base, base_file, sink)
    }

    /// Makes every file and compares it with the manifest, keeping nothing.
    ///
    /// # Errors
    ///
    /// [`DeltaError`] if it can't be applied to this base or makes something else.
    pub fn check(&self, base: &dyn Files) -> Result<(), DeltaError> {
        let (from, target) = (base.manifest(), self.manifest(base.manifest())?);
        let base_file = |file: &ManifestFile| {
            let index = from.index_of(file.path.as_str()).expect("a file of the base's manifest");
            base.read(index)
        };
        self.read(from, &base_file, &Checker::<DeltaError>::new(&target))
    }
}

/// Reads a file of the base.
type BaseFile<'a> = &'a (dyn Fn(&ManifestFile) -> io::Result<Vec<u8>> + Sync);
