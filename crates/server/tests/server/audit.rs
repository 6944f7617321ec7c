//! The audit log of a running server: an entry for each change, faults that are found, and what
//! goes on when it can't be written.

use std::collections::BTreeSet;
use std::path::Path;

use gofleet_api::{
    AssignRequest, Client, DecisionRequest, EmergencyRequest, EnrolRequest, HoldRequest, Key,
    LoginRequest, ProblemCode, QuarantineRequest, RenewalRequest, TokenRequest,
};
use gofleet_core::audit::{AuditKey, Fault, Head, Verified, Verifier, verify};
use gofleet_core::order::{Report, Want};
use reqwest::StatusCode;
use sqlx::{AnyConnection, Connection as _};

use crate::support::{
    Papers, TestServer, edge_report, everybody, facts, published, refused, within,
};

/// Every route that is no mere reading, and what the log tells of it. A new route must be added.
const ROUTES: [(&str, &str, Option<&str>); 44] = [
    ("POST", "/session", Some("session.opened")),
    ("DELETE", "/session", Some("session.closed")),
    ("POST", "/session/link", Some("session.link_made")),
    ("POST", "/tokens", Some("token.created")),
    ("POST", "/enrol", Some("device.enrolled")),
    ("POST", "/edge/enrol", Some("edge.enrolled")),
    ("POST", "/agent/certificate", Some("device.certificate_renewed")),
    ("POST", "/edge/certificate", Some("edge.certificate_renewed")),
    ("POST", "/releases", Some("release.imported")),
    ("POST", "/releases/{id}/approve", Some("release.decided")),
    ("POST", "/releases/{id}/block", Some("release.decided")),
    ("POST", "/rollouts", Some("rollout.started")),
    ("POST", "/rollouts/{id}/pause", Some("rollout.commanded")),
    ("POST", "/rollouts/{id}/resume", Some("rollout.commanded")),
    ("POST", "/rollouts/{id}/stop", Some("rollout.commanded")),
    ("POST", "/rollouts/{id}/rollback", Some("rollout.commanded")),
    ("POST", "/rollouts/{id}/assign", Some("rollout.assigned")),
    ("POST", "/holds", Some("hold.made")),
    ("DELETE", "/holds/{id}", Some("hold.lifted")),
    ("PUT", "/collections/{name}", Some("collection.set")),
    ("DELETE", "/collections/{name}", Some("collection.deleted")),
    ("POST", "/collections/{name}/preview", None),
    ("PUT", "/devices/{id}/quarantine", Some("device.quarantined")),
    ("DELETE", "/devices/{id}/quarantine", Some("device.let_in")),
    ("POST", "/devices/{id}/revoke", Some("device.revoked")),
    ("POST", "/edges/{id}/revoke", Some("edge.revoked")),
    ("PUT", "/emergency", Some("emergency.stopped")),
    ("DELETE", "/emergency", Some("emergency.lifted")),
    ("POST", "/trust", Some("trust.imported")),
    ("PUT", "/account/password", Some("account.password_set")),
    ("POST", "/api-tokens", Some("api_token.created")),
    ("DELETE", "/api-tokens/{id}", Some("api_token.revoked")),
    ("POST", "/session/token", Some("api_token.created")),
    ("POST", "/accounts", Some("account.set")),
    ("PUT", "/accounts/{name}", Some("account.set")),
    ("DELETE", "/accounts/{name}", Some("account.removed")),
    ("POST", "/accounts/{name}/password", Some("account.password_set")),
    ("PUT", "/rules/{name}", Some("rule.set")),
    ("DELETE", "/rules/{name}", Some("rule.deleted")),
    ("POST", "/rules/{name}/trial", None),
    // Nobody decides anything by these.
    ("POST", "/agent/report", None),
    ("POST", "/agent/ways", None),
    ("POST", "/edge/report", None),
    ("POST", "/rollouts/plan", None),
];

async fn lines(client: &Client) -> Vec<Vec<u8>> {
    let mut reader = client.audit_lines(0).await.unwrap();
    let mut lines = Vec::new();
    while let Some(line) = within(reader.next()).await.unwrap() {
        lines.push(line);
    }
    lines
}

