//! Becoming a device of the fleet, once; and keeping the certificate for it.

use std::time::Duration;

use gofleet_api::{Client, ClientError, EnrolRequest, Key, RenewalRequest, trust};
use gofleet_core::digest::Digest;
use gofleet_depot::Root;
use gofleet_platform::checkpoint;

use crate::backoff::{Backoff, random};
use crate::device::{Device, agent_folder, now};
use crate::facts;
use crate::identity::{Identity, IdentityError, load_or_make_key};
use crate::inventory::Places;
use crate::trust::pin;
use crate::{AgentConfig, AgentError};

/// How often it is looked whether the certificate is due to be renewed, by the clock of this
/// machine: a thirtieth of a life of a month.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);

/// Who this device is, and a client that shows it: as it was saved, else by enrolling with the
/// token. A server that does not answer is asked again until it does.
///
/// # Errors
///
/// [`AgentError`] if there is neither identity nor token, or the server refuses the token or cannot
/// show that it is the one that the token tells of.
pub async fn identity(
    config: &AgentConfig,
    root: &Root,
    places: &Places,
) -> Result<(Identity, Key, Client), AgentError> {
    let folder = agent_folder(root);
    let path = folder.join("credential");
    let known = Identity::load(&path).map_err(AgentError::Identity)?;
    let authority = match (&known, &config.token) {
        (Some(identity), _) => identity.authority,
        (None, Some(token)) => trust::authority_in(token),
        (None, None) => None,
    };
    let public = Client::public(&config.server, authority).map_err(AgentError::Server)?;
    let key_path = folder.join("key.pem");
    if known.is_none() && config.token.is_none() {
        return Err(AgentError::NoToken { server: public.server().to_owned() });
    }
    let key = load_or_make_key(&key_path).map_err(AgentError::Identity)?;
    let identity = match known {
        Some(identity) => identity,
        None => {
            let identity = enrol(config, root, places, &public, &key, authority).await?;
            pin(config, &public).await?;
            identity.save(&path).map_err(AgentError::Identity)?;
            checkpoint("agent-enrolled");
            identity
        }
    };
    let credential = key.to_pem();
    let client = Client::with_key(&config.server, authority, identity.credential(&credential))
        .map_err(AgentError::Server)?;
    Ok((identity, key, client))
}

async fn enrol(
    config: &AgentConfig,
    root: &Root,
    places: &Places,
    client: &Client,
    key: &Key,
    authority: Option<Digest>,
) -> Result<Identity, AgentError> {
    let server = client.server().to_owned();
    let token = config.token.clone();
    let token = token.ok_or_else(|| AgentError::NoToken { server: server.clone() })?;
    let facts = facts::gather(root, places, config.hostname.as_deref(), &config.labels);
    let unsigned = |source| {
        let path = agent_folder(root).join("key.pem");
        AgentError::Identity(IdentityError::Key { path, source })
    };
    let request = EnrolRequest { token, facts, request: key.request().map_err(unsigned)? };
    let mut backoff = Backoff::for_server();
    loop {
        match client.enrol(&request).await {
            Ok(answer) => return Ok(Identity::new(answer, authority)),
            // A wrong clock may be put right; a stranger at this address does not become the server.
            Err(source @ ClientError::Untrusted { is_time: false, .. }) => {
                return Err(AgentError::Server(source));
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

impl Device {
    /// Renews the certificate whenever it is due, for ever.
    pub async fn keep_certificate(&self) -> std::convert::Infallible {
        let mut backoff = Backoff::for_server();
        loop {
            if now() < self.identity.borrow().issued.renew_at {
                tokio::time::sleep(LOOK_EVERY / 2 + LOOK_EVERY / 512 * (random() % 256)).await;
                continue;
            }
            match self.renew_certificate().await {
                Ok(()) => backoff.reset(),
                Err(error) => {
                    let pause = backoff.after_failure(random());
                    let pause_ms = pause.as_millis();
                    tracing::warn!(%error, pause_ms, "the certificate cannot be renewed yet");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    async fn renew_certificate(&self) -> Result<(), Box<dyn std::error::Error>> {
        let request = RenewalRequest { request: self.key.request()? };
        let issued = self.client.renew(&request).await?;
        let identity = Identity { issued, ..self.identity.borrow().clone() };
        identity.save(&self.folder().join("credential"))?;
        self.client.replace_credential(identity.credential(&self.key.to_pem()))?;
        let expires_at = identity.issued.expires_at;
        tracing::info!(%expires_at, "the certificate was renewed");
        self.identity.replace(identity);
        Ok(())
    }
}
