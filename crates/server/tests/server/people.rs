//! People: their accounts, what proves who they are, and what roles and rules let them do.

use gofleet_api::{
    AccountChange, ApiTokenRequest, Client, CollectionRequest, DecisionRequest, EmergencyRequest,
    LoginRequest, Members, Permission, ProblemCode, Refusal, Role, RolloutState, RuleRequest,
    TokenLoginRequest, trust,
};
use gofleet_core::account::Subject;
use gofleet_core::ids::AccountName;
use gofleet_core::rollout::RolloutSpec;
use reqwest::StatusCode;

use crate::support::{Person, TestServer, everybody, http, refused, spec, within};

fn name(text: &str) -> AccountName {
    text.parse().unwrap()
}

fn login(account: &str, password: &str) -> TokenLoginRequest {
    let (account, password) = (name(account), password.to_owned());
    TokenLoginRequest { account, password, token: ApiTokenRequest::default() }
}

/// Every route that concerns accounts and rules, for the test of the audit log; the secrets that
/// were handed out.
pub async fn use_accounts_and_rules(server: &TestServer) -> Vec<String> {
    let admin = server.admin();
    let ann = server.person("ann", &["viewer"]).await;
    let made = ann.client.make_api_token(&ApiTokenRequest::default()).await.unwrap();
    ann.client.revoke_api_token(&made.token.id).await.unwrap();
    let change = AccountChange { note: Some("Ann".to_owned()), ..AccountChange::default() };
    admin.change_account(&name("ann"), &change).await.unwrap();
    let reset = admin.reset_password(&name("ann")).await.unwrap();
    admin.remove_account(&name("ann")).await.unwrap();
    let rule = "four-eyes".parse().unwrap();
    admin.try_rule(&rule, &four_eyes()).await.unwrap();
    admin.set_rule(&rule, &four_eyes()).await.unwrap();
    admin.delete_rule(&rule).await.unwrap();
    let made = trust::secret_in(&made.secret).to_owned();
    vec![ann.secret, ann.password, made, reset.password]
}

fn four_eyes() -> RuleRequest {
    let text = "@message(\"you imported it\") @standard(\"SOC 2 CC8.1; PCI DSS 6.5.1\") \
                forbid (principal, action == Action::\"release.approve\", resource) \
                when { resource.author == principal.name };";
    RuleRequest { text: text.to_owned() }
}

#[tokio::test]
async fn a_first_password_is_good_for_choosing_another_one() {
    let server = TestServer::start().await;
    let request = gofleet_api::AccountRequest {
        name: name("Ann"),
        note: String::new(),
        grants: vec!["operator".parse().unwrap()],
    };
    let made = server.admin().add_account(&request).await.unwrap();
    refused(server.admin().add_account(&request).await, ProblemCode::Conflict, "already");
    // Case does not count in a name.
    let token = server.public().log_in(&login("ann", &made.password)).await.unwrap();
    let ann = Client::with_token(&server.url, &token.secret).unwrap();
    refused(ann.devices().await, ProblemCode::Forbidden, "must choose a password");
    let choose = |old: &str, new: &str| {
        let request = gofleet_api::PasswordRequest { old: old.to_owned(), new: new.to_owned() };
        let ann = ann.clone();
        async move { ann.choose_password(&request).await }
    };
    refused(choose(&made.password, "short").await, ProblemCode::InvalidRequest, "shorter than 15");
    refused(choose(&made.password, &made.password).await, ProblemCode::InvalidRequest, "so far");
    refused(choose("wrong", "correct horse battery").await, ProblemCode::Unauthenticated, "wrong");
    let account = choose(&made.password, "correct horse battery").await.unwrap();
    assert!(!account.must_change_password);
    assert_eq!(ann.devices().await.unwrap(), []);
    refused(
        server.public().log_in(&login("ann", &made.password)).await,
        ProblemCode::Unauthenticated,
        "wrong",
    );
    assert_eq!(ann.who_am_i().await.unwrap().name, "Ann");
}

