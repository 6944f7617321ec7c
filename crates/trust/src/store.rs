//! What a client believes, in files: each is replaced as a whole, the floor before the metadata
//! that raises it, so that a kill leaves a floor that is too high for the store and never one that
//! is too low.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gofleet_core::digest::Digest;
use gofleet_core::time::Timestamp;
use gofleet_platform::{Access, atomic_write, create_private_folder};
use thiserror::Error;

use crate::trusted::{Floor, TrustError, Trusted, read_root};

/// A folder of metadata, and a file with the floor.
#[derive(Debug, Clone)]
pub struct Store {
    metadata: PathBuf,
    floor: PathBuf,
}

/// Why a store cannot be used. Nothing is run then: what is not known to be allowed is not.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A file cannot be read or written.
    #[error("the trust store cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The floor or the root is missing or not as it was written.
    #[error(
        "{} is missing or damaged: pin the root of trust again with `gofleet trust pin ROOT.json`",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Another root was pinned.
    #[error(
        "this device trusts the root {pinned} since it was pinned, and not {offered}: nobody but \
         an administrator of this device can change that, by removing {}",
        path.display()
    )]
    OtherRoot {
        /// What was pinned.
        pinned: Digest,
        /// What was offered.
        offered: Digest,
        /// Where that stands.
        path: PathBuf,
    },
    /// What is to be pinned is no root.
    #[error("this is no root of trust")]
    NoRoot(#[source] TrustError),
}

impl Store {
    /// The store in a folder; the floor stands in a file apart.
    pub fn new(metadata: &Path, floor: &Path) -> Self {
        Self { metadata: metadata.to_owned(), floor: floor.to_owned() }
    }

    /// The store of the agent whose own folder this is.
    pub fn of_agent(folder: &Path) -> Self {
        let folder = folder.join("trust");
        Self::new(&folder.join("metadata"), &folder.join("floor.json"))
    }

    /// Whether a root of trust was pinned here, whatever became of it since.
    ///
    /// # Errors
    ///
    /// [`StoreError::File`] if that cannot be told.
    pub fn is_pinned(&self) -> Result<bool, StoreError> {
        Ok(read(&self.floor)?.is_some() || self.load("root")?.is_some())
    }

    /// Pins a root: from here on only what follows from it is believed. Doing so again with the
    /// same root puts a damaged store right; the floor stays where it can be read.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; another root is never put in the place of one.
    pub fn pin(&self, root: &[u8]) -> Result<(), StoreError> {
        let content = read_root(root).map_err(StoreError::NoRoot)?;
        let mut floor = Floor::of_pin(root, &content);
        let offered = floor.pin;
        let known = read(&self.floor)?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(known) = known {
            floor = known;
        }
        if floor.pin != offered {
            let (pinned, path) = (floor.pin, self.floor.clone());
            return Err(StoreError::OtherRoot { pinned, offered, path });
        }
        let stored = self.load("root")?.and_then(|bytes| read_root(&bytes).ok());
        if stored.is_some_and(|stored| stored.version >= content.version) {
            // What is stored followed from it, or it is the same.
            return self.write_floor(&floor);
        }
        self.save("root", root, &floor)
    }

    /// The root and the floor, to begin with.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn open(&self, now: Timestamp) -> Result<Trusted, StoreError> {
        let damaged = |path: &Path| StoreError::Damaged { path: path.to_owned() };
        let floor = read(&self.floor)?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let floor = floor.ok_or_else(|| damaged(&self.floor))?;
        let path = self.path("root");
        let root = self.load("root")?.ok_or_else(|| damaged(&path))?;
        Trusted::new(&root, floor, now).map_err(|_| damaged(&path))
    }

    /// What is stored of a role.
    ///
    /// # Errors
    ///
    /// [`StoreError::File`]
    pub fn load(&self, role: &str) -> Result<Option<Vec<u8>>, StoreError> {
        read(&self.path(role))
    }

    /// Stores what a role says, the floor first.
    ///
    /// # Errors
    ///
    /// [`StoreError::File`]
    pub fn save(&self, role: &str, bytes: &[u8], floor: &Floor) -> Result<(), StoreError> {
        self.write_floor(floor)?;
        let (folder, path) = (&self.metadata, self.path(role));
        create_private_folder(folder).map_err(|source| failed(folder, source))?;
        atomic_write(&path, bytes, Access::Everyone).map_err(|source| failed(&path, source))
    }

    fn write_floor(&self, floor: &Floor) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(floor).expect("a floor is plain data");
        let folder = self.floor.parent().unwrap_or(&self.floor);
        create_private_folder(folder).map_err(|source| failed(folder, source))?;
        if read(&self.floor)?.is_some_and(|known| known == bytes) {
            return Ok(());
        }
        atomic_write(&self.floor, &bytes, Access::Everyone)
            .map_err(|source| failed(&self.floor, source))
    }

    fn path(&self, role: &str) -> PathBuf {
        self.metadata.join(format!("{}.json", quoted(role)))
    }
}

fn failed(path: &Path, source: io::Error) -> StoreError {
    StoreError::File { path: path.to_owned(), source }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed(path, source)),
    }
}

/// A role's name as part of a file's name or an address (RFC 3986, section 2.1); something always
/// follows it there, so that dots alone lead nowhere.
pub fn quoted(role: &str) -> String {
    let mut text = String::with_capacity(role.len());
    for byte in role.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                text.push(byte.into());
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
