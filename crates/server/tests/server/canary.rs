//! Gates that compare the signals of upgraded devices with those of the others.

use std::collections::BTreeMap;
use std::time::Duration;

use gofleet_api::{Client, RolloutState};
use gofleet_core::agent::Seen;
use gofleet_core::digest::Digest;
use gofleet_core::event::Change;
use gofleet_core::ids::{DeviceId, RolloutId};
use gofleet_core::order::{Evidence, Progress, Receipt, Report, Step};
use gofleet_core::rollout::replay;
use gofleet_core::time::{Span, Timestamp};
use serde_json::json;

use crate::support::{TestServer, spec, within};

const MINUTE: Span = Span::from_secs(60);

/// A fleet of which the first ring has a release, as each of its devices says.
struct Fleet {
    server: TestServer,
    clients: BTreeMap<DeviceId, Client>,
    upgraded: Vec<DeviceId>,
    rollout: RolloutId,
}

impl Fleet {
    async fn start() -> Self {
        let flags = [("reconcile_every", "50ms")];
        let server = TestServer::start_on(tempfile::tempdir().unwrap(), &flags).await;
        server.import_approved("1.27.3").await;
        let mut clients = BTreeMap::new();
        for number in 0..18 {
            let (id, client, _) = server.enrol(&format!("d{number:02}")).await;
            clients.insert(id, client);
        }
        let asked = spec(json!({
            "name": "careful", "version": "1.27.3", "soak": "0s", "on_failure": "roll_back_all",
            "rings": [{"name": "first", "count": 8}, {"name": "all", "rest": true}],
            "gate": {"canary": {"higher_is_worse": ["processor"], "measure": "3m"}},
        }));
        let rollout = server.admin().start(&asked).await.unwrap().summary.id;
        let status = server.admin().rollout(&rollout).await.unwrap();
        let first = status.rings_detail[0].devices.iter();
        let upgraded: Vec<DeviceId> = first.map(|device| device.device.clone()).collect();
        for device in &upgraded {
            accept(&clients[device]).await;
        }
        Self { server, clients, upgraded, rollout }
    }

    /// Each device tells what it measured in another minute.
    async fn minute(&self, of_upgraded: f64) {
        self.server.pass(MINUTE);
        for (place, (device, client)) in self.clients.iter().enumerate() {
            let usual = if self.upgraded.contains(device) { of_upgraded } else { 20.0 };
            let values = json!({"processor": usual + place as f64 / 10.0});
            let report = json!({"signals": {"over": "1m", "values": values}});
            client.report(&serde_json::from_value(report).unwrap()).await.unwrap();
        }
    }

    async fn until(&self, wanted: impl Fn(&gofleet_api::RolloutStatus) -> bool) {
        within(async {
            while !wanted(&self.server.admin().rollout(&self.rollout).await.unwrap()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    /// What gates saw and decided, each decision made again.
    async fn decisions(&self) -> Vec<Change> {
        let events = self.server.admin().decisions(&self.rollout).await.unwrap();
        let decisions: Vec<Change> = events.into_iter().map(|event| event.what).collect();
        assert!(decisions.iter().filter_map(replay).all(|replayed| replayed.is_same));
        decisions
    }
}

/// A device does as it is told, and proves it.
async fn accept(client: &Client) {
    let order = client.order(None, Duration::from_secs(20)).await.unwrap().unwrap();
    let at = Timestamp::from_millis(0);
    let receipt = Receipt {
        outcome: Step::Accepted,
        active: Some("1.27.3".to_owned()),
        manifest: None,
        files_verified: 6,
        evidence: Some(Evidence {
            go_sha256: Digest::of(b"go"),
            go_version: "go version go1.27.3 linux/amd64".to_owned(),
            goroot: "/gofleet".to_owned(),
            path_hit: None,
            path_is_managed: false,
            program_output: "gofleet check 1 go1.27.3".to_owned(),
            took: Span::ZERO,
        }),
        bytes_downloaded: 0,
        way: None,
        started_at: at,
        finished_at: at,
        steps: Vec::new(),
        failure: None,
    };
    let progress = Progress {
        generation: order.generation,
        order: Some(Seen::of(&order).digest),
        sequence: 1,
        step: Step::Accepted,
        active: Some("1.27.3".to_owned()),
        waits_until: None,
        answer: None,
        bytes_downloaded: 0,
        way: None,
        failure: None,
        receipt: Some(receipt),
    };
    let report = Report { progress: Some(progress), ..Report::default() };
    client.report(&report).await.unwrap();
}

#[tokio::test]
async fn a_release_that_makes_devices_busier_is_put_back_though_each_accepts() {
    let fleet = Fleet::start().await;
    fleet.until(|it| it.rings_detail[0].tally.successes == 8).await;
    fleet.until(|it| it.rings_detail[0].reasons.iter().any(|it| it.code == "signals")).await;
    for _ in 0..5 {
        fleet.minute(60.0).await;
    }
    fleet.until(|it| it.summary.state == RolloutState::RollingBack).await;
    let status = fleet.server.admin().rollout(&fleet.rollout).await.unwrap();
    let reason = status.summary.reason.clone().unwrap().text;
    // The gate may look before the last device has told of its minute.
    let (upgraded, others) = reason.split_once(" against ").expect(&reason);
    assert!(upgraded.contains("processor on ") && upgraded.ends_with(" devices"), "{reason}");
    assert!(others.contains(" without the release: +"), "{reason}");
    let decisions = fleet.decisions().await;
    assert!(
        decisions.iter().any(|it| matches!(it, Change::RingLook { ring, .. } if ring == "first"))
    );
    let page = format!("/rollouts/{}", fleet.rollout);
    let page = fleet.server.page_when(&page, "look 1; processor").await;
    assert!(page.contains(" without the release: +"), "{page}");
}

#[tokio::test]
async fn a_release_that_changes_nothing_goes_on_to_the_others() {
    let fleet = Fleet::start().await;
    fleet.until(|it| it.rings_detail[0].tally.successes == 8).await;
    for _ in 0..5 {
        fleet.minute(20.0).await;
    }
    fleet.until(|it| it.summary.current_ring == 1).await;
    let decisions = fleet.decisions().await;
    let looks = decisions.iter().filter(|it| matches!(it, Change::RingLook { .. }));
    assert!(looks.count() >= 1, "{decisions:?}");
}
