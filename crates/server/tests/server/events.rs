//! The event stream: complete, in order, taken up again where it broke.

use gofleet_api::{Event, ProblemCode, TokenRequest};
use reqwest::StatusCode;

use crate::support::{TestServer, refused, within};

async fn next(events: &mut gofleet_api::client::EventStream) -> Event {
    within(events.next()).await.unwrap()
}

#[tokio::test]
async fn changes_are_told_as_they_happen() {
    let server = TestServer::start().await;
    let mut events = server.admin().events(None);
    events.connect().await.unwrap();
    let (device, _, _) = server.enrol("one").await;
    server.import("1.27.3").await;
    let kinds = [next(&mut events).await, next(&mut events).await, next(&mut events).await];
    let told: Vec<_> = kinds.iter().map(|event| event.what.kind()).collect();
    assert_eq!(told, ["token.created", "device.enrolled", "release.imported"]);
    assert_eq!(kinds[1].what.device(), Some(&device));
    assert!(kinds.is_sorted_by_key(|event| event.sequence));
}

#[tokio::test]
async fn a_reader_goes_on_where_it_was_even_over_a_restart() {
    let server = TestServer::start().await;
    for _ in 0..3 {
        server.token().await;
    }
    let mut all = server.admin().events(Some(0));
    let first = next(&mut all).await;
    let mut resumed = server.admin().events(Some(first.sequence));
    let second = next(&mut resumed).await;
    assert_eq!(second, next(&mut all).await, "none is left out and none comes twice");
    let folder = server.stop().await;
    let server = TestServer::start_on(folder, &[]).await;
    let mut after_restart = server.admin().events(Some(second.sequence));
    assert!(next(&mut after_restart).await.sequence > second.sequence);
}

#[tokio::test]
async fn the_stream_is_plain_server_sent_events() {
    let server = TestServer::start().await;
    server.admin().create_token(&TokenRequest::default()).await.unwrap();
    let request = server.request("GET", "/events").bearer_auth(&server.admin_token);
    let request = request.header("last-event-id", "0").header("accept-encoding", "gzip");
    let mut response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert!(!response.headers().contains_key("content-encoding"), "nothing may hold events back");
    let mut text = String::new();
    while !text.contains("\n\n") {
        let chunk = within(response.chunk()).await.unwrap().expect("the stream stays open");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    for part in ["id: 1\n", "event: token.created\n", "data: {\"sequence\":1,"] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn a_place_that_is_no_number_is_refused() {
    let server = TestServer::start().await;
    let request = server.request("GET", "/events").bearer_auth(&server.admin_token);
    let response = request.header("last-event-id", "soon").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let (_, device, _) = server.enrol("one").await;
    let mut events = device.events(None);
    refused(events.next().await, ProblemCode::Forbidden, "person");
}
