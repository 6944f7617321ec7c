//! Rollouts as they are asked for: what cannot be planned is refused before anything moves.

use std::time::Duration;

use gofleet_api::{
    AssignRequest, DecisionRequest, EmergencyRequest, HoldRequest, ProblemCode, QuarantineRequest,
    RolloutState,
};
use gofleet_core::offer::Answer;
use gofleet_core::order::{Order, Progress, Report, Step, Want};
use gofleet_core::rollout::Late;
use gofleet_core::time::{Span, Timestamp};
use serde_json::{Value, json};

use crate::support::{TestServer, everybody, http, published, refused, spec, within};

async fn check(server: &TestServer, asked: Value, code: ProblemCode, text: &str) {
    let asked = spec(asked);
    refused(server.admin().plan(&asked).await, code, text);
    refused(server.admin().start(&asked).await, code, text);
    assert!(server.admin().rollouts().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_release_that_is_not_approved_is_not_rolled_out() {
    let server = TestServer::start().await;
    server.enrol("one").await;
    let asked = json!({"name": "a", "version": "1.27.3", "rings": [{"name": "all", "rest": true}]});
    check(&server, asked.clone(), ProblemCode::InvalidRollout, "no release go 1.27.3").await;
    let release = server.import("1.27.3").await.release.id;
    check(&server, asked.clone(), ProblemCode::ReleaseNotApproved, "not approved").await;
    server.admin().block(&release, &DecisionRequest::default()).await.unwrap();
    check(&server, asked, ProblemCode::ReleaseNotApproved, "blocked").await;
}

#[tokio::test]
async fn collections_and_rings_that_make_no_sense_are_refused() {
    let server = TestServer::start().await;
    server.import_approved("1.27.3").await;
    let rings = json!([{"name": "all", "rest": true}]);
    let asked = json!({"name": "a", "version": "1.27.3", "rings": rings});
    check(&server, asked, ProblemCode::InvalidRollout, "no device is enrolled").await;
    server.enrol("one").await;
    let nobody = json!({"name": "a", "version": "1.27.3", "rings": rings,
        "devices": "hostname = \"absent\""});
    check(&server, nobody, ProblemCode::InvalidRollout, "picks none").await;
    let percent = json!([{"name": "a", "percent": 60.0}, {"name": "b", "percent": 60.0}]);
    let percent = json!({"name": "a", "version": "1.27.3", "rings": percent});
    check(&server, percent, ProblemCode::InvalidRollout, "120").await;
    let ringless = json!({"name": "a", "version": "1.27.3", "rings": []});
    check(&server, ringless, ProblemCode::InvalidRollout, "ring").await;
}

#[tokio::test]
async fn a_misspelt_key_is_named() {
    let server = TestServer::start().await;
    let request = server.request("POST", "/rollouts").bearer_auth(&server.admin_token);
    let body = json!({"name": "a", "version": "1", "rings": [], "sook": "1m"});
    let problem: gofleet_api::Problem =
        request.json(&body).send().await.unwrap().json().await.unwrap();
    assert_eq!(problem.code, ProblemCode::InvalidRequest);
    assert!(problem.detail.contains("sook"), "{problem:?}");
}

#[tokio::test]
async fn a_plan_is_shown_started_paused_resumed_and_stopped() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let release = server.import_approved("1.27.3").await.release;
    let (device, client, _) = server.enrol("one").await;
    let plan = admin.plan(&everybody("1.27.3")).await.unwrap();
    assert_eq!(plan.rings[0].devices[0].device, device);
    assert_eq!(plan.bytes, release.archive.size);
    let started = admin.start(&everybody("1.27.3")).await.unwrap();
    let id = started.summary.id.clone();
    refused(admin.start(&everybody("1.27.3")).await, ProblemCode::InvalidRollout, id.as_str());
    let order = client.order(None, Duration::from_secs(20)).await.unwrap().unwrap();
    assert!(matches!(&order.want, Want::Activate { release: ordered, .. } if *ordered == release));
    assert_eq!(order.rollout, id);
    assert_eq!(admin.pause(&id).await.unwrap().summary.state, RolloutState::Paused);
    refused(admin.pause(&id).await, ProblemCode::Conflict, "cannot pause");
    assert_eq!(admin.resume(&id).await.unwrap().summary.state, RolloutState::Running);
    admin.stop(&id).await.unwrap();
    let hold = client.order(Some(order.generation), Duration::from_secs(20)).await.unwrap();
    assert_eq!(hold.unwrap().want, Want::Hold);
    assert_eq!(admin.rollouts().await.unwrap().len(), 1);
    let absent = "r-0".parse().unwrap();
    refused(admin.rollout(&absent).await, ProblemCode::NotFound, "r-0");
    refused(admin.pause(&absent).await, ProblemCode::NotFound, "r-0");
}

#[tokio::test]
async fn who_is_held_is_ordered_nothing_until_let_in() {
    let server = TestServer::start().await;
    let admin = server.admin();
    server.import_approved("1.27.3").await;
    let (device, client, _) = server.enrol("one").await;
    let hold = |devices: &str, reason: &str, until| HoldRequest {
        devices: devices.to_owned(),
        reason: reason.to_owned(),
        from: None,
        until,
    };
    let bad = admin.hold(&hold("hostnam = one", "repair", None)).await;
    refused(bad, ProblemCode::InvalidRequest, "hostname");
    let bad = admin.hold(&hold("", " ", None)).await;
    refused(bad, ProblemCode::InvalidRequest, "no reason");
    let bad = admin.hold(&hold("", "repair", Some(Timestamp::from_millis(1)))).await;
    refused(bad, ProblemCode::InvalidRequest, "would end before");
    let held = admin.hold(&hold("hostname = one", "repair", None)).await.unwrap();
    assert_eq!(admin.holds().await.unwrap(), std::slice::from_ref(&held));

    let plan = admin.plan(&everybody("1.27.3")).await.unwrap();
    let kept_out = plan.rings[0].devices[0].kept_out.clone().unwrap();
    assert_eq!(kept_out.code, "held");
    let id = admin.start(&everybody("1.27.3")).await.unwrap().summary.id;
    let reason = async || {
        let status = admin.rollout(&id).await.unwrap();
        status.rings_detail[0].devices[0].reason.clone().unwrap()
    };
    assert_eq!(reason().await.code, "held");
    assert!(reason().await.text.contains("repair"));
    assert_eq!(client.order(None, Duration::from_millis(1)).await.unwrap(), None);

    // Out of the hold, and into quarantine: it is kept out all the same.
    let request = QuarantineRequest { reason: "its disk fails".to_owned() };
    admin.quarantine(&device, &request).await.unwrap();
    assert_eq!(admin.lift_hold(&held.id).await.unwrap(), held);
    refused(admin.lift_hold(&held.id).await, ProblemCode::NotFound, held.id.as_str());
    assert_eq!(reason().await.code, "in_quarantine");
    assert_eq!(client.order(None, Duration::from_millis(1)).await.unwrap(), None);
    assert!(admin.let_in(&device).await.unwrap().quarantine.is_some());
    assert!(admin.let_in(&device).await.unwrap().quarantine.is_none());
    let order = client.order(None, Duration::from_secs(20)).await.unwrap().unwrap();
    assert!(matches!(order.want, Want::Activate { .. }));
}

#[tokio::test]
async fn an_emergency_stop_holds_until_it_is_lifted() {
    let server = TestServer::start().await;
    let admin = server.admin();
    server.import_approved("1.27.3").await;
    let (_, client, _) = server.enrol("one").await;
    let stop = async |reason: &str| {
        let request = EmergencyRequest { reason: reason.to_owned() };
        admin.stop_everything(&request).await.unwrap().stop.unwrap()
    };
    let first = stop(" ").await;
    assert_eq!(first.reason, "no reason given");
    assert_eq!(stop("builds fail").await, first, "the first one holds");
    let started = admin.start(&everybody("1.27.3")).await;
    refused(started, ProblemCode::Conflict, "gofleet emergency lift");
    assert_eq!(admin.lift_emergency().await.unwrap().stop, Some(first));
    assert_eq!(admin.lift_emergency().await.unwrap().stop, None);

    // Who has an order is told at once, over the poll that is open.
    let id = admin.start(&everybody("1.27.3")).await.unwrap().summary.id;
    let order = client.order(None, Duration::from_secs(20)).await.unwrap().unwrap();
    stop("builds fail").await;
    let hold = client.order(Some(order.generation), Duration::from_secs(20)).await.unwrap();
    assert_eq!(hold.unwrap().want, Want::Hold);
    let status = admin.rollout(&id).await.unwrap();
    assert_eq!(status.summary.reason.unwrap().code, "emergency");
}

#[tokio::test]
async fn a_plan_can_be_played_before_it_is_started() {
    let server = TestServer::start().await;
    let admin = server.admin();
    server.import_approved("1.27.3").await;
    for name in ["one", "two", "three"] {
        server.enrol(name).await;
    }
    let asked = everybody("1.27.3");
    let simulated = admin.simulate(&asked).await.unwrap();
    assert_eq!(simulated.plan, admin.plan(&asked).await.unwrap());
    let forecast = simulated.forecast.unwrap();
    assert_eq!((forecast.runs, forecast.rings[0].devices), (200, 3));
    assert!(forecast.finish.is_some_and(|it| it.p50 >= asked.soak), "{forecast:?}");
    assert!(!forecast.basis[0].is_measured && forecast.basis[0].samples == 0, "{forecast:?}");
    let bytes: u64 = forecast.sites.iter().map(|site| site.bytes).sum();
    // Who tries again fetches again, which is one of a hundred.
    let planned = simulated.plan.bytes;
    assert!(bytes > planned * 9 / 10 && bytes < planned * 11 / 10, "{bytes} of {planned}");

    let plain = server.request("POST", "/rollouts/plan").bearer_auth(&server.admin_token);
    let plain: Value = plain.json(&asked).send().await.unwrap().json().await.unwrap();
    assert!(plain["forecast"].is_null() && plain["rings"].is_array(), "{plain}");
    assert!(admin.rollouts().await.unwrap().is_empty(), "nothing was started");
}

#[tokio::test]
async fn what_was_to_be_expected_is_shown_beside_what_happens() {
    let server = TestServer::start().await;
    server.import_approved("1.27.3").await;
    server.enrol("one").await;
    let id = server.admin().start(&everybody("1.27.3")).await.unwrap().summary.id;
    let page = format!("/rollouts/{id}");
    server.page_when(&page, "ring all opened").await;
    let page = server.page_when(&page, "The forecast made at the start expects").await;
    assert!(page.contains("class=\"c-band\""), "{page}");
}

#[tokio::test]
async fn a_selector_and_its_window_are_previewed() {
    let server = TestServer::start().await;
    for name in ["one", "two"] {
        server.enrol(name).await;
    }
    let ask = async |query: &str| -> Value {
        let request = server.request("GET", &format!("/rollouts/preview?{query}"));
        let request = request.bearer_auth(&server.admin_token);
        request.send().await.unwrap().json().await.unwrap()
    };
    let all = ask("").await;
    assert_eq!(all["text"], "these 2 devices, at any time");
    assert_eq!((all["devices"].as_u64(), all["of"].as_u64()), (Some(2), Some(2)));
    let one = ask("devices=hostname%20%3D%20one&window=daily%2000%3A00-24%3A00").await;
    let words = one["text"].as_str().unwrap();
    assert!(words.starts_with("this 1 device, window open for all"), "{words}");
    let wrong = ask("devices=hostnam%20%3D%20one").await;
    assert_eq!(wrong["status"], 400);
    let detail = wrong["detail"].as_str().unwrap();
    assert!(detail.contains("column 1") && detail.contains("hostname"), "{detail}");
    let wrong = ask("window=someday").await;
    assert!(wrong["detail"].as_str().unwrap().contains("someday"), "{wrong}");
    let wrong = ask("closed=2026-12-24").await;
    assert!(wrong["detail"].as_str().unwrap().contains("need a window"), "{wrong}");
}

#[tokio::test]
async fn the_planner_plans_plays_advises_and_starts() {
    let server = TestServer::start().await;
    server.import_approved("1.27.3").await;
    for name in ["one", "two", "three"] {
        server.enrol(name).await;
    }
    let form = "version=go1.27.3&rings=all%3Arest&soak=1m&nodes=7&managed.error_rate=1%25";
    let page = server.page_when(&format!("/planner?do=forecast&{form}"), "</html>").await;
    for expect in [
        "these 3 devices, at any time",
        "through, in 95% of runs",
        "Arrival of devices",
        "about 2%, as is published",
        "7 nodes, 12 changes a year",
        "name=\"managed.error_rate\" value=\"1%\"",
        "formaction=\"/planner/start\"",
        "data-still",
    ] {
        assert!(page.contains(expect), "{expect}: {page}");
    }
    // What is wrong is said on the page, beside what was written.
    for (query, expect) in [
        ("do=plan&version=1.27.9", "no release go 1.27.9"),
        ("do=plan&rings=x", "it has no colon"),
        ("do=plan&max_in_flight=many", "not a number of devices at once"),
        ("do=plan&soak=soon", "not a span of time"),
        ("devices=hostnam+%3D+one", "hostname"),
        ("script.error_rate=2", "is no value for"),
    ] {
        let page = server.page_when(&format!("/planner?{query}"), "</html>").await;
        assert!(page.to_lowercase().contains(expect), "{query}: {page}");
    }
    assert!(server.admin().rollouts().await.unwrap().is_empty(), "nothing was started");

    let start = async |form: &'static str| {
        let request = http().post(format!("{}/planner/start", server.plain_url));
        let request = request.bearer_auth(&server.admin_token);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.body(form).send().await.unwrap()
    };
    let answer = start(form).await;
    assert!(answer.url().path().starts_with("/rollouts/r"), "{}", answer.url());
    let started = server.admin().rollouts().await.unwrap();
    assert_eq!((started.len(), started[0].name.as_str()), (1, "go 1.27.3"));
    let again = start(form).await;
    assert_eq!(again.status(), 422);
    assert!(again.text().await.unwrap().contains(started[0].id.as_str()), "it says which");
}

