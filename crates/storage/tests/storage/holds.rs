//! Devices that are kept out of rollouts, and whose fault a failure is.

use gofleet_core::hold::{KeptOut, QuarantineCause};
use gofleet_core::hook::{HookEvent, HookTarget};
use gofleet_core::order::{Failure, FailureKind};
use gofleet_core::rollout::RolloutState;
use gofleet_storage::{NewHold, StorageError};

use super::*;

fn hold(devices: &str, from: Timestamp, until: Option<Timestamp>) -> NewHold {
    NewHold { devices: devices.to_owned(), reason: "fair week".to_owned(), from, until }
}

async fn held(bench: &Bench, rollout: &RolloutId) -> Vec<String> {
    let devices = bench.view(rollout).await.devices;
    devices.iter().filter(|it| it.kept_out.is_some()).map(|it| it.device.to_string()).collect()
}

#[tokio::test]
async fn a_hold_picks_devices_by_their_facts_while_it_holds() {
    let mut bench = Bench::with_fleet(3).await;
    let rollout = bench.start("go").await;
    let until = bench.now + Span::from_secs(60);
    let new = hold("hostname = host1", bench.now + Span::from_secs(10), Some(until));
    let first = bench.storage.add_hold(&ann(), new, bench.now).await.unwrap();
    assert_eq!(first.id.as_str(), "h1");
    assert_eq!(held(&bench, &rollout).await, [""; 0], "it does not hold yet");
    bench.pass(10);
    assert_eq!(held(&bench, &rollout).await, ["d1"]);
    let fleet = bench.storage.fleet(bench.now).await.unwrap();
    assert_eq!(fleet.iter().filter(|device| device.kept_out.is_some()).count(), 1);
    let device = bench.storage.device(&"d1".parse().unwrap(), bench.now).await.unwrap().device;
    assert_eq!(device.kept_out, Some(KeptOut::Hold(first)));
    bench.pass(50);
    assert_eq!(held(&bench, &rollout).await, [""; 0], "it has ended by itself");
    assert_eq!(bench.storage.holds(bench.now).await.unwrap(), []);

    let second =
        bench.storage.add_hold(&ann(), hold("", bench.now, None), bench.now).await.unwrap();
    assert_eq!(held(&bench, &rollout).await.len(), 3);
    bench.reopen().await;
    bench.storage.lift_hold(&ann(), &second.id, bench.now).await.unwrap();
    assert_eq!(held(&bench, &rollout).await, [""; 0]);
    let again = bench.storage.lift_hold(&ann(), &second.id, bench.now).await;
    assert!(matches!(again, Err(StorageError::UnknownHold(id)) if id == second.id));
    assert_eq!(bench.changes_of("hold.lifted").await.len(), 1);
}

#[tokio::test]
async fn the_first_cause_of_a_quarantine_stays_until_it_ends() {
    let bench = Bench::with_fleet(2).await;
    let device: DeviceId = "d1".parse().unwrap();
    let person =
        |reason: &str| QuarantineCause::Person { by: "ann".to_owned(), reason: reason.to_owned() };
    let first = bench.storage.quarantine(&ann(), &device, person("disk"), bench.now).await.unwrap();
    let again =
        bench.storage.quarantine(&ann(), &device, person("noise"), bench.now).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(bench.storage.overview(bench.now).await.unwrap().quarantined, 1);
    let rollout = bench.start("go").await;
    assert_eq!(held(&bench, &rollout).await, ["d1"]);
    assert_eq!(
        bench.storage.end_quarantine(&ann(), &device, bench.now).await.unwrap(),
        Some(first)
    );
    assert_eq!(bench.storage.end_quarantine(&ann(), &device, bench.now).await.unwrap(), None);
    assert_eq!(held(&bench, &rollout).await, [""; 0]);
    let kinds = bench.kinds().await;
    let count = |kind: &str| kinds.iter().filter(|it| **it == kind).count();
    assert_eq!((count("device.quarantined"), count("device.let_in")), (1, 1));
    let nobody = "d9".parse().unwrap();
    let unknown = bench.storage.quarantine(&ann(), &nobody, person("?"), bench.now).await;
    assert!(matches!(unknown, Err(StorageError::UnknownDevice(_))));
}

fn anomaly() -> QuarantineCause {
    QuarantineCause::Anomaly { rule: "busy".to_owned(), evidence: Vec::new() }
}

#[tokio::test]
async fn only_an_anomaly_ends_because_the_device_is_well() {
    let bench = Bench::with_fleet(1).await;
    let (device, well) = ("d0".parse().unwrap(), Span::from_secs(600));
    let person = QuarantineCause::Person { by: "ann".to_owned(), reason: "disk".to_owned() };
    bench.storage.quarantine(&ann(), &device, person, bench.now).await.unwrap();
    bench.storage.quarantine(&By::server(), &device, anomaly(), bench.now).await.unwrap();
    assert!(!bench.storage.end_anomaly(&device, well, bench.now).await.unwrap());
    bench.storage.end_quarantine(&ann(), &device, bench.now).await.unwrap();
    assert!(!bench.storage.end_anomaly(&device, well, bench.now).await.unwrap(), "it is in none");
    bench.storage.quarantine(&By::server(), &device, anomaly(), bench.now).await.unwrap();
    assert!(bench.storage.end_anomaly(&device, well, bench.now).await.unwrap());
    let kinds = bench.kinds().await;
    assert_eq!(kinds.iter().filter(|kind| **kind == "device.let_in").count(), 2);
}

