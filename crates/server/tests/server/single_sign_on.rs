//! Single sign-on: with a provider that lies, and with one that doesn't.

mod fake;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gofleet_api::{Account, AccountChange, Client};
use gofleet_core::account::AccountSource;
use gofleet_testkit::free_port;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Response, StatusCode, Url};
use serde_json::json;

use self::fake::{Fake, Key};
use crate::support::{TestServer, http, within};

const GROUPS: &str = "{ go-operators = ['operator', 'viewer'] }";
const CALLBACK: &str = "/login/oidc/callback";

/// A server that sends people to this provider.
async fn server(issuer: &str, port: u16, secret: &Path) -> TestServer {
    let (listen, public) = (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}"));
    let secret = secret.display().to_string();
    let flags = [
        ("listen", listen.as_str()),
        ("public_url", &public),
        ("oidc_issuer", issuer),
        ("oidc_client_id", "gofleet"),
        ("oidc_client_secret_file", &secret),
        ("oidc_groups", GROUPS),
    ];
    TestServer::start_on(tempfile::tempdir().unwrap(), &flags).await
}

/// A browser that keeps cookies for each port, and follows nothing by itself.
#[derive(Default)]
struct Browser {
    cookies: HashMap<u16, HashMap<String, String>>,
    person: String,
}

impl Browser {
    fn of(person: &str) -> Self {
        Self { person: person.to_owned(), ..Self::default() }
    }

    async fn get(&mut self, url: &Url) -> Response {
        http();
        let client = reqwest::Client::builder().no_proxy();
        let client = client.redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let kept = self.cookies.entry(url.port().unwrap()).or_default();
        let cookies: Vec<_> = kept.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = client.get(url.clone()).header("x-person", &self.person);
        let answer = request.header(COOKIE, cookies.join("; ")).send().await.unwrap();
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            kept.insert(name.to_owned(), value.to_owned());
        }
        answer
    }

    /// Begins a login; where the provider is asked.
    async fn begin(&mut self, server: &TestServer) -> Url {
        let url = format!("{}/login/oidc?next=/devices", server.plain_url).parse().unwrap();
        location(&url, &self.get(&url).await)
    }

    /// Goes where it is sent until that is back to the server.
    async fn sign_in_at(&mut self, provider: Url, server: &TestServer) -> Url {
        let mut url = provider;
        for _ in 0..10 {
            if url.as_str().starts_with(&server.plain_url) {
                return url;
            }
            let answer = self.get(&url).await;
            url = location(&url, &answer);
        }
        panic!("it goes in a circle: {url}");
    }

    /// Comes back; what the page says, and its status.
    async fn end(&mut self, callback: &Url) -> (StatusCode, String) {
        let answer = self.get(callback).await;
        (answer.status(), answer.text().await.unwrap())
    }

    /// Makes an API token at the console.
    async fn token(&mut self, server: &TestServer) -> String {
        let cookies = &self.cookies[&server.plain_url.parse::<Url>().unwrap().port().unwrap()];
        let cookies: Vec<_> = cookies.iter().map(|(name, it)| format!("{name}={it}")).collect();
        let form = "application/x-www-form-urlencoded";
        let request = http().post(format!("{}/account/token", server.plain_url)).body("note=x");
        let request = request.header("content-type", form).header("origin", &server.plain_url);
        let page = request.header(COOKIE, cookies.join("; ")).send().await.unwrap();
        let page = page.text().await.unwrap();
        let from = page.find("gfapi_").unwrap_or_else(|| panic!("{page}"));
        page[from..].split('<').next().unwrap().to_owned()
    }

    /// Whether it is let in.
    async fn is_in(&mut self, server: &TestServer) -> bool {
        let url = format!("{}/account", server.plain_url).parse().unwrap();
        self.get(&url).await.status() == StatusCode::OK
    }
}

fn location(from: &Url, answer: &Response) -> Url {
    let to = answer.headers().get(LOCATION);
    let to = to.unwrap_or_else(|| panic!("{} at {from}", answer.status()));
    from.join(to.to_str().unwrap()).unwrap()
}

