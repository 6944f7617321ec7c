//! The server's state in a database, behind one set of functions.
//!
//! Every change of state is one transaction, and its [events](Storage::events_since) are part of
//! it, and so is what the [audit log](Storage::audit_since) is told. Nothing is decided here: the
//! core decides, this crate keeps. The time is a parameter of each function that needs it.
//!
//! The database is SQLite in the server's data folder: one connection writes, a few read.
//! Write-ahead logging keeps readers from waiting, and `synchronous = FULL` makes a commit last
//! through a power cut, since a generation that an agent has seen must never be given twice.

mod absence;
mod access;
mod account;
mod anomaly;
mod artifact;
mod audit;
mod collection;
mod device;
mod edge;
mod emergency;
mod error;
mod event;
mod hold;
mod hook;
mod identity;
mod migrations;
mod query;
mod release;
mod report;
mod revocation;
mod rollout;
mod trust;
mod write;

use std::path::Path;
use std::sync::{Mutex, OnceLock};

use gofleet_core::hook::HookTarget;
use gofleet_core::rollout::BlastRadius;
use gofleet_core::time::Timestamp;
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, AnyPool, Connection as _};
use tokio::sync::watch;

pub use account::{Login, NewAccount, Session};
pub use anomaly::Learned;
pub use audit::AuditFilter;
pub use edge::NewEdge;
pub use emergency::{Kept, Stopped};
pub use error::{EnrolError, ImportError, OpenError, StartError, StorageError};
pub use hold::NewHold;
pub use hook::DueCall;
pub use identity::{NewDevice, Token};
pub use release::Imported;
pub use rollout::Decider;
pub use trust::TrustDocument;
pub use write::Moment;

/// The file in the data folder.
const FILE: &str = "gofleet.db";
/// Readers beside the one writer. Reads are short; two cores keep no more than four busy.
const READERS: u32 = 4;

/// The server's state.
#[derive(Debug)]
pub struct Storage {
    writer: AnyPool,
    readers: AnyPool,
    changes: watch::Sender<u64>,
    listening_since: OnceLock<Timestamp>,
    blast_radius: Option<BlastRadius>,
    hooks: Vec<HookTarget>,
    chain: audit::Chain,
    /// An emergency stop that the database could not take.
    held: Mutex<Option<emergency::Held>>,
}

impl Storage {
    /// Opens the database in `data_dir`, creates or migrates it as needed.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if the folder or the database cannot be used.
    pub async fn open(data_dir: &Path) -> Result<Self, OpenError> {
        std::fs::create_dir_all(data_dir)
            .map_err(|source| OpenError::Folder { path: data_dir.to_owned(), source })?;
        sqlx::any::install_default_drivers();
        let path = data_dir.join(FILE);
        let failed = |source| OpenError::Database { path: path.clone(), source };
        // Spaces, `?`, `#` and `%` would end or change the path in an address.
        let address = format!("sqlite://{}?mode=rwc", escaped(&path.to_string_lossy()));
        // A pool would try for half a minute, and then tell of the time and not of the reason.
        let mut first = AnyConnection::connect(&address).await.map_err(failed)?;
        prepare(&mut first, WRITER).await.map_err(failed)?;
        first.close().await.map_err(failed)?;
        let writer = pool(1, WRITER).connect(&address).await.map_err(failed)?;
        migrations::migrator()
            .run(&writer)
            .await
            .map_err(|source| OpenError::Migrate { path: path.clone(), source })?;
        let readers = pool(READERS, READER).connect(&address).await.map_err(failed)?;
        let last: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(sequence), 0) FROM events")
            .fetch_one(&readers)
            .await
            .map_err(failed)?;
        let mut reader = readers.acquire().await.map_err(failed)?;
        let chain = audit::Chain::read(&mut reader)
            .await
            .map_err(|source| OpenError::Audit { path: path.clone(), source })?;
        drop(reader);
        Ok(Self {
            writer,
            readers,
            changes: watch::Sender::new(query::from_i64(last)),
            listening_since: OnceLock::new(),
            blast_radius: None,
            hooks: Vec::new(),
            chain,
            held: Mutex::new(None),
        })
    }

    /// Bounds how much of the fleet may be in flight or broken at once.
    #[must_use]
    pub fn with_blast_radius(self, blast_radius: Option<BlastRadius>) -> Self {
        Self { blast_radius, ..self }
    }

    /// Has these hooks told of each device that is put into quarantine or let in.
    #[must_use]
    pub fn with_hooks(self, hooks: Vec<HookTarget>) -> Self {
        Self { hooks, ..self }
    }

    /// The sequence of the latest event; the receiver wakes after each change that is committed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Since when this process has been listening to devices: the time of the first call.
    pub fn listening_since(&self, now: Timestamp) -> Timestamp {
        *self.listening_since.get_or_init(|| now)
    }

    /// Waits for what runs, and closes the database.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

const WRITER: &[&str] = &[
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 10000",
];
const READER: &[&str] = &["PRAGMA busy_timeout = 10000", "PRAGMA query_only = ON"];

fn pool(connections: u32, pragmas: &'static [&'static str]) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .after_connect(move |connection, _| Box::pin(prepare(connection, pragmas)))
}

async fn prepare(
    connection: &mut AnyConnection,
    pragmas: &'static [&'static str],
) -> Result<(), sqlx::Error> {
    for pragma in pragmas.iter().copied() {
        sqlx::query(pragma).execute(&mut *connection).await?;
    }
    Ok(())
}

fn escaped(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for c in path.chars() {
        match c {
            '%' | '?' | '#' | ' ' => escaped.push_str(&format!("%{:02X}", u32::from(c))),
            '\\' => escaped.push('/'),
            _ => escaped.push(c),
        }
    }
    escaped
}
