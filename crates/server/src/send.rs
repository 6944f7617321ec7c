//! Sending a file that can never change under its name: whole or in part, or not at all where the
//! caller has it.

use std::io::SeekFrom;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use gofleet_api::ProblemCode;
use gofleet_core::digest::Digest;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use crate::failure::{Answer, Failure};
use crate::range::{Conditions, Part, part_of};

/// Read and sent at once: large enough that the disk is not asked too often, small enough that a
/// thousand downloads at once stay below a quarter of a gigabyte.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// What is asked of a file, and what its headers say.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    status: StatusCode,
    sha256: Digest,
    size: u64,
    /// The first byte's place.
    pub start: u64,
    /// Number of bytes.
    pub length: u64,
    is_head: bool,
}

/// What is asked of the file with this digest, which is its entity tag too, and this size; or the
/// answer, if that has no body.
///
/// # Errors
///
/// The answer.
#[expect(clippy::result_large_err, reason = "the error is the answer itself")]
pub fn asked(
    sha256: Digest,
    size: u64,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Asked, Response> {
    let etag = format!("\"{sha256}\"");
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let conditions = Conditions {
        if_none_match: text(header::IF_NONE_MATCH),
        range: text(header::RANGE),
        if_range: text(header::IF_RANGE),
    };
    let (status, start, length) = match part_of(size, &etag, conditions) {
        Part::NotModified => {
            return Err(with_tag(StatusCode::NOT_MODIFIED.into_response(), &etag));
        }
        Part::NotSatisfiable => return Err(not_satisfiable(size)),
        Part::Whole => (StatusCode::OK, 0, size),
        Part::Range { start, last } => (StatusCode::PARTIAL_CONTENT, start, last - start + 1),
    };
    Ok(Asked { status, sha256, size, start, length, is_head: method == Method::HEAD })
}

impl Asked {
    /// The answer with this body, which has the bytes that are asked for.
    pub fn answer(&self, body: Body) -> Response {
        let Self { status, sha256, size, start, length, is_head } = *self;
        let body = if is_head { Body::empty() } else { body };
        let mut response = with_tag((status, body).into_response(), &format!("\"{sha256}\""));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        if status == StatusCode::PARTIAL_CONTENT {
            let range = format!("bytes {start}-{}/{size}", start + length - 1);
            headers.insert(header::CONTENT_RANGE, plain(&range));
        }
        response
    }
}

/// Answers with a file that is there as a whole.
///
/// # Errors
///
/// [`Failure`] if it cannot be read.
pub async fn file(
    mut file: File,
    sha256: Digest,
    method: &Method,
    headers: &HeaderMap,
) -> Answer<Response> {
    let failed = |source: std::io::Error| Failure::io("reading the artifact", &source);
    let size = file.metadata().await.map_err(failed)?.len();
    let asked = match asked(sha256, size, method, headers) {
        Ok(asked) => asked,
        Err(answer) => return Ok(answer),
    };
    file.seek(SeekFrom::Start(asked.start)).await.map_err(failed)?;
    let stream = ReaderStream::with_capacity(file.take(asked.length), CHUNK_BYTES);
    Ok(asked.answer(Body::from_stream(stream)))
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
    let detail = format!("the artifact has {size} bytes");
    let mut response = Failure::new(ProblemCode::RangeNotSatisfiable, detail).into_response();
    response.headers_mut().insert(header::CONTENT_RANGE, plain(&format!("bytes */{size}")));
    response
}

fn plain(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("digits and hexadecimal digits")
}