fn parameter(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.unwrap_or_else(|| panic!("no {name} in {url}")).1.into_owned()
}

fn callback(server: &TestServer, parameters: &[(&str, &str)]) -> Url {
    let mut url: Url = format!("{}{CALLBACK}", server.plain_url).parse().unwrap();
    url.query_pairs_mut().extend_pairs(parameters);
    url
}

async fn accounts(server: &TestServer) -> Vec<Account> {
    server.admin().accounts().await.unwrap()
}

const NOT_SAID: &str = "does not say who you are";
const NOT_BEGUN: &str = "did not begin in this browser";

#[tokio::test]
async fn a_word_of_the_provider_counts_only_if_all_of_it_holds() {
    let fake = Fake::start().await;
    let server = server(&fake.issuer, free_port().unwrap(), &fake.secret()).await;
    let (key, other) = (Key::new("one"), Key::new("one"));
    fake.publish(&[&key]);
    let now = jsonwebtoken::get_current_timestamp();
    let good = |nonce: &str| {
        json!({
            "iss": fake.issuer, "aud": "gofleet", "sub": "7", "nonce": nonce,
            "exp": now + 300, "iat": now,
            "preferred_username": "ann", "groups": ["go-operators"],
        })
    };
    // One thing is wrong with each.
    let wrong = [
        ("nonce", json!("of another login")),
        ("nonce", json!(null)),
        ("aud", json!("another-client")),
        ("aud", json!(["gofleet", "another-client"])),
        ("azp", json!("another-client")),
        ("iss", json!("https://id.example.org")),
        ("exp", json!(now - 120)),
        ("exp", json!("soon")),
        ("exp", json!(null)),
        ("nbf", json!(now + 300)),
        ("sub", json!(null)),
        ("preferred_username", json!("not a name")),
    ];
    let tokens = |nonce: &str| {
        let mut tokens: Vec<(String, String)> = Vec::new();
        for (claim, value) in &wrong {
            let mut claims = good(nonce);
            claims[*claim] = value.clone();
            tokens.push((format!("{claim}: {value}"), key.sign(&claims)));
        }
        let claims = good(nonce);
        tokens.push(("another key".to_owned(), other.sign(&claims)));
        tokens.push(("an unknown key".to_owned(), Key::new("two").sign(&claims)));
        tokens.push(("alg none".to_owned(), fake::unsigned(&claims)));
        tokens.push(("the public key as a secret".to_owned(), key.sign_as_secret(&claims)));
        let signed = key.sign(&claims);
        let mut more = claims.clone();
        more["groups"] = json!(["go-operators", "go-admins"]);
        tokens.push(("other claims".to_owned(), fake::with_claims(&signed, &more)));
        tokens.push(("no token".to_owned(), "x".to_owned()));
        tokens
    };
    for n in 0..tokens("").len() {
        let mut browser = Browser::default();
        let asked = browser.begin(&server).await;
        let (what, token) = tokens(&parameter(&asked, "nonce")).swap_remove(n);
        fake.answer_with(&token);
        let back = callback(&server, &[("code", "c"), ("state", &parameter(&asked, "state"))]);
        let (status, page) = browser.end(&back).await;
        assert!(status == StatusCode::UNAUTHORIZED && page.contains(NOT_SAID), "{what}: {page}");
        assert!(!browser.is_in(&server).await, "{what}");
    }
    assert_eq!(accounts(&server).await, []);
    let refusals = server.admin().audit_entries(100, None, "", "session.refused").await.unwrap();
    assert_eq!(refusals.len(), tokens("").len());
    assert!(refusals.iter().all(|entry| entry.via.as_deref() == Some("oidc")));

    // The same without anything wrong; and after the provider has changed its key.
    for key in [key, Key::new("two")] {
        fake.publish(&[&Key::new("older"), &key]);
        let mut browser = Browser::default();
        let asked = browser.begin(&server).await;
        fake.answer_with(&key.sign(&good(&parameter(&asked, "nonce"))));
        let back = callback(&server, &[("code", "c"), ("state", &parameter(&asked, "state"))]);
        let (status, page) = browser.end(&back).await;
        assert!(status == StatusCode::OK && page.contains("url=/devices"), "{page}");
        assert!(browser.is_in(&server).await);
    }
}

