//! Artifacts, distribution points, and the ways that releases took.

use gofleet_core::artifact::{Artifact, ArtifactKind, ArtifactState};
use gofleet_core::edge::EdgeReport;
use gofleet_core::order::{GivenUp, Taken};
use gofleet_core::preparation::Held;
use gofleet_core::ways::WayKind;
use gofleet_storage::{EnrolError, NewEdge, StorageError};

use super::*;

fn delta(state: ArtifactState) -> Artifact {
    let (to, _) = release("1.27.3", b"go");
    Artifact {
        kind: ArtifactKind::Delta,
        release: to.release.id,
        makes: to.release.manifest,
        base: Some(Digest::of(b"a base")),
        format: 1,
        state,
        made_at: START,
        took: Span::from_millis(1234),
    }
}

#[tokio::test]
async fn what_came_of_an_artifact_is_kept_and_replaced() {
    let mut bench = Bench::with_fleet(0).await;
    let pack = Artifact {
        kind: ArtifactKind::Pack,
        base: None,
        ..delta(ArtifactState::Ready { sha256: Digest::of(b"pack"), bytes: 38_000_000 })
    };
    bench.storage.keep_artifact(&pack).await.unwrap();
    for state in [
        ArtifactState::Failed { reason: "no room".to_owned() },
        ArtifactState::Useless { bytes: 30_000_000 },
        ArtifactState::Ready { sha256: Digest::of(b"delta"), bytes: 300_000 },
    ] {
        let delta = delta(state);
        bench.storage.keep_artifact(&delta).await.unwrap();
        bench.reopen().await;
        let all = bench.storage.artifacts_of(&delta.release).await.unwrap();
        assert_eq!(all, [pack.clone(), delta.clone()]);
    }
    bench.storage.forget_artifact(&pack).await.unwrap();
    assert_eq!(bench.storage.artifacts().await.unwrap().len(), 1);
    let unknown = "go-1-linux-amd64".parse().unwrap();
    let error = bench.storage.artifacts_of(&unknown).await.unwrap_err();
    assert!(matches!(error, StorageError::UnknownRelease(_)), "{error}");
}

#[tokio::test]
async fn versions_are_counted_by_platform() {
    let bench = Bench::with_fleet(3).await;
    let held =
        Held { platform: "linux-amd64".parse().unwrap(), version: "1.27.2".to_owned(), devices: 3 };
    assert_eq!(bench.storage.held().await.unwrap(), [held]);
}

#[tokio::test]
async fn a_distribution_point_is_offered_at_its_site_while_it_is_heard() {
    let mut bench = Bench::new().await;
    let token = Digest::of(b"token");
    bench
        .storage
        .add_token(&ann(), &token, any(), START + Span::from_secs(60), START)
        .await
        .unwrap();
    let mut report = EdgeReport {
        name: "cache".to_owned(),
        site: "berlin".to_owned(),
        url: "http://10.0.0.1:8471".to_owned(),
        served_bytes: 0,
        fetched_bytes: 0,
    };
    let credential = Digest::of(b"credential");
    let id: gofleet_core::ids::EdgeId = "e-1".parse().unwrap();
    let edge = NewEdge { id: id.clone(), credential, report: report.clone() };
    bench.storage.enrol_edge(&By::token(&token), &token, &edge, bench.now).await.unwrap();
    let again = bench.storage.enrol_edge(&By::token(&token), &token, &edge, bench.now).await;
    assert_eq!(again.unwrap(), id, "the same key is the same distribution point");
    let other = NewEdge {
        id: "e-2".parse().unwrap(),
        credential: Digest::of(b"other"),
        report: report.clone(),
    };
    let again =
        bench.storage.enrol_edge(&By::token(&token), &token, &other, bench.now).await.unwrap_err();
    assert!(matches!(again, EnrolError::Used { ref by } if by == "e-1"), "{again}");
    assert_eq!(bench.storage.edge_by_credential(&credential).await.unwrap(), Some(id.clone()));
    assert_eq!(bench.storage.edge_by_credential(&token).await.unwrap(), None);

    let offered = async |bench: &Bench, site: &str| {
        let offers = bench.storage.edges_of(site, bench.now).await.unwrap();
        offers.into_iter().map(|offer| offer.url).collect::<Vec<_>>()
    };
    assert_eq!(offered(&bench, "berlin").await, ["http://10.0.0.1:8471"]);
    assert!(offered(&bench, "paris").await.is_empty());
    bench.pass(121);
    assert!(offered(&bench, "berlin").await.is_empty(), "not heard for two minutes");
    report.url = "http://10.0.0.2:8471".to_owned();
    (report.served_bytes, report.fetched_bytes) = (900, 100);
    bench.storage.take_edge_report(&id, &report, bench.now).await.unwrap();
    assert_eq!(offered(&bench, "berlin").await, ["http://10.0.0.2:8471"]);
    let all = bench.storage.edges(bench.now).await.unwrap();
    assert_eq!((all.len(), &all[0].report, all[0].online), (1, &report, true));
}

#[tokio::test]
async fn the_way_that_a_release_took_is_kept_with_its_archive_size() {
    let bench = Bench::with_fleet(1).await;
    let rollout = bench.start("go").await;
    bench.tick(&rollout).await;
    let device = bench.view(&rollout).await.devices[0].device.clone();
    let order = bench.order(&device).await.unwrap();
    let given_up = vec![GivenUp { kind: WayKind::Delta, reason: "the base was changed".into() }];
    let way = Taken { kind: WayKind::Pack, edge_bytes: 40, given_up };
    let mut told = progress(order.generation, 1, Step::Staged);
    (told.way, told.bytes_downloaded) = (Some(way.clone()), 60);
    bench.report(&device, told).await;
    // A later report that says nothing of it leaves it.
    bench.obey(&device).await;
    let view = bench.view(&rollout).await;
    assert_eq!((view.devices[0].way.as_ref(), view.devices[0].archive_bytes), (Some(&way), 1000));
}
