//! The agent against a server that answers by a script: orders that may not be obeyed, reports
//! that are not taken at once, a credential that is refused. No Go is needed for these.
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use gofleet_agent::{AgentConfig, AgentError};
use gofleet_api::{EnrolRequest, EnrolResponse, IssuedCertificate, Problem, ProblemCode};
use gofleet_core::bandwidth::Bandwidth;
use gofleet_core::order::{Order, Progress, Report, Step, Want};
use gofleet_core::time::{Span, Timestamp};
use tokio::sync::watch;

const DEADLINE: Duration = Duration::from_secs(60);

/// What the server is asked and what it answers.
#[derive(Default)]
struct Script {
    /// What the next questions for orders are answered with; nothing when it is empty.
    orders: VecDeque<Order>,
    /// The next reports are answered with these; "taken" when it is empty.
    answers: VecDeque<ProblemCode>,
    /// What every question for orders is answered with, if set.
    refusal: Option<ProblemCode>,
    enrolled: Vec<String>,
    reports: Vec<Report>,
}

/// A server, and a bell that rings with each question.
struct Server {
    script: Arc<Mutex<Script>>,
    asked: watch::Sender<u64>,
    address: String,
}

type Shared = State<(Arc<Mutex<Script>>, watch::Sender<u64>)>;

impl Server {
    async fn start(orders: impl IntoIterator<Item = Order>) -> Self {
        let script = Script { orders: orders.into_iter().collect(), ..Script::default() };
        let script = Arc::new(Mutex::new(script));
        let asked = watch::Sender::new(0);
        let router = Router::new()
            .route("/api/v1/enrol", post(enrol))
            .route("/api/v1/agent/order", get(order))
            .route("/api/v1/agent/report", post(report))
            .with_state((script.clone(), asked.clone()));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { script, asked, address }
    }

    fn config(&self, root: &Path, token: Option<&str>) -> AgentConfig {
        AgentConfig {
            server: self.address.clone(),
            token: token.map(str::to_owned),
            root: root.to_owned(),
            hostname: Some("scripted".to_owned()),
            labels: BTreeMap::new(),
            edges: Vec::new(),
            edge_patience: gofleet_agent::EDGE_PATIENCE,
            limit: Bandwidth::UNLIMITED,
            signals_every: Span::from_secs(60),
            signal_files: Vec::new(),
            signal_command: None,
            check_cache: None,
            notify_command: None,
            shim: None,
            settings: None,
        }
    }

    /// Runs an agent until the script has come to a state.
    async fn serve(
        &self,
        root: &Path,
        token: Option<&str>,
        mut until: impl FnMut(&Script) -> bool,
    ) -> Result<(), AgentError> {
        let mut asked = self.asked.subscribe();
        let shutdown = async {
            let state = asked.wait_for(|_| until(&self.script.lock().unwrap()));
            tokio::time::timeout(DEADLINE, state).await.expect("in time").expect("it serves");
        };
        gofleet_agent::run(self.config(root, token), shutdown).await
    }

    /// What was reported about orders.
    fn told(&self) -> Vec<(u64, u64, Step)> {
        let script = self.script.lock().unwrap();
        let progress = script.reports.iter().filter_map(|report| report.progress.as_ref());
        progress
            .map(|Progress { generation, sequence, step, .. }| (*generation, *sequence, *step))
            .collect()
    }
}

/// Over plain HTTP nobody looks at it.
fn issued() -> IssuedCertificate {
    // The year 2223.
    let late = Timestamp::from_millis(8_000_000_000_000);
    IssuedCertificate { certificate: "none".to_owned(), renew_at: late, expires_at: late }
}

async fn enrol(State((script, _)): Shared, Json(request): Json<EnrolRequest>) -> Response {
    let mut script = script.lock().unwrap();
    if script.enrolled.contains(&request.token) {
        return problem(ProblemCode::TokenUsed);
    }
    script.enrolled.push(request.token);
    let device = "device-1".parse().unwrap();
    Json(EnrolResponse { device, issued: issued() }).into_response()
}

