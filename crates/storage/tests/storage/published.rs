//! Published rollouts: offers, answers, and what counts into the blast radius.

use gofleet_core::offer::{Answer, Postpone, Publish};
use gofleet_core::rollout::{BlastRadius, WantKind, assign};

use super::*;

fn published(name: &str, devices: &str) -> RolloutSpec {
    let publish = Publish {
        deadline: Span::from_secs(3600),
        postpone: Postpone { times: 1, at_most: Span::from_secs(600) },
        remind: Span::from_secs(600),
        notice: String::new(),
        accept_opens_window: false,
    };
    let rings = "[{name: all, rest: true}]";
    let yaml = format!("{{name: {name}, version: 1.27.3, soak: 0s, rings: {rings}}}");
    let spec = serde_saphyr::from_str(&yaml).unwrap();
    RolloutSpec { publish: Some(publish), devices: devices.to_owned(), ..spec }
}

#[tokio::test]
async fn an_offer_is_kept_over_restarts_until_it_is_answered() {
    let mut bench = Bench::with_fleet(3).await;
    let plan = bench.plan(&published("go", "not hostname = \"host2\"")).await;
    assert!(plan.warnings.iter().any(|it| it.starts_with("published: ")), "{:?}", plan.warnings);
    let rollout = bench.storage.start_rollout(&ann(), &plan, bench.now).await.unwrap();
    bench.tick(&rollout).await;
    let (first, second): (DeviceId, DeviceId) = ("d0".parse().unwrap(), "d1".parse().unwrap());
    let offered_at = bench.now;
    let generation = bench.order(&first).await.unwrap().generation;
    let staged = |sequence, answer| Progress {
        answer: Some(answer),
        ..progress(generation, sequence, Step::Staged)
    };
    bench.report(&first, staged(1, Answer::default())).await;
    let postponed = Answer { postponed: 1, until: Some(bench.now), ..Answer::default() };
    bench.report(&first, staged(2, postponed)).await;
    bench.report(&first, staged(3, postponed)).await;
    bench.reopen().await;
    let view = bench.view(&rollout).await;
    assert_eq!(view.devices[0].order.unwrap().answer, Some(postponed));
    assert_eq!((view.devices[0].offered_at, view.devices[0].attempts), (Some(offered_at), 1));
    assert_eq!(bench.changes_of("device.answered").await.len(), 1, "told once for each answer");

    // Only who fetches is in flight.
    let max = BlastRadius::Devices(9);
    let storage = bench.opened().await.with_blast_radius(Some(max));
    let plan = bench.plan(&published("other", "hostname = \"host2\"")).await;
    let other = bench.storage.start_rollout(&ann(), &plan, bench.now).await.unwrap();
    let exposure = storage.rollout(&other, bench.now).await.unwrap().exposure.unwrap();
    assert_eq!(exposure.elsewhere, 1, "the second is on its way, the first waits for its user");

    let accepted = Answer { accepted_at: Some(bench.now), ..postponed };
    bench.report(&first, staged(4, accepted)).await;
    bench.pass(1);
    bench.tick(&rollout).await;
    let order = bench.order(&first).await.unwrap();
    assert!(matches!(order.want, Want::Activate { .. }), "{order:?}");
    bench.obey(&first).await;

    let decide = |view: &RolloutView| assign(view, Some(&second), "ann");
    let (by, device) = (&ann(), Some(&second));
    let decider = Decider::Assigner { by, device };
    let done = bench.storage.decide_rollout(decider, &rollout, bench.now, decide, |_| {}).await;
    assert_eq!(done.unwrap().unwrap().len(), 1);
    assert_eq!(bench.changes_of("rollout.assigned").await.len(), 1);
    let generation = bench.order(&second).await.unwrap().generation;
    bench.report(&second, progress(generation, 1, Step::Staged)).await;
    bench.tick(&rollout).await;
    let view = bench.view(&rollout).await;
    assert_eq!(view.devices[1].want(), Some(WantKind::Activate));
    assert_eq!(view.devices[1].assigned_by.as_deref(), Some("ann"));
    assert_eq!(view.devices[1].attempts, 1, "the offer and what follows are one attempt");
    bench.obey(&second).await;
    bench.tick(&rollout).await;
    assert!(bench.view(&rollout).await.state.is_final());
}
