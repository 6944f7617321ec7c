//! The ways to a release, and what an agent does where one leads nowhere: real packs and deltas,
//! from a server and a distribution point that misbehave by a script.

#![expect(clippy::unwrap_used, reason = "these are tests")]

#[cfg(unix)]
#[path = "ways/offers.rs"]
mod offers;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path as UrlPath, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use gofleet_agent::{AgentConfig, EDGE_PATIENCE};
use gofleet_api::download::Patience;
use gofleet_api::{
    EdgeOffer, EnrolResponse, IssuedCertificate, Way, WayKind, WayStep, WaysAnswer, WaysRequest,
};
use gofleet_core::artifact::ArtifactKind;
use gofleet_core::bandwidth::Bandwidth;
use gofleet_core::digest::Digest;
use gofleet_core::manifest::Manifest;
use gofleet_core::order::{Failure, Order, Report, Step, Want};
use gofleet_core::release::ReleaseRef;
use gofleet_core::time::{Span, Timestamp};
use gofleet_depot::{Depot, LoadedFiles, Source, archive, delta, pack};
use gofleet_testkit::archive::{small_go, zip};
use tempfile::TempDir;
use tokio::sync::watch;

const DEADLINE: Duration = Duration::from_secs(60);
/// Long enough for distribution points that are well, which answer at once.
const EDGE_TEST_PATIENCE: Patience = Patience {
    first_pause: Duration::from_millis(1),
    stall: Duration::from_secs(2),
    ..EDGE_PATIENCE
};

/// What is answered to who asks for an artifact.
#[derive(Debug, Clone)]
enum Answer {
    Whole(Bytes),
    /// Half of it; then the connection breaks, and nobody answers any more.
    Dies(Bytes),
    /// A byte, and again one: it would take hours.
    Drips(Bytes),
    Silence,
}

/// A server or a distribution point.
#[derive(Clone, Default)]
struct Host(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    artifacts: HashMap<Digest, Answer>,
    ways: Option<WaysAnswer>,
    order: Option<Order>,
    manifest: Option<Manifest>,
    asked: Vec<WaysRequest>,
    reports: Vec<Report>,
    fetched: Vec<Digest>,
    news: watch::Sender<u64>,
}

