//! The typed client of the API: one connection pool, small enough for an idle agent.
//!
//! [`Client::public`] asks what needs no credential, [`Client::with_token`] asks as an
//! administrator, [`Client::with_key`] as a device or a distribution point. Whoever lacks the right
//! gets the server's [`Problem`](crate::Problem) as [`ClientError::Problem`].

mod access;
mod administrator;
mod audit;
mod device;
mod edge;
mod error;
mod events;
mod manifest;
mod metadata;
mod upload;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gofleet_core::digest::Digest;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use audit::AuditLines;
pub use error::ClientError;
pub use events::EventStream;

use crate::trust::{self, Credential};
use crate::types::Health;
use crate::{API_PREFIX, RUN_HEADER, TICKET_HEADER};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request may take that neither waits for news nor moves an archive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the server may be silent while an archive moves.
const READ_TIMEOUT: Duration = Duration::from_secs(75);

/// A client of one server. Clones share the connections, and the credential.
#[derive(Clone)]
pub struct Client {
    http: Arc<Mutex<reqwest::Client>>,
    server: Arc<Url>,
    authority: Option<Digest>,
    token: Option<Arc<str>>,
    run: Option<Arc<str>>,
    ticket: Option<Arc<str>>,
}

impl Client {
    /// A client of the server at this address (`http://…` or `https://…`), without a credential.
    /// Over TLS the server must have a certificate of the `authority` with this digest; without
    /// one, of an authority that the system trusts.
    ///
    /// # Errors
    ///
    /// [`ClientError::InvalidServer`] if this is no such address; [`ClientError::Tls`] if the
    /// system's certificates cannot be read.
    pub fn public(server: &str, authority: Option<Digest>) -> Result<Self, ClientError> {
        Self::new(server, authority, None)
    }

    /// A client that asks as the administrator with this token, of the server that the token tells
    /// of.
    ///
    /// # Errors
    ///
    /// As [`Self::public`].
    pub fn with_token(server: &str, token: &str) -> Result<Self, ClientError> {
        let client = Self::new(server, trust::authority_in(token), None)?;
        Ok(Self { token: Some(trust::secret_in(token).into()), ..client })
    }

    /// A client that asks as the device or the distribution point that this credential is of.
    ///
    /// # Errors
    ///
    /// As [`Self::public`]; also [`ClientError::Credential`] if the credential cannot be used.
    pub fn with_key(
        server: &str,
        authority: Option<Digest>,
        credential: Credential<'_>,
    ) -> Result<Self, ClientError> {
        Self::new(server, authority, Some(credential))
    }

    /// Shows another credential from now on, in all clones. Connections that are open go on with
    /// the earlier one until what they carry has ended.
    ///
    /// # Errors
    ///
    /// [`ClientError::Credential`] if it cannot be used; the earlier one stays.
    pub fn replace_credential(&self, credential: Credential<'_>) -> Result<(), ClientError> {
        let http = connector(&self.server, self.authority, Some(credential))?;
        *self.http.lock().unwrap_or_else(PoisonError::into_inner) = http;
        Ok(())
    }

    /// The same client, naming the run of its process in each request.
    #[must_use]
    pub fn of_run(self, run: &str) -> Self {
        Self { run: Some(run.into()), ..self }
    }

    /// The same client, naming the change ticket under which it asks. Text that can't stand in a
    /// header is left out.
    #[must_use]
    pub fn under(self, ticket: &str) -> Self {
        let fits = !ticket.is_empty() && ticket.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        Self { ticket: fits.then(|| ticket.into()), ..self }
    }

