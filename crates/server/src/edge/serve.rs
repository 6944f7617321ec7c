//! A distribution point's life: open the folder, enrol, listen, report, stop.

use std::convert::Infallible;
use std::fs;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use gofleet_api::throttle::{Throttle, local_clock};
use gofleet_api::{API_PREFIX, EdgeReport, Health, ProblemCode};
use gofleet_core::bandwidth::Bandwidth;
use gofleet_core::digest::Digest;
use gofleet_platform::file::{Access, atomic_write, create_private_folder};
use gofleet_platform::{FileLock, LockError, machine};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::cache::Cache;
use super::fetching::{Fetching, Progress};
use super::identity::{self, Enrolled};
use super::sending::Sending;
use super::{EdgeConfig, EdgeError};
use crate::data::DataError;
use crate::extract::Path;
use crate::failure::{Answer, Failure, chain};
use crate::tls::{Shown, TlsListener};
use crate::{http, send};

/// How often the server hears of it: four times as often as it must.
const REPORT_EVERY: Duration = Duration::from_secs(30);
/// How long devices that are being served may take when it stops.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// What all requests share.
#[derive(Clone)]
struct Edge {
    cache: Arc<Cache>,
    fetching: Arc<Fetching>,
    sent: Arc<Throttle>,
}

/// What was moved since it enrolled, kept over starts.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Counters {
    served_bytes: u64,
    fetched_bytes: u64,
}

/// Runs a distribution point until `shutdown` is done; `on_ready` gets its address once it listens.
///
/// # Errors
///
/// [`EdgeError`] if it cannot start.
pub async fn serve_edge(
    config: EdgeConfig,
    shutdown: impl Future<Output = ()>,
    on_ready: impl FnOnce(&str),
) -> Result<(), EdgeError> {
    let _lock = open_folder(&config.data)?;
    let folder = config.data.join("artifacts");
    let cache = Cache::open(&folder, config.cache_bytes).map_err(unusable(&folder))?;
    let (listener, local) = listen(config.listen).await?;
    let report = first_report(&config, local);
    tokio::pin!(shutdown);
    let mut enrolled = tokio::select! {
        enrolled = identity::enrolled(&config, report.clone()) => enrolled?,
        () = &mut shutdown => return Ok(()),
    };
    let shown = Shown::new(enrolled.shown()?);
    let listener = TlsListener::new(listener, local, Arc::clone(&shown), None, true);
    let listener = listener.map_err(EdgeError::Tls)?;
    let client = enrolled.client.clone();
    let throttle =
        |limit: &Bandwidth, bytes| Arc::new(Throttle::new(limit.clone(), local_clock, bytes));
    let fetched = throttle(&config.limit, report.fetched_bytes);
    let sent = throttle(&config.device_limit, report.served_bytes);
    let cache = Arc::new(cache);
    let fetching = Fetching::new(client.clone(), Arc::clone(&cache), Arc::clone(&fetched));
    let edge = Edge { cache, fetching, sent: Arc::clone(&sent) };
    let (url, path) = (format!("https://{local}"), config.data.join("address"));
    atomic_write(&path, format!("{url}\n").as_bytes(), Access::Everyone)
        .map_err(unusable(&path))?;
    on_ready(&url);
    let reporting = report_for_ever(&config.data, &mut enrolled, &shown, report, &sent, &fetched);
    tokio::select! {
        () = answer(listener, edge, shutdown) => {}
        never = reporting => match never {},
    }
    save_counters(&config.data, &sent, &fetched);
    // It is only a hint for those who look for it; there is nobody to tell.
    let _ = fs::remove_file(path);
    Ok(())
}

fn unusable(path: &FilePath) -> impl FnOnce(std::io::Error) -> EdgeError {
    let path = path.to_owned();
    move |source| EdgeError::Data(DataError::Unusable { path, source })
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), EdgeError> {
    let failed = |source| EdgeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}

/// What it tells of itself, with what was moved before this start.
fn first_report(config: &EdgeConfig, local: SocketAddr) -> EdgeReport {
    let Counters { served_bytes, fetched_bytes } = load_counters(&config.data);
    // Nobody reaches a machine by "all of its addresses".
    let own = if local.ip().is_unspecified() {
        format!("https://{}:{}", machine::hostname(), local.port())
    } else {
        format!("https://{local}")
    };
    EdgeReport {
        name: machine::hostname(),
        site: config.site.clone(),
        url: config.public_url.clone().unwrap_or(own),
        served_bytes,
        fetched_bytes,
    }
}

/// Answers until `shutdown` is done and what was under way has ended, or too much time has passed.
async fn answer(listener: TlsListener, edge: Edge, shutdown: impl Future<Output = ()>) {
    let stopping = CancellationToken::new();
    let server = axum::serve(listener, router(edge))
        .with_graceful_shutdown(stopping.clone().cancelled_owned());
    let mut server = tokio::spawn(server.into_future());
    tokio::select! {
        () = shutdown => {}
        _ = &mut server => warn!("the listener ended by itself"),
    }
    info!("stopping");
    stopping.cancel();
    if tokio::time::timeout(STOP_LIMIT, &mut server).await.is_err() {
        server.abort();
    }
}

