//! A manifest on its way to a device: a megabyte and a half of text, half of which compresses away.

use std::io::Read as _;

use flate2::read::GzDecoder;
use gofleet_core::ids::ReleaseId;
use gofleet_core::manifest::{MAX_FILES, Manifest};
use reqwest::{Method, header};

use super::{Client, ClientError, REQUEST_TIMEOUT};

/// The most that a manifest may unpack to: each file takes its path, its digest and some words.
const MAX_BYTES: u64 = MAX_FILES as u64 * 512;

impl Client {
    /// The manifest of a release, for a device, and the bytes that came over the network for it.
    ///
    /// # Errors
    ///
    /// [`ClientError`]
    pub async fn agent_manifest(
        &self,
        release: &ReleaseId,
    ) -> Result<(Manifest, u64), ClientError> {
        let path = format!("/agent/releases/{release}/manifest");
        let request = self.request(Method::GET, &path).header(header::ACCEPT_ENCODING, "gzip");
        let response = self.send(request.timeout(REQUEST_TIMEOUT)).await?;
        let encoding = response.headers().get(header::CONTENT_ENCODING);
        let is_packed = encoding.is_some_and(|encoding| encoding.as_bytes() == b"gzip");
        let body = response.bytes().await.map_err(|source| self.failed(source))?;
        let unintelligible =
            |source| ClientError::Unintelligible { server: self.server().to_owned(), source };
        let manifest = if is_packed {
            let unpacked = GzDecoder::new(body.as_ref()).take(MAX_BYTES);
            serde_json::from_reader(std::io::BufReader::new(unpacked))
        } else {
            serde_json::from_slice(&body)
        };
        Ok((manifest.map_err(unintelligible)?, body.len() as u64))
    }
}
