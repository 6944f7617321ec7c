//! What all handlers share.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use gofleet_core::audit::AuditSigner;
use gofleet_core::digest::Digest;
use gofleet_core::time::Timestamp;
use gofleet_storage::Storage;
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use crate::anomaly::Monitoring;
use crate::attempts::{Attempts, Budget};
use crate::authorization::Directory;
use crate::canary::Canaries;
use crate::clones::Heard;
use crate::config::ServerConfig;
use crate::data::DataFolder;
use crate::login_link::LoginLinks;
use crate::orders::OrderNews;
use crate::sign_on::SignOn;
use crate::tls::Authority;
use crate::trust::Keys;

/// Tells the time; a test may hold it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What all handlers share. Clones are the same.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

struct Shared {
    config: ServerConfig,
    data: DataFolder,
    storage: Arc<Storage>,
    administrator: Digest,
    signer: AuditSigner,
    authority: Authority,
    trust_keys: Keys,
    clock: Clock,
    stopping: CancellationToken,
    imports: Mutex<()>,
    orders: OrderNews,
    login_links: LoginLinks,
    heard: Heard,
    monitoring: Monitoring,
    canaries: Canaries,
    directory: RwLock<Arc<Directory>>,
    attempts: Attempts,
    refusals: Budget,
    sign_on: SignOn,
    document: OnceLock<axum::body::Bytes>,
}

impl AppState {
    /// The state of a server on this data folder and storage; `administrator` is the digest of the
    /// administrator's token, `signer` signs the head of the audit log, `authority` vouches for the
    /// server and its devices, `trust_keys` sign metadata and orders; people of `sign_on` may sign in.
    pub fn new(
        config: ServerConfig,
        data: DataFolder,
        storage: Arc<Storage>,
        (administrator, sign_on): (Digest, SignOn),
        signer: AuditSigner,
        (authority, trust_keys): (Authority, Keys),
        clock: Clock,
    ) -> Self {
        let monitoring = Monitoring::new(config.anomaly.clone());
        Self(Arc::new(Shared {
            config,
            data,
            storage,
            administrator,
            signer,
            authority,
            trust_keys,
            clock,
            stopping: CancellationToken::new(),
            imports: Mutex::new(()),
            orders: OrderNews::default(),
            login_links: LoginLinks::default(),
            heard: Heard::default(),
            monitoring,
            canaries: Canaries::default(),
            directory: RwLock::default(),
            attempts: Attempts::default(),
            refusals: Budget::default(),
            sign_on,
            document: OnceLock::new(),
        }))
    }

    /// The settings.
    pub fn config(&self) -> &ServerConfig {
        &self.0.config
    }

    /// The data folder.
    pub fn data(&self) -> &DataFolder {
        &self.0.data
    }

    /// The database.
    pub fn storage(&self) -> &Arc<Storage> {
        &self.0.storage
    }

    /// What signs the head of the audit log.
    pub(crate) fn signer(&self) -> &AuditSigner {
        &self.0.signer
    }

    /// Vouches for the server, devices and distribution points.
    pub(crate) fn authority(&self) -> &Authority {
        &self.0.authority
    }

    /// The keys by which the server signs metadata and orders.
    pub(crate) fn trust_keys(&self) -> &Keys {
        &self.0.trust_keys
    }

    /// The authority by which others know the server: none if it shows a certificate of somebody
    /// else's.
    pub(crate) fn told_authority(&self) -> Option<Digest> {
        self.0.config.tls_files.is_none().then(|| self.0.authority.digest())
    }

    /// Whether this is the digest of the administrator's token.
    pub(crate) fn is_administrator(&self, hash: &Digest) -> bool {
        self.0.administrator == *hash
    }

    /// The accounts and policies that are in force.
    pub(crate) fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.0.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts accounts and policies into force.
    pub(crate) fn set_directory(&self, directory: Arc<Directory>) {
        *self.0.directory.write().unwrap_or_else(PoisonError::into_inner) = directory;
    }

    /// Who failed to log in, and how often.
    pub(crate) fn attempts(&self) -> &Attempts {
        &self.0.attempts
    }

    /// How many refusals may be written down for somebody.
    pub(crate) fn refusals(&self) -> &Budget {
        &self.0.refusals
    }

    /// Where people may sign in whose accounts are kept elsewhere.
    pub(crate) fn sign_on(&self) -> &SignOn {
        &self.0.sign_on
    }

    /// The time by the server's clock.
    pub fn now(&self) -> Timestamp {
        (self.0.clock)()
    }

    /// Cancelled when the server stops: whoever waits for news answers without.
    pub fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    /// The devices that wait for an order.
    pub fn orders(&self) -> &OrderNews {
        &self.0.orders
    }

    /// Links that log a browser in once.
    pub(crate) fn login_links(&self) -> &LoginLinks {
        &self.0.login_links
    }

    /// The runs of agents that were heard.
    pub(crate) fn heard(&self) -> &Heard {
        &self.0.heard
    }

    /// What devices measured for the gates that compare it.
    pub(crate) fn canaries(&self) -> &Canaries {
        &self.0.canaries
    }

    /// What is known of every device.
    pub(crate) fn monitoring(&self) -> &Monitoring {
        &self.0.monitoring
    }

    /// Held by the one import that is about to change the catalog.
    pub(crate) async fn import_turn(&self) -> MutexGuard<'_, ()> {
        self.0.imports.lock().await
    }

    /// The OpenAPI document, ready to send; set once when the routes are built.
    pub(crate) fn document(&self) -> &OnceLock<axum::body::Bytes> {
        &self.0.document
    }
}

/// The time by the machine's clock.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock before 1970 is as wrong as one at 1970.
        let ms = since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        Timestamp::from_millis(ms)
    })
}
