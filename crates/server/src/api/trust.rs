//! Signed metadata: anybody may read it, administrators bring what was signed elsewhere.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use gofleet_api::{ImportTrust, Problem, TrustKeys, TrustView};
use gofleet_core::account::Permission;
use utoipa_axum::routes;

use crate::access::{Access, Pace, Routes};
use crate::authorization::CallingPerson;
use crate::extract::{self, Path};
use crate::failure::Answer;
use crate::http;
use crate::state::AppState;
use crate::trust;

pub fn routes() -> Routes {
    Routes::default()
        .add(Access::Anyone, Pace::Quick, routes!(metadata))
        .add(Access::Person(Permission::Read), Pace::Quick, routes!(keys))
        .add(Access::Person(Permission::Read), Pace::Quick, routes!(view))
        .add(Access::Person(Permission::ImportTrust), Pace::Quick, routes!(import))
}

/// A file of TUF metadata, like `timestamp.json` or `3.root.json`.
#[utoipa::path(
    get, path = "/trust/metadata/{name}", tag = "trust", params(("name" = String, Path)),
    responses(
        (status = 200, description = "As it was signed"),
        (status = 400, body = Problem),
        (status = 404, body = Problem),
    )
)]
async fn metadata(State(state): State<AppState>, Path(name): Path<String>) -> Answer<Response> {
    Ok(http::json_bytes(trust::file(&state, &name).await?.into()))
}

/// The keys by which this server signs.
#[utoipa::path(
    get, path = "/trust/keys", tag = "trust",
    responses((status = 200, body = TrustKeys), (status = 401, body = Problem))
)]
async fn keys(State(state): State<AppState>) -> Json<TrustKeys> {
    Json(state.trust_keys().public())
}

/// Whether releases need signatures, and whose.
#[utoipa::path(
    get, path = "/trust", tag = "trust",
    responses((status = 200, body = TrustView), (status = 401, body = Problem))
)]
async fn view(State(state): State<AppState>) -> Answer<Json<TrustView>> {
    trust::view(&state).await.map(Json)
}

/// Takes in metadata that was signed elsewhere.
#[utoipa::path(
    post, path = "/trust", tag = "trust", request_body = ImportTrust,
    responses(
        (status = 200, body = TrustView),
        (status = 400, body = Problem, description = "Too few have signed, or it can't be believed"),
        (status = 409, body = Problem, description = "It does not follow what holds today"),
    )
)]
async fn import(
    State(state): State<AppState>,
    caller: CallingPerson,
    extract::Json(request): extract::Json<ImportTrust>,
) -> Answer<Json<TrustView>> {
    trust::import(&state, &caller, request).await.map(Json)
}
