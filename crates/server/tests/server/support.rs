//! A server in this process, and the requests that tests make of it.

use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use gofleet_api::{
    AccountRequest, ApiTokenRequest, Client, ClientError, Credential, DecisionRequest, EdgeReport,
    EnrolEdgeRequest, EnrolRequest, Key, PasswordRequest, ProblemCode, TokenLoginRequest,
    TokenRequest, trust,
};
use gofleet_core::artifact::Artifact;
use gofleet_core::digest::Digest;
use gofleet_core::facts::Facts;
use gofleet_core::ids::DeviceId;
use gofleet_core::offer::{Postpone, Publish};
use gofleet_core::release::{Platform, Release};
use gofleet_core::rollout::RolloutSpec;
use gofleet_core::time::{Span, Timestamp};
use gofleet_server::{ServeError, ServerConfig, Sources, serve_with_clock};
use gofleet_testkit::archive::{small_go, zip};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;

/// How long anything in these tests may take.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A server that runs in this process, by a clock that the test holds.
pub struct TestServer {
    /// Where it is reached with TLS.
    pub url: String,
    /// Where it is reached without, from this machine.
    pub plain_url: String,
    pub admin_token: String,
    clock_ms: Arc<AtomicI64>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServeError>>,
    folder: TempDir,
    /// Who was given an account.
    pub people: Mutex<HashMap<String, Person>>,
}

/// Somebody with an account.
#[derive(Clone)]
pub struct Person {
    /// Asks by an API token.
    pub client: Client,
    /// The token's secret.
    pub secret: String,
    pub password: String,
}

/// The settings of a server on this folder and any free port.
pub fn config(data: &Path) -> ServerConfig {
    config_with(data, &[])
}

/// The same with more flags.
pub fn config_with(data: &Path, flags: &[(&str, &str)]) -> ServerConfig {
    // Nothing is made in the background unless a test is about that. Of two flags the first counts.
    let mut all: Vec<(&str, String)> =
        flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    all.push(("listen", "127.0.0.1:0".to_owned()));
    all.push(("prepare", "false".to_owned()));
    let sources =
        Sources { default_data: data.to_owned(), file: None, environment: &|_| None, flags: &all };
    ServerConfig::load(&sources).unwrap()
}

impl TestServer {
    pub async fn start() -> Self {
        Self::start_on(tempfile::tempdir().unwrap(), &[]).await
    }

    /// A server on a folder that another one may have left.
    pub async fn start_on(folder: TempDir, flags: &[(&str, &str)]) -> Self {
        let clock_ms = Arc::new(AtomicI64::new(1_795_000_000_000));
        let (stop, stopped) = oneshot::channel();
        let (ready_sender, ready) = oneshot::channel();
        let clock = {
            let clock_ms = Arc::clone(&clock_ms);
            Arc::new(move || Timestamp::from_millis(clock_ms.load(Ordering::SeqCst)))
        };
        let task = tokio::spawn(serve_with_clock(
            config_with(folder.path(), flags),
            clock,
            async {
                let _either_way = stopped.await;
            },
            move |ready| ready_sender.send(ready.clone()).expect("the test waits"),
        ));
        let Ok(ready) = within(ready).await else {
            panic!("the server does not start: {:?}", task.await);
        };
        let admin_token = std::fs::read_to_string(&ready.admin_token_file).unwrap();
        let admin_token = admin_token.trim().to_owned();
        let plain_url = ready.local_url.unwrap_or_default();
        Self {
            url: ready.url,
            plain_url,
            admin_token,
            clock_ms,
            stop,
            task,
            folder,
            people: Mutex::default(),
        }
    }

    /// Stops it as Ctrl-C does; the folder that it leaves.
    pub async fn stop(self) -> TempDir {
        self.stop.send(()).unwrap();
        within(self.task).await.unwrap().unwrap();
        self.folder
    }

    pub fn data(&self) -> &Path {
        self.folder.path()
    }

