//! A server with a root of trust: it keeps what others signed, and can't sign in their place.

use std::collections::BTreeMap;
use std::time::Duration;

use gofleet_api::{
    DecisionRequest, ImportTrust, ProblemCode, TrustKeys, TrustView, trust as token,
};
use gofleet_core::digest::Digest;
use gofleet_core::release::Release;
use gofleet_core::time::Span;
use gofleet_trust::author::{self, Constitution, OnlineKeys, Quorum};
use gofleet_trust::metadata::{Content, Envelope, TargetFile, Targets, Unverified};
use gofleet_trust::trusted::{Floor, Trusted, read_root};
use gofleet_trust::{SecretKey, approval, order};

use crate::support::{TestServer, everybody, refused};

/// One who may sign everything.
pub struct Approver {
    key: SecretKey,
}

fn import(documents: &[(&str, Envelope)]) -> ImportTrust {
    let value = |(role, envelope): &(&str, Envelope)| {
        ((*role).to_owned(), serde_json::to_value(envelope).unwrap())
    };
    ImportTrust { documents: documents.iter().map(value).collect() }
}

impl Approver {
    /// Has a server begin.
    pub async fn begin(server: &TestServer) -> Self {
        let approver = Self { key: SecretKey::generate() };
        let keys = server.admin().trust_keys().await.unwrap();
        let request = approver.init(&keys, server);
        let view = server.admin().import_trust(&request).await.unwrap();
        assert!(view.root.is_some());
        approver
    }

    fn constitution(&self, keys: &TrustKeys) -> Constitution {
        let quorum = || Quorum { keys: vec![self.key.public()], threshold: 1 };
        let key = |value: &serde_json::Value| serde_json::from_value(value.clone()).unwrap();
        let online = OnlineKeys { metadata: key(&keys.metadata), orders: key(&keys.orders) };
        let packages = vec!["go".parse().unwrap()];
        Constitution { root: quorum(), approvers: quorum(), online, packages }
    }

    fn init(&self, keys: &TrustKeys, server: &TestServer) -> ImportTrust {
        let constitution = self.constitution(keys);
        let root = self.sign(&constitution.root(1, server.now()));
        let targets = self.sign(&constitution.targets(1, server.now()));
        let go = self.sign(&author::releases(1, BTreeMap::new(), server.now()));
        import(&[("root", root), ("targets", targets), ("go", go)])
    }

    fn sign(&self, content: &impl Content) -> Envelope {
        let mut envelope = Envelope::unsigned(content);
        envelope.sign(&self.key);
        envelope
    }

    /// The releases that may run, with this one among them.
    async fn with(&self, server: &TestServer, release: &Release, version: u64) -> Targets {
        let manifest = server.admin().manifest(&release.release.id).await.unwrap();
        let target = approval::target(&release.release, &manifest, None);
        let targets: BTreeMap<String, TargetFile> =
            [(approval::path(&release.release), target)].into();
        author::releases(version, targets, server.now())
    }
}

/// What a device believes that asks this server.
async fn believed(server: &TestServer, view: &TrustView) -> Trusted {
    let fetch = async |name: String| {
        server.public().trust_metadata(&name, 1 << 20).await.unwrap().expect("it is there")
    };
    let root = fetch(format!("{}.root.json", view.root.unwrap())).await;
    let floor = Floor::of_pin(&root, &read_root(&root).unwrap());
    let mut trusted = Trusted::new(&root, floor, server.now()).unwrap();
    trusted.update_timestamp(&fetch("timestamp.json".to_owned()).await).unwrap();
    let snapshot = trusted.check_timestamp().unwrap().version;
    trusted.update_snapshot(&fetch(format!("{snapshot}.snapshot.json")).await).unwrap();
    for (role, delegator) in [("targets", "root"), ("go", "targets")] {
        let version = trusted.meta(role).unwrap().version;
        let bytes = fetch(format!("{version}.{role}.json")).await;
        trusted.update_targets(role, delegator, &bytes).unwrap();
    }
    trusted
}

