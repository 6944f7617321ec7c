//! Who this device is: its id, its key, and the certificate that it authenticates with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gofleet_api::{Credential, EnrolResponse, IssuedCertificate, Key, KeyError, trust};
use gofleet_core::digest::Digest;
use gofleet_core::ids::DeviceId;
use gofleet_platform::{Access, atomic_write};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What enrolment gave this device, kept in a file that only its owner may read. The key lies in a
/// file of its own ([`load_or_make_key`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The device's name at its server.
    pub device: DeviceId,
    /// The authority that vouches for the server; absent: one that the system trusts does.
    pub authority: Option<Digest>,
    /// What it authenticates with.
    pub issued: IssuedCertificate,
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
    /// The key cannot be made, or its file holds none.
    #[error("the key of this device in {} cannot be used", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
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
    /// What the server answered to a token that tells of this authority.
    pub fn new(answer: EnrolResponse, authority: Option<Digest>) -> Self {
        let EnrolResponse { device, issued } = answer;
        Self { device, authority, issued }
    }

    /// What this device shows with its key.
    pub fn credential<'a>(&'a self, key: &'a str) -> Credential<'a> {
        Credential { certificate: &self.issued.certificate, key }
    }

    /// The authority that vouches for distribution points: the one that issued the certificate.
    pub fn fleet_authority(&self) -> Option<Digest> {
        trust::issuer_of(&self.issued.certificate)
    }

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
    /// Killed between the server's answer and this, the machine enrols again with the same token
    /// and the same key, and gets the same answer.
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

/// This device's key, made at the first start. It comes before the first request, so that a machine
/// is known again however often it asks.
///
/// # Errors
///
/// [`IdentityError`] if there is one that cannot be used: it is not replaced unasked.
pub fn load_or_make_key(path: &Path) -> Result<Key, IdentityError> {
    let failed = |source| IdentityError::Key { path: path.to_owned(), source };
    match fs::read_to_string(path) {
        Ok(text) => Key::from_pem(&text).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = Key::generate().map_err(failed)?;
            atomic_write(path, key.to_pem().as_bytes(), Access::Private)
                .map_err(|source| IdentityError::Unwritable { path: path.to_owned(), source })?;
            Ok(key)
        }
        Err(source) => Err(IdentityError::Unreadable { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use gofleet_core::time::Timestamp;

    use super::*;

    #[test]
    fn an_identity_is_private_and_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credential");
        assert_eq!(Identity::load(&path).unwrap(), None);
        let issued = IssuedCertificate {
            certificate: "a certificate".to_owned(),
            renew_at: Timestamp::from_millis(1),
            expires_at: Timestamp::from_millis(2),
        };
        let authority = Some(Digest::of(b"authority"));
        let identity = Identity { device: "device-1".parse().unwrap(), authority, issued };
        identity.save(&path).unwrap();
        assert_eq!(Identity::load(&path).unwrap(), Some(identity));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_key_is_made_once_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let made = load_or_make_key(&path).unwrap();
        assert_eq!(load_or_make_key(&path).unwrap().to_pem(), made.to_pem());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::write(&path, "cut off").unwrap();
        assert!(matches!(load_or_make_key(&path), Err(IdentityError::Key { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "cut off");
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