impl Host {
    async fn listen(&self) -> String {
        let router = Router::new()
            .route("/api/v1/enrol", post(enrol))
            .route("/api/v1/agent/order", get(order))
            .route("/api/v1/agent/report", post(report))
            .route("/api/v1/agent/ways", post(ways))
            .route("/api/v1/agent/releases/{id}/manifest", get(manifest))
            .route("/api/v1/artifacts/{sha256}", get(artifact))
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    fn script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    fn set(&self, sha256: Digest, answer: Answer) {
        self.script(|script| script.artifacts.insert(sha256, answer));
    }

    fn remove(&self, sha256: Digest) {
        self.script(|script| script.artifacts.remove(&sha256));
    }
}

/// Over plain HTTP nobody looks at it.
fn issued() -> IssuedCertificate {
    // The year 2223.
    let late = Timestamp::from_millis(8_000_000_000_000);
    IssuedCertificate { certificate: "none".to_owned(), renew_at: late, expires_at: late }
}

async fn enrol() -> Json<EnrolResponse> {
    let device = "device-1".parse().unwrap();
    Json(EnrolResponse { device, issued: issued() })
}

async fn order(State(host): State<Host>) -> Response {
    let mut news = host.script(|script| script.news.subscribe());
    loop {
        if let Some(order) = host.script(|script| script.order.take()) {
            return Json(order).into_response();
        }
        news.changed().await.unwrap();
    }
}

async fn report(State(host): State<Host>, Json(report): Json<Report>) -> StatusCode {
    host.script(|script| {
        script.reports.push(report);
        script.news.send_modify(|count| *count += 1);
    });
    StatusCode::NO_CONTENT
}

async fn ways(State(host): State<Host>, Json(request): Json<WaysRequest>) -> Response {
    let answer = host.script(|script| {
        script.asked.push(request);
        script.ways.clone()
    });
    answer.map_or(StatusCode::NOT_FOUND.into_response(), |answer| Json(answer).into_response())
}

async fn manifest(State(host): State<Host>) -> Json<Manifest> {
    Json(host.script(|script| script.manifest.clone().unwrap()))
}

async fn artifact(
    State(host): State<Host>,
    UrlPath(sha256): UrlPath<Digest>,
    request: Request,
) -> Response {
    let answer = host.script(|script| {
        script.fetched.push(sha256);
        script.artifacts.get(&sha256).cloned()
    });
    match answer {
        None => StatusCode::NOT_FOUND.into_response(),
        Some(Answer::Silence) => std::future::pending().await,
        Some(Answer::Drips(content)) => {
            let headers = [(header::CONTENT_LENGTH, content.len())];
            let drops = futures_util::stream::unfold(0, move |start| {
                let drop = content.slice(start..start + 1);
                async move {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    Some((Ok::<_, std::io::Error>(drop), start + 1))
                }
            });
            (headers, Body::from_stream(drops)).into_response()
        }
        Some(Answer::Whole(content)) => {
            let range = request.headers().get(header::RANGE).map(|range| range.to_str().unwrap());
            let Some(range) = range else { return content.into_response() };
            let start: usize =
                range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
            let (size, rest) = (content.len(), content.slice(start..));
            let headers = [(header::CONTENT_RANGE, format!("bytes {start}-{}/{size}", size - 1))];
            (StatusCode::PARTIAL_CONTENT, headers, rest).into_response()
        }
        Some(Answer::Dies(content)) => {
            host.set(sha256, Answer::Silence);
            let half = content.slice(..content.len() / 2);
            let (sender, receiver) = tokio::sync::mpsc::channel(1);
            tokio::spawn(async move {
                let _either_way = sender.send(Ok(half)).await;
                // Else it would take what it has just sent into its grave.
                tokio::time::sleep(Duration::from_millis(100)).await;
                let _either_way = sender.send(Err(std::io::Error::other("dies here"))).await;
            });
            let stream = futures_util::stream::unfold(receiver, async |mut receiver| {
                receiver.recv().await.map(|item| (item, receiver))
            });
            let headers = [(header::CONTENT_LENGTH, content.len())];
            (headers, Body::from_stream(stream)).into_response()
        }
    }
}

/// One release, and what there is of it.
struct Release {
    reference: ReleaseRef,
    manifest: Manifest,
    archive: PathBuf,
}

/// A device with 1.27.2 that is ordered to have 1.27.3, and everything that leads there.
struct Bed {
    folder: TempDir,
    old: Release,
    new: Release,
    server: Host,
    url: String,
    edge: Host,
    edge_url: String,
    limit: Bandwidth,
    edge_patience: Patience,
    notifier: String,
}

/// Where a device ended.
#[derive(Debug)]
struct Outcome {
    kind: WayKind,
    given_up: Vec<(WayKind, String)>,
    bytes: u64,
    edge_bytes: u64,
}

fn release(folder: &Path, version: &str) -> Release {
    let mut files = small_go(version);
    let mut state = 1_u64;
    for n in 0..60 {
        let word = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            format!("{:08x} ", state >> 32)
        };
        let text: String = (0..300).map(word).collect();
        files.push((format!("go/src/text/{n}.go"), text.into_bytes(), 0o100_644));
    }
    files.push(("go/src/new.go".into(), format!("package {version}").into(), 0o100_644));
    let path = folder.join(format!("{version}.zip"));
    std::fs::write(&path, zip(&files)).unwrap();
    let inspected = archive::inspect(&path).unwrap();
    Release { reference: inspected.release(), manifest: inspected.manifest, archive: path }
}

/// Gives the device an order for a release, with this generation.
fn order_release(server: &Host, generation: u64, release: &Release) {
    server.script(|script| {
        script.manifest = Some(release.manifest.clone());
        script.order = Some(Order {
            device: "device-1".parse().unwrap(),
            epoch: 1,
            generation,
            issued_at: Timestamp::from_millis(0),
            rollout: "r1".parse().unwrap(),
            want: Want::Activate {
                release: release.reference.clone(),
                soak: Span::ZERO,
                window: None,
            },
        });
        script.news.send_modify(|count| *count += 1);
    });
}

