//! Requests, of strangers and of devices, to a server and to a distribution point.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use gofleet_api::{EnrolRequest, EnrolResponse, Key};
use gofleet_core::bandwidth::Bandwidth;
use gofleet_core::digest::Digest;
use gofleet_core::release::Release;
use gofleet_server::tls::Authority;
use gofleet_server::{EdgeConfig, serve_edge};
use reqwest::{Method, StatusCode, header};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::SECONDS;
use crate::harness::harmed;
use crate::support::{DEADLINE, TestServer, facts, http, within};

/// A request as it goes over the wire, with its length.
fn raw(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n{headers}\r\n\
         {body}"
    )
    .into_bytes()
}

/// What is sent behind each of them: the server answers both, and closes.
const LAST: &[u8] = b"GET /last HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
/// How long an answer is waited for before the server is told that no more will come. It may well
/// wait for the body that was announced; but if it is told at once, it may not answer what it has.
const PATIENCE: Duration = Duration::from_millis(100);

/// Sends bytes over a connection of its own; the answers.
fn answers(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    // The server may answer and close before all is sent.
    let _may_break = stream.write_all(&[bytes, LAST].concat());
    let (mut all, mut patience) = (Vec::new(), PATIENCE);
    loop {
        stream.set_read_timeout(Some(patience)).unwrap();
        match stream.read_to_end(&mut all).map_err(|error| error.kind()) {
            Ok(_) | Err(ErrorKind::ConnectionReset) => return all,
            Err(ErrorKind::WouldBlock | ErrorKind::TimedOut) if patience == PATIENCE => {
                patience = DEADLINE;
                let _may_be_closed = stream.shutdown(Shutdown::Write);
            }
            Err(other) => panic!("no answer and no end: {other}\n{}", bytes.escape_ascii()),
        }
    }
}

/// The status of the first answer; none if there is none.
fn status(answers: &[u8]) -> Option<u16> {
    let line = answers.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.1 ")?;
    line.get(..3)?.parse().ok()
}

/// Whether it is answered; never by a fault of the server's own.
fn is_answered(address: &str, bytes: &[u8]) -> bool {
    let answers = answers(address, bytes);
    let status = status(&answers);
    let is_fault = status.is_some_and(|status| status >= 500);
    assert!(!is_fault, "{}\n{}", bytes.escape_ascii(), answers.escape_ascii());
    status.is_some()
}

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_requests_of_strangers_change_nothing() {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(TestServer::start());
    let release = runtime.block_on(server.import_approved("1.27.3"));
    let token = runtime.block_on(server.token());
    let enrol = EnrolRequest {
        token,
        facts: facts("one"),
        request: Key::generate().unwrap().request().unwrap(),
    };
    let json = "content-type: application/json\r\n";
    let form = "content-type: application/x-www-form-urlencoded\r\norigin: http://localhost\r\n";
    let artifact = format!("/api/v1/artifacts/{}", release.release.archive.sha256);
    let chunked = "POST /api/v1/session HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\
                   content-type: application/json\r\n\r\n9\r\n{\"token\":\r\n4\r\n\"x\"}\r\n0\r\n\r\n";
    let seeds = [
        raw("POST", "/api/v1/enrol", json, &serde_json::to_string(&enrol).unwrap()),
        raw("POST", "/api/v1/session", json, &json!({ "token": "gfadmin_0" }).to_string()),
        raw("POST", "/login", form, "token=gfadmin_0&next=%2Fdevices%3Fq%3Da%2526b"),
        raw("GET", "/login?link=0123abcd&next=/rollouts", "cookie: gofleet_session=00\r\n", ""),
        raw("GET", &artifact, "range: bytes=0-99\r\nif-range: \"x\"\r\n", ""),
        raw("GET", "/api/v1/trust/metadata/1.root.json", "accept-encoding: gzip\r\n", ""),
        raw("GET", "/api/v1/agent/order?after=3&wait=0", "authorization: Bearer x\r\n", ""),
        raw("GET", "/api/v1/healthz", "x-gofleet-run: 00\r\n", ""),
        chunked.as_bytes().to_vec(),
    ];
    let address = server.plain_url.trim_start_matches("http://").to_owned();
    harmed("strangers", 2 * SECONDS, &seeds, |bytes| is_answered(&address, bytes));
    let admin = server.admin();
    runtime.block_on(async {
        assert!(admin.devices().await.unwrap().is_empty());
        assert!(admin.tokens().await.unwrap().iter().all(|token| token.used_by.is_none()));
        assert_eq!(admin.releases().await.unwrap(), [release]);
    });
}

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_enrolments_make_the_one_device_or_none() {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(TestServer::start());
    let request = Key::generate().unwrap().request().unwrap();
    let key = Authority::key_of(&request).unwrap();
    let token = runtime.block_on(server.token());
    let enrol = EnrolRequest { token, facts: facts("one"), request };
    http();
    let authority = std::fs::read(server.data().join("authority.pem")).unwrap();
    let authority = reqwest::Certificate::from_pem(&authority).unwrap();
    let client = reqwest::Client::builder().no_proxy().timeout(DEADLINE);
    let client = client.tls_certs_only([authority]).build().unwrap();
    let url = format!("{}/api/v1/enrol", server.url);
    harmed("enrolments", SECONDS, &[serde_json::to_vec(&enrol).unwrap()], |bytes| {
        runtime.block_on(async {
            let post = client.post(&url).header(header::CONTENT_TYPE, "application/json");
            let answer = within(post.body(bytes.to_vec()).send()).await.unwrap();
            let status = answer.status();
            assert!(!status.is_server_error(), "{status}: {}", bytes.escape_ascii());
            if status != StatusCode::CREATED {
                return false;
            }
            let enrolled: EnrolResponse = answer.json().await.unwrap();
            let sent: EnrolRequest = serde_json::from_slice(bytes).unwrap();
            assert_eq!(Authority::key_of(&sent.request), Ok(key), "{enrolled:?}");
            true
        })
    });
    assert_eq!(runtime.block_on(server.admin().devices()).unwrap().len(), 1);
}