#[tokio::test]
async fn a_login_ends_once_and_in_the_browser_where_it_began() {
    let fake = Fake::start().await;
    let server = server(&fake.issuer, free_port().unwrap(), &fake.secret()).await;
    let key = Key::new("one");
    fake.publish(&[&key]);
    let now = jsonwebtoken::get_current_timestamp();
    let mut browser = Browser::default();
    let asked = browser.begin(&server).await;
    let token = |sub: &str, name: &str, nonce: &str| {
        key.sign(&json!({
            "iss": fake.issuer, "aud": ["gofleet"], "sub": sub, "nonce": nonce, "exp": now + 300,
            "preferred_username": name, "groups": "go-operators",
        }))
    };
    let check = async |browser: &mut Browser, parameters: &[(&str, &str)], expect: &str| {
        let (status, page) = browser.end(&callback(&server, parameters)).await;
        assert!(status.is_client_error() && page.contains(expect), "{parameters:?}: {page}");
    };
    // What begins there: a hash of what is kept here, and the one address to come back to.
    assert_eq!(parameter(&asked, "code_challenge_method"), "S256");
    assert_eq!(
        parameter(&asked, "redirect_uri"),
        callback(&server, &[]).as_str().trim_end_matches('?')
    );
    let state = parameter(&asked, "state");
    check(&mut browser, &[("code", "c"), ("state", "made up")], NOT_BEGUN).await;
    check(&mut browser, &[("code", "c")], NOT_BEGUN).await;
    // Somebody is sent an address with another's code: their browser did not begin it.
    check(&mut Browser::default(), &[("code", "c"), ("state", &state)], NOT_BEGUN).await;
    // That has used it up.
    check(&mut browser, &[("code", "c"), ("state", &state)], NOT_BEGUN).await;
    let mut asked = browser.begin(&server).await;
    // An answer of another provider, mixed up with this one's (RFC 9207).
    let state = parameter(&asked, "state");
    let mixed = [("code", "c"), ("state", state.as_str()), ("iss", "https://id.example.org")];
    check(&mut browser, &mixed, NOT_SAID).await;
    asked = browser.begin(&server).await;
    let state = parameter(&asked, "state");
    let denied = [("error", "access_denied"), ("state", state.as_str())];
    check(&mut browser, &denied, NOT_SAID).await;
    assert_eq!(fake.codes(), Vec::<String>::new(), "no code was shown to anybody");

    // Too late.
    asked = browser.begin(&server).await;
    server.pass("10m".parse().unwrap());
    let state = parameter(&asked, "state");
    check(&mut browser, &[("code", "c"), ("state", &state)], NOT_BEGUN).await;

    // In time; then nobody else gets that name, nor the same person another.
    let end = async |sub: &str, name: &str| {
        let mut browser = Browser::default();
        let asked = browser.begin(&server).await;
        fake.answer_with(&token(sub, name, &parameter(&asked, "nonce")));
        let state = parameter(&asked, "state");
        let (_, page) = browser.end(&callback(&server, &[("code", "c"), ("state", &state)])).await;
        page
    };
    server.person("dan", &["viewer"]).await;
    for (sub, name, expect) in [
        ("7", "ann", "You are signed in"),
        ("7", "ann", "You are signed in"),
        ("8", "ann", "somebody else"),
        ("7", "bob", "has the account ann already"),
        ("9", "dan", "somebody else"),
        ("9", "admin", "somebody else"),
    ] {
        let page = end(sub, name).await;
        assert!(page.contains(expect), "{sub} {name}: {page}");
    }
    let ann = accounts(&server).await.remove(0);
    let AccountSource::Oidc { subject } = &ann.source else { panic!("{ann:?}") };
    assert_eq!(*subject, format!("{} 7", fake.issuer));
    // Disabled here is disabled, and what nobody vouches for after a restart has no roles.
    let disable = AccountChange { is_disabled: Some(true), ..AccountChange::default() };
    server.admin().change_account(&ann.name, &disable).await.unwrap();
    assert!(end("7", "ann").await.contains("is disabled"));
    let server = TestServer::start_on(server.stop().await, &[]).await;
    within(async {
        while !accounts(&server).await[0].grants.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(accounts(&server).await[1].grants.len(), 1, "dan's are this server's affair");
}

/// panva's provider, as a process.
struct Provider {
    process: Child,
    issuer: String,
    folder: tempfile::TempDir,
}

impl Provider {
    async fn start(port: u16, server: u16) -> Self {
        let modules: PathBuf = std::env::var_os("GOFLEET_OIDC_PROVIDER")
            .expect("the suite trust names the folder where npm installed oidc-provider@8")
            .into();
        let script = "tests/server/single_sign_on/provider.mjs";
        let process = Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script))
            .arg(modules)
            .args([port.to_string(), format!("http://127.0.0.1:{server}{CALLBACK}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        within(async {
            while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "of the client, with a % in it\n").unwrap();
        Self { process, issuer: format!("http://127.0.0.1:{port}"), folder }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[tokio::test]
#[ignore = "needs node and oidc-provider"]
async fn people_of_a_provider_have_the_roles_of_their_groups() {
    let (port, own) = (free_port().unwrap(), free_port().unwrap());
    let provider = Provider::start(port, own).await;
    let server = server(&provider.issuer, own, &provider.folder.path().join("secret")).await;
    let mut ann = Browser::of("ann");
    let asked = ann.begin(&server).await;
    let back = ann.sign_in_at(asked, &server).await;
    let (status, page) = ann.end(&back).await;
    assert!(status == StatusCode::OK && page.contains("url=/devices"), "{status}: {page}");
    assert!(ann.is_in(&server).await);
    let token = ann.token(&server).await;
    Client::with_token(&server.url, &token).unwrap().devices().await.unwrap();
    let account = accounts(&server).await.remove(0);
    let grants: Vec<String> = account.grants.iter().map(ToString::to_string).collect();
    assert_eq!(account.name.as_str(), "ann+example.org");
    assert_eq!(grants, ["viewer", "operator"]);
    assert_eq!(account.note, "ann of Example");
    let made = server.admin().audit_entries(9, None, "", "api_token.created").await.unwrap();
    let good_for = made[0].details["expires_at"].to_string();
    assert!(good_for.contains(&(server.now() + "7d".parse().unwrap()).to_string()), "{good_for}");
    let opened = server.admin().audit_entries(9, None, "ann+example.org", "").await.unwrap();
    let opened = opened.iter().find(|entry| entry.action == "session.opened").unwrap();
    assert_eq!(opened.via.as_deref(), Some("oidc"));

    // The provider takes no code twice, and none without what its login began with (PKCE).
    let mut eve = Browser::of("eve");
    let replayed = parameter(&back, "code");
    let asked = Browser::of("ann").begin(&server).await;
    let stolen = Browser::of("ann").sign_in_at(asked, &server).await;
    for code in [replayed, parameter(&stolen, "code")] {
        let state = parameter(&eve.begin(&server).await, "state");
        let parameters = [("code", code.as_str()), ("state", &state), ("iss", &provider.issuer)];
        let (status, page) = eve.end(&callback(&server, &parameters)).await;
        assert!(status == StatusCode::UNAUTHORIZED && page.contains(NOT_SAID), "{page}");
    }
    // Who is known, but has no group that counts, is told whom to ask.
    let asked = eve.begin(&server).await;
    let back = eve.sign_in_at(asked, &server).await;
    let (status, page) = eve.end(&back).await;
    assert!(status == StatusCode::FORBIDDEN && page.contains("none of your groups"), "{page}");
    assert!(!eve.is_in(&server).await);
    assert_eq!(accounts(&server).await.len(), 1);

    // Without the provider this server's own accounts work, and the page says so.
    drop(provider);
    server.pass("1h".parse().unwrap());
    let url = format!("{}/login/oidc", server.plain_url).parse().unwrap();
    let (status, page) = eve.end(&url).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.contains("Accounts of this server still work"), "{page}");
    server.person("dan", &["viewer"]).await.client.devices().await.unwrap();
}
