//! Two signers: once a root of trust is pinned, nothing is unpacked or made active that approvers
//! have not signed, and no order is taken up that the server has not.
//!
//! What can't be fetched, read or verified is a refusal. A server can't pin another root, nor unpin
//! one: only whoever administers this device can.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use gofleet_api::{Client as Server, SealedOrder, trust as token};
use gofleet_core::agent::Seen;
use gofleet_core::dependency::Dependencies;
use gofleet_core::digest::Digest;
use gofleet_core::facts::{AGENT, GO};
use gofleet_core::ids::{PackageName, ReleaseId};
use gofleet_core::order::{Failure, FailureKind, Order, Step};
use gofleet_core::release::ReleaseRef;
use gofleet_core::seal::Seal;
use gofleet_platform::{Access, atomic_write};
use gofleet_trust::client::SourceError;
use gofleet_trust::metadata::TargetFile;
use gofleet_trust::{
    Client, OrderError, RefreshError, Source, Store, StoreError, Trusted, Unapproved, approval,
    order,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::{Mutex, MutexGuard};

use crate::backoff::{Backoff, random};
use crate::device::{Device, agent_folder, now};
use crate::facts::active_version;
use crate::soak::with_causes;
use crate::{AgentConfig, AgentError};

/// The most bytes of a root that is pinned by its digest.
const ROOT_BYTES: u64 = 512_000;

/// The trust store of a device, which one at a time uses.
pub struct Trust(Mutex<Client>);

/// Why something is not run.
#[derive(Debug, Error)]
pub enum TrustFailure {
    /// The metadata that would allow it is not to be had, or not to be believed.
    #[error("this device runs only what approvers have signed, and that cannot be told")]
    Metadata(#[source] RefreshError),
    /// The approvers have signed something else.
    #[error("this device runs only what approvers have signed")]
    Unapproved(#[source] Unapproved),
    /// The server has not signed the order.
    #[error("this device obeys signed orders only")]
    Order(#[source] OrderError),
    /// The release asks for packages that this device does not have.
    #[error("{release} {reason}")]
    Packages {
        /// The release.
        release: ReleaseId,
        /// What it asks for, and what this device has.
        reason: String,
    },
    /// The seal of an order cannot be kept.
    #[error("cannot write {}", path.display())]
    Keep {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl TrustFailure {
    /// As it is reported.
    pub fn at(&self, step: Step) -> Failure {
        let kind = match self {
            Self::Unapproved(_)
            | Self::Packages { .. }
            | Self::Order(OrderError::NotSealed | OrderError::NotByServer) => {
                FailureKind::Unapproved
            }
            Self::Metadata(_) | Self::Order(OrderError::Expired { .. }) => FailureKind::Untrusted,
            Self::Keep { .. } => FailureKind::FileSystem,
        };
        Failure { step, kind, message: with_causes(self) }
    }
}

/// The server, as a source of metadata.
struct Metadata<'a>(&'a Server);

impl Source for Metadata<'_> {
    async fn fetch(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(self.0.trust_metadata(name, limit).await?)
    }
}

/// The seal of the order that was taken up last.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    order: Digest,
    seal: Seal,
}

impl Trust {
    /// Of a device with this folder.
    pub fn new(store: Store) -> Self {
        Self(Mutex::new(Client::new(store)))
    }

    /// The store, if a root of trust is pinned.
    async fn pinned(&self) -> Result<Option<MutexGuard<'_, Client>>, TrustFailure> {
        let client = self.0.lock().await;
        let is_pinned = client.store().is_pinned();
        let is_pinned = is_pinned.map_err(|it| TrustFailure::Metadata(RefreshError::Store(it)))?;
        Ok(is_pinned.then_some(client))
    }
}

impl Device {
    /// Whether an order may be taken up: the server has signed it, where a root of trust is pinned.
    ///
    /// # Errors
    ///
    /// [`TrustFailure`]
    pub async fn may_take_up(&self, answer: &SealedOrder) -> Result<(), TrustFailure> {
        let Some(client) = self.trust.pinned().await? else { return Ok(()) };
        let SealedOrder { order, seal } = answer;
        let stored = client.store().open(now());
        let stored = stored.map_err(|it| TrustFailure::Metadata(RefreshError::Store(it)))?;
        if order::verify(stored.root(), order, seal.as_ref()).is_err() {
            // The server may have new keys, which a later root names.
            let trusted = client.refresh(&Metadata(&self.client), now()).await;
            let trusted = trusted.map_err(TrustFailure::Metadata)?;
            order::verify(trusted.root(), order, seal.as_ref()).map_err(TrustFailure::Order)?;
        }
        let seal = seal.clone().ok_or(TrustFailure::Order(OrderError::NotSealed))?;
        order::check_time(&seal, now()).map_err(TrustFailure::Order)?;
        self.keep_seal(order, seal)
    }

    /// Whether a release may be unpacked, or made active, for this order: both have signed.
    ///
    /// # Errors
    ///
    /// [`TrustFailure`]
    pub async fn authorize(&self, order: &Order, wanted: &ReleaseRef) -> Result<(), TrustFailure> {
        let Some(client) = self.trust.pinned().await? else { return Ok(()) };
        let (trusted, target) = self.approval_of(&client, wanted).await?;
        approval::check(target.as_ref(), wanted, None).map_err(TrustFailure::Unapproved)?;
        self.has_packages(
            wanted,
            &target.as_ref().map(approval::dependencies).unwrap_or_default(),
        )?;
        let root = trusted.root();
        let verified = |seal: Option<&Seal>| {
            order::verify(root, order, seal)?;
            seal.map_or(Ok(()), |seal| order::check_time(seal, now()))
        };
        let Err(error) = verified(self.kept_seal(order).as_ref()) else { return Ok(()) };
        // A window came late, or the server has other keys by now: whether it still wants this.
        let answer = self.client.sealed_order(None, Duration::ZERO).await;
        let again = answer.ok().flatten().filter(|answer| answer.order == *order);
        let seal = again.and_then(|answer| answer.seal).ok_or(TrustFailure::Order(error))?;
        verified(Some(&seal)).map_err(TrustFailure::Order)?;
        self.keep_seal(order, seal)
    }

    /// Whether this device has the packages that its approvers have signed a release to ask for,
    /// whatever the server believes of them.
    fn has_packages(&self, wanted: &ReleaseRef, asked: &Dependencies) -> Result<(), TrustFailure> {
        let version_of = |package: &PackageName| match package.as_str() {
            GO => active_version(&self.root),
            AGENT => Some(env!("CARGO_PKG_VERSION").to_owned()),
            _ => None,
        };
        let refused = asked.refused_by(&wanted.package, version_of);
        let release = wanted.id.clone();
        refused.map_or(Ok(()), |reason| Err(TrustFailure::Packages { release, reason }))
    }

    /// What approvers say of a release: as the server tells it today, else as it is stored, for as
    /// long as that counts.
    async fn approval_of(
        &self,
        client: &Client,
        release: &ReleaseRef,
    ) -> Result<(Trusted, Option<TargetFile>), TrustFailure> {
        let (source, path) = (Metadata(&self.client), approval::path(release));
        let fresh = async {
            let mut trusted = client.refresh(&source, now()).await?;
            let target = client.find(&mut trusted, Some(&source), &path).await?;
            Ok((trusted, target))
        };
        let stored = async {
            let mut trusted = client.stored(now()).await?;
            let target = client.find_stored(&mut trusted, &path).await?;
            Ok((trusted, target))
        };
        match fresh.await {
            Err(RefreshError::Fetch { name, source }) => {
                tracing::warn!(name, error = %source, "going by the metadata that is stored");
                stored.await
            }
            other => other,
        }
        .map_err(TrustFailure::Metadata)
    }

    fn seal_file(&self) -> PathBuf {
        self.folder().join("trust").join("order.json")
    }

    fn keep_seal(&self, order: &Order, seal: Seal) -> Result<(), TrustFailure> {
        let path = self.seal_file();
        let kept = Kept { order: Seen::of(order).digest, seal };
        let bytes = serde_json::to_vec(&kept).expect("a seal is plain data");
        atomic_write(&path, &bytes, Access::Private)
            .map_err(|source| TrustFailure::Keep { path, source })
    }

    /// The seal of this order, if it is the one that was kept.
    fn kept_seal(&self, order: &Order) -> Option<Seal> {
        let kept: Kept = serde_json::from_slice(&fs::read(self.seal_file()).ok()?).ok()?;
        (kept.order == Seen::of(order).digest).then_some(kept.seal)
    }
}

/// Pins the root of trust that the enrolment token tells of, unless one is pinned already. It comes
/// before the identity is saved, so that no device is enrolled without it.
///
/// # Errors
///
/// [`AgentError::Trust`] if the store cannot be used, or the server has no such root.
pub async fn pin(config: &AgentConfig, server: &Server) -> Result<(), AgentError> {
    let store = store(config);
    let Some(digest) = config.token.as_deref().and_then(token::root_in) else { return Ok(()) };
    if store.is_pinned().map_err(AgentError::Trust)? {
        return Ok(());
    }
    let mut backoff = Backoff::for_server();
    loop {
        match server.trust_metadata(&format!("{digest}.root.json"), ROOT_BYTES).await {
            Ok(Some(bytes)) if Digest::of(&bytes) == digest => {
                store.pin(&bytes).map_err(AgentError::Trust)?;
                tracing::info!(root = %digest, "the root of trust is pinned");
                return Ok(());
            }
            Ok(_) => {
                let server = server.server().to_owned();
                return Err(AgentError::OtherRoot { server, expected: digest });
            }
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "cannot get the root of trust yet");
                tokio::time::sleep(backoff.after_failure(random())).await;
            }
            Err(source) => return Err(AgentError::Server(source)),
        }
    }
}

/// The trust store of the agent with this root.
pub fn store(config: &AgentConfig) -> Store {
    Store::of_agent(&agent_folder(&gofleet_depot::Root::new(&config.root)))
}

/// What is to be told of a trust store, in a few words.
///
/// # Errors
///
/// [`StoreError`] if a root is pinned that cannot be used: then nothing is run.
pub fn describe(store: &Store) -> Result<Option<String>, StoreError> {
    if !store.is_pinned()? {
        return Ok(None);
    }
    let trusted = store.open(now())?;
    let (root, pin) = (trusted.root(), trusted.floor().pin);
    Ok(Some(format!("root of version {} until {}, pinned as {pin}", root.version, root.expires)))
}