impl Bed {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (release(folder.path(), "1.27.2"), release(folder.path(), "1.27.3"));
        let depot = Depot::open(folder.path().join("root")).unwrap();
        let source = Source::Archive(&old.archive);
        depot.stage(&old.reference, &old.manifest, source, &()).unwrap();
        depot.activate(&old.reference.id).unwrap();
        drop(depot);
        let (server, edge) = (Host::default(), Host::default());
        let (url, edge_url) = (server.listen().await, edge.listen().await);
        order_release(&server, 1, &new);
        let limit = Bandwidth::UNLIMITED;
        let edge_patience = EDGE_TEST_PATIENCE;
        let notifier = "none".to_owned();
        Self { folder, old, new, server, url, edge, edge_url, limit, edge_patience, notifier }
    }

    /// Serves a file and tells the step that takes it.
    fn step(
        &self,
        kind: ArtifactKind,
        path: &Path,
        base: Option<Digest>,
        makes: Digest,
    ) -> WayStep {
        let content = Bytes::from(std::fs::read(path).unwrap());
        let (sha256, bytes) = (Digest::of(&content), content.len() as u64);
        self.server.set(sha256, Answer::Whole(content));
        WayStep { kind, sha256, bytes, base, makes }
    }

    fn archive(&self) -> WayStep {
        let makes = self.new.reference.manifest;
        self.step(ArtifactKind::Archive, &self.new.archive, None, makes)
    }

    fn pack(&self) -> WayStep {
        let path = self.folder.path().join("pack");
        pack::make(&self.new.archive, &self.new.manifest, &path).unwrap();
        self.step(ArtifactKind::Pack, &path, None, self.new.reference.manifest)
    }

    fn delta(&self) -> WayStep {
        self.delta_between(&self.old, &self.new)
    }

    fn delta_between(&self, from: &Release, to: &Release) -> WayStep {
        let load = |release: &Release, other: &Manifest| {
            let manifest = release.manifest.clone();
            LoadedFiles::from_archive(&release.archive, manifest, Some(other)).unwrap()
        };
        let path = self.folder.path().join("delta");
        delta::make(&load(from, &to.manifest), &load(to, &from.manifest), &path).unwrap();
        let (base, makes) = (from.reference.manifest, to.reference.manifest);
        self.step(ArtifactKind::Delta, &path, Some(base), makes)
    }

    /// What the server answers: each way with its steps.
    fn offer(&self, ways: &[(WayKind, &[WayStep])], with_edge: bool) {
        let way = |(kind, steps): &(WayKind, &[WayStep])| Way {
            kind: *kind,
            steps: steps.to_vec(),
            bytes: steps.iter().map(|step| step.bytes).sum(),
            processor: Span::ZERO,
        };
        let edge = EdgeOffer { name: "cache".to_owned(), url: self.edge_url.clone() };
        let edges = with_edge.then_some(edge).into_iter().collect();
        let answer = WaysAnswer { ways: ways.iter().map(way).collect(), edges };
        self.server.script(|script| script.ways = Some(answer));
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// What a report says, once one says what is asked for.
    async fn reported<T>(&self, mut until: impl FnMut(&Report) -> Option<T>) -> T {
        let mut news = self.server.script(|script| script.news.subscribe());
        let mut found = None;
        let is_there = news.wait_for(|_| {
            found = self.server.script(|script| script.reports.iter().find_map(&mut until));
            found.is_some()
        });
        let waited = tokio::time::timeout(DEADLINE, is_there).await;
        drop(waited.expect("in time").expect("it serves"));
        found.unwrap()
    }

    /// Runs the agent until a report says what is asked for.
    async fn run<T>(&self, until: impl FnMut(&Report) -> Option<T>) -> T {
        self.run_during(self.reported(until)).await
    }

    /// Runs the agent for as long as this takes.
    async fn run_during<T>(&self, during: impl Future<Output = T>) -> T {
        let mut found = None;
        let shutdown = async { found = Some(during.await) };
        let config = AgentConfig {
            server: self.url.clone(),
            token: Some("token".to_owned()),
            root: self.root(),
            hostname: None,
            labels: BTreeMap::new(),
            edges: Vec::new(),
            edge_patience: self.edge_patience,
            limit: self.limit.clone(),
            signals_every: Span::from_secs(60),
            signal_files: Vec::new(),
            signal_command: None,
            check_cache: None,
            notify_command: Some(self.notifier.clone()),
            shim: None,
            settings: None,
        };
        gofleet_agent::run(config, shutdown).await.unwrap();
        found.unwrap()
    }

    /// Runs the agent until the release is staged; the tree is then as it should be.
    async fn staged(&self) -> Outcome {
        let outcome = self
            .run(|report| {
                let progress = report.progress.as_ref()?;
                let way = progress.way.clone()?;
                let given_up = way.given_up.into_iter().map(|it| (it.kind, it.reason)).collect();
                let (kind, edge_bytes) = (way.kind, way.edge_bytes);
                Some(Outcome { kind, given_up, bytes: progress.bytes_downloaded, edge_bytes })
            })
            .await;
        let depot = gofleet_depot::Root::new(self.root());
        depot.verify(&self.new.reference.id, &()).unwrap();
        let installed = depot.installed().unwrap();
        let stones = installed.iter().filter(|id| id.as_str().starts_with("step."));
        assert_eq!(stones.count(), 0, "{installed:?}");
        outcome
    }

    /// Runs the agent until it says that it failed.
    async fn failed(&self) -> Failure {
        self.run(|report| report.progress.as_ref()?.failure.clone()).await
    }
}

