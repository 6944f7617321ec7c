//! Distribution points: enrolled once, offered at their site while they are heard.

use gofleet_api::{ClientError, EnrolEdgeRequest, EnrolRequest, Key, ProblemCode, WaysRequest};
use gofleet_core::time::Span;

use crate::support::{TestServer, edge_report, facts, refused};

#[tokio::test]
async fn a_token_makes_one_distribution_point_or_one_device() {
    let server = TestServer::start().await;
    let csr = || Key::generate().unwrap().request().unwrap();
    let (token, report) = (server.token().await, edge_report("berlin"));
    let request = EnrolEdgeRequest { token, report, request: csr() };
    let edge = server.public().enrol_edge(&request).await.unwrap();
    let again = server.public().enrol_edge(&request).await.unwrap();
    assert_eq!(again.edge, edge.edge, "the same request is the same distribution point");
    let other = EnrolEdgeRequest { request: csr(), ..request.clone() };
    let other = server.public().enrol_edge(&other).await;
    refused(other, ProblemCode::TokenUsed, edge.edge.as_str());
    let device = EnrolRequest { token: request.token, facts: facts("one"), request: csr() };
    refused(server.public().enrol(&device).await, ProblemCode::TokenUsed, edge.edge.as_str());
    let unknown =
        EnrolEdgeRequest { token: "gfenrol_0".to_owned(), report: request.report, request: csr() };
    refused(server.public().enrol_edge(&unknown).await, ProblemCode::TokenUnknown, "unknown");
}

#[tokio::test]
async fn nonsense_about_itself_is_refused() {
    let server = TestServer::start().await;
    let (client, _) = server.enrol_edge("berlin").await;
    let check = async |change: fn(&mut gofleet_api::EdgeReport), says: &str| {
        let mut report = edge_report("berlin");
        change(&mut report);
        refused(client.edge_report(&report).await, ProblemCode::InvalidRequest, says);
    };
    check(|it| it.url = "ftp://x".to_owned(), "http:// or https://").await;
    check(|it| it.url = "http://".to_owned(), "name a host").await;
    check(|it| it.url = "http://a b".to_owned(), "name a host").await;
    check(|it| it.name = "x".repeat(201), "more than 200").await;
    check(|it| it.site = "a\nb".to_owned(), "unprintable").await;
}

#[tokio::test]
async fn devices_are_told_of_those_at_their_site() {
    let server = TestServer::start().await;
    let release = server.import_approved("1.27.3").await;
    let (edge, _) = server.enrol_edge("berlin").await;
    server.enrol_edge("paris").await;
    let (device, nowhere) = (server.enrol_at("one", "berlin").await, server.enrol("two").await.1);
    let ask = async |client: &gofleet_api::Client| {
        let release = release.release.id.clone();
        let request = WaysRequest { release, holds: Vec::new(), formats: vec![1] };
        let answer = client.ways(&request).await.unwrap();
        answer.edges.into_iter().map(|edge| edge.name).collect::<Vec<_>>()
    };
    assert_eq!(ask(&device).await, ["cache-berlin"]);
    assert!(ask(&nowhere).await.is_empty());
    server.pass(Span::from_secs(121));
    assert!(ask(&device).await.is_empty(), "not heard for two minutes");
    edge.edge_report(&edge_report("berlin")).await.unwrap();
    assert_eq!(ask(&device).await, ["cache-berlin"]);
    let sites: Vec<_> =
        server.admin().edges().await.unwrap().into_iter().map(|it| it.report.site).collect();
    assert_eq!(sites, ["berlin", "paris"]);
}

#[tokio::test]
async fn a_distribution_point_fetches_artifacts_and_nothing_else() {
    let server = TestServer::start().await;
    let release = server.import_approved("1.27.3").await.release;
    let (edge, _) = server.enrol_edge("berlin").await;
    let size = edge.artifact_size(&release.archive.sha256).await.unwrap();
    assert_eq!(size, Some(release.archive.size));
    assert_eq!(edge.artifact_size(&release.manifest).await.unwrap(), None);
    let unknown = server.public().artifact_size(&release.archive.sha256).await.unwrap_err();
    assert!(matches!(unknown, ClientError::NotGofleet { status: 401, .. }), "{unknown}");
    refused(edge.agent_manifest(&release.id).await, ProblemCode::Forbidden, "a device");
    refused(edge.releases().await, ProblemCode::Forbidden, "person");
}
