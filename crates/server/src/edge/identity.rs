//! Who a distribution point is at its server.

use std::fs;
use std::io;
use std::path::Path;

use gofleet_api::{Client, EdgeReport, EnrolEdgeRequest};
use gofleet_core::ids::EdgeId;
use gofleet_platform::file::{Access, atomic_write};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{EdgeConfig, EdgeError};

/// How long to wait for a server that does not answer.
const RETRY: std::time::Duration = std::time::Duration::from_secs(5);

/// What enrolment gave it, kept in a file that only its owner may read.
#[derive(Serialize, Deserialize)]
struct Identity {
    edge: EdgeId,
    credential: String,
}

/// The client with the credential: as it was saved, else by enrolling with the token. A server that
/// does not answer is asked again until it does.
///
/// # Errors
///
/// [`EdgeError`] if there is neither credential nor token, or the server refuses the token.
pub async fn enrolled(
    config: &EdgeConfig,
    public: Client,
    report: EdgeReport,
) -> Result<Client, EdgeError> {
    let path = config.data.join("credential");
    let upstream = public.server().to_owned();
    if let Some(Identity { credential, .. }) = load(&path)? {
        return Ok(public.with_credential(&credential));
    }
    let token = config.token.clone();
    let token = token.ok_or_else(|| EdgeError::NoToken { upstream: upstream.clone() })?;
    let request = EnrolEdgeRequest { token, report };
    loop {
        match public.enrol_edge(&request).await {
            Ok(answer) => {
                // The token is used up: nothing comes before this is on the disk.
                let identity = Identity { edge: answer.edge, credential: answer.credential };
                let bytes = serde_json::to_vec(&identity).expect("it is made of strings");
                atomic_write(&path, &bytes, Access::Private)
                    .map_err(|source| EdgeError::Credential { path, source })?;
                return Ok(public.with_credential(&identity.credential));
            }
            Err(error) if error.is_transient() => {
                warn!(%error, "cannot enrol yet");
                tokio::time::sleep(RETRY).await;
            }
            Err(source) => return Err(EdgeError::Enrolment { upstream, source }),
        }
    }
}

fn load(path: &Path) -> Result<Option<Identity>, EdgeError> {
    let failed = |source| EdgeError::Credential { path: path.to_owned(), source };
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| failed(error.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}
