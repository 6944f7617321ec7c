//! Rollouts: plan, start, look, pause, resume, stop, roll back, assign.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gofleet_api::{AssignRequest, Event, Problem, RolloutPlan, RolloutStatus, RolloutSummary};
use gofleet_core::ids::RolloutId;
use gofleet_core::rollout::{Command, RolloutSpec};
use utoipa_axum::routes;

use crate::access::{Access, CallingAdministrator, Pace, Routes};
use crate::extract::{self, Path};
use crate::failure::Answer;
use crate::state::AppState;
use crate::{commands, views};

pub fn routes() -> Routes {
    Routes::default()
        .add(Access::Administrator, Pace::Quick, routes!(plan))
        .add(Access::Administrator, Pace::Quick, routes!(rollouts, start))
        .add(Access::Administrator, Pace::Quick, routes!(rollout))
        .add(Access::Administrator, Pace::Quick, routes!(decisions))
        .add(Access::Administrator, Pace::Quick, routes!(pause))
        .add(Access::Administrator, Pace::Quick, routes!(resume))
        .add(Access::Administrator, Pace::Quick, routes!(stop))
        .add(Access::Administrator, Pace::Quick, routes!(rollback))
        .add(Access::Administrator, Pace::Quick, routes!(assign))
}

/// What a rollout would do, before anything moves.
#[utoipa::path(
    post, path = "/rollouts/plan", tag = "rollouts", request_body = RolloutSpec,
    responses(
        (status = 200, body = RolloutPlan),
        (status = 409, body = Problem, description = "The release is not approved"),
        (status = 422, body = Problem),
    )
)]
async fn plan(
    State(state): State<AppState>,
    extract::Json(spec): extract::Json<RolloutSpec>,
) -> Answer<Json<RolloutPlan>> {
    commands::plan(&state, &spec).await.map(Json)
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
    CallingAdministrator(by): CallingAdministrator,
    extract::Json(spec): extract::Json<RolloutSpec>,
) -> Answer<(StatusCode, Json<RolloutStatus>)> {
    let started = commands::start(&state, &spec, &by).await?;
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
    CallingAdministrator(by): CallingAdministrator,
    Path(rollout): Path<RolloutId>,
    extract::Json(request): extract::Json<AssignRequest>,
) -> Answer<Json<RolloutStatus>> {
    commands::assign(&state, &rollout, request.device.as_ref(), &by).await.map(Json)
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
            CallingAdministrator(by): CallingAdministrator,
            Path(rollout): Path<RolloutId>,
        ) -> Answer<Json<RolloutStatus>> {
            commands::command(&state, &rollout, $command, &by).await.map(Json)
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
