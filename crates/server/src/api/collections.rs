//! Named collections of devices.

use axum::Json;
use axum::extract::{DefaultBodyLimit, State};
use gofleet_api::{
    Collection, CollectionDetail, CollectionRequest, CollectionSummary, Problem, RosterChange,
};
use gofleet_core::account::Permission;
use gofleet_core::ids::CollectionName;
use utoipa_axum::router::UtoipaMethodRouter;
use utoipa_axum::routes;

use crate::access::{Access, Pace, Routes};
use crate::authorization::CallingPerson;
use crate::extract;
use crate::failure::Answer;
use crate::state::AppState;
use crate::{collections, views};

/// The largest list: 200,000 host names of usual length.
const LIST_BODY_BYTES: usize = 8 << 20;

pub fn routes() -> Routes {
    let read = Access::Person(Permission::Read);
    let change = Access::Person(Permission::ChangeCollections);
    Routes::default()
        .add(read, Pace::Quick, routes!(list))
        .add(read, Pace::Quick, with_lists(routes!(one)))
        .add(change, Pace::Quick, with_lists(routes!(set, delete)))
        .add(read, Pace::Quick, with_lists(routes!(preview)))
}

/// Routes that are sent lists of names, which are longer than other bodies.
fn with_lists(
    (schemas, paths, methods): UtoipaMethodRouter<AppState>,
) -> UtoipaMethodRouter<AppState> {
    (schemas, paths, methods.layer(DefaultBodyLimit::max(LIST_BODY_BYTES)))
}

/// Every collection, without the names that they list.
#[utoipa::path(
    get, path = "/collections", tag = "collections",
    responses((status = 200, body = Vec<CollectionSummary>), (status = 401, body = Problem))
)]
async fn list(State(state): State<AppState>) -> Answer<Json<Vec<CollectionSummary>>> {
    views::collections(&state).await.map(Json)
}

/// A collection with whom it holds, and what asks for it.
#[utoipa::path(
    get, path = "/collections/{name}", tag = "collections",
    params(("name" = CollectionName, Path)),
    responses(
        (status = 200, body = CollectionDetail),
        (status = 401, body = Problem),
        (status = 404, body = Problem),
    )
)]
async fn one(
    State(state): State<AppState>,
    extract::Path(name): extract::Path<CollectionName>,
) -> Answer<Json<CollectionDetail>> {
    views::collection(&state, &name).await.map(Json)
}

/// Writes who belongs to a collection, which is made if there is none; tells who comes and goes.
#[utoipa::path(
    put, path = "/collections/{name}", tag = "collections",
    params(("name" = CollectionName, Path)), request_body = CollectionRequest,
    responses(
        (status = 200, body = RosterChange),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
    )
)]
async fn set(
    State(state): State<AppState>,
    caller: CallingPerson,
    extract::Path(name): extract::Path<CollectionName>,
    extract::Json(request): extract::Json<CollectionRequest>,
) -> Answer<Json<RosterChange>> {
    collections::set(&state, &caller, &name, request).await.map(Json)
}

/// Who would come and go if a collection was written so. Nothing is changed.
#[utoipa::path(
    post, path = "/collections/{name}/preview", tag = "collections",
    params(("name" = CollectionName, Path)), request_body = CollectionRequest,
    responses(
        (status = 200, body = RosterChange),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
    )
)]
async fn preview(
    State(state): State<AppState>,
    extract::Path(name): extract::Path<CollectionName>,
    extract::Json(request): extract::Json<CollectionRequest>,
) -> Answer<Json<RosterChange>> {
    collections::preview(&state, &name, request.members).await.map(Json)
}

/// Deletes a collection that nothing asks for.
#[utoipa::path(
    delete, path = "/collections/{name}", tag = "collections",
    params(("name" = CollectionName, Path)),
    responses(
        (status = 200, body = Collection, description = "The collection that there was"),
        (status = 401, body = Problem),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "A rollout, a hold or a token asks for it"),
    )
)]
async fn delete(
    State(state): State<AppState>,
    caller: CallingPerson,
    extract::Path(name): extract::Path<CollectionName>,
) -> Answer<Json<Collection>> {
    collections::delete(&state, &caller, &name).await.map(Json)
}
