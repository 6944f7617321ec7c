//! Downloads from a server that misbehaves in every way that networks and mirrors know.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod server;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gofleet_api::download::{
    AttemptError, Download, DownloadError, Downloaded, Patience, Size, download, plain_client,
};
use gofleet_core::digest::Digest;
use server::{Answer, Server};
use tempfile::TempDir;

/// Not a round number, so that chunks don't end where the file does.
const LENGTH: usize = 3_000_017;

const PATIENCE: Patience = Patience {
    attempts: 3,
    first_pause: Duration::from_millis(1),
    longest_pause: Duration::from_millis(5),
    stall: Duration::from_millis(300),
};

fn content() -> Vec<u8> {
    (0..LENGTH as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// A server with a script, and a folder to download into.
struct Ground {
    server: Server,
    folder: TempDir,
    size: Size,
}

impl Ground {
    fn new(script: Vec<Answer>) -> Self {
        let server = Server::start(content(), script);
        Self { server, folder: tempfile::tempdir().unwrap(), size: Size::Exactly(LENGTH as u64) }
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("go.zip")
    }

    fn part(&self) -> PathBuf {
        self.folder.path().join("go.zip.part")
    }

    async fn download(&self) -> Result<Downloaded, DownloadError> {
        let wanted = Download {
            request: plain_client().unwrap().get(self.server.url()),
            target: &self.target(),
            sha256: Digest::of(&content()),
            size: self.size,
            patience: PATIENCE,
            meter: None,
        };
        let last = AtomicU64::new(0);
        let result = download(&wanted, &|bytes| last.store(bytes, Ordering::Relaxed)).await;
        if let Ok(done) = &result
            && done.transferred > 0
        {
            assert_eq!(last.into_inner(), done.bytes, "progress ends at the size");
        }
        result
    }

    /// Downloads, and expects the file after so many requests.
    async fn check(&self, requests: u32) -> Downloaded {
        let done = self.download().await.unwrap();
        assert_eq!((done.bytes, done.requests), (LENGTH as u64, requests));
        assert_eq!(fs::read(self.target()).unwrap(), content());
        assert!(!self.part().exists());
        done
    }

    /// Downloads, and expects an error that leaves no file.
    async fn refused(&self) -> DownloadError {
        let error = self.download().await.unwrap_err();
        assert!(!self.target().exists());
        error
    }
}

#[tokio::test]
async fn a_good_server_is_asked_once_and_never_again() {
    let ground = Ground::new(vec![Answer::Honest]);
    let done = ground.check(1).await;
    assert_eq!(done.transferred, LENGTH as u64);
    let again = ground.download().await.unwrap();
    assert_eq!((again.requests, again.transferred), (0, 0));
    // A file of that name that is damaged is fetched again.
    fs::write(ground.target(), b"damaged").unwrap();
    ground.check(1).await;
}

#[tokio::test]
async fn a_size_that_is_not_known_is_bounded() {
    let mut ground = Ground::new(vec![Answer::Honest]);
    ground.size = Size::AtMost(LENGTH as u64 + 1);
    ground.check(1).await;
    let mut ground = Ground::new(vec![Answer::Honest]);
    ground.size = Size::AtMost(LENGTH as u64 - 1);
    let error = ground.refused().await;
    assert!(matches!(error, DownloadError::WrongSize { .. }), "{error}");
}

#[tokio::test]
async fn cuts_are_resumed_where_they_were() {
    let cuts = [0, 1, 100_000, 1_500_000, LENGTH - 1];
    for cut in cuts {
        let ground = Ground::new(vec![Answer::CutAfter(cut)]);
        let done = ground.check(2).await;
        assert_eq!(done.transferred, LENGTH as u64, "nothing twice, cut after {cut}");
        let (range, if_range) = ground.server.asked().pop().unwrap();
        let expected = (cut > 0).then(|| format!("bytes={cut}-"));
        assert_eq!(range, expected);
        assert_eq!(if_range, expected.map(|_| "\"v1\"".to_owned()));
    }
}

#[tokio::test]
async fn progress_makes_up_for_many_cuts() {
    let cut = Answer::CutAfter(1 << 20);
    let ground = Ground::new(vec![Answer::CutAfter(5), cut.clone(), cut.clone(), cut]);
    ground.check(4).await;
}

#[tokio::test]
async fn a_later_call_goes_on_with_the_part() {
    let ground = Ground::new(vec![Answer::CutAfter(1000), Answer::Status(404, None)]);
    let error = ground.refused().await;
    assert!(matches!(error, DownloadError::Refused { status: 404, .. }), "{error}");
    assert_eq!(fs::metadata(ground.part()).unwrap().len(), 1000);
    let done = ground.check(1).await;
    assert_eq!(done.transferred, LENGTH as u64 - 1000);
}

#[tokio::test]
async fn a_part_of_another_file_is_thrown_away() {
    for length in [1000, LENGTH, LENGTH + 5] {
        let ground = Ground::new(vec![]);
        fs::write(ground.part(), vec![b'x'; length]).unwrap();
        let done = ground.download().await.unwrap();
        assert!(done.requests <= 2, "{done:?}");
        assert_eq!(fs::read(ground.target()).unwrap(), content(), "{length}");
    }
}

#[tokio::test]
async fn a_server_without_ranges_starts_over() {
    let ground = Ground::new(vec![Answer::CutAfter(2_000_000), Answer::IgnoreRange]);
    let done = ground.check(2).await;
    assert_eq!(done.transferred, LENGTH as u64 + 2_000_000);
}

#[tokio::test]
async fn a_version_that_changed_meanwhile_starts_over() {
    // If-Range names the earlier version, so the whole file comes.
    let ground = Ground::new(vec![Answer::CutAfterOther(2_000_000), Answer::Honest]);
    ground.check(2).await;
}

#[tokio::test]
async fn another_part_than_asked_for_is_not_used() {
    let ground = Ground::new(vec![Answer::CutAfter(2_000_000), Answer::WrongRange]);
    ground.check(3).await;
}

#[tokio::test]
async fn a_lie_is_found_and_deleted() {
    let ground = Ground::new(vec![Answer::Lie]);
    let error = ground.refused().await;
    assert!(matches!(error, DownloadError::WrongDigest { .. }), "{error}");
    assert!(error.to_string().contains("was expected"), "{error}");
    assert!(!ground.part().exists());
}

#[tokio::test]
async fn an_endless_body_is_stopped_at_the_size() {
    let ground = Ground::new(vec![Answer::Endless]);
    let error = ground.refused().await;
    assert!(matches!(error, DownloadError::WrongSize { .. }), "{error}");
    assert!(!ground.part().exists());
}

#[tokio::test]
async fn a_length_that_cannot_be_right_is_refused_at_once() {
    let ground = Ground::new(vec![Answer::Longer]);
    let error = ground.refused().await;
    assert!(matches!(error, DownloadError::WrongSize { .. }), "{error}");
}

#[tokio::test]
async fn a_busy_server_is_waited_for() {
    let ground = Ground::new(vec![Answer::Status(503, Some(0)), Answer::Status(429, None)]);
    ground.check(3).await;
}

#[tokio::test]
async fn patience_ends() {
    let ground = Ground::new(vec![Answer::Status(502, Some(7)); 5]);
    match ground.refused().await {
        DownloadError::Unreachable { attempts: 3, source, .. } => {
            let retry_after = Some(Duration::from_secs(7));
            assert!(
                matches!(source, AttemptError::Busy { status: 502, retry_after: asked } if asked == retry_after),
                "{source}"
            );
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn nobody_there_is_told() {
    let ground = Ground::new(vec![]);
    ground.server.stop();
    match ground.refused().await {
        DownloadError::Unreachable { source: AttemptError::Connection(_), .. } => {}
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn silence_and_dripping_are_left() {
    for answer in [Answer::Silence, Answer::Drip] {
        let ground = Ground::new(vec![answer]);
        ground.check(2).await;
    }
}

#[tokio::test]
async fn a_dropped_download_is_gone_on_with() {
    let ground = Ground::new(vec![Answer::StallAfter(1_000_000)]);
    let part = ground.part();
    let has_come = || fs::metadata(&part).is_ok_and(|metadata| metadata.len() >= 900_000);
    tokio::select! {
        result = ground.download() => panic!("{result:?}"),
        () = level(has_come) => {}
    }
    let done = ground.check(1).await;
    assert!(done.transferred < LENGTH as u64, "{done:?}");
}

/// Waits until the condition holds; the test's own time limit bounds it.
async fn level(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_told() {
    let ground = Ground::new(vec![]);
    fs::create_dir(ground.part()).unwrap();
    let error = ground.refused().await;
    assert!(matches!(error, DownloadError::File { .. }), "{error}");
}

#[tokio::test]
async fn two_at_once_fetch_it_once() {
    let ground = Ground::new(vec![]);
    let (first, second) = tokio::join!(ground.download(), ground.download());
    assert_eq!(first.unwrap().requests + second.unwrap().requests, 1);
    assert_eq!(fs::read(ground.target()).unwrap(), content());
    assert!(!ground.part().exists());
}
