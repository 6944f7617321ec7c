//! Every route as everybody: what the declarations promise is what the server does.

use std::collections::HashMap;

use gofleet_api::{
    ApiTokenRequest, DecisionRequest, LoginLink, LoginRequest, Permission, Role, trust,
};
use gofleet_server::access::{Access, Route};
use reqwest::{RequestBuilder, StatusCode};

use crate::support::{Papers, TestServer, everybody, http};

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
    /// Somebody with this role, by an API token.
    Role(Role),
    /// Somebody with an account and no role.
    NoRole,
    /// An operator, by an API token that was made for looking only.
    ViewerToken,
}

fn callers() -> Vec<Caller> {
    let mut callers = vec![
        Caller::Nobody,
        Caller::Stranger,
        Caller::Device,
        Caller::Edge,
        Caller::Administrator,
        Caller::Session,
        Caller::SessionOfAnotherSite,
        Caller::SessionWithoutOrigin,
        Caller::NoRole,
        Caller::ViewerToken,
    ];
    callers.extend(Role::ALL.map(Caller::Role));
    callers
}

/// What must come of it: a status, or none if the caller is let through.
fn expected(route: &Route, caller: Caller) -> Option<StatusCode> {
    let changes = !matches!(route.method, "GET" | "HEAD");
    let admitted = |is_admitted: bool| (!is_admitted).then_some(StatusCode::FORBIDDEN);
    let (to_devices, to_edges, permission) = match route.access {
        Access::Anyone => return None,
        Access::Device => (true, false, None),
        Access::Edge => (false, true, None),
        Access::Person(permission) => (false, false, Some(permission)),
        Access::Known => (true, true, Some(Permission::Own)),
    };
    match caller {
        Caller::Nobody | Caller::Stranger => Some(StatusCode::UNAUTHORIZED),
        Caller::Device => admitted(to_devices),
        Caller::Edge => admitted(to_edges),
        Caller::SessionOfAnotherSite | Caller::SessionWithoutOrigin if changes => {
            Some(StatusCode::FORBIDDEN)
        }
        Caller::Administrator
        | Caller::Session
        | Caller::SessionOfAnotherSite
        | Caller::SessionWithoutOrigin => admitted(permission.is_some()),
        Caller::Role(role) => admitted(permission.is_some_and(|it| role.may(it))),
        // A session has all roles of the account, and the token is for one.
        Caller::ViewerToken if route.path == "/session/link" => Some(StatusCode::FORBIDDEN),
        Caller::ViewerToken => admitted(permission.is_some_and(|it| Role::Viewer.may(it))),
        Caller::NoRole => admitted(permission == Some(Permission::Own)),
    }
}

struct Credentials {
    device: Papers,
    edge: Papers,
    session: String,
    people: HashMap<String, String>,
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
        Caller::Role(role) => request.bearer_auth(&credentials.people[role.as_str()]),
        Caller::NoRole => request.bearer_auth(&credentials.people["nobody"]),
        Caller::ViewerToken => request.bearer_auth(&credentials.people["looks"]),
    }
}

async fn log_in(server: &TestServer) -> String {
    let request = LoginRequest::Token { token: server.admin_token.clone() };
    let response = server.request("POST", "/session").json(&request).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let (_, rest) = cookie.split_once("gofleet_session=").unwrap();
    rest.split(';').next().unwrap().to_owned()
}

/// Every route as everybody, made of the declarations: a route that is added is in it, and one
/// without a declaration can't be added.
#[tokio::test]
async fn every_route_admits_whom_it_declares_and_nobody_else() {
    let server = TestServer::start().await;
    let (_, _, device) = server.enrol("one").await;
    let edge = server.enrol_edge("berlin").await.1;
    let mut people = HashMap::new();
    for role in Role::ALL {
        let name = role.as_str();
        people.insert(name.to_owned(), server.person(name, &[name]).await.secret);
    }
    people.insert("nobody".to_owned(), server.person("nobody", &[]).await.secret);
    let operator = server.person("ann", &["operator", "viewer"]).await;
    let request = ApiTokenRequest { roles: vec![Role::Viewer], ..ApiTokenRequest::default() };
    let looks = operator.client.make_api_token(&request).await.unwrap();
    people.insert("looks".to_owned(), trust::secret_in(&looks.secret).to_owned());
    let mut credentials = Credentials { device, edge, session: log_in(&server).await, people };
    let routes = gofleet_server::api::table();
    assert!(routes.len() > 60, "{}", routes.len());
    for route in &routes {
        for caller in callers() {
            if route.path == "/session" {
                // One of the routes ends the session.
                credentials.session = log_in(&server).await;
            }
            let path = route.path.replace("{id}", "x-1").replace("{name}", "x-1");
            let path = path.replace("{sha256}", &"0".repeat(64));
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

/// The same for the pages: what one may not see is told as a page, and nobody is asked to sign in
/// who has.
#[tokio::test]
async fn every_page_admits_whom_it_is_for() {
    let server = TestServer::start().await;
    let anywhere = Role::ALL.as_slice();
    for (path, roles) in [
        ("/", anywhere),
        ("/rollouts", anywhere),
        ("/planner", anywhere),
        ("/devices", anywhere),
        ("/collections", anywhere),
        ("/releases", anywhere),
        ("/account", anywhere),
        ("/audit", Permission::ReadAudit.roles()),
        ("/access", Permission::ReadAccess.roles()),
    ] {
        for role in Role::ALL {
            let known = server.people.lock().await.get(role.as_str()).cloned();
            let person = match known {
                Some(person) => person,
                None => server.person(role.as_str(), &[role.as_str()]).await,
            };
            let page = http().get(format!("{}{path}", server.plain_url));
            let status = page.bearer_auth(&person.secret).send().await.unwrap().status();
            let expect = if roles.contains(&role) { StatusCode::OK } else { StatusCode::FORBIDDEN };
            assert_eq!(status, expect, "{path} as {role}");
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
    let request = LoginRequest::Token { token: server.admin_token.clone() };
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
        let request = LoginRequest::Token { token: secret.to_owned() };
        let response = server.request("POST", "/session").json(&request).send().await.unwrap();
        assert_eq!(response.status(), expect);
    }
}
