//! A server's life: open the folder and the database, listen, stop without cutting anybody off.

use std::collections::HashSet;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use gofleet_api::trust::{secret_in, with_authority};
use gofleet_core::artifact::Artifact;
use gofleet_core::digest::Digest;
use gofleet_core::time::Timestamp;
use gofleet_platform::machine;
use gofleet_storage::{OpenError, Storage, StorageError};
use rustls::sign::CertifiedKey;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::config::ServerConfig;
use crate::data::{DataError, DataFolder};
use crate::hooks::{HookError, Hooks};
use crate::secret::{Secret, SecretKind};
use crate::sign_on::{self, SignOn, SignOnError};
use crate::state::{AppState, Clock, system_clock};
use crate::tls::{self, Authority, Caller, Shown, TlsError, TlsListener};
use crate::{
    anomaly, api, audit, authorization, console, hooks, http, preparer, reconciler, trust,
};

/// How long requests that are under way may take to end when the server stops; the archives of
/// slow devices are cut then, and taken up again where they were cut.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A server that listens.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Where it listens, like `https://127.0.0.1:8470`.
    pub url: String,
    /// Where a browser on this machine finds it without TLS, unless that is switched off.
    pub local_url: Option<String>,
    /// The file with the administrator's token.
    pub admin_token_file: PathBuf,
    /// The administrator's token, if this start made it.
    pub new_admin_token: Option<String>,
}

