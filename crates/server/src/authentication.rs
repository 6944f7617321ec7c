//! Who calls: the one function that every request's identity comes from.
//!
//! Another proof becomes one more branch of [`authenticate`]; nothing else in the server looks at
//! credentials.

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use gofleet_api::{LoginRequest, ProblemCode, SESSION_COOKIE};
use gofleet_core::account::{ADMINISTRATOR, Account, ApiToken};
use gofleet_core::audit::By;
use gofleet_core::digest::Digest;
use gofleet_core::ids::{AccountName, DeviceId, EdgeId};

use crate::access::Peer;
use crate::clones;
use crate::failure::{Answer, Failure};
use crate::people;
use crate::secret::{self, Secret, SecretKind};
use crate::state::AppState;
use crate::tls::{Caller, ShownCertificate};

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A person, or a program that acts for one. What they may do, policies say.
    Person(Box<Person>),
    /// A device, which may ask and report for itself only.
    Device(DeviceId),
    /// A distribution point, which may fetch artifacts and report for itself.
    Edge(EdgeId),
}

/// A person, or a program that acts for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name under which what is done is written down.
    pub name: String,
    /// Their account; none for whoever holds the administrator's token.
    pub account: Option<Account>,
    /// The API token that was sent, if one was.
    pub token: Option<ApiToken>,
    /// How they proved it.
    pub proof: Proof,
}

/// How a person proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// By the administrator's token, which no browser sends by itself.
    Token,
    /// By an API token, for which the same holds.
    ApiToken,
    /// By the cookie of a console session, which browsers send by themselves.
    Session,
}

impl Proof {
    /// As the audit log has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::ApiToken => "api_token",
            Self::Session => "session",
        }
    }
}

impl Person {
    /// Whoever holds the administrator's token.
    fn administrator(proof: Proof) -> Self {
        Self { name: ADMINISTRATOR.to_owned(), account: None, token: None, proof }
    }

    /// Whoever has this account.
    fn of_account(account: &Account, token: Option<ApiToken>, proof: Proof) -> Self {
        let (name, account) = (account.name.to_string(), Some(account.clone()));
        Self { name, account, token, proof }
    }
}

/// What [`authenticate`] said of a request, kept in its extensions.
#[derive(Debug, Clone)]
pub struct Authenticated(pub Answer<Option<Identity>>);

/// Who sends a request with this method and these headers over the caller's connection; none:
/// nobody known.
///
/// # Errors
///
/// [`Failure`] if a credential is sent that is not known, or if a session is used to change
/// something from another site's page.
pub async fn authenticate(
    state: &AppState,
    caller: Option<&Caller>,
    method: &Method,
    headers: &HeaderMap,
) -> Answer<Option<Identity>> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        return by_bearer(state, value).await.map(Some);
    }
    if let Some((caller, shown)) = caller.and_then(|it| Some((it, it.certificate?))) {
        let identity = by_certificate(state, shown).await?;
        if let Identity::Device(device) = &identity {
            clones::look(state, device, caller, headers).await;
        }
        return Ok(Some(identity));
    }
    let Some(session) = session_of(headers) else { return Ok(None) };
    let Some(session) = state.storage().session(&secret::hash(session), state.now()).await? else {
        return Ok(None);
    };
    let person = match &session.account {
        None => Person::administrator(Proof::Session),
        Some(name) => match state.directory().account(name) {
            Some(account) => Person::of_account(account, None, Proof::Session),
            None => return Ok(None),
        },
    };
    if !method.is_safe() && !is_from_own_page(state, headers) {
        return Err(foreign_page());
    }
    Ok(Some(Identity::Person(Box::new(person))))
}

/// Puts what [`authenticate`] says into a request's extensions.
pub async fn layer(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let caller = request.extensions().get().map(|ConnectInfo(caller): &ConnectInfo<Caller>| caller);
    let identity = authenticate(&state, caller, request.method(), request.headers()).await;
    request.extensions_mut().insert(Authenticated(identity));
    request.extensions_mut().insert(state);
    next.run(request).await
}

async fn by_bearer(state: &AppState, value: &HeaderValue) -> Answer<Identity> {
    let credential = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, credential)| secret::hash(credential.trim()));
    let unknown = || {
        Failure::new(ProblemCode::Unauthenticated, "the credential is not known to this server")
            .with_hint(
                "log in again with `gofleet login`; the administrator's token is the one that the \
                 server wrote to `admin-token` in its data folder; devices and distribution points \
                 show a certificate",
            )
    };
    let hash = credential.ok_or_else(unknown)?;
    if state.is_administrator(&hash) {
        return Ok(Identity::Person(Box::new(Person::administrator(Proof::Token))));
    }
    let token = state.storage().api_token(&hash, state.now()).await?.ok_or_else(unknown)?;
    let directory = state.directory();
    let account = directory.account(&token.account).ok_or_else(unknown)?;
    let person = Person::of_account(account, Some(token), Proof::ApiToken);
    Ok(Identity::Person(Box::new(person)))
}

