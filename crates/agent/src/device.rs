//! The running agent: what its parts share, and how they run side by side.
//!
//! All of it lives on one thread, so that an idle agent costs next to nothing; only what blocks
//! for long (unpacking, hashing) goes to another.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use gofleet_api::{Client, Key};
use gofleet_core::agent::Seen;
use gofleet_core::ids::ReleaseId;
use gofleet_core::offer::Board;
use gofleet_core::order::{Evidence, Order};
use gofleet_core::time::Timestamp;
use gofleet_depot::{Depot, DepotError, Root};
use gofleet_platform::{Access, FileLock, atomic_write, create_private_folder};
use tokio::sync::{Notify, watch};

use crate::avoided::Avoided;
use crate::identity::Identity;
use crate::inventory::Places;
use crate::ledger::{Found, Ledger};
use crate::signals::Told;
use crate::trust::Trust;
use crate::{AgentConfig, AgentError, enrol, offer, trust};

/// How often a depot is asked for that another program has, an installation by hand for example.
const LOCKED_RETRY: Duration = Duration::from_millis(500);

/// A device with its agent.
pub struct Device {
    pub config: AgentConfig,
    pub root: Root,
    pub places: Places,
    pub identity: RefCell<Identity>,
    pub key: Key,
    pub client: Client,
    pub ledger: RefCell<Ledger>,
    /// Who must have signed what this device runs.
    pub trust: Trust,
    /// An order that was accepted and is not taken up yet.
    pub pending: RefCell<Option<Order>>,
    /// What the check that has just passed found, and for which release.
    pub just_checked: RefCell<Option<(ReleaseId, Evidence)>>,
    /// Distribution points that failed an order not long ago.
    pub avoided_edges: RefCell<Avoided>,
    /// Rings when there is a pending order.
    pub order_news: Notify,
    /// What everybody on this machine was shown last of the questions to its user.
    pub shown: RefCell<Option<Board>>,
    /// Rings when the user is to be told something.
    pub notice_news: Notify,
    /// What the command with signals told last.
    pub told_by_command: RefCell<Told>,
    /// Rings when there is something to report.
    pub report_news: Notify,
    /// Whether nothing is being done for an order.
    pub resting: watch::Sender<bool>,
    _lock: FileLock,
}

impl Device {
    /// Sets up and serves until it can't go on.
    pub async fn serve(config: AgentConfig) -> Result<(), AgentError> {
        let device = Self::set_up(config).await?;
        let contact = async {
            tokio::select! {
                error = device.ask_for_orders() => error,
                error = device.deliver_reports() => error,
                never = device.keep_certificate() => match never {},
                never = device.deliver_notices() => match never {},
                never = device.run_signal_command() => match never {},
            }
        };
        let execute = device.execute();
        tokio::pin!(contact, execute);
        let error = tokio::select! {
            error = &mut contact => error,
            never = &mut execute => match never {},
        };
        // Disowned in the middle of an upgrade: it is brought to its end first.
        let mut resting = device.resting.subscribe();
        tokio::select! {
            _ = resting.wait_for(|is_resting| *is_resting) => Err(error),
            never = &mut execute => match never {},
        }
    }

    async fn set_up(config: AgentConfig) -> Result<Self, AgentError> {
        let root = Root::new(&config.root);
        let folder = agent_folder(&root);
        create_private_folder(&folder)
            .map_err(|source| AgentError::Root { root: config.root.clone(), source })?;
        let lock = FileLock::acquire(&folder.join("running"))
            .map_err(|source| AgentError::Lock { root: config.root.clone(), source })?;
        if let Some(settings) = &config.settings {
            atomic_write(&folder.join("settings.json"), settings, Access::Private)
                .map_err(|source| AgentError::Root { root: config.root.clone(), source })?;
        }
        // Finishes or undoes what a kill left, before anything is decided.
        let depot = open_depot(&root).await.map_err(AgentError::Depot)?;
        if let Some(shim) = &config.shim {
            depot.place_shims(shim).map_err(AgentError::Depot)?;
        }
        drop(depot);
        let (ledger, found) =
            Ledger::open(folder.join("ledger.json"), now()).map_err(AgentError::Ledger)?;
        if let Found::Damaged { aside, reason } = found {
            tracing::error!(
                aside = %aside.display(),
                reason,
                "the ledger is damaged and was put aside: going on with what is active on the disk"
            );
        }
        let trust = Trust::new(trust::store(&config));
        let places = Places::of_this_machine();
        let (identity, key, client) = enrol::identity(&config, &root, &places).await?;
        let client = client.of_run(&run());
        if let Err(error) = offer::prepare(&root) {
            tracing::warn!(%error, "users of this machine can't answer offers");
        }
        tracing::info!(device = %identity.device, server = client.server(), "agent is running");
        Ok(Self {
            config,
            root,
            places,
            identity: RefCell::new(identity),
            key,
            client,
            ledger: RefCell::new(ledger),
            trust,
            pending: RefCell::new(None),
            just_checked: RefCell::new(None),
            avoided_edges: RefCell::default(),
            order_news: Notify::new(),
            shown: RefCell::new(None),
            notice_news: Notify::new(),
            told_by_command: RefCell::default(),
            report_news: Notify::new(),
            resting: watch::Sender::new(false),
            _lock: lock,
        })
    }

    /// The newest order that was accepted.
    pub fn seen(&self) -> Option<Seen> {
        let pending = self.pending.borrow().as_ref().map(Seen::of);
        pending.or_else(|| self.ledger.borrow().memory().seen().copied())
    }

    /// The agent's own folder below the root.
    pub fn folder(&self) -> PathBuf {
        agent_folder(&self.root)
    }
}

/// The agent's own folder below the root.
pub fn agent_folder(root: &Root) -> PathBuf {
    root.path().join("agent")
}

/// Opens the depot of a root, as soon as no other program has it.
///
/// # Errors
///
/// Any [`DepotError`] but [`DepotError::Locked`].
pub async fn open_depot(root: &Root) -> Result<Depot, DepotError> {
    let mut is_told = false;
    loop {
        let path = root.path().to_owned();
        match blocking(move || Depot::open(path)).await {
            Err(error @ DepotError::Locked { .. }) => {
                if !is_told {
                    tracing::warn!("waiting: {error}");
                    is_told = true;
                }
                tokio::time::sleep(LOCKED_RETRY).await;
            }
            other => return other,
        }
    }
}

/// Does something that blocks for long on a thread of its own.
pub async fn blocking<T: Send + 'static>(action: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(action).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends: whoever waits here is dropped in a moment.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Names this run of the program: 64 random bits.
fn run() -> String {
    let random = getrandom::u64().expect("the operating system has randomness");
    format!("{random:016x}")
}

/// The time by this device's clock, which may be wrong: it goes into records and decides nothing.
pub fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}
