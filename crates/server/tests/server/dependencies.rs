//! What releases ask of other packages, from the import to the order.

use std::time::Duration;

use gofleet_api::{Client, DecisionRequest, ProblemCode};
use gofleet_core::dependency::Dependencies;
use gofleet_core::order::Report;
use reqwest::StatusCode;

use crate::support::{TestServer, everybody, facts, refused};

async fn tell_agent(client: &Client, hostname: &str, version: &str) {
    let mut facts = facts(hostname);
    facts.agent_version = version.to_owned();
    client.report(&Report { facts: Some(facts), ..Report::default() }).await.unwrap();
}

#[tokio::test]
async fn who_lacks_the_agent_is_left_out_with_the_chain_and_the_other_is_ordered() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let requires = vec!["gofleet-agent>=0.2.0".parse().unwrap()];
    let asked = Dependencies { requires, conflicts: Vec::new() };
    let path = server.go("1.27.3");
    let release = admin.upload(&path, "a test", None, &asked, |_| {}).await.unwrap().release;
    assert_eq!(release.dependencies, asked);
    let id = &release.release.id;
    admin.approve(id, &DecisionRequest { reason: String::new() }).await.unwrap();
    let other = Dependencies { conflicts: asked.requires.clone(), requires: Vec::new() };
    let again = admin.upload(&path, "a test", None, &other, |_| {}).await;
    refused(again, ProblemCode::Conflict, "requires gofleet-agent>=0.2.0");

    let (_, new, _) = server.enrol("new").await;
    let (_, old, _) = server.enrol("old").await;
    tell_agent(&new, "new", "0.1.9").await;
    tell_agent(&old, "old", "0.1.0").await;
    let refusal = admin.plan(&everybody("1.27.3")).await;
    refused(refusal, ProblemCode::InvalidRollout, "the device has gofleet-agent 0.1.9");
    tell_agent(&new, "new", "0.2.0").await;
    let plan = admin.plan(&everybody("1.27.3")).await.unwrap();
    let planned = |it: &gofleet_core::rollout::PlannedDevice| it.hostname.clone();
    assert_eq!(plan.rings[0].devices.iter().map(planned).collect::<Vec<_>>(), ["new"]);
    let [left_out] = plan.left_out.as_slice() else { panic!("{:?}", plan.left_out) };
    assert_eq!(left_out.reason.code, "package_missing");
    assert_eq!(
        left_out.reason.text,
        "go-1.27.3-linux-amd64 requires gofleet-agent>=0.2.0; the device has gofleet-agent \
         0.1.0; no release in the catalog would do"
    );
    admin.start(&everybody("1.27.3")).await.unwrap();
    let order = new.order(None, Duration::from_secs(20)).await.unwrap();
    assert!(order.is_some(), "its requirement is fulfilled");
    assert_eq!(old.order(None, Duration::from_millis(1)).await.unwrap(), None);
}

#[tokio::test]
async fn what_cannot_be_read_as_versions_is_refused() {
    let server = TestServer::start().await;
    let path = server.go("1.27.3");
    let request = server.request("POST", "/releases").bearer_auth(&server.admin_token);
    let request = request.header("x-gofleet-requires", "gofleet-agent>=0.2.0; go=>1");
    let response = request.body(std::fs::read(path).unwrap()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let text = response.text().await.unwrap();
    assert!(text.contains("x-gofleet-requires") && text.contains("`>1` is no version"), "{text}");
    assert!(server.admin().releases().await.unwrap().is_empty());
}