/// Why a server did not start, or stopped.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The data folder cannot be used.
    #[error("the server's data folder is not usable")]
    Data(#[source] DataError),
    /// The database cannot be opened.
    #[error("the server's database is not usable")]
    Open(#[source] OpenError),
    /// The database does not do as asked.
    #[error("the server's database does not work")]
    Storage(#[source] StorageError),
    /// There is no TLS.
    #[error("TLS cannot be set up")]
    Tls(#[source] TlsError),
    /// The hooks cannot be used.
    #[error("the hooks are not usable")]
    Hooks(#[source] HookError),
    /// Nobody can be asked about people whose accounts are elsewhere.
    #[error("signing in by a directory or a provider is not usable")]
    SignOn(#[source] SignOnError),
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

impl ServeError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Data(error) => error.hint(),
            Self::Open(_) | Self::Storage(_) | Self::Hooks(_) | Self::SignOn(_) => None,
            Self::Tls(error) => error.hint(),
            Self::Listen { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
                Some("another program listens there: choose another port with --listen".to_owned())
            }
            Self::Listen { .. } => {
                Some("choose an address of this machine with --listen".to_owned())
            }
        }
    }
}

/// Runs a server until `shutdown` is done; `on_ready` is called once it listens.
///
/// # Errors
///
/// [`ServeError`] if it cannot start.
pub async fn serve(
    config: ServerConfig,
    shutdown: impl Future<Output = ()>,
    on_ready: impl FnOnce(&Ready),
) -> Result<(), ServeError> {
    serve_with_clock(config, system_clock(), shutdown, on_ready).await
}

/// The same by another clock, for tests.
///
/// # Errors
///
/// [`ServeError`] if it cannot start.
pub async fn serve_with_clock(
    config: ServerConfig,
    clock: Clock,
    shutdown: impl Future<Output = ()>,
    on_ready: impl FnOnce(&Ready),
) -> Result<(), ServeError> {
    let data = DataFolder::open(&config.data).map_err(ServeError::Data)?;
    let storage = Storage::open(data.root()).await.map_err(ServeError::Open)?;
    let hooks = Hooks::new(&config.hooks).map_err(ServeError::Hooks)?;
    let sign_on = SignOn::new(&config).map_err(ServeError::SignOn)?;
    let storage = storage.with_blast_radius(config.blast_radius).with_hooks(hooks.targets());
    let storage = Arc::new(storage);
    clear_artifacts(&data, &storage).await?;
    let signer = audit::open(&data, &storage, clock()).await?;
    let authority = Authority::open(data.root()).map_err(ServeError::Tls)?;
    let told = config.tls_files.is_none().then(|| authority.digest());
    let (administrator, new_admin_token) = administrator(&data, &storage, told, clock()).await?;
    let vouchers = (authority, trust::Keys::open(&data).map_err(ServeError::Data)?);
    let people = (administrator, sign_on);
    let state = AppState::new(config, data, storage, people, signer, vouchers, clock);
    anomaly::begin(&state).await.map_err(ServeError::Storage)?;
    authorization::reload(&state).await.map_err(ServeError::Storage)?;
    let address = state.config().listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| ServeError::Listen { address, source })?;
    let local = listener.local_addr().map_err(|source| ServeError::Listen { address, source })?;
    let shown = Shown::new(certificate(&state, local).map_err(ServeError::Tls)?);
    let tls = TlsListener::new(
        listener,
        local,
        Arc::clone(&shown),
        Some(state.authority().certificate()),
        state.config().plain_http,
    );
    let tls = tls.map_err(ServeError::Tls)?;
    let (url, local_url) = addresses(&state, local);
    let certificates = tokio::spawn(renew_certificate(state.clone(), local, shown));
    let reconciler = tokio::spawn(reconciler::run(state.clone()));
    let monitoring = tokio::spawn(anomaly::run(state.clone()));
    let hooks = tokio::spawn(hooks::run(state.clone(), hooks));
    let head = tokio::spawn(audit::keep_head(state.clone()));
    let orders = tokio::spawn(announce_orders(state.clone()));
    let fresh = tokio::spawn(trust::keep_fresh(state.clone()));
    let directory = tokio::spawn(sign_on::keep_in_step(state.clone()));
    let preparer = state.config().prepare.then(|| tokio::spawn(preparer::run(state.clone())));
    state.data().write_address(&url).map_err(ServeError::Data)?;
    let admin_token_file = state.data().admin_token_file();
    on_ready(&Ready { url, local_url, admin_token_file, new_admin_token });
    listen(&state, tls, shutdown).await;
    state.data().remove_address();
    end(reconciler).await;
    end(orders).await;
    end(certificates).await;
    end(fresh).await;
    end(directory).await;
    end(hooks).await;
    end(monitoring).await;
    if let Some(preparer) = preparer {
        end(preparer).await;
    }
    end(head).await;
    // The very last: nothing is told to the log from here on.
    if let Err(error) = audit::write_head(&state).await {
        warn!(error, "the head of the audit log could not be written beside the database");
    }
    state.storage().close().await;
    info!("stopped");
    Ok(())
}

/// Removes artifacts of imports, or of work of the preparer, that did not come to their end.
async fn clear_artifacts(data: &DataFolder, storage: &Storage) -> Result<(), ServeError> {
    let releases = storage.releases().await.map_err(ServeError::Storage)?;
    let artifacts = storage.artifacts().await.map_err(ServeError::Storage)?;
    let archives = releases.iter().map(|release| release.release.archive.sha256);
    let made = artifacts.iter().filter_map(Artifact::ready).map(|(sha256, _)| sha256);
    let named: HashSet<Digest> = archives.chain(made).collect();
    data.retain_artifacts(|digest| named.contains(digest)).map_err(ServeError::Data)
}

/// The certificate to show: the one that was configured, else a new one of the own authority. By
/// the machine's clock, for others compare it with theirs.
fn certificate(state: &AppState, local: SocketAddr) -> Result<CertifiedKey, TlsError> {
    let config = state.config();
    if let Some((certificate, key)) = &config.tls_files {
        return tls::from_files(certificate, key);
    }
    let public_url = config.public_url.as_deref();
    let names = tls::names(local, &machine::hostname(), public_url, &config.tls_names);
    state.authority().for_listener(&names, system_clock()())
}

/// Shows another certificate before the one that is shown ends. One that was configured is read
/// again, so that whoever renews it need not restart the server.
async fn renew_certificate(state: AppState, local: SocketAddr, shown: Arc<Shown>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(tls::SHOWN_FOR) => {}
            () = state.stopping().cancelled() => return,
        }
        match certificate(&state, local) {
            Ok(certificate) => shown.replace(certificate),
            Err(error) => {
                let error = crate::failure::chain(&error);
                warn!(error, "the certificate that is shown stays");
            }
        }
    }
}

