//! What keeps devices out of rollouts: holds, and quarantine.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gofleet_api::{Hold, HoldRequest, Problem, QuarantineRequest, QuarantineView};
use gofleet_core::ids::{DeviceId, HoldId};
use utoipa_axum::routes;

use crate::access::{Access, CallingAdministrator, Pace, Routes};
use crate::commands;
use crate::extract;
use crate::failure::Answer;
use crate::state::AppState;

pub fn routes() -> Routes {
    Routes::default()
        .add(Access::Administrator, Pace::Quick, routes!(list, make))
        .add(Access::Administrator, Pace::Quick, routes!(lift))
        .add(Access::Administrator, Pace::Quick, routes!(quarantine, let_in))
        .add(Access::Administrator, Pace::Quick, routes!(revoke))
}

/// The holds that hold now or will, oldest first.
#[utoipa::path(
    get, path = "/holds", tag = "holds",
    responses((status = 200, body = Vec<Hold>), (status = 401, body = Problem))
)]
async fn list(State(state): State<AppState>) -> Answer<Json<Vec<Hold>>> {
    Ok(Json(state.storage().holds(state.now()).await?))
}

/// Keeps every device that a selector picks out of rollouts.
#[utoipa::path(
    post, path = "/holds", tag = "holds", request_body = HoldRequest,
    responses(
        (status = 201, body = Hold),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
    )
)]
async fn make(
    State(state): State<AppState>,
    CallingAdministrator(by): CallingAdministrator,
    extract::Json(request): extract::Json<HoldRequest>,
) -> Answer<(StatusCode, Json<Hold>)> {
    Ok((StatusCode::CREATED, Json(commands::hold(&state, &by, request).await?)))
}

/// Lifts a hold.
#[utoipa::path(
    delete, path = "/holds/{id}", tag = "holds", params(("id" = HoldId, Path)),
    responses(
        (status = 200, body = Hold, description = "The hold that held"),
        (status = 401, body = Problem),
        (status = 404, body = Problem),
    )
)]
async fn lift(
    State(state): State<AppState>,
    CallingAdministrator(by): CallingAdministrator,
    extract::Path(hold): extract::Path<HoldId>,
) -> Answer<Json<Hold>> {
    Ok(Json(state.storage().lift_hold(&by, &hold, state.now()).await?))
}

/// Puts a device into quarantine. If it is there already, the first cause stays.
#[utoipa::path(
    put, path = "/devices/{id}/quarantine", tag = "holds", params(("id" = DeviceId, Path)),
    request_body = QuarantineRequest,
    responses(
        (status = 200, body = QuarantineView),
        (status = 401, body = Problem),
        (status = 404, body = Problem),
    )
)]
async fn quarantine(
    State(state): State<AppState>,
    CallingAdministrator(by): CallingAdministrator,
    extract::Path(device): extract::Path<DeviceId>,
    extract::Json(request): extract::Json<QuarantineRequest>,
) -> Answer<Json<QuarantineView>> {
    let quarantine = commands::quarantine(&state, &device, &by, &request.reason).await?;
    Ok(Json(QuarantineView { quarantine: Some(quarantine) }))
}

/// Revokes a device's key, for good: its next request is refused, and no rollout waits for it.
#[utoipa::path(
    post, path = "/devices/{id}/revoke", tag = "holds", params(("id" = DeviceId, Path)),
    request_body = QuarantineRequest,
    responses(
        (status = 200, body = QuarantineView),
        (status = 401, body = Problem),
        (status = 404, body = Problem),
    )
)]
async fn revoke(
    State(state): State<AppState>,
    CallingAdministrator(by): CallingAdministrator,
    extract::Path(device): extract::Path<DeviceId>,
    extract::Json(request): extract::Json<QuarantineRequest>,
) -> Answer<Json<QuarantineView>> {
    let quarantine = commands::revoke(&state, &device, &by, &request.reason).await?;
    Ok(Json(QuarantineView { quarantine: Some(quarantine) }))
}

/// Lets a device out of quarantine.
#[utoipa::path(
    delete, path = "/devices/{id}/quarantine", tag = "holds", params(("id" = DeviceId, Path)),
    responses(
        (status = 200, body = QuarantineView, description = "The quarantine that it was in"),
        (status = 401, body = Problem),
        (status = 404, body = Problem),
    )
)]
async fn let_in(
    State(state): State<AppState>,
    CallingAdministrator(by): CallingAdministrator,
    extract::Path(device): extract::Path<DeviceId>,
) -> Answer<Json<QuarantineView>> {
    let quarantine = commands::let_in(&state, &device, &by).await?;
    Ok(Json(QuarantineView { quarantine }))
}
