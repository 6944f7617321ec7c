//! The server's data folder: its layout, its lock, and what is cleared up at a start.
//!
//! ```text
//! DATA/lock               held by the one server that runs on the folder
//! DATA/address            where it listens, like https://127.0.0.1:8470
//! DATA/admin-token        the administrator's token, readable by the owner only
//! DATA/authority.pem      the certificate of the server's own authority
//! DATA/authority-key.pem  its key; its owner only
//! DATA/audit-key          the seed of the key that signs the audit log's head; its owner only
//! DATA/audit-head         the last signed head of the audit log, outside of the database
//! DATA/trust-keys         the seeds of the keys for metadata and orders; its owner only
//! DATA/artifacts/<sha256> the archives of the catalog, and the packs and deltas made of them
//! DATA/incoming/          what is being uploaded or made; at a start all of it is left over
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gofleet_core::digest::Digest;
use gofleet_platform::file::{Access, atomic_write, create_private_folder, remove_tree};
use gofleet_platform::{FileLock, LockError};
use thiserror::Error;

/// A data folder that this process has to itself.
#[derive(Debug)]
pub struct DataFolder {
    root: PathBuf,
    _lock: FileLock,
}

/// Why the data folder cannot be used.
#[derive(Debug, Error)]
pub enum DataError {
    /// It cannot be made or written.
    #[error("the data folder {} cannot be used", path.display())]
    Unusable {
        /// The folder or the file in it.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another server has it.
    #[error("another server runs on the data folder {}", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Who has it.
        #[source]
        source: LockError,
    },
}

impl DataError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::InUse { .. } => Some(
                "stop the other server, or give this one a folder of its own: --data DIR".into(),
            ),
            Self::Unusable { .. } => {
                Some("choose a folder that this user may write: --data DIR".into())
            }
        }
    }
}

impl DataFolder {
    /// Makes the folder if need be, takes its lock, and removes uploads that were cut off.
    ///
    /// # Errors
    ///
    /// [`DataError`]
    pub fn open(root: &Path) -> Result<Self, DataError> {
        let unusable = |path: &Path| {
            let path = path.to_owned();
            move |source| DataError::Unusable { path, source }
        };
        create_private_folder(root).map_err(unusable(root))?;
        let lock = FileLock::acquire(&root.join("lock")).map_err(|error| match error {
            LockError::Held { .. } => DataError::InUse { path: root.to_owned(), source: error },
            LockError::Unusable { path, source } => DataError::Unusable { path, source },
        })?;
        let data = Self { root: root.to_owned(), _lock: lock };
        remove_tree(&data.incoming()).map_err(unusable(&data.incoming()))?;
        for folder in [data.incoming(), data.artifacts()] {
            fs::create_dir_all(&folder).map_err(unusable(&folder))?;
        }
        Ok(data)
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where files are written until they are known to be good.
    pub fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    /// Where an artifact lies.
    pub fn artifact(&self, sha256: &Digest) -> PathBuf {
        self.artifacts().join(sha256.to_string())
    }

    /// Removes artifacts that the database does not name: a kill between "the file is in its
    /// place" and "the database names it" leaves one.
    ///
    /// # Errors
    ///
    /// [`DataError::Unusable`]
    pub fn retain_artifacts(&self, is_named: impl Fn(&Digest) -> bool) -> Result<(), DataError> {
        let folder = self.artifacts();
        let unusable = |source| DataError::Unusable { path: folder.clone(), source };
        for entry in fs::read_dir(&folder).map_err(unusable)? {
            let entry = entry.map_err(unusable)?;
            let digest = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if !digest.is_some_and(|digest| is_named(&digest)) {
                remove_tree(&entry.path()).map_err(unusable)?;
            }
        }
        Ok(())
    }

    /// The file with the administrator's token.
    pub fn admin_token_file(&self) -> PathBuf {
        self.root.join("admin-token")
    }

    /// The administrator's token, if it was written down and not taken away.
    ///
    /// # Errors
    ///
    /// [`DataError::Unusable`] if it cannot be read.
    pub fn admin_token(&self) -> Result<Option<String>, DataError> {
        let path = self.admin_token_file();
        read_optional(&path).map_err(|source| DataError::Unusable { path, source })
    }

    /// Writes the administrator's token down for its owner.
    ///
    /// # Errors
    ///
    /// [`DataError::Unusable`]
    pub fn write_admin_token(&self, token: &str) -> Result<(), DataError> {
        self.write("admin-token", token, Access::Private)
    }

    /// The seed of the key that signs the audit log's head, if there is one.
    ///
    /// # Errors
    ///
    /// [`DataError::Unusable`] if it cannot be read, or is none.
    pub fn audit_seed(&self) -> Result<Option<[u8; 32]>, DataError> {
        let path = self.root.join("audit-key");
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "it holds no key");
        let seed = read_optional(&path).and_then(|text| match text {
            None => Ok(None),
            Some(text) => {
                // 32 bytes in hexadecimal digits, as a digest is written.
                let seed: Digest = text.trim().parse().map_err(|_| invalid())?;
                Ok(Some(*seed.as_bytes()))
            }
        });
        seed.map_err(|source| DataError::Unusable { path, source })
    }

