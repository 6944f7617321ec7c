//! The catalog: import, look, approve, block.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use gofleet_api::{
    CONFLICTS_HEADER, DecisionRequest, ORIGIN_HEADER, Problem, ProblemCode, REQUIRES_HEADER,
    SHA256_HEADER,
};
use gofleet_core::account::Permission;
use gofleet_core::artifact::Artifact;
use gofleet_core::dependency::{Dependencies, InvalidRequirement, Requirement};
use gofleet_core::digest::Digest;
use gofleet_core::ids::ReleaseId;
use gofleet_core::manifest::Manifest;
use gofleet_core::release::{Release, ReleaseStatus};
use gofleet_storage::Imported;
use utoipa_axum::routes;

use crate::access::{Access, Pace, Routes};
use crate::authorization::CallingPerson;
use crate::extract::{self, Path};
use crate::failure::{Answer, Failure};
use crate::state::AppState;
use crate::upload::{self, Announced};
use crate::{commands, http, views};

pub fn routes() -> Routes {
    let read = Access::Person(Permission::Read);
    Routes::default()
        .add(read, Pace::Quick, routes!(releases))
        .add(Access::Person(Permission::ImportRelease), Pace::Long, routes!(import))
        .add(read, Pace::Quick, routes!(release))
        .add(read, Pace::Quick, routes!(manifest))
        .add(read, Pace::Quick, routes!(artifacts))
        .add(Access::Person(Permission::ApproveRelease), Pace::Quick, routes!(approve))
        .add(Access::Person(Permission::BlockRelease), Pace::Quick, routes!(block))
}

/// The catalog.
#[utoipa::path(
    get, path = "/releases", tag = "releases",
    responses((status = 200, body = Vec<Release>), (status = 401, body = Problem))
)]
async fn releases(State(state): State<AppState>) -> Answer<Json<Vec<Release>>> {
    views::releases(&state).await.map(Json)
}

/// Imports an archive of Go: a zip, a tar.gz, or a wheel that holds one.
#[utoipa::path(
    post, path = "/releases", tag = "releases",
    params(
        ("x-gofleet-sha256" = Option<Digest>, Header, description = "The digest that the body must have"),
        ("x-gofleet-origin" = Option<String>, Header, description = "Where it came from"),
        ("x-gofleet-requires" = Option<String>, Header, description = "What it requires of other packages, with semicolons between, like `gofleet-agent>=0.2.0; golangci-lint>=2, <3`"),
        ("x-gofleet-conflicts" = Option<String>, Header, description = "What it conflicts with, in the same form"),
    ),
    request_body(content_type = "application/octet-stream", description = "The archive"),
    responses(
        (status = 201, body = Release, description = "New in the catalog"),
        (status = 200, body = Release, description = "The catalog had the same content already"),
        (status = 409, body = Problem, description = "The catalog has other content by this name"),
        (status = 413, body = Problem),
        (status = 422, body = Problem, description = "Not an archive that can be imported"),
        (status = 507, body = Problem),
    )
)]
async fn import(
    State(state): State<AppState>,
    caller: CallingPerson,
    headers: HeaderMap,
    body: Body,
) -> Answer<(StatusCode, Json<Release>)> {
    match upload::import(&state, &caller, announced(&headers)?, body).await? {
        Imported::New(release) => Ok((StatusCode::CREATED, Json(release))),
        Imported::Known(release) => Ok((StatusCode::OK, Json(release))),
    }
}

fn announced(headers: &HeaderMap) -> Answer<Announced> {
    let text = |name: &str| {
        headers.get(name).map(|value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()))
    };
    let sha256 = text(SHA256_HEADER).map(|digest| digest.trim().parse()).transpose().map_err(
        |error: gofleet_core::digest::InvalidDigest| {
            Failure::new(ProblemCode::InvalidRequest, format!("{SHA256_HEADER}: {error}"))
        },
    )?;
    let size = text(header::CONTENT_LENGTH.as_str()).and_then(|size| size.parse().ok());
    let origin = text(ORIGIN_HEADER).unwrap_or_default();
    let origin = origin.chars().filter(|c| !c.is_control()).take(500).collect();
    let list = |name: &str| -> Answer<Vec<Requirement>> {
        let text = text(name).unwrap_or_default();
        let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
        let read = parts.map(str::parse).collect::<Result<Vec<_>, InvalidRequirement>>();
        read.map_err(|error| Failure::new(ProblemCode::InvalidRequest, format!("{name}: {error}")))
    };
    let (requires, conflicts) = (list(REQUIRES_HEADER)?, list(CONFLICTS_HEADER)?);
    Ok(Announced { origin, sha256, size, dependencies: Dependencies { requires, conflicts } })
}

/// One release.
#[utoipa::path(
    get, path = "/releases/{id}", tag = "releases", params(("id" = ReleaseId, Path)),
    responses((status = 200, body = Release), (status = 404, body = Problem))
)]
async fn release(
    State(state): State<AppState>,
    Path(release): Path<ReleaseId>,
) -> Answer<Json<Release>> {
    views::release(&state, &release).await.map(Json)
}

/// The manifest of a release.
#[utoipa::path(
    get, path = "/releases/{id}/manifest", tag = "releases", params(("id" = ReleaseId, Path)),
    responses((status = 200, body = Manifest), (status = 404, body = Problem))
)]
async fn manifest(
    State(state): State<AppState>,
    Path(release): Path<ReleaseId>,
) -> Answer<Response> {
    manifest_of(&state, &release).await
}

/// The packs and deltas that make a release, and what came of those that could not be made.
#[utoipa::path(
    get, path = "/releases/{id}/artifacts", tag = "releases", params(("id" = ReleaseId, Path)),
    responses((status = 200, body = Vec<Artifact>), (status = 404, body = Problem))
)]
async fn artifacts(
    State(state): State<AppState>,
    Path(release): Path<ReleaseId>,
) -> Answer<Json<Vec<Artifact>>> {
    Ok(Json(state.storage().artifacts_of(&release).await?))
}

/// The manifest of a release, ready to send.
pub(super) async fn manifest_of(state: &AppState, release: &ReleaseId) -> Answer<Response> {
    Ok(http::json_bytes(state.storage().manifest_json(release).await?.into()))
}

/// Approves a release: it may be rolled out.
#[utoipa::path(
    post, path = "/releases/{id}/approve", tag = "releases", params(("id" = ReleaseId, Path)),
    request_body = DecisionRequest,
    responses((status = 200, body = Release), (status = 404, body = Problem))
)]
async fn approve(
    State(state): State<AppState>,
    caller: CallingPerson,
    Path(release): Path<ReleaseId>,
    extract::Json(request): extract::Json<DecisionRequest>,
) -> Answer<Json<Release>> {
    let (status, reason) = (ReleaseStatus::Approved, &request.reason);
    commands::decide_release(&state, &release, status, &caller, reason).await.map(Json)
}

/// Blocks a release: it may not be rolled out any more, and is taken back where it has not
/// switched.
#[utoipa::path(
    post, path = "/releases/{id}/block", tag = "releases", params(("id" = ReleaseId, Path)),
    request_body = DecisionRequest,
    responses((status = 200, body = Release), (status = 404, body = Problem))
)]
async fn block(
    State(state): State<AppState>,
    caller: CallingPerson,
    Path(release): Path<ReleaseId>,
    extract::Json(request): extract::Json<DecisionRequest>,
) -> Answer<Json<Release>> {
    let (status, reason) = (ReleaseStatus::Blocked, &request.reason);
    commands::decide_release(&state, &release, status, &caller, reason).await.map(Json)
}
