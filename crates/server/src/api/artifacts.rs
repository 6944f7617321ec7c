//! Artifacts (archives, packs, deltas), in whole or in part.

use axum::extract::State;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use gofleet_api::Problem;
use gofleet_core::digest::Digest;
use tokio::fs::File;
use utoipa_axum::routes;

use crate::access::{Access, Pace, Routes};
use crate::extract::Path;
use crate::failure::{Answer, Failure};
use crate::send;
use crate::state::AppState;

pub fn routes() -> Routes {
    Routes::default().add(Access::Known, Pace::Long, routes!(artifact))
}

/// An artifact, by the SHA-256 of its bytes, which is its entity tag too.
#[utoipa::path(
    method(get, head), path = "/artifacts/{sha256}", tag = "artifacts",
    params(
        ("sha256" = Digest, Path),
        ("Range" = Option<String>, Header, description = "One range of bytes"),
        ("If-Range" = Option<String>, Header),
        ("If-None-Match" = Option<String>, Header),
    ),
    responses(
        (status = 200, description = "All of it", content_type = "application/octet-stream"),
        (status = 206, description = "The range", content_type = "application/octet-stream"),
        (status = 304, description = "The caller has it already"),
        (status = 404, body = Problem),
        (status = 416, body = Problem),
    )
)]
async fn artifact(
    State(state): State<AppState>,
    method: Method,
    headers: HeaderMap,
    Path(sha256): Path<Digest>,
) -> Answer<Response> {
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => Failure::not_found("artifact", sha256),
        _ => Failure::io("reading the artifact", &source),
    };
    let file = File::open(state.data().artifact(&sha256)).await.map_err(failed)?;
    send::file(file, sha256, &method, &headers).await
}