#[tokio::test]
async fn who_guesses_waits_and_learns_nothing() {
    let server = TestServer::start().await;
    let ann = server.person("ann", &["viewer"]).await;
    let guess = async |account: &str, password: &str| {
        let error = server.public().log_in(&login(account, password)).await.unwrap_err();
        error.problem().unwrap().detail.clone()
    };
    let wrong = guess("ann", "wrong").await;
    assert_eq!(guess("nobody-here", "wrong").await, wrong, "no name is given away");
    for _ in 0..5 {
        guess("ann", "wrong").await;
    }
    // The right one has to wait as well, or guessing would go on.
    assert_eq!(guess("ann", &ann.password).await, "the password was wrong too often");
    server.pass("1s".parse().unwrap());
    server.public().log_in(&login("ann", &ann.password)).await.unwrap();
    let entries = server.admin().audit_entries(100, None, "", "session.refused").await.unwrap();
    assert_eq!(entries.len(), 7);
    assert!(entries.iter().all(|entry| !entry.details.to_string().contains("wrong")));
}

#[tokio::test]
async fn who_is_disabled_removed_or_reset_has_nothing_left() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let is_known = async |person: &Person| person.client.who_am_i().await.is_ok();
    let set = async |is_disabled: bool| {
        let change = AccountChange { is_disabled: Some(is_disabled), ..AccountChange::default() };
        admin.change_account(&name("ann"), &change).await.unwrap();
    };
    let ann = server.person("ann", &["viewer"]).await;
    let session = session(&server, "ann", &ann.password).await;
    assert_eq!(page(&server, &session, "/").await.0, StatusCode::OK);
    set(true).await;
    assert!(!is_known(&ann).await);
    assert_eq!(page(&server, &session, "/").await.0, StatusCode::SEE_OTHER);
    let again = server.public().log_in(&login("ann", &ann.password)).await;
    refused(again, ProblemCode::Unauthenticated, "wrong");
    set(false).await;
    assert!(!is_known(&ann).await, "what has ended stays so");
    server.public().log_in(&login("ann", &ann.password)).await.unwrap();

    let bob = server.person("bob", &["viewer"]).await;
    let reset = admin.reset_password(&name("bob")).await.unwrap();
    assert!(!is_known(&bob).await);
    let old = server.public().log_in(&login("bob", &bob.password)).await;
    refused(old, ProblemCode::Unauthenticated, "wrong");
    let made = server.public().log_in(&login("bob", &reset.password)).await.unwrap();
    let bob = Client::with_token(&server.url, &made.secret).unwrap();
    admin.remove_account(&name("bob")).await.unwrap();
    assert!(bob.who_am_i().await.is_err());
    refused(admin.remove_account(&name("bob")).await, ProblemCode::NotFound, "account");
}

#[tokio::test]
async fn a_token_may_no_more_and_no_longer_than_it_was_made_for() {
    let server = TestServer::start().await;
    let ann = server.person("ann", &["operator", "viewer"]).await;
    let request = |roles: &[Role], expires_in: &str| ApiTokenRequest {
        roles: roles.to_vec(),
        expires_in: Some(expires_in.parse().unwrap()),
        ..ApiTokenRequest::default()
    };
    let made = ann.client.make_api_token(&request(&[Role::Viewer], "1h")).await.unwrap();
    let looks = Client::with_token(&server.url, &made.secret).unwrap();
    looks.devices().await.unwrap();
    let stop = EmergencyRequest { reason: "fire".to_owned() };
    refused(looks.stop_everything(&stop).await, ProblemCode::Forbidden, "emergency.stop");
    // Nor does it come to more by another token, a longer one, or a session.
    let wider = looks.make_api_token(&request(&[Role::Operator], "1h")).await;
    refused(wider, ProblemCode::Forbidden, "not for the role operator");
    let same = looks.make_api_token(&request(&[], "300d")).await.unwrap().token;
    assert_eq!(same.roles, [Role::Viewer]);
    assert_eq!(same.expires_at, made.token.expires_at);
    refused(looks.login_link().await, ProblemCode::Forbidden, "for some roles only");
    let other = ann.client.make_api_token(&request(&[Role::Auditor], "1h")).await;
    refused(other, ProblemCode::InvalidRequest, "does not have the role auditor");
    let endless = ann.client.make_api_token(&request(&[], "500d")).await;
    refused(endless, ProblemCode::InvalidRequest, "at most");

    let bob = server.person("bob", &["security_admin"]).await;
    let of_another = bob.client.revoke_api_token(&made.token.id).await;
    refused(of_another, ProblemCode::NotFound, "API token");
    server.pass("2h".parse().unwrap());
    assert!(looks.devices().await.is_err(), "its time is over");
    ann.client.devices().await.unwrap();
}

