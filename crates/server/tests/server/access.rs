//! Every route as everybody: what the declarations promise is what the server does.

use gofleet_api::{DecisionRequest, LoginLink, LoginRequest, trust};
use gofleet_server::access::{Access, Route};
use reqwest::{RequestBuilder, StatusCode};

use crate::support::{Papers, TestServer, everybody};

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    Nobody,
    Stranger,
    Device,
    Edge,
    Administrator,
    Session,
    SessionOfAnotherSite,
    SessionWithoutOrigin,
}

const CALLERS: [Caller; 8] = [
    Caller::Nobody,
    Caller::Stranger,
    Caller::Device,
    Caller::Edge,
    Caller::Administrator,
    Caller::Session,
    Caller::SessionOfAnotherSite,
    Caller::SessionWithoutOrigin,
];

/// What must come of it: a status, or none if the caller is let through.
fn expected(route: &Route, caller: Caller) -> Option<StatusCode> {
    let changes = !matches!(route.method, "GET" | "HEAD");
    let (admits_device, admits_edge, admits_administrator) = match route.access {
        Access::Anyone => return None,
        Access::Device => (true, false, false),
        Access::Edge => (false, true, false),
        Access::Administrator => (false, false, true),
        Access::Known => (true, true, true),
    };
    let admitted = |is_admitted: bool| (!is_admitted).then_some(StatusCode::FORBIDDEN);
    match caller {
        Caller::Nobody | Caller::Stranger => Some(StatusCode::UNAUTHORIZED),
        Caller::Device => admitted(admits_device),
        Caller::Edge => admitted(admits_edge),
        Caller::Administrator | Caller::Session => admitted(admits_administrator),
        Caller::SessionOfAnotherSite | Caller::SessionWithoutOrigin if changes => {
            Some(StatusCode::FORBIDDEN)
        }
        Caller::SessionOfAnotherSite | Caller::SessionWithoutOrigin => {
            admitted(admits_administrator)
        }
    }
}

struct Credentials {
    device: Papers,
    edge: Papers,
    session: String,
}

fn sign(
    (method, path): (&str, &str),
    caller: Caller,
    server: &TestServer,
    credentials: &Credentials,
) -> RequestBuilder {
    let request = server.request(method, path);
    let cookie = format!("other=1; gofleet_session={}", credentials.session);
    match caller {
        Caller::Nobody => request,
        Caller::Stranger => request.bearer_auth("gfadmin_0000"),
        Caller::Device => server.request_as(&credentials.device, method, path),
        Caller::Edge => server.request_as(&credentials.edge, method, path),
        Caller::Administrator => request.bearer_auth(&server.admin_token),
        Caller::Session => request.header("cookie", cookie).header("origin", &server.plain_url),
        Caller::SessionOfAnotherSite => {
            request.header("cookie", cookie).header("origin", "http://evil.example")
        }
        Caller::SessionWithoutOrigin => request.header("cookie", cookie),
    }
}

async fn log_in(server: &TestServer) -> String {
    let request = LoginRequest { token: server.admin_token.clone() };
    let response = server.request("POST", "/session").json(&request).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let (_, rest) = cookie.split_once("gofleet_session=").unwrap();
    rest.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn every_route_admits_whom_it_declares_and_nobody_else() {
    let server = TestServer::start().await;
    let (_, _, device) = server.enrol("one").await;
    let edge = server.enrol_edge("berlin").await.1;
    let routes = gofleet_server::api::table();
    assert!(routes.len() > 25, "{}", routes.len());
    for route in &routes {
        for caller in CALLERS {
            // A session of its own, since one of the routes ends the session.
            let credentials = Credentials {
                device: device.clone(),
                edge: edge.clone(),
                session: log_in(&server).await,
            };
            let path = route.path.replace("{id}", "x-1").replace("{sha256}", &"0".repeat(64));
            let response =
                sign((route.method, &path), caller, &server, &credentials).send().await.unwrap();
            let status = response.status();
            match expected(route, caller) {
                Some(expected) => assert_eq!(status, expected, "{route:?} as {caller:?}"),
                // Let through: what comes of an empty request there does not matter here.
                None => assert!(
                    route.access == Access::Anyone
                        || !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN),
                    "{route:?} as {caller:?}: {status}"
                ),
            }
        }
    }
}

