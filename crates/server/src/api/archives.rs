//! The archives of the catalog, in whole or in part.

use std::io::SeekFrom;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use gofleet_api::{Problem, ProblemCode};
use gofleet_core::digest::Digest;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;
use utoipa_axum::routes;

use crate::access::{Access, Pace, Routes};
use crate::extract::Path;
use crate::failure::{Answer, Failure};
use crate::range::{Conditions, Part, part_of};
use crate::state::AppState;

/// Read and sent at once: large enough that the disk is not asked too often, small enough that a
/// thousand downloads at once stay below a quarter of a gigabyte.
const CHUNK_BYTES: usize = 256 * 1024;

pub fn routes() -> Routes {
    Routes::default().add(Access::DeviceOrAdministrator, Pace::Long, routes!(archive))
}

/// An archive, by the SHA-256 of its bytes, which is its entity tag too.
#[utoipa::path(
    method(get, head), path = "/archives/{sha256}", tag = "archives",
    params(
        ("sha256" = Digest, Path),
        ("Range" = Option<String>, Header, description = "One range of bytes"),
        ("If-Range" = Option<String>, Header),
        ("If-None-Match" = Option<String>, Header),
    ),
    responses(
        (status = 200, description = "All of it", content_type = "application/octet-stream"),
        (status = 206, description = "The range", content_type = "application/octet-stream"),
        (status = 304, description = "The caller has it already"),
        (status = 404, body = Problem),
        (status = 416, body = Problem),
    )
)]
async fn archive(
    State(state): State<AppState>,
    method: Method,
    headers: HeaderMap,
    Path(sha256): Path<Digest>,
) -> Answer<Response> {
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => Failure::not_found("archive", sha256),
        _ => Failure::io("reading the archive", &source),
    };
    let mut file = File::open(state.data().archive(&sha256)).await.map_err(failed)?;
    let size = file.metadata().await.map_err(failed)?.len();
    let etag = format!("\"{sha256}\"");
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let conditions = Conditions {
        if_none_match: text(header::IF_NONE_MATCH),
        range: text(header::RANGE),
        if_range: text(header::IF_RANGE),
    };
    let (status, start, length) = match part_of(size, &etag, conditions) {
        Part::NotModified => return Ok(with_tag(StatusCode::NOT_MODIFIED.into_response(), &etag)),
        Part::NotSatisfiable => return Ok(not_satisfiable(size)),
        Part::Whole => (StatusCode::OK, 0, size),
        Part::Range { start, last } => (StatusCode::PARTIAL_CONTENT, start, last - start + 1),
    };
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        file.seek(SeekFrom::Start(start)).await.map_err(failed)?;
        Body::from_stream(ReaderStream::with_capacity(file.take(length), CHUNK_BYTES))
    };
    let mut response = with_tag((status, body).into_response(), &etag);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {start}-{}/{size}", start + length - 1);
        headers.insert(header::CONTENT_RANGE, plain(&range));
    }
    Ok(response)
}

/// What holds for a file that can never change under its name.
fn with_tag(mut response: Response, etag: &str) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ETAG, plain(etag));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let forever = HeaderValue::from_static("private, max-age=31536000, immutable");
    headers.insert(header::CACHE_CONTROL, forever);
    response
}

fn not_satisfiable(size: u64) -> Response {
    let detail = format!("the archive has {size} bytes");
    let mut response = Failure::new(ProblemCode::RangeNotSatisfiable, detail).into_response();
    response.headers_mut().insert(header::CONTENT_RANGE, plain(&format!("bytes */{size}")));
    response
}

fn plain(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("digits and hexadecimal digits")
}
