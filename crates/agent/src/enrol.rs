//! Becoming a device of the fleet, once.

use gofleet_api::{Client, EnrolRequest};
use gofleet_depot::Root;
use gofleet_platform::checkpoint;

use crate::backoff::{Backoff, random};
use crate::device::agent_folder;
use crate::facts::{self, Places};
use crate::identity::Identity;
use crate::{AgentConfig, AgentError};

/// Who this device is: as it was saved, else by enrolling with the token. A server that does not
/// answer is asked again until it does.
///
/// # Errors
///
/// [`AgentError`] if there is neither identity nor token, or the server refuses the token.
pub async fn identity(
    config: &AgentConfig,
    root: &Root,
    places: &Places,
    client: &Client,
) -> Result<Identity, AgentError> {
    let path = agent_folder(root).join("credential");
    if let Some(identity) = Identity::load(&path).map_err(AgentError::Identity)? {
        return Ok(identity);
    }
    let server = client.server().to_owned();
    let Some(token) = config.token.clone() else { return Err(AgentError::NoToken { server }) };
    let facts = facts::gather(root, places, config.hostname.as_deref(), &config.labels);
    let request = EnrolRequest { token, facts };
    let mut backoff = Backoff::for_server();
    loop {
        match client.enrol(&request).await {
            Ok(answer) => {
                let identity = Identity { device: answer.device, credential: answer.credential };
                identity.save(&path).map_err(AgentError::Identity)?;
                checkpoint("agent-enrolled");
                return Ok(identity);
            }
            Err(error) if error.is_transient() => {
                let pause = backoff.after_failure(random());
                tracing::warn!(%error, pause_ms = pause.as_millis(), "cannot enrol yet");
                tokio::time::sleep(pause).await;
            }
            Err(source) => return Err(AgentError::Enrolment { server, source }),
        }
    }
}