    fn new(
        server: &str,
        authority: Option<Digest>,
        credential: Option<Credential<'_>>,
    ) -> Result<Self, ClientError> {
        let invalid = || ClientError::InvalidServer { server: server.to_owned() };
        let url = Url::parse(server.trim_end_matches('/')).map_err(|_| invalid())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(invalid());
        }
        let http = Arc::new(Mutex::new(connector(&url, authority, credential)?));
        Ok(Self { http, server: Arc::new(url), authority, token: None, run: None, ticket: None })
    }

    /// The server's address, without a slash at the end.
    pub fn server(&self) -> &str {
        self.server.as_str().trim_end_matches('/')
    }

    /// The digest of the authority that the server's certificate must come from; none: one that
    /// the system trusts.
    pub fn authority(&self) -> Option<&Digest> {
        self.authority.as_ref()
    }

    /// Whether the server answers.
    ///
    /// # Errors
    ///
    /// [`ClientError`] if it does not.
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.ask(Method::GET, "/healthz").await
    }

    /// A request for an artifact; its headers (a range, say) and its body are the caller's.
    pub fn artifact(&self, sha256: &Digest) -> RequestBuilder {
        self.request(Method::GET, &format!("/artifacts/{sha256}"))
    }

    /// Sends what [`Self::artifact`] or another builder began.
    ///
    /// # Errors
    ///
    /// [`ClientError::Problem`] for every status from 400 on.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|source| self.failed(source))?;
        if response.status().as_u16() < 400 {
            Ok(response)
        } else {
            Err(self.refused(response).await)
        }
    }

    /// A request to a path below the API's prefix, with the credential.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let http = self.http.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut request = http.request(method, format!("{}{API_PREFIX}{path}", self.server()));
        if let Some(run) = &self.run {
            request = request.header(RUN_HEADER, &**run);
        }
        if let Some(ticket) = &self.ticket {
            request = request.header(TICKET_HEADER, &**ticket);
        }
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Asks without a body for an answer in JSON.
    pub(crate) async fn ask<Answer: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
    ) -> Result<Answer, ClientError> {
        let response = self.send(self.request(method, path).timeout(REQUEST_TIMEOUT)).await?;
        self.read(response).await
    }

    /// Asks with a body in JSON for an answer in JSON.
    pub(crate) async fn tell<Answer: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<Answer, ClientError> {
        self.tell_by(Method::POST, path, body).await
    }

    /// The same by another method.
    pub(crate) async fn tell_by<Answer: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<Answer, ClientError> {
        let request = self.request(method, path).timeout(REQUEST_TIMEOUT).json(body);
        let response = self.send(request).await?;
        self.read(response).await
    }

    /// The answer's body, read as JSON.
    pub(crate) async fn read<Answer: DeserializeOwned>(
        &self,
        response: Response,
    ) -> Result<Answer, ClientError> {
        let body = response.bytes().await.map_err(|source| self.failed(source))?;
        serde_json::from_slice(&body).map_err(|source| ClientError::Unintelligible {
            server: self.server().to_owned(),
            source,
        })
    }

    /// What a request that got no answer means.
    pub(crate) fn failed(&self, source: reqwest::Error) -> ClientError {
        ClientError::of_transport(self.server(), source)
    }

    /// What an answer with an error's status means.
    async fn refused(&self, response: Response) -> ClientError {
        let status = response.status();
        let is_problem = response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/problem+json"));
        match response.bytes().await {
            Ok(body) if is_problem => match serde_json::from_slice(&body) {
                Ok(problem) => ClientError::Problem(Box::new(problem)),
                Err(source) => {
                    ClientError::Unintelligible { server: self.server().to_owned(), source }
                }
            },
            Ok(_) => self.not_gofleet(status),
            Err(source) => self.failed(source),
        }
    }

    /// Something else answered: a proxy, or another program at this address.
    fn not_gofleet(&self, status: StatusCode) -> ClientError {
        ClientError::NotGofleet { server: self.server().to_owned(), status: status.as_u16() }
    }
}

impl fmt::Debug for Client {
    /// Without the credential.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("server", &self.server()).finish_non_exhaustive()
    }
}

/// Connections to a server, as [`Client::public`] and [`Client::with_key`] say.
fn connector(
    server: &Url,
    authority: Option<Digest>,
    credential: Option<Credential<'_>>,
) -> Result<reqwest::Client, ClientError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("gofleet/", env!("CARGO_PKG_VERSION")))
        .http1_only()
        .pool_max_idle_per_host(1)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT);
    install_crypto_provider();
    if server.host_str().is_some_and(is_this_machine) {
        builder = builder.no_proxy();
    }
    builder = match (server.scheme(), authority, credential) {
        // The system's certificates take megabytes, and a server without TLS shows none.
        ("http", ..) => builder.tls_certs_only([]),
        (_, Some(authority), credential) => {
            let config = trust::client_config(authority, credential);
            let config = config.map_err(|source| ClientError::Credential { source })?;
            builder.tls_backend_preconfigured(config)
        }
        (_, None, Some(Credential { certificate, key })) => {
            let pem = format!("{certificate}\n{key}");
            let identity = reqwest::Identity::from_pem(pem.as_bytes());
            builder.identity(identity.map_err(|source| ClientError::Tls { source })?)
        }
        (_, None, None) => builder,
    };
    builder.build().map_err(|source| ClientError::Tls { source })
}

/// Whether a host is this machine, which no proxy leads to.
fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host == "[::1]" || host.starts_with("127.")
}

/// TLS by ring, once for the process; somebody else's choice stays.
/// Says which cryptography TLS is made with, before the first HTTP client of a program is built.
pub fn install_crypto_provider() {
    let _earlier_choice = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_before_use() {
        for (server, expect) in [
            ("http://127.0.0.1:8470", Some("http://127.0.0.1:8470")),
            ("http://127.0.0.1:8470/", Some("http://127.0.0.1:8470")),
            ("https://go.example.org/fleet/", Some("https://go.example.org/fleet")),
            ("127.0.0.1:8470", None),
            ("ftp://example.org", None),
            ("", None),
        ] {
            let client = Client::public(server, None);
            assert_eq!(client.as_ref().map(Client::server).ok(), expect, "{server}");
        }
    }

    #[test]
    fn a_credential_is_not_printed() {
        let client = Client::with_token("http://localhost:1", "canary").unwrap();
        assert!(!format!("{client:?}").contains("canary"));
    }
}