    /// The time by the server's clock.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock_ms.load(Ordering::SeqCst))
    }

    /// Moves the server's clock.
    pub fn pass(&self, span: Span) {
        self.clock_ms.fetch_add(span.as_millis() as i64, Ordering::SeqCst);
    }

    /// Waits until the artifacts of a release are as they should be.
    pub async fn artifacts_when(
        &self,
        release: &Release,
        is_so: impl Fn(&[Artifact]) -> bool,
    ) -> Vec<Artifact> {
        within(async {
            loop {
                let artifacts = self.admin().artifacts(&release.release.id).await.unwrap();
                if is_so(&artifacts) {
                    return artifacts;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
    }

    /// A client without a credential.
    pub fn public(&self) -> Client {
        Client::public(&self.url, self.authority()).unwrap()
    }

    /// The authority that vouches for the server.
    pub fn authority(&self) -> Option<Digest> {
        trust::authority_in(&self.admin_token)
    }

    /// The administrator's client.
    pub fn admin(&self) -> Client {
        Client::with_token(&self.url, &self.admin_token).unwrap()
    }

    /// Somebody with an account and a password of their own, with these roles.
    pub async fn person(&self, name: &str, grants: &[&str]) -> Person {
        let grants = grants.iter().map(|grant| grant.parse().unwrap()).collect();
        let request = AccountRequest { name: name.parse().unwrap(), note: String::new(), grants };
        let made = self.admin().add_account(&request).await.unwrap();
        let account = made.account.name;
        let (password, token) = (made.password, ApiTokenRequest::default());
        let request = TokenLoginRequest { account, password: password.clone(), token };
        let made = self.public().log_in(&request).await.unwrap();
        let client = Client::with_token(&self.url, &made.secret).unwrap();
        let chosen = "correct horse battery".to_owned();
        let request = PasswordRequest { old: password, new: chosen.clone() };
        client.choose_password(&request).await.unwrap();
        let secret = trust::secret_in(&made.secret).to_owned();
        let person = Person { client, secret, password: chosen };
        self.people.lock().await.insert(name.to_owned(), person.clone());
        person
    }

    /// A new enrolment token.
    pub async fn token(&self) -> String {
        self.admin().create_token(&TokenRequest::default()).await.unwrap().token
    }

    /// A new device, its client and what it authenticates with.
    pub async fn enrol(&self, hostname: &str) -> (DeviceId, Client, Papers) {
        self.enrol_with(facts(hostname)).await
    }

    async fn enrol_with(&self, facts: Facts) -> (DeviceId, Client, Papers) {
        let (token, key) = (self.token().await, Key::generate().unwrap());
        let request = EnrolRequest { token, facts, request: key.request().unwrap() };
        let enrolled = self.public().enrol(&request).await.unwrap();
        let papers = Papers { certificate: enrolled.issued.certificate, key: key.to_pem() };
        (enrolled.device, self.client(&papers), papers)
    }

    /// The client of a device or a distribution point.
    pub fn client(&self, papers: &Papers) -> Client {
        Client::with_key(&self.url, self.authority(), papers.credential()).unwrap()
    }

    /// A new device at a site.
    pub async fn enrol_at(&self, hostname: &str, site: &str) -> Client {
        let mut facts = facts(hostname);
        facts.labels.insert("site".to_owned(), site.to_owned());
        self.enrol_with(facts).await.1
    }

    /// A new distribution point of a site: its client and what it authenticates with.
    pub async fn enrol_edge(&self, site: &str) -> (Client, Papers) {
        let (token, key) = (self.token().await, Key::generate().unwrap());
        let request = key.request().unwrap();
        let request = EnrolEdgeRequest { token, report: edge_report(site), request };
        let enrolled = self.public().enrol_edge(&request).await.unwrap();
        let papers = Papers { certificate: enrolled.issued.certificate, key: key.to_pem() };
        (self.client(&papers), papers)
    }

    /// A release of a Go in miniature in the catalog.
    pub async fn import(&self, version: &str) -> Release {
        let path = self.go(version);
        self.admin()
            .upload(&path, "a test", None, &Default::default(), |_| {})
            .await
            .unwrap()
            .release
    }

    /// A release with enough in it that a pack and a delta are worth having.
    pub async fn import_go(&self, version: &str) -> Release {
        let mut files = small_go(version);
        // Text that no compressor makes nothing of, the same in every version.
        let mut state = 1_u64;
        let mut word = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            format!("{:08x} ", state >> 32)
        };
        for n in 0..40 {
            let text: String = (0..200).map(|_| word()).collect();
            files.push((format!("go/src/text/{n}.go"), text.into_bytes(), 0o644));
        }
        std::fs::write(self.file_of(version), zip(&files)).unwrap();
        let path = self.file_of(version);
        self.admin()
            .upload(&path, "a test", None, &Default::default(), |_| {})
            .await
            .unwrap()
            .release
    }

    /// The same, approved.
    pub async fn import_approved(&self, version: &str) -> Release {
        let release = self.import(version).await.release.id;
        self.admin().approve(&release, &DecisionRequest::default()).await.unwrap()
    }

    /// The archive of a Go in miniature.
    pub fn go(&self, version: &str) -> PathBuf {
        self.file(&format!("go-{version}.zip"), &zip(&small_go(version)))
    }

    /// The archive of such a release.
    pub fn file_of(&self, version: &str) -> PathBuf {
        self.folder.path().join(format!("larger-go-{version}.zip"))
    }

    /// A file beside the server's own.
    pub fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A request below the API's prefix, for what the typed client cannot say.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().unwrap();
        http().request(method, format!("{}/api/v1{path}", self.plain_url))
    }

    /// A page of the console as an administrator sees it, once it has this text.
    pub async fn page_when(&self, path: &str, text: &str) -> String {
        within(async {
            loop {
                let request = http().get(format!("{}{path}", self.plain_url));
                let answer = request.bearer_auth(&self.admin_token).send().await.unwrap();
                let page = answer.text().await.unwrap();
                if page.contains(text) {
                    return page;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
    }

    /// The same as a device or a distribution point. The certificate of the server is verified as
    /// any program would that was given the authority's file.
    pub fn request_as(&self, papers: &Papers, method: &str, path: &str) -> reqwest::RequestBuilder {
        http();
        let authority = std::fs::read(self.data().join("authority.pem")).unwrap();
        let authority = reqwest::Certificate::from_pem(&authority).unwrap();
        let Papers { certificate, key } = papers;
        let identity = reqwest::Identity::from_pem(format!("{certificate}{key}").as_bytes());
        let client = reqwest::Client::builder().no_proxy().timeout(DEADLINE);
        let client = client.tls_certs_only([authority]).identity(identity.unwrap()).build();
        let url = format!("{}/api/v1{path}", self.url);
        client.unwrap().request(method.parse().unwrap(), url)
    }
}

/// What a device or a distribution point authenticates with.
#[derive(Clone)]
pub struct Papers {
    pub certificate: String,
    pub key: String,
}

impl Papers {
    pub fn credential(&self) -> Credential<'_> {
        Credential { certificate: &self.certificate, key: &self.key }
    }
}

/// A bare HTTP client.
pub fn http() -> reqwest::Client {
    // The typed client says which TLS there is.
    Client::public("http://localhost:1", None).unwrap();
    reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().unwrap()
}

/// What a machine tells of itself.
pub fn facts(hostname: &str) -> Facts {
    Facts {
        hostname: hostname.to_owned(),
        platform: Platform::new("linux", "amd64").unwrap(),
        os_version: "Test 1".to_owned(),
        processors: 2,
        free_bytes: 1 << 40,
        agent_version: "0".to_owned(),
        active: None,
        packages: Default::default(),
        found: Vec::new(),
        zone: None,
        labels: Default::default(),
        collections: Default::default(),
    }
}

/// What a distribution point tells of itself.
pub fn edge_report(site: &str) -> EdgeReport {
    EdgeReport {
        name: format!("cache-{site}"),
        site: site.to_owned(),
        url: format!("http://cache.{site}.example:8471"),
        served_bytes: 0,
        fetched_bytes: 0,
    }
}

/// A rollout of one ring with everybody in it.
pub fn everybody(version: &str) -> RolloutSpec {
    spec(serde_json::json!({
        "name": format!("go {version}"),
        "version": version,
        "rings": [{"name": "all", "rest": true}],
        "soak": "0s",
    }))
}

/// The same, published: its users are asked for an hour.
pub fn published(version: &str) -> RolloutSpec {
    let mut spec = everybody(version);
    spec.publish = Some(Publish {
        deadline: Span::from_secs(3600),
        postpone: Postpone { times: 1, at_most: Span::from_secs(600) },
        remind: Span::from_secs(600),
        notice: "Save your work.".to_owned(),
        accept_opens_window: false,
    });
    spec
}

/// A rollout from its JSON.
pub fn spec(json: Value) -> RolloutSpec {
    serde_json::from_value(json).unwrap()
}

/// The result of a future, which must come within the deadline.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it takes too long")
}

/// Checks that the server refused for this reason, with words that have `text` in them.
#[track_caller]
pub fn refused<T>(result: Result<T, ClientError>, code: ProblemCode, text: &str) {
    let Err(error) = result else { panic!("not refused") };
    let problem = error.problem().unwrap_or_else(|| panic!("{error:?}"));
    assert_eq!(problem.code, code, "{problem:?}");
    assert_eq!(problem.status, code.status());
    assert!(problem.detail.contains(text), "{problem:?}");
}
