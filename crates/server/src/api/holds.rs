//! What keeps devices out of rollouts: holds, and quarantine.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gofleet_api::{Hold, HoldRequest, Problem, QuarantineRequest, QuarantineView};
use gofleet_core::account::Permission;
use gofleet_core::ids::{DeviceId, HoldId};
use utoipa_axum::routes;

use crate::access::{Access, Pace, Routes};
use crate::authorization::CallingPerson;
use crate::commands;
use crate::extract;
use crate::failure::Answer;
use crate::state::AppState;

pub fn routes() -> Routes {
    let keep_out = Access::Person(Permission::KeepDevicesOut);
    let let_in_again = Access::Person(Permission::LetDevicesIn);
    Routes::default()
        .add(Access::Person(Permission::Read), Pace::Quick, routes!(list))
        .add(keep_out, Pace::Quick, routes!(make))
        .add(let_in_again, Pace::Quick, routes!(lift))
        .add(keep_out, Pace::Quick, routes!(quarantine))
        .add(let_in_again, Pace::Quick, routes!(let_in))
        .add(Access::Person(Permission::RevokeDevices), Pace::Quick, routes!(revoke))
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
    caller: CallingPerson,
    extract::Json(request): extract::Json<HoldRequest>,
) -> Answer<(StatusCode, Json<Hold>)> {
    Ok((StatusCode::CREATED, Json(commands::hold(&state, &caller, request).await?)))
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
    caller: CallingPerson,
    extract::Path(hold): extract::Path<HoldId>,
) -> Answer<Json<Hold>> {
    commands::lift_hold(&state, &caller, &hold).await.map(Json)
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
    caller: CallingPerson,
    extract::Path(device): extract::Path<DeviceId>,
    extract::Json(request): extract::Json<QuarantineRequest>,
) -> Answer<Json<QuarantineView>> {
    let quarantine = commands::quarantine(&state, &device, &caller, &request.reason).await?;
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
    caller: CallingPerson,
    extract::Path(device): extract::Path<DeviceId>,
    extract::Json(request): extract::Json<QuarantineRequest>,
) -> Answer<Json<QuarantineView>> {
    let quarantine = commands::revoke(&state, &device, &caller, &request.reason).await?;
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
    caller: CallingPerson,
    extract::Path(device): extract::Path<DeviceId>,
) -> Answer<Json<QuarantineView>> {
    let quarantine = commands::let_in(&state, &device, &caller).await?;
    Ok(Json(QuarantineView { quarantine }))
}