#[tokio::test]
async fn a_delta_brings_the_release_and_nothing_else_is_fetched() {
    let bed = Bed::new().await;
    let (delta, pack, archive) = (bed.delta(), bed.pack(), bed.archive());
    let ways = [
        (WayKind::Delta, std::slice::from_ref(&delta)),
        (WayKind::Pack, std::slice::from_ref(&pack)),
        (WayKind::Archive, std::slice::from_ref(&archive)),
    ];
    bed.offer(&ways, false);
    let outcome = bed.staged().await;
    assert_eq!((outcome.kind, outcome.bytes), (WayKind::Delta, delta.bytes));
    assert!(outcome.given_up.is_empty(), "{outcome:?}");
    assert!(delta.bytes * 10 < pack.bytes && pack.bytes < archive.bytes);
    let asked = bed.server.script(|script| script.asked.clone());
    assert_eq!(asked[0].holds, [bed.old.reference.manifest]);
}

#[tokio::test]
async fn without_any_ways_the_archive_is_taken_with_its_manifest_counted() {
    let bed = Bed::new().await;
    let archive = bed.archive();
    let outcome = bed.staged().await;
    assert_eq!(outcome.kind, WayKind::Archive);
    let manifest = serde_json::to_vec(&bed.new.manifest).unwrap().len() as u64;
    assert_eq!(outcome.bytes, archive.bytes + manifest);
}

#[tokio::test]
async fn a_chain_leaves_nothing_of_its_middle() {
    let bed = Bed::new().await;
    let middle = release(bed.folder.path(), "1.27.25");
    let steps = [bed.delta_between(&bed.old, &middle), bed.delta_between(&middle, &bed.new)];
    bed.offer(&[(WayKind::Chain, &steps)], false);
    let outcome = bed.staged().await;
    assert_eq!((outcome.kind, outcome.bytes), (WayKind::Chain, steps[0].bytes + steps[1].bytes));
}

/// Checks that the delta leads nowhere for a reason, and the pack is taken.
async fn check_falls_back(bed: &Bed, delta: &WayStep, reason: &str) {
    let pack = bed.pack();
    bed.offer(&[(WayKind::Delta, std::slice::from_ref(delta)), (WayKind::Pack, &[pack])], false);
    let outcome = bed.staged().await;
    assert_eq!(outcome.kind, WayKind::Pack);
    let [(WayKind::Delta, told)] = outcome.given_up.as_slice() else { panic!("{outcome:?}") };
    assert!(told.contains(reason), "{told}");
}

