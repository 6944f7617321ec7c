//! Starts, stops, and who has the data folder.

use std::future::pending;
use std::sync::Arc;

use gofleet_core::time::Timestamp;
use gofleet_server::{DataError, ServeError, serve, serve_with_clock};

use crate::support::{TestServer, config, config_with, everybody, within};

#[tokio::test]
async fn a_second_server_on_the_same_folder_is_refused() {
    let server = TestServer::start().await;
    let second = serve(config(server.data()), pending(), |_| panic!("it must not start"));
    let error = within(second).await.unwrap_err();
    assert!(matches!(error, ServeError::Data(DataError::InUse { .. })), "{error:?}");
    assert!(error.hint().unwrap().contains("--data"), "{error:?}");
    assert_eq!(server.public().health().await.unwrap().status, "ok");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let server = TestServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let address = server.url.trim_start_matches("https://");
    // Flags of the test come before the default of the harness.
    let config = config_with(folder.path(), &[("listen", address)]);
    let error = within(serve(config, pending(), |_| {})).await.unwrap_err();
    assert!(error.to_string().contains(address), "{error}");
    assert!(error.hint().unwrap().contains("--listen"), "{error:?}");
}

#[tokio::test]
async fn the_token_is_told_at_the_first_start_only_and_stays_good() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    for _ in 0..2 {
        let clock = Arc::new(|| Timestamp::from_millis(0));
        let started = |ready: &gofleet_server::Ready| told.push(ready.new_admin_token.clone());
        serve_with_clock(config(folder.path()), clock, async {}, started).await.unwrap();
    }
    assert!(told[0].is_some() && told[1].is_none(), "{told:?}");
    let server = TestServer::start_on(folder, &[]).await;
    assert_eq!(Some(&server.admin_token), told[0].as_ref());
    server.admin().overview().await.unwrap();
}

#[tokio::test]
async fn a_restart_keeps_everything_and_goes_on() {
    let server = TestServer::start().await;
    let release = server.import_approved("1.27.3").await;
    let (device, _, papers) = server.enrol("one").await;
    let rollout = server.admin().start(&everybody("1.27.3")).await.unwrap().summary.id;
    let unused = server.token().await;
    let folder = server.stop().await;
    assert!(!folder.path().join("address").exists(), "nobody listens any more");
    std::fs::write(folder.path().join("incoming/left"), "over").unwrap();
    std::fs::write(folder.path().join("artifacts/orphan"), "x").unwrap();

    let server = TestServer::start_on(folder, &[]).await;
    let address = std::fs::read_to_string(server.data().join("address")).unwrap();
    assert_eq!(address.trim(), server.url);
    assert_eq!(server.admin().release(&release.release.id).await.unwrap(), release);
    assert_eq!(server.admin().rollout(&rollout).await.unwrap().summary.id, rollout);
    let client = server.client(&papers);
    let wait = std::time::Duration::from_secs(20);
    assert_eq!(client.order(None, wait).await.unwrap().unwrap().device, device);
    let tokens = server.admin().tokens().await.unwrap();
    assert_eq!(tokens.iter().filter(|token| token.used_by.is_none()).count(), 1);
    assert!(!unused.is_empty());
    assert!(!server.data().join("incoming/left").exists());
    assert!(!server.data().join("artifacts/orphan").exists());
    let archive = server.data().join("artifacts").join(release.release.archive.sha256.to_string());
    assert!(archive.exists());
}
