//! Releases.

use gofleet_storage::{ImportError, Imported};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn two_imports_of_the_same_at_once_are_one_release() {
    let bench = Bench::new().await;
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let storage = Arc::clone(&bench.storage);
        all.spawn(async move {
            let (release, manifest) = release("1.27.3", b"go");
            storage.import_release(&ann(), &release, &manifest, START).await.unwrap()
        });
    }
    let outcomes = all.join_all().await;
    let new = outcomes.iter().filter(|outcome| matches!(outcome, Imported::New(_))).count();
    assert_eq!(new, 1);
    assert_eq!(bench.storage.releases().await.unwrap().len(), 1);
    assert_eq!(bench.kinds().await, ["release.imported"]);
}

#[tokio::test]
async fn the_same_release_with_other_files_is_refused_with_both_digests() {
    let bench = Bench::new().await;
    bench.import("1.27.3", b"go").await;
    let (other, manifest) = release("1.27.3", b"evil");
    let error = bench.storage.import_release(&ann(), &other, &manifest, START).await.unwrap_err();
    let known = release("1.27.3", b"go").1.digest();
    assert!(matches!(error, ImportError::Conflict { .. }));
    let text = error.to_string();
    assert!(text.contains(&known.to_string()), "{text}");
    assert!(text.contains(&manifest.digest().to_string()), "{text}");
}

#[tokio::test]
async fn a_decision_is_kept_with_who_and_why() {
    let mut bench = Bench::new().await;
    bench.import("1.27.3", b"go").await;
    let (known, manifest) = release("1.27.3", b"go");
    let id = known.release.id;
    bench.decide("1.27.3", ReleaseStatus::Blocked).await;
    bench.reopen().await;
    let release = bench.storage.release(&id).await.unwrap();
    assert_eq!(release.status, ReleaseStatus::Blocked);
    let decision = release.decision.unwrap();
    assert_eq!((decision.by.as_str(), decision.reason.as_str()), ("ann", "fine"));
    assert_eq!(bench.storage.manifest(&id).await.unwrap(), manifest);
    let archive = bench.storage.archive(&known.release.archive.sha256).await.unwrap();
    assert_eq!(archive, Some(known.release.archive));
    assert_eq!(bench.storage.archive(&Digest::of(b"none")).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_not_in_the_catalog_is_named() {
    let bench = Bench::new().await;
    let id = release("1.27.3", b"go").0.release.id;
    let expect = "there is no release go-1.27.3-linux-amd64";
    assert_eq!(bench.storage.release(&id).await.unwrap_err().to_string(), expect);
    assert_eq!(bench.storage.manifest(&id).await.unwrap_err().to_string(), expect);
}
