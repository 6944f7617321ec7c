//! Devices that are not well: found when the evidence arrives, let in when they are well, and left
//! alone where it is not the devices.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gofleet_api::{Change, Client, Device, HookEvent, KeptOut, QuarantineCause, QuarantineRequest};
use gofleet_core::ids::DeviceId;
use gofleet_core::order::Report;
use gofleet_core::time::Span;
use serde_json::json;

use crate::hooks::listener;
use crate::support::{TestServer, facts, within};

/// From the arrival of the evidence to the quarantine.
const MINUTE: Span = Span::from_secs(60);

async fn start(rules: &str) -> TestServer {
    let flags = [("anomaly_rules", rules), ("reconcile_every", "50ms")];
    TestServer::start_on(tempfile::tempdir().unwrap(), &flags).await
}

/// What an agent tells every minute.
async fn tell(client: &Client, signal: &str, value: f64) {
    let signals = json!({"signals": {"over": "1m", "values": {signal: value}}});
    let report: Report = serde_json::from_value(signals).unwrap();
    client.report(&report).await.unwrap();
}

async fn minutes(server: &TestServer, client: &Client, minutes: usize, signal: &str, value: f64) {
    for _ in 0..minutes {
        server.pass(MINUTE);
        tell(client, signal, value).await;
    }
}

async fn device(server: &TestServer, id: &DeviceId) -> Device {
    server.admin().device(id).await.unwrap().device
}

fn cause(device: &Device) -> Option<&QuarantineCause> {
    match &device.kept_out {
        Some(KeptOut::Quarantine(quarantine)) => Some(&quarantine.cause),
        Some(KeptOut::Hold(_)) | None => None,
    }
}

