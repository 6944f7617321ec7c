//! Hooks that are told of devices that are taken out and let in: a real HTTP server, a real
//! program.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
#[cfg(unix)]
use gofleet_api::HookTarget;
use gofleet_api::{DeliveryState, HookDelivery, HookEvent, QuarantineRequest};
use gofleet_core::ids::DeviceId;
use gofleet_core::time::Span;
use serde_json::Value;

use crate::support::{TestServer, within};

/// Posts that came, and how many of the next ones are refused.
#[derive(Default)]
pub struct Heard {
    pub posts: Vec<(HeaderMap, Value)>,
    refuse: usize,
}

pub type Shared = Arc<Mutex<Heard>>;

/// A program of an administrator's that takes posts.
pub async fn listener() -> (String, Shared) {
    let heard = Shared::default();
    let take = |State(heard): State<Shared>, headers: HeaderMap, body: Bytes| async move {
        let mut heard = heard.lock().unwrap();
        heard.posts.push((headers, serde_json::from_slice(&body).unwrap()));
        if heard.refuse > 0 {
            heard.refuse -= 1;
            return (StatusCode::SERVICE_UNAVAILABLE, "not now");
        }
        (StatusCode::OK, "")
    };
    let router = Router::new().route("/drain", post(take)).with_state(Arc::clone(&heard));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/drain", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, heard)
}

async fn start(flags: &[(&str, &str)]) -> TestServer {
    let mut flags = flags.to_vec();
    flags.push(("reconcile_every", "50ms"));
    TestServer::start_on(tempfile::tempdir().unwrap(), &flags).await
}

async fn quarantine(server: &TestServer, device: &DeviceId) {
    let request = QuarantineRequest { reason: "its disk fails".to_owned() };
    server.admin().quarantine(device, &request).await.unwrap();
}