#[tokio::test]
async fn a_device_gets_its_own_orders_only() {
    let server = TestServer::start().await;
    let (one, one_client, _) = server.enrol("one").await;
    let release = server.import_approved("1.27.3").await;
    server.admin().start(&everybody("1.27.3")).await.unwrap();
    let (_, other_client, _) = server.enrol("other").await;
    let wait = std::time::Duration::from_secs(20);
    let order = one_client.order(None, wait).await.unwrap().expect("the rollout has one device");
    assert_eq!(order.device, one);
    assert_eq!(other_client.order(None, std::time::Duration::ZERO).await.unwrap(), None);
    let manifest = one_client.agent_manifest(&release.release.id).await.unwrap().0;
    assert_eq!(manifest.digest(), release.release.manifest);
}

#[tokio::test]
async fn a_session_ends_by_logging_out_and_by_time() {
    let server = TestServer::start().await;
    let ask = async |session: &str| {
        let request = server.request("GET", "/overview");
        let cookie = format!("gofleet_session={session}");
        request.header("cookie", cookie).send().await.unwrap().status()
    };
    let session = log_in(&server).await;
    assert_eq!(ask(&session).await, StatusCode::OK);
    let logout = server.request("DELETE", "/session");
    let logout = logout.header("cookie", format!("gofleet_session={session}"));
    let logged_out = logout.header("origin", &server.plain_url).send().await.unwrap();
    assert_eq!(logged_out.status(), StatusCode::NO_CONTENT);
    assert_eq!(ask(&session).await, StatusCode::UNAUTHORIZED);
    let session = log_in(&server).await;
    server.pass("13h".parse().unwrap());
    assert_eq!(ask(&session).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_login_from_another_sites_page_is_refused() {
    let server = TestServer::start().await;
    let request = LoginRequest { token: server.admin_token.clone() };
    let login = server.request("POST", "/session").json(&request);
    let response = login.header("origin", "http://evil.example").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert!(!response.headers().contains_key("set-cookie"));
}

#[tokio::test]
async fn secrets_stand_nowhere_in_clear_but_in_the_owners_file() {
    let server = TestServer::start().await;
    server.enrol("one").await;
    let (token, session) = (server.token().await, log_in(&server).await);
    let release = server.import("1.27.3").await.release.id;
    server.admin().approve(&release, &DecisionRequest::default()).await.unwrap();
    let admin_token = server.admin_token.clone();
    let folder = server.stop().await;
    let mut searched = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let is_owners = ["admin-token", "authority-key.pem", "audit-key"];
        if !path.is_file() || is_owners.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        let content = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        for secret in [&token, &session, &admin_token].map(|it| trust::secret_in(it)) {
            assert!(!content.contains(secret), "{} has a secret", path.display());
        }
        searched += 1;
    }
    assert!(searched > 0);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        for name in ["admin-token", "authority-key.pem", "audit-key"] {
            let file = std::fs::metadata(folder.path().join(name)).unwrap();
            assert_eq!(file.permissions().mode() & 0o777, 0o600, "{name}");
        }
    }
}

#[tokio::test]
async fn a_login_link_logs_in_once() {
    let server = TestServer::start().await;
    let request = server.request("POST", "/session/link").bearer_auth(&server.admin_token);
    let link: LoginLink = request.send().await.unwrap().json().await.unwrap();
    let (_, secret) = link.path.split_once("/login?link=").unwrap();
    for expect in [StatusCode::NO_CONTENT, StatusCode::UNAUTHORIZED] {
        let request = LoginRequest { token: secret.to_owned() };
        let response = server.request("POST", "/session").json(&request).send().await.unwrap();
        assert_eq!(response.status(), expect);
    }
}
