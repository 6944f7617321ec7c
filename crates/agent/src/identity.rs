//! Who this device is: its id and the secret that it authenticates with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gofleet_core::ids::DeviceId;
use gofleet_platform::{Access, atomic_write};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What enrolment gave this device, kept in a file that only its owner may read.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The device's name at its server.
    pub device: DeviceId,
    /// Its secret.
    pub credential: String,
}

/// Why the identity cannot be used.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The file cannot be read.
    #[error("cannot read the credential {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file cannot be understood.
    #[error(
        "the credential {} is damaged: delete it and enrol this machine with a new token",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The file cannot be written.
    #[error("cannot save the credential {}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Identity {
    /// The identity in the file, if this machine has enrolled.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] if there is one that cannot be read: it is not replaced unasked.
    pub fn load(path: &Path) -> Result<Option<Self>, IdentityError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(IdentityError::Unreadable { path: path.to_owned(), source });
            }
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| IdentityError::Damaged { path: path.to_owned(), source })
    }

    /// Saves the identity.
    ///
    /// Crash ordering: this comes before anything else after enrolment, for the token is used up.
    /// Killed between the server's answer and this, the machine needs a new token; the device that
    /// the server made for the old one stays silent.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Unwritable`]
    pub fn save(&self, path: &Path) -> Result<(), IdentityError> {
        let bytes = serde_json::to_vec(self).expect("an identity is made of strings");
        atomic_write(path, &bytes, Access::Private)
            .map_err(|source| IdentityError::Unwritable { path: path.to_owned(), source })
    }
}

impl std::fmt::Debug for Identity {
    /// Without the credential.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Identity").field("device", &self.device).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_private_and_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credential");
        assert_eq!(Identity::load(&path).unwrap(), None);
        let identity =
            Identity { device: "device-1".parse().unwrap(), credential: "canary".to_owned() };
        identity.save(&path).unwrap();
        assert_eq!(Identity::load(&path).unwrap(), Some(identity.clone()));
        assert!(!format!("{identity:?}").contains("canary"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_identity_is_kept_and_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credential");
        fs::write(&path, b"{\"device\":").unwrap();
        let error = Identity::load(&path).unwrap_err();
        assert!(error.to_string().contains("enrol this machine"), "{error}");
        assert!(path.exists());
    }
}
