//! What devices report.

use gofleet_core::order::{Failure, FailureKind};

use super::*;

async fn ordered() -> (Bench, RolloutId, DeviceId, u64) {
    let bench = Bench::with_fleet(1).await;
    let rollout = bench.start("r").await;
    bench.tick(&rollout).await;
    let device: DeviceId = "d0".parse().unwrap();
    let generation = bench.order(&device).await.unwrap().generation;
    (bench, rollout, device, generation)
}

#[tokio::test]
async fn a_report_that_comes_late_twice_or_out_of_order_changes_nothing() {
    let (bench, rollout, device, generation) = ordered().await;
    bench.report(&device, progress(generation, 5, Step::Staged)).await;
    let (before, events) = (bench.view(&rollout).await, bench.kinds().await.len());
    bench.report(&device, progress(generation, 5, Step::Staged)).await;
    bench.report(&device, progress(generation, 4, Step::Fetching)).await;
    bench.report(&device, progress(generation - 1, 9, Step::Accepted)).await;
    assert_eq!(bench.view(&rollout).await, before);
    assert_eq!(bench.kinds().await.len(), events);
    assert_eq!(before.devices[0].step, Step::Staged);
}

#[tokio::test]
async fn the_first_report_of_an_order_may_have_any_number() {
    let (bench, rollout, device, generation) = ordered().await;
    bench.report(&device, progress(generation, 0, Step::Fetching)).await;
    assert_eq!(bench.view(&rollout).await.devices[0].step, Step::Fetching);
}

#[tokio::test]
async fn evidence_is_kept_and_a_claim_without_it_is_a_failure() {
    let (mut bench, rollout, device, generation) = ordered().await;
    let mut claim = progress(generation, 1, Step::Accepted);
    claim.active = Some("1.27.3".to_owned());
    bench.report(&device, claim).await;
    let view = bench.view(&rollout).await;
    assert_eq!(view.devices[0].step, Step::Failed);
    assert!(view.devices[0].failure.as_ref().unwrap().message.contains("sent no receipt"));
    bench.pass(1);
    let mut proof = progress(generation, 2, Step::Accepted);
    proof.active = Some("1.27.3".to_owned());
    proof.receipt = Some(receipt(Step::Accepted, Some("1.27.3"), bench.now));
    bench.report(&device, proof.clone()).await;
    let detail = bench.storage.device(&device, bench.now).await.unwrap();
    assert_eq!(detail.history[0].receipt, proof.receipt);
    assert_eq!(detail.history[0].step_at, bench.now);
    assert_eq!(detail.device.facts.active.as_deref(), Some("1.27.3"));
    let install_time = bench.storage.install_time().await.unwrap();
    assert_eq!(install_time, Some(Span::from_secs(4)), "the soak is not part of it");
}

#[tokio::test]
async fn the_way_back_keeps_its_reason() {
    let (bench, rollout, device, generation) = ordered().await;
    let failure = Failure {
        step: Step::Verifying,
        kind: FailureKind::Check,
        message: "compile: exit status 2".to_owned(),
    };
    let mut failed = progress(generation, 1, Step::Failed);
    failed.failure = Some(failure.clone());
    bench.report(&device, failed).await;
    bench.report(&device, progress(generation, 2, Step::Reverting)).await;
    bench.report(&device, progress(generation, 3, Step::Reverted)).await;
    let device = &bench.view(&rollout).await.devices[0];
    assert_eq!((device.step, &device.failure), (Step::Reverted, &Some(failure)));
}

#[tokio::test]
async fn facts_are_kept_and_only_news_is_an_event() {
    let mut bench = Bench::with_fleet(1).await;
    let device: DeviceId = "d0".parse().unwrap();
    let mut facts = new_device(0).facts;
    let events = bench.kinds().await.len();
    bench.pass(10);
    for _ in 0..2 {
        let report = Report { facts: Some(facts.clone()), ..Report::default() };
        bench.storage.take_report(&device, &report, bench.now).await.unwrap();
    }
    assert_eq!(bench.kinds().await.len(), events, "nothing new");
    facts.labels.insert("site".to_owned(), "oslo".to_owned());
    let report = Report { facts: Some(facts.clone()), ..Report::default() };
    bench.storage.take_report(&device, &report, bench.now).await.unwrap();
    assert_eq!(bench.kinds().await.last(), Some(&"device.facts"));
    let known = bench.storage.device(&device, bench.now).await.unwrap().device;
    assert_eq!((known.facts, known.last_seen), (facts, bench.now));
}

#[tokio::test]
async fn being_heard_wakes_nobody_and_is_remembered() {
    let mut bench = Bench::with_fleet(1).await;
    let device: DeviceId = "d0".parse().unwrap();
    let changes = bench.storage.changes();
    bench.pass(180);
    assert!(!bench.storage.devices(bench.now).await.unwrap()[0].online);
    bench.storage.touch(&device, bench.now).await.unwrap();
    assert!(bench.storage.devices(bench.now).await.unwrap()[0].online);
    assert!(!changes.has_changed().unwrap());
    // After the clock was set back, the device is not from the future.
    let back = bench.now - Span::from_secs(3600);
    bench.storage.touch(&device, back).await.unwrap();
    assert_eq!(bench.storage.devices(back).await.unwrap()[0].last_seen, back);
    let unknown = bench.storage.touch(&"nobody".parse().unwrap(), back).await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no device nobody");
}

#[tokio::test]
async fn a_generation_that_only_the_device_remembers_is_never_given_again() {
    let (bench, rollout, device, generation) = ordered().await;
    // The database is older than what the device has seen.
    bench.report(&device, progress(generation + 7, 1, Step::Fetching)).await;
    bench
        .storage
        .decide_rollout(
            Decider::Person { by: &ann(), command: gofleet_core::rollout::Command::Stop },
            &rollout,
            bench.now,
            |view| {
                gofleet_core::rollout::command(view, gofleet_core::rollout::Command::Stop, "ann")
            },
            |_| {},
        )
        .await
        .unwrap()
        .unwrap();
    bench.tick(&rollout).await;
    let order = bench.order(&device).await.unwrap();
    assert_eq!(order.want, Want::Hold);
    assert_eq!(order.generation, generation + 8);
}

#[tokio::test]
async fn until_when_a_device_waits_for_its_window_is_kept_until_it_moves_on() {
    let (bench, rollout, device, generation) = ordered().await;
    let opens = Timestamp::from_millis(1_800_000_000_000);
    let waiting = Progress { waits_until: Some(opens), ..progress(generation, 1, Step::Staged) };
    bench.report(&device, waiting).await;
    let waits_until = |view: &RolloutView| view.devices[0].order.unwrap().waits_until;
    assert_eq!(waits_until(&bench.view(&rollout).await), Some(opens));
    bench.report(&device, progress(generation, 2, Step::Activating)).await;
    assert_eq!(waits_until(&bench.view(&rollout).await), None);
}
