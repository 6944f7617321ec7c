//! People of a directory, with OpenLDAP.

mod slapd;

use gofleet_api::{
    AccountChange, AccountRequest, ApiTokenRequest, Client, ClientError, NewApiToken,
    PasswordRequest, ProblemCode, TokenLoginRequest,
};
use gofleet_core::ids::AccountName;
use reqwest::StatusCode;

use self::slapd::{PASSWORD, Slapd, group_dn};
use crate::support::{TestServer, refused, within};

fn name(text: &str) -> AccountName {
    text.parse().unwrap()
}

/// Operators of Berlin, and auditors.
fn groups() -> String {
    format!(
        "{{ '{}' = ['operator@berlin', 'viewer'], '{}' = ['auditor'] }}",
        group_dn("go-operators").replace(',', ", "),
        group_dn("auditors").to_uppercase(),
    )
}

async fn server(slapd: &Slapd, more: &[(&str, &str)]) -> TestServer {
    let flags = slapd.flags(&groups(), more);
    let flags: Vec<(&str, &str)> = flags.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    TestServer::start_on(tempfile::tempdir().unwrap(), &flags).await
}

async fn log_in(
    server: &TestServer,
    account: &str,
    password: &str,
) -> Result<NewApiToken, ClientError> {
    let (account, password) = (name(account), password.to_owned());
    let token = ApiTokenRequest::default();
    server.public().log_in(&TokenLoginRequest { account, password, token }).await
}

async fn client(server: &TestServer, account: &str) -> Client {
    let made = log_in(server, account, PASSWORD).await.unwrap();
    Client::with_token(&server.url, &made.secret).unwrap()
}

async fn grants(client: &Client) -> Vec<String> {
    let account = client.who_am_i().await.unwrap().account.unwrap();
    account.grants.iter().map(ToString::to_string).collect()
}

#[tokio::test]
#[ignore = "needs slapd"]
async fn people_of_a_directory_have_the_roles_of_their_groups() {
    let slapd = Slapd::start(
        &["ann", "bob", "eve"],
        &[("go-operators", &["ann"]), ("auditors", &["bob"]), ("go-drinkers", &["eve", "ann"])],
    )
    .await;
    // One time by StartTLS; the others by ldaps.
    let server = server(&slapd, &[("ldap_url", &slapd.starttls_url())]).await;
    let admin = server.admin();
    let ann = client(&server, "Ann").await;
    assert_eq!(grants(&ann).await, ["viewer", "operator@berlin"]);
    assert_eq!(ann.who_am_i().await.unwrap().account.unwrap().note, "ann of Example");
    ann.devices().await.unwrap();
    assert_eq!(grants(&client(&server, "bob").await).await, ["auditor"]);
    // No group that counts: nothing, and words that say whom to ask.
    let eve = log_in(&server, "eve", PASSWORD).await;
    refused(eve, ProblemCode::Forbidden, "none of your groups has a role here");
    let names: Vec<_> =
        admin.accounts().await.unwrap().iter().map(|it| it.name.to_string()).collect();
    assert_eq!(names, ["ann", "bob"]);

    // At the next login the groups are others, and a token acts by what its owner has then.
    slapd.set_member("auditors", "ann", true).await;
    client(&server, "ann").await;
    assert_eq!(grants(&ann).await, ["viewer", "operator@berlin", "auditor"]);
    ann.audit_head().await.unwrap();

    // What only an account of this server has, nobody can give by mistake.
    let roles = AccountChange {
        grants: Some(vec!["approver".parse().unwrap()]),
        ..AccountChange::default()
    };
    let changed = admin.change_account(&name("ann"), &roles).await;
    refused(changed, ProblemCode::Conflict, "its roles are those of its groups");
    let reset = admin.reset_password(&name("ann")).await;
    refused(reset, ProblemCode::Conflict, "ann comes from the directory");
    let request = PasswordRequest { old: PASSWORD.into(), new: "another horse battery".into() };
    refused(
        ann.choose_password(&request).await,
        ProblemCode::Conflict,
        "its password is kept there",
    );
    // But who is disabled here does not come in.
    let disable = AccountChange { is_disabled: Some(true), ..AccountChange::default() };
    admin.change_account(&name("ann"), &disable).await.unwrap();
    let disabled = log_in(&server, "ann", PASSWORD).await;
    refused(disabled, ProblemCode::Forbidden, "is disabled");
    assert!(ann.who_am_i().await.is_err());

    let made = admin.audit_entries(100, None, "", "account.set").await.unwrap();
    let first = made.last().unwrap();
    assert_eq!((first.actor.name.as_str(), first.via.as_deref()), ("server", Some("ldap")));
    let tokens = admin.audit_entries(100, None, "bob", "api_token.created").await.unwrap();
    assert_eq!(tokens[0].via.as_deref(), Some("ldap"));
    let refusals = admin.audit_entries(100, None, "", "session.refused").await.unwrap();
    let refusals: Vec<_> =
        refusals.iter().map(|it| (it.subject.as_deref(), it.via.as_deref())).collect();
    assert_eq!(refusals, [(Some("ann"), Some("ldap")), (Some("eve"), Some("ldap"))]);
}

