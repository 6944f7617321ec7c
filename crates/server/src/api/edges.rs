//! Distribution points: enrolment, what they report, and the list of them.

use axum::extract::State;
use axum::http::StatusCode;
use gofleet_api::{
    Edge, EdgeReport, EnrolEdgeRequest, EnrolEdgeResponse, IssuedCertificate, Problem, ProblemCode,
    QuarantineRequest, RenewalRequest,
};
use gofleet_core::account::Permission;
use gofleet_core::address;
use gofleet_core::audit::{Act, By};
use gofleet_core::ids::EdgeId;
use gofleet_storage::NewEdge;
use utoipa_axum::routes;

use super::certificates::{self, Holder, issue};
use crate::access::{Access, CallingEdge, Pace, Peer, Routes};
use crate::authorization::CallingPerson;
use crate::commands;
use crate::extract::{Json, Path};
use crate::failure::{Answer, Failure};
use crate::state::AppState;

/// The longest name, site or address that is kept.
const MAX_CHARS: usize = 200;

pub fn routes() -> Routes {
    Routes::default()
        .add(Access::Anyone, Pace::Quick, routes!(enrol))
        .add(Access::Edge, Pace::Quick, routes!(renew))
        .add(Access::Edge, Pace::Quick, routes!(report))
        .add(Access::Person(Permission::Read), Pace::Quick, routes!(edges))
        .add(Access::Person(Permission::RevokeDevices), Pace::Quick, routes!(revoke))
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
    Peer { address, is_tls }: Peer,
    Json(request): Json<EnrolEdgeRequest>,
) -> Answer<(StatusCode, axum::Json<EnrolEdgeResponse>)> {
    certificates::needs_tls(is_tls)?;
    check(&request.report)?;
    let token = crate::secret::hash(request.token.trim());
    let EnrolEdgeRequest { report, request, .. } = request;
    let credential = certificates::key_of(&request)?;
    let id = format!("e-{}", &crate::secret::random_hex()[..16]);
    let id = id.parse().expect("hexadecimal digits make an id");
    let edge = NewEdge { id, credential, report };
    let by = By::token(&token).from(address);
    let id = state.storage().enrol_edge(&by, &token, &edge, state.now()).await?;
    let issued = issue(&state, Holder::Edge(id.as_str(), &edge.report.url), &request)?;
    Ok((StatusCode::CREATED, axum::Json(EnrolEdgeResponse { edge: id, issued })))
}

/// Gives a distribution point a new certificate for the key that it has.
#[utoipa::path(
    post, path = "/edge/certificate", tag = "edges", request_body = RenewalRequest,
    responses(
        (status = 201, body = IssuedCertificate),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
    )
)]
async fn renew(
    State(state): State<AppState>,
    CallingEdge(edge): CallingEdge,
    Json(RenewalRequest { request }): Json<RenewalRequest>,
) -> Answer<(StatusCode, axum::Json<IssuedCertificate>)> {
    let key = certificates::key_of(&request)?;
    let holder = state.storage().edge_by_credential(&key).await?;
    certificates::same_key(holder.as_ref(), &edge)?;
    let known = state.storage().edges(state.now()).await?;
    let url = known.into_iter().find(|known| known.id == edge).map(|known| known.report.url);
    let holder = Holder::Edge(edge.as_str(), url.as_deref().unwrap_or_default());
    let issued = issue(&state, holder, &request)?;
    let act = Act::edge_certificate_renewed(&edge, issued.expires_at);
    state.storage().record(&By::edge(&edge), act, state.now()).await?;
    Ok((StatusCode::CREATED, axum::Json(issued)))
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

/// Revokes a distribution point's key, for good; devices are told of it no more.
#[utoipa::path(
    post, path = "/edges/{id}/revoke", tag = "edges", params(("id" = EdgeId, Path)),
    request_body = QuarantineRequest,
    responses(
        (status = 204, description = "Revoked"),
        (status = 401, body = Problem),
        (status = 404, body = Problem),
    )
)]
async fn revoke(
    State(state): State<AppState>,
    caller: CallingPerson,
    Path(edge): Path<EdgeId>,
    Json(request): Json<QuarantineRequest>,
) -> Answer<StatusCode> {
    commands::revoke_edge(&state, &edge, &caller, &request.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Devices are told the address, and people all of it: neither shall be surprised.
fn check(report: &EdgeReport) -> Answer<()> {
    let invalid = |what: &str| Err(Failure::new(ProblemCode::InvalidRequest, what.to_owned()));
    for text in [&report.name, &report.site, &report.url] {
        if text.chars().count() > MAX_CHARS || text.chars().any(char::is_control) {
            return invalid("a name, site or address has more than 200 or unprintable characters");
        }
    }
    address::check(&report.url).or_else(|rule| invalid(&format!("the address {rule}")))
}
