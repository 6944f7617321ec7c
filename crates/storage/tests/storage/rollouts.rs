//! Rollouts from start to end, across restarts.

use gofleet_core::advice::Outcome;
use gofleet_core::order::{Failure, FailureKind};
use gofleet_core::rollout::forecast::{Absence, Behaviour, Fared, Forecasting, Took, forecast};
use gofleet_core::rollout::{
    BlastRadius, Command, Previous, RingState, RolloutState, WantKind, command,
};
use gofleet_core::window::Window;
use gofleet_storage::{Moment, StartError};

use super::*;

async fn ask(bench: &Bench, rollout: &RolloutId, asked: Command) {
    let decide = |view: &RolloutView| command(view, asked, "ann");
    let by = &ann();
    let decider = Decider::Person { by, command: asked };
    let done = bench.storage.decide_rollout(decider, rollout, bench.now, decide, |_| {}).await;
    done.unwrap().unwrap();
}

async fn run(bench: &mut Bench, rollout: &RolloutId) {
    for _ in 0..50 {
        bench.pass(1);
        while bench.tick(rollout).await > 0 {}
        let view = bench.view(rollout).await;
        if view.state.is_final() {
            return;
        }
        for device in view.devices.iter().filter(|device| device.is_in_flight()) {
            bench.obey(&device.device).await;
        }
        // As if the server were killed after each round.
        bench.reopen().await;
    }
    panic!("the rollout never ended: {:#?}", bench.view(rollout).await);
}

#[tokio::test]
async fn a_rollout_goes_through_and_back_across_restarts() {
    let mut bench = Bench::with_fleet(3).await;
    let rollout = bench.start("go").await;
    run(&mut bench, &rollout).await;
    let view = bench.view(&rollout).await;
    assert_eq!(view.state, RolloutState::Completed);
    assert!(view.rings.iter().all(|ring| ring.state == RingState::Passed));
    let summary = &bench.storage.rollouts().await.unwrap()[0];
    assert_eq!(*summary, gofleet_core::rollout::summary(&view), "list and detail agree");
    let overview = bench.storage.overview(bench.now).await.unwrap();
    assert_eq!((overview.devices, overview.moving), (3, vec![]));
    assert_eq!(overview.versions[0].version.as_deref(), Some("1.27.3"));

    ask(&bench, &rollout, Command::Rollback).await;
    run(&mut bench, &rollout).await;
    let view = bench.view(&rollout).await;
    assert_eq!(view.state, RolloutState::RolledBack);
    for device in &view.devices {
        assert_eq!(device.active.as_deref(), Some("1.27.2"));
        assert_eq!(device.bytes_downloaded, 2000, "of both orders");
        let history = bench.storage.device(&device.device, bench.now).await.unwrap().history;
        let wanted: Vec<_> = history.iter().map(|order| order.wanted.as_str()).collect();
        assert_eq!(wanted, ["go back to go-1.27.2-linux-amd64", "activate go-1.27.3-linux-amd64"]);
    }
}

#[tokio::test]
async fn two_rollouts_share_one_blast_radius() {
    let mut bench = Bench::with_fleet(1).await;
    let one_device = Some(BlastRadius::Devices(1));
    bench.storage = Arc::new(bench.opened().await.with_blast_radius(one_device));
    let first = bench.start("first").await;
    bench.enrol(7).await;
    let second = bench.start("second").await;
    while bench.tick(&first).await > 0 {}
    while bench.tick(&second).await > 0 {}
    let elsewhere = bench.view(&second).await.exposure.unwrap().elsewhere;
    assert_eq!((elsewhere, bench.view(&second).await.places_taken()), (1, 0));
    let device = bench.view(&first).await.devices[0].device.clone();
    bench.obey(&device).await;
    bench.pass(1);
    while bench.tick(&first).await > 0 {}
    run(&mut bench, &second).await;
    assert_eq!(bench.view(&second).await.state, RolloutState::Completed);
}

