//! Archives on their way into the catalog, good and bad.

use std::path::Path;

use gofleet_api::{Client, DecisionRequest, ProblemCode};
use gofleet_core::digest::Digest;
use gofleet_core::release::ReleaseStatus;
use gofleet_testkit::archive::{small_go, tar_gz, zip};
use reqwest::StatusCode;

use crate::support::{TestServer, refused};

/// Files in the folders where uploads wait and archives stay.
fn files(server: &TestServer, folder: &str) -> usize {
    std::fs::read_dir(server.data().join(folder)).unwrap().count()
}

async fn upload(client: &Client, path: &Path, expected: Option<&Digest>) -> Outcome {
    client.upload(path, "a test", expected, &Default::default(), |_| {}).await
}

type Outcome = Result<gofleet_api::UploadOutcome, gofleet_api::ClientError>;

#[tokio::test]
async fn a_release_is_imported_shown_approved_and_blocked() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let path = server.go("1.27.3");
    let digest = Digest::of(&std::fs::read(&path).unwrap());
    let imported = upload(&admin, &path, Some(&digest)).await.unwrap();
    assert!(imported.is_new);
    let id = imported.release.release.id.clone();
    assert_eq!(id.as_str(), "go-1.27.3-linux-amd64");
    assert_eq!(imported.release.status, ReleaseStatus::Imported);
    assert_eq!(imported.release.origin, "a test");
    assert_eq!(admin.releases().await.unwrap(), std::slice::from_ref(&imported.release));
    let manifest = admin.manifest(&id).await.unwrap();
    assert_eq!(manifest.digest(), imported.release.release.manifest);
    assert!(manifest.file("bin/go").is_some());
    let reason = |text: &str| DecisionRequest { reason: text.to_owned() };
    let approved = admin.approve(&id, &reason("tested")).await.unwrap();
    assert_eq!(approved.status, ReleaseStatus::Approved);
    assert_eq!(approved.decision.unwrap().reason, "tested");
    let blocked = admin.block(&id, &reason("CVE")).await.unwrap();
    assert_eq!(blocked.status, ReleaseStatus::Blocked);
    assert_eq!(admin.release(&id).await.unwrap(), blocked);
    let endless = reason(&"x".repeat(1001));
    refused(admin.approve(&id, &endless).await, ProblemCode::InvalidRequest, "1000 characters");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_imports_of_the_same_at_once_both_succeed() {
    let server = TestServer::start().await;
    let path = server.go("1.27.3");
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (client, path) = (server.admin(), path.clone());
            tokio::spawn(async move { upload(&client, &path, None).await.unwrap() })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_new).count(), 1);
    assert!(outcomes.iter().all(|outcome| outcome.release == outcomes[0].release));
    assert_eq!((files(&server, "incoming"), files(&server, "artifacts")), (0, 1));
}

#[tokio::test]
async fn the_same_files_from_another_archive_are_the_same_release() {
    let server = TestServer::start().await;
    let first = server.import("1.27.3").await;
    let path = server.file("go.tar.gz", &tar_gz(&small_go("1.27.3")));
    let again = upload(&server.admin(), &path, None).await.unwrap();
    assert!(!again.is_new);
    assert_eq!(again.release, first, "the first archive stays");
    assert_eq!(files(&server, "artifacts"), 1);
}

#[tokio::test]
async fn other_content_under_the_same_name_is_refused() {
    let server = TestServer::start().await;
    let first = server.import("1.27.3").await;
    let mut other = small_go("1.27.3");
    other[4].1.extend(b"// changed\n");
    let path = server.file("other.zip", &zip(&other));
    refused(upload(&server.admin(), &path, None).await, ProblemCode::Conflict, "other content");
    assert_eq!(server.admin().releases().await.unwrap(), [first]);
    assert_eq!((files(&server, "incoming"), files(&server, "artifacts")), (0, 1));
}

#[tokio::test]
async fn archives_that_are_damaged_or_not_go_are_refused_and_leave_nothing() {
    let server = TestServer::start().await;
    let go = zip(&small_go("1.27.3"));
    let tar = tar_gz(&small_go("1.27.3"));
    let other = zip(&[("readme.txt".to_owned(), b"hello".to_vec(), 0o100_644)]);
    let climber = zip(&[("go/../../etc/passwd".to_owned(), b"x".to_vec(), 0o100_644)]);
    for (name, content, text) in [
        ("empty", &b""[..], "cannot be imported"),
        ("text", b"not an archive at all", "neither a zip nor a tar.gz"),
        ("truncated.zip", &go[..go.len() / 2], "cannot be imported"),
        ("truncated.tar.gz", &tar[..tar.len() / 2], "cut short"),
        ("other.zip", &other, "not an archive of Go"),
        ("climber.zip", &climber, "etc/passwd"),
    ] {
        let path = server.file(name, content);
        refused(upload(&server.admin(), &path, None).await, ProblemCode::InvalidArchive, text);
        assert_eq!((files(&server, "incoming"), files(&server, "artifacts")), (0, 0), "{name}");
    }
    assert!(server.admin().releases().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_wrong_digest_is_refused() {
    let server = TestServer::start().await;
    let (path, other) = (server.go("1.27.3"), Digest::of(b"something else"));
    let answer = upload(&server.admin(), &path, Some(&other)).await;
    refused(answer, ProblemCode::DigestMismatch, &other.to_string());
    assert_eq!((files(&server, "incoming"), files(&server, "artifacts")), (0, 0));
    let request = server.request("POST", "/releases").bearer_auth(&server.admin_token);
    let response = request.header("x-gofleet-sha256", "abc").body("x").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_archive_above_the_limit_is_refused_whether_it_says_its_size_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start_on(folder, &[("max_upload_bytes", "100")]).await;
    let path = server.go("1.27.3");
    refused(upload(&server.admin(), &path, None).await, ProblemCode::TooLarge, "100 bytes");
    let content = std::fs::read(&path).unwrap();
    let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>(content)]);
    let request = server.request("POST", "/releases").bearer_auth(&server.admin_token);
    let response = request.body(reqwest::Body::wrap_stream(chunks)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(files(&server, "incoming"), 0);
}

#[tokio::test]
async fn real_go_is_imported_and_told_by_its_content() {
    let server = TestServer::start().await;
    let path = gofleet_testkit::go::archive("1.27.3", "windows-amd64");
    let release = upload(&server.admin(), &path, None).await.unwrap().release;
    assert_eq!(release.release.id.as_str(), "go-1.27.3-windows-amd64");
    assert!(release.files > 10_000, "{}", release.files);
    assert_eq!(release.release.archive.size, std::fs::metadata(&path).unwrap().len());
}
