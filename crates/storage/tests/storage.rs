//! Storage on a real SQLite file.

#![expect(clippy::unwrap_used, reason = "these are tests")]

#[path = "storage/audit.rs"]
mod audit;
#[path = "storage/catalog.rs"]
mod catalog;
#[path = "storage/collections.rs"]
mod collections;
#[path = "storage/distribution.rs"]
mod distribution;
#[path = "storage/enrolment.rs"]
mod enrolment;
#[path = "storage/holds.rs"]
mod holds;
#[path = "storage/late.rs"]
mod late;
#[path = "storage/published.rs"]
mod published;
#[path = "storage/reports.rs"]
mod reports;
#[path = "storage/requires.rs"]
mod requires;
#[path = "storage/rollouts.rs"]
mod rollouts;

use std::sync::Arc;

use gofleet_core::audit::By;
use gofleet_core::digest::Digest;
use gofleet_core::enrolment::Scope;
use gofleet_core::event::Change;
use gofleet_core::facts::Facts;
use gofleet_core::ids::{DeviceId, RolloutId};
use gofleet_core::manifest::{Manifest, ManifestFile};
use gofleet_core::order::{Evidence, Order, Progress, Receipt, Report, Step, Want};
use gofleet_core::release::{
    Archive, ArchiveFormat, Release, ReleaseDecision, ReleaseRef, ReleaseStatus,
};
use gofleet_core::rollout::{Planning, RolloutPlan, RolloutSpec, RolloutView, advance, plan};
use gofleet_core::time::{Span, Timestamp};
use gofleet_storage::{Decider, NewDevice, Storage};
use tempfile::TempDir;

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// Who does what the tests do.
fn ann() -> By {
    By::person("ann")
}

/// A server's state in a folder of its own.
struct Bench {
    folder: TempDir,
    storage: Arc<Storage>,
    now: Timestamp,
}

/// Of a token: that it is for any machine.
fn any() -> (&'static str, &'static Scope) {
    static ANY: Scope =
        Scope { networks: Vec::new(), devices: String::new(), needs_approval: false };
    ("", &ANY)
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = Arc::new(Storage::open(&folder.path().join("a b%20#?")).await.unwrap());
        Self { folder, storage, now: START }
    }

    /// As after a kill and a new start.
    async fn reopen(&mut self) {
        self.storage = Arc::new(self.opened().await);
    }

    async fn opened(&self) -> Storage {
        Storage::open(&self.folder.path().join("a b%20#?")).await.unwrap()
    }

    /// With two approved releases and so many devices that have the older one.
    async fn with_fleet(devices: usize) -> Self {
        let bench = Self::new().await;
        for version in ["1.27.2", "1.27.3"] {
            bench.import(version, b"go").await;
            bench.decide(version, ReleaseStatus::Approved).await;
        }
        for n in 0..devices {
            bench.enrol(n).await;
        }
        bench
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now + Span::from_secs(seconds);
    }

    async fn import(&self, version: &str, content: &[u8]) {
        let (release, manifest) = release(version, content);
        self.storage.import_release(&ann(), &release, &manifest, self.now).await.unwrap();
    }

    async fn decide(&self, version: &str, status: ReleaseStatus) {
        let id = release(version, b"").0.release.id;
        let decision = ReleaseDecision { by: "ann".into(), at: self.now, reason: "fine".into() };
        self.storage.decide_release(&ann(), &id, status, decision).await.unwrap();
    }

    async fn enrol(&self, n: usize) -> DeviceId {
        let (token, device) = (Digest::of(format!("token{n}").as_bytes()), new_device(n));
        let expires_at = self.now + Span::from_secs(600);
        self.storage.add_token(&ann(), &token, any(), expires_at, self.now).await.unwrap();
        self.storage.enrol(&By::token(&token), &token, &device, self.now).await.unwrap();
        device.id
    }

    async fn plan(&self, spec: &RolloutSpec) -> RolloutPlan {
        let (releases, fleet) =
            (self.storage.releases().await.unwrap(), self.storage.fleet(self.now).await.unwrap());
        let collections = self.storage.collections().await.unwrap();
        let collections: Vec<_> = collections.into_iter().map(|it| it.name).collect();
        let moving = self.storage.moving().await.unwrap();
        plan(&Planning {
            spec,
            releases: &releases,
            fleet: &fleet,
            collections: &collections,
            moving: &moving,
            artifacts: &[],
            seed: &spec.name,
            install_time: Planning::ASSUMED_INSTALL_TIME,
            now: self.now,
            listening_since: self.storage.listening_since(self.now),
        })
        .unwrap()
    }

    async fn start(&self, name: &str) -> RolloutId {
        let plan = self.plan(&spec(name)).await;
        self.storage.start_rollout(&ann(), &plan, self.now).await.unwrap()
    }

    /// What the reconciler does; the number of changes.
    async fn tick(&self, rollout: &RolloutId) -> usize {
        let decide = |view: &RolloutView| Ok::<_, ()>(advance(view, self.now));
        let done =
            self.storage.decide_rollout(Decider::Server, rollout, self.now, decide, |_| {}).await;
        done.unwrap().unwrap().len()
    }

    async fn order(&self, device: &DeviceId) -> Option<Order> {
        self.storage.order_after(device, 0).await.unwrap()
    }

    async fn report(&self, device: &DeviceId, progress: Progress) {
        let report = Report { progress: Some(progress), ..Report::default() };
        self.storage.take_report(device, &report, self.now).await.unwrap();
    }

    /// The device does what its order wants, to the end.
    async fn obey(&self, device: &DeviceId) {
        let order = self.order(device).await.unwrap();
        let mut progress = progress(order.generation, 1, Step::Verifying);
        self.report(device, progress.clone()).await;
        progress.sequence = 2;
        (progress.step, progress.active) = match &order.want {
            Want::Activate { release, .. } => (Step::Accepted, Some(release.version.clone())),
            Want::Revert { release } => {
                (Step::Reverted, release.as_ref().map(|release| release.version.clone()))
            }
            Want::Offer { .. } => (Step::Staged, Some("1.27.2".to_owned())),
            Want::Hold => (Step::Skipped, Some("1.27.2".to_owned())),
        };
        progress.bytes_downloaded = 1000;
        progress.receipt = Some(receipt(progress.step, progress.active.as_deref(), self.now));
        self.report(device, progress).await;
    }

    async fn view(&self, rollout: &RolloutId) -> RolloutView {
        self.storage.rollout(rollout, self.now).await.unwrap()
    }

    async fn kinds(&self) -> Vec<&'static str> {
        let events = self.storage.events_since(0, 1000).await.unwrap();
        events.iter().map(|event| event.what.kind()).collect()
    }

    async fn changes_of(&self, kind: &str) -> Vec<Change> {
        let events = self.storage.events_since(0, 1000).await.unwrap();
        events.into_iter().map(|it| it.what).filter(|it| it.kind() == kind).collect()
    }
}

