//! Uploads of archives, streamed from the file.

use std::path::Path;

use futures_util::StreamExt as _;
use gofleet_core::dependency::{Dependencies, Requirement};
use gofleet_core::digest::Digest;
use reqwest::{Body, Method, StatusCode, header};
use tokio_util::io::ReaderStream;

use super::{Client, ClientError};
use crate::types::UploadOutcome;
use crate::{CONFLICTS_HEADER, ORIGIN_HEADER, REQUIRES_HEADER, SHA256_HEADER};

/// How much of the file is read at once: large enough that the disk is not asked too often.
const CHUNK_BYTES: usize = 256 * 1024;

impl Client {
    /// Imports the archive in a file into the catalog. `origin` says where it came from;
    /// `expected`, if given, is the digest that the server must find; `dependencies` is what the
    /// release asks of other packages; `progress` is told the bytes sent so far.
    ///
    /// # Errors
    ///
    /// [`ClientError::File`] if the file cannot be read; [`ClientError::Problem`] if the server
    /// does not take it.
    pub async fn upload(
        &self,
        path: &Path,
        origin: &str,
        expected: Option<&Digest>,
        dependencies: &Dependencies,
        progress: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<UploadOutcome, ClientError> {
        let failed = |source| ClientError::File { path: path.to_owned(), source };
        let file = tokio::fs::File::open(path).await.map_err(failed)?;
        let size = file.metadata().await.map_err(failed)?.len();
        let mut sent = 0;
        let chunks = ReaderStream::with_capacity(file, CHUNK_BYTES).inspect(move |chunk| {
            if let Ok(chunk) = chunk {
                sent += chunk.len() as u64;
                progress(sent);
            }
        });
        let mut request = self
            .request(Method::POST, "/releases")
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_LENGTH, size)
            .header(ORIGIN_HEADER, printable(origin))
            .body(Body::wrap_stream(chunks));
        if let Some(digest) = expected {
            request = request.header(SHA256_HEADER, digest.to_string());
        }
        for (name, list) in
            [(REQUIRES_HEADER, &dependencies.requires), (CONFLICTS_HEADER, &dependencies.conflicts)]
        {
            let list: Vec<_> = list.iter().map(Requirement::to_string).collect();
            if !list.is_empty() {
                request = request.header(name, list.join("; "));
            }
        }
        let response = self.send(request).await?;
        let is_new = response.status() == StatusCode::CREATED;
        Ok(UploadOutcome { release: self.read(response).await?, is_new })
    }
}

/// The text with what may not stand in a header replaced.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}
