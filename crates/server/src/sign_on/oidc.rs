//! Single sign-on at a provider of OpenID Connect: the authorization code flow with PKCE.
//!
//! A login begins and ends in one browser: what is asked of the provider is kept here, by the digest
//! of a secret that the browser has as a cookie, and used once. Addresses to which somebody is sent
//! come from the settings and from the provider's own document, never from a request.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gofleet_core::account::AccountSource;
use gofleet_core::digest::Digest;
use gofleet_core::time::{Span, Timestamp};
use jsonwebtoken::jwk::JwkSet;
use reqwest::{RequestBuilder, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use thiserror::Error;
use zeroize::Zeroizing;

use super::Known;
use super::id_token::{self, Expected, Unbelievable};
use crate::config::OidcSettings;
use crate::http::percent_encoded;
use crate::secret::{self, Secret, SecretKind};

/// How long somebody may take to sign in at the provider.
pub const LIFETIME: Span = Span::from_secs(10 * 60);
/// Most logins that are kept: whoever begins more ends the oldest.
const MAX_LOGINS: usize = 10_000;
/// How long the provider may take for an answer. A login waits for four of them.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer that is read.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// How long the provider's document is believed without asking again.
const FRESH: Span = Span::from_secs(10 * 60);

/// Why the provider can't be used as it is set.
#[derive(Debug, Error)]
pub enum OidcSetupError {
    /// A file can't be read.
    #[error("{} can't be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No HTTP client can be made of it.
    #[error("the provider can't be asked")]
    Http(#[source] reqwest::Error),
}

/// Why nobody is let in.
#[derive(Debug, Error)]
pub enum OidcFailure {
    /// The provider does not answer.
    #[error("the provider does not answer")]
    NoAnswer(#[source] reqwest::Error),
    /// It answers what means nothing.
    #[error("what the provider answers means nothing: {0}")]
    Unreadable(String),
    /// The login did not begin in this browser, or too long ago, or has ended already.
    #[error("no such login began in this browser")]
    UnknownLogin,
    /// The answer came from another provider (RFC 9207).
    #[error("another provider answered: `{0}`")]
    OtherIssuer(String),
    /// The provider refused.
    #[error("the provider refused: {0}")]
    Refused(String),
    /// What it says is not believed.
    #[error("the provider's word does not hold")]
    Unbelievable(#[source] Unbelievable),
    /// It does not say who somebody is.
    #[error("the provider tells no usable `{0}` of this person")]
    NoName(String),
}

/// A provider, and the logins that are under way at it.
pub struct Provider {
    settings: OidcSettings,
    secret: Option<Zeroizing<String>>,
    http: reqwest::Client,
    logins: Mutex<HashMap<Digest, Login>>,
    document: Mutex<Option<(Timestamp, Document)>>,
}

struct Login {
    browser: Digest,
    nonce: String,
    verifier: Zeroizing<String>,
    next: String,
    expires_at: Timestamp,
}

/// What somebody is sent to the provider with.
pub struct Begun {
    /// The address.
    pub url: String,
    /// What their browser keeps.
    pub cookie: Secret,
}

/// What they come back with.
#[derive(Debug, Default, Deserialize)]
pub struct Answer {
    #[serde(default)]
    state: String,
    #[serde(default)]
    code: String,
    iss: Option<String>,
    error: Option<String>,
}

/// OpenID Connect Discovery 1.0, section 3.
#[derive(Debug, Clone, Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    access_token: Option<String>,
}

impl Provider {
    /// Reads the files that the settings name; asks nothing yet.
    ///
    /// # Errors
    ///
    /// [`OidcSetupError`] names what is of no use.
    pub fn new(settings: OidcSettings) -> Result<Self, OidcSetupError> {
        gofleet_api::install_crypto_provider();
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path)
                .map_err(|source| OidcSetupError::File { path: path.clone(), source })
        };
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("gofleet/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            // Secrets are for this address and no other.
            .redirect(reqwest::redirect::Policy::none());
        if let Some(path) = &settings.ca_file {
            let pem = read(path)?;
            let roots = reqwest::Certificate::from_pem_bundle(pem.as_bytes());
            http = http.tls_certs_only(roots.map_err(OidcSetupError::Http)?);
        }
        let http = http.build().map_err(OidcSetupError::Http)?;
        let secret = settings.client_secret_file.as_ref().map(read).transpose()?;
        let secret = secret.map(|text| Zeroizing::new(text.trim().to_owned()));
        let (logins, document) = (Mutex::default(), Mutex::default());
        Ok(Self { settings, secret, http, logins, document })
    }

    /// Begins a login, after which somebody wants to see the page `next`.
    ///
    /// # Errors
    ///
    /// [`OidcFailure`] if the provider does not say where.
    pub async fn begin(&self, next: &str, now: Timestamp) -> Result<Begun, OidcFailure> {
        let document = self.document(now).await?;
        let random = || Secret::random(SecretKind::SignOn);
        let (state, cookie) = (random(), random());
        let (nonce, verifier) = (secret::random_hex(), Zeroizing::new(secret::random_hex()));
        let challenge = URL_SAFE_NO_PAD.encode(Digest::of(verifier.as_bytes()).as_bytes());
        let mut url = self.address(&document.authorization_endpoint)?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &self.settings.redirect_uri)
            .append_pair("scope", &self.settings.scopes)
            .append_pair("state", state.reveal())
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        let login = Login {
            browser: cookie.hash(),
            nonce,
            verifier,
            next: next.to_owned(),
            expires_at: now + LIFETIME,
        };
        self.keep(state.hash(), login, now);
        Ok(Begun { url: url.into(), cookie })
    }

    fn keep(&self, state: Digest, login: Login, now: Timestamp) {
        let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        if logins.len() >= MAX_LOGINS {
            logins.retain(|_, login| login.expires_at > now);
        }
        if logins.len() >= MAX_LOGINS
            && let Some(oldest) =
                logins.iter().min_by_key(|(_, it)| it.expires_at).map(|(state, _)| *state)
        {
            logins.remove(&oldest);
        }
        logins.insert(state, login);
    }

    /// Ends a login: who it is, and the page that they wanted to see.
    ///
    /// # Errors
    ///
    /// [`OidcFailure`] if it is not known who that is.
    pub async fn end(
        &self,
        answer: &Answer,
        browser: &str,
        now: Timestamp,
    ) -> Result<(Known, String), OidcFailure> {
        let login = {
            let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
            logins.remove(&secret::hash(&answer.state))
        };
        let login = login
            .filter(|it| it.expires_at > now && it.browser == secret::hash(browser))
            .ok_or(OidcFailure::UnknownLogin)?;
        let document = self.document(now).await?;
        match &answer.iss {
            Some(iss) if *iss != self.settings.issuer => {
                return Err(OidcFailure::OtherIssuer(iss.clone()));
            }
            None if document.authorization_response_iss_parameter_supported => {
                return Err(OidcFailure::OtherIssuer(String::new()));
            }
            Some(_) | None => {}
        }
        if let Some(error) = &answer.error {
            return Err(OidcFailure::Refused(error.chars().take(100).collect()));
        }
        let tokens = self.exchange(&document, &answer.code, &login).await?;
        // The keys are asked for at each login, so that one that was taken back is of no use.
        let keys: JwkSet = self.ask(self.http.get(self.address(&document.jwks_uri)?)).await?;
        let expected = Expected {
            issuer: &self.settings.issuer,
            client: &self.settings.client_id,
            nonce: &login.nonce,
        };
        let claims = id_token::verify(&tokens.id_token, &keys, &expected)
            .map_err(OidcFailure::Unbelievable)?;
        let mut more = claims.more;
        let is_told = |claim: &str| more.contains_key(claim);
        if !is_told(&self.settings.name_claim) || !is_told(&self.settings.groups_claim) {
            for (claim, value) in self.user_info(&document, &tokens, &claims.sub).await? {
                more.entry(claim).or_insert(value);
            }
        }
        Ok((self.known(&claims.sub, &more)?, login.next))
    }

    /// Gives the code back for tokens (RFC 6749, section 4.1.3, and RFC 7636).
    async fn exchange(
        &self,
        document: &Document,
        code: &str,
        login: &Login,
    ) -> Result<Tokens, OidcFailure> {
        let methods = &document.token_endpoint_auth_methods_supported;
        let in_header =
            methods.is_empty() || methods.iter().any(|method| method == "client_secret_basic");
        let client = &self.settings.client_id;
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.settings.redirect_uri),
            ("code_verifier", &login.verifier),
        ];
        let mut request = self.http.post(self.address(&document.token_endpoint)?);
        match &self.secret {
            Some(secret) if in_header => {
                request =
                    request.basic_auth(percent_encoded(client), Some(percent_encoded(secret)));
            }
            Some(secret) => {
                fields.extend([("client_id", client.as_str()), ("client_secret", secret)]);
            }
            None => fields.push(("client_id", client)),
        }
        let form: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", percent_encoded(value)))
            .collect();
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.ask(request.body(form.join("&"))).await
    }

    /// What the provider says beside the token, of the same person (OpenID Connect Core, 5.3).
    async fn user_info(
        &self,
        document: &Document,
        tokens: &Tokens,
        sub: &str,
    ) -> Result<Map<String, Value>, OidcFailure> {
        let (Some(endpoint), Some(access)) = (&document.userinfo_endpoint, &tokens.access_token)
        else {
            return Ok(Map::new());
        };
        let request = self.http.get(self.address(endpoint)?).bearer_auth(access);
        let told: Map<String, Value> = self.ask(request).await?;
        if told.get("sub").and_then(Value::as_str) != Some(sub) {
            return Err(OidcFailure::Unreadable("it tells of somebody else".to_owned()));
        }
        Ok(told)
    }

    fn known(&self, sub: &str, claims: &Map<String, Value>) -> Result<Known, OidcFailure> {
        let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
        let claim = &self.settings.name_claim;
        // Names of accounts have no `@`: ann@example.org is ann+example.org.
        let name = text(claim).and_then(|name| name.replace('@', "+").parse().ok());
        let groups: Vec<&str> = match claims.get(&self.settings.groups_claim) {
            Some(Value::Array(groups)) => groups.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(group)) => vec![group],
            _ => Vec::new(),
        };
        Ok(Known {
            name: name.ok_or_else(|| OidcFailure::NoName(claim.clone()))?,
            note: text("name").unwrap_or_default().to_owned(),
            source: AccountSource::Oidc { subject: self.subject(sub) },
            grants: self.settings.groups.of(groups),
        })
    }

    fn subject(&self, sub: &str) -> String {
        format!("{} {sub}", self.settings.issuer)
    }

    /// Whether it is this provider that names somebody so.
    pub fn names(&self, subject: &str) -> bool {
        subject.strip_prefix(&self.settings.issuer).is_some_and(|sub| sub.starts_with(' '))
    }

    /// What the provider publishes of itself.
    async fn document(&self, now: Timestamp) -> Result<Document, OidcFailure> {
        {
            let kept = self.document.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((at, document)) = kept.as_ref()
                && now < *at + FRESH
            {
                return Ok(document.clone());
            }
        }
        let issuer = &self.settings.issuer;
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let document: Document = self.ask(self.http.get(self.address(&url)?)).await?;
        if document.issuer != *issuer {
            return Err(OidcFailure::OtherIssuer(document.issuer));
        }
        let mut kept = self.document.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some((now, document.clone()));
        Ok(document)
    }

    /// An address that may be used: encrypted, unless the provider is on this machine.
    fn address(&self, text: &str) -> Result<Url, OidcFailure> {
        let url: Option<Url> = text.parse().ok();
        let is_plain_allowed = self.settings.issuer.starts_with("http://");
        url.filter(|url| url.scheme() == "https" || url.scheme() == "http" && is_plain_allowed)
            .ok_or_else(|| OidcFailure::Unreadable(format!("`{text}` is no address by https")))
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, OidcFailure> {
        let request = request.header("accept", "application/json");
        let mut response = request.send().await.map_err(OidcFailure::NoAnswer)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(OidcFailure::NoAnswer)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER_BYTES {
                return Err(OidcFailure::Unreadable("it has no end".to_owned()));
            }
        }
        if status.is_success() {
            return serde_json::from_slice(&body)
                .map_err(|error| OidcFailure::Unreadable(error.to_string()));
        }
        // RFC 6749, section 5.2. What else stands there may hold what is nobody's business.
        let told: Map<String, Value> = serde_json::from_slice(&body).unwrap_or_default();
        let error = told.get("error").and_then(Value::as_str).unwrap_or_default();
        let error: String = error.chars().filter(|c| !c.is_control()).take(100).collect();
        Err(OidcFailure::Refused(format!("{status} {error}")))
    }
}