#[tokio::test]
async fn calls_of_hooks_are_due_in_their_order_and_end() {
    let mut bench = Bench::with_fleet(2).await;
    let hooks = vec![HookTarget::Command, HookTarget::Webhook];
    bench.storage = Arc::new(bench.opened().await.with_hooks(hooks));
    let device: DeviceId = "d0".parse().unwrap();
    bench.storage.quarantine(&By::server(), &device, anomaly(), bench.now).await.unwrap();
    bench.storage.end_quarantine(&ann(), &device, bench.now).await.unwrap();
    let due = async |bench: &Bench| bench.storage.due_calls(bench.now, 9).await.unwrap();
    let first = due(&bench).await;
    assert_eq!(first.len(), 2, "the return waits for the drain, at each target");
    assert!(first.iter().all(|due| due.call.event == HookEvent::Drain));
    bench.storage.call_tried(first[0].place, Ok(()), bench.now).await.unwrap();
    bench.storage.call_tried(first[1].place, Err("busy".to_owned()), bench.now).await.unwrap();
    let next = due(&bench).await;
    assert_eq!(next.len(), 1);
    assert_eq!((next[0].call.event, next[0].target), (HookEvent::Return, first[0].target));
    for _ in 0..5 {
        bench.pass(200);
        let again = due(&bench).await;
        let again = again.iter().find(|due| due.place == first[1].place).unwrap();
        bench.storage.call_tried(again.place, Err("busy".to_owned()), bench.now).await.unwrap();
    }
    bench.pass(1000);
    let rest = due(&bench).await;
    assert!(rest.iter().all(|due| due.call.event == HookEvent::Return), "it was given up");
    assert_eq!(rest.len(), 2);
}

/// The rollout of a version goes on to its end; one device fails each of its orders.
async fn run_with_one_bad(bench: &mut Bench, rollout: &RolloutId, bad: &str) {
    for _ in 0..20 {
        bench.pass(1);
        while bench.tick(rollout).await > 0 {}
        let view = bench.view(rollout).await;
        if view.state.is_final() || view.state == RolloutState::Paused {
            return;
        }
        for device in view.devices.iter().filter(|device| device.is_in_flight()) {
            if device.device.as_str() != bad {
                bench.obey(&device.device).await;
            }
        }
        while bench.tick(rollout).await > 0 {}
        let view = bench.view(rollout).await;
        let waits = |it: &&gofleet_core::rollout::DeviceView| it.device.as_str() == bad;
        let Some(it) = view.devices.iter().find(waits).filter(|it| it.is_in_flight()) else {
            continue;
        };
        let mut progress = progress(it.order.unwrap().generation, 1, Step::Reverted);
        progress.failure = Some(Failure {
            step: Step::Verifying,
            kind: FailureKind::Check,
            message: "compile crashed".to_owned(),
        });
        bench.report(&it.device, progress).await;
    }
}

fn all_at_once(name: &str, version: &str) -> RolloutSpec {
    serde_saphyr::from_str(&format!(
        "{{name: {name}, version: {version}, soak: 0s, gate: {{max_failures: 1}}, \
         rings: [{{name: all, rest: true}}]}}"
    ))
    .unwrap()
}

#[tokio::test]
async fn a_device_that_fails_alike_with_two_releases_goes_into_quarantine() {
    let mut bench = Bench::with_fleet(4).await;
    let first = bench.plan(&all_at_once("first", "1.27.3")).await;
    let first = bench.storage.start_rollout(&ann(), &first, bench.now).await.unwrap();
    run_with_one_bad(&mut bench, &first, "d2").await;
    let view = bench.view(&first).await;
    assert_eq!(view.state, RolloutState::Completed, "one failure was allowed");
    assert!(view.devices.iter().all(|device| device.kept_out.is_none()), "one is not enough");
    let outcomes = bench.storage.outcomes(1).await.unwrap();
    let measured = gofleet_core::advice::measure(outcomes);
    assert_eq!((measured.devices, measured.failures, measured.timed), (4, 1, 3));

    bench.import("1.27.4", b"go").await;
    bench.decide("1.27.4", ReleaseStatus::Approved).await;
    let second = bench.plan(&all_at_once("second", "1.27.4")).await;
    let second = bench.storage.start_rollout(&ann(), &second, bench.now).await.unwrap();
    run_with_one_bad(&mut bench, &second, "d2").await;
    let view = bench.view(&second).await;
    let bad = view.devices.iter().find(|it| it.device.as_str() == "d2").unwrap();
    let Some(KeptOut::Quarantine(quarantine)) = &bad.kept_out else { panic!("{bad:#?}") };
    let QuarantineCause::FailsAlike { releases, .. } = &quarantine.cause else {
        panic!("{quarantine:?}")
    };
    let releases: Vec<&str> = releases.iter().map(gofleet_core::ids::ReleaseId::as_str).collect();
    assert_eq!(releases, ["go-1.27.4-linux-amd64", "go-1.27.3-linux-amd64"]);
    let tally = gofleet_core::rollout::tally(&view, 0, bench.now);
    assert_eq!((tally.failures, tally.out, tally.successes), (0, 1, 3));
}
