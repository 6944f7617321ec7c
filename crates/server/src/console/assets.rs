//! The console's style sheet, script and logo: in the program, under addresses that carry the
//! digest of their content, so that browsers keep them for good and never mix versions.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use gofleet_core::digest::Digest;

/// One embedded file.
struct Asset {
    name: &'static str,
    media_type: &'static str,
    content: &'static str,
}

const STYLE: Asset = Asset {
    name: "console.css",
    media_type: "text/css; charset=utf-8",
    content: include_str!("../../assets/console.css"),
};
const SCRIPT: Asset = Asset {
    name: "console.js",
    media_type: "text/javascript; charset=utf-8",
    content: include_str!("../../assets/console.js"),
};
const LOGO: Asset = Asset {
    name: "logo.svg",
    media_type: "image/svg+xml",
    content: include_str!("../../assets/logo.svg"),
};

/// A year: the longest that caches honour; the address changes when the content does.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";

/// Where the embedded files are to be had.
pub(super) struct Addresses {
    pub(super) style: String,
    pub(super) script: String,
    pub(super) logo: String,
}

/// The addresses of what this program embeds.
pub(super) static ADDRESSES: LazyLock<Addresses> = LazyLock::new(|| Addresses {
    style: address(&STYLE),
    script: address(&SCRIPT),
    logo: address(&LOGO),
});

/// 16 of the digest's 64 digits tell versions of one file apart.
fn address(asset: &Asset) -> String {
    let digest = Digest::of(asset.content.as_bytes()).to_string();
    format!("/assets/{}/{}", &digest[..16], asset.name)
}

/// `GET /assets/{digest}/{name}`
pub(super) async fn serve(Path((digest, name)): Path<(String, String)>) -> Response {
    let wanted = format!("/assets/{digest}/{name}");
    match [&STYLE, &SCRIPT, &LOGO].into_iter().find(|asset| address(asset) == wanted) {
        Some(asset) => (
            [(header::CONTENT_TYPE, asset.media_type), (header::CACHE_CONTROL, FOR_GOOD)],
            asset.content,
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