#[tokio::test]
#[ignore = "needs slapd"]
async fn a_directory_lets_in_only_who_proves_it() {
    let people = ["ann", "bob", "dan"];
    let mut slapd = Slapd::start(&people, &[("go-operators", &people)]).await;
    let server = server(&slapd, &[]).await;
    let dan = server.person("dan", &["auditor"]).await;
    let wrong = "the account or the password is wrong";
    for (account, password) in [
        ("ann", "wrong"),
        ("ann", ""),
        ("nobody", PASSWORD),
        // Not a person by the filter, though there is a password.
        ("gofleet", "of the service"),
        // Who has an account of this server is not asked for there.
        ("dan", PASSWORD),
    ] {
        let answer = log_in(&server, account, password).await;
        refused(answer, ProblemCode::Unauthenticated, wrong);
    }
    for account in ["*", "*)(uid=*", "ann)(cn=*", "an*", "ann\u{0}", " ann"] {
        let body = serde_json::json!({ "account": account, "password": PASSWORD });
        let answer = server.request("POST", "/session/token").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{account}");
    }
    // The seventh wrong password in a row finds the door shut, also for the right one.
    for _ in 0..4 {
        log_in(&server, "ann", "wrong").await.unwrap_err();
    }
    let shut = log_in(&server, "ann", PASSWORD).await;
    refused(shut, ProblemCode::Unauthenticated, "too often");

    // A name that became free gives nobody what its first owner had.
    client(&server, "bob").await;
    slapd.set_member("go-operators", "bob", false).await;
    slapd.delete("bob").await;
    slapd.add("bob").await;
    slapd.set_member("go-operators", "bob", true).await;
    let second = log_in(&server, "bob", PASSWORD).await;
    refused(second, ProblemCode::Conflict, "somebody else's");
    // Nor can an account of this server be made over one of the directory.
    let request = AccountRequest { name: name("bob"), note: String::new(), grants: Vec::new() };
    refused(server.admin().add_account(&request).await, ProblemCode::Conflict, "already");

    // Without the directory this server's own accounts work, and the others are told why not.
    slapd.stop();
    let down = log_in(&server, "eve", PASSWORD).await;
    refused(down, ProblemCode::Unavailable, "directory of the company does not answer");
    log_in(&server, "dan", &dan.password).await.unwrap();
    slapd.start_again().await;
    refused(log_in(&server, "eve", "x").await, ProblemCode::Unauthenticated, wrong);
}

#[tokio::test]
#[ignore = "needs slapd"]
async fn a_directory_that_nobody_vouches_for_learns_no_password() {
    let slapd = Slapd::start(&["ann"], &[("go-operators", &["ann"])]).await;
    let other = Slapd::start(&[], &[]).await;
    let certificate = other.file("certificate.pem").display().to_string();
    for url in [slapd.url(), slapd.starttls_url()] {
        let flags = [("ldap_ca_file", certificate.as_str()), ("ldap_url", &url)];
        let server = server(&slapd, &flags).await;
        let answer = log_in(&server, "ann", PASSWORD).await;
        refused(answer, ProblemCode::Unavailable, "does not answer");
    }
}

#[tokio::test]
#[ignore = "needs slapd"]
async fn who_leaves_the_directory_has_nothing_left_here() {
    let slapd =
        Slapd::start(&["ann", "bob"], &[("go-operators", &["ann", "bob"]), ("auditors", &["bob"])])
            .await;
    let server = server(&slapd, &[("ldap_refresh", "50ms")]).await;
    let (ann, bob) = (client(&server, "ann").await, client(&server, "bob").await);
    ann.devices().await.unwrap();
    slapd.set_member("go-operators", "bob", false).await;
    slapd.delete("ann").await;
    // Without another login.
    within(async {
        while ann.who_am_i().await.is_ok() || grants(&bob).await != ["auditor"] {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    let account = server.admin().accounts().await.unwrap().remove(0);
    assert_eq!((account.name.as_str(), account.grants.len()), ("ann", 0));
}
