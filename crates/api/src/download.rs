//! Downloading a file whose digest is known: resumed after a cut, bounded in size and patience,
//! and verified as a whole before it gets its name.
//!
//! Trust comes from the digest alone; range and ETag only save bytes. So a part that an earlier
//! process left is simply gone on with: if it turns out to belong to another file, the digest says
//! so, and the download begins again from nothing.

mod attempt;
mod part;

use std::path::{Path, PathBuf};
use std::time::Duration;

use gofleet_core::digest::Digest;
use reqwest::RequestBuilder;
use thiserror::Error;

use self::attempt::{Ended, attempt};
use self::part::Part;
use crate::client::install_crypto_provider;

/// What to download.
#[derive(Debug)]
pub struct Download<'a> {
    /// The request for the whole file, without a body: from [`Client::artifact`](crate::Client)
    /// or from [`plain_client`].
    pub request: RequestBuilder,
    /// The file that it becomes when it is complete and verified. Until then what has come stands
    /// beside it with `.part` behind its name, and a later call goes on with it.
    pub target: &'a Path,
    /// The digest that the whole file must have.
    pub sha256: Digest,
    /// Its size.
    pub size: Size,
    /// When to give up.
    pub patience: Patience,
    /// Counts and slows down, if anybody does.
    pub meter: Option<&'a dyn Meter>,
}

/// Hears of all that comes over the network, and says how long to wait before more may come.
pub trait Meter: Send + Sync {
    /// So many bytes came, whether they will turn out to be of use or not.
    fn came(&self, bytes: u64) -> Duration;
}

impl std::fmt::Debug for dyn Meter + '_ {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Meter")
    }
}

/// What is known of the size of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Exactly so many bytes.
    Exactly(u64),
    /// Not known; more than this is refused.
    AtMost(u64),
}

impl Size {
    /// The most bytes that may come.
    pub const fn limit(self) -> u64 {
        match self {
            Self::Exactly(bytes) | Self::AtMost(bytes) => bytes,
        }
    }
}

/// How patient a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Attempts in a row that may bring less than a mebibyte before it gives up.
    pub attempts: u32,
    /// Pause after the first failed attempt, doubled after each further one; jitter adds or takes
    /// up to half. `Retry-After` takes its place.
    pub first_pause: Duration,
    /// Longest pause, whatever the server asks for.
    pub longest_pause: Duration,
    /// How long an attempt may bring less than 16 KiB. A pause that the own limit asks for does not
    /// count.
    pub stall: Duration,
}

impl Default for Patience {
    /// For a device in the background: gives up after about two minutes without progress.
    fn default() -> Self {
        Self {
            attempts: 7,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            stall: Duration::from_secs(30),
        }
    }
}

/// What a finished download took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Downloaded {
    /// Size of the file.
    pub bytes: u64,
    /// Bytes that came over the network in this call.
    pub transferred: u64,
    /// Requests that were made; 0 if the file was there already.
    pub requests: u32,
}

