//! Signing in and out, and who looks at a page.

use askama::Template;
use axum::extract::{Form, FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use gofleet_api::LoginRequest;
use gofleet_core::account::{ADMINISTRATOR, Permission, Subject};
use serde::Deserialize;

use super::assets::{ADDRESSES, Addresses};
use super::{Reply, Trouble, not_an_id, pieces, render};
use crate::access::Peer;
use crate::authentication::{Authenticated, close_session, open_session};
use crate::authorization::CallingPerson;
use crate::failure::Failure;
use crate::http::percent_encoded;
use crate::state::AppState;

/// The person who looks at a page, and may. Everybody else is sent to sign in, and from there to
/// where they wanted to go.
pub(super) struct Visitor(pub(super) CallingPerson);

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let Myself(caller) = Myself::from_request_parts(parts, state).await?;
        if caller.person().account.as_ref().is_some_and(|it| it.must_change_password) {
            return Err(Redirect::to("/account").into_response());
        }
        let state = parts.extensions.get::<AppState>().cloned();
        let state = state.expect("who calls was looked at with the server's state");
        match caller.may(&state, Permission::Read, Subject::Fleet {}).await {
            Ok(_) => Ok(Self(caller)),
            Err(failure) => Err(Trouble(failure).into_response()),
        }
    }
}

/// The person who looks at a page that concerns nobody else.
pub(super) struct Myself(pub(super) CallingPerson);

impl<S: Sync> FromRequestParts<S> for Myself {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        if let Ok(caller) = CallingPerson::from_request_parts(parts, state).await {
            return Ok(Self(caller));
        }
        match parts.extensions.get::<Authenticated>() {
            Some(Authenticated(Err(failure))) => Err(Trouble(failure.clone()).into_response()),
            Some(Authenticated(Ok(_))) | None => {
                let wanted = parts.uri.path_and_query().map_or("/", |wanted| wanted.as_str());
                // Where a form was sent to is no place to come back to.
                let wanted = if parts.method == Method::GET { wanted } else { "/" };
                let login = format!("/login?next={}", percent_encoded(wanted));
                Err(Redirect::to(&login).into_response())
            }
        }
    }
}

/// `login.html`
#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    assets: &'static Addresses,
    problem: String,
    next: String,
    /// Where single sign-on begins; empty if there is none.
    sign_on: String,
}

#[derive(Deserialize)]
pub(super) struct LoginQuery {
    #[serde(default)]
    next: String,
    /// Of a link that logs in once.
    #[serde(default)]
    link: String,
}

/// `GET /login`
pub(super) async fn login_page(
    State(state): State<AppState>,
    Query(query): Query<LoginQuery>,
    peer: Peer,
    headers: HeaderMap,
) -> Reply {
    if !query.link.is_empty() {
        let login = LoginRequest::Token { token: query.link };
        return enter(&state, peer, &headers, &login, &query.next).await;
    }
    let next = own_path(&query.next).to_owned();
    let sign_on = sign_on_address(&state, &next);
    render(&LoginPage { assets: &ADDRESSES, problem: String::new(), next, sign_on })
}

#[derive(Deserialize)]
pub(super) struct LoginForm {
    /// An account; empty for whoever holds the administrator's token.
    #[serde(default)]
    account: String,
    /// The password of the account, or the token.
    secret: String,
    #[serde(default)]
    next: String,
}

/// `POST /login`
pub(super) async fn login(
    State(state): State<AppState>,
    peer: Peer,
    headers: HeaderMap,
    Form(form): Form<LoginForm>,
) -> Reply {
    let LoginForm { account, secret, next } = form;
    let login = match account.trim() {
        "" | ADMINISTRATOR => LoginRequest::Token { token: secret },
        account => match account.parse() {
            Ok(account) => LoginRequest::Password { account, password: secret },
            Err(error) => return refuse(&state, &not_an_id(&error), &next),
        },
    };
    enter(&state, peer, &headers, &login, &next).await
}

/// Opens a session and goes on, or says why not.
async fn enter(
    state: &AppState,
    peer: Peer,
    headers: &HeaderMap,
    login: &LoginRequest,
    next: &str,
) -> Reply {
    match open_session(state, peer, headers, login).await {
        Ok(cookie) => {
            let to = Redirect::to(own_path(next));
            Ok(([(header::SET_COOKIE, cookie)], to).into_response())
        }
        Err(failure) => refuse(state, &failure, next),
    }
}

/// The page to sign in, with why that failed.
pub(super) fn refuse(state: &AppState, failure: &Failure, next: &str) -> Reply {
    let problem = failure.problem();
    let hint = problem.hint.as_deref().unwrap_or_default();
    let page = LoginPage {
        assets: &ADDRESSES,
        problem: pieces::sentences(&[&problem.detail, hint]),
        next: own_path(next).to_owned(),
        sign_on: sign_on_address(state, own_path(next)),
    };
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
    Ok((status, render(&page)?).into_response())
}

fn sign_on_address(state: &AppState, next: &str) -> String {
    let is_set = state.sign_on().oidc.is_some();
    if is_set { format!("/login/oidc?next={}", percent_encoded(next)) } else { String::new() }
}

/// `POST /logout`
pub(super) async fn logout(
    State(state): State<AppState>,
    Myself(caller): Myself,
    headers: HeaderMap,
) -> Reply {
    let by = caller.may(&state, Permission::Own, Subject::Fleet {}).await?;
    let cookie = close_session(&state, &by, &headers).await?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response())
}

/// A path of this server, or its first page: a link must not lead from here to another site.
/// Browsers read `\` as `/`, and skip tabs and line ends (WHATWG URL, section 4.4).
pub(super) fn own_path(next: &str) -> &str {
    let is_own = next.starts_with('/')
        && !next[1..].starts_with(['/', '\\'])
        && !next.contains(|c: char| c.is_control());
    if is_own { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::own_path;

    #[test]
    fn signing_in_leads_to_no_other_site() {
        for (next, expect) in [
            ("/rollouts/r-1?x=1", "/rollouts/r-1?x=1"),
            ("", "/"),
            ("https://example.org", "/"),
            ("//example.org", "/"),
            ("/\\example.org", "/"),
            ("/\t/example.org", "/"),
            ("javascript:alert(1)", "/"),
        ] {
            assert_eq!(own_path(next), expect, "{next:?}");
        }
    }
}