#[tokio::test]
async fn a_published_release_is_activated_when_its_user_or_an_operator_says_so() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let release = server.import_approved("1.27.3").await.release;
    let (device, client, _) = server.enrol("one").await;
    let (second, other, _) = server.enrol("two").await;
    let id = admin.start(&published("1.27.3")).await.unwrap().summary.id;
    let order = client.order(None, Duration::from_secs(20)).await.unwrap().unwrap();
    let Want::Offer { release: offered, offer } = &order.want else { panic!("{order:?}") };
    assert_eq!((offered, offer.notice.as_str()), (&release, "Save your work."));
    assert_eq!(offer.deadline.since(offer.since), Span::from_secs(3600));

    let told = |order: &Order, sequence, answer| Report {
        progress: Some(Progress {
            generation: order.generation,
            order: None,
            sequence,
            step: Step::Staged,
            active: None,
            waits_until: None,
            answer: Some(answer),
            bytes_downloaded: 0,
            way: None,
            failure: None,
            receipt: None,
        }),
        ..Report::default()
    };
    let until = Some(offer.deadline);
    let postponed = Answer { postponed: 1, until, ..Answer::default() };
    client.report(&told(&order, 1, postponed)).await.unwrap();
    let status = admin.rollout(&id).await.unwrap();
    let devices = &status.rings_detail[0].devices;
    let reason = devices.iter().find(|it| it.device == device).unwrap().reason.clone().unwrap();
    assert_eq!(reason.code, "user");
    assert!(reason.text.contains("postponed once"), "{reason}");
    let latest = admin.device(&device).await.unwrap().device.latest.unwrap();
    assert_eq!((latest.answer, latest.offer.as_ref()), (Some(postponed), Some(offer)));

    let accepted = Answer { accepted_at: Some(offer.since), ..postponed };
    client.report(&told(&order, 2, accepted)).await.unwrap();
    let next = client.order(Some(order.generation), Duration::from_secs(20)).await.unwrap();
    assert!(matches!(next.unwrap().want, Want::Activate { .. }));

    let offer = other.order(None, Duration::from_secs(20)).await.unwrap().unwrap();
    assert!(matches!(offer.want, Want::Offer { .. }));
    other.report(&told(&offer, 1, Answer::default())).await.unwrap();
    let one = AssignRequest { device: Some(second) };
    admin.assign(&id, &one).await.unwrap();
    let next = other.order(Some(offer.generation), Duration::from_secs(20)).await.unwrap();
    assert!(matches!(next.unwrap().want, Want::Activate { .. }));
    refused(admin.assign(&id, &one).await, ProblemCode::Conflict, "no user is left to be asked");
    let absent = AssignRequest { device: Some("d-0".parse().unwrap()) };
    refused(admin.assign(&id, &absent).await, ProblemCode::Conflict, "d-0 is not part");
}