#[tokio::test]
async fn the_database_and_the_core_count_the_exposed_alike() {
    let steps: Vec<Step> = Step::ALL.into_iter().filter(|step| *step != Step::Waiting).collect();
    let mut bench = Bench::with_fleet(steps.len()).await;
    let (mut asked, many) = (spec("first"), Some(BlastRadius::Devices(1000)));
    bench.storage = Arc::new(bench.opened().await.with_blast_radius(many));
    asked.rings.remove(0);
    let plan = bench.plan(&asked).await;
    let first = bench.storage.start_rollout(&ann(), &plan, bench.now).await.unwrap();
    bench.tick(&first).await;
    bench.enrol(77).await;
    let second = bench.start("second").await;
    let alike = async |bench: &Bench| {
        let devices = bench.view(&first).await.devices;
        let exposed = devices.iter().filter(|device| device.is_exposed()).count() as u32;
        assert_eq!(bench.view(&second).await.exposure.unwrap().elsewhere, exposed, "{devices:#?}");
        exposed
    };
    assert_eq!(alike(&bench).await as usize, steps.len(), "all are ordered");
    for (device, step) in bench.view(&first).await.devices.iter().zip(&steps) {
        let generation = device.order.unwrap().generation;
        bench.report(&device.device, progress(generation, 1, *step)).await;
    }
    let before = alike(&bench).await;
    // Who fell silent is exposed until a person accepts that.
    bench.pass(24 * 3600);
    while bench.tick(&first).await > 0 {}
    assert_eq!(alike(&bench).await, before);
    ask(&bench, &first, Command::Resume).await;
    assert_eq!(alike(&bench).await, 0);
}

#[tokio::test]
async fn the_database_and_the_core_apply_alike() {
    let mut bench = Bench::with_fleet(4).await;
    let rollout = bench.start("go").await;
    for round in 0..20 {
        bench.pass(1);
        if round == 3 {
            ask(&bench, &rollout, Command::Rollback).await;
        }
        let mut expect = bench.view(&rollout).await;
        for action in advance(&expect.clone(), bench.now) {
            gofleet_core::rollout::apply(&mut expect, &action, bench.now);
        }
        bench.tick(&rollout).await;
        let view = bench.view(&rollout).await;
        assert_eq!(view, expect, "in round {round}");
        for device in view.devices.iter().filter(|device| device.is_in_flight()) {
            bench.obey(&device.device).await;
        }
    }
    assert_eq!(bench.view(&rollout).await.state, RolloutState::RolledBack);
}

#[tokio::test]
async fn what_is_dropped_before_the_commit_never_happened() {
    let bench = Bench::with_fleet(2).await;
    let rollout = bench.start("go").await;
    let (before, events) = (bench.view(&rollout).await, bench.kinds().await);
    let storage = Arc::clone(&bench.storage);
    let (id, now) = (rollout.clone(), bench.now);
    let killed = tokio::spawn(async move {
        let decide = |view: &RolloutView| Ok::<_, ()>(advance(view, now));
        let die = |moment| assert_ne!(moment, Moment::Decided, "killed here");
        storage.decide_rollout(Decider::Server, &id, now, decide, die).await
    });
    assert!(killed.await.is_err());
    assert_eq!(bench.view(&rollout).await, before);
    assert_eq!(bench.kinds().await, events);
    assert!(bench.tick(&rollout).await > 0, "and then it does");
}

