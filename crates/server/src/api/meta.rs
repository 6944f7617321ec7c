//! Whether the server is up, and what it offers.

use axum::extract::State;
use axum::response::Response;
use gofleet_api::Health;
use utoipa_axum::routes;

use crate::access::{Access, Pace, Routes};
use crate::http;
use crate::state::AppState;

pub fn routes() -> Routes {
    Routes::default().add(Access::Anyone, Pace::Quick, routes!(health)).add(
        Access::Anyone,
        Pace::Quick,
        routes!(document),
    )
}

/// Whether the server is up.
#[utoipa::path(get, path = "/healthz", tag = "meta", responses((status = 200, body = Health)))]
async fn health() -> axum::Json<Health> {
    axum::Json(Health { status: "ok".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() })
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "meta",
    responses((status = 200, description = "The OpenAPI document", content_type = "application/json"))
)]
async fn document(State(state): State<AppState>) -> Response {
    http::json_bytes(state.document().get().cloned().unwrap_or_default())
}
