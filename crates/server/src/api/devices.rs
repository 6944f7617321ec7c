//! The fleet, as administrators see it.

use axum::Json;
use axum::extract::State;
use gofleet_api::{Device, DeviceDetail, Measured, Overview, Problem};
use gofleet_core::account::Permission;
use gofleet_core::ids::DeviceId;
use utoipa_axum::routes;

use crate::access::{Access, Pace, Routes};
use crate::extract::Path;
use crate::failure::Answer;
use crate::state::AppState;
use crate::views;

pub fn routes() -> Routes {
    Routes::default()
        .add(Access::Person(Permission::Read), Pace::Quick, routes!(overview))
        .add(Access::Person(Permission::Read), Pace::Quick, routes!(measured))
        .add(Access::Person(Permission::Read), Pace::Quick, routes!(devices))
        .add(Access::Person(Permission::Read), Pace::Quick, routes!(device))
}

/// The fleet at a glance.
#[utoipa::path(
    get, path = "/overview", tag = "devices",
    responses((status = 200, body = Overview), (status = 401, body = Problem))
)]
async fn overview(State(state): State<AppState>) -> Answer<Json<Overview>> {
    views::overview(&state).await.map(Json)
}

/// What the latest finished rollouts say of this fleet: how long a device takes, and how many fail.
#[utoipa::path(
    get, path = "/measured", tag = "devices",
    responses((status = 200, body = Measured), (status = 401, body = Problem))
)]
async fn measured(State(state): State<AppState>) -> Answer<Json<Measured>> {
    views::measured(&state).await.map(Json)
}

/// Every device.
#[utoipa::path(
    get, path = "/devices", tag = "devices",
    responses((status = 200, body = Vec<Device>), (status = 401, body = Problem))
)]
async fn devices(State(state): State<AppState>) -> Answer<Json<Vec<Device>>> {
    views::devices(&state).await.map(Json)
}

/// One device with its history.
#[utoipa::path(
    get, path = "/devices/{id}", tag = "devices", params(("id" = DeviceId, Path)),
    responses(
        (status = 200, body = DeviceDetail),
        (status = 401, body = Problem),
        (status = 404, body = Problem),
    )
)]
async fn device(
    State(state): State<AppState>,
    Path(device): Path<DeviceId>,
) -> Answer<Json<DeviceDetail>> {
    views::device(&state, &device).await.map(Json)
}