/// Where it is reached with TLS, and without.
fn addresses(state: &AppState, local: SocketAddr) -> (String, Option<String>) {
    let mut loopback = local;
    if local.ip().is_unspecified() {
        loopback.set_ip(match local.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let takes_plain = state.config().plain_http && loopback.ip().is_loopback();
    (format!("https://{loopback}"), takes_plain.then(|| format!("http://{loopback}")))
}

/// The digest of the administrator's token; made at the first start, and then told too. The token
/// that was written down tells of the server's authority, also after that has changed.
async fn administrator(
    data: &DataFolder,
    storage: &Storage,
    authority: Option<Digest>,
    now: Timestamp,
) -> Result<(Digest, Option<String>), ServeError> {
    if let Some(known) = storage.admin_token().await.map_err(ServeError::Storage)? {
        if let Some(written) = data.admin_token().map_err(ServeError::Data)? {
            let secret = secret_in(&written);
            let told =
                authority.map_or_else(|| secret.to_owned(), |it| with_authority(secret, &it));
            if written.trim() != told {
                data.write_admin_token(&told).map_err(ServeError::Data)?;
            }
        }
        return Ok((known, None));
    }
    // The file first: killed in between, the next start makes another token, and nobody is left
    // with a database that knows a token which is written nowhere.
    let token = Secret::random(SecretKind::Administrator);
    let told = token.reveal_for(authority.as_ref());
    data.write_admin_token(&told).map_err(ServeError::Data)?;
    storage.set_admin_token(&token.hash(), now).await.map_err(ServeError::Storage)?;
    Ok((token.hash(), Some(told)))
}

/// Everything that the server answers.
pub fn router(state: &AppState) -> Router {
    let console = console::router(state.clone());
    http::wrap(api::router(state).merge(console).fallback(http::not_found))
}

/// Answers until `shutdown` is done and what was under way has ended, or too much time has passed.
async fn listen(state: &AppState, listener: TlsListener, shutdown: impl Future<Output = ()>) {
    let stopping = state.stopping().clone();
    let service = router(state).into_make_service_with_connect_info::<Caller>();
    let server = axum::serve(listener, service).with_graceful_shutdown({
        let stopping = stopping.clone();
        async move { stopping.cancelled().await }
    });
    let mut server = tokio::spawn(server.into_future());
    tokio::select! {
        () = shutdown => {}
        _ = &mut server => warn!("the listener ended by itself"),
    }
    info!("stopping");
    stopping.cancel();
    if tokio::time::timeout(STOP_LIMIT, &mut server).await.is_err() {
        warn!("requests that were still under way are cut");
        server.abort();
    }
}

/// Wakes each device that waits for an order once there is one.
async fn announce_orders(state: AppState) {
    let mut changes = state.storage().changes();
    let mut after = state.storage().last_sequence();
    loop {
        let changed = tokio::select! {
            changed = changes.changed() => changed.is_ok(),
            () = state.stopping().cancelled() => false,
        };
        if !changed {
            return;
        }
        match state.storage().events_since(after, u32::MAX).await {
            Ok(events) => {
                for event in events {
                    after = event.sequence;
                    if let gofleet_api::Change::DeviceOrdered { device, .. } = &event.what {
                        state.orders().announce(device);
                    }
                }
            }
            // Whoever waits looks for itself rather than missing an order.
            Err(error) => {
                warn!(error = %error, "reading the events failed");
                state.orders().announce_all();
            }
        }
    }
}

/// Waits for a task that was told to stop.
async fn end(mut task: JoinHandle<()>) {
    if tokio::time::timeout(STOP_LIMIT, &mut task).await.is_err() {
        task.abort();
    }
}

/// Done when the process is asked to stop: Ctrl-C, or a service manager's signal.
pub async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let terminate = async {
            match signal(SignalKind::terminate()) {
                Ok(mut signal) => {
                    signal.recv().await;
                }
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            () = interrupt() => {}
            () = terminate => {}
        }
    }
    #[cfg(not(unix))]
    interrupt().await;
}

async fn interrupt() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
