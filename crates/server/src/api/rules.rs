//! Rules, and what was decided by them.

use axum::Json;
use axum::extract::State;
use gofleet_api::{AccessDecision, Problem, Rule, RuleDetail, RuleRequest, RuleTrial};
use gofleet_core::account::Permission;
use gofleet_core::ids::RuleName;
use gofleet_core::time::Timestamp;
use serde::Deserialize;
use utoipa_axum::routes;

use crate::access::{Access, Pace, Routes};
use crate::authorization::{CallingPerson, Permitted};
use crate::extract::{self, Path, Query};
use crate::failure::Answer;
use crate::rules;
use crate::state::AppState;

pub fn routes() -> Routes {
    let read = Access::Person(Permission::ReadAccess);
    let change = Access::Person(Permission::ChangeRules);
    Routes::default()
        .add(read, Pace::Quick, routes!(list))
        .add(read, Pace::Quick, routes!(one))
        .add(read, Pace::Quick, routes!(try_out))
        .add(read, Pace::Quick, routes!(decisions))
        .add(change, Pace::Quick, routes!(set, delete))
}

/// Every rule.
#[utoipa::path(
    get, path = "/rules", tag = "rules",
    responses((status = 200, body = Vec<RuleDetail>), (status = 403, body = Problem))
)]
async fn list(State(state): State<AppState>) -> Answer<Json<Vec<RuleDetail>>> {
    rules::list(&state).await.map(Json)
}

/// One rule.
#[utoipa::path(
    get, path = "/rules/{name}", tag = "rules", params(("name" = RuleName, Path)),
    responses((status = 200, body = RuleDetail), (status = 404, body = Problem))
)]
async fn one(
    State(state): State<AppState>,
    Path(name): Path<RuleName>,
) -> Answer<Json<RuleDetail>> {
    rules::one(&state, &name).await.map(Json)
}

/// Writes a rule. It is in force from the next request on.
#[utoipa::path(
    put, path = "/rules/{name}", tag = "rules", params(("name" = RuleName, Path)),
    request_body = RuleRequest,
    responses(
        (status = 200, body = RuleDetail),
        (status = 400, body = Problem, description = "The text is no rule"),
        (status = 403, body = Problem),
    )
)]
async fn set(
    State(state): State<AppState>,
    caller: CallingPerson,
    Path(name): Path<RuleName>,
    extract::Json(request): extract::Json<RuleRequest>,
) -> Answer<Json<RuleDetail>> {
    rules::set(&state, &caller, name, request.text).await.map(Json)
}

/// Deletes a rule.
#[utoipa::path(
    delete, path = "/rules/{name}", tag = "rules", params(("name" = RuleName, Path)),
    responses(
        (status = 200, body = Rule, description = "The rule that there was"),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
    )
)]
async fn delete(
    State(state): State<AppState>,
    caller: CallingPerson,
    Path(name): Path<RuleName>,
) -> Answer<Json<Rule>> {
    rules::delete(&state, &caller, &name).await.map(Json)
}

/// What would have come of earlier requests if a rule had been in force. Nothing is changed.
#[utoipa::path(
    post, path = "/rules/{name}/trial", tag = "rules", params(("name" = RuleName, Path)),
    request_body = RuleRequest,
    responses(
        (status = 200, body = RuleTrial),
        (status = 400, body = Problem, description = "The text is no rule"),
    )
)]
async fn try_out(
    State(state): State<AppState>,
    Permitted(by): Permitted,
    Path(name): Path<RuleName>,
    extract::Json(request): extract::Json<RuleRequest>,
) -> Answer<Json<RuleTrial>> {
    rules::try_out(&state, &by, name, request.text).await.map(Json)
}

/// Which decisions are wanted.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct DecisionsQuery {
    /// Only later ones.
    since: Option<Timestamp>,
    /// At most so many; 100 if absent.
    limit: Option<u32>,
}

/// What was asked of the policies and what they said, newest first.
#[utoipa::path(
    get, path = "/access/decisions", tag = "rules", params(DecisionsQuery),
    responses((status = 200, body = Vec<AccessDecision>), (status = 403, body = Problem))
)]
async fn decisions(
    State(state): State<AppState>,
    Query(query): Query<DecisionsQuery>,
) -> Answer<Json<Vec<AccessDecision>>> {
    let since = query.since.unwrap_or(Timestamp::from_millis(0));
    let limit = query.limit.unwrap_or(100).min(10_000);
    Ok(Json(state.storage().access_decisions(since, limit).await?))
}
