//! Who calls: the one function that every request's identity comes from.
//!
//! Another proof (single sign-on, say) becomes one more branch of
//! [`authenticate`]; nothing else in the server looks at credentials.

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use gofleet_api::{ProblemCode, SESSION_COOKIE};
use gofleet_core::audit::By;
use gofleet_core::ids::{DeviceId, EdgeId};

use crate::access::Peer;
use crate::clones;
use crate::failure::{Answer, Failure};
use crate::secret::{self, Secret, SecretKind};
use crate::state::AppState;
use crate::tls::{Caller, ShownCertificate};

/// The name under which the administrator's deeds are written down: there is one so far.
const ADMINISTRATOR: &str = "admin";

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// An administrator.
    Administrator {
        /// The name under which what is done is written down.
        name: String,
        /// How they proved it.
        proof: Proof,
    },
    /// A device, which may ask and report for itself only.
    Device(DeviceId),
    /// A distribution point, which may fetch artifacts and report for itself.
    Edge(EdgeId),
}

/// How an administrator proved to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// By the token, which no browser sends by itself.
    Token,
    /// By the cookie of a console session, which browsers send by themselves.
    Session,
}

impl Proof {
    /// As the audit log has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Session => "session",
        }
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
        return by_bearer(state, value).map(Some);
    }
    if let Some((caller, shown)) = caller.and_then(|it| Some((it, it.certificate?))) {
        let identity = by_certificate(state, shown).await?;
        if let Identity::Device(device) = &identity {
            clones::look(state, device, caller, headers).await;
        }
        return Ok(Some(identity));
    }
    let Some(session) = session_of(headers) else { return Ok(None) };
    if !state.storage().has_session(&secret::hash(session), state.now()).await? {
        return Ok(None);
    }
    if !method.is_safe() && !is_from_own_page(state, headers) {
        return Err(foreign_page());
    }
    Ok(Some(Identity::Administrator { name: ADMINISTRATOR.to_owned(), proof: Proof::Session }))
}

/// Puts what [`authenticate`] says into a request's extensions.
pub async fn layer(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let caller = request.extensions().get().map(|ConnectInfo(caller): &ConnectInfo<Caller>| caller);
    let identity = authenticate(&state, caller, request.method(), request.headers()).await;
    request.extensions_mut().insert(Authenticated(identity));
    next.run(request).await
}

fn by_bearer(state: &AppState, value: &HeaderValue) -> Answer<Identity> {
    let credential = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, credential)| secret::hash(credential.trim()));
    let unknown = || {
        Failure::new(ProblemCode::Unauthenticated, "the credential is not known to this server")
            .with_hint(
                "an administrator's token is the one that the server wrote to `admin-token` in its \
                 data folder; devices and distribution points show a certificate",
            )
    };
    let hash = credential.ok_or_else(unknown)?;
    if state.is_administrator(&hash) {
        return Ok(Identity::Administrator { name: ADMINISTRATOR.to_owned(), proof: Proof::Token });
    }
    Err(unknown())
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

/// Opens a console session for whoever knows the administrator's token, or a login link that
/// nobody has followed yet; the cookie that holds it.
///
/// # Errors
///
/// [`Failure`] if the token is not known, or the request comes from another site's page.
pub async fn open_session(
    state: &AppState,
    Peer { address, is_tls }: Peer,
    headers: &HeaderMap,
    token: &str,
) -> Answer<HeaderValue> {
    if headers.contains_key(header::ORIGIN) && !is_from_own_page(state, headers) {
        return Err(foreign_page());
    }
    let hash = secret::hash(token.trim());
    let via = if state.is_administrator(&hash) {
        Proof::Token.as_str()
    } else if state.login_links().take(&hash, state.now()) {
        "link"
    } else {
        return Err(Failure::new(ProblemCode::Unauthenticated, "the token is not known")
            .with_hint("it is in the file `admin-token` in the server's data folder"));
    };
    let by = By::person(ADMINISTRATOR).via(via).from(address);
    let session = Secret::random(SecretKind::Session);
    let lifetime = state.config().session_lifetime;
    let now = state.now();
    state.storage().add_session(&by, &session.hash(), now + lifetime, now).await?;
    let public = state.config().public_url.as_ref();
    let is_secure = is_tls || public.is_some_and(|url| url.starts_with("https://"));
    Ok(cookie(is_secure, session.reveal(), lifetime.as_millis() / 1000))
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
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(name, value)| *name == SESSION_COOKIE && !value.is_empty())
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
