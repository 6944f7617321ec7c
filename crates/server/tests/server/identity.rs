//! Who a machine is: keys, certificates, and what becomes of those that are lost, stolen or shared.

use std::time::Duration;

use gofleet_api::{
    Client, ClientError, EnrolRequest, Key, ProblemCode, QuarantineCause, QuarantineRequest,
    RenewalRequest, TokenRequest, trust,
};
use gofleet_core::digest::Digest;
use gofleet_core::enrolment::Scope;
use gofleet_core::time::Span;
use reqwest::StatusCode;

use crate::support::{Papers, TestServer, everybody, facts, http, refused, within};

async fn request(server: &TestServer, key: &Key) -> EnrolRequest {
    let (token, request) = (server.token().await, key.request().unwrap());
    EnrolRequest { token, facts: facts("pc-1"), request }
}

fn reason(text: &str) -> QuarantineRequest {
    QuarantineRequest { reason: text.to_owned() }
}

#[tokio::test]
async fn a_server_is_known_by_its_authority_only() {
    let server = TestServer::start().await;
    let other = TestServer::start().await;
    server.public().health().await.unwrap();
    for authority in [None, other.authority(), Some(Digest::of(b"nobody"))] {
        let client = Client::public(&server.url, authority).unwrap();
        let error = client.health().await.unwrap_err();
        assert!(matches!(error, ClientError::Untrusted { is_time: false, .. }), "{error:?}");
        assert!(error.hint().is_some() && error.is_transient());
    }
    // A token of another server does not even send its secret here.
    let error = Client::with_token(&server.url, &other.admin_token).unwrap().overview().await;
    assert!(matches!(error, Err(ClientError::Untrusted { .. })));
}

#[tokio::test]
async fn a_name_that_the_server_has_not_is_refused() {
    let server = TestServer::start().await;
    let flags = [("tls_names", "go.example, 10.9.8.7")];
    let named = TestServer::start_on(tempfile::tempdir().unwrap(), &flags).await;
    for (server, is_known) in [(&server, false), (&named, true)] {
        let port = server.url.rsplit_once(':').unwrap().1.to_owned();
        let resolved = reqwest::Client::builder()
            .no_proxy()
            .resolve("go.example", format!("127.0.0.1:{port}").parse().unwrap())
            .tls_certs_only([authority(server)])
            .build()
            .unwrap();
        let url = format!("https://go.example:{port}/api/v1/healthz");
        assert_eq!(resolved.get(url).send().await.is_ok(), is_known);
    }
}

fn authority(server: &TestServer) -> reqwest::Certificate {
    http();
    let pem = std::fs::read(server.data().join("authority.pem")).unwrap();
    reqwest::Certificate::from_pem(&pem).unwrap()
}

#[tokio::test]
async fn without_tls_nobody_is_a_device() {
    let server = TestServer::start().await;
    let response = server.request("GET", "/agent/order").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let enrol = request(&server, &Key::generate().unwrap()).await;
    let plain = Client::public(&server.plain_url, None).unwrap().enrol(&enrol).await;
    refused(plain, ProblemCode::Forbidden, "by TLS");
    let flags = [("plain_http", "false")];
    let strict = TestServer::start_on(tempfile::tempdir().unwrap(), &flags).await;
    assert_eq!(strict.plain_url, "");
    let url = format!("{}/", strict.url.replace("https://", "http://"));
    let response = http().get(url).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(response.text().await.unwrap().contains("https://"));
    strict.public().health().await.unwrap();
}

