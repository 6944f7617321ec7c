//! Tokens, credentials, sessions.

use gofleet_core::ids::AccountName;
use gofleet_storage::{EnrolError, Session};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_at_once_exactly_one_enrols() {
    let bench = Bench::new().await;
    let token = Digest::of(b"token");
    bench
        .storage
        .add_token(&ann(), &token, any(), START + Span::from_secs(60), START)
        .await
        .unwrap();
    let mut all = tokio::task::JoinSet::new();
    for n in 0..100 {
        let storage = Arc::clone(&bench.storage);
        all.spawn(
            async move { storage.enrol(&By::token(&token), &token, &new_device(n), START).await },
        );
    }
    let outcomes = all.join_all().await;
    let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let used = outcomes.iter().filter(|it| matches!(it, Err(EnrolError::Used { .. }))).count();
    assert_eq!((won, used), (1, 99));
    let devices = bench.storage.devices(START).await.unwrap();
    assert_eq!(devices.len(), 1);
    let token = &bench.storage.tokens().await.unwrap()[0];
    assert_eq!(token.used_by.as_deref(), Some(devices[0].id.as_str()));
}

#[tokio::test]
async fn a_token_that_does_not_serve_is_refused_by_reason() {
    let bench = Bench::new().await;
    let token = Digest::of(b"token");
    let expires_at = START + Span::from_secs(60);
    bench.storage.add_token(&ann(), &token, any(), expires_at, START).await.unwrap();
    let enrol = |token, now| {
        let storage = Arc::clone(&bench.storage);
        async move {
            storage
                .enrol(&By::token(&token), &token, &new_device(1), now)
                .await
                .unwrap_err()
                .to_string()
        }
    };
    assert_eq!(enrol(Digest::of(b"other"), START).await, "the enrolment token is unknown");
    assert_eq!(
        enrol(token, expires_at).await,
        "the enrolment token expired at 2023-11-14T22:14:20Z"
    );
    assert_eq!(bench.storage.devices(START).await.unwrap(), []);
    bench.storage.enrol(&By::token(&token), &token, &new_device(0), START).await.unwrap();
    assert_eq!(
        enrol(token, START).await,
        "the enrolment token was used already, by d0; a token enrols one machine"
    );
}

#[tokio::test]
async fn a_credential_names_its_device_and_nothing_else() {
    let bench = Bench::with_fleet(2).await;
    let found = bench.storage.device_by_credential(&Digest::of(b"credential1")).await.unwrap();
    assert_eq!(found, Some("d1".parse().unwrap()));
    assert_eq!(bench.storage.device_by_credential(&Digest::of(b"d1")).await.unwrap(), None);
}

#[tokio::test]
async fn sessions_open_close_and_end() {
    let bench = Bench::new().await;
    let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
    let expires_at = START + Span::from_secs(60);
    let lea: AccountName = "Lea".parse().unwrap();
    bench.storage.add_session(&ann(), &one, (Some(&lea), expires_at), START).await.unwrap();
    bench.storage.add_session(&ann(), &two, (None, expires_at), START).await.unwrap();
    let of = async |session| bench.storage.session(session, START).await.unwrap();
    let account = "lea".parse().ok();
    assert_eq!(of(&one).await, Some(Session { account }), "case does not count");
    assert_eq!(of(&two).await, Some(Session { account: None }));
    bench.storage.remove_session(&ann(), &two, START).await.unwrap();
    assert_eq!(of(&two).await, None);
    assert_eq!(bench.storage.session(&one, expires_at).await.unwrap(), None);
}

#[tokio::test]
async fn the_administrators_token_outlives_a_restart() {
    let mut bench = Bench::new().await;
    assert_eq!(bench.storage.admin_token().await.unwrap(), None);
    for secret in [b"1", b"2"] {
        bench.storage.set_admin_token(&Digest::of(secret), START).await.unwrap();
    }
    bench.reopen().await;
    assert_eq!(bench.storage.admin_token().await.unwrap(), Some(Digest::of(b"2")));
    assert_eq!(bench.storage.epoch().await.unwrap(), 1);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let error = Storage::open(&file.join("data")).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot create the data folder"), "{error}");
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("data/gofleet.db"), "no database ".repeat(500)).unwrap();
    let error = Storage::open(&folder.path().join("data")).await.unwrap_err();
    assert!(error.to_string().contains("gofleet.db"), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("file is not a database"), "{cause}");
}