#[tokio::test]
async fn whoever_imports_a_release_does_not_approve_it() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let rule = "four-eyes".parse().unwrap();
    let ann = server.person("ann", &["operator", "approver"]).await;
    let bob = server.person("bob", &["approver"]).await;
    let path = server.go("1.27.3");
    let release = ann
        .client
        .upload(&path, "a test", None, &Default::default(), |_| {})
        .await
        .unwrap()
        .release;
    let id = release.release.id;
    let reason = DecisionRequest::default();
    // Without the rule it is permitted; tried on that, the rule would have refused it.
    ann.client.approve(&id, &reason).await.unwrap();
    let trial = admin.try_rule(&rule, &four_eyes()).await.unwrap();
    let newly: Vec<_> = trial.newly_refused.iter().map(|it| it.request.permission).collect();
    assert_eq!(newly, [Permission::ApproveRelease]);
    ann.client.approve(&id, &reason).await.unwrap();

    admin.set_rule(&rule, &four_eyes()).await.unwrap();
    let refusal = ann.client.approve(&id, &reason).await;
    refused(refusal, ProblemCode::Forbidden, "the rule `four-eyes` forbids it: you imported it");
    bob.client.approve(&id, &reason).await.unwrap();

    let decisions = admin.access_decisions(None, 100).await.unwrap();
    let decision = decisions.iter().find(|it| it.refusal.is_some()).unwrap();
    let Some(Refusal::Rule { standards, .. }) = &decision.refusal else { panic!("{decision:?}") };
    assert_eq!(standards, &["SOC 2 CC8.1", "PCI DSS 6.5.1"]);
    assert!(matches!(&decision.request.subject, Subject::Release(it) if it.author == "ann"));
    let entries = admin.audit_entries(100, None, "ann", "access.refused").await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].details["rule"], "four-eyes");
    assert_eq!(admin.rule(&rule).await.unwrap().refused, 1);

    admin.delete_rule(&rule).await.unwrap();
    ann.client.approve(&id, &reason).await.unwrap();
}

#[tokio::test]
async fn nobody_changes_their_own_rights() {
    let server = TestServer::start().await;
    let ann = server.person("ann", &["security_admin"]).await;
    let grants = Some(vec!["approver".parse().unwrap()]);
    let change = AccountChange { grants, ..AccountChange::default() };
    let own = ann.client.change_account(&name("ANN"), &change).await;
    refused(own, ProblemCode::Forbidden, "no-self-grant");
    server.person("bob", &[]).await;
    let bob = ann.client.change_account(&name("bob"), &change).await.unwrap();
    assert_eq!(bob.grants, ["approver".parse().unwrap()]);
    for (grant, complaint) in [("operator@atlantis", "no collection atlantis")] {
        let grants = Some(vec![grant.parse().unwrap()]);
        let change = AccountChange { grants, ..AccountChange::default() };
        let changed = ann.client.change_account(&name("bob"), &change).await;
        refused(changed, ProblemCode::InvalidRequest, complaint);
    }
    let taken = gofleet_api::AccountRequest {
        name: name("Admin"),
        note: String::new(),
        grants: Vec::new(),
    };
    refused(ann.client.add_account(&taken).await, ProblemCode::InvalidRequest, "somebody else");
}

/// A rollout for the devices of a site.
fn at_site(version: &str, site: &str) -> RolloutSpec {
    spec(serde_json::json!({
        "name": format!("go {version} in {site}"),
        "version": version,
        "devices": format!("label.site = {site}"),
        "rings": [{"name": "all", "rest": true}],
        "soak": "0s",
    }))
}

async fn berlin(server: &TestServer) {
    server.enrol_at("one", "berlin").await;
    server.enrol_at("two", "paris").await;
    let members = Members::Selector { devices: "label.site = berlin".to_owned() };
    let request = CollectionRequest { members, note: String::new() };
    server.admin().set_collection(&"berlin".parse().unwrap(), &request).await.unwrap();
    server.import_approved("1.27.3").await;
}

