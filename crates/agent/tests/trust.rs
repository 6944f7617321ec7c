//! A server in the hands of a thief: all of its keys, its database, its name. What approvers have
//! not signed, the agent does not fetch, and so can't run; each attempt is refused by name.
#![expect(clippy::unwrap_used, reason = "these are tests")]

#[path = "../../trust/tests/client/support.rs"]
#[expect(dead_code, reason = "others use the rest")]
mod repository;

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use gofleet_agent::{AgentConfig, AgentError};
use gofleet_api::{
    EnrolRequest, EnrolResponse, IssuedCertificate, Problem, ProblemCode, SealedOrder,
};
use gofleet_core::bandwidth::Bandwidth;
use gofleet_core::dependency::Dependencies;
use gofleet_core::digest::Digest;
use gofleet_core::offer::{Offer, Postpone, Publish};
use gofleet_core::order::{Failure, FailureKind, Order, Report, Want};
use gofleet_core::release::ReleaseRef;
use gofleet_core::time::{Span, Timestamp};
use gofleet_trust::approval::{self, Install};
use gofleet_trust::{SecretKey, Store, author, seal};
use repository::{DAY, Repository, release};
use tempfile::TempDir;
use tokio::sync::watch;

const DEADLINE: Duration = Duration::from_secs(60);

/// What the server answers, and what it was asked.
#[derive(Default)]
struct Script {
    order: Option<SealedOrder>,
    files: BTreeMap<String, Vec<u8>>,
    /// Questions for any order at all: the second one says that the first answer was refused.
    anew: u64,
    /// How the order that was given failed.
    failure: Option<Failure>,
}

type Shared = State<(Arc<Mutex<Script>>, watch::Sender<u64>)>;

/// The server, all keys of the repository, and a device that has pinned its first root.
struct Theft {
    repository: Repository,
    script: Arc<Mutex<Script>>,
    bell: watch::Sender<u64>,
    address: String,
    folder: TempDir,
    good: ReleaseRef,
}

/// What came of an order.
#[derive(Debug)]
enum Outcome {
    /// It was not even taken up.
    NotTaken,
    /// It was taken up, and failed like this.
    Failed(Failure),
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(since.as_millis() as i64)
}

impl Theft {
    async fn start() -> Self {
        let mut repository = Repository::at(now());
        let (good, manifest) = release("1.27.3", "good");
        repository.approve(&good, &manifest);
        let folder = tempfile::tempdir().unwrap();
        Store::of_agent(&folder.path().join("agent")).pin(&repository.root_bytes(1)).unwrap();
        let (script, bell) = (Arc::new(Mutex::new(Script::default())), watch::Sender::new(0));
        let router = Router::new()
            .route("/api/v1/enrol", post(enrol))
            .route("/api/v1/agent/order", get(order))
            .route("/api/v1/agent/report", post(report))
            .route("/api/v1/agent/ways", post(async || problem()))
            .route("/api/v1/trust/metadata/{name}", get(metadata))
            .with_state((Arc::clone(&script), bell.clone()));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { repository, script, bell, address, folder, good }
    }

    fn order(&self, release: &ReleaseRef, generation: u64) -> Order {
        Order {
            device: "device-1".parse().unwrap(),
            epoch: 1,
            generation,
            issued_at: now(),
            rollout: "r-1".parse().unwrap(),
            want: Want::Activate { release: release.clone(), soak: Span::ZERO, window: None },
        }
    }

    /// The order with the server's own seal.
    fn sealed(&self, order: Order) -> SealedOrder {
        let seal = seal(&self.repository.orders, &order, now() + DAY);
        SealedOrder { order, seal: Some(seal) }
    }

    /// Gives this order to the device, until something has come of it.
    async fn give(&self, answer: SealedOrder) -> Outcome {
        {
            let mut script = self.script.lock().unwrap();
            let files = self.repository.files.borrow().clone();
            *script = Script { order: Some(answer), files, ..Script::default() };
        }
        let script = Arc::clone(&self.script);
        let mut bell = self.bell.subscribe();
        let shutdown = async {
            let is_over = bell.wait_for(|_| {
                let script = script.lock().unwrap();
                script.anew > 1 || script.failure.is_some()
            });
            tokio::time::timeout(DEADLINE, is_over).await.expect("in time").expect("it serves");
        };
        self.run(None, shutdown).await.unwrap();
        let script = self.script.lock().unwrap();
        match &script.failure {
            Some(failure) => Outcome::Failed(failure.clone()),
            None => Outcome::NotTaken,
        }
    }