/// What a device asks, as text: method and path, a range, and a body.
fn asked(method: &str, path: &str, range: &str, body: &str) -> Vec<u8> {
    format!("{method} {path}\n{range}\n{body}").into_bytes()
}

/// What comes of a range is that part of the file, or an answer that says that there is none.
fn is_part_of(file: &[u8], range: &str, (status, told): (StatusCode, Option<&str>), got: &[u8]) {
    match status {
        StatusCode::OK => assert!(got == file, "{range}: {} bytes", got.len()),
        StatusCode::PARTIAL_CONTENT => {
            let part = told.and_then(|it| it.strip_prefix("bytes ")?.split_once('/'));
            let (part, size) = part.unwrap();
            assert_eq!(size.parse(), Ok(file.len()), "{range}");
            let (first, last) = part.split_once('-').unwrap();
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            assert!(got == &file[first..=last], "{range}: {told:?}");
        }
        _ => {}
    }
}

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_requests_of_a_device_are_answered_and_get_their_part() {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(TestServer::start());
    let (release, papers) = runtime.block_on(async {
        let release = server.import_approved("1.27.3").await;
        (release, server.enrol("one").await.2)
    });
    let file = std::fs::read(server.data().join("go-1.27.3.zip")).unwrap();
    let artifact = format!("/artifacts/{}", release.release.archive.sha256);
    let report = json!({
        "facts": facts("one"),
        "progress": {
            "generation": 7, "order": Digest::of(b"order"), "sequence": 12, "step": "failed",
            "active": "go-1.27.2-linux-amd64", "bytes_downloaded": 304_737,
            "failure": { "step": "verifying", "kind": "check", "message": "it said no" },
        },
        "signals": { "over": "1m", "values": { "processor": 12.5, "errors": 0.25 } },
    });
    let ways =
        json!({ "release": release.release.id, "holds": [Digest::of(b"x")], "formats": [1] });
    let manifest = format!("/agent/releases/{}/manifest", release.release.id);
    let seeds = [
        asked("POST", "/agent/report", "", &report.to_string()),
        asked("POST", "/agent/ways", "", &ways.to_string()),
        asked("GET", "/agent/order?after=3", "", ""),
        asked("GET", &manifest, "", ""),
        asked("GET", &artifact, "bytes=10-99", ""),
        asked("GET", &artifact, "bytes=-7", ""),
    ];
    // One client, and so one connection, for all of them.
    let (client, _) = server.request_as(&papers, "GET", "/healthz").build_split();
    harmed("devices", SECONDS, &seeds, |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return false };
        let mut lines = text.splitn(3, '\n');
        let (Some(first), Some(range)) = (lines.next(), lines.next()) else { return false };
        let body = lines.next().unwrap_or_default().to_owned();
        let Some((method, path)) = first.split_once(' ') else { return false };
        let Ok(method) = method.parse::<Method>() else { return false };
        // A question that may wait does wait.
        if path.contains("wait") || path.contains("..") || !path.starts_with('/') {
            return false;
        }
        let request = client.request(method.clone(), format!("{}/api/v1{path}", server.url));
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        let range_header = header::HeaderValue::from_str(range);
        let request = match &range_header {
            Ok(value) if !range.is_empty() => request.header(header::RANGE, value),
            Ok(_) | Err(_) => request,
        };
        runtime.block_on(async {
            let Ok(request) = request.build() else { return false };
            let Ok(answer) = within(client.execute(request)).await else { return false };
            let status = answer.status();
            assert!(!status.is_server_error(), "{status}: {}", bytes.escape_ascii());
            let told = answer.headers().get(header::CONTENT_RANGE);
            let told = told.and_then(|value| value.to_str().ok()).map(str::to_owned);
            let got = answer.bytes().await.unwrap();
            if method == Method::GET && path == artifact {
                is_part_of(&file, range, (status, told.as_deref()), &got);
            }
            true
        })
    });
}

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_requests_to_a_distribution_point_get_nothing_but_artifacts() {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(TestServer::start());
    let release: Release = runtime.block_on(server.import_approved("1.27.3"));
    let folder = tempfile::tempdir().unwrap();
    let config = EdgeConfig {
        upstream: server.url.clone(),
        token: Some(runtime.block_on(server.token())),
        data: folder.path().to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        public_url: None,
        site: "berlin".to_owned(),
        limit: Bandwidth::UNLIMITED,
        device_limit: Bandwidth::UNLIMITED,
        cache_bytes: 1 << 30,
    };
    let ((stop, stopped), (ready, told)) = (oneshot::channel::<()>(), oneshot::channel());
    let shutdown = async {
        let _either_way = stopped.await;
    };
    let on_ready = move |url: &str| ready.send(url.to_owned()).expect("the test waits");
    let edge = runtime.spawn(serve_edge(config, shutdown, on_ready));
    let url = runtime.block_on(within(told)).unwrap();
    let address = url.trim_start_matches("https://").to_owned();
    let artifact = format!("/api/v1/artifacts/{}", release.release.archive.sha256);
    let file = std::fs::read(server.data().join("go-1.27.3.zip")).unwrap();
    let seeds = [
        raw("GET", &artifact, "", ""),
        raw("GET", &artifact, "range: bytes=0-99\r\n", ""),
        raw("HEAD", &artifact, "if-none-match: \"x\"\r\n", ""),
        raw("GET", "/api/v1/healthz", "", ""),
    ];
    harmed("edge", SECONDS, &seeds, |bytes| {
        let answers = answers(&address, bytes);
        let status = status(&answers);
        let is_fault = status.is_some_and(|status| status >= 500);
        assert!(!is_fault, "{}\n{}", bytes.escape_ascii(), answers.escape_ascii());
        let body = answers.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4);
        let body = body.map_or(&answers[..0], |at| &answers[at..]);
        // Its own key and credential lie beside the artifacts.
        assert!(!body.windows(7).any(|text| text == b"PRIVATE"));
        if status == Some(200) && bytes == seeds[0] {
            assert!(body.starts_with(&file));
        }
        status.is_some()
    });
    stop.send(()).unwrap();
    runtime.block_on(within(edge)).unwrap().unwrap();
}
