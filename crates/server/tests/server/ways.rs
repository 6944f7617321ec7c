//! Packs and deltas, made in the background, and the ways that devices are offered.

use gofleet_api::{Client, ProblemCode, WayKind, WaysAnswer, WaysRequest};
use gofleet_core::artifact::{Artifact, ArtifactKind, FORMAT};
use gofleet_core::digest::Digest;
use gofleet_core::release::Release;

use crate::support::{TestServer, everybody, refused};

async fn preparing() -> TestServer {
    TestServer::start_on(tempfile::tempdir().unwrap(), &[("prepare", "true")]).await
}

/// Two releases with all that is to be made of them.
async fn prepared(server: &TestServer) -> (Release, Release) {
    let (old, new) = (server.import_go("1.27.2").await, server.import_go("1.27.3").await);
    server.artifacts_when(&old, |all| ready(all) == [ArtifactKind::Pack]).await;
    let all = [ArtifactKind::Pack, ArtifactKind::Delta];
    server.artifacts_when(&new, |artifacts| ready(artifacts) == all).await;
    (old, new)
}

fn ready(artifacts: &[Artifact]) -> Vec<ArtifactKind> {
    artifacts.iter().filter(|it| it.ready().is_some()).map(|it| it.kind).collect()
}

async fn ask(client: &Client, release: &Release, holds: &[&Release]) -> WaysAnswer {
    let request = WaysRequest {
        release: release.release.id.clone(),
        holds: holds.iter().map(|it| it.release.manifest).collect(),
        formats: vec![FORMAT],
    };
    client.ways(&request).await.unwrap()
}

fn kinds(answer: &WaysAnswer) -> Vec<WayKind> {
    answer.ways.iter().map(|way| way.kind).collect()
}

#[tokio::test]
async fn what_is_made_is_offered_and_served() {
    let server = preparing().await;
    let (old, new) = prepared(&server).await;
    let (_, client, _) = server.enrol("one").await;
    let answer = ask(&client, &new, &[&old]).await;
    assert_eq!(kinds(&answer), [WayKind::Delta, WayKind::Pack, WayKind::Archive]);
    for way in &answer.ways {
        let [step] = way.steps.as_slice() else { panic!("{way:?}") };
        let response = client.send(client.artifact(&step.sha256)).await.unwrap();
        let content = response.bytes().await.unwrap();
        assert_eq!(content.len() as u64, step.bytes);
        assert_eq!(Digest::of(&content), step.sha256);
        if step.kind != ArtifactKind::Archive {
            assert_eq!(content[8..10], FORMAT.to_le_bytes(), "the version in its header");
        }
    }
    assert_eq!(kinds(&ask(&client, &new, &[]).await), [WayKind::Pack, WayKind::Archive]);
    let unknown = WaysRequest {
        release: "go-9.9.9-linux-amd64".parse().unwrap(),
        holds: Vec::new(),
        formats: Vec::new(),
    };
    refused(client.ways(&unknown).await, ProblemCode::NotFound, "go-9.9.9");
}

#[tokio::test]
async fn a_device_that_reads_no_such_format_is_offered_the_archive() {
    let server = preparing().await;
    let (old, new) = prepared(&server).await;
    let (_, client, _) = server.enrol("one").await;
    let request = WaysRequest {
        release: new.release.id.clone(),
        holds: vec![old.release.manifest],
        formats: vec![FORMAT + 1],
    };
    assert_eq!(kinds(&client.ways(&request).await.unwrap()), [WayKind::Archive]);
}

#[tokio::test]
async fn a_file_that_somebody_removed_is_not_offered_and_made_again() {
    let server = preparing().await;
    let (old, new) = prepared(&server).await;
    let (_, client, _) = server.enrol("one").await;
    let delta = ask(&client, &new, &[&old]).await.ways[0].steps[0].sha256;
    let path = server.data().join("artifacts").join(delta.to_string());
    std::fs::remove_file(&path).unwrap();
    assert_eq!(kinds(&ask(&client, &new, &[&old]).await), [WayKind::Pack, WayKind::Archive]);
    // One that was cut off is none either.
    let pack = ask(&client, &new, &[]).await.ways[0].steps[0].sha256;
    let pack = server.data().join("artifacts").join(pack.to_string());
    std::fs::write(&pack, b"cut").unwrap();
    assert_eq!(kinds(&ask(&client, &new, &[&old]).await), [WayKind::Archive]);
    // Any change of the fleet nudges the preparer.
    server.enrol("two").await;
    server.artifacts_when(&new, |all| ready(all).len() == 2 && path.exists()).await;
    let all = [WayKind::Delta, WayKind::Pack, WayKind::Archive];
    assert_eq!(kinds(&ask(&client, &new, &[&old]).await), all);
}

#[tokio::test]
async fn a_start_goes_on_with_what_is_missing_and_keeps_what_is_there() {
    let server = TestServer::start().await;
    let (old, new) = (server.import_go("1.27.2").await, server.import_go("1.27.3").await);
    assert!(server.admin().artifacts(&new.release.id).await.unwrap().is_empty());
    let server = TestServer::start_on(server.stop().await, &[("prepare", "true")]).await;
    let all = [ArtifactKind::Pack, ArtifactKind::Delta];
    let made = server.artifacts_when(&new, |artifacts| ready(artifacts) == all).await;
    server.artifacts_when(&old, |artifacts| !artifacts.is_empty()).await;
    let server = TestServer::start_on(server.stop().await, &[("prepare", "true")]).await;
    let kept = server.artifacts_when(&new, |artifacts| ready(artifacts) == all).await;
    assert_eq!(kept, made, "nothing was made twice");
}

#[tokio::test]
async fn what_cannot_be_made_says_why_and_stops_nothing_else() {
    let server = TestServer::start().await;
    let (old, new) = (server.import_go("1.27.2").await, server.import_go("1.27.3").await);
    let archive = server.data().join("artifacts").join(old.release.archive.sha256.to_string());
    std::fs::write(archive, b"damaged").unwrap();
    let server = TestServer::start_on(server.stop().await, &[("prepare", "true")]).await;
    let failed = server.artifacts_when(&old, |artifacts| !artifacts.is_empty()).await;
    let text = serde_json::to_string(&failed).unwrap();
    assert!(text.contains(r#""state":"failed""#) && text.contains("can't be read"), "{text}");
    server.artifacts_when(&new, |artifacts| ready(artifacts) == [ArtifactKind::Pack]).await;
}

#[tokio::test]
async fn a_plan_counts_the_bytes_of_the_cheapest_way() {
    let server = preparing().await;
    let (_, new) = prepared(&server).await;
    server.admin().approve(&new.release.id, &Default::default()).await.unwrap();
    server.enrol("one").await;
    let pack = server.admin().artifacts(&new.release.id).await.unwrap()[0].ready().unwrap().1;
    let plan = server.admin().plan(&everybody("1.27.3")).await.unwrap();
    assert_eq!((plan.bytes, plan.archive_bytes), (pack, new.release.archive.size));
}