#[tokio::test]
async fn a_base_that_was_tampered_with_leads_to_the_pack() {
    let bed = Bed::new().await;
    let path = bed.root().join("releases").join(bed.old.reference.id.as_str()).join("src/new.go");
    let mut permissions = std::fs::metadata(&path).unwrap().permissions();
    #[expect(clippy::permissions_set_readonly_false, reason = "what somebody does by hand")]
    permissions.set_readonly(false);
    std::fs::set_permissions(&path, permissions).unwrap();
    std::fs::write(&path, "package evil!!").unwrap();
    let delta = bed.delta();
    check_falls_back(&bed, &delta, "`src/new.go`").await;
}

#[tokio::test]
async fn a_codec_that_is_not_known_leads_to_the_pack() {
    let bed = Bed::new().await;
    let path = bed.folder.path().join("delta");
    bed.delta();
    let mut content = std::fs::read(&path).unwrap();
    // The version stands behind the eight bytes of the magic.
    content[8] = 99;
    std::fs::write(&path, content).unwrap();
    let (base, makes) = (bed.old.reference.manifest, bed.new.reference.manifest);
    let delta = bed.step(ArtifactKind::Delta, &path, Some(base), makes);
    check_falls_back(&bed, &delta, "version 99, which this program does not know").await;
}

#[tokio::test]
async fn a_truncated_delta_leads_to_the_pack() {
    let bed = Bed::new().await;
    let path = bed.folder.path().join("delta");
    let whole = bed.delta();
    let content = std::fs::read(&path).unwrap();
    // Cut off before it got its digest: it is what the server says, and yet of no use.
    std::fs::write(&path, &content[..content.len() - 3]).unwrap();
    let delta = bed.step(ArtifactKind::Delta, &path, whole.base, whole.makes);
    check_falls_back(&bed, &delta, "it is cut short").await;
}

#[tokio::test]
async fn a_delta_cut_on_the_servers_disk_leads_to_the_pack() {
    let bed = Bed::new().await;
    let delta = bed.delta();
    bed.server.set(delta.sha256, Answer::Whole(Bytes::from_static(b"cut")));
    check_falls_back(&bed, &delta, "another size").await;
}

#[tokio::test]
async fn a_delta_missing_at_the_server_leads_to_the_pack() {
    let bed = Bed::new().await;
    let delta = bed.delta();
    bed.server.remove(delta.sha256);
    check_falls_back(&bed, &delta, "404").await;
}

#[tokio::test]
async fn a_delta_from_what_is_not_here_leads_to_the_pack() {
    let bed = Bed::new().await;
    let other = release(bed.folder.path(), "1.27.0");
    let delta = bed.delta_between(&other, &bed.new);
    check_falls_back(&bed, &delta, "is not here").await;
}

#[tokio::test]
async fn a_pack_of_another_release_is_no_way_and_the_last_one_says_why() {
    let bed = Bed::new().await;
    let path = bed.folder.path().join("other");
    pack::make(&bed.old.archive, &bed.old.manifest, &path).unwrap();
    let makes = bed.new.reference.manifest;
    let foreign = bed.step(ArtifactKind::Pack, &path, None, makes);
    bed.offer(&[(WayKind::Pack, &[foreign])], false);
    let failure = bed.failed().await;
    let expected = format!("ordered was {}", bed.new.reference.manifest);
    assert!(failure.message.contains(&expected), "{}", failure.message);
    assert_eq!(failure.step, Step::Fetching);
}

/// Checks what comes from a distribution point with this answer for the delta.
async fn check_edge(answer: impl FnOnce(Bytes) -> Option<Answer>, is_used: bool) -> Outcome {
    let bed = Bed::new().await;
    let delta = bed.delta();
    let content = Bytes::from(std::fs::read(bed.folder.path().join("delta")).unwrap());
    if let Some(answer) = answer(content) {
        bed.edge.set(delta.sha256, answer);
    }
    bed.offer(&[(WayKind::Delta, std::slice::from_ref(&delta))], true);
    let outcome = bed.staged().await;
    assert_eq!(outcome.kind, WayKind::Delta, "{outcome:?}");
    assert!(outcome.given_up.is_empty(), "the server has it: {outcome:?}");
    assert_eq!(outcome.edge_bytes == delta.bytes, is_used, "{outcome:?}");
    assert!(outcome.bytes >= delta.bytes);
    outcome
}

