//! Signing in and out, and who looks at a page.

use askama::Template;
use axum::extract::{Form, FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use gofleet_core::audit::By;
use serde::Deserialize;

use super::assets::{ADDRESSES, Addresses};
use super::devices::percent_encoded;
use super::{Reply, Trouble, pieces, render};
use crate::access::{CallingAdministrator, Peer};
use crate::authentication::{Authenticated, close_session, open_session};
use crate::state::AppState;

/// The administrator who looks at a page. Everybody else is sent to sign in, and from
/// there to where they wanted to go.
pub(super) struct Visitor(pub(super) By);

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        if let Ok(CallingAdministrator(by)) =
            CallingAdministrator::from_request_parts(parts, state).await
        {
            return Ok(Self(by));
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
        return enter(&state, peer, &headers, &query.link, &query.next).await;
    }
    let next = own_path(&query.next).to_owned();
    render(&LoginPage { assets: &ADDRESSES, problem: String::new(), next })
}

#[derive(Deserialize)]
pub(super) struct LoginForm {
    token: String,
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
    enter(&state, peer, &headers, &form.token, &form.next).await
}

/// Opens a session and goes on, or says why not.
async fn enter(
    state: &AppState,
    peer: Peer,
    headers: &HeaderMap,
    token: &str,
    next: &str,
) -> Reply {
    let next = own_path(next);
    match open_session(state, peer, headers, token).await {
        Ok(cookie) => Ok(([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response()),
        Err(failure) => {
            let problem = failure.problem();
            let hint = problem.hint.as_deref().unwrap_or_default();
            let page = LoginPage {
                assets: &ADDRESSES,
                problem: pieces::sentences(&[&problem.detail, hint]),
                next: next.to_owned(),
            };
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
            Ok((status, render(&page)?).into_response())
        }
    }
}

/// `POST /logout`
pub(super) async fn logout(
    State(state): State<AppState>,
    Visitor(by): Visitor,
    headers: HeaderMap,
) -> Reply {
    let cookie = close_session(&state, &by, &headers).await?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response())
}

/// A path of this server, or its first page: a link must not lead from here to another site.
/// Browsers read `\` as `/`, and skip tabs and line ends (WHATWG URL, section 4.4).
fn own_path(next: &str) -> &str {
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