    async fn run(
        &self,
        token: Option<&str>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), AgentError> {
        let config = AgentConfig {
            server: self.address.clone(),
            token: Some(token.unwrap_or("gfenrol_00").to_owned()),
            root: self.folder.path().to_owned(),
            hostname: Some("victim".to_owned()),
            labels: BTreeMap::new(),
            edges: Vec::new(),
            edge_patience: gofleet_agent::EDGE_PATIENCE,
            limit: Bandwidth::UNLIMITED,
            signals_every: Span::from_secs(60),
            signal_files: Vec::new(),
            signal_command: None,
            check_cache: None,
            shim: None,
            settings: None,
            notify_command: None,
        };
        gofleet_agent::run(config, shutdown).await
    }

    /// The order is taken up, and fails like this.
    async fn fails(&self, answer: SealedOrder, kind: FailureKind, why: &str) {
        match self.give(answer).await {
            Outcome::Failed(failure) => {
                assert_eq!(failure.kind, kind, "{failure:?}");
                assert!(failure.message.contains(why), "{failure:?}");
            }
            Outcome::NotTaken => panic!("it was not taken up"),
        }
    }

    /// The order is not taken up.
    async fn is_not_taken(&self, answer: SealedOrder) {
        let outcome = self.give(answer).await;
        assert!(matches!(outcome, Outcome::NotTaken), "{outcome:?}");
    }

    /// It may be run: the agent goes as far as asking this server, which has no bytes.
    async fn is_allowed(&self, answer: SealedOrder) {
        self.fails(answer, FailureKind::Network, "cannot download the release").await;
    }

    /// A new snapshot and timestamp by the stolen key.
    fn sign_online(&mut self) {
        self.repository.publish_online();
    }
}

async fn enrol(State((..)): Shared, Json(_): Json<EnrolRequest>) -> Response {
    let late = Timestamp::from_millis(8_000_000_000_000);
    let issued =
        IssuedCertificate { certificate: "none".to_owned(), renew_at: late, expires_at: late };
    Json(EnrolResponse { device: "device-1".parse().unwrap(), issued }).into_response()
}

