//! A distribution point before a real server: each artifact once from there, and to nobody with
//! other bytes than its digest says.

use std::future::IntoFuture as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use futures_util::stream::once;
use gofleet_api::{ClientError, EnrolEdgeRequest, EnrolEdgeResponse, trust};
use gofleet_core::bandwidth::Bandwidth;
use gofleet_core::digest::Digest;
use gofleet_core::time::{Span, Timestamp};
use gofleet_server::tls::Authority;
use gofleet_server::{EdgeConfig, EdgeError, serve_edge};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{TestServer, http, within};

/// A distribution point that runs in this process.
struct TestEdge {
    url: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), EdgeError>>,
    folder: TempDir,
}

fn config(upstream: &str, token: Option<String>, data: &Path) -> EdgeConfig {
    EdgeConfig {
        upstream: upstream.to_owned(),
        token,
        data: data.to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        public_url: None,
        site: "berlin".to_owned(),
        limit: Bandwidth::UNLIMITED,
        device_limit: Bandwidth::UNLIMITED,
        cache_bytes: 1 << 30,
    }
}

impl TestEdge {
    async fn start(config: EdgeConfig, folder: TempDir) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (ready_sender, ready) = oneshot::channel();
        let shutdown = async {
            let _either_way = stopped.await;
        };
        let on_ready = move |url: &str| ready_sender.send(url.to_owned()).expect("the test waits");
        let task = tokio::spawn(serve_edge(config, shutdown, on_ready));
        let Ok(url) = within(ready).await else { panic!("it does not start: {:?}", task.await) };
        // A program that knows no certificate asks it on this machine.
        let url = url.replace("https://", "http://");
        Self { url, stop, task, folder }
    }

    async fn of(server: &TestServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token = Some(server.token().await);
        Self::start(config(&server.url, token, folder.path()), folder).await
    }

    /// Stops it; its folder, and the bytes that it sent and fetched.
    async fn stop(self) -> (TempDir, u64, u64) {
        self.stop.send(()).unwrap();
        within(self.task).await.unwrap().unwrap();
        let counters = std::fs::read(self.folder.path().join("counters.json")).unwrap();
        let counters: serde_json::Value = serde_json::from_slice(&counters).unwrap();
        let number = |name: &str| counters[name].as_u64().unwrap();
        (self.folder, number("served_bytes"), number("fetched_bytes"))
    }

    async fn get(&self, sha256: &Digest, headers: &[(&str, &str)]) -> reqwest::Response {
        self.ask(Method::GET, sha256, headers).await
    }

    async fn ask(
        &self,
        method: Method,
        sha256: &Digest,
        headers: &[(&str, &str)],
    ) -> reqwest::Response {
        let mut request = http().request(method, format!("{}/api/v1/artifacts/{sha256}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    fn kept(&self, sha256: &Digest) -> bool {
        self.folder.path().join("artifacts").join(sha256.to_string()).exists()
    }

    /// The last byte is with the device a moment before the file has its name.
    async fn comes_to_be_kept(&self, sha256: &Digest) {
        within(async {
            while !self.kept(sha256) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn it_serves_what_the_server_has_in_whole_and_in_part_and_without_it() {
    let server = TestServer::start().await;
    let archive = server.import_go("1.27.3").await.release.archive;
    let content = std::fs::read(server.file_of("1.27.3")).unwrap();
    let edge = TestEdge::of(&server).await;
    let (sha256, size, etag) = (archive.sha256, archive.size, format!("\"{}\"", archive.sha256));
    let first = edge.get(&sha256, &[("range", "bytes=100-199")]).await;
    assert_eq!(first.status(), StatusCode::PARTIAL_CONTENT, "in part, while it comes");
    assert_eq!(first.headers()["content-range"], format!("bytes 100-199/{size}").as_str());
    assert_eq!(first.bytes().await.unwrap(), content[100..200]);
    let whole = edge.get(&sha256, &[]).await;
    assert_eq!(whole.headers()["etag"], etag.as_str());
    assert_eq!(whole.bytes().await.unwrap(), content);
    server.stop().await;
    let tail = edge.get(&sha256, &[("range", "bytes=-5"), ("if-range", &etag)]).await;
    assert_eq!(tail.bytes().await.unwrap(), content[content.len() - 5..]);
    let known = edge.get(&sha256, &[("if-none-match", &etag)]).await;
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    let behind = edge.get(&sha256, &[("range", &format!("bytes={size}-"))]).await;
    assert_eq!(behind.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    let head = edge.ask(Method::HEAD, &sha256, &[]).await;
    assert_eq!(head.headers()["content-length"], size.to_string().as_str());
    let gone = edge.get(&Digest::of(b"not kept"), &[]).await;
    assert_eq!(gone.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn however_many_ask_it_is_fetched_once_and_counted() {
    let server = TestServer::start().await;
    let archive = server.import_go("1.27.3").await.release.archive;
    let edge = TestEdge::of(&server).await;
    let mut all = Vec::new();
    for _ in 0..20 {
        let request = http().get(format!("{}/api/v1/artifacts/{}", edge.url, archive.sha256));
        all.push(tokio::spawn(async move { request.send().await.unwrap().bytes().await.unwrap() }));
    }
    for one in all {
        assert_eq!(Digest::of(&within(one).await.unwrap()), archive.sha256);
    }
    let edges = server.admin().edges().await.unwrap();
    assert_eq!(
        (edges.len(), edges[0].report.url.as_str()),
        (1, edge.url.replace("http://", "https://").as_str())
    );
    let (folder, served, fetched) = edge.stop().await;
    assert_eq!((served, fetched), (20 * archive.size, archive.size));
    // It enrols once, and goes on counting.
    let again = config(&server.url, None, folder.path());
    let edge = TestEdge::start(again, folder).await;
    edge.get(&archive.sha256, &[]).await.bytes().await.unwrap();
    let (_, served, fetched) = edge.stop().await;
    assert_eq!((served, fetched), (21 * archive.size, archive.size));
}

#[tokio::test]
async fn what_there_is_not_is_not_found_and_nothing_else_is_answered() {
    let server = TestServer::start().await;
    let edge = TestEdge::of(&server).await;
    let none = edge.get(&Digest::of(b"none"), &[]).await;
    assert_eq!(none.status(), StatusCode::NOT_FOUND);
    for path in ["/api/v1/artifacts/nonsense", "/api/v1/artifacts/", "/api/v1/devices", "/"] {
        let response = http().get(format!("{}{path}", edge.url)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let url = format!("{}/api/v1/artifacts/{}", edge.url, Digest::of(b"none"));
    let put = http().put(url).body("mine").send().await.unwrap();
    assert_eq!(put.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_damaged_file_of_the_server_is_not_kept() {
    let server = TestServer::start().await;
    let archive = server.import_go("1.27.3").await.release.archive;
    let path = server.data().join("artifacts").join(archive.sha256.to_string());
    let whole = std::fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    damaged[1000] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    let edge = TestEdge::of(&server).await;
    let came = edge.get(&archive.sha256, &[]).await.bytes().await;
    assert!(came.map_or(true, |came| Digest::of(&came) != archive.sha256));
    // The server's disk is mended, and the next one gets the right bytes.
    std::fs::write(&path, &whole).unwrap();
    within(async {
        while edge.get(&archive.sha256, &[]).await.bytes().await.map_or(true, |came| came != whole)
        {
        }
    })
    .await;
    edge.comes_to_be_kept(&archive.sha256).await;
}

#[tokio::test]
async fn a_server_that_breaks_off_is_asked_for_the_rest() {
    let content: Bytes = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let sha256 = Digest::of(&content);
    let asked = Arc::new(AtomicUsize::new(0));
    let upstream = breaking_upstream(content.clone(), Arc::clone(&asked)).await;
    let folder = tempfile::tempdir().unwrap();
    let edge = TestEdge::start(config(&upstream, Some("t".into()), folder.path()), folder).await;
    let came = edge.get(&sha256, &[]).await.bytes().await.unwrap();
    assert!(came == content, "the device does not notice");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    edge.comes_to_be_kept(&sha256).await;
}

/// A server that takes everybody in and breaks each first answer off in the middle.
async fn breaking_upstream(content: Bytes, asked: Arc<AtomicUsize>) -> String {
    let answer = move |request: axum::extract::Request| {
        let (content, asked) = (content.clone(), Arc::clone(&asked));
        async move { answer(&content, &asked, &request) }
    };
    let enrol = async |axum::Json(request): axum::Json<EnrolEdgeRequest>| {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path()).unwrap();
        // Not to be renewed before the year 2160.
        let time = (Timestamp::from_millis(0), Span::from_secs(9_000_000_000));
        let issued = authority.for_request(&request.request, ("e-1", "edge"), &[], time).unwrap();
        axum::Json(EnrolEdgeResponse { edge: "e-1".parse().unwrap(), issued })
    };
    let router = Router::new()
        .route("/api/v1/edge/enrol", axum::routing::post(enrol))
        .route("/api/v1/edge/report", axum::routing::post(async || StatusCode::NO_CONTENT))
        .fallback(answer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    url
}

fn answer(content: &Bytes, asked: &AtomicUsize, request: &axum::extract::Request) -> Response {
    let size = content.len();
    if request.method() == Method::HEAD {
        return ([(header::CONTENT_LENGTH, size)], Body::empty()).into_response();
    }
    asked.fetch_add(1, Ordering::SeqCst);
    let Some(range) = request.headers().get(header::RANGE) else {
        let half = content.slice(..size / 2);
        let death = async {
            // Else it would take what it has just sent into its grave.
            tokio::time::sleep(Duration::from_millis(100)).await;
            Err(std::io::Error::other("the server dies here"))
        };
        let body = Body::from_stream(once(async { Ok(half) }).chain(once(death)));
        return ([(header::CONTENT_LENGTH, size)], body).into_response();
    };
    let start: usize =
        range.to_str().unwrap().trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
    let headers = [(header::CONTENT_RANGE, format!("bytes {start}-{}/{size}", size - 1))];
    (StatusCode::PARTIAL_CONTENT, headers, content.slice(start..)).into_response()
}

#[tokio::test]
async fn without_a_token_or_with_a_bad_one_it_does_not_start() {
    let server = TestServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let never = std::future::pending::<()>();
    let none =
        serve_edge(config(&server.url, None, folder.path()), never, |_| {}).await.unwrap_err();
    assert!(matches!(none, EdgeError::NoToken { .. }), "{none}");
    assert!(none.hint().unwrap().contains("token create"));
    let never = std::future::pending::<()>();
    let unknown = trust::with_authority("gfenrol_0", &server.authority().unwrap());
    let bad = config(&server.url, Some(unknown), folder.path());
    let bad = serve_edge(bad, never, |_| {}).await.unwrap_err();
    assert!(matches!(bad, EdgeError::Enrolment { .. }), "{bad}");
    let never = std::future::pending::<()>();
    let astray = config(&server.url, Some("gfenrol_0".into()), folder.path());
    let astray = serve_edge(astray, never, |_| {}).await.unwrap_err();
    assert!(matches!(astray, EdgeError::Upstream(ClientError::Untrusted { .. })), "{astray}");
}

#[tokio::test]
async fn it_keeps_no_more_than_it_may() {
    let server = TestServer::start().await;
    let (one, two) = (server.import_go("1.27.2").await, server.import_go("1.27.3").await);
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&server.url, Some(server.token().await), folder.path());
    config.cache_bytes = one.release.archive.size + two.release.archive.size - 1;
    let edge = TestEdge::start(config, folder).await;
    let (one, two) = (one.release.archive.sha256, two.release.archive.sha256);
    for sha256 in [one, two, one] {
        assert_eq!(Digest::of(&edge.get(&sha256, &[]).await.bytes().await.unwrap()), sha256);
        edge.comes_to_be_kept(&sha256).await;
    }
    assert!(!edge.kept(&two), "the other made room");
}