/// Whose certificate it is. It proves who holds the key; whether that one belongs to the fleet is
/// asked of the database each time.
async fn by_certificate(state: &AppState, shown: ShownCertificate) -> Answer<Identity> {
    if shown.expires_at <= state.now() {
        let detail = format!("the certificate was good until {}", shown.expires_at);
        return Err(Failure::new(ProblemCode::Unauthenticated, detail)
            .with_hint("enrol with a new token: with the same key, the device stays the same"));
    }
    if let Some(device) = state.storage().device_by_credential(&shown.key).await? {
        return Ok(Identity::Device(device));
    }
    let edge = state.storage().edge_by_credential(&shown.key).await?;
    edge.map(Identity::Edge).ok_or_else(|| {
        Failure::new(ProblemCode::Unauthenticated, "the certificate is not known to this server")
            .with_hint("enrol with a new token")
    })
}

/// Opens a console session for whoever knows a password, the administrator's token, or a login link
/// that nobody has followed yet; the cookie that holds it.
///
/// # Errors
///
/// [`Failure`] if the credential is wrong or was tried too often, or the request comes from another
/// site's page.
pub async fn open_session(
    state: &AppState,
    Peer { address, is_tls }: Peer,
    headers: &HeaderMap,
    login: &LoginRequest,
) -> Answer<HeaderValue> {
    if headers.contains_key(header::ORIGIN) && !is_from_own_page(state, headers) {
        return Err(foreign_page());
    }
    let (account, via) = match login {
        LoginRequest::Token { token } => by_secret(state, token, address.clone()).await?,
        LoginRequest::Password { account, password } => {
            let account = people::by_password(state, account, password, address.clone()).await?;
            (Some(account.name), account.source.as_str())
        }
    };
    begin_session(state, Peer { address, is_tls }, account.as_ref(), via).await
}

/// Opens a console session for somebody (none: whoever holds the administrator's token) who has
/// proven in this way who they are; the cookie that holds it.
///
/// # Errors
///
/// [`Failure`] if the database fails.
pub async fn begin_session(
    state: &AppState,
    Peer { address, is_tls }: Peer,
    account: Option<&AccountName>,
    via: &str,
) -> Answer<HeaderValue> {
    let name = account.map_or(ADMINISTRATOR, AccountName::as_str);
    let by = By::person(name).via(via).from(address);
    let session = Secret::random(SecretKind::Session);
    let lifetime = state.config().session_lifetime;
    let now = state.now();
    let opened = (account, now + lifetime);
    state.storage().add_session(&by, &session.hash(), opened, now).await?;
    Ok(cookie(is_secure(state, is_tls), session.reveal(), lifetime.as_millis() / 1000))
}

/// Whether browsers reach the server by TLS only.
pub fn is_secure(state: &AppState, is_tls: bool) -> bool {
    let public = state.config().public_url.as_ref();
    is_tls || public.is_some_and(|url| url.starts_with("https://"))
}

/// Whose the administrator's token or a login link is, and which of the two it is.
async fn by_secret(
    state: &AppState,
    token: &str,
    origin: Option<String>,
) -> Answer<(Option<AccountName>, &'static str)> {
    let (hash, now) = (secret::hash(token.trim()), state.now());
    if state.is_administrator(&hash) {
        return Ok((None, Proof::Token.as_str()));
    }
    let known = state.login_links().take(&hash, now);
    let good = known.filter(|account| {
        account.as_ref().is_none_or(|name| state.directory().account(name).is_some())
    });
    match good {
        Some(account) => Ok((account, "link")),
        None => {
            people::tell_refused(state, None, None, origin).await;
            Err(Failure::new(ProblemCode::Unauthenticated, "the token is not known")
                .with_hint("it is in the file `admin-token` in the server's data folder"))
        }
    }
}

/// The digest of the session that a request was made in, if it was.
pub fn session_hash(headers: &HeaderMap) -> Option<Digest> {
    session_of(headers).map(secret::hash)
}

/// Ends the session that a request was made in; the cookie that takes it away.
///
/// # Errors
///
/// [`Failure`] if the database fails.
pub async fn close_session(state: &AppState, by: &By, headers: &HeaderMap) -> Answer<HeaderValue> {
    if let Some(session) = session_of(headers) {
        state.storage().remove_session(by, &secret::hash(session), state.now()).await?;
    }
    Ok(cookie(false, "", 0))
}

fn cookie(is_secure: bool, value: &str, max_age_secs: u64) -> HeaderValue {
    let secure = if is_secure { "; Secure" } else { "" };
    let text = format!(
        "{SESSION_COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age_secs}{secure}"
    );
    HeaderValue::from_str(&text).expect("a session is hexadecimal digits")
}

fn session_of(headers: &HeaderMap) -> Option<&str> {
    cookie_of(headers, SESSION_COOKIE)
}

/// The value of a cookie that a browser sends.
pub fn cookie_of<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(name, value)| *name == wanted && !value.is_empty())
        .map(|(_, value)| value)
}

/// Whether a browser says that the request comes from a page of this server. Browsers send `Origin`
/// with every request that may change something, and no page can forge it.
fn is_from_own_page(state: &AppState, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let Some((_, origin)) = text(header::ORIGIN).and_then(|origin| origin.split_once("://")) else {
        return false;
    };
    let public = state.config().public_url.as_deref().and_then(|url| url.split_once("://"));
    let public_host = public.map(|(_, rest)| rest.split('/').next().unwrap_or_default());
    text(header::HOST) == Some(origin) || public_host == Some(origin)
}

fn foreign_page() -> Failure {
    Failure::new(ProblemCode::Forbidden, "the request does not come from a page of this server")
        .with_hint(
            "behind a proxy, set `public_url` to the address that browsers use; programs send the \
             token as `Authorization: Bearer …` instead of the cookie",
        )
}