async fn order(
    State((script, bell)): Shared,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let answer = {
        let mut script = script.lock().unwrap();
        let after = query.get("after").map(|after| after.parse::<u64>().unwrap());
        script.anew += u64::from(after.is_none());
        script.order.clone().filter(|it| after.is_none_or(|after| it.order.generation > after))
    };
    bell.send_modify(|count| *count += 1);
    match answer {
        Some(answer) => Json(answer).into_response(),
        None => {
            let wait = query.get("wait").and_then(|wait| wait.parse().ok()).unwrap_or(0);
            tokio::time::sleep(Duration::from_secs(wait)).await;
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

async fn report(State((script, bell)): Shared, Json(report): Json<Report>) -> StatusCode {
    {
        let mut script = script.lock().unwrap();
        let given = script.order.as_ref().map(|it| it.order.generation);
        // What is still told of an earlier order says nothing of this one.
        let progress = report.progress.filter(|it| Some(it.generation) == given);
        if let Some(failure) = progress.and_then(|progress| progress.failure) {
            script.failure = Some(failure);
        }
    }
    bell.send_modify(|count| *count += 1);
    StatusCode::NO_CONTENT
}

async fn metadata(State((script, _)): Shared, Path(name): Path<String>) -> Response {
    let bytes = script.lock().unwrap().files.get(&name).cloned();
    bytes.map_or_else(problem, IntoResponse::into_response)
}

fn problem() -> Response {
    let body = Json(Problem::new(ProblemCode::NotFound, "no"));
    let kind = [("content-type", gofleet_api::problem::PROBLEM_JSON)];
    (StatusCode::NOT_FOUND, kind, body).into_response()
}

use FailureKind::{Unapproved, Untrusted};

#[tokio::test]
async fn what_both_have_signed_is_allowed() {
    let theft = Theft::start().await;
    theft.is_allowed(theft.sealed(theft.order(&theft.good, 1))).await;
}

#[tokio::test]
async fn an_owned_server_runs_no_other_files_and_no_other_release() {
    let theft = Theft::start().await;
    let (evil, _) = release("1.27.3", "evil");
    theft.fails(theft.sealed(theft.order(&evil, 1)), Unapproved, "with the manifest").await;
    let (unknown, _) = release("1.99.0", "good");
    let far = theft.order(&unknown, 1 << 50);
    theft.fails(theft.sealed(far), Unapproved, "no approver has signed").await;
    // An approved name and manifest for another platform's or version's release.
    let mut renamed = theft.good.clone();
    renamed.version = "1.99.0".to_owned();
    let renamed = theft.order(&renamed, (1 << 50) + 1);
    theft.fails(theft.sealed(renamed), Unapproved, "another release").await;
}

#[tokio::test]
async fn an_owned_server_offers_its_users_nothing_that_was_not_signed() {
    let theft = Theft::start().await;
    let (evil, _) = release("1.27.3", "evil");
    let hour = Span::from_secs(3600);
    let publish = Publish {
        deadline: hour,
        postpone: Postpone::default(),
        remind: hour,
        notice: String::new(),
        accept_opens_window: true,
    };
    let offer = |release: &ReleaseRef, generation| {
        let want = Want::Offer { release: release.clone(), offer: Offer::of(&publish, now()) };
        Order { want, ..theft.order(release, generation) }
    };
    theft.fails(theft.sealed(offer(&evil, 1)), Unapproved, "with the manifest").await;
    theft.is_allowed(theft.sealed(offer(&theft.good, 2))).await;
}

#[tokio::test]
async fn an_owned_server_runs_no_other_command_than_was_signed() {
    let mut theft = Theft::start().await;
    let (scripted, manifest) = release("1.27.4", "good");
    let install = Install { program: "setup".to_owned(), arguments: vec!["/quiet".to_owned()] };
    let target = approval::target(&scripted, &manifest, Some(install));
    theft.repository.releases.insert(approval::path(&scripted), target);
    theft.repository.publish_releases();
    theft.sign_online();
    theft.fails(theft.sealed(theft.order(&scripted, 1)), Unapproved, "another command").await;
}

#[tokio::test]
async fn a_device_runs_nothing_that_was_signed_to_ask_for_what_it_has_not() {
    let mut theft = Theft::start().await;
    let own = env!("CARGO_PKG_VERSION");
    let sign = |theft: &mut Theft, requires: String| {
        let (asking, manifest) = release("1.27.4", "good");
        let requires = vec![requires.parse().unwrap()];
        let asked = Dependencies { requires, conflicts: Vec::new() };
        let target = approval::target_asking(&asking, &manifest, None, asked);
        theft.repository.releases.insert(approval::path(&asking), target);
        theft.repository.publish_releases();
        theft.sign_online();
        asking
    };
    let asking = sign(&mut theft, "gofleet-agent>=99".to_owned());
    let words = "requires gofleet-agent>=99, and this device has";
    theft.fails(theft.sealed(theft.order(&asking, 1)), Unapproved, words).await;
    let asking = sign(&mut theft, format!("gofleet-agent>={own}"));
    theft.is_allowed(theft.sealed(theft.order(&asking, 2))).await;
}

#[tokio::test]
async fn an_order_that_is_not_sealed_for_this_device_is_not_taken_up() {
    let theft = Theft::start().await;
    let order = theft.order(&theft.good, 1);
    theft.is_not_taken(SealedOrder { order: order.clone(), seal: None }).await;
    // By other keys, the server's own for metadata among them.
    for key in [&SecretKey::generate(), &theft.repository.metadata] {
        let seal = Some(seal(key, &order, now() + DAY));
        theft.is_not_taken(SealedOrder { order: order.clone(), seal }).await;
    }
    // Another device's order, and its seal on an order for this one.
    let other = Order { device: "device-2".parse().unwrap(), ..order.clone() };
    let sealed = theft.sealed(other);
    theft.is_not_taken(sealed.clone()).await;
    theft.is_not_taken(SealedOrder { order: order.clone(), seal: sealed.seal }).await;
    // The seal of an earlier order on one that was changed.
    let seal_of_it = theft.sealed(order.clone()).seal;
    let changed = Order { generation: 9, ..order.clone() };
    theft.is_not_taken(SealedOrder { order: changed, seal: seal_of_it }).await;
    // One that was kept back until its time was over.
    let late = Some(seal(&theft.repository.orders, &order, now() - Span::from_secs(1)));
    theft.is_not_taken(SealedOrder { order: order.clone(), seal: late }).await;
    // None of them was counted: the first number is free still.
    theft.is_allowed(theft.sealed(order)).await;
}

#[tokio::test]
async fn an_owned_server_replays_no_order() {
    let theft = Theft::start().await;
    let old = theft.sealed(theft.order(&theft.good, 4));
    theft.is_allowed(theft.sealed(theft.order(&theft.good, 5))).await;
    theft.is_not_taken(old).await;
}

#[tokio::test]
async fn an_owned_server_brings_back_no_release_that_was_withdrawn() {
    let mut theft = Theft::start().await;
    let vulnerable = theft.good.clone();
    let old = theft.repository.files.borrow().clone();
    theft.is_allowed(theft.sealed(theft.order(&vulnerable, 1))).await;
    theft.repository.releases.clear();
    theft.repository.publish_releases();
    theft.sign_online();
    let withdrawn = theft.sealed(theft.order(&vulnerable, 2));
    theft.fails(withdrawn, Unapproved, "no approver has signed").await;
    // The metadata of before, as it was.
    let new = theft.repository.files.replace(old);
    let again = theft.sealed(theft.order(&vulnerable, 3));
    theft.fails(again, Untrusted, "is of version").await;
    // Mixed: the releases of before, in a snapshot and timestamp of today.
    theft.repository.files.replace(new);
    theft.repository.versions.insert("go".to_owned(), 2);
    theft.sign_online();
    let mixed = theft.sealed(theft.order(&vulnerable, 4));
    theft.fails(mixed, Untrusted, "the go metadata is of version 2, but version 3 was seen").await;
}

#[tokio::test]
async fn an_owned_server_cannot_sign_for_approvers_or_the_root() {
    let mut theft = Theft::start().await;
    let (evil, manifest) = release("1.27.9", "evil");
    theft
        .repository
        .releases
        .insert(approval::path(&evil), approval::target(&evil, &manifest, None));
    let Repository { metadata, orders, approvers, releases, .. } = &theft.repository;
    let go = author::releases(3, releases.clone(), now());
    // By all that a server has, and one approver who was talked into it.
    theft.repository.put("3.go.json", &go, &[metadata, orders, &approvers[0]]);
    theft.repository.versions.insert("go".to_owned(), 3);
    theft.sign_online();
    theft.fails(theft.sealed(theft.order(&evil, 1)), Untrusted, "not signed by enough").await;
    // A root of its own, in which it is the approver.
    let mut constitution = theft.repository.constitution();
    constitution.approvers.keys = vec![theft.repository.metadata.public()];
    let root = constitution.root(2, now());
    let Repository { metadata, orders, .. } = &theft.repository;
    theft.repository.put("2.root.json", &root, &[metadata, orders]);
    theft
        .fails(theft.sealed(theft.order(&evil, 2)), Untrusted, "root metadata is not signed")
        .await;
}

#[tokio::test]
async fn frozen_and_missing_metadata_is_refused() {
    let theft = Theft::start().await;
    let repository = &theft.repository;
    let versions = (repository.online + 1, repository.online);
    let frozen = author::timestamp(versions.0, versions.1, now() - author::ONLINE_LIFETIME);
    repository.put("timestamp.json", &frozen, &[&repository.metadata]);
    theft.fails(theft.sealed(theft.order(&theft.good, 1)), Untrusted, "has expired on").await;
    repository.files.borrow_mut().clear();
    theft.fails(theft.sealed(theft.order(&theft.good, 2)), Untrusted, "no metadata").await;
}

#[tokio::test]
async fn a_server_pins_no_other_root_and_unpins_none() {
    let theft = Theft::start().await;
    let own = Repository::at(now());
    let token = format!("gfenrol_00_.{}", Digest::of(&own.root_bytes(1)));
    let mut bell = theft.bell.subscribe();
    let enrolled = async { bell.changed().await.expect("it serves") };
    theft.run(Some(&token), enrolled).await.unwrap();
    let trusted = store(theft.folder.path()).open(now()).unwrap();
    assert_eq!(trusted.floor().pin, Digest::of(&theft.repository.root_bytes(1)));
    // Nor is anything run where the store was damaged.
    let floor = theft.folder.path().join("agent").join("trust").join("floor.json");
    std::fs::write(floor, "{").unwrap();
    theft.is_not_taken(theft.sealed(theft.order(&theft.good, 1))).await;
}

#[tokio::test]
async fn a_token_pins_the_root_that_it_tells_of_and_no_other() {
    let theft = Theft::start().await;
    std::fs::remove_dir_all(theft.folder.path().join("agent")).unwrap();
    let digest = Digest::of(&theft.repository.root_bytes(1));
    let token = format!("gfenrol_00_.{digest}");
    let name = format!("{digest}.root.json");
    let put = |bytes| theft.script.lock().unwrap().files.insert(name.clone(), bytes);
    put(Repository::at(now()).root_bytes(1));
    let other = theft.run(Some(&token), std::future::pending()).await;
    assert!(matches!(other, Err(AgentError::OtherRoot { .. })), "{other:?}");
    assert!(!store(theft.folder.path()).is_pinned().unwrap());
    put(theft.repository.root_bytes(1));
    let mut bell = theft.bell.subscribe();
    theft.run(Some(&token), async { bell.changed().await.expect("it serves") }).await.unwrap();
    assert_eq!(store(theft.folder.path()).open(now()).unwrap().floor().pin, digest);
}

fn store(root: &FilePath) -> Store {
    Store::of_agent(&root.join("agent"))
}