/// Why a file was not downloaded.
#[derive(Debug, Error)]
pub enum DownloadError {
    /// The request can't be sent at all.
    #[error("not a request that can be sent and repeated")]
    Request(#[source] Option<reqwest::Error>),
    /// The server said no, and would say so again.
    #[error("{url} answered {status}")]
    Refused {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// What came has another digest; it was deleted.
    #[error("{url} delivered a file with the SHA-256 {found}, but {expected} was expected")]
    WrongDigest {
        /// The address.
        url: String,
        /// What was expected.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// What came has another size; it was deleted.
    #[error("{url} delivers another size than the {} bytes that were expected", expected.limit())]
    WrongSize {
        /// The address.
        url: String,
        /// What was expected.
        expected: Size,
    },
    /// All attempts failed; what has come stays for the next call.
    #[error("{url} could not be downloaded ({attempts} attempts without progress)")]
    Unreachable {
        /// The address.
        url: String,
        /// How many were made in a row.
        attempts: u32,
        /// What the last one met.
        #[source]
        source: AttemptError,
    },
    /// The file could not be read or written.
    #[error("could not write `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// Why one attempt failed; another may succeed.
#[derive(Debug, Error)]
pub enum AttemptError {
    /// No connection, or it broke.
    #[error("the connection failed")]
    Connection(#[source] reqwest::Error),
    /// The server is busy or broken for the moment.
    #[error("the server answered {status}")]
    Busy {
        /// The HTTP status.
        status: u16,
        /// What `Retry-After` asked for.
        retry_after: Option<Duration>,
    },
    /// The answer ended too early.
    #[error("the answer ended after {bytes} bytes")]
    Cut {
        /// Bytes of the file that are there.
        bytes: u64,
    },
    /// Next to nothing came for a while.
    #[error("next to nothing came for {} s", .0.as_secs_f32())]
    Stalled(Duration),
    /// The answer to a request for the rest is another part.
    #[error("the server answered a request for the rest with another part")]
    WrongRange,
}

/// A client for mirrors, which know nothing of gofleet.
///
/// # Errors
///
/// If the system's certificates can't be read.
pub fn plain_client() -> Result<reqwest::Client, reqwest::Error> {
    install_crypto_provider();
    reqwest::Client::builder()
        .user_agent(concat!("gofleet/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .build()
}

/// Downloads a file. `progress` hears how many bytes of it are there. Dropping the future stops
/// it; a later call goes on where it was. If `target` is there with the right content, nothing is
/// asked.
///
/// # Errors
///
/// [`DownloadError`].
pub async fn download(
    download: &Download<'_>,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Downloaded, DownloadError> {
    let url = url_of(&download.request)?;
    let mut part = Part::open(download.target, download.size).await?;
    if let Some(bytes) = part::verified(download.target, download.sha256).await? {
        part.discard().await;
        return Ok(Downloaded { bytes, transferred: 0, requests: 0 });
    }
    let (mut fruitless, mut requests, mut transferred) = (0, 0, 0);
    // What an earlier process left may belong to another file; what this call began may not.
    let mut is_own = part.bytes() == 0;
    loop {
        requests += 1;
        let mut brought = 0;
        let ended = match attempt(download, &url, &mut part, &mut brought, progress).await {
            Ok(ended) => ended,
            Err(error) => {
                part.close().await;
                return Err(error);
            }
        };
        transferred += brought;
        let source = match ended {
            Ended::Complete => match part.finish(download.target, download.sha256).await? {
                Ok(bytes) => return Ok(Downloaded { bytes, transferred, requests }),
                Err(found) if is_own => {
                    let expected = download.sha256;
                    return Err(DownloadError::WrongDigest { url, expected, found });
                }
                Err(_) => {
                    (part, is_own) = (Part::open(download.target, download.size).await?, true);
                    continue;
                }
            },
            Ended::WrongSize => {
                part.discard().await;
                return Err(DownloadError::WrongSize { url, expected: download.size });
            }
            Ended::Failed(error) => error,
        };
        is_own |= part.bytes() == 0;
        fruitless = if brought >= WORTH_MENTIONING { 0 } else { fruitless + 1 };
        if fruitless >= download.patience.attempts {
            part.close().await;
            return Err(DownloadError::Unreachable { url, attempts: fruitless, source });
        }
        tracing::debug!(%url, error = %source, bytes = part.bytes(), "trying again");
        tokio::time::sleep(pause(&download.patience, fruitless, &source)).await;
    }
}

/// Progress after which attempts are counted from nothing again.
const WORTH_MENTIONING: u64 = 1 << 20;

fn url_of(request: &RequestBuilder) -> Result<String, DownloadError> {
    let request = request.try_clone().ok_or(DownloadError::Request(None))?;
    let request = request.build().map_err(|error| DownloadError::Request(Some(error)))?;
    Ok(request.url().to_string())
}

/// How long to wait before the next attempt.
fn pause(patience: &Patience, fruitless: u32, error: &AttemptError) -> Duration {
    if let AttemptError::Busy { retry_after: Some(asked), .. } = error {
        return (*asked).min(patience.longest_pause);
    }
    let doublings = fruitless.saturating_sub(1).min(16);
    let pause = patience.first_pause.saturating_mul(1 << doublings).min(patience.longest_pause);
    pause.mul_f64(0.5 + jitter())
}

/// A number from 0 to 1 that differs between processes and calls: a fleet that was cut off at one
/// moment shall not come back at one moment.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let bits = RandomState::new().hash_one(std::process::id());
    f64::from((bits >> 32) as u32) / f64::from(u32::MAX)
}