/// Waits until the calls about a device are as they should be; the newest first.
async fn until(
    server: &TestServer,
    device: &DeviceId,
    is_so: impl Fn(&[HookDelivery]) -> bool,
) -> Vec<HookDelivery> {
    within(async {
        loop {
            let hooks = server.admin().device(device).await.unwrap().hooks;
            if is_so(&hooks) {
                return hooks;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

#[tokio::test]
async fn an_address_is_told_signed_and_again_until_it_takes_it() {
    let (url, heard) = listener().await;
    heard.lock().unwrap().refuse = 2;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
    let secret = secret.to_string_lossy().into_owned();
    let server = start(&[("hook_url", &url), ("hook_secret_file", &secret)]).await;
    let (id, _, _) = server.enrol("one").await;
    quarantine(&server, &id).await;
    server.admin().let_in(&id).await.unwrap();
    let hooks = until(&server, &id, |hooks| hooks.iter().any(|it| it.attempts == 1)).await;
    assert_eq!((hooks[0].event, hooks[0].attempts), (HookEvent::Return, 0), "it waits its turn");
    assert!(hooks[1].failure.as_ref().unwrap().contains("503"), "{hooks:?}");
    assert!(hooks[1].failure.as_ref().unwrap().contains("not now"), "{hooks:?}");
    server.pass(Span::from_secs(10));
    until(&server, &id, |hooks| hooks[1].attempts == 2).await;
    server.pass(Span::from_secs(20));
    let done = |hooks: &[HookDelivery]| hooks.iter().all(|it| it.state == DeliveryState::Delivered);
    let hooks = until(&server, &id, done).await;
    assert_eq!((hooks[0].attempts, hooks[1].attempts), (1, 3));

    let heard = heard.lock().unwrap();
    let events: Vec<_> = heard.posts.iter().map(|(_, body)| body["event"].clone()).collect();
    assert_eq!(events, ["drain", "drain", "drain", "return"]);
    let (headers, body) = &heard.posts[2];
    assert_eq!(headers["webhook-id"], hooks[1].id.as_str(), "the same each time");
    assert_eq!(body["id"], hooks[1].id);
    assert!(headers["webhook-signature"].to_str().unwrap().starts_with("v1,"));
    assert_eq!(body["hostname"], "one");
    assert_eq!(body["cause"]["code"], "person");
    assert_eq!(body["reason"], "put there by admin: its disk fails");
}

#[tokio::test]
async fn an_address_that_never_answers_is_given_up_and_holds_nothing_up() {
    // Bound, but nobody accepts.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let server = start(&[("hook_url", &url), ("hook_timeout", "100ms")]).await;
    let (id, _, _) = server.enrol("one").await;
    quarantine(&server, &id).await;
    for attempt in 1..=6 {
        until(&server, &id, |hooks| hooks[0].attempts == attempt).await;
        server.pass(Span::from_secs(200));
    }
    let hooks = until(&server, &id, |hooks| hooks[0].state == DeliveryState::GivenUp).await;
    assert!(hooks[0].failure.as_ref().unwrap().contains("no answer in time"), "{hooks:?}");
    // The reconciler went on all the time: a rollout starts at once.
    server.import_approved("1.27.3").await;
    let (_, client, _) = server.enrol("two").await;
    server.admin().start(&crate::support::everybody("1.27.3")).await.unwrap();
    let order = client.order(None, Duration::from_secs(20)).await.unwrap();
    assert!(order.is_some());
}

#[tokio::test]
async fn what_was_not_told_is_told_after_a_restart() {
    let (url, heard) = listener().await;
    heard.lock().unwrap().refuse = 1;
    let flags = [("hook_url", url.as_str()), ("reconcile_every", "50ms")];
    let server = TestServer::start_on(tempfile::tempdir().unwrap(), &flags).await;
    let (id, _, _) = server.enrol("one").await;
    quarantine(&server, &id).await;
    until(&server, &id, |hooks| hooks[0].attempts == 1).await;
    let folder = server.stop().await;
    let server = TestServer::start_on(folder, &flags).await;
    server.pass(Span::from_secs(10));
    until(&server, &id, |hooks| hooks[0].state == DeliveryState::Delivered).await;
    assert_eq!(heard.lock().unwrap().posts.len(), 2);
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_is_run_with_what_happened() {
    let folder = tempfile::tempdir().unwrap();
    let (script, out) = (folder.path().join("drain.sh"), folder.path().join("out"));
    let text = "printf '%s %s %s\\n' \"$1\" \"$GOFLEET_HOOK_EVENT\" \"$GOFLEET_HOSTNAME\" >> \"$2\"; cat >> \"$2\"; \
                test \"$GOFLEET_HOOK_EVENT\" = drain || { echo 'no such agent' >&2; exit 3; }";
    std::fs::write(&script, text).unwrap();
    let command = format!("['/bin/sh', '{}', '$HOME; x', '{}']", script.display(), out.display());
    let server = start(&[("hook_command", &command)]).await;
    let (id, _, _) = server.enrol("one").await;
    quarantine(&server, &id).await;
    let hooks = until(&server, &id, |it| it[0].state == DeliveryState::Delivered).await;
    assert_eq!(hooks[0].target, HookTarget::Command);
    let printed = std::fs::read_to_string(&out).unwrap();
    let (line, json) = printed.split_once('\n').unwrap();
    assert_eq!(line, "$HOME; x drain one", "no shell has read the arguments");
    let call: Value = serde_json::from_str(json).unwrap();
    assert_eq!((&call["device"], &call["event"]), (&id.as_str().into(), &"drain".into()));
    server.admin().let_in(&id).await.unwrap();
    let hooks = until(&server, &id, |it| it[0].failure.is_some()).await;
    let failure = hooks[0].failure.as_ref().unwrap();
    assert!(failure.contains("exit status: 3") && failure.contains("no such agent"), "{failure}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_that_hangs_is_ended() {
    let server =
        start(&[("hook_command", "['/bin/sleep', '600']"), ("hook_timeout", "200ms")]).await;
    let (id, _, _) = server.enrol("one").await;
    quarantine(&server, &id).await;
    let hooks = until(&server, &id, |hooks| hooks[0].attempts == 1).await;
    assert!(hooks[0].failure.as_ref().unwrap().contains("did not end within 0.2 s"), "{hooks:?}");
}
