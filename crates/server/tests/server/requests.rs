//! Requests that no well-meaning client makes.

use gofleet_api::{Problem, ProblemCode};
use reqwest::{Response, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{TestServer, http, within};

async fn problem(response: Response, code: ProblemCode) -> Problem {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let status = response.status().as_u16();
    let problem: Problem = response.json().await.unwrap();
    assert_eq!((problem.code, problem.status), (code, status), "{problem:?}");
    problem
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused_as_problems() {
    let server = TestServer::start().await;
    for (content_type, body, code) in [
        ("application/json", "{".to_owned(), ProblemCode::InvalidRequest),
        ("application/json", "5".to_owned(), ProblemCode::InvalidRequest),
        ("application/json", "{\"expires_in\": 5}".to_owned(), ProblemCode::InvalidRequest),
        ("text/plain", "{}".to_owned(), ProblemCode::UnsupportedMediaType),
        ("application/json", "[".repeat(200_000), ProblemCode::InvalidRequest),
        (
            "application/json",
            format!("{{\"note\": \"{}\"}}", "x".repeat(2 << 20)),
            ProblemCode::TooLarge,
        ),
    ] {
        let request = server.request("POST", "/tokens").bearer_auth(&server.admin_token);
        let request = request.header("content-type", content_type).body(body);
        problem(request.send().await.unwrap(), code).await;
    }
    assert!(server.admin().tokens().await.unwrap().is_empty());
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist_are_problems() {
    let server = TestServer::start().await;
    let ask = async |method, path| {
        let request = server.request(method, path).bearer_auth(&server.admin_token);
        request.send().await.unwrap()
    };
    problem(ask("GET", "/nothing").await, ProblemCode::NotFound).await;
    problem(ask("GET", "/devices/a%2Fb").await, ProblemCode::NotFound).await;
    problem(ask("GET", "/devices/absent").await, ProblemCode::NotFound).await;
    problem(ask("PUT", "/devices").await, ProblemCode::MethodNotAllowed).await;
    problem(ask("GET", "/agent/order?after=-1").await, ProblemCode::Forbidden).await;
}

#[tokio::test]
async fn a_number_that_is_none_is_refused() {
    let server = TestServer::start().await;
    let (_, _, papers) = server.enrol("one").await;
    let request = server.request_as(&papers, "GET", "/agent/order?after=-1");
    problem(request.send().await.unwrap(), ProblemCode::InvalidRequest).await;
}

/// Sends these bytes as they are; the beginning of the answer.
async fn send(server: &TestServer, bytes: &[u8]) -> String {
    let mut stream =
        TcpStream::connect(server.plain_url.trim_start_matches("http://")).await.unwrap();
    // The server may answer and close before all is sent.
    let _may_break = stream.write_all(bytes).await;
    let mut answer = vec![0; 64];
    let read = within(stream.read(&mut answer)).await.unwrap_or(0);
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[tokio::test]
async fn huge_headers_and_nonsense_do_not_bring_it_down() {
    let server = TestServer::start().await;
    let huge = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(2 << 20));
    let answer = send(&server, huge.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let many: String = (0..500).map(|n| format!("x-{n}: y\r\n")).collect();
    let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n");
    assert!(send(&server, many.as_bytes()).await.starts_with("HTTP/1.1 431"));
    assert!(send(&server, b"\x15\x03\x01 hello\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    // What begins as a handshake and is none ends: nothing of it is taken for HTTP.
    assert!(!send(&server, b"\x16\x03\x01\x00\x05hello").await.contains("HTTP"));
    assert_eq!(server.public().health().await.unwrap().status, "ok");
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let server = TestServer::start().await;
    for path in ["/api/v1/healthz", "/api/v1/devices", "/api/v1/nothing", "/login", "/"] {
        let response = http().get(format!("{}{path}", server.plain_url)).send().await.unwrap();
        let headers = response.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
        assert_eq!(headers["referrer-policy"], "same-origin", "{path}");
    }
}

#[tokio::test]
async fn text_is_compressed_for_who_wants_it() {
    let server = TestServer::start().await;
    let document = server.request("GET", "/openapi.json");
    let response = document.header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let packed = response.bytes().await.unwrap().len();
    let plain = server.request("GET", "/openapi.json").send().await.unwrap();
    assert!(!plain.headers().contains_key("content-encoding"));
    assert!(plain.bytes().await.unwrap().len() > 4 * packed);
}
