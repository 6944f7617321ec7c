//! Devices that come late into a rollout, by what stands in the database.

use gofleet_core::collection::Members;
use gofleet_core::rollout::{Late, Latecomer};

use super::*;

impl Bench {
    async fn start_late(&self, late: Late, devices: &str) -> RolloutId {
        let mut spec = spec("go");
        (spec.late, spec.devices) = (late, devices.to_owned());
        let plan = self.plan(&spec).await;
        self.storage.start_rollout(&ann(), &plan, self.now).await.unwrap()
    }

    async fn late(&self, rollout: &RolloutId) -> Vec<Latecomer> {
        self.storage.take_latecomers(rollout, self.now).await.unwrap()
    }
}

#[tokio::test]
async fn who_enrols_late_joins_by_the_rule_and_is_upgraded() {
    let mut bench = Bench::with_fleet(2).await;
    let rollout = bench.start_late(Late::NextRing, "").await;
    assert_eq!(bench.late(&rollout).await, [], "those of the plan are not late");
    bench.tick(&rollout).await;
    bench.pass(1);
    let late = bench.enrol(7).await;
    let taken = bench.late(&rollout).await;
    let [Latecomer::Joins { device, ring: 1, .. }] = taken.as_slice() else { panic!("{taken:?}") };
    assert_eq!(*device, late);
    assert_eq!(bench.late(&rollout).await, [], "it is decided once");
    assert_eq!(bench.kinds().await.iter().filter(|it| **it == "device.joined").count(), 1);
    let first = bench.view(&rollout).await.devices[0].device.clone();
    bench.obey(&first).await;
    bench.tick(&rollout).await;
    assert!(bench.order(&late).await.is_some(), "it is ordered when its ring runs");
    bench.pass(1);
    bench.enrol(8).await;
    let taken = bench.late(&rollout).await;
    let [Latecomer::StaysOut(left_out)] = taken.as_slice() else { panic!("{taken:?}") };
    assert_eq!(left_out.reason.code, "late_no_ring_left");
    let view = bench.view(&rollout).await;
    assert_eq!(view.left_out.last(), Some(left_out), "and its reason is kept");
}

#[tokio::test]
async fn by_default_nobody_joins_and_everybody_late_has_a_reason() {
    let bench = Bench::with_fleet(2).await;
    let rollout = bench.start_late(Late::default(), "").await;
    bench.enrol(7).await;
    let taken = bench.late(&rollout).await;
    let [Latecomer::StaysOut(left_out)] = taken.as_slice() else { panic!("{taken:?}") };
    assert_eq!((left_out.hostname.as_str(), left_out.reason.code.as_str()), ("host7", "late"));
    assert_eq!(bench.view(&rollout).await.devices.len(), 2);
}

#[tokio::test]
async fn who_comes_into_a_collection_comes_late_and_who_is_not_picked_does_not() {
    let bench = Bench::with_fleet(3).await;
    let set = async |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let (name, what) = ("pilots".parse().unwrap(), (Members::Static { names }, String::new()));
        bench.storage.set_collection(&ann(), &name, what, bench.now).await.unwrap();
    };
    set(&["host0", "host1"]).await;
    let rollout = bench.start_late(Late::SameRing, "collection = pilots").await;
    assert_eq!(bench.late(&rollout).await, []);
    set(&["host0", "host1", "host2"]).await;
    let taken = bench.late(&rollout).await;
    let [Latecomer::Joins { device, .. }] = taken.as_slice() else { panic!("{taken:?}") };
    assert_eq!(device.as_str(), "d2");
    assert_eq!(bench.view(&rollout).await.devices.len(), 3);
}

#[tokio::test]
async fn a_paused_rollout_looks_when_it_goes_on() {
    let bench = Bench::with_fleet(2).await;
    let rollout = bench.start_late(Late::SameRing, "").await;
    let person = ann();
    let command = async |asked: gofleet_core::rollout::Command| {
        let decide = |view: &RolloutView| gofleet_core::rollout::command(view, asked, "ann");
        let decider = Decider::Person { by: &person, command: asked };
        let done = bench.storage.decide_rollout(decider, &rollout, bench.now, decide, |_| {}).await;
        done.unwrap().unwrap();
    };
    command(gofleet_core::rollout::Command::Pause).await;
    bench.enrol(7).await;
    assert_eq!(bench.late(&rollout).await, []);
    command(gofleet_core::rollout::Command::Resume).await;
    assert_eq!(bench.late(&rollout).await.len(), 1);
}