#[tokio::test]
async fn a_role_in_a_collection_reaches_its_devices_only() {
    let server = TestServer::start().await;
    berlin(&server).await;
    let ann = server.person("ann", &["operator@berlin"]).await;
    assert_eq!(ann.client.devices().await.unwrap().len(), 2, "she sees all of them");
    for spec in [at_site("1.27.3", "paris"), everybody("1.27.3")] {
        refused(ann.client.start(&spec).await, ProblemCode::Forbidden, "but not here");
    }
    let devices = ann.client.devices().await.unwrap();
    let of = |host: &str| devices.iter().find(|it| it.facts.hostname == host).unwrap().id.clone();
    let reason = gofleet_api::QuarantineRequest { reason: "noise".to_owned() };
    let paris = ann.client.quarantine(&of("two"), &reason).await;
    refused(paris, ProblemCode::Forbidden, "but not here");
    ann.client.quarantine(&of("one"), &reason).await.unwrap();
    ann.client.let_in(&of("one")).await.unwrap();
    let rollout = ann.client.start(&at_site("1.27.3", "berlin")).await.unwrap();
    ann.client.pause(&rollout.summary.id).await.unwrap();
    // What reaches beyond the collection is not hers, nor is the collection itself.
    let request = CollectionRequest {
        members: Members::Selector { devices: String::new() },
        note: String::new(),
    };
    let widened = ann.client.set_collection(&"berlin".parse().unwrap(), &request).await;
    refused(widened, ProblemCode::Forbidden, "but not here");
}

