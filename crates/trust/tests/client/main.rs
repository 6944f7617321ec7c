//! The client against a repository in the hands of its owner, and of a thief with the online keys.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod python;
mod support;

use std::fs;

use gofleet_core::time::{Span, Timestamp};
use gofleet_trust::approval::{self, Install};
use gofleet_trust::metadata::{Envelope, Role};
use gofleet_trust::{
    Client, RefreshError, SecretKey, Store, StoreError, TrustError, Trusted, Unapproved, author,
};

use support::{DAY, NOW, Repository, device, release};

async fn refresh(client: &Client, from: &Repository) -> Result<Trusted, RefreshError> {
    client.refresh(from, from.now).await
}

/// Why the metadata is not believed.
async fn refused(client: &Client, from: &Repository) -> TrustError {
    match refresh(client, from).await {
        Err(RefreshError::Trust(error)) => error,
        other => panic!("it was not refused: {:?}", other.map(drop)),
    }
}

#[tokio::test]
async fn what_approvers_signed_is_allowed_and_nothing_else() {
    let mut repository = Repository::new();
    let (good, manifest) = release("1.27.3", "good");
    repository.approve(&good, &manifest);
    let (_folder, client) = device(&repository);
    let mut trusted = refresh(&client, &repository).await.unwrap();
    let mut look = async |release: &_, install: Option<&Install>| {
        let path = approval::path(release);
        let target = client.find(&mut trusted, Some(&repository), &path).await.unwrap();
        approval::check(target.as_ref(), release, install)
    };
    assert_eq!(look(&good, None).await, Ok(()));
    let (other, _) = release("1.27.3", "evil");
    assert!(matches!(look(&other, None).await, Err(Unapproved::OtherManifest { .. })));
    let (unknown, _) = release("1.27.4", "good");
    assert!(matches!(look(&unknown, None).await, Err(Unapproved::Unknown { .. })));
    let mut renamed = good.clone();
    renamed.version = "1.28".to_owned();
    assert!(matches!(look(&renamed, None).await, Err(Unapproved::OtherRelease { .. })));
    let run = Install { program: "setup".to_owned(), arguments: vec!["/quiet".to_owned()] };
    assert!(matches!(look(&good, Some(&run)).await, Err(Unapproved::OtherInstall { .. })));
}

#[tokio::test]
async fn a_release_needs_as_many_approvers_as_the_threshold_says() {
    let mut repository = Repository::new();
    let (_folder, client) = device(&repository);
    refresh(&client, &repository).await.unwrap();
    let (evil, manifest) = release("1.27.3", "evil");
    repository.approve(&evil, &manifest);
    let version = repository.versions["go"];
    let go = author::releases(version, repository.releases.clone(), NOW);
    let path = approval::path(&evil);
    let one = &repository.approvers[0];
    // One approver, one twice, the server's own keys, a stranger.
    let stranger = SecretKey::generate();
    for keys in [vec![one], vec![one, one], vec![one, &repository.metadata], vec![one, &stranger]] {
        repository.put(&format!("{version}.go.json"), &go, &keys);
        let mut trusted = refresh(&client, &repository).await.unwrap();
        let found = client.find(&mut trusted, Some(&repository), &path).await;
        let Err(RefreshError::Trust(TrustError::NotSigned { role })) = found else {
            panic!("{found:?}");
        };
        assert_eq!(role, "go");
    }
}

#[tokio::test]
async fn a_key_under_two_names_counts_once() {
    let repository = Repository::new();
    let mut root = repository.constitution().root(2, NOW);
    let key = repository.root[0].public();
    root.keys.insert("another".to_owned(), key.clone());
    root.roles.insert(
        "timestamp".to_owned(),
        Role { keyids: vec![key.id(), "another".to_owned()], threshold: 2 },
    );
    repository.put("2.root.json", &root, &[&repository.root[0], &repository.root[1]]);
    let timestamp = author::timestamp(5, 1, NOW);
    let mut envelope = Envelope::unsigned(&timestamp);
    envelope.sign(&repository.root[0]);
    let mut twice = envelope.signatures[0].clone();
    twice.keyid = "another".to_owned();
    envelope.signatures.push(twice);
    repository.files.borrow_mut().insert("timestamp.json".to_owned(), envelope.to_bytes());
    let (_folder, client) = device(&repository);
    assert!(matches!(refused(&client, &repository).await, TrustError::NotSigned { .. }));
    // The same key, written otherwise, is no other key.
    let mut capitals = key.clone();
    capitals.keyval.public.make_ascii_uppercase();
    assert!(key.is_same(&capitals) && key.id() != capitals.id());
    root.keys.insert("another".to_owned(), capitals);
    repository.put("2.root.json", &root, &[&repository.root[0], &repository.root[1]]);
    let (_folder, client) = device(&repository);
    assert!(matches!(refused(&client, &repository).await, TrustError::NotSigned { .. }));
}