/// What a verification of the server's log says, against its own head and a kept one.
async fn verified(client: &Client, kept: Option<Head>) -> Result<Verified, Fault> {
    let current = client.audit_head().await.unwrap();
    let key: AuditKey = current.key.parse().unwrap();
    assert_eq!(key.open(&current.note), Ok(current.head), "the head is signed");
    let mut verifier = Verifier::default().with_current(current.head);
    if let Some(kept) = kept {
        verifier = verifier.with_kept(kept);
    }
    verify(verifier, lines(client).await)
}

/// A statement by somebody who has the database.
async fn tamper(data: &Path, statement: &'static str) {
    sqlx::any::install_default_drivers();
    let address = format!("sqlite://{}", data.join("gofleet.db").display());
    let mut connection = AnyConnection::connect(&address).await.unwrap();
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Uses everything that can be used, as everybody; the secrets that were handed out.
async fn use_everything(server: &TestServer) -> Vec<String> {
    let admin = server.admin();
    let (id, device, papers) = server.enrol("one").await;
    let renewal = |papers: &Papers| {
        let request = Key::from_pem(&papers.key).unwrap().request().unwrap();
        RenewalRequest { request }
    };
    device.renew(&renewal(&papers)).await.unwrap();
    let reason = "repair".to_owned();
    let hold = HoldRequest { devices: String::new(), reason, from: None, until: None };
    let hold = admin.hold(&hold).await.unwrap().id;
    admin.lift_hold(&hold).await.unwrap();
    crate::collections::set_and_delete(&admin).await;
    admin.quarantine(&id, &QuarantineRequest { reason: "noise".to_owned() }).await.unwrap();
    admin.let_in(&id).await.unwrap();
    let token = server.token().await;
    let (edge_client, edge) = server.enrol_edge("berlin").await;
    edge_client.renew_edge(&renewal(&edge)).await.unwrap();
    edge_client.edge_report(&edge_report("berlin")).await.unwrap();
    device.report(&Report { facts: Some(facts("renamed")), ..Report::default() }).await.unwrap();
    let release = server.import_approved("1.27.3").await.release.id;
    admin.plan(&everybody("1.27.3")).await.unwrap();
    let rollout = admin.start(&published("1.27.3")).await.unwrap().summary.id;
    admin.assign(&rollout, &AssignRequest::default()).await.unwrap();
    admin.pause(&rollout).await.unwrap();
    admin.resume(&rollout).await.unwrap();
    admin.roll_back(&rollout).await.unwrap();
    let reason = EmergencyRequest { reason: "fire".to_owned() };
    admin.stop_everything(&reason).await.unwrap();
    admin.lift_emergency().await.unwrap();
    admin.block(&release, &DecisionRequest::default()).await.unwrap();
    crate::trust::Approver::begin(server).await;
    let stolen = QuarantineRequest { reason: "stolen".to_owned() };
    admin.revoke(&id, &stolen).await.unwrap();
    let edge_id = admin.edges().await.unwrap()[0].id.clone();
    admin.revoke_edge(&edge_id, &stolen).await.unwrap();
    let secrets = crate::people::use_accounts_and_rules(server).await;
    let link = admin.login_link().await.unwrap();
    let session = log_in_and_out(server, &server.admin_token).await;
    let (_, link) = link.path.split_once("link=").unwrap();
    let by_link = log_in_and_out(server, link).await;
    let admin_token = server.admin_token.clone();
    let mut all = vec![papers.key, token, edge.key, session, by_link, link.to_owned(), admin_token];
    all.extend(secrets);
    all
}

async fn log_in_and_out(server: &TestServer, token: &str) -> String {
    let request = LoginRequest::Token { token: token.to_owned() };
    let response = server.request("POST", "/session").json(&request).send().await.unwrap();
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    let session = cookie.split(['=', ';']).nth(1).unwrap().to_owned();
    let logout = server.request("DELETE", "/session").header("origin", &server.plain_url);
    let logout = logout.header("cookie", format!("gofleet_session={session}"));
    assert_eq!(logout.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    session
}

#[tokio::test]
async fn every_route_that_changes_something_has_its_entry_and_no_entry_has_a_secret() {
    let is_change = |method: &str| !matches!(method, "GET" | "HEAD");
    let declared: BTreeSet<_> = gofleet_server::api::table()
        .into_iter()
        .filter(|route| is_change(route.method))
        .map(|route| (route.method, route.path))
        .collect();
    let known = ROUTES.iter().map(|(method, path, _)| (*method, (*path).to_owned()));
    assert_eq!(declared, known.collect(), "say of each route what the audit log tells");

    let server = TestServer::start().await;
    let secrets = use_everything(&server).await;
    let entries = server.admin().audit_entries(1000, None, "", "").await.unwrap();
    let actions: BTreeSet<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
    for (method, path, action) in ROUTES {
        assert!(action.is_none_or(|action| actions.contains(action)), "{method} {path}");
    }
    let by = |action: &str| entries.iter().find(|entry| entry.action == action).unwrap();
    let origin = Some("127.0.0.1");
    let approved = by("release.decided");
    assert_eq!((approved.actor.name.as_str(), approved.via.as_deref()), ("admin", Some("token")));
    assert_eq!(approved.origin.as_deref(), origin);
    assert_eq!(by("device.enrolled").actor.kind, "token");
    assert_eq!(by("session.opened").via.as_deref(), Some("link"), "the latest");
    assert_eq!(by("audit.key_made").actor.kind, "server");
    let commands = entries.iter().filter(|entry| entry.action == "rollout.commanded");
    assert_eq!(commands.count(), 3);

    let export = String::from_utf8(lines(&server.admin()).await.concat()).unwrap();
    for secret in &secrets {
        assert!(!export.contains(secret.as_str()), "{secret} stands in the log");
        let digest = gofleet_core::digest::Digest::of(secret.as_bytes()).to_string();
        assert!(!export.contains(&digest), "not even the digest that the database knows");
    }
    assert_eq!(verified(&server.admin(), None).await.unwrap().link.count, entries.len() as u64);
}

#[tokio::test]
async fn the_log_is_listed_by_pages_and_filters() {
    let server = TestServer::start().await;
    for n in 0..5 {
        server.enrol(&format!("pc-{n}")).await;
    }
    let ask = async |limit, before, actor, action| {
        let entries = server.admin().audit_entries(limit, before, actor, action).await.unwrap();
        entries.into_iter().map(|entry| entry.sequence).collect::<Vec<_>>()
    };
    assert_eq!(ask(3, None, "", "").await, [12, 11, 10]);
    assert_eq!(ask(3, Some(10), "", "").await, [9, 8, 7]);
    assert_eq!(ask(9, None, "", "device").await, [12, 10, 8, 6, 4]);
    assert_eq!(ask(9, None, "server", "").await, [2, 1]);
    assert_eq!(ask(2, None, "admin", "token.created").await, [11, 9]);
    assert_eq!(ask(9, None, "", "dev").await, [0; 0]);
    let (_, device, _) = server.enrol("one").await;
    refused(device.audit_head().await, ProblemCode::Forbidden, "person");
}

#[tokio::test]
async fn the_head_beside_the_database_follows_the_log() {
    let server = TestServer::start().await;
    server.enrol("one").await;
    let head = server.admin().audit_head().await.unwrap();
    let folder = server.stop().await;
    let note = std::fs::read_to_string(folder.path().join("audit-head")).unwrap();
    let key: AuditKey = head.key.parse().unwrap();
    assert_eq!(key.open(&note), Ok(head.head));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let file = std::fs::metadata(folder.path().join("audit-key")).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }
    let server = TestServer::start_on(folder, &[]).await;
    let again = server.admin().audit_head().await.unwrap();
    assert_eq!(again.key, head.key, "one key for the life of the log");
    assert_eq!(again.head, head.head, "a restart is no change");
}

#[tokio::test]
async fn an_older_database_is_found_at_the_start_which_goes_on() {
    let server = TestServer::start().await;
    server.enrol("one").await;
    let folder = server.stop().await;
    let (database, copy) = (folder.path().join("gofleet.db"), folder.path().join("copy"));
    std::fs::copy(&database, &copy).unwrap();
    let server = TestServer::start_on(folder, &[]).await;
    server.enrol("two").await;
    let kept = server.admin().audit_head().await.unwrap().head;
    let folder = server.stop().await;
    std::fs::copy(&copy, &database).unwrap();

    let server = TestServer::start_on(folder, &[]).await;
    let admin = server.admin();
    assert_eq!(admin.devices().await.unwrap().len(), 1, "it is the older one, and it runs");
    let found = admin.audit_entries(1, None, "server", "audit").await.unwrap();
    assert_eq!(found[0].action, "audit.history_lost");
    assert_eq!(found[0].details["known"]["count"], kept.count);
    assert_eq!(verified(&admin, None).await, Err(Fault::HistoryLost { entry: found[0].sequence }));
    let older = verified(&admin, Some(kept)).await.unwrap_err();
    assert!(matches!(older, Fault::OlderDatabase { .. }), "{older}");
    server.enrol("three").await;
    let vouched = admin.audit_head().await.unwrap().head;
    assert!(verified(&admin, Some(vouched)).await.is_ok());
}

#[tokio::test]
async fn a_cut_tail_and_a_lost_head_are_found_at_the_start() {
    let server = TestServer::start().await;
    server.enrol("one").await;
    let folder = server.stop().await;
    tamper(folder.path(), "DELETE FROM audit WHERE sequence > 3").await;
    let server = TestServer::start_on(folder, &[]).await;
    assert_eq!(verified(&server.admin(), None).await, Err(Fault::HistoryLost { entry: 4 }));
    let folder = server.stop().await;
    std::fs::write(folder.path().join("audit-head"), "nonsense").unwrap();
    let server = TestServer::start_on(folder, &[]).await;
    let found = server.admin().audit_entries(1, None, "", "").await.unwrap();
    assert_eq!(found[0].action, "audit.head_lost");
}

#[tokio::test]
async fn without_the_log_nothing_is_changed_but_reads_and_the_emergency_stop_go_on() {
    let server =
        TestServer::start_on(tempfile::tempdir().unwrap(), &[("reconcile_every", "50ms")]).await;
    let admin = server.admin();
    let (_, device, _) = server.enrol("one").await;
    let token = server.token().await;
    let release = server.import_approved("1.27.3").await.release.id;
    let rollout = admin.start(&everybody("1.27.3")).await.unwrap().summary.id;
    let wait = std::time::Duration::from_secs(20);
    let order = device.order(None, wait).await.unwrap().unwrap();
    assert!(matches!(order.want, Want::Activate { .. }));
    tamper(
        server.data(),
        "CREATE TRIGGER no_appends BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    .await;

    let code = ProblemCode::AuditUnavailable;
    refused(admin.create_token(&TokenRequest::default()).await, code, "nothing was changed");
    refused(admin.block(&release, &DecisionRequest::default()).await, code, "audit log");
    refused(admin.pause(&rollout).await, code, "audit log");
    refused(admin.login_link().await, code, "audit log");
    let enrol = EnrolRequest {
        token,
        facts: facts("two"),
        request: Key::generate().unwrap().request().unwrap(),
    };
    refused(server.public().enrol(&enrol).await, code, "audit log");
    assert_eq!(admin.devices().await.unwrap().len(), 1);
    assert_eq!(admin.audit_entries(1, None, "", "").await.unwrap().len(), 1);

    let reason = EmergencyRequest { reason: "fire".to_owned() };
    assert!(admin.stop_everything(&reason).await.unwrap().stop.is_some());
    let hold = device.order(Some(order.generation), wait).await.unwrap().unwrap();
    assert_eq!(hold.want, Want::Hold, "what has not switched is taken back");
    log_in_and_out(&server, &server.admin_token).await;
    refused(admin.lift_emergency().await, code, "audit log");

    tamper(server.data(), "DROP TRIGGER no_appends").await;
    // The next tick tells what is owed.
    let told = within(async {
        loop {
            let told = admin.audit_entries(10, None, "", "emergency").await.unwrap();
            if let Some(entry) = told.first() {
                return entry.clone();
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(told.told_at.is_some(), "{told:?}");
    admin.lift_emergency().await.unwrap();
    assert!(verified(&admin, None).await.is_ok());
}