fn open_folder(data: &FilePath) -> Result<FileLock, EdgeError> {
    create_private_folder(data).map_err(unusable(data))?;
    FileLock::acquire(&data.join("lock")).map_err(|error| match error {
        LockError::Held { .. } => {
            EdgeError::Data(DataError::InUse { path: data.to_owned(), source: error })
        }
        LockError::Unusable { path, source } => unusable(&path)(source),
    })
}

/// Everything that it answers: artifacts, and whether it is up.
fn router(edge: Edge) -> Router {
    let api = Router::new()
        .route("/artifacts/{sha256}", get(artifact))
        .route("/healthz", get(health))
        .fallback(http::not_found)
        .method_not_allowed_fallback(http::method_not_allowed)
        .with_state(edge);
    http::wrap(Router::new().nest(API_PREFIX, api).fallback(http::not_found))
}

async fn health() -> axum::Json<Health> {
    axum::Json(Health { status: "ok".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() })
}

/// An artifact: as it is kept, else as it comes.
async fn artifact(
    State(edge): State<Edge>,
    method: Method,
    headers: HeaderMap,
    Path(sha256): Path<Digest>,
) -> Answer<Response> {
    let mut coming = None;
    loop {
        if let Some((file, size)) = edge.kept(sha256).await? {
            let file = Some(tokio::fs::File::from_std(file));
            return Ok(edge.send(sha256, size, file, None, &method, &headers));
        }
        let progress = coming.get_or_insert_with(|| edge.fetching.join(sha256));
        let known = progress.wait_for(|progress| *progress != Progress::Asking).await;
        match known.map_or(Progress::Failed, |known| *known) {
            Progress::Coming { size, .. } => {
                return Ok(edge.send(sha256, size, None, coming, &method, &headers));
            }
            // It came between the two looks.
            Progress::Done => coming = None,
            Progress::Missing => return Err(Failure::not_found("artifact", sha256)),
            Progress::Asking | Progress::Failed => {
                let detail = "the artifact cannot be had from the server just now";
                return Err(Failure::new(ProblemCode::Unavailable, detail));
            }
        }
    }
}

impl Edge {
    /// Opens what is kept, on a thread where that may take its time.
    async fn kept(&self, sha256: Digest) -> Answer<Option<(fs::File, u64)>> {
        let cache = Arc::clone(&self.cache);
        let kept = tokio::task::spawn_blocking(move || cache.get(&sha256)).await;
        kept.map_err(|panic| Failure::internal("reading the cache", &panic))
    }

    fn send(
        &self,
        sha256: Digest,
        size: u64,
        file: Option<tokio::fs::File>,
        coming: Option<watch::Receiver<Progress>>,
        method: &Method,
        headers: &HeaderMap,
    ) -> Response {
        let asked = match send::asked(sha256, size, method, headers) {
            Ok(asked) => asked,
            Err(answer) => return answer,
        };
        let attempt = coming.as_ref().map_or(0, |coming| match *coming.borrow() {
            Progress::Coming { attempt, .. } => attempt,
            _ => 0,
        });
        let sending = Sending {
            // A part of it begins elsewhere than where the file was opened.
            file: file.filter(|_| asked.start == 0),
            places: [self.cache.part(&sha256), self.cache.place(&sha256)],
            position: asked.start,
            end: asked.start + asked.length,
            coming,
            attempt,
            throttle: Arc::clone(&self.sent),
        };
        asked.answer(sending.into_body()).into_response()
    }
}

async fn report_for_ever(
    data: &FilePath,
    enrolled: &mut Enrolled,
    shown: &Shown,
    mut report: EdgeReport,
    sent: &Throttle,
    fetched: &Throttle,
) -> Infallible {
    loop {
        (report.served_bytes, report.fetched_bytes) = (sent.bytes(), fetched.bytes());
        match enrolled.renew().await.and_then(|is_new| is_new.then(|| enrolled.shown()).transpose())
        {
            Ok(Some(certificate)) => shown.replace(certificate),
            Ok(None) => {}
            Err(error) => {
                let error = chain(&error);
                warn!(error, "the certificate is not renewed yet");
            }
        }
        if let Err(error) = enrolled.client.edge_report(&report).await {
            warn!(%error, "the server does not hear of this distribution point");
        }
        save_counters(data, sent, fetched);
        tokio::time::sleep(REPORT_EVERY).await;
    }
}

fn load_counters(data: &FilePath) -> Counters {
    let text = fs::read(data.join("counters.json")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// What cannot be saved is counted from an earlier number after the next start.
fn save_counters(data: &FilePath, sent: &Throttle, fetched: &Throttle) {
    let counters = Counters { served_bytes: sent.bytes(), fetched_bytes: fetched.bytes() };
    let text = serde_json::to_vec(&counters).expect("two numbers");
    if let Err(error) = atomic_write(&data.join("counters.json"), &text, Access::Everyone) {
        warn!(%error, "what was moved cannot be noted");
    }
}
