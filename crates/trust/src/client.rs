//! Bringing what is believed up to date (TUF specification, section 5), and looking up a target.
//!
//! It fails closed: what can't be fetched, read or verified is an error, and what was believed
//! before stays. The time is fixed when a refresh begins. A clock that was wrong leaves nothing
//! behind but versions, so all goes well once it is right.

use std::error::Error as StdError;
use std::future::Future;

use gofleet_core::time::Timestamp;
use thiserror::Error;

use crate::metadata::TargetFile;
use crate::store::{Store, StoreError, quoted};
use crate::trusted::{Search, TrustError, Trusted};

/// How many roots are walked in one go; the next refresh goes on.
const MAX_ROOTS: usize = 256;
/// The most bytes that are read of each kind, unless its length was told.
const ROOT_BYTES: u64 = 512_000;
const TIMESTAMP_BYTES: u64 = 16_384;
const SNAPSHOT_BYTES: u64 = 2_000_000;
const TARGETS_BYTES: u64 = 5_000_000;

/// An error of a [`Source`].
pub type SourceError = Box<dyn StdError + Send + Sync>;

/// Where metadata comes from. Nobody trusts it.
pub trait Source {
    /// A file of at most so many bytes; none if there is none of this name.
    fn fetch(
        &self,
        name: &str,
        limit: u64,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, SourceError>>;
}

/// No source: only what is stored.
#[derive(Debug)]
enum Nowhere {}

impl Source for Nowhere {
    async fn fetch(&self, _name: &str, _limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        match *self {}
    }
}

/// Why a refresh did not come to its end.
#[derive(Debug, Error)]
pub enum RefreshError {
    /// The store cannot be used.
    #[error("the trust store of this device is not usable")]
    Store(#[source] StoreError),
    /// The source does not answer.
    #[error("the metadata {name} cannot be fetched")]
    Fetch {
        /// The file.
        name: String,
        /// Why.
        #[source]
        source: SourceError,
    },
    /// The source has no such file.
    #[error("there is no metadata {name}")]
    Absent {
        /// The file.
        name: String,
    },
    /// The file is longer than may be.
    #[error("the metadata {name} is longer than {limit} bytes")]
    TooLong {
        /// The file.
        name: String,
        /// The most bytes that are read.
        limit: u64,
    },
    /// What came is not believed.
    #[error("the server's metadata is not to be believed")]
    Trust(#[source] TrustError),
}

/// What keeps a store up to date.
#[derive(Debug, Clone)]
pub struct Client {
    store: Store,
}

impl Client {
    /// Of this store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Brings all up to date but delegations, which are taken when they are needed.
    ///
    /// # Errors
    ///
    /// [`RefreshError`]; what was verified until then is kept.
    pub async fn refresh(
        &self,
        source: &impl Source,
        now: Timestamp,
    ) -> Result<Trusted, RefreshError> {
        self.run(Some(source), now).await
    }

    /// What is stored, if it still counts.
    ///
    /// # Errors
    ///
    /// [`RefreshError`]
    pub async fn stored(&self, now: Timestamp) -> Result<Trusted, RefreshError> {
        self.run(None::<&Nowhere>, now).await
    }

    /// What is said of a target by whoever may say so; none if nobody knows it.
    ///
    /// # Errors
    ///
    /// [`RefreshError`]
    pub async fn find(
        &self,
        trusted: &mut Trusted,
        source: Option<&impl Source>,
        path: &str,
    ) -> Result<Option<TargetFile>, RefreshError> {
        let mut search = Search::new(path);
        while let Some((role, delegator)) = search.next_role() {
            self.targets(trusted, source, &role, &delegator).await?;
            let targets = trusted.targets(&role, &delegator);
            if let Some(found) = targets.and_then(|targets| search.look(&role, targets)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The same among what is stored.
    ///
    /// # Errors
    ///
    /// [`RefreshError`]
    pub async fn find_stored(
        &self,
        trusted: &mut Trusted,
        path: &str,
    ) -> Result<Option<TargetFile>, RefreshError> {
        self.find(trusted, None::<&Nowhere>, path).await
    }

    async fn run(
        &self,
        source: Option<&impl Source>,
        now: Timestamp,
    ) -> Result<Trusted, RefreshError> {
        let mut trusted = self.store.open(now).map_err(RefreshError::Store)?;
        self.roots(&mut trusted, source).await?;
        trusted.check_root().map_err(RefreshError::Trust)?;
        self.timestamp(&mut trusted, source).await?;
        self.snapshot(&mut trusted, source).await?;
        self.targets(&mut trusted, source, "targets", "root").await?;
        Ok(trusted)
    }

    /// Section 5.3.
    async fn roots(
        &self,
        trusted: &mut Trusted,
        source: Option<&impl Source>,
    ) -> Result<(), RefreshError> {
        let Some(source) = source else { return Ok(()) };
        for _ in 0..MAX_ROOTS {
            let name = format!("{}.root.json", trusted.root().version + 1);
            let Some(bytes) = fetch(source, &name, ROOT_BYTES).await? else { break };
            trusted.update_root(&bytes).map_err(RefreshError::Trust)?;
            self.save(trusted, "root", &bytes)?;
        }
        Ok(())
    }

    /// Section 5.4.
    async fn timestamp(
        &self,
        trusted: &mut Trusted,
        source: Option<&impl Source>,
    ) -> Result<(), RefreshError> {
        if let Some(bytes) = self.load("timestamp")? {
            // By other keys, or damaged: it is fetched anew, and the floor guards against older.
            let _ = trusted.load_timestamp(&bytes);
        }
        if let Some(source) = source {
            let bytes = needed(source, "timestamp.json", TIMESTAMP_BYTES).await?;
            if trusted.update_timestamp(&bytes).map_err(RefreshError::Trust)? {
                self.save(trusted, "timestamp", &bytes)?;
            }
        }
        trusted.check_timestamp().map(drop).map_err(RefreshError::Trust)
    }

    /// Section 5.5.
    async fn snapshot(
        &self,
        trusted: &mut Trusted,
        source: Option<&impl Source>,
    ) -> Result<(), RefreshError> {
        if let Some(bytes) = self.load("snapshot")? {
            let _ = trusted.load_snapshot(&bytes);
        }
        let current = trusted.check_snapshot().map(drop);
        let (Err(_), Some(source)) = (&current, source) else {
            return current.map_err(RefreshError::Trust);
        };
        let meta = trusted.check_timestamp().map_err(RefreshError::Trust)?;
        let (version, limit) = (meta.version, meta.length.unwrap_or(SNAPSHOT_BYTES));
        let bytes = needed(source, &name(trusted, "snapshot", version), limit).await?;
        trusted.update_snapshot(&bytes).map_err(RefreshError::Trust)?;
        self.save(trusted, "snapshot", &bytes)
    }

    /// Section 5.6 for one role.
    async fn targets(
        &self,
        trusted: &mut Trusted,
        source: Option<&impl Source>,
        role: &str,
        delegator: &str,
    ) -> Result<(), RefreshError> {
        if trusted.targets(role, delegator).is_some() {
            return Ok(());
        }
        let stored = self.load(role)?.unwrap_or_default();
        let current = trusted.update_targets(role, delegator, &stored);
        let (Err(_), Some(source)) = (&current, source) else {
            return current.map_err(RefreshError::Trust);
        };
        let meta = trusted.meta(role).map_err(RefreshError::Trust)?;
        let (version, limit) = (meta.version, meta.length.unwrap_or(TARGETS_BYTES));
        let bytes = needed(source, &name(trusted, role, version), limit).await?;
        trusted.update_targets(role, delegator, &bytes).map_err(RefreshError::Trust)?;
        self.save(trusted, role, &bytes)
    }

    fn load(&self, role: &str) -> Result<Option<Vec<u8>>, RefreshError> {
        self.store.load(role).map_err(RefreshError::Store)
    }

    fn save(&self, trusted: &Trusted, role: &str, bytes: &[u8]) -> Result<(), RefreshError> {
        self.store.save(role, bytes, &trusted.floor()).map_err(RefreshError::Store)
    }
}

/// The name of a file of metadata, with its version where names tell it.
fn name(trusted: &Trusted, role: &str, version: u64) -> String {
    let role = quoted(role);
    if trusted.root().consistent_snapshot {
        format!("{version}.{role}.json")
    } else {
        format!("{role}.json")
    }
}

async fn needed(source: &impl Source, name: &str, limit: u64) -> Result<Vec<u8>, RefreshError> {
    let bytes = fetch(source, name, limit).await?;
    bytes.ok_or_else(|| RefreshError::Absent { name: name.to_owned() })
}

async fn fetch(
    source: &impl Source,
    name: &str,
    limit: u64,
) -> Result<Option<Vec<u8>>, RefreshError> {
    let failed = |source| RefreshError::Fetch { name: name.to_owned(), source };
    let bytes = source.fetch(name, limit).await.map_err(failed)?;
    if bytes.as_ref().is_some_and(|bytes| bytes.len() as u64 > limit) {
        return Err(RefreshError::TooLong { name: name.to_owned(), limit });
    }
    Ok(bytes)
}