#[tokio::test]
async fn a_release_that_no_approver_signed_is_not_approved() {
    let server = TestServer::start().await;
    let (admin, approver) = (server.admin(), Approver::begin(&server).await);
    let release = server.import("1.27.3").await;
    let decision = DecisionRequest::default();
    let error = admin.approve(&release.release.id, &decision).await;
    refused(error, ProblemCode::ReleaseNotApproved, "no approver has signed");
    let go = approver.sign(&approver.with(&server, &release, 2).await);
    let view = admin.import_trust(&import(&[("go", go)])).await.unwrap();
    admin.approve(&release.release.id, &decision).await.unwrap();
    let trusted = believed(&server, &view).await;
    let target =
        trusted.targets("go", "targets").unwrap().targets.get(&approval::path(&release.release));
    assert_eq!(approval::check(target, &release.release, None), Ok(()));
    server.stop().await;
}

#[tokio::test]
async fn what_devices_would_not_believe_is_not_taken_in() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let keys = admin.trust_keys().await.unwrap();
    // Keys that this server has not, so that it could not keep the metadata fresh.
    let stranger = Approver { key: SecretKey::generate() };
    let foreign =
        TrustKeys { orders: serde_json::to_value(stranger.key.public()).unwrap(), ..keys };
    let error = admin.import_trust(&stranger.init(&foreign, &server)).await;
    refused(error, ProblemCode::InvalidRequest, "does not name the keys of this server");
    let approver = Approver::begin(&server).await;
    let release = server.import("1.27.3").await;
    let go = approver.with(&server, &release, 2).await;
    let known = Targets { version: 1, ..go.clone() };
    let over = Targets { expires: server.now(), ..go.clone() };
    for (document, code, why) in [
        (Envelope::unsigned(&go), ProblemCode::InvalidRequest, "needs 1 signatures and has 0"),
        (stranger.sign(&go), ProblemCode::InvalidRequest, "needs 1 signatures and has 0"),
        (approver.sign(&known), ProblemCode::Conflict, "version 1 holds today"),
        (approver.sign(&over), ProblemCode::InvalidRequest, "the go metadata has expired"),
    ] {
        refused(admin.import_trust(&import(&[("go", document)])).await, code, why);
    }
    let other = import(&[("python", approver.sign(&go))]);
    let who = "does not say who may sign python";
    refused(admin.import_trust(&other).await, ProblemCode::InvalidRequest, who);
    // Nobody begins anew.
    let keys = admin.trust_keys().await.unwrap();
    let again = admin.import_trust(&approver.init(&keys, &server)).await;
    refused(again, ProblemCode::Conflict, "version 1 holds today");
    server.stop().await;
}

#[tokio::test]
async fn tokens_tell_of_the_root_and_orders_are_sealed() {
    let server = TestServer::start().await;
    let before = server.token().await;
    assert_eq!(token::root_in(&before), None);
    let (device, client, _) = server.enrol("one").await;
    server.import_approved("1.27.3").await;
    Approver::begin(&server).await;
    let view = server.admin().trust().await.unwrap();
    let told = server.token().await;
    assert_eq!(token::root_in(&told), view.root);
    assert_eq!(token::authority_in(&told), server.authority());
    server.admin().start(&everybody("1.27.3")).await.unwrap();
    let answer = client.sealed_order(None, Duration::from_secs(20)).await.unwrap().unwrap();
    assert_eq!(answer.order.device, device);
    let trusted = believed(&server, &view).await;
    assert_eq!(order::verify(trusted.root(), &answer.order, answer.seal.as_ref()), Ok(()));
    assert!(answer.seal.unwrap().expires_at > server.now());
    server.stop().await;
}

#[tokio::test]
async fn the_timestamp_is_signed_anew_before_its_time_is_over() {
    let server = TestServer::start().await;
    Approver::begin(&server).await;
    let view = server.admin().trust().await.unwrap();
    let version = async || believed(&server, &view).await.timestamp().unwrap().version;
    let first = version().await;
    server.pass(Span::from_secs(60 * 60));
    assert_eq!(version().await, first, "it is fresh enough");
    server.pass(author::ONLINE_LIFETIME);
    assert!(version().await > first);
    // What was signed stays as it was signed.
    let root = server.public().trust_metadata("1.root.json", 1 << 20).await.unwrap().unwrap();
    assert_eq!(Some(Digest::of(&root)), view.root);
    assert!(Unverified::<gofleet_trust::metadata::Root>::parse(&root).is_ok());
    for name in ["2.root.json", "root.json", "../lock", "9.go.json"] {
        assert_eq!(server.public().trust_metadata(name, 99).await.unwrap(), None, "{name}");
    }
    server.stop().await;
}
