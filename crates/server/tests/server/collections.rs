//! Collections over HTTP: written, used by selectors, refused by name, shown at the console.

use gofleet_api::{Client, CollectionRequest, HoldRequest, Members, ProblemCode};
use gofleet_core::ids::CollectionName;
use gofleet_core::rollout::RingSize;

use crate::support::{TestServer, everybody, refused};

fn name(name: &str) -> CollectionName {
    name.parse().unwrap()
}

fn listed(names: &[&str]) -> CollectionRequest {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    CollectionRequest { members: Members::Static { names }, note: "who volunteered".to_owned() }
}

fn picked(devices: &str) -> CollectionRequest {
    let members = Members::Selector { devices: devices.to_owned() };
    CollectionRequest { members, note: String::new() }
}

/// Every route, for the test that looks for their entries in the log.
pub async fn set_and_delete(admin: &Client) {
    admin.preview_collection(&name("pilots"), &picked("")).await.unwrap();
    admin.set_collection(&name("pilots"), &picked("")).await.unwrap();
    admin.delete_collection(&name("pilots")).await.unwrap();
}

#[tokio::test]
async fn a_collection_is_previewed_written_listed_and_replaced() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for host in ["web01", "web02", "pc-1"] {
        server.enrol(host).await;
    }
    let pilots = name("pilots");
    let change = admin.preview_collection(&pilots, &listed(&["web01", "new"])).await.unwrap();
    assert_eq!((change.come.len(), change.go.len(), change.unknown), (1, 0, vec!["new".into()]));
    assert!(admin.collections().await.unwrap().is_empty(), "a preview writes nothing");
    admin.set_collection(&pilots, &listed(&["web01", "new"])).await.unwrap();
    let listed = &admin.collections().await.unwrap()[0];
    assert_eq!((listed.devices, listed.unknown, &*listed.note), (1, 1, "who volunteered"));
    let change = admin.set_collection(&pilots, &picked("hostname like \"*0*\"")).await.unwrap();
    assert_eq!((change.come.len(), change.go.len(), change.stay), (1, 0, 1));
    let detail = admin.collection(&name("PILOTS")).await.unwrap();
    let hosts: Vec<_> = detail.roster.devices.iter().map(|it| it.hostname.as_str()).collect();
    assert_eq!(hosts, ["web01", "web02"]);
    let answer = admin.preview("collection = pilots", "", "").await.unwrap();
    assert_eq!(answer.text, "these 2 devices, at any time");
    let page = server.page_when("/collections", "pilots").await;
    assert!(page.contains("hostname like"), "{page}");
    let page = server.page_when("/collections/pilots", "web02").await;
    assert!(page.contains("these 2 devices"), "{page}");
}

#[tokio::test]
async fn what_can_be_no_collection_is_refused_in_words() {
    let server = TestServer::start().await;
    let admin = server.admin();
    admin.set_collection(&name("pilots"), &listed(&["a"])).await.unwrap();
    for (request, says) in [
        (picked("os = "), "column 6"),
        (picked("os = linux and collection = pilots"), "column 16: a collection is not made of"),
        (listed(&["two words"]), "`two words` is no name of a device"),
    ] {
        let error = admin.set_collection(&name("other"), &request).await;
        refused(error, ProblemCode::InvalidRequest, says);
    }
    refused(admin.collection(&name("other")).await, ProblemCode::NotFound, "collection");
}

#[tokio::test]
async fn selectors_ask_for_collections_that_are_there() {
    let server = TestServer::start().await;
    let admin = server.admin();
    server.import_approved("1.27.3").await;
    for host in ["web01", "web02"] {
        server.enrol(host).await;
    }
    admin.set_collection(&name("pilots"), &listed(&["web02"])).await.unwrap();
    let mut spec = everybody("1.27.3");
    spec.devices = "collection = pilot".to_owned();
    let says = "column 14: there is no collection `pilot`; did you mean `pilots`?";
    refused(admin.plan(&spec).await, ProblemCode::InvalidRollout, says);
    spec.devices = String::new();
    spec.rings[0].size = RingSize::Select("collection in (nobody)".to_owned());
    let says = "column 16: there is no collection `nobody`";
    refused(admin.plan(&spec).await, ProblemCode::InvalidRollout, says);
    spec.rings[0].size = RingSize::Select("collection = pilots".to_owned());
    let plan = admin.plan(&spec).await.unwrap();
    assert_eq!(plan.rings[0].devices[0].hostname, "web02");
    let hold = |devices: &str| {
        let (devices, reason) = (devices.to_owned(), "fair week".to_owned());
        HoldRequest { devices, reason, from: None, until: None }
    };
    let unknown = admin.hold(&hold("collection = x")).await;
    refused(unknown, ProblemCode::InvalidRequest, "column 14");
    admin.hold(&hold("collection = pilots")).await.unwrap();
    let in_use = admin.delete_collection(&name("pilots")).await;
    refused(in_use, ProblemCode::Conflict, "collection pilots is used by hold h1 (fair week)");
}