#[tokio::test]
async fn an_assigned_rollout_has_nobody_to_ask() {
    let server = TestServer::start().await;
    let admin = server.admin();
    server.import_approved("1.27.3").await;
    server.enrol("one").await;
    let id = admin.start(&everybody("1.27.3")).await.unwrap().summary.id;
    let refusal = admin.assign(&id, &AssignRequest::default()).await;
    refused(refusal, ProblemCode::Conflict, "started without `publish`");
    let mut hasty = published("1.27.3");
    hasty.publish.as_mut().unwrap().deadline = Span::ZERO;
    refused(admin.plan(&hasty).await, ProblemCode::InvalidRollout, "`deadline` is 0s");
}

#[tokio::test]
async fn who_enrols_late_is_ordered_by_the_rule_or_has_a_reason() {
    let server = TestServer::start().await;
    server.import_approved("1.27.3").await;
    server.enrol("early").await;
    let admin = server.admin();
    let mut spec = everybody("1.27.3");
    spec.late = Late::SameRing;
    let rollout = admin.start(&spec).await.unwrap().summary.id;
    let (_, latecomer, _) = server.enrol("latecomer").await;
    let order = latecomer.order(None, Duration::from_secs(30)).await.unwrap().unwrap();
    assert_eq!(order.rollout, rollout, "it joins, and is ordered");
    admin.stop(&rollout).await.unwrap();
    server.enrol("another").await;
    (spec.name, spec.late) = ("fixed".to_owned(), Late::Never);
    spec.devices = "hostname = another".to_owned();
    let rollout = admin.start(&spec).await.unwrap().summary.id;
    server.enrol("another").await;
    let status = within(async {
        loop {
            let status = admin.rollout(&rollout).await.unwrap();
            if !status.left_out.is_empty() {
                return status;
            }
        }
    })
    .await;
    let left_out = &status.left_out[0];
    assert_eq!((left_out.hostname.as_str(), left_out.reason.code.as_str()), ("another", "late"));
}
