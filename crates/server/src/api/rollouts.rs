//! Rollouts: plan, start, look, pause, resume, stop, roll back, assign.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gofleet_api::{
    AssignRequest, Event, PreviewAnswer, Problem, RolloutStatus, RolloutSummary, SimulatedPlan,
};
use gofleet_core::account::Permission;
use gofleet_core::ids::RolloutId;
use gofleet_core::rollout::{Command, RolloutSpec};
use serde::Deserialize;
use utoipa_axum::routes;

use crate::access::{Access, Pace, Routes};
use crate::authorization::CallingPerson;
use crate::extract::{self, Path, Query};
use crate::failure::Answer;
use crate::state::AppState;
use crate::{commands, forecast, views};

pub fn routes() -> Routes {
    let read = Access::Person(Permission::Read);
    let halt = Access::Person(Permission::StopRollout);
    Routes::default()
        .add(read, Pace::Quick, routes!(plan))
        .add(read, Pace::Quick, routes!(preview))
        .add(read, Pace::Quick, routes!(rollouts))
        .add(Access::Person(Permission::StartRollout), Pace::Quick, routes!(start))
        .add(read, Pace::Quick, routes!(rollout))
        .add(read, Pace::Quick, routes!(decisions))
        .add(halt, Pace::Quick, routes!(pause))
        .add(Access::Person(Permission::ResumeRollout), Pace::Quick, routes!(resume))
        .add(halt, Pace::Quick, routes!(stop))
        .add(halt, Pace::Quick, routes!(rollback))
        .add(Access::Person(Permission::AssignRollout), Pace::Quick, routes!(assign))
}

/// What is asked for besides the plan.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct PlanQuery {
    /// Whether to play the rollout against the fleet's recorded behaviour: adds `forecast`.
    #[serde(default)]
    simulate: bool,
}

/// What a rollout would do, before anything moves, and how it would probably go.
#[utoipa::path(
    post, path = "/rollouts/plan", tag = "rollouts", params(PlanQuery),
    request_body = RolloutSpec,
    responses(
        (status = 200, body = SimulatedPlan),
        (status = 409, body = Problem, description = "The release is not approved"),
        (status = 422, body = Problem),
    )
)]
async fn plan(
    State(state): State<AppState>,
    Query(query): Query<PlanQuery>,
    extract::Json(spec): extract::Json<RolloutSpec>,
) -> Answer<Json<SimulatedPlan>> {
    if query.simulate {
        return forecast::simulate(&state, &spec).await.map(Json);
    }
    let plan = commands::plan(&state, &spec).await?;
    Ok(Json(SimulatedPlan { plan, forecast: None }))
}

/// Which devices, and when.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct PreviewQuery {
    /// A selector over facts; all devices if empty.
    #[serde(default)]
    devices: String,
    /// Stretches of the window, with semicolons between; no window if empty.
    #[serde(default)]
    window: String,
    /// Dates on which it stays closed, with semicolons between.
    #[serde(default)]
    closed: String,
}

/// Which devices a selector picks, and when their window opens, each in its own time zone.
#[utoipa::path(
    get, path = "/rollouts/preview", tag = "rollouts", params(PreviewQuery),
    responses((status = 200, body = PreviewAnswer), (status = 400, body = Problem))
)]
async fn preview(
    State(state): State<AppState>,
    Query(query): Query<PreviewQuery>,
) -> Answer<Json<PreviewAnswer>> {
    let window = forecast::window(&query.window, &query.closed)?;
    let preview = forecast::look(&state, &query.devices, window.as_ref()).await?;
    Ok(Json(PreviewAnswer { text: preview.to_string(), preview }))
}

/// Starts a rollout.
#[utoipa::path(
    post, path = "/rollouts", tag = "rollouts", request_body = RolloutSpec,
    responses(
        (status = 201, body = RolloutStatus),
        (status = 409, body = Problem, description = "The release is not approved, or the name is taken"),
        (status = 422, body = Problem),
    )
)]
async fn start(
    State(state): State<AppState>,
    caller: CallingPerson,
    extract::Json(spec): extract::Json<RolloutSpec>,
) -> Answer<(StatusCode, Json<RolloutStatus>)> {
    let started = commands::start(&state, &spec, &caller).await?;
    Ok((StatusCode::CREATED, Json(started)))
}

/// Every rollout, newest first.
#[utoipa::path(
    get, path = "/rollouts", tag = "rollouts",
    responses((status = 200, body = Vec<RolloutSummary>), (status = 401, body = Problem))
)]
async fn rollouts(State(state): State<AppState>) -> Answer<Json<Vec<RolloutSummary>>> {
    views::rollouts(&state).await.map(Json)
}

/// One rollout with every device of it.
#[utoipa::path(
    get, path = "/rollouts/{id}", tag = "rollouts", params(("id" = RolloutId, Path)),
    responses((status = 200, body = RolloutStatus), (status = 404, body = Problem))
)]
async fn rollout(
    State(state): State<AppState>,
    Path(rollout): Path<RolloutId>,
) -> Answer<Json<RolloutStatus>> {
    views::rollout(&state, &rollout).await.map(Json)
}

/// What was decided about a rollout and its rings, oldest first; a gate's decision holds what it
/// decided by.
#[utoipa::path(
    get, path = "/rollouts/{id}/decisions", tag = "rollouts", params(("id" = RolloutId, Path)),
    responses((status = 200, body = Vec<Event>), (status = 404, body = Problem))
)]
async fn decisions(
    State(state): State<AppState>,
    Path(rollout): Path<RolloutId>,
) -> Answer<Json<Vec<Event>>> {
    Ok(Json(state.storage().decisions(&rollout).await?))
}

/// Lets a published rollout, or one device of it, be activated without asking users.
#[utoipa::path(
    post, path = "/rollouts/{id}/assign", tag = "rollouts", params(("id" = RolloutId, Path)),
    request_body = AssignRequest,
    responses(
        (status = 200, body = RolloutStatus),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "Nobody is left to be asked"),
    )
)]
async fn assign(
    State(state): State<AppState>,
    caller: CallingPerson,
    Path(rollout): Path<RolloutId>,
    extract::Json(request): extract::Json<AssignRequest>,
) -> Answer<Json<RolloutStatus>> {
    commands::assign(&state, &rollout, request.device.as_ref(), &caller).await.map(Json)
}

macro_rules! command_routes {
    ($($(#[$doc:meta])* $name:ident = $path:literal, $command:expr;)+) => {$(
        $(#[$doc])*
        #[utoipa::path(
            post, path = $path, tag = "rollouts", params(("id" = RolloutId, Path)),
            responses(
                (status = 200, body = RolloutStatus),
                (status = 404, body = Problem),
                (status = 409, body = Problem, description = "Not possible in its state"),
            )
        )]
        async fn $name(
            State(state): State<AppState>,
            caller: CallingPerson,
            Path(rollout): Path<RolloutId>,
        ) -> Answer<Json<RolloutStatus>> {
            commands::command(&state, &rollout, $command, &caller).await.map(Json)
        }
    )+};
}

command_routes! {
    /// Orders nothing more; what is under way goes on.
    pause = "/rollouts/{id}/pause", Command::Pause;
    /// Goes on; failures so far are accepted.
    resume = "/rollouts/{id}/resume", Command::Resume;
    /// Ends it: what is not activated is dropped, what is active stays.
    stop = "/rollouts/{id}/stop", Command::Stop;
    /// Puts every device of it back.
    rollback = "/rollouts/{id}/rollback", Command::Rollback;
}
