//! Distribution points: enrolment, what they report, and the list of them.

use axum::extract::State;
use axum::http::StatusCode;
use gofleet_api::{Edge, EdgeReport, EnrolEdgeRequest, EnrolEdgeResponse, Problem, ProblemCode};
use gofleet_core::audit::By;
use gofleet_storage::NewEdge;
use utoipa_axum::routes;

use crate::access::{Access, CallingEdge, Pace, Peer, Routes};
use crate::extract::Json;
use crate::failure::{Answer, Failure};
use crate::secret::{Secret, SecretKind};
use crate::state::AppState;

/// The longest name, site or address that is kept.
const MAX_CHARS: usize = 200;

pub fn routes() -> Routes {
    Routes::default()
        .add(Access::Anyone, Pace::Quick, routes!(enrol))
        .add(Access::Edge, Pace::Quick, routes!(report))
        .add(Access::Administrator, Pace::Quick, routes!(edges))
}

/// Takes in a distribution point; uses the token up.
#[utoipa::path(
    post, path = "/edge/enrol", tag = "edges", request_body = EnrolEdgeRequest,
    responses(
        (status = 201, body = EnrolEdgeResponse),
        (status = 400, body = Problem),
        (status = 403, body = Problem, description = "The token is unknown, used or expired"),
    )
)]
async fn enrol(
    State(state): State<AppState>,
    Peer(peer): Peer,
    Json(request): Json<EnrolEdgeRequest>,
) -> Answer<(StatusCode, axum::Json<EnrolEdgeResponse>)> {
    check(&request.report)?;
    let token = crate::secret::hash(request.token.trim());
    let credential = Secret::random(SecretKind::Edge);
    let id = format!("e-{}", &crate::secret::random_hex()[..16]);
    let id = id.parse().expect("hexadecimal digits make an id");
    let edge = NewEdge { id, credential: credential.hash(), report: request.report };
    state.storage().enrol_edge(&By::token(&token).from(peer), &token, &edge, state.now()).await?;
    let credential = credential.reveal().to_owned();
    Ok((StatusCode::CREATED, axum::Json(EnrolEdgeResponse { edge: edge.id, credential })))
}

/// Takes in what a distribution point tells of itself; doing so keeps it among those offered.
#[utoipa::path(
    post, path = "/edge/report", tag = "edges", request_body = EdgeReport,
    responses(
        (status = 204, description = "Taken in"),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
    )
)]
async fn report(
    State(state): State<AppState>,
    CallingEdge(edge): CallingEdge,
    Json(report): Json<EdgeReport>,
) -> Answer<StatusCode> {
    check(&report)?;
    state.storage().take_edge_report(&edge, &report, state.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Every distribution point, by site and name.
#[utoipa::path(
    get, path = "/edges", tag = "edges",
    responses((status = 200, body = Vec<Edge>), (status = 401, body = Problem))
)]
async fn edges(State(state): State<AppState>) -> Answer<axum::Json<Vec<Edge>>> {
    Ok(axum::Json(state.storage().edges(state.now()).await?))
}

/// Devices are told the address, and people all of it: neither shall be surprised.
fn check(report: &EdgeReport) -> Answer<()> {
    let invalid = |what: &str| Err(Failure::new(ProblemCode::InvalidRequest, what));
    for text in [&report.name, &report.site, &report.url] {
        if text.chars().count() > MAX_CHARS || text.chars().any(char::is_control) {
            return invalid("a name, site or address has more than 200 or unprintable characters");
        }
    }
    let host = ["http://", "https://"].iter().find_map(|scheme| report.url.strip_prefix(scheme));
    if host.is_none_or(|host| host.is_empty() || host.contains(char::is_whitespace)) {
        return invalid("the address must begin with http:// or https:// and name a host");
    }
    Ok(())
}
