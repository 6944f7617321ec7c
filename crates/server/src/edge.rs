//! A distribution point: a caching mirror of a server's artifacts, near the devices of a site.
//!
//! It hands out artifacts by their digest, and fetches each of them once from its server, however
//! many ask for it. Nobody needs to trust it: devices compare what they get with the digest that
//! the server told them, and so does the distribution point itself before it keeps anything.
//!
//! **Who may ask.** The digest is the permission. Only enrolled devices are told digests, they
//! cannot be guessed, and nothing here lists them; so a device sends no credential, which a
//! distribution point could misuse. It has a credential of its own for its server, which fetches
//! artifacts and reports, and nothing else.

mod cache;
mod fetching;
mod identity;
mod sending;
mod serve;

use std::net::SocketAddr;
use std::path::PathBuf;

use gofleet_api::ClientError;
use gofleet_core::bandwidth::Bandwidth;
use thiserror::Error;

use crate::data::DataError;
use crate::tls::TlsError;

pub use serve::serve_edge;

/// What a distribution point is started with.
#[derive(Debug, Clone)]
pub struct EdgeConfig {
    /// The address of its server.
    pub upstream: String,
    /// The enrolment token; needed at the first start only.
    pub token: Option<String>,
    /// The folder that it keeps.
    pub data: PathBuf,
    /// The address and port that it listens on.
    pub listen: SocketAddr,
    /// The address that devices reach it by, where that is not the one it listens on.
    pub public_url: Option<String>,
    /// The site whose devices are told of it; empty: none is, they must be configured with it.
    pub site: String,
    /// How many bytes a second it fetches from its server, by the hour.
    pub limit: Bandwidth,
    /// How many bytes a second it sends to all devices together, by the hour.
    pub device_limit: Bandwidth,
    /// How many bytes of artifacts it keeps.
    pub cache_bytes: u64,
}

/// Why a distribution point did not start, or stopped.
#[derive(Debug, Error)]
pub enum EdgeError {
    /// The data folder cannot be used.
    #[error("the data folder is not usable")]
    Data(#[source] DataError),
    /// Its credential cannot be read or written.
    #[error("the credential {} is not usable", path.display())]
    Credential {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The server's address cannot be used.
    #[error("cannot talk to the server")]
    Upstream(#[source] ClientError),
    /// It has never enrolled, and has nothing to enrol with.
    #[error("this distribution point has not enrolled at {upstream} yet, and no token was given")]
    NoToken {
        /// The server.
        upstream: String,
    },
    /// The server does not take it in.
    #[error("{upstream} refused to take in this distribution point")]
    Enrolment {
        /// The server.
        upstream: String,
        /// Why.
        #[source]
        source: ClientError,
    },
    /// There is no TLS.
    #[error("TLS cannot be set up")]
    Tls(#[source] TlsError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl EdgeError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Data(error) => error.hint(),
            Self::NoToken { .. } => {
                Some("make one with `gofleet token create` and start it with `--token`".to_owned())
            }
            Self::Upstream(source) | Self::Enrolment { source, .. } => source.hint(),
            Self::Listen { .. } => {
                Some("choose a free address of this machine with --listen".to_owned())
            }
            Self::Credential { .. } | Self::Tls(_) => None,
        }
    }
}
