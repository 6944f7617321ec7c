//! Console sessions and enrolment tokens.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use gofleet_api::{
    LoginLink, LoginRequest, NewToken, Problem, ProblemCode, TokenRequest, TokenView,
};
use gofleet_core::account::{Permission, Subject};
use gofleet_core::audit::Act;
use gofleet_core::time::Span;
use gofleet_storage::Token;
use utoipa_axum::routes;

use crate::access::{Access, Pace, Peer, Routes};
use crate::authentication::{close_session, open_session};
use crate::authorization::{CallingPerson, Permitted};
use crate::collections;
use crate::extract::Json;
use crate::failure::{Answer, Failure};
use crate::secret::{Secret, SecretKind};
use crate::state::AppState;

/// The longest that an enrolment token may be good: long enough to image a batch of machines.
const MAX_TOKEN_LIFETIME: Span = Span::from_secs(30 * 24 * 60 * 60);
/// The longest note that is kept.
const MAX_NOTE_CHARS: usize = 200;

pub fn routes() -> Routes {
    let own = Access::Person(Permission::Own);
    Routes::default()
        .add(Access::Anyone, Pace::Quick, routes!(login))
        .add(own, Pace::Quick, routes!(logout))
        .add(own, Pace::Quick, routes!(login_link))
        .add(Access::Person(Permission::Read), Pace::Quick, routes!(tokens))
        .add(Access::Person(Permission::EnrolDevices), Pace::Quick, routes!(create_token))
}

/// Opens a console session.
#[utoipa::path(
    post, path = "/session", tag = "session", request_body = LoginRequest,
    responses(
        (status = 204, description = "Logged in; the session is in the cookie"),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
    )
)]
async fn login(
    State(state): State<AppState>,
    peer: Peer,
    headers: HeaderMap,
    Json(request): Json<LoginRequest>,
) -> Answer<Response> {
    let cookie = open_session(&state, peer, &headers, &request).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// Makes a link that logs a browser in once.
#[utoipa::path(
    post, path = "/session/link", tag = "session",
    responses((status = 201, body = LoginLink), (status = 401, body = Problem))
)]
async fn login_link(
    State(state): State<AppState>,
    caller: CallingPerson,
    Permitted(by): Permitted,
) -> Answer<(StatusCode, axum::Json<LoginLink>)> {
    if caller.person().token.as_ref().is_some_and(|token| !token.roles.is_empty()) {
        let detail = "the API token that was sent is for some roles only, and a session has all";
        return Err(Failure::new(ProblemCode::Forbidden, detail));
    }
    let account = caller.person().account.as_ref().map(|account| account.name.clone());
    let (link, expires_at) = state.login_links().make(account, state.now());
    // Who is not told the link cannot follow it.
    state.storage().record(&by, Act::LoginLinkMade { expires_at }, state.now()).await?;
    let path = format!("/login?link={}", link.reveal());
    Ok((StatusCode::CREATED, axum::Json(LoginLink { path, expires_at })))
}

/// Ends the console session.
#[utoipa::path(
    delete, path = "/session", tag = "session",
    responses((status = 204, description = "Logged out"), (status = 401, body = Problem))
)]
async fn logout(
    State(state): State<AppState>,
    Permitted(by): Permitted,
    headers: HeaderMap,
) -> Answer<Response> {
    let cookie = close_session(&state, &by, &headers).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// Every enrolment token, newest first, without its text.
#[utoipa::path(
    get, path = "/tokens", tag = "enrolment",
    responses((status = 200, body = Vec<TokenView>), (status = 401, body = Problem))
)]
async fn tokens(State(state): State<AppState>) -> Answer<axum::Json<Vec<TokenView>>> {
    let tokens = state.storage().tokens().await?;
    Ok(axum::Json(tokens.into_iter().map(view).collect()))
}

/// A token as administrators see it: the beginning of its hash names it and is of no other use.
fn view(token: Token) -> TokenView {
    let Token { hash, note, scope, created_at, expires_at, used_by, .. } = token;
    let id = hash.to_string()[..12].to_owned();
    TokenView { id, note, scope, created_at, expires_at, used_by }
}

/// Makes an enrolment token: for one machine, for a short time.
#[utoipa::path(
    post, path = "/tokens", tag = "enrolment", request_body = TokenRequest,
    responses(
        (status = 201, body = NewToken),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
    )
)]
async fn create_token(
    State(state): State<AppState>,
    caller: CallingPerson,
    Json(request): Json<TokenRequest>,
) -> Answer<(StatusCode, axum::Json<NewToken>)> {
    let by = caller.may(&state, Permission::EnrolDevices, Subject::Fleet {}).await?;
    let lifetime = request.expires_in.unwrap_or(state.config().token_lifetime);
    if lifetime == Span::ZERO || lifetime > MAX_TOKEN_LIFETIME {
        return Err(Failure::new(
            ProblemCode::InvalidRequest,
            format!("a token must be good for more than nothing and at most {MAX_TOKEN_LIFETIME}"),
        ));
    }
    collections::selector(&state, &request.scope.devices).await?;
    let note: String =
        request.note.chars().filter(|c| !c.is_control()).take(MAX_NOTE_CHARS).collect();
    let token = Secret::random(SecretKind::Enrolment);
    let now = state.now();
    let expires_at = now + lifetime;
    state.storage().add_token(&by, &token.hash(), (&note, &request.scope), expires_at, now).await?;
    let mut token = token.reveal_for(state.told_authority().as_ref());
    if let Some(root) = crate::trust::root(&state).await? {
        token = gofleet_api::trust::with_root(&token, &root);
    }
    Ok((StatusCode::CREATED, axum::Json(NewToken { token, expires_at })))
}