#[tokio::test]
async fn older_mixed_and_frozen_metadata_is_refused() {
    let mut repository = Repository::new();
    let (_folder, client) = device(&repository);
    let old = repository.files.borrow().clone();
    repository.publish_releases();
    repository.publish_online();
    refresh(&client, &repository).await.unwrap();
    // Nothing new any more.
    repository.now = NOW + author::ONLINE_LIFETIME;
    assert!(matches!(refused(&client, &repository).await, TrustError::Expired { .. }));
    repository.now = NOW;
    // An earlier state as it was.
    repository.files.replace(old);
    assert!(matches!(refused(&client, &repository).await, TrustError::Rollback { .. }));
    // A newer timestamp of the older snapshot, signed by a thief of the online key.
    repository.put("timestamp.json", &author::timestamp(9, 1, NOW), &[&repository.metadata]);
    assert!(matches!(refused(&client, &repository).await, TrustError::Rollback { .. }));
    // A new snapshot that mixes in the older releases.
    let mut versions = repository.versions.clone();
    versions.insert("go".to_owned(), 1);
    repository.put(
        "9.snapshot.json",
        &author::snapshot(9, &versions, NOW),
        &[&repository.metadata],
    );
    repository.put("timestamp.json", &author::timestamp(9, 9, NOW), &[&repository.metadata]);
    assert!(matches!(refused(&client, &repository).await, TrustError::Rollback { .. }));
    // Or leaves a package out.
    versions.remove("go");
    repository.put(
        "9.snapshot.json",
        &author::snapshot(9, &versions, NOW),
        &[&repository.metadata],
    );
    assert!(matches!(refused(&client, &repository).await, TrustError::Missing { .. }));
}

#[tokio::test]
async fn a_thief_of_the_online_keys_cannot_change_the_root() {
    let mut repository = Repository::new();
    let (_folder, client) = device(&repository);
    refresh(&client, &repository).await.unwrap();
    let thief = [SecretKey::generate(), SecretKey::generate()];
    let mut constitution = repository.constitution();
    constitution.root.keys = thief.iter().map(SecretKey::public).collect();
    let root = constitution.root(2, NOW);
    let Repository { metadata, orders, root: owners, .. } = &repository;
    for keys in [
        vec![&thief[0], &thief[1]],
        vec![&thief[0], &thief[1], metadata, orders],
        vec![&thief[0], &thief[1], &owners[0]],
        vec![&owners[0], &owners[1]],
    ] {
        repository.put("2.root.json", &root, &keys);
        assert!(matches!(refused(&client, &repository).await, TrustError::NotSigned { .. }));
    }
    // Both sides have signed: the owners hand over.
    repository.put("2.root.json", &root, &[&owners[0], &owners[1], &thief[0], &thief[1]]);
    assert_eq!(refresh(&client, &repository).await.unwrap().root().version, 2);
    // A version is not left out.
    repository.root_version = 3;
    repository.root = thief.into_iter().collect();
    repository.publish_root();
    refresh(&client, &repository).await.unwrap();
    assert_eq!(refresh(&client, &repository).await.unwrap().root().version, 2);
}

#[tokio::test]
async fn new_online_keys_recover_from_versions_that_a_thief_ran_up() {
    let mut repository = Repository::new();
    let (_folder, client) = device(&repository);
    repository.online = 1_000_000;
    repository.publish_online();
    refresh(&client, &repository).await.unwrap();
    repository.online = 5;
    repository.publish_online();
    assert!(matches!(refused(&client, &repository).await, TrustError::Rollback { .. }));
    repository.metadata = SecretKey::generate();
    repository.publish_root();
    repository.publish_online();
    let trusted = refresh(&client, &repository).await.unwrap();
    assert_eq!(trusted.timestamp().unwrap().version, 6 + 1);
}