#[tokio::test]
async fn a_rollout_goes_on_only_while_its_person_may_start_it() {
    let server = TestServer::start().await;
    berlin(&server).await;
    let admin = server.admin();
    let ann = server.person("ann", &["operator"]).await;
    let bob = server.person("bob", &["operator@berlin"]).await;
    let id = ann.client.start(&at_site("1.27.3", "berlin")).await.unwrap().summary.id;
    let when = async |state: RolloutState| {
        within(async {
            loop {
                let status = admin.rollout(&id).await.unwrap();
                if status.summary.state == state {
                    return status;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await
    };
    when(RolloutState::Running).await;
    let grants = |texts: &[&str]| AccountChange {
        grants: Some(texts.iter().map(|text| text.parse().unwrap()).collect()),
        ..AccountChange::default()
    };
    admin.change_account(&name("ann"), &grants(&["viewer"])).await.unwrap();
    let paused = when(RolloutState::Paused).await;
    let reason = paused.summary.reason.unwrap();
    assert_eq!(reason.code, "rights_ended");
    assert!(reason.text.starts_with("ann, for whom it acts"), "{reason:?}");
    // Whoever resumes it answers for it.
    bob.client.resume(&id).await.unwrap();
    when(RolloutState::Running).await;
    admin.change_account(&name("bob"), &grants(&[])).await.unwrap();
    let paused = when(RolloutState::Paused).await;
    assert!(paused.summary.reason.unwrap().text.starts_with("bob, "));
    let entries = admin.audit_entries(100, None, "server", "rollout.state").await.unwrap();
    assert!(entries.iter().any(|entry| entry.details["reason"].to_string().contains("ann")));
}

#[tokio::test]
async fn a_rule_holds_from_the_next_request_on() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let rule = "ticket".parse().unwrap();
    let set =
        async |text: &str| admin.set_rule(&rule, &RuleRequest { text: text.to_owned() }).await;
    for (text, complaint) in [
        ("permit (principal, action, resource);", "begins with `permit`"),
        ("forbid (", "can't be read"),
        ("@message(\"x\") forbid (principal, action, resource) when { context.x };", "not fit"),
    ] {
        refused(set(text).await, ProblemCode::InvalidRequest, complaint);
    }
    set("@message(\"name a ticket\") forbid (principal, action == Action::\"release.import\", \
         resource) unless { context.ticket like \"CHG-*\" };")
    .await
    .unwrap();
    let ann = server.person("ann", &["operator"]).await;
    let path = server.go("1.27.3");
    let import = async |ticket: &str| {
        ann.client
            .clone()
            .under(ticket)
            .upload(&path, "a test", None, &Default::default(), |_| {})
            .await
    };
    refused(import("").await, ProblemCode::Forbidden, "name a ticket");
    refused(import("INC-7").await, ProblemCode::Forbidden, "name a ticket");
    import("CHG-7").await.unwrap();
    let entries = admin.audit_entries(100, None, "ann", "release.imported").await.unwrap();
    let entry = &entries[0];
    assert_eq!(entry.ticket.as_deref(), Some("CHG-7"));

    // A rule that forbids everything keeps nobody from stopping, nor the token's holder from
    // mending it; and it is the same after a restart.
    set("@message(\"no\") forbid (principal, action, resource);").await.unwrap();
    let check = async |server: &TestServer, ann: &Client| {
        refused(ann.devices().await, ProblemCode::Forbidden, "the rule `ticket`");
        refused(server.admin().devices().await, ProblemCode::Forbidden, "the rule `ticket`");
        ann.stop_everything(&EmergencyRequest { reason: "fire".to_owned() }).await.unwrap();
    };
    check(&server, &ann.client).await;
    let secret = trust::with_authority(&ann.secret, &server.authority().unwrap());
    let server = TestServer::start_on(server.stop().await, &[]).await;
    let ann = Client::with_token(&server.url, &secret).unwrap();
    check(&server, &ann).await;
    server.admin().delete_rule(&rule).await.unwrap();
    ann.devices().await.unwrap();
}

#[tokio::test]
async fn the_rule_that_is_built_in_stays() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let rules = admin.rules().await.unwrap();
    let names: Vec<&str> = rules.iter().map(|it| it.rule.name.as_str()).collect();
    assert_eq!(names, ["no-self-grant"]);
    let name = &rules[0].rule.name;
    refused(admin.delete_rule(name).await, ProblemCode::NotFound, "rule");
    refused(admin.set_rule(name, &four_eyes()).await, ProblemCode::Conflict, "built in");
}

/// The cookie of a session that was opened with a password.
async fn session(server: &TestServer, account: &str, password: &str) -> String {
    let login = LoginRequest::Password { account: name(account), password: password.to_owned() };
    let response = server.request("POST", "/session").json(&login).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

/// A page, as somebody with this cookie sees it.
async fn page(server: &TestServer, cookie: &str, path: &str) -> (StatusCode, String) {
    http();
    let client = reqwest::Client::builder().no_proxy();
    let client = client.redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let request = client.get(format!("{}{path}", server.plain_url)).header("cookie", cookie);
    let response = request.send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

#[tokio::test]
async fn the_console_knows_who_looks() {
    let server = TestServer::start().await;
    server.import_approved("1.27.3").await;
    let auditor = server.person("ann", &["auditor"]).await;
    let cookie = session(&server, "ann", &auditor.password).await;
    let (status, access) = page(&server, &cookie, "/access").await;
    assert_eq!(status, StatusCode::OK);
    for text in ["no-self-grant", "release.approve", "auditor"] {
        assert!(access.contains(text), "{text}: {access}");
    }
    let (status, account) = page(&server, &cookie, "/account").await;
    assert!(status == StatusCode::OK && account.contains("Choose a password"), "{account}");
    // Her session may not block, whatever form it sends.
    let send = async |cookie: &str, path: &str, form: &str| {
        let request = http().post(format!("{}{path}", server.plain_url)).body(form.to_owned());
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let request = request.header("cookie", cookie).header("origin", &server.plain_url);
        request.send().await.unwrap().status()
    };
    let block = send(&cookie, "/releases/go-1.27.3-linux-amd64/block", "reason=x").await;
    assert_eq!(block, StatusCode::FORBIDDEN);

    let reset = server.admin().reset_password(&name("ann")).await.unwrap();
    let cookie = session(&server, "ann", &reset.password).await;
    assert_eq!(page(&server, &cookie, "/").await.0, StatusCode::SEE_OTHER, "to choose a password");
    for (again, expect) in
        [("another", StatusCode::BAD_REQUEST), ("a+long+sentence", StatusCode::OK)]
    {
        let form = format!("old={}&new=a+long+sentence&again={again}", reset.password);
        assert_eq!(send(&cookie, "/account", &form).await, expect, "{again}");
    }
    assert_eq!(page(&server, &cookie, "/").await.0, StatusCode::OK);
}