#[tokio::test]
async fn a_distribution_point_is_asked_first() {
    let outcome = check_edge(|content| Some(Answer::Whole(content)), true).await;
    assert_eq!(outcome.bytes, outcome.edge_bytes);
}

#[tokio::test]
async fn one_that_has_it_not_is_passed_over() {
    let outcome = check_edge(|_| None, false).await;
    assert_eq!(outcome.edge_bytes, 0);
}

#[tokio::test]
async fn one_with_foreign_bytes_is_passed_over_and_they_are_counted() {
    let foreign = |content: Bytes| Answer::Whole(vec![7; content.len()].into());
    let bed_bytes = check_edge(|content| Some(foreign(content)), true).await;
    assert_eq!(bed_bytes.bytes, 2 * bed_bytes.edge_bytes, "theirs and the right ones");
}

#[tokio::test]
async fn one_with_stale_bytes_of_another_size_is_passed_over() {
    let stale = |_| Some(Answer::Whole(Bytes::from_static(b"an older file")));
    check_edge(stale, false).await;
}

#[tokio::test]
async fn one_that_dies_in_the_middle_is_gone_on_from() {
    let outcome = check_edge(|content| Some(Answer::Dies(content)), false).await;
    assert!(outcome.edge_bytes > 0, "{outcome:?}");
    assert!(outcome.bytes < outcome.edge_bytes * 3, "only the rest comes from the server");
}

/// Checks that a distribution point which answers so is given up after its two attempts, and is
/// not asked again when the next order comes.
async fn check_slow_edge(answer: impl Fn(Bytes) -> Answer) {
    let mut bed = Bed::new().await;
    bed.edge_patience.stall = Duration::from_millis(300);
    let next = release(bed.folder.path(), "1.27.4");
    // The second is a pack, since it is not sure from which release the device begins.
    let delta = bed.delta();
    let path = bed.folder.path().join("next");
    pack::make(&next.archive, &next.manifest, &path).unwrap();
    let pack = bed.step(ArtifactKind::Pack, &path, None, next.reference.manifest);
    for step in [&delta, &pack] {
        let Answer::Whole(content) = bed.server.script(|it| it.artifacts[&step.sha256].clone())
        else {
            unreachable!("the server is well")
        };
        bed.edge.set(step.sha256, answer(content));
    }
    bed.offer(&[(WayKind::Delta, std::slice::from_ref(&delta))], true);
    let way_of = |report: &Report, kind| {
        let way = report.progress.as_ref()?.way.clone()?;
        (way.kind == kind).then_some(way)
    };
    let fetched_from_edge = || bed.edge.script(|script| script.fetched.clone());
    let (first, second) = bed
        .run_during(async {
            let first = bed.reported(|report| way_of(report, WayKind::Delta)).await;
            bed.offer(&[(WayKind::Pack, std::slice::from_ref(&pack))], true);
            order_release(&bed.server, 2, &next);
            (first, bed.reported(|report| way_of(report, WayKind::Pack)).await)
        })
        .await;
    assert!(first.given_up.is_empty() && second.given_up.is_empty(), "the server has both");
    assert_eq!(second.edge_bytes, 0, "{second:?}");
    let attempts = usize::try_from(EDGE_PATIENCE.attempts).unwrap();
    assert_eq!(fetched_from_edge(), vec![delta.sha256; attempts], "both for the first order");
}

#[tokio::test]
async fn a_distribution_point_that_hangs_is_given_up_and_left_alone_for_a_while() {
    check_slow_edge(|_| Answer::Silence).await;
}

#[tokio::test]
async fn one_that_drips_is_given_up_and_left_alone_for_a_while() {
    check_slow_edge(Answer::Drips).await;
}

#[tokio::test]
async fn a_limit_slows_it_down() {
    let mut bed = Bed::new().await;
    let pack = bed.pack();
    // Two seconds' worth.
    bed.limit = format!("{} B/s", (pack.bytes / 2).max(1000)).parse().unwrap();
    bed.offer(&[(WayKind::Pack, std::slice::from_ref(&pack))], false);
    let began = std::time::Instant::now();
    let outcome = bed.staged().await;
    assert_eq!(outcome.bytes, pack.bytes);
    assert!(began.elapsed() > Duration::from_millis(1500), "{:?}", began.elapsed());
}