/// Waits until a device is kept out, or is let in.
async fn until_kept_out(server: &TestServer, id: &DeviceId, is_kept_out: bool) -> Device {
    within(async {
        loop {
            let device = device(server, id).await;
            if device.kept_out.is_some() == is_kept_out {
                return device;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

async fn actions(server: &TestServer, actor: &str) -> Vec<String> {
    let entries = server.admin().audit_entries(100, None, actor, "").await.unwrap();
    entries.into_iter().rev().map(|entry| entry.action).collect()
}

#[tokio::test]
async fn a_device_is_taken_out_at_the_evidence_and_let_in_when_it_is_well() {
    let server = start("busy: processor > 95% for 5m").await;
    let (id, client, _) = server.enrol("one").await;
    minutes(&server, &client, 4, "processor", 99.0).await;
    let detail = server.admin().device(&id).await.unwrap();
    assert_eq!(detail.device.kept_out, None);
    let health = detail.health.unwrap();
    assert_eq!(f64::from(*health.signals.values().next().unwrap()), 99.0);
    assert!(!health.rules[0].fires && health.rules[0].conditions[0].since.is_some());

    let arrival = Instant::now();
    minutes(&server, &client, 1, "processor", 98.5).await;
    let found = device(&server, &id).await;
    // It is done when the report is answered: nothing is waited for.
    println!("from the arrival of the evidence to the quarantine: {:?}", arrival.elapsed());
    let Some(QuarantineCause::Anomaly { rule, evidence }) = cause(&found) else {
        panic!("{found:#?}")
    };
    assert_eq!((rule.as_str(), evidence.len()), ("busy", 1));
    assert_eq!(evidence[0].reading.unwrap().to_string(), "98.5");

    minutes(&server, &client, 10, "processor", 20.0).await;
    assert!(device(&server, &id).await.kept_out.is_some(), "well for nine minutes, not ten");
    server.pass(MINUTE);
    tell(&client, "processor", 20.0).await;
    until_kept_out(&server, &id, false).await;
    assert_eq!(
        actions(&server, "server").await,
        ["audit.key_made", "administrator.token_made", "device.quarantined", "device.let_in"]
            .map(str::to_owned)
    );
    let entry = &server.admin().audit_entries(1, None, "server", "").await.unwrap()[0];
    assert_eq!(entry.details["healthy_for"], "10m");
}

#[tokio::test]
async fn what_a_person_decided_never_ends_by_itself() {
    let server = start("busy: processor > 95% for 1m").await;
    let (id, client, _) = server.enrol("one").await;
    let request = QuarantineRequest { reason: "its disk fails".to_owned() };
    server.admin().quarantine(&id, &request).await.unwrap();
    minutes(&server, &client, 3, "processor", 99.0).await;
    minutes(&server, &client, 30, "processor", 1.0).await;
    let found = device(&server, &id).await;
    assert!(matches!(cause(&found), Some(QuarantineCause::Person { .. })), "{found:#?}");
    // Let in by a person, it is watched anew.
    server.admin().let_in(&id).await.unwrap();
    minutes(&server, &client, 2, "processor", 99.0).await;
    until_kept_out(&server, &id, true).await;
    server.admin().let_in(&id).await.unwrap();
    assert_eq!(device(&server, &id).await.kept_out, None, "a person may let it in as well");
}

#[tokio::test]
async fn silence_is_found_without_a_report() {
    let server = start("silent for 10m").await;
    let (silent, _, _) = server.enrol("silent").await;
    let (heard, client, _) = server.enrol("heard").await;
    // The watch knows both, as of now.
    minutes(&server, &client, 1, "processor", 1.0).await;
    server.pass(Span::from_secs(10 * 60));
    client.order(None, Duration::ZERO).await.unwrap();
    let found = until_kept_out(&server, &silent, true).await;
    assert!(cause(&found).unwrap().to_string().contains("silent for 10m"), "{found:#?}");
    assert_eq!(device(&server, &heard).await.kept_out, None);
}

#[tokio::test]
async fn errors_are_compared_with_what_is_normal_also_after_a_restart() {
    let rule = "errors: errors > 100/min for 1m and errors > 10x baseline";
    let server = start(rule).await;
    let mut clients = Vec::new();
    for n in 0..5 {
        clients.push(server.enrol(&format!("pc-{n}")).await);
    }
    for _ in 0..20 {
        server.pass(MINUTE);
        for (_, client, _) in &clients {
            tell(client, "errors", 10.0).await;
        }
    }
    let (id, client, credential) = clients.remove(0);
    minutes(&server, &client, 3, "errors", 90.0).await;
    assert_eq!(device(&server, &id).await.kept_out, None);
    let rules = server.admin().anomaly_rules().await.unwrap();
    assert_eq!(rules.origin, "--anomaly-rules");
    assert_eq!(rules.rules[0].when, rule.split_once(": ").unwrap().1);
    let normal = f64::from(rules.baselines[0].normal);
    assert!((9.5..10.5).contains(&normal), "{normal}");

    let folder = server.stop().await;
    let flags = [("anomaly_rules", rule), ("reconcile_every", "50ms")];
    let server = TestServer::start_on(folder, &flags).await;
    server.pass(Span::from_secs(3600));
    let kept = server.admin().anomaly_rules().await.unwrap();
    assert_eq!(kept.baselines, rules.baselines);
    let client = server.client(&credential);
    minutes(&server, &client, 2, "errors", 140.0).await;
    assert!(device(&server, &id).await.kept_out.is_some());

    // The quarantine outlives a restart, and ends by itself as before.
    let folder = server.stop().await;
    let server = TestServer::start_on(folder, &flags).await;
    server.pass(Span::from_secs(2 * 3600));
    assert!(device(&server, &id).await.kept_out.is_some());
    let client = server.client(&credential);
    minutes(&server, &client, 11, "errors", 10.0).await;
    until_kept_out(&server, &id, false).await;
}

#[tokio::test]
async fn if_many_of_a_class_are_anomalous_at_once_people_are_told_instead() {
    let (url, heard) = listener().await;
    let flags = [
        ("anomaly_rules", "busy: processor > 95% for 1m"),
        ("reconcile_every", "50ms"),
        ("hook_url", &url),
    ];
    let server = TestServer::start_on(tempfile::tempdir().unwrap(), &flags).await;
    let mut clients = Vec::new();
    for n in 0..20 {
        clients.push(server.enrol(&format!("pc-{n:02}")).await.1);
    }
    server.pass(MINUTE);
    for client in &clients {
        tell(client, "processor", 10.0).await;
    }
    for _ in 0..3 {
        server.pass(MINUTE);
        for client in &clients {
            tell(client, "processor", 99.0).await;
        }
    }
    let devices = server.admin().devices().await.unwrap();
    assert_eq!(devices.iter().filter(|device| device.kept_out.is_some()).count(), 2, "a tenth");
    let last = devices.iter().find(|device| device.facts.hostname == "pc-19").unwrap();
    let health = server.admin().device(&last.id).await.unwrap().health.unwrap();
    assert!(health.is_withheld && health.rules[0].fires);
    let told = server.admin().audit_entries(9, None, "server", "anomaly").await.unwrap();
    assert_eq!(told.len(), 1, "people are told once");
    assert_eq!(
        (&told[0].details["anomalous"], &told[0].details["devices"]),
        (&3.into(), &20.into())
    );
    // Two are drained, and of the third a person is told: nobody else hears of the other 17.
    within(async {
        while heard.lock().unwrap().posts.len() < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    for client in &clients {
        server.pass(Span::from_secs(1));
        tell(client, "processor", 99.0).await;
    }
    let mut calls = BTreeMap::new();
    for device in &devices {
        let hooks = server.admin().device(&device.id).await.unwrap().hooks;
        let events: Vec<_> = hooks.iter().map(|hook| hook.event).collect();
        if !events.is_empty() {
            calls.insert(device.facts.hostname.as_str(), events);
        }
    }
    let expect = [
        ("pc-00", vec![HookEvent::Drain]),
        ("pc-01", vec![HookEvent::Drain]),
        ("pc-02", vec![HookEvent::Withheld]),
    ];
    assert_eq!(calls, expect.into());
    let posts: Vec<_> = heard.lock().unwrap().posts.iter().map(|(_, body)| body.clone()).collect();
    assert_eq!(posts.len(), 3, "{posts:?}");
    let withheld = posts.iter().find(|body| body["event"] == "withheld").unwrap();
    assert_eq!(withheld["hostname"], "pc-02");
    assert_eq!(withheld["withheld"]["anomalous"], 3);
    assert_eq!(withheld["cause"]["rule"], "busy");
    let reason = withheld["reason"].as_str().unwrap();
    assert!(reason.contains("3 of the 20 devices of linux-amd64 are anomalous"), "{reason}");

    let mut events = server.admin().events(Some(0));
    within(async {
        loop {
            let event = events.next().await.unwrap();
            if let Change::AnomalyWithheld { withheld } = event.what {
                assert_eq!(withheld.class.as_str(), "linux-amd64");
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_class_is_a_platform_and_a_label() {
    let server = start("busy: processor > 95% for 1m").await;
    let (id, client, _) = server.enrol("one").await;
    let mut changed = facts("one");
    changed.labels.insert("class".to_owned(), "ci".to_owned());
    client.report(&Report { facts: Some(changed), ..Report::default() }).await.unwrap();
    within(async {
        loop {
            let health = server.admin().device(&id).await.unwrap().health;
            if health.is_some_and(|health| health.class.as_str() == "linux-amd64/ci") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}
