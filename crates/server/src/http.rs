//! What holds for every answer: security headers, compression, problems instead of bare statuses; and
//! how values are written into addresses.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use gofleet_api::ProblemCode;
use gofleet_api::problem::PROBLEM_JSON;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};

use crate::failure::Failure;

/// Nothing runs or loads in a page but what this server serves, and no other page may frame one.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

/// Headers that every answer has, unless its handler says something else. The referrer stays within
/// the site rather than being dropped, since a browser that sends none sends `Origin: null` too.
const SECURITY_HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Bodies below this size do not get smaller on the wire: they fit in one packet.
const COMPRESS_ABOVE_BYTES: u64 = 1024;

/// A value for an address or a form (RFC 3986, section 2): all but the unreserved characters are encoded.
pub fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Puts what holds for every answer around a router.
pub fn wrap<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .layer(
            CompressionLayer::new()
                .gzip(true)
                .compress_when(SizeAbove::new(COMPRESS_ABOVE_BYTES).and(is_text)),
        )
        .layer(middleware::from_fn(add_security_headers))
}

/// Whether a body is text that is there as a whole: archives are compressed already, and events
/// must not wait in a compressor.
fn is_text(
    _status: StatusCode,
    _version: axum::http::Version,
    headers: &axum::http::HeaderMap,
    _extensions: &axum::http::Extensions,
) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let is_text = kind.starts_with("text/") && kind != "text/event-stream";
    is_text
        || matches!(kind, "application/json" | "application/javascript" | "image/svg+xml")
        || kind == PROBLEM_JSON
}

async fn add_security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// No route has this path.
pub async fn not_found(request: Request) -> Failure {
    Failure::new(ProblemCode::NotFound, format!("there is nothing at {}", request.uri().path()))
}

/// The route does not know this method.
pub async fn method_not_allowed(request: Request) -> Response {
    Failure::new(
        ProblemCode::MethodNotAllowed,
        format!("{} is not possible at {}", request.method(), request.uri().path()),
    )
    .into_response()
}

/// A JSON body that is ready to send.
pub fn json_bytes(bytes: axum::body::Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], Body::from(bytes)).into_response()
}
