//! The emergency stop.

use axum::Json;
use axum::extract::State;
use gofleet_api::{EmergencyRequest, EmergencyView, Problem};
use utoipa_axum::routes;

use crate::access::{Access, CallingAdministrator, Pace, Routes};
use crate::commands;
use crate::extract;
use crate::failure::Answer;
use crate::state::AppState;

pub fn routes() -> Routes {
    Routes::default().add(Access::Administrator, Pace::Quick, routes!(show, stop, lift))
}

/// Whether the emergency stop holds.
#[utoipa::path(
    get, path = "/emergency", tag = "emergency",
    responses((status = 200, body = EmergencyView), (status = 401, body = Problem))
)]
async fn show(State(state): State<AppState>) -> Answer<Json<EmergencyView>> {
    Ok(Json(EmergencyView { stop: state.storage().emergency().await? }))
}

/// Stops every rollout at once: nothing begins, and what has not switched is taken back. If it
/// holds already, it stays as it is.
#[utoipa::path(
    put, path = "/emergency", tag = "emergency", request_body = EmergencyRequest,
    responses((status = 200, body = EmergencyView), (status = 401, body = Problem))
)]
async fn stop(
    State(state): State<AppState>,
    CallingAdministrator(by): CallingAdministrator,
    extract::Json(request): extract::Json<EmergencyRequest>,
) -> Answer<Json<EmergencyView>> {
    let stop = commands::stop_everything(&state, &by, &request.reason).await?;
    Ok(Json(EmergencyView { stop: Some(stop) }))
}

/// Lifts the emergency stop. Rollouts stay paused until they are resumed.
#[utoipa::path(
    delete, path = "/emergency", tag = "emergency",
    responses(
        (status = 200, body = EmergencyView, description = "The stop that held, if one did"),
        (status = 401, body = Problem),
    )
)]
async fn lift(
    State(state): State<AppState>,
    CallingAdministrator(by): CallingAdministrator,
) -> Answer<Json<EmergencyView>> {
    Ok(Json(EmergencyView { stop: commands::lift_emergency(&state, &by).await? }))
}