async fn order(
    State((script, asked)): Shared,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let answer = {
        let mut script = script.lock().unwrap();
        script
            .refusal
            .map(problem)
            .or_else(|| script.orders.pop_front().map(|order| Json(order).into_response()))
    };
    asked.send_modify(|count| *count += 1);
    match answer {
        Some(answer) => answer,
        None => {
            // Held open until there is something, like the real one.
            let wait = query.get("wait").and_then(|wait| wait.parse().ok()).unwrap_or(0);
            tokio::time::sleep(Duration::from_secs(wait)).await;
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

async fn report(State((script, asked)): Shared, Json(report): Json<Report>) -> Response {
    let answer = {
        let mut script = script.lock().unwrap();
        script.reports.push(report);
        script.answers.pop_front()
    };
    asked.send_modify(|count| *count += 1);
    answer.map_or_else(|| StatusCode::NO_CONTENT.into_response(), problem)
}

fn problem(code: ProblemCode) -> Response {
    let status = StatusCode::from_u16(code.status()).unwrap();
    let headers = [("content-type", "application/problem+json")];
    (status, headers, serde_json::to_string(&Problem::new(code, "as scripted")).unwrap())
        .into_response()
}

fn order_of(epoch: u64, generation: u64, want: Want) -> Order {
    Order {
        device: "device-1".parse().unwrap(),
        epoch,
        generation,
        issued_at: Timestamp::from_millis(0),
        rollout: "rollout-1".parse().unwrap(),
        want,
    }
}

fn has_told(script: &Script, generation: u64, step: Step) -> bool {
    let mut progress = script.reports.iter().filter_map(|report| report.progress.as_ref());
    progress.any(|progress| progress.generation == generation && progress.step == step)
}

#[tokio::test]
async fn orders_that_may_not_be_obeyed_change_nothing() {
    let root = tempfile::tempdir().unwrap();
    let foreign = Order { device: "device-2".parse().unwrap(), ..order_of(2, 9, Want::Hold) };
    let back = Want::Revert { release: None };
    let orders = [
        order_of(2, 5, Want::Hold),
        order_of(2, 4, back.clone()),
        order_of(2, 5, back.clone()),
        order_of(1, 8, back),
        foreign,
        order_of(2, 6, Want::Hold),
    ];
    let server = Server::start(orders).await;
    server
        .serve(root.path(), Some("token"), |script| has_told(script, 6, Step::Skipped))
        .await
        .unwrap();
    assert_eq!(server.told(), [(5, 1, Step::Skipped), (6, 1, Step::Skipped)]);
}

#[tokio::test]
async fn an_order_told_again_after_a_restart_is_not_done_again() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start([order_of(1, 1, Want::Hold)]).await;
    let is_told = |script: &Script| has_told(script, 1, Step::Skipped);
    server.serve(root.path(), Some("token"), is_told).await.unwrap();
    // A start asks for the latest order, whatever its number, and is told the same one.
    server.script.lock().unwrap().orders = [1, 2].map(|n| order_of(1, n, Want::Hold)).into();
    server.serve(root.path(), None, |script| has_told(script, 2, Step::Skipped)).await.unwrap();
    let told = server.told();
    // Stopped while the first report was being answered, it tells it once more: that is harmless.
    let of_first: Vec<_> = told.iter().filter(|(generation, ..)| *generation == 1).collect();
    assert!(of_first.iter().all(|told| **told == (1, 1, Step::Skipped)), "{told:?}");
    assert_eq!(server.script.lock().unwrap().enrolled, ["token"], "enrolled once");
}

#[tokio::test]
async fn a_report_is_told_until_it_is_taken_with_the_same_number() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start([]).await;
    // The first report has only facts; then the order comes while the server can't answer.
    server.serve(root.path(), Some("token"), |script| !script.reports.is_empty()).await.unwrap();
    {
        let mut script = server.script.lock().unwrap();
        script.orders.push_back(order_of(1, 1, Want::Hold));
        script.answers = [ProblemCode::Unavailable, ProblemCode::Internal].into();
    }
    let mut taken =
        |script: &Script| script.answers.is_empty() && has_told(script, 1, Step::Skipped);
    server.serve(root.path(), None, &mut taken).await.unwrap();
    let told = server.told();
    assert!(!told.is_empty() && told.iter().all(|told| *told == (1, 1, Step::Skipped)), "{told:?}");
    let reports = &server.script.lock().unwrap().reports;
    let facts = reports[0].facts.as_ref().expect("facts come first");
    assert_eq!(facts.hostname, "scripted");
}

#[tokio::test]
async fn a_report_that_is_refused_does_not_hold_up_the_next() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start([order_of(1, 1, Want::Hold), order_of(1, 2, Want::Hold)]).await;
    server.script.lock().unwrap().answers = [ProblemCode::InvalidRequest; 2].into();
    server
        .serve(root.path(), Some("token"), |script| has_told(script, 2, Step::Skipped))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_order_to_go_back_to_a_release_that_is_not_there_ends_and_says_so() {
    let root = tempfile::tempdir().unwrap();
    let text = r#"{"id":"go-1.27.2-linux-amd64","package":"go","version":"1.27.2",
        "platform":"linux-amd64","manifest":"DIGEST","archive":{"sha256":"DIGEST","size":1,
        "format":"zip"}}"#;
    let release = serde_json::from_str(&text.replace("DIGEST", &"0".repeat(64))).unwrap();
    let server = Server::start([order_of(1, 1, Want::Revert { release: Some(release) })]).await;
    server
        .serve(root.path(), Some("token"), |script| has_told(script, 1, Step::Quarantined))
        .await
        .unwrap();
    let script = server.script.lock().unwrap();
    let mut progress = script.reports.iter().filter_map(|report| report.progress.as_ref());
    let failure = progress.next_back().unwrap().failure.clone().unwrap();
    assert_eq!(serde_json::to_value(failure.kind).unwrap(), "nothing_to_revert_to");
}