#[tokio::test]
async fn every_change_has_its_event_and_wakes_those_who_wait() {
    let bench = Bench::with_fleet(1).await;
    let rollout = bench.start("go").await;
    let mut changes = bench.storage.changes();
    changes.mark_unchanged();
    bench.tick(&rollout).await;
    assert!(changes.has_changed().unwrap());
    let kinds = bench.kinds().await;
    assert_eq!(kinds[kinds.len() - 3..], ["rollout.started", "rollout.ring", "device.ordered"]);
    let events = bench.storage.events_since(0, 1000).await.unwrap();
    let sequences: Vec<_> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=events.len() as u64).collect::<Vec<_>>());
    assert_eq!(*changes.borrow(), events.len() as u64);
    let text = serde_json::to_string(&events[events.len() - 1]).unwrap();
    assert!(text.contains(r#""kind":"device.ordered","data":{"device":"d0""#), "{text}");
    assert_eq!(bench.changes_of("device.ordered").await.len(), 1);
}

#[tokio::test]
async fn nothing_starts_that_would_meet_another_rollout() {
    let bench = Bench::with_fleet(2).await;
    let (one, same, other) = (
        bench.plan(&spec("one")).await,
        bench.plan(&spec("one")).await,
        bench.plan(&spec("other")).await,
    );
    let start = async |plan: &_| bench.storage.start_rollout(&ann(), plan, START).await;
    start(&one).await.unwrap();
    assert!(matches!(start(&same).await.unwrap_err(), StartError::NameTaken { .. }));
    let busy = start(&other).await.unwrap_err();
    assert!(busy.to_string().contains("is part of rollout r1 since: plan again"), "{busy}");
    assert_eq!(bench.storage.rollouts().await.unwrap().len(), 1, "nothing half-made is left");
    let fleet = bench.storage.fleet(bench.now).await.unwrap();
    assert!(fleet.iter().all(|device| device.busy_with.as_ref().unwrap().as_str() == "r1"));
}

#[tokio::test]
async fn nothing_starts_with_a_release_that_was_blocked_meanwhile() {
    let bench = Bench::with_fleet(1).await;
    let plan = bench.plan(&spec("one")).await;
    bench.decide("1.27.3", ReleaseStatus::Blocked).await;
    let error = bench.storage.start_rollout(&ann(), &plan, START).await.unwrap_err();
    assert_eq!(error.to_string(), "go-1.27.3-linux-amd64 is blocked since: plan again");
}

#[tokio::test]
async fn a_block_in_the_middle_stops_new_orders() {
    let mut bench = Bench::with_fleet(2).await;
    let rollout = bench.start("one").await;
    bench.tick(&rollout).await;
    bench.decide("1.27.3", ReleaseStatus::Blocked).await;
    bench.pass(1);
    bench.tick(&rollout).await;
    let view = bench.view(&rollout).await;
    assert_eq!(view.state, RolloutState::Paused);
    assert_eq!(view.cause.unwrap().code(), "not_approved");
}

#[tokio::test]
async fn what_was_active_before_is_remembered_from_the_order_on() {
    let bench = Bench::with_fleet(3).await;
    let mut facts = new_device(1).facts;
    facts.active = Some("1.26.0".to_owned());
    let report = Report { facts: Some(facts.clone()), ..Report::default() };
    bench.storage.take_report(&"d1".parse().unwrap(), &report, START).await.unwrap();
    facts.active = None;
    let report = Report { facts: Some(facts), ..Report::default() };
    bench.storage.take_report(&"d2".parse().unwrap(), &report, START).await.unwrap();
    let rollout = bench.start("one").await;
    let of = |view: &RolloutView, id: &str| {
        view.devices.iter().find(|it| it.device.as_str() == id).unwrap().previous.clone()
    };
    let view = bench.view(&rollout).await;
    assert_eq!(of(&view, "d0"), Previous::Release("go-1.27.2-linux-amd64".parse().unwrap()));
    assert_eq!(of(&view, "d1"), Previous::Unknown("1.26.0".to_owned()));
    assert_eq!(of(&view, "d2"), Previous::Nothing);
    bench.tick(&rollout).await;
    let first = view.devices[0].device.clone();
    bench.obey(&first).await;
    let later = bench.view(&rollout).await;
    assert_eq!(of(&later, first.as_str()), of(&view, first.as_str()), "not what is active now");
}

#[tokio::test]
async fn a_later_order_of_another_rollout_supersedes() {
    let mut bench = Bench::with_fleet(1).await;
    let one = bench.start("one").await;
    run(&mut bench, &one).await;
    let mut back = spec("two");
    (back.version, back.allow_downgrade) = ("1.27.2".to_owned(), true);
    let plan = bench.plan(&back).await;
    let two = bench.storage.start_rollout(&ann(), &plan, bench.now).await.unwrap();
    bench.pass(1);
    bench.tick(&two).await;
    assert_eq!(bench.view(&one).await.devices[0].superseded_by, Some(two));
    ask(&bench, &one, Command::Rollback).await;
    bench.tick(&one).await;
    assert_eq!(bench.view(&one).await.state, RolloutState::RolledBack);
    let order = bench.order(&"d0".parse().unwrap()).await.unwrap();
    assert!(matches!(order.want, Want::Activate { release, .. } if release.version == "1.27.2"));
}

#[tokio::test]
async fn stopping_holds_who_has_not_begun() {
    let mut bench = Bench::with_fleet(1).await;
    let rollout = bench.start("one").await;
    bench.tick(&rollout).await;
    let first = bench.order(&"d0".parse().unwrap()).await.unwrap();
    ask(&bench, &rollout, Command::Stop).await;
    run(&mut bench, &rollout).await;
    let view = bench.view(&rollout).await;
    assert_eq!(view.state, RolloutState::Stopped);
    assert_eq!(view.devices[0].want(), Some(WantKind::Hold));
    let later = bench.storage.order_after(&first.device, first.generation).await.unwrap();
    assert_eq!(later.unwrap().generation, first.generation + 1);
    let none = bench.storage.order_after(&first.device, first.generation + 1).await.unwrap();
    assert_eq!(none, None);
}

#[tokio::test]
async fn finished_rollouts_tell_how_their_devices_fared() {
    let mut bench = Bench::with_fleet(3).await;
    let rollout = bench.start("go").await;
    for _ in 0..2 {
        while bench.tick(&rollout).await > 0 {}
        assert_eq!(bench.storage.outcomes(10).await.unwrap(), [], "it has not ended");
        bench.pass(40);
        for device in bench.view(&rollout).await.devices.iter().filter(|it| it.is_in_flight()) {
            bench.obey(&device.device).await;
        }
    }
    run(&mut bench, &rollout).await;
    let accepted = Outcome::Accepted { took: Some(Span::from_secs(40)) };
    assert_eq!(bench.storage.outcomes(10).await.unwrap(), [accepted; 3]);
    assert_eq!(bench.storage.outcomes(0).await.unwrap(), []);

    ask(&bench, &rollout, Command::Rollback).await;
    run(&mut bench, &rollout).await;
    assert_eq!(bench.storage.outcomes(10).await.unwrap(), [], "going back by order says nothing");
}

#[tokio::test]
async fn what_the_fleet_did_is_there_for_forecasts() {
    let mut bench = Bench::with_fleet(3).await;
    assert_eq!(bench.storage.behaviour().await.unwrap(), Behaviour::default());
    let rollout = bench.start("go").await;
    for _ in 0..2 {
        while bench.tick(&rollout).await > 0 {}
        bench.pass(40);
        for device in bench.view(&rollout).await.devices.iter().filter(|it| it.is_in_flight()) {
            bench.obey(&device.device).await;
        }
    }
    let behaviour = bench.storage.behaviour().await.unwrap();
    let took = Took { fetch: Span::from_secs(4), rest: Span::from_secs(36) };
    assert!(behaviour.timed.iter().all(|it| it.took == took), "{behaviour:?}");
    let mut devices: Vec<_> = behaviour.timed.iter().map(|it| it.device.as_str()).collect();
    devices.sort_unstable();
    assert_eq!(devices, ["d0", "d1", "d2"]);
    assert_eq!(behaviour.timed[0].class.as_str(), "linux-amd64");
    assert_eq!(behaviour.fared, Fared::default(), "it has not ended");
    run(&mut bench, &rollout).await;
    let fared = bench.storage.behaviour().await.unwrap().fared;
    assert_eq!(fared, Fared { devices: 3, failures: 0, silent: 0, attempts: 3 });
}

#[tokio::test]
async fn times_of_windows_leave_out_the_waiting_and_failures_count() {
    let mut bench = Bench::with_fleet(2).await;
    let mut asked = spec("go");
    asked.rings.remove(0);
    asked.window =
        Some(Window { open: vec!["daily 01:00-05:00".parse().unwrap()], closed: Vec::new() });
    let plan = bench.plan(&asked).await;
    let rollout = bench.storage.start_rollout(&ann(), &plan, bench.now).await.unwrap();
    while bench.tick(&rollout).await > 0 {}
    bench.pass(3000);
    let view = bench.view(&rollout).await;
    bench.obey(&view.devices[0].device).await;
    let mut failed = progress(view.devices[1].order.unwrap().generation, 1, Step::Reverted);
    let kind = FailureKind::Check;
    failed.failure = Some(Failure { step: Step::Verifying, kind, message: "no".to_owned() });
    bench.report(&view.devices[1].device, failed).await;
    ask(&bench, &rollout, Command::Stop).await;
    run(&mut bench, &rollout).await;
    let behaviour = bench.storage.behaviour().await.unwrap();
    let took = Took { fetch: Span::from_secs(4), rest: Span::ZERO };
    assert_eq!(behaviour.timed.iter().map(|it| it.took).collect::<Vec<_>>(), [took]);
    assert_eq!(behaviour.fared, Fared { devices: 2, failures: 1, silent: 0, attempts: 2 });
}

#[tokio::test]
async fn a_forecast_is_kept_beside_its_rollout() {
    let bench = Bench::with_fleet(2).await;
    let asked = spec("go");
    let plan = bench.plan(&asked).await;
    let (releases, fleet) =
        (bench.storage.releases().await.unwrap(), bench.storage.fleet(bench.now).await.unwrap());
    let planning = Planning {
        spec: &asked,
        releases: &releases,
        fleet: &fleet,
        collections: &[],
        moving: &[],
        artifacts: &[],
        seed: &asked.name,
        install_time: Planning::ASSUMED_INSTALL_TIME,
        now: bench.now,
        listening_since: bench.now,
    };
    let behaviour = bench.storage.behaviour().await.unwrap();
    let exposure = bench.storage.exposure().await.unwrap();
    assert_eq!(exposure, None, "there is no blast radius");
    let budget = 10_000;
    let forecast =
        forecast(&Forecasting { planning, behaviour: &behaviour, exposure, budget }, &plan);
    let rollout = bench.storage.start_rollout(&ann(), &plan, bench.now).await.unwrap();
    assert_eq!(bench.storage.forecast(&rollout).await.unwrap(), None);
    bench.storage.keep_forecast(&rollout, &forecast, bench.now).await.unwrap();
    assert_eq!(bench.storage.forecast(&rollout).await.unwrap(), Some(forecast));
    assert_eq!(bench.storage.forecast(&"r99".parse().unwrap()).await.unwrap(), None);
}

#[tokio::test]
async fn absences_are_noted_as_far_as_the_server_listened() {
    let mut bench = Bench::with_fleet(2).await;
    let (away, here): (DeviceId, DeviceId) = ("d0".parse().unwrap(), "d1".parse().unwrap());
    let begin = bench.now;
    bench.storage.listening_since(begin);
    for _ in 0..6 {
        bench.pass(600);
        bench.storage.touch(&here, bench.now).await.unwrap();
    }
    assert_eq!(bench.storage.behaviour().await.unwrap().absences, [], "it has not come back");
    bench.storage.touch(&away, bench.now).await.unwrap();
    let hour = Span::from_secs(3600);
    let first = Absence { device: away.clone(), from: begin, until: begin + hour };
    let known = bench.storage.behaviour().await.unwrap().absences;
    assert_eq!(known, std::slice::from_ref(&first));

    // The server was down for ten hours, and hears it an hour later.
    bench.pass(36_000);
    bench.reopen().await;
    bench.storage.listening_since(bench.now);
    bench.pass(3600);
    bench.storage.touch(&away, bench.now).await.unwrap();
    bench.storage.touch(&here, bench.now).await.unwrap();
    let second = |device| Absence {
        device,
        from: begin + Span::from_secs(11 * 3600),
        until: begin + Span::from_secs(12 * 3600),
    };
    let mut known = bench.storage.behaviour().await.unwrap().absences;
    known.sort_by_key(|it| (it.from, it.device.clone()));
    assert_eq!(known, [first, second(away.clone()), second(here)]);

    // After four weeks they are forgotten.
    bench.pass(29 * 86_400);
    bench.storage.touch(&away, bench.now).await.unwrap();
    let known = bench.storage.behaviour().await.unwrap().absences;
    assert_eq!(known.len(), 1, "{known:?}");
}
