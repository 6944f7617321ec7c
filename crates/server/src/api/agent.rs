//! What agents ask and tell: enrolment, orders, reports, manifests.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use gofleet_api::{
    EnrolRequest, EnrolResponse, IssuedCertificate, MAX_WAIT_SECS, Problem, RenewalRequest,
    SealedOrder, WaysAnswer, WaysRequest,
};
use gofleet_core::audit::{Act, By};
use gofleet_core::ids::{DeviceId, ReleaseId};
use gofleet_core::manifest::Manifest;
use gofleet_core::order::Report;
use gofleet_storage::NewDevice;
use serde::Deserialize;
use tokio::time::Instant;
use tracing::warn;
use utoipa_axum::routes;

use super::certificates::{self, Holder, issue};
use super::releases::manifest_of;
use crate::access::{Access, CallingDevice, Pace, Peer, Routes};
use crate::anomaly;
use crate::extract::{Json, Path, Query};
use crate::failure::Answer;
use crate::secret::random_below;
use crate::state::AppState;
use crate::trust;

pub fn routes() -> Routes {
    Routes::default()
        .add(Access::Anyone, Pace::Quick, routes!(enrol))
        .add(Access::Device, Pace::Quick, routes!(renew))
        .add(Access::Device, Pace::Long, routes!(order))
        .add(Access::Device, Pace::Quick, routes!(report))
        .add(Access::Device, Pace::Quick, routes!(ways))
        .add(Access::Device, Pace::Quick, routes!(manifest))
}

/// Makes a machine a device of the fleet; uses the token up.
#[utoipa::path(
    post, path = "/enrol", tag = "agent", request_body = EnrolRequest,
    responses(
        (status = 201, body = EnrolResponse),
        (status = 400, body = Problem),
        (status = 403, body = Problem, description = "The token is unknown, used or expired"),
    )
)]
async fn enrol(
    State(state): State<AppState>,
    Peer { address, is_tls }: Peer,
    Json(request): Json<EnrolRequest>,
) -> Answer<(StatusCode, axum::Json<EnrolResponse>)> {
    certificates::needs_tls(is_tls)?;
    let token = crate::secret::hash(request.token.trim());
    let EnrolRequest { facts, request, .. } = request;
    let credential = certificates::key_of(&request)?;
    let (device, now) = (NewDevice { id: new_device_id(), credential, facts }, state.now());
    let by = By::token(&token).from(address);
    let device = state.storage().enrol(&by, &token, &device, now).await?;
    let issued = issue(&state, Holder::Device(device.as_str()), &request)?;
    Ok((StatusCode::CREATED, axum::Json(EnrolResponse { device, issued })))
}

/// Gives a device a new certificate for the key that it has.
#[utoipa::path(
    post, path = "/agent/certificate", tag = "agent", request_body = RenewalRequest,
    responses(
        (status = 201, body = IssuedCertificate),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
    )
)]
async fn renew(
    State(state): State<AppState>,
    CallingDevice(device): CallingDevice,
    Json(RenewalRequest { request }): Json<RenewalRequest>,
) -> Answer<(StatusCode, axum::Json<IssuedCertificate>)> {
    let key = certificates::key_of(&request)?;
    let holder = state.storage().device_by_credential(&key).await?;
    certificates::same_key(holder.as_ref(), &device)?;
    let issued = issue(&state, Holder::Device(device.as_str()), &request)?;
    let act = Act::certificate_renewed(&device, issued.expires_at);
    state.storage().record(&By::device(&device), act, state.now()).await?;
    Ok((StatusCode::CREATED, axum::Json(issued)))
}

fn new_device_id() -> DeviceId {
    let id = format!("d-{}", &crate::secret::random_hex()[..16]);
    id.parse().expect("hexadecimal digits make an id")
}

/// What a device waits for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct OrderQuery {
    /// The highest generation that the device knows; any order is news if absent.
    after: Option<u64>,
    /// How long to wait for news, in seconds; 55 at most.
    #[serde(default)]
    wait: u64,
}

/// The latest order, as soon as it is newer than the one that the device knows.
#[utoipa::path(
    get, path = "/agent/order", tag = "agent", params(OrderQuery),
    responses(
        (status = 200, body = SealedOrder),
        (status = 204, description = "No news"),
        (status = 401, body = Problem),
    )
)]
async fn order(
    State(state): State<AppState>,
    CallingDevice(device): CallingDevice,
    Query(query): Query<OrderQuery>,
) -> Answer<Response> {
    state.storage().touch(&device, state.now()).await?;
    state.monitoring().lock().heard(&device, state.now());
    let deadline = Instant::now() + patience(query.wait);
    // Watching begins before the first look, so that no order falls in between.
    let mut news = state.orders().watch(&device);
    loop {
        if state.storage().is_revoked(&device).await? {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        let order = state.storage().order_after(&device, query.after.unwrap_or(0)).await?;
        if let Some(order) = order {
            return Ok(axum::Json(trust::sealed(&state, order).await?).into_response());
        }
        let is_over = tokio::select! {
            () = news.changed() => false,
            () = tokio::time::sleep_until(deadline) => true,
            () = state.stopping().cancelled() => true,
        };
        if is_over {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
    }
}

/// How long a poll is held: up to a tenth less than asked for, so that devices that began together
/// do not come back together.
fn patience(wait_secs: u64) -> Duration {
    let wait_ms = wait_secs.min(MAX_WAIT_SECS) * 1000;
    Duration::from_millis(wait_ms - random_below(wait_ms / 10))
}

/// Takes in what a device tells; doing so twice is as good as once.
#[utoipa::path(
    post, path = "/agent/report", tag = "agent", request_body = Report,
    responses(
        (status = 204, description = "Taken in"),
        (status = 400, body = Problem),
        (status = 401, body = Problem),
    )
)]
async fn report(
    State(state): State<AppState>,
    CallingDevice(device): CallingDevice,
    Json(report): Json<Report>,
) -> Answer<StatusCode> {
    state.storage().take_report(&device, &report, state.now()).await?;
    state.monitoring().lock().heard(&device, state.now());
    if let Some(sample) = &report.signals
        && let Err(error) = anomaly::observe(&state, &device, sample).await
    {
        // The device has done its part, and need not tell it again.
        warn!(%device, %error, "an anomaly could not be dealt with; the next sample tries again");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// How a device can get a release, cheapest way first, and who near it may have what it needs.
#[utoipa::path(
    post, path = "/agent/ways", tag = "agent", request_body = WaysRequest,
    responses(
        (status = 200, body = WaysAnswer),
        (status = 401, body = Problem),
        (status = 404, body = Problem),
    )
)]
async fn ways(
    State(state): State<AppState>,
    CallingDevice(device): CallingDevice,
    Json(request): Json<WaysRequest>,
) -> Answer<axum::Json<WaysAnswer>> {
    crate::ways::answer(&state, &device, &request).await.map(axum::Json)
}

/// The manifest of a release.
#[utoipa::path(
    get, path = "/agent/releases/{id}/manifest", tag = "agent", params(("id" = ReleaseId, Path)),
    responses((status = 200, body = Manifest), (status = 404, body = Problem))
)]
async fn manifest(
    State(state): State<AppState>,
    Path(release): Path<ReleaseId>,
) -> Answer<Response> {
    manifest_of(&state, &release).await
}
