//! A real server with devices that are played by the test.
//!
//! They speak the agents' own HTTP API (enrol, fetch the order, report), so that a test can hold a
//! device at any step for as long as it looks at a page. What real agents do is shown elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use gofleet_api::{
    Client, CollectionRequest, Credential, DecisionRequest, EnrolRequest, Key, Members,
    TokenRequest, trust,
};
use gofleet_core::dependency::Dependencies;
use gofleet_core::digest::Digest;
use gofleet_core::facts::{Facts, FoundGo, GoOrigin};
use gofleet_core::ids::{DeviceId, ReleaseId};
use gofleet_core::order::{
    Evidence, Failure, FailureKind, Order, Progress, Receipt, Report, Step, Taken,
};
use gofleet_core::rollout::{RolloutSpec, RolloutStatus};
use gofleet_core::time::Span;
use gofleet_core::ways::WayKind;
use gofleet_testkit::archive;
use gofleet_testkit::fleet::Fleet;
use tokio::runtime::Runtime;

use super::chromium::Chromium;

/// The version that every device has at first, and the one that rollouts bring.
pub const OLD: &str = "1.27.2";
pub const NEW: &str = "1.27.3";
/// The size of the real archive, so that pages show what they will show.
const DELTA_BYTES: u64 = 304_737;

/// A server with devices.
pub struct Scene {
    pub fleet: Fleet,
    runtime: Runtime,
    administrator: Client,
    devices: BTreeMap<String, Player>,
}

/// A device that is played.
struct Player {
    id: DeviceId,
    client: Client,
    facts: Facts,
    sequence: u64,
}

