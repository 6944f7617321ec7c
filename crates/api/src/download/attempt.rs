//! One request for what is still missing.

use std::ops::ControlFlow;
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, RANGE, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::part::Part;
use super::{AttemptError, Download, DownloadError, Size};

/// Within [`Patience::stall`](super::Patience) at least so much must come, so that neither silence
/// nor a server that drips holds a device up.
const LEAST_PER_STALL: u64 = 16 << 10;

/// How an attempt ended.
pub(super) enum Ended {
    /// All bytes are there; whether they are the right ones, the digest tells.
    Complete,
    /// More or fewer come than may.
    WrongSize,
    /// Another attempt may succeed.
    Failed(AttemptError),
}

/// Asks for what is missing and adds it to `part`; `brought` counts what came.
pub(super) async fn attempt(
    download: &Download<'_>,
    url: &str,
    part: &mut Part,
    brought: &mut u64,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Ended, DownloadError> {
    if download.size == Size::Exactly(part.bytes()) {
        return Ok(Ended::Complete);
    }
    let mut request = download.request.try_clone().ok_or(DownloadError::Request(None))?;
    if part.bytes() > 0 {
        request = request.header(RANGE, format!("bytes={}-", part.bytes()));
        if let Some(etag) = part.etag.clone() {
            request = request.header(IF_RANGE, etag);
        }
    }
    let stall = download.patience.stall;
    let response = match tokio::time::timeout(stall, request.send()).await {
        Err(_) => return Ok(Ended::Failed(AttemptError::Stalled(stall))),
        Ok(Err(error)) => return Ok(Ended::Failed(AttemptError::Connection(error))),
        Ok(Ok(response)) => response,
    };
    if let ControlFlow::Break(ended) = accept(&response, url, part).await? {
        return Ok(ended);
    }
    if !may_fit(download.size, part.bytes(), response.content_length()) {
        return Ok(Ended::WrongSize);
    }
    receive(response, download, part, brought, progress).await
}

/// Whether the answer has bytes that belong behind those of the part.
async fn accept(
    response: &Response,
    url: &str,
    part: &mut Part,
) -> Result<ControlFlow<Ended>, DownloadError> {
    let headers = response.headers();
    match response.status() {
        StatusCode::OK => {
            if part.bytes() > 0 {
                // The server knows no ranges, or has another version by now.
                part.restart().await?;
            }
        }
        StatusCode::PARTIAL_CONTENT if is_rest(headers, part.bytes()) => {}
        StatusCode::RANGE_NOT_SATISFIABLE if is_end(headers, part.bytes()) => {
            return Ok(ControlFlow::Break(Ended::Complete));
        }
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
            part.restart().await?;
            return Ok(ControlFlow::Break(Ended::Failed(AttemptError::WrongRange)));
        }
        status if is_temporary(status) => {
            let busy =
                AttemptError::Busy { status: status.as_u16(), retry_after: retry_after(headers) };
            return Ok(ControlFlow::Break(Ended::Failed(busy)));
        }
        status => {
            return Err(DownloadError::Refused { url: url.to_owned(), status: status.as_u16() });
        }
    }
    let is_strong = |etag: &&reqwest::header::HeaderValue| !etag.as_bytes().starts_with(b"W/");
    part.etag = headers.get(ETAG).filter(is_strong).cloned();
    Ok(ControlFlow::Continue(()))
}

async fn receive(
    mut response: Response,
    download: &Download<'_>,
    part: &mut Part,
    brought: &mut u64,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Ended, DownloadError> {
    let stall = download.patience.stall;
    let (mut deadline, mut in_window) = (Instant::now() + stall, 0);
    loop {
        let chunk = match timeout_at(deadline, response.chunk()).await {
            Err(_) => return Ok(Ended::Failed(AttemptError::Stalled(stall))),
            Ok(Err(error)) => return Ok(Ended::Failed(AttemptError::Connection(error))),
            Ok(Ok(chunk)) => chunk,
        };
        let Some(chunk) = chunk else { break };
        let length = chunk.len() as u64;
        if part.bytes() + length > download.size.limit() {
            return Ok(Ended::WrongSize);
        }
        part.write(chunk).await?;
        *brought += length;
        progress(part.bytes());
        in_window += length;
        if in_window >= LEAST_PER_STALL {
            (deadline, in_window) = (Instant::now() + stall, 0);
        }
        let wait = download.meter.map_or(Duration::ZERO, |meter| meter.came(length));
        if !wait.is_zero() {
            // Who waits by its own will is not kept waiting.
            deadline += wait;
            tokio::time::sleep(wait).await;
        }
    }
    match download.size {
        Size::Exactly(size) if part.bytes() < size => {
            Ok(Ended::Failed(AttemptError::Cut { bytes: part.bytes() }))
        }
        Size::Exactly(_) | Size::AtMost(_) => Ok(Ended::Complete),
    }
}

/// Whether an answer of `coming` bytes can end in the right size.
fn may_fit(size: Size, there: u64, coming: Option<u64>) -> bool {
    let Some(total) = coming.map(|coming| there.saturating_add(coming)) else { return true };
    match size {
        Size::Exactly(size) => total == size,
        Size::AtMost(limit) => total <= limit,
    }
}

/// `Content-Range: bytes START-…` (RFC 9110, 14.4) with the start that was asked for.
fn is_rest(headers: &HeaderMap, start: u64) -> bool {
    let range = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {start}-")))
}

/// `Content-Range: bytes */SIZE` with the size that is there already.
fn is_end(headers: &HeaderMap, size: u64) -> bool {
    headers
        .get(CONTENT_RANGE)
        .is_some_and(|value| value.as_bytes() == format!("bytes */{size}").as_bytes())
}

fn is_temporary(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        )
}

/// `Retry-After` in seconds (RFC 9110, 10.2.3); as a date it is left to our own pauses.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
