//! Artifacts in whole and in part, over the wire.

use gofleet_core::digest::Digest;
use reqwest::{Response, StatusCode};

use crate::support::TestServer;

struct Served {
    server: TestServer,
    content: Vec<u8>,
    path: String,
    etag: String,
}

async fn serve() -> Served {
    let server = TestServer::start().await;
    let release = server.import("1.27.3").await;
    let content = std::fs::read(server.go("1.27.3")).unwrap();
    let sha256 = release.release.archive.sha256;
    assert_eq!(sha256, Digest::of(&content));
    let (path, etag) = (format!("/artifacts/{sha256}"), format!("\"{sha256}\""));
    Served { server, content, path, etag }
}

impl Served {
    async fn ask(&self, method: &str, headers: &[(&str, &str)]) -> Response {
        let mut request =
            self.server.request(method, &self.path).bearer_auth(&self.server.admin_token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// Checks status, content range and body.
    async fn check(
        &self,
        headers: &[(&str, &str)],
        status: StatusCode,
        range: Option<String>,
        body: &[u8],
    ) {
        let response = self.ask("GET", headers).await;
        assert_eq!(response.status(), status, "{headers:?}");
        let told =
            response.headers().get("content-range").map(|it| it.to_str().unwrap().to_owned());
        assert_eq!(told, range, "{headers:?}");
        assert!(!response.headers().contains_key("content-encoding"));
        let received = response.bytes().await.unwrap();
        assert!(received == body, "{headers:?}: {} bytes, not {}", received.len(), body.len());
    }
}

#[tokio::test]
async fn parts_are_served_as_asked() {
    let served = serve().await;
    let (content, etag, size) = (&served.content, &served.etag, served.content.len());
    let part = |start, last| Some(format!("bytes {start}-{last}/{size}"));
    let (whole, partial) = (StatusCode::OK, StatusCode::PARTIAL_CONTENT);
    served.check(&[], whole, None, content).await;
    served.check(&[("accept-encoding", "gzip")], whole, None, content).await;
    served.check(&[("range", "bytes=10-19")], partial, part(10, 19), &content[10..20]).await;
    let tail = ("range", "bytes=-5");
    served.check(&[tail], partial, part(size - 5, size - 1), &content[size - 5..]).await;
    let rest = ("range", "bytes=100-");
    served.check(&[rest], partial, part(100, size - 1), &content[100..]).await;
    served.check(&[rest, ("if-range", etag)], partial, part(100, size - 1), &content[100..]).await;
    served.check(&[rest, ("if-range", "\"another\"")], whole, None, content).await;
    served.check(&[("if-none-match", etag)], StatusCode::NOT_MODIFIED, None, b"").await;
}

#[tokio::test]
async fn a_range_behind_the_end_is_refused_with_the_size() {
    let served = serve().await;
    let size = served.content.len();
    let response = served.ask("GET", &[("range", &format!("bytes={size}-"))]).await;
    assert_eq!(response.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(response.headers()["content-range"], format!("bytes */{size}").as_str());
    let problem: gofleet_api::Problem = response.json().await.unwrap();
    assert!(problem.detail.contains(&size.to_string()), "{problem:?}");
}

#[tokio::test]
async fn the_headers_alone_are_served_too() {
    let served = serve().await;
    let response = served.ask("HEAD", &[]).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-length"], served.content.len().to_string().as_str());
    assert_eq!(response.headers()["accept-ranges"], "bytes");
    assert_eq!(response.headers()["etag"], served.etag.as_str());
    assert!(response.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let served = serve().await;
    for name in ["0".repeat(64), "nonsense".to_owned(), "..%2fadmin-token".to_owned()] {
        let request = served.server.request("GET", &format!("/artifacts/{name}"));
        let response = request.bearer_auth(&served.server.admin_token).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{name}");
    }
}
