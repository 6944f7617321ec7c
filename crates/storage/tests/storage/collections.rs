//! Who belongs to a collection, by what stands in the database.

use std::collections::BTreeSet;

use gofleet_core::collection::Members;
use gofleet_core::enrolment::Scope;
use gofleet_core::facts::Facts;
use gofleet_storage::{EnrolError, NewHold, StorageError};

use sqlx::Connection as _;

use super::*;

fn name(name: &str) -> gofleet_core::ids::CollectionName {
    name.parse().unwrap()
}

fn listed(names: &[&str]) -> Members {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Members::Imported { names, source: "a test".to_owned() }
}

impl Bench {
    async fn set(&self, collection: &str, members: Members) {
        let what = (members.checked().unwrap(), String::new());
        self.storage.set_collection(&ann(), &name(collection), what, self.now).await.unwrap();
    }

    /// The collections of a device, by each way to read it.
    async fn belongs(&self, device: &DeviceId) -> Vec<String> {
        let texts = |facts: &Facts| facts.collections.iter().map(ToString::to_string).collect();
        let facts = self.storage.facts(device).await.unwrap();
        let own: Vec<String> = texts(&facts);
        let detail = self.storage.device(device, self.now).await.unwrap();
        assert_eq!(texts(&detail.device.facts), own);
        let devices = self.storage.devices(self.now).await.unwrap();
        assert_eq!(texts(&devices.iter().find(|it| it.id == *device).unwrap().facts), own);
        let fleet = self.storage.fleet(self.now).await.unwrap();
        assert_eq!(texts(&fleet.iter().find(|it| it.id == *device).unwrap().facts), own);
        own
    }

    async fn stored_facts(&self, device: &DeviceId) -> String {
        let path = self.folder.path().join("a b%20#?").join("gofleet.db");
        let path = path.display().to_string().replace('%', "%25").replace('#', "%23");
        let path = path.replace('?', "%3F").replace(' ', "%20");
        let mut connection =
            sqlx::AnyConnection::connect(&format!("sqlite://{path}")).await.unwrap();
        sqlx::query_scalar("SELECT facts FROM devices WHERE id = $1")
            .bind(device.to_string())
            .fetch_one(&mut connection)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn a_device_belongs_by_name_before_and_after_it_enrols() {
    let bench = Bench::new().await;
    bench.set("pilots", listed(&["host0", "HOST1.corp.example"])).await;
    let all = Members::Selector { devices: "label.site = berlin".to_owned() };
    bench.set("berlin", all).await;
    let early = bench.enrol(0).await;
    assert_eq!(bench.belongs(&early).await, ["berlin", "pilots"]);
    let later = bench.enrol(1).await;
    assert_eq!(bench.belongs(&later).await, ["berlin", "pilots"]);
    bench.set("Pilots", listed(&["host1"])).await;
    assert_eq!(bench.belongs(&early).await, ["berlin"], "what is set again replaces");
    let names: Vec<_> = bench.storage.collections().await.unwrap();
    assert_eq!(names.len(), 2, "case does not count");
}

#[tokio::test]
async fn a_device_cannot_put_itself_into_a_collection() {
    let bench = Bench::new().await;
    bench.set("pilots", listed(&["somebody"])).await;
    let claims: BTreeSet<_> = [name("pilots"), name("invented")].into();
    let mut device = new_device(7);
    device.facts.collections = claims.clone();
    let token = Digest::of(b"token");
    let expires_at = bench.now + Span::from_secs(600);
    bench.storage.add_token(&ann(), &token, any(), expires_at, bench.now).await.unwrap();
    bench.storage.enrol(&By::token(&token), &token, &device, bench.now).await.unwrap();
    assert!(bench.belongs(&device.id).await.is_empty(), "when it enrols");
    assert!(!bench.stored_facts(&device.id).await.contains("pilots"));
    let mut facts = device.facts.clone();
    facts.free_bytes += 1;
    let report = Report { facts: Some(facts), ..Report::default() };
    bench.storage.take_report(&device.id, &report, bench.now).await.unwrap();
    assert!(bench.belongs(&device.id).await.is_empty(), "when it reports");
    assert!(!bench.stored_facts(&device.id).await.contains("pilots"));
}

#[tokio::test]
async fn a_token_for_a_collection_admits_its_machines_only_whatever_they_claim() {
    let bench = Bench::new().await;
    bench.set("pilots", listed(&["host1"])).await;
    let token = Digest::of(b"token");
    let scope = Scope { devices: "collection = pilots".to_owned(), ..Scope::default() };
    let expires_at = bench.now + Span::from_secs(600);
    bench.storage.add_token(&ann(), &token, ("", &scope), expires_at, bench.now).await.unwrap();
    let mut stranger = new_device(0);
    stranger.facts.collections = [name("pilots")].into();
    let by = By::token(&token);
    let refused = bench.storage.enrol(&by, &token, &stranger, bench.now).await;
    assert!(matches!(refused, Err(EnrolError::OutOfScope(_))), "{refused:?}");
    let in_use = bench.storage.delete_collection(&ann(), &name("pilots"), bench.now).await;
    assert!(in_use.unwrap_err().to_string().contains("enrolment token"));
    bench.storage.enrol(&by, &token, &new_device(1), bench.now).await.unwrap();
    bench.storage.delete_collection(&ann(), &name("pilots"), bench.now).await.unwrap();
}

#[tokio::test]
async fn a_hold_on_a_collection_holds_whoever_belongs_to_it_at_the_moment() {
    let bench = Bench::with_fleet(2).await;
    let rollout = bench.start("go").await;
    bench.set("frozen", listed(&["host1"])).await;
    let hold = NewHold {
        devices: "collection = frozen".to_owned(),
        reason: "fair week".to_owned(),
        from: bench.now,
        until: None,
    };
    let hold = bench.storage.add_hold(&ann(), hold, bench.now).await.unwrap();
    let held = async || {
        let view = bench.view(&rollout).await;
        let held = view.devices.iter().filter(|it| it.kept_out.is_some());
        held.map(|it| it.hostname.clone()).collect::<Vec<_>>()
    };
    assert_eq!(held().await, ["host1"]);
    bench.set("frozen", listed(&["host0"])).await;
    assert_eq!(held().await, ["host0"]);
    let refused = bench.storage.delete_collection(&ann(), &name("Frozen"), bench.now).await;
    let refused = refused.unwrap_err().to_string();
    assert_eq!(refused, "collection frozen is used by hold h1 (fair week)");
    bench.storage.lift_hold(&ann(), &hold.id, bench.now).await.unwrap();
    bench.storage.delete_collection(&ann(), &name("frozen"), bench.now).await.unwrap();
    let gone = bench.storage.collection(&name("frozen")).await;
    assert!(matches!(gone, Err(StorageError::UnknownCollection(_))));
}

#[tokio::test]
async fn a_collection_stays_while_a_rollout_that_asks_for_it_has_not_ended() {
    let bench = Bench::with_fleet(2).await;
    bench.set("pilots", listed(&["host1"])).await;
    let mut spec = spec("go");
    spec.rings[0].size = gofleet_core::rollout::RingSize::Select("collection = pilots".into());
    let plan = bench.plan(&spec).await;
    assert_eq!(plan.rings[0].devices[0].hostname, "host1");
    let rollout = bench.storage.start_rollout(&ann(), &plan, bench.now).await.unwrap();
    let refused = bench.storage.delete_collection(&ann(), &name("pilots"), bench.now).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        format!("collection pilots is used by rollout {rollout} (go)")
    );
}
