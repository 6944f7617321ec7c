//! The agent: brings a device to what its server orders, proves it, and goes back where it can't.
//!
//! [`run`] enrols once and then does three things side by side on one thread: it asks the server
//! for orders, it obeys the newest one, and it reports. What to do next is decided by
//! `gofleet_core::agent`; how far it came stands in the [`ledger`]; trees are the depot's. Killed
//! anywhere, the next start goes on where this one was. Without the server, an order that was
//! downloaded is finished all the same, and its receipt delivered later.

pub mod backoff;
pub mod check;
pub mod facts;
pub mod identity;
pub mod inventory;
pub mod ledger;
pub mod offer;

mod avoided;
mod contact;
mod device;
mod enrol;
mod execute;
mod fetch;
mod notify;
mod program;
mod signals;
mod soak;
mod stage;
pub mod trust;
mod ways;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use gofleet_api::ClientError;
use gofleet_api::download::Patience;
use gofleet_core::bandwidth::Bandwidth;
use gofleet_core::time::Span;
use gofleet_depot::DepotError;
use gofleet_platform::LockError;
use thiserror::Error;

use crate::device::Device;

pub use crate::fetch::EDGE_PATIENCE;
pub use crate::signals::SignalCommand;

/// What an agent is started with.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// The server's address, like `https://gofleet.example.org`.
    pub server: String,
    /// The enrolment token; needed at the first start only.
    pub token: Option<String>,
    /// The device's root: everything that the agent writes stands below it.
    pub root: PathBuf,
    /// Instead of the machine's own name.
    pub hostname: Option<String>,
    /// Labels for selectors, like `site = berlin`.
    pub labels: BTreeMap<String, String>,
    /// Addresses of distribution points, asked before those that the server offers and before the
    /// server itself.
    pub edges: Vec<String>,
    /// How long to put up with a distribution point, as a rule [`EDGE_PATIENCE`]: after that the
    /// server is asked, and the distribution point is left alone for a quarter of an hour.
    pub edge_patience: Patience,
    /// How many bytes a second may be downloaded, by the hour of this machine's clock.
    pub limit: Bandwidth,
    /// How often the device tells what it measures of itself.
    pub signals_every: Span,
    /// Files in Prometheus' text format with more that it tells.
    pub signal_files: Vec<PathBuf>,
    /// The command that prints more in the same format.
    pub signal_command: Option<SignalCommand>,
    /// Go's build cache for the checks; one of the agent's own if absent.
    pub check_cache: Option<PathBuf>,
    /// The program that tells users of published releases; `none`: nobody is told; what the
    /// system has for it, if absent.
    pub notify_command: Option<String>,
    /// The program whose copies become `go` and `gofmt` in the root's `bin`; none are placed if
    /// absent.
    pub shim: Option<PathBuf>,
    /// What is left as `agent/settings.json` below the root once the agent has it to itself, for
    /// whoever asks what it was told.
    pub settings: Option<Vec<u8>>,
}

/// Why an agent does not run.
#[derive(Debug, Error)]
pub enum AgentError {
    /// The root cannot be used.
    #[error("cannot use {} as the root of a device", root.display())]
    Root {
        /// The root.
        root: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another agent has the root, or the lock cannot be used.
    #[error("another agent may be running on {}", root.display())]
    Lock {
        /// The root.
        root: PathBuf,
        /// Who, or what the system said.
        #[source]
        source: LockError,
    },
    /// The depot cannot be used.
    #[error("cannot prepare the root of this device")]
    Depot(#[source] DepotError),
    /// The ledger cannot be used.
    #[error("cannot go on from the ledger")]
    Ledger(#[source] ledger::LedgerError),
    /// The credential cannot be used.
    #[error("cannot tell who this device is")]
    Identity(#[source] identity::IdentityError),
    /// The server's address cannot be used.
    #[error("cannot talk to the server")]
    Server(#[source] ClientError),
    /// This machine has never enrolled, and has nothing to enrol with.
    #[error("this machine has not enrolled at {server} yet, and no enrolment token was given")]
    NoToken {
        /// The server.
        server: String,
    },
    /// The server does not take the token.
    #[error("{server} refused to enrol this machine")]
    Enrolment {
        /// The server.
        server: String,
        /// Why.
        #[source]
        source: ClientError,
    },
    /// The trust store of this device cannot be used.
    #[error("cannot keep the root of trust")]
    Trust(#[source] gofleet_trust::StoreError),
    /// The server does not have the root of trust that the token tells of.
    #[error("{server} has not the root of trust {expected} that the token tells of")]
    OtherRoot {
        /// The server.
        server: String,
        /// The root's digest.
        expected: gofleet_core::digest::Digest,
    },
    /// The server does not know the key any more, or the certificate has ended.
    #[error("{server} does not know this device any more: its certificate was refused")]
    Unknown {
        /// The server.
        server: String,
        /// The file with the credential.
        credential: PathBuf,
        /// What the server said.
        #[source]
        source: ClientError,
    },
}

impl AgentError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoToken { .. } => Some(
                "make one with `gofleet token create` and start the agent with `--token`"
                    .to_owned(),
            ),
            Self::Unknown { credential, .. } => Some(format!(
                "to enrol again, delete {} and start the agent with a new `--token`; with the key \
                 that lies beside it, it is the same device",
                credential.display()
            )),
            Self::Lock { source: LockError::Held { .. }, .. } => {
                Some("stop the other agent, or give this one a `--root` of its own".to_owned())
            }
            Self::Enrolment { source, .. } | Self::Server(source) => source.hint(),
            Self::Root { .. }
            | Self::Lock { .. }
            | Self::Depot(_)
            | Self::Ledger(_)
            | Self::Identity(_)
            | Self::Trust(_) => None,
            Self::OtherRoot { .. } => {
                Some("get a new token with `gofleet token create`".to_owned())
            }
        }
    }
}

/// Runs an agent until `shutdown` is done, or until it can't go on.
///
/// After a shutdown, unpacking may still be under way on a thread of its own: end the process (or
/// drop the runtime by `shutdown_background`), the next start tidies up after it.
///
/// # Errors
///
/// [`AgentError`]; a server that is away is none.
pub async fn run(
    config: AgentConfig,
    shutdown: impl Future<Output = ()>,
) -> Result<(), AgentError> {
    tokio::pin!(shutdown);
    tokio::select! {
        biased;
        () = &mut shutdown => Ok(()),
        outcome = Device::serve(config) => outcome,
    }
}