#[tokio::test]
async fn a_device_that_the_server_disowns_says_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start([]).await;
    server.script.lock().unwrap().refusal = Some(ProblemCode::Unauthenticated);
    let error = server.serve(root.path(), Some("token"), |_| false).await.unwrap_err();
    assert!(matches!(error, AgentError::Unknown { .. }), "{error}");
    let hint = error.hint().unwrap();
    assert!(hint.contains("credential") && hint.contains("--token"), "{hint}");
}

#[tokio::test]
async fn without_a_token_or_with_a_used_one_nothing_begins() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start([]).await;
    let error = server.serve(first.path(), None, |_| false).await.unwrap_err();
    assert!(matches!(error, AgentError::NoToken { .. }), "{error}");
    server.serve(first.path(), Some("token"), |script| !script.reports.is_empty()).await.unwrap();
    let error = server.serve(second.path(), Some("token"), |_| false).await.unwrap_err();
    assert!(matches!(error, AgentError::Enrolment { .. }), "{error}");
}

#[tokio::test]
async fn what_the_machine_and_its_programs_measure_is_told() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("runner.prom");
    std::fs::write(&file, "errors_total{job=\"a\"} 5\nqueue 3\n").unwrap();
    let server = Server::start([]).await;
    let mut asked = server.asked.subscribe();
    let config = AgentConfig {
        signals_every: Span::from_millis(50),
        signal_files: vec![file, root.path().join("absent")],
        ..server.config(root.path(), Some("token"))
    };
    let mut told = None;
    let shutdown = async {
        let is_told = asked.wait_for(|_| {
            let script = server.script.lock().unwrap();
            told = script.reports.iter().find_map(|report| report.signals.clone());
            told.is_some()
        });
        drop(tokio::time::timeout(DEADLINE, is_told).await.expect("in time").expect("it serves"));
    };
    gofleet_agent::run(config, shutdown).await.unwrap();
    let told = told.unwrap();
    assert!(told.over >= Span::from_millis(50), "{told:?}");
    let value = |name: &str| told.values.get(&name.parse().unwrap()).map(ToString::to_string);
    assert_eq!(value("errors").as_deref(), Some("0"), "no more than before");
    assert_eq!(value("queue").as_deref(), Some("3"));
    assert!(value("memory").is_some() && value("disk_free").is_some(), "{told:?}");
}
