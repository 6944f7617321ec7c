//! What travels between the server and everything that talks to it: versioned wire types, the
//! error body, and the typed [`Client`] that agents, the command line and tests use.
//!
//! The domain's own types (orders, reports, releases, rollouts) travel as `gofleet-core` has them;
//! here stands only what the API adds. Nothing here decides anything.

pub mod client;
pub mod download;
pub mod problem;
pub mod throttle;
pub mod trust;
pub mod types;

pub use client::{Client, ClientError, install_crypto_provider};
pub use problem::{Problem, ProblemCode};
pub use trust::{Credential, Key, KeyError};
pub use types::*;

/// What every path of this version of the API begins with.
pub const API_PREFIX: &str = "/api/v1";
/// The header in which an upload may name the SHA-256 that its body must have.
pub const SHA256_HEADER: &str = "x-gofleet-sha256";
/// The header in which an upload names where the archive came from: a file name or an address.
pub const ORIGIN_HEADER: &str = "x-gofleet-origin";
/// What the release in an upload requires, like `gofleet-agent>=0.2.0; golangci-lint>=2, <3`.
pub const REQUIRES_HEADER: &str = "x-gofleet-requires";
/// What it conflicts with, in the same form.
pub const CONFLICTS_HEADER: &str = "x-gofleet-conflicts";
/// The header in which an agent names the run of its process, so that two machines with one key are
/// told apart.
pub const RUN_HEADER: &str = "x-gofleet-run";
/// The header in which a person names the change ticket under which something is done.
pub const TICKET_HEADER: &str = "x-gofleet-ticket";
/// The cookie that holds a console session.
pub const SESSION_COOKIE: &str = "gofleet_session";
/// The longest that the server holds a long poll open, in seconds: below the 60 s after which
/// common proxies cut an idle connection.
pub const MAX_WAIT_SECS: u64 = 55;