    /// Writes the seed of the key that signs the audit log's head.
    ///
    /// # Errors
    ///
    /// [`DataError::Unusable`]
    pub fn write_audit_seed(&self, seed: &[u8; 32]) -> Result<(), DataError> {
        self.write("audit-key", &Digest::from_bytes(*seed).to_string(), Access::Private)
    }

    /// The seeds of the keys that sign metadata and orders, if there are some.
    ///
    /// # Errors
    ///
    /// [`DataError::Unusable`] if they cannot be read, or are none.
    pub fn trust_seeds(&self) -> Result<Option<[[u8; 32]; 2]>, DataError> {
        let path = self.root.join("trust-keys");
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "it does not hold two keys");
        let seeds = read_optional(&path).and_then(|text| match text {
            None => Ok(None),
            Some(text) => {
                let seeds: Result<Vec<Digest>, _> = text.lines().map(str::parse).collect();
                let seeds = seeds.ok().and_then(|seeds| <[Digest; 2]>::try_from(seeds).ok());
                Ok(Some(seeds.ok_or_else(invalid)?.map(|seed| *seed.as_bytes())))
            }
        });
        seeds.map_err(|source| DataError::Unusable { path, source })
    }

    /// Writes the seeds of the keys that sign metadata and orders.
    ///
    /// # Errors
    ///
    /// [`DataError::Unusable`]
    pub fn write_trust_seeds(&self, seeds: &[[u8; 32]; 2]) -> Result<(), DataError> {
        let lines = seeds.map(|seed| Digest::from_bytes(seed).to_string());
        self.write("trust-keys", &lines.join("\n"), Access::Private)
    }

    /// The last signed head of the audit log, if there is one.
    ///
    /// # Errors
    ///
    /// [`DataError::Unusable`] if it cannot be read.
    pub fn audit_head(&self) -> Result<Option<String>, DataError> {
        let path = self.root.join("audit-head");
        read_optional(&path).map_err(|source| DataError::Unusable { path, source })
    }

    /// Writes the last signed head of the audit log.
    ///
    /// # Errors
    ///
    /// [`DataError::Unusable`]
    pub fn write_audit_head(&self, note: &str) -> Result<(), DataError> {
        self.write("audit-head", note.trim_end_matches('\n'), Access::Everyone)
    }

    /// Writes down where the server listens.
    ///
    /// # Errors
    ///
    /// [`DataError::Unusable`]
    pub fn write_address(&self, url: &str) -> Result<(), DataError> {
        self.write("address", url, Access::Everyone)
    }

    /// Takes the address away: the server does not listen any more.
    pub fn remove_address(&self) {
        // A stale address is only a hint that leads nowhere; there is nobody to tell.
        let _ = fs::remove_file(self.root.join("address"));
    }

    fn artifacts(&self) -> PathBuf {
        self.root.join("artifacts")
    }

    fn write(&self, name: &str, text: &str, access: Access) -> Result<(), DataError> {
        let path = self.root.join(name);
        atomic_write(&path, format!("{text}\n").as_bytes(), access)
            .map_err(|source| DataError::Unusable { path, source })
    }
}

fn read_optional(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_has_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataFolder::open(folder.path()).unwrap();
        let error = DataFolder::open(folder.path()).unwrap_err();
        assert!(matches!(error, DataError::InUse { .. }), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("--data")));
        drop(first);
        DataFolder::open(folder.path()).unwrap();
    }

    #[test]
    fn a_start_clears_up_what_a_kill_left() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, orphan) = (Digest::of(b"kept"), Digest::of(b"orphan"));
        let data = DataFolder::open(folder.path()).unwrap();
        fs::write(data.incoming().join("half"), b"half").unwrap();
        for digest in [kept, orphan] {
            fs::write(data.artifact(&digest), b"x").unwrap();
        }
        drop(data);
        let data = DataFolder::open(folder.path()).unwrap();
        data.retain_artifacts(|digest| *digest == kept).unwrap();
        assert_eq!(fs::read_dir(data.incoming()).unwrap().count(), 0);
        assert!(data.artifact(&kept).exists() && !data.artifact(&orphan).exists());
    }
}
