//! The audit log: looked at, and taken away whole to be verified.

use std::io;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use gofleet_api::{AuditEntry, AuditHead, Problem};
use gofleet_core::account::Permission;
use gofleet_storage::AuditFilter;
use serde::Deserialize;
use utoipa_axum::routes;

use crate::access::{Access, Pace, Routes};
use crate::audit;
use crate::extract::Query;
use crate::failure::Answer;
use crate::state::AppState;

/// Most entries that are listed at once.
const MAX_LIMIT: u32 = 1000;
/// Entries that are read at once for an export.
const BATCH: u32 = 500;

pub fn routes() -> Routes {
    Routes::default()
        .add(Access::Person(Permission::ReadAudit), Pace::Quick, routes!(list))
        .add(Access::Person(Permission::ReadAudit), Pace::Quick, routes!(head))
        .add(Access::Person(Permission::ReadAudit), Pace::Long, routes!(export))
}

/// Which entries are listed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// At most so many; 100 if absent, 1000 at most.
    limit: Option<u32>,
    /// Only entries before this one: for the next page, the sequence of the last that is known.
    before: Option<u64>,
    /// Only those of the actor with this name, or of actors of this kind.
    #[serde(default)]
    actor: String,
    /// Only those with this action, like `release.decided`, or with one that begins with it, like
    /// `release`.
    #[serde(default)]
    action: String,
}

/// Entries of the audit log, newest first.
#[utoipa::path(
    get, path = "/audit", tag = "audit", params(ListQuery),
    responses((status = 200, body = Vec<AuditEntry>), (status = 401, body = Problem))
)]
async fn list(
    State(state): State<AppState>,
    Query(query): Query<ListQuery>,
) -> Answer<axum::Json<Vec<AuditEntry>>> {
    let ListQuery { limit, before, actor, action } = query;
    let filter = AuditFilter { before, actor, action };
    let limit = limit.unwrap_or(100).min(MAX_LIMIT);
    Ok(axum::Json(state.storage().audit_entries(&filter, limit).await?))
}

/// How far the audit log goes, signed.
#[utoipa::path(
    get, path = "/audit/head", tag = "audit",
    responses((status = 200, body = AuditHead), (status = 401, body = Problem))
)]
async fn head(State(state): State<AppState>) -> Answer<axum::Json<AuditHead>> {
    audit::head(&state).await.map(axum::Json)
}

/// Where an export begins.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ExportQuery {
    /// The sequence of the last entry that is known; all are exported if absent.
    #[serde(default)]
    after: u64,
}

/// The audit log as lines of JSON, oldest first, each byte for byte as it was hashed.
#[utoipa::path(
    get, path = "/audit/export", tag = "audit", params(ExportQuery),
    responses(
        (status = 200, body = AuditEntry, content_type = "application/x-ndjson"),
        (status = 401, body = Problem),
    )
)]
async fn export(
    State(state): State<AppState>,
    Query(query): Query<ExportQuery>,
) -> Answer<Response> {
    let reader = Reader { state, after: query.after };
    let lines = futures_util::stream::try_unfold(reader, |mut reader| async move {
        Ok::<_, io::Error>(reader.next().await?.map(|lines| (lines, reader)))
    });
    let body = Body::from_stream(lines);
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// One reader of the log.
struct Reader {
    state: AppState,
    after: u64,
}

impl Reader {
    /// The next lines; none after the last. An error cuts the answer off, so that nobody takes a
    /// part of the log for the whole.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let entries = self.state.storage().audit_since(self.after, BATCH).await;
        let mut lines = String::new();
        for entry in entries.map_err(io::Error::other)? {
            // A number that was tampered with must not make the reading go round in circles.
            self.after = entry.sequence.max(self.after + 1);
            lines.push_str(&entry.line());
            lines.push('\n');
        }
        Ok((!lines.is_empty()).then(|| lines.into()))
    }
}