#[tokio::test]
async fn a_clock_that_was_wrong_is_recovered_from() {
    let mut repository = Repository::new();
    let (_folder, client) = device(&repository);
    let far = Span::from_secs(10 * 365 * 24 * 60 * 60);
    refresh(&client, &repository).await.unwrap();
    for wrong in [NOW + far, NOW - far, NOW - Span::from_millis(300)] {
        let outcome = client.refresh(&repository, wrong).await;
        assert_eq!(outcome.is_err(), wrong > NOW, "{wrong}");
        repository.publish_online();
        refresh(&client, &repository).await.unwrap();
    }
    // Without its server a device believes what it has, for as long as that counts.
    client.stored(NOW + DAY).await.unwrap();
    client.stored(NOW + author::ONLINE_LIFETIME).await.unwrap_err();
}

/// A store with every kind of file, one step back from which is offered.
async fn with_history() -> (Repository, tempfile::TempDir, Client, String) {
    let mut repository = Repository::new();
    let (folder, client) = device(&repository);
    let (old, manifest) = release("1.27.2", "old");
    repository.approve(&old, &manifest);
    let path = approval::path(&old);
    let vulnerable = repository.files.borrow().clone();
    repository.releases.clear();
    repository.publish_releases();
    repository.publish_online();
    let mut trusted = refresh(&client, &repository).await.unwrap();
    assert_eq!(client.find(&mut trusted, Some(&repository), &path).await.unwrap(), None);
    repository.files.replace(vulnerable);
    (repository, folder, client, path)
}

#[tokio::test]
async fn a_store_that_is_cut_at_any_byte_lets_nobody_fall_back() {
    let (repository, folder, client, path) = with_history().await;
    let trust = folder.path().join("trust");
    let metadata = ["root", "timestamp", "snapshot", "targets", "go"];
    let mut files: Vec<_> =
        metadata.iter().map(|it| trust.join("metadata").join(format!("{it}.json"))).collect();
    files.push(trust.join("floor.json"));
    for file in files {
        let whole = fs::read(&file).unwrap();
        for length in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
            fs::write(&file, &whole[..length]).unwrap();
            let found = match refresh(&client, &repository).await {
                Ok(mut trusted) => client.find(&mut trusted, Some(&repository), &path).await,
                Err(error) => Err(error),
            };
            assert!(found.is_err(), "{} at {length}: {found:?}", file.display());
            fs::write(&file, &whole).unwrap();
        }
        fs::remove_file(&file).unwrap();
        refresh(&client, &repository).await.unwrap_err();
        fs::write(&file, &whole).unwrap();
    }
}

#[tokio::test]
async fn a_damaged_root_or_floor_is_put_right_by_the_same_root_only() {
    let (repository, folder, client, _) = with_history().await;
    let trust = folder.path().join("trust");
    let root = repository.root_bytes(1);
    let other = Repository::new().root_bytes(1);
    let pinned = client.store().pin(&other);
    assert!(matches!(pinned, Err(StoreError::OtherRoot { .. })), "{pinned:?}");
    fs::write(trust.join("metadata").join("root.json"), "{").unwrap();
    assert!(client.store().is_pinned().unwrap());
    let damaged = refresh(&client, &repository).await;
    assert!(matches!(damaged, Err(RefreshError::Store(StoreError::Damaged { .. }))), "{damaged:?}");
    client.store().pin(&other).unwrap_err();
    client.store().pin(&root).unwrap();
    // What was seen is remembered.
    assert!(matches!(refused(&client, &repository).await, TrustError::Rollback { .. }));
    let error = Store::of_agent(tempfile::tempdir().unwrap().path()).pin(b"{}").unwrap_err();
    assert!(matches!(error, StoreError::NoRoot(_)), "{error}");
}

#[tokio::test]
async fn endless_and_missing_answers_end_a_refresh() {
    let repository = Repository::new();
    let (_folder, client) = device(&repository);
    repository.files.borrow_mut().remove("1.snapshot.json");
    let error = refresh(&client, &repository).await.unwrap_err();
    assert!(matches!(error, RefreshError::Absent { .. }), "{error}");
    repository.files.borrow_mut().insert("timestamp.json".to_owned(), vec![b' '; 1 << 20]);
    let error = refresh(&client, &repository).await.unwrap_err();
    assert!(matches!(error, RefreshError::TooLong { .. }), "{error}");
    let late = Timestamp::from_millis(i64::MAX);
    assert!(client.refresh(&repository, late).await.is_err());
}
