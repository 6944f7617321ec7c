//! TLS: the server's own authority, its certificate, and the listener that speaks both TLS and,
//! with this machine only, plain HTTP.

mod authority;
mod listener;
mod names;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use thiserror::Error;

pub use authority::Authority;
pub use listener::{Caller, ShownCertificate, TlsListener, client_verifier};
pub use names::{name_of, names};

/// Why there is no TLS.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{} cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file holds no certificate or key.
    #[error("{} holds no usable certificate or key: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A certificate cannot be made.
    #[error("a certificate cannot be made: {0}")]
    Make(String),
}

impl TlsError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File { .. } | Self::Content { .. } => Some(
                "files of the server's own authority are put back from a copy: without them no \
                 device knows the server; others are named by `tls_certificate` and `tls_key`"
                    .to_owned(),
            ),
            Self::Make(_) => None,
        }
    }
}

/// The certificate that a listener shows; it can be replaced while it listens.
#[derive(Debug)]
pub struct Shown(Mutex<Arc<CertifiedKey>>);

impl Shown {
    /// Shows this certificate.
    pub fn new(certificate: CertifiedKey) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Arc::new(certificate))))
    }

    /// Shows another one from now on.
    pub fn replace(&self, certificate: CertifiedKey) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(certificate);
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// A certificate chain with its key from two files in PEM, as a company's authority hands them out.
///
/// # Errors
///
/// [`TlsError`] if they cannot be read, or do not belong together.
pub fn from_files(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| TlsError::File { path: path.to_owned(), source })
    };
    let content = |path: &Path, reason: String| TlsError::Content { path: path.to_owned(), reason };
    let chain = CertificateDer::pem_slice_iter(&read(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| content(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(content(certificate, "there is no certificate in it".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|error| content(key, error.to_string()))?;
    certified(chain, private).map_err(|error| content(key, error.to_string()))
}

/// A chain with its key, if they belong together.
pub fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, rustls::Error> {
    CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider())
}

/// How long a certificate is shown before another one is made, or its files are read again: also
/// one of a company's that is good for a few days is renewed in time.
pub const SHOWN_FOR: Duration = Duration::from_secs(24 * 60 * 60);