impl Scene {
    /// A server with an approved release and no device.
    pub fn new() -> Self {
        let fleet =
            Fleet::start_with(env!("CARGO_BIN_EXE_gofleet"), &["--reconcile-every", "200ms"]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let administrator = Client::with_token(fleet.url(), &fleet.admin_token()).unwrap();
        let scene = Self { fleet, runtime, administrator, devices: BTreeMap::new() };
        for version in [OLD, NEW] {
            scene.import(version);
            scene.approve(version, "");
        }
        scene
    }

    fn import(&self, version: &str) {
        let path = self.fleet.folder().join(format!("go{version}.zip"));
        std::fs::write(&path, archive::zip(&archive::small_go(version))).unwrap();
        let origin = format!("go{version}.linux-amd64.zip");
        let asks = Dependencies::default();
        let upload = self.administrator.upload(&path, &origin, None, &asks, |_| {});
        self.runtime.block_on(upload).unwrap();
    }

    /// Approves a release, with a reason.
    pub fn approve(&self, version: &str, reason: &str) {
        let id: ReleaseId = format!("go-{version}-linux-amd64").parse().unwrap();
        let request = DecisionRequest { reason: reason.to_owned() };
        self.runtime.block_on(self.administrator.approve(&id, &request)).unwrap();
    }

    /// Enrols a device.
    pub fn enrol(&mut self, hostname: &str, label: (&str, &str)) {
        let facts = facts(hostname, label);
        let player = self.runtime.block_on(async {
            let token = self.administrator.create_token(&TokenRequest::default()).await.unwrap();
            let (key, authority) = (Key::generate().unwrap(), trust::authority_in(&token.token));
            let (url, request) = (self.fleet.url(), key.request().unwrap());
            let request = EnrolRequest { token: token.token, facts: facts.clone(), request };
            let enrolled = Client::public(url, authority).unwrap().enrol(&request).await.unwrap();
            let (certificate, key) = (enrolled.issued.certificate, key.to_pem());
            let credential = Credential { certificate: &certificate, key: &key };
            let client = Client::with_key(url, authority, credential).unwrap();
            Player { id: enrolled.device, client, facts, sequence: 0 }
        });
        self.devices.insert(hostname.to_owned(), player);
    }

    /// The id that the server gave to a device.
    pub fn id(&self, hostname: &str) -> &DeviceId {
        &self.devices[hostname].id
    }

    /// Names a collection of all devices.
    pub fn collect(&self, name: &str, note: &str) {
        let request = CollectionRequest {
            members: Members::Selector { devices: String::new() },
            note: note.to_owned(),
        };
        let name = name.parse().unwrap();
        self.runtime.block_on(self.administrator.set_collection(&name, &request)).unwrap();
    }

    /// Starts a rollout with these rings, in YAML.
    #[expect(clippy::needless_pass_by_value, reason = "it is made where it is given")]
    pub fn start(&self, name: &str, rings: serde_json::Value) -> RolloutStatus {
        let spec = serde_json::json!({
            "name": name, "version": NEW, "rings": rings, "soak": "1s",
            "gate": {"max_failures": 1}, "on_failure": "pause",
        });
        let spec: RolloutSpec = serde_json::from_value(spec).unwrap();
        self.runtime.block_on(self.administrator.start(&spec)).unwrap()
    }

    /// The rollout as the API tells it.
    pub fn status(&self, rollout: &RolloutStatus) -> RolloutStatus {
        self.runtime.block_on(self.administrator.rollout(&rollout.summary.id)).unwrap()
    }

    /// Waits for the order of a device, and reports that it stands at a step of it.
    pub fn step(&mut self, hostname: &str, step: Step) {
        let player = self.devices.get_mut(hostname).unwrap();
        player.sequence += 1;
        self.runtime.block_on(async {
            let wait = Duration::from_secs(20);
            let order = player.client.order(None, wait).await.unwrap();
            let Some(order) = order else {
                let rollouts = self.administrator.rollouts().await.unwrap();
                panic!("{hostname} got no order within {wait:?}: {rollouts:#?}")
            };
            let report = report(player, &order, step);
            player.client.report(&report).await.unwrap();
        });
    }

    /// Opens the console as an administrator.
    #[track_caller]
    pub fn sign_in(&self, browser: &mut Chromium) {
        browser.open(&format!("{}/login", self.fleet.plain_url()));
        browser.press("Tab");
        browser.write(&self.fleet.admin_token());
        browser.press("Enter");
        browser.wait("the overview", "document.title.startsWith('Overview')");
    }

    /// Opens a page of the console.
    #[track_caller]
    pub fn open(&self, browser: &mut Chromium, path: &str) {
        browser.open(&format!("{}{path}", self.fleet.plain_url()));
    }
}

fn facts(hostname: &str, (key, value): (&str, &str)) -> Facts {
    Facts {
        hostname: hostname.to_owned(),
        platform: "linux-amd64".parse().unwrap(),
        os_version: "Debian GNU/Linux 12 (bookworm)".to_owned(),
        processors: 8,
        free_bytes: 182_300_000_000,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        active: Some(OLD.to_owned()),
        packages: Default::default(),
        found: vec![FoundGo {
            version: OLD.to_owned(),
            path: format!("/opt/gofleet/releases/go-{OLD}-linux-amd64"),
            origin: GoOrigin::Managed,
        }],
        zone: Some("Europe/Berlin".to_owned()),
        labels: [(key.to_owned(), value.to_owned())].into(),
        collections: Default::default(),
    }
}

fn failure() -> Failure {
    Failure {
        step: Step::Verifying,
        kind: FailureKind::Check,
        message: "go build: fork/exec pkg/tool/linux_amd64/compile: exec format error".to_owned(),
    }
}

/// Nearly all of a patch upgrade is there already.
fn way() -> Taken {
    Taken { kind: WayKind::Delta, edge_bytes: DELTA_BYTES / 2, given_up: Vec::new() }
}

fn report(player: &mut Player, order: &Order, step: Step) -> Report {
    let is_new = matches!(step, Step::Verifying | Step::Soaking | Step::Accepted);
    let active = Some(if is_new { NEW } else { OLD }.to_owned());
    player.facts.active.clone_from(&active);
    let has_failed = matches!(step, Step::Failed | Step::Reverting | Step::Reverted);
    let is_final = matches!(step, Step::Accepted | Step::Reverted);
    let progress = Progress {
        generation: order.generation,
        order: None,
        waits_until: None,
        answer: None,
        sequence: player.sequence,
        step,
        bytes_downloaded: DELTA_BYTES,
        way: Some(way()),
        failure: has_failed.then(failure),
        receipt: is_final.then(|| receipt(order, step, active.as_deref().unwrap_or_default())),
        active,
    };
    Report { facts: Some(player.facts.clone()), progress: Some(progress), signals: None }
}

fn receipt(order: &Order, outcome: Step, active: &str) -> Receipt {
    let steps = [(Step::Fetching, 5_200), (Step::Staged, 90), (Step::Verifying, 1_400)];
    Receipt {
        outcome,
        active: Some(active.to_owned()),
        manifest: Some(Digest::of(b"manifest")),
        files_verified: 12_087,
        evidence: Some(Evidence {
            go_sha256: Digest::of(b"go"),
            go_version: format!("go version go{active} linux/amd64"),
            goroot: format!("/opt/gofleet/releases/go-{active}-linux-amd64"),
            path_hit: Some("/opt/gofleet/bin/go".to_owned()),
            path_is_managed: true,
            program_output: format!("gofleet check go{active}"),
            took: Span::from_millis(1_400),
        }),
        bytes_downloaded: DELTA_BYTES,
        way: Some(way()),
        started_at: order.issued_at,
        finished_at: order.issued_at + Span::from_secs(37),
        steps: steps.map(|(step, ms)| (step, Span::from_millis(ms))).into(),
        failure: (outcome == Step::Reverted).then(failure),
    }
}
