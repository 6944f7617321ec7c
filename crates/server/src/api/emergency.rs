//! The emergency stop.

use axum::Json;
use axum::extract::State;
use gofleet_api::{EmergencyRequest, EmergencyView, Problem};
use gofleet_core::account::Permission;
use utoipa_axum::routes;

use crate::access::{Access, Pace, Routes};
use crate::authorization::CallingPerson;
use crate::commands;
use crate::extract;
use crate::failure::Answer;
use crate::state::AppState;

pub fn routes() -> Routes {
    Routes::default()
        .add(Access::Person(Permission::Read), Pace::Quick, routes!(show))
        .add(Access::Person(Permission::StopEverything), Pace::Quick, routes!(stop))
        .add(Access::Person(Permission::LiftEmergency), Pace::Quick, routes!(lift))
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
    caller: CallingPerson,
    extract::Json(request): extract::Json<EmergencyRequest>,
) -> Answer<Json<EmergencyView>> {
    let stop = commands::stop_everything(&state, &caller, &request.reason).await?;
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
async fn lift(State(state): State<AppState>, caller: CallingPerson) -> Answer<Json<EmergencyView>> {
    Ok(Json(EmergencyView { stop: commands::lift_emergency(&state, &caller).await? }))
}