fn spec(name: &str) -> RolloutSpec {
    serde_saphyr::from_str(&format!(
        "{{name: {name}, version: 1.27.3, soak: 0s, rings: [{{name: one, count: 1}}, \
         {{name: rest, rest: true}}]}}"
    ))
    .unwrap()
}

fn new_device(n: usize) -> NewDevice {
    let facts = Facts {
        hostname: format!("host{n}"),
        platform: "linux-amd64".parse().unwrap(),
        os_version: "Linux".to_owned(),
        processors: 2,
        free_bytes: 1 << 40,
        agent_version: "0.1.0".to_owned(),
        active: Some("1.27.2".to_owned()),
        packages: Default::default(),
        found: Vec::new(),
        zone: None,
        labels: [("site".to_owned(), "berlin".to_owned())].into(),
        collections: Default::default(),
    };
    let credential = Digest::of(format!("credential{n}").as_bytes());
    NewDevice { id: format!("d{n}").parse().unwrap(), credential, facts }
}

fn release(version: &str, content: &[u8]) -> (Release, Manifest) {
    let file = ManifestFile {
        path: "bin/go".parse().unwrap(),
        size: content.len() as u64,
        executable: true,
        sha256: Digest::of(content),
    };
    let manifest = Manifest::new(vec![file]).unwrap();
    let (package, platform) = ("go".parse().unwrap(), "linux-amd64".parse().unwrap());
    let release = ReleaseRef {
        id: ReleaseRef::id_of(&package, version, &platform).unwrap(),
        package,
        version: version.to_owned(),
        platform,
        manifest: manifest.digest(),
        archive: Archive {
            sha256: Digest::of(version.as_bytes()),
            size: 1000,
            format: ArchiveFormat::TarGz,
        },
    };
    let release = Release {
        release,
        status: ReleaseStatus::Imported,
        files: 1,
        tree_bytes: manifest.tree_bytes(),
        origin: "here".to_owned(),
        imported_at: START,
        dependencies: Default::default(),
        decision: None,
    };
    (release, manifest)
}

fn progress(generation: u64, sequence: u64, step: Step) -> Progress {
    Progress {
        generation,
        order: None,
        waits_until: None,
        answer: None,
        sequence,
        step,
        active: Some("1.27.2".to_owned()),
        bytes_downloaded: 0,
        way: None,
        failure: None,
        receipt: None,
    }
}

fn receipt(outcome: Step, active: Option<&str>, now: Timestamp) -> Receipt {
    let evidence = active.map(|version| Evidence {
        go_sha256: Digest::of(b"go"),
        go_version: format!("go version go{version} linux/amd64"),
        goroot: "/root/current".to_owned(),
        path_hit: None,
        path_is_managed: false,
        program_output: "hello".to_owned(),
        took: Span::from_millis(700),
    });
    Receipt {
        outcome,
        active: active.map(str::to_owned),
        manifest: Some(Digest::of(b"manifest")),
        files_verified: 1,
        evidence,
        bytes_downloaded: 1000,
        way: None,
        started_at: now,
        finished_at: now,
        steps: vec![(Step::Fetching, Span::from_secs(4)), (Step::Soaking, Span::from_secs(90))],
        failure: None,
    }
}
