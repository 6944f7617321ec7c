//! Tokens: one use, a short time, and exactly one winner.

use gofleet_api::{EnrolRequest, Key, ProblemCode, TokenRequest};
use gofleet_core::order::Report;
use gofleet_core::time::Span;

use crate::support::{TestServer, facts, refused};

fn request(token: &str) -> EnrolRequest {
    let request = Key::generate().unwrap().request().unwrap();
    EnrolRequest { token: token.to_owned(), facts: facts("pc-1"), request }
}

#[tokio::test]
async fn a_machine_enrols_and_is_seen() {
    let server = TestServer::start().await;
    let (device, client, _) = server.enrol("pc-1").await;
    let devices = server.admin().devices().await.unwrap();
    assert_eq!(devices.len(), 1);
    assert_eq!((&devices[0].id, devices[0].facts.hostname.as_str()), (&device, "pc-1"));
    assert!(devices[0].online);
    let mut facts = facts("pc-1");
    facts.active = Some("1.27.3".to_owned());
    client.report(&Report { facts: Some(facts), ..Report::default() }).await.unwrap();
    let overview = server.admin().overview().await.unwrap();
    assert_eq!((overview.devices, overview.online), (1, 1));
    assert_eq!(overview.versions[0].version.as_deref(), Some("1.27.3"));
    let detail = server.admin().device(&device).await.unwrap();
    assert_eq!(detail.device.facts.active.as_deref(), Some("1.27.3"));
    server.pass("10m".parse().unwrap());
    assert!(!server.admin().device(&device).await.unwrap().device.online);
}

#[tokio::test]
async fn a_token_works_once() {
    let server = TestServer::start().await;
    let token = server.token().await;
    let first = server.public().enrol(&request(&token)).await.unwrap();
    let again = server.public().enrol(&request(&token)).await;
    refused(again, ProblemCode::TokenUsed, first.device.as_str());
    let tokens = server.admin().tokens().await.unwrap();
    assert_eq!(tokens[0].used_by.as_deref(), Some(first.device.as_str()));
    assert_eq!(server.admin().devices().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_expires() {
    let server = TestServer::start().await;
    let ask = TokenRequest {
        expires_in: Some(Span::from_secs(60)),
        note: "lab".to_owned(),
        ..TokenRequest::default()
    };
    let token = server.admin().create_token(&ask).await.unwrap();
    server.pass(Span::from_secs(60));
    let late = server.public().enrol(&request(&token.token)).await;
    refused(late, ProblemCode::TokenExpired, &token.expires_at.to_string());
    let tokens = server.admin().tokens().await.unwrap();
    assert_eq!((tokens[0].note.as_str(), &tokens[0].used_by), ("lab", &None));
    assert!(!token.token.contains(&tokens[0].id), "the list must not help to enrol");
}

#[tokio::test]
async fn a_token_that_nobody_made_is_refused() {
    let server = TestServer::start().await;
    for token in ["", "gfenrol_", "nonsense", &server.admin_token] {
        let answer = server.public().enrol(&request(token)).await;
        refused(answer, ProblemCode::TokenUnknown, "unknown");
    }
}

#[tokio::test]
async fn tokens_are_for_a_short_time() {
    let server = TestServer::start().await;
    for span in ["0s", "31d"] {
        let ask =
            TokenRequest { expires_in: Some(span.parse().unwrap()), ..TokenRequest::default() };
        let answer = server.admin().create_token(&ask).await;
        refused(answer, ProblemCode::InvalidRequest, "at most 30d");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_machines_with_one_token_exactly_one_wins() {
    let server = TestServer::start().await;
    let token = server.token().await;
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (client, request) = (server.public(), request(&token));
            tokio::spawn(async move { client.enrol(&request).await })
        })
        .collect();
    let mut winners = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => winners += 1,
            refusal => refused(refusal, ProblemCode::TokenUsed, "used already"),
        }
    }
    assert_eq!(winners, 1);
    assert_eq!(server.admin().devices().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_unknown_device_is_told_to_enrol_again() {
    let server = TestServer::start().await;
    let (_, _, papers) = server.enrol("one").await;
    let folder = server.stop().await;
    std::fs::remove_file(folder.path().join("gofleet.db")).unwrap();
    let server = TestServer::start_on(folder, &[]).await;
    let stranger = server.client(&papers);
    let answer = stranger.order(None, std::time::Duration::ZERO).await;
    let error = answer.as_ref().unwrap_err();
    assert!(error.hint().unwrap().contains("enrol with a new token"), "{error:?}");
    refused(answer, ProblemCode::Unauthenticated, "not known");
    let report = stranger.report(&Report { facts: Some(facts("x")), ..Report::default() }).await;
    refused(report, ProblemCode::Unauthenticated, "not known");
}
