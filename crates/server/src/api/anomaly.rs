//! The rules for anomalies.

use axum::Json;
use axum::extract::State;
use gofleet_api::{AnomalyRules, Problem};
use gofleet_core::account::Permission;
use utoipa_axum::routes;

use crate::access::{Access, Pace, Routes};
use crate::state::AppState;
use crate::views;

pub fn routes() -> Routes {
    Routes::default().add(Access::Person(Permission::Read), Pace::Quick, routes!(rules))
}

/// The rules for anomalies that are in force, and what is normal.
#[utoipa::path(
    get, path = "/anomaly/rules", tag = "devices",
    responses((status = 200, body = AnomalyRules), (status = 401, body = Problem))
)]
async fn rules(State(state): State<AppState>) -> Json<AnomalyRules> {
    Json(views::anomaly_rules(&state))
}