#[tokio::test]
async fn a_key_is_one_device_however_often_it_asks() {
    let server = TestServer::start().await;
    let key = Key::generate().unwrap();
    let first = request(&server, &key).await;
    let device = server.public().enrol(&first).await.unwrap().device;
    // The answer was lost, or the machine was killed before it kept it.
    assert_eq!(server.public().enrol(&first).await.unwrap().device, device);
    // The certificate is gone or has expired: a new token, and the device is the same.
    let later = request(&server, &key).await;
    assert_eq!(server.public().enrol(&later).await.unwrap().device, device);
    // A machine that was set up anew has another key, and inherits nothing.
    let other = request(&server, &Key::generate().unwrap()).await;
    assert_ne!(server.public().enrol(&other).await.unwrap().device, device);
    assert_eq!(server.admin().devices().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_request_that_is_none_uses_no_token_up() {
    let server = TestServer::start().await;
    let key = Key::generate().unwrap();
    let good = request(&server, &key).await;
    let (head, tail) = good.request.split_at(good.request.len() / 2);
    let flipped = format!("{head}{}", tail.replacen(|c: char| c.is_ascii_lowercase(), "Z", 3));
    for bad in ["", "nonsense", &good.request[..good.request.len() / 2], &flipped] {
        let bad = EnrolRequest { request: bad.to_owned(), ..good.clone() };
        refused(server.public().enrol(&bad).await, ProblemCode::InvalidRequest, "certificate");
    }
    server.public().enrol(&good).await.unwrap();
}

#[tokio::test]
async fn a_certificate_ends_and_is_renewed_for_the_same_key_only() {
    let server = TestServer::start().await;
    let (device, client, papers) = server.enrol("one").await;
    let renewal = |key: &Key| RenewalRequest { request: key.request().unwrap() };
    let own = Key::from_pem(&papers.key).unwrap();
    let first = client.renew(&renewal(&own)).await.unwrap();
    let life = first.expires_at.since(first.renew_at).as_millis() * 3;
    server.pass(Span::from_millis(life / 3 * 2));
    let second = client.renew(&renewal(&own)).await.unwrap();
    assert_eq!(second.expires_at.since(first.expires_at).as_millis(), life / 3 * 2);
    let stranger = client.renew(&renewal(&Key::generate().unwrap())).await;
    refused(stranger, ProblemCode::Forbidden, "another key");

    server.pass(Span::from_millis(life / 2));
    let none = client.order(None, Duration::ZERO).await;
    refused(none, ProblemCode::Unauthenticated, "was good until");
    client
        .replace_credential(
            Papers { certificate: second.certificate, key: papers.key }.credential(),
        )
        .unwrap();
    assert!(client.order(None, Duration::ZERO).await.unwrap().is_none());
    assert_eq!(server.admin().devices().await.unwrap()[0].id, device);
}

#[tokio::test]
async fn a_certificate_of_another_authority_ends_the_handshake() {
    let server = TestServer::start().await;
    let other = TestServer::start().await;
    let (_, _, papers) = other.enrol("one").await;
    let client = server.client(&papers);
    let error = client.order(None, Duration::ZERO).await.unwrap_err();
    assert!(error.problem().is_none(), "{error:?}");
    // Whose device it is says its authority, not what it claims.
    let (_, own, _) = server.enrol("two").await;
    assert!(own.order(None, Duration::ZERO).await.unwrap().is_none());
}

#[tokio::test]
async fn a_revoked_device_is_refused_at_its_next_request_for_good() {
    let server = TestServer::start().await;
    let (device, client, papers) = server.enrol("one").await;
    let (_, other, _) = server.enrol("two").await;
    server.import_approved("1.27.3").await;
    // A poll that is under way ends, and brings nothing.
    let waiting = {
        let client = client.clone();
        tokio::spawn(async move { client.order(None, Duration::from_secs(30)).await })
    };
    server.admin().revoke(&device, &reason("stolen")).await.unwrap();
    match within(waiting).await.unwrap() {
        Ok(order) => assert!(order.is_none()),
        // It had not begun to wait.
        refusal => refused(refusal, ProblemCode::Unauthenticated, "not known"),
    }
    let next = client.order(None, Duration::ZERO).await;
    refused(next, ProblemCode::Unauthenticated, "not known");
    let back = EnrolRequest {
        request: Key::from_pem(&papers.key).unwrap().request().unwrap(),
        ..request(&server, &Key::generate().unwrap()).await
    };
    refused(server.public().enrol(&back).await, ProblemCode::Revoked, "revoked");
    refused(server.admin().let_in(&device).await, ProblemCode::Revoked, "revoked");
    // No rollout waits for it.
    server.admin().start(&everybody("1.27.3")).await.unwrap();
    assert!(within(other.order(None, Duration::from_secs(30))).await.unwrap().is_some());
    let kept_out = server.admin().device(&device).await.unwrap().device.kept_out.unwrap();
    assert!(kept_out.to_string().contains("revoked by admin: stolen"), "{kept_out}");
}

#[tokio::test]
async fn a_revoked_distribution_point_is_offered_no_more() {
    let server = TestServer::start().await;
    let (client, _) = server.enrol_edge("berlin").await;
    let edge = server.admin().edges().await.unwrap()[0].id.clone();
    server.admin().revoke_edge(&edge, &reason("replaced")).await.unwrap();
    assert!(server.admin().edges().await.unwrap().is_empty());
    let report = client.edge_report(&crate::support::edge_report("berlin")).await;
    refused(report, ProblemCode::Unauthenticated, "not known");
    let again = server.admin().revoke_edge(&edge, &reason("replaced")).await;
    refused(again, ProblemCode::NotFound, edge.as_str());
}

#[tokio::test]
async fn two_machines_with_one_key_are_noticed() {
    let server = TestServer::start().await;
    let (device, client, papers) = server.enrol("one").await;
    let (restarted, clone) = (server.client(&papers), server.client(&papers));
    let kept_out = async || server.admin().device(&device).await.unwrap().device.kept_out;
    let ask = async |client: &Client| {
        client.order(None, Duration::ZERO).await.unwrap();
    };
    let first = client.of_run("1");
    ask(&first).await;
    // The agent is started again, a request of the earlier run comes late.
    let second = restarted.of_run("2");
    for client in [&second, &first, &second, &second] {
        ask(client).await;
    }
    assert_eq!(kept_out().await, None);
    let third = clone.of_run("3");
    for client in [&third, &second, &third, &second] {
        ask(client).await;
    }
    let Some(gofleet_api::KeptOut::Quarantine(quarantine)) = kept_out().await else {
        panic!("not noticed: {:?}", kept_out().await);
    };
    assert!(
        matches!(quarantine.cause, QuarantineCause::SharedKey { ref addresses }
        if addresses == &["127.0.0.1"]),
        "{quarantine:?}"
    );
}

#[tokio::test]
async fn a_token_is_for_the_machines_in_its_scope() {
    let server = TestServer::start().await;
    let token = async |scope: Scope| {
        let ask = TokenRequest { scope, ..TokenRequest::default() };
        server.admin().create_token(&ask).await.unwrap().token
    };
    let enrol = async |token: &str| {
        let key = Key::generate().unwrap().request().unwrap();
        let request = EnrolRequest { token: token.to_owned(), facts: facts("pc-1"), request: key };
        server.public().enrol(&request).await
    };
    let elsewhere = Scope { networks: vec!["10.0.0.0/8".parse().unwrap()], ..Scope::default() };
    let far = token(elsewhere).await;
    refused(enrol(&far).await, ProblemCode::TokenOutOfScope, "127.0.0.1");
    let other = Scope { devices: "hostname = pc-2".to_owned(), ..Scope::default() };
    refused(enrol(&token(other).await).await, ProblemCode::TokenOutOfScope, "pc-2");
    // A token that was refused is not used up.
    let tokens = server.admin().tokens().await.unwrap();
    assert!(tokens.iter().all(|token| token.used_by.is_none()));
    let here = Scope {
        networks: vec!["127.0.0.0/8".parse().unwrap()],
        devices: "hostname = pc-1".to_owned(),
        needs_approval: true,
    };
    let device = enrol(&token(here).await).await.unwrap().device;
    let kept_out = server.admin().device(&device).await.unwrap().device.kept_out.unwrap();
    assert!(kept_out.to_string().contains("waits to be let in"), "{kept_out}");
    server.admin().let_in(&device).await.unwrap();
    assert_eq!(server.admin().device(&device).await.unwrap().device.kept_out, None);
    let nonsense = Scope { devices: "hostname =".to_owned(), ..Scope::default() };
    let ask = TokenRequest { scope: nonsense, ..TokenRequest::default() };
    refused(server.admin().create_token(&ask).await, ProblemCode::InvalidRequest, "selector");
}

#[tokio::test]
async fn a_companys_certificate_is_shown_and_tokens_tell_of_no_authority() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let flags =
        [("tls_certificate", certificate.to_str().unwrap()), ("tls_key", key.to_str().unwrap())];
    let server = TestServer::start_on(tempfile::tempdir().unwrap(), &flags).await;
    assert_eq!(trust::authority_in(&server.admin_token), None);
    http();
    let company = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([company]).build().unwrap();
    let url = format!("{}/api/v1/devices", server.url);
    let response = client.get(url).bearer_auth(&server.admin_token).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_authority_lasts_and_a_damaged_one_is_not_replaced() {
    let server = TestServer::start().await;
    let (token, authority) = (server.admin_token.clone(), server.authority());
    let (_, _, papers) = server.enrol("one").await;
    let server = TestServer::start_on(server.stop().await, &[]).await;
    assert_eq!((&server.admin_token, server.authority()), (&token, authority));
    server.client(&papers).order(None, Duration::ZERO).await.unwrap();
    let folder = server.stop().await;
    let path = folder.path().join("authority-key.pem");
    let good = std::fs::read(&path).unwrap();
    for bad in ["", "nonsense", &Key::generate().unwrap().to_pem()] {
        std::fs::write(&path, bad).unwrap();
        let started =
            gofleet_server::serve(crate::support::config(folder.path()), async {}, |_| {});
        let error = within(started).await.unwrap_err();
        assert!(error.hint().unwrap().contains("copy"), "{error:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), bad, "nothing is replaced");
    }
    std::fs::write(&path, good).unwrap();
    TestServer::start_on(folder, &[])
        .await
        .client(&papers)
        .order(None, Duration::ZERO)
        .await
        .unwrap();
}
