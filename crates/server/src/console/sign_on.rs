//! Single sign-on: to the provider, and back.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect};
use gofleet_api::ProblemCode;
use serde::Deserialize;

use super::session::{own_path, refuse};
use super::{Reply, render};
use crate::access::Peer;
use crate::authentication::{begin_session, cookie_of, is_secure};
use crate::config::CALLBACK;
use crate::failure::Failure;
use crate::sign_on::{self, LIFETIME, Provider, ProviderAnswer};
use crate::state::AppState;

/// Ties a login to the browser in which it began.
const COOKIE: &str = "gofleet_sign_on";

#[derive(Deserialize)]
pub(super) struct BeginQuery {
    #[serde(default)]
    next: String,
}

/// `GET /login/oidc`
pub(super) async fn begin(
    State(state): State<AppState>,
    Query(BeginQuery { next }): Query<BeginQuery>,
    peer: Peer,
) -> Reply {
    let next = own_path(&next);
    let begun = match provider(&state)?.begin(next, state.now()).await {
        Ok(begun) => begun,
        Err(failure) => return refuse(&state, &sign_on::refused_by_provider(&failure), next),
    };
    let cookie = cookie(&state, peer.is_tls, begun.cookie.reveal(), LIFETIME.as_millis() / 1000);
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&begun.url)).into_response())
}

/// `signed_in.html`
#[derive(Template)]
#[template(path = "signed_in.html")]
struct SignedInPage {
    next: String,
}

/// `GET /login/oidc/callback`
pub(super) async fn end(
    State(state): State<AppState>,
    Query(answer): Query<ProviderAnswer>,
    peer: Peer,
    headers: HeaderMap,
) -> Reply {
    let browser = cookie_of(&headers, COOKIE).unwrap_or_default();
    let gone = cookie(&state, peer.is_tls, "", 0);
    let origin = peer.address.clone();
    let known = sign_on::by_provider(&state, provider(&state)?, &answer, browser, origin).await;
    let (account, next) = match known {
        Ok(known) => known,
        Err(failure) => {
            let page = refuse(&state, &failure, "/")?;
            return Ok(([(header::SET_COOKIE, gone)], page).into_response());
        }
    };
    let session = begin_session(&state, peer, Some(&account.name), account.source.as_str()).await?;
    // A page, not a redirect: the session's cookie is not sent on the way from another site.
    let page = render(&SignedInPage { next: own_path(&next).to_owned() })?;
    let cookies = AppendHeaders([(header::SET_COOKIE, session), (header::SET_COOKIE, gone)]);
    Ok((StatusCode::OK, cookies, page).into_response())
}

fn provider(state: &AppState) -> Result<&Provider, Failure> {
    state.sign_on().oidc.as_ref().ok_or_else(|| {
        Failure::new(ProblemCode::NotFound, "this server has no single sign-on")
            .with_hint("`oidc_issuer` in its settings names a provider")
    })
}

/// It comes back with the way from the provider, so it is `Lax`.
fn cookie(state: &AppState, is_tls: bool, value: &str, max_age_secs: u64) -> HeaderValue {
    let secure = if is_secure(state, is_tls) { "; Secure" } else { "" };
    let text = format!(
        "{COOKIE}={value}; Path={CALLBACK}; HttpOnly; SameSite=Lax; Max-Age={max_age_secs}{secure}"
    );
    HeaderValue::from_str(&text).expect("a secret is letters and digits")
}
