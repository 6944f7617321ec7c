//! Who a distribution point is at its server.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gofleet_api::{
    Client, ClientError, Credential, EdgeReport, EnrolEdgeRequest, IssuedCertificate, Key,
    RenewalRequest, trust,
};
use gofleet_core::digest::Digest;
use gofleet_core::ids::EdgeId;
use gofleet_platform::file::{Access, atomic_write};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{EdgeConfig, EdgeError};
use crate::state::system_clock;
use crate::tls;

/// How long to wait for a server that does not answer.
const RETRY: std::time::Duration = std::time::Duration::from_secs(5);

/// What enrolment gave it, kept in a file that only its owner may read; the key lies beside it.
#[derive(Serialize, Deserialize)]
struct Identity {
    edge: EdgeId,
    authority: Option<Digest>,
    issued: IssuedCertificate,
}

/// A distribution point that its server knows.
pub struct Enrolled {
    /// A client that shows its certificate.
    pub client: Client,
    identity: Identity,
    key: Key,
    path: PathBuf,
}

/// As it was saved, else by enrolling with the token. A server that does not answer is asked again
/// until it does.
///
/// # Errors
///
/// [`EdgeError`] if there is neither identity nor token, or the server refuses the token or cannot
/// show that it is the one that the token tells of.
pub async fn enrolled(config: &EdgeConfig, report: EdgeReport) -> Result<Enrolled, EdgeError> {
    let path = config.data.join("credential");
    let upstream = config.upstream.clone();
    let known = load(&path)?;
    let (authority, token) = match (&known, &config.token) {
        (Some(identity), _) => (identity.authority, String::new()),
        (None, Some(token)) => (trust::authority_in(token), token.clone()),
        (None, None) => return Err(EdgeError::NoToken { upstream }),
    };
    let key = load_or_make_key(&config.data.join("key.pem"))?;
    let identity = match known {
        Some(identity) => identity,
        None => {
            let public = Client::public(&upstream, authority).map_err(EdgeError::Upstream)?;
            let request =
                key.request().map_err(|error| unusable(&path)(io::Error::other(error)))?;
            let request = EnrolEdgeRequest { token, report, request };
            let identity = enrol(&public, &request, authority).await?;
            save(&identity, &path)?;
            identity
        }
    };
    let pem = key.to_pem();
    let credential = Credential { certificate: &identity.issued.certificate, key: &pem };
    let client = Client::with_key(&upstream, authority, credential).map_err(EdgeError::Upstream)?;
    Ok(Enrolled { client, identity, key, path })
}

async fn enrol(
    public: &Client,
    request: &EnrolEdgeRequest,
    authority: Option<Digest>,
) -> Result<Identity, EdgeError> {
    let upstream = public.server().to_owned();
    loop {
        match public.enrol_edge(request).await {
            Ok(answer) => {
                return Ok(Identity { edge: answer.edge, authority, issued: answer.issued });
            }
            Err(source @ ClientError::Untrusted { is_time: false, .. }) => {
                return Err(EdgeError::Upstream(source));
            }
            Err(error) if error.is_transient() => {
                warn!(%error, "cannot enrol yet");
                tokio::time::sleep(RETRY).await;
            }
            Err(source) => return Err(EdgeError::Enrolment { upstream, source }),
        }
    }
}

impl Enrolled {
    /// What devices are shown.
    ///
    /// # Errors
    ///
    /// [`EdgeError::Credential`] if certificate and key do not belong together.
    pub fn shown(&self) -> Result<CertifiedKey, EdgeError> {
        let failed =
            |error: &dyn ToString| unusable(&self.path)(io::Error::other(error.to_string()));
        let chain = CertificateDer::pem_slice_iter(self.identity.issued.certificate.as_bytes());
        let chain = chain.collect::<Result<Vec<_>, _>>().map_err(|error| failed(&error))?;
        let key = PrivateKeyDer::from_pem_slice(self.key.to_pem().as_bytes())
            .map_err(|error| failed(&error))?;
        tls::certified(chain, key).map_err(|error| failed(&error))
    }

    /// Renews the certificate if it is due; whether it was.
    ///
    /// # Errors
    ///
    /// [`EdgeError`] if the server does not answer or the new one cannot be kept.
    pub async fn renew(&mut self) -> Result<bool, EdgeError> {
        if system_clock()() < self.identity.issued.renew_at {
            return Ok(false);
        }
        let request = self.key.request();
        let request = request.map_err(|error| unusable(&self.path)(io::Error::other(error)))?;
        let issued = self.client.renew_edge(&RenewalRequest { request }).await;
        self.identity.issued = issued.map_err(EdgeError::Upstream)?;
        save(&self.identity, &self.path)?;
        let pem = self.key.to_pem();
        let credential = Credential { certificate: &self.identity.issued.certificate, key: &pem };
        self.client.replace_credential(credential).map_err(EdgeError::Upstream)?;
        Ok(true)
    }
}

fn unusable(path: &Path) -> impl FnOnce(io::Error) -> EdgeError {
    let path = path.to_owned();
    move |source| EdgeError::Credential { path, source }
}

fn load_or_make_key(path: &Path) -> Result<Key, EdgeError> {
    match fs::read_to_string(path) {
        Ok(text) => Key::from_pem(&text).map_err(|error| unusable(path)(io::Error::other(error))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = Key::generate();
            let key = key.map_err(|error| unusable(path)(io::Error::other(error)))?;
            atomic_write(path, key.to_pem().as_bytes(), Access::Private).map_err(unusable(path))?;
            Ok(key)
        }
        Err(error) => Err(unusable(path)(error)),
    }
}

fn load(path: &Path) -> Result<Option<Identity>, EdgeError> {
    match fs::read(path) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map(Some).map_err(|error| unusable(path)(error.into()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unusable(path)(error)),
    }
}

fn save(identity: &Identity, path: &Path) -> Result<(), EdgeError> {
    let bytes = serde_json::to_vec(identity).expect("an identity has text keys");
    atomic_write(path, &bytes, Access::Private).map_err(unusable(path))
}
