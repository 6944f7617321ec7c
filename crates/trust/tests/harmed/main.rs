//! What is signed, harmed: metadata, seals, requests to sign, keys. Nothing that says something else
//! than was signed is ever believed.

#![expect(clippy::unwrap_used, reason = "these are tests")]

#[path = "../../../../fuzz/harness.rs"]
mod harness;
#[path = "../client/support.rs"]
#[expect(dead_code, reason = "others use the rest")]
mod support;

use gofleet_core::order::{Order, Want};
use gofleet_core::seal::Seal;
use gofleet_core::time::Span;
use gofleet_trust::ceremony::Request;
use gofleet_trust::key::to_line;
use gofleet_trust::metadata::Envelope;
use gofleet_trust::trusted::{Floor, read_root};
use gofleet_trust::{PublicKey, SecretKey, Trusted, keyfile, order};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use harness::harmed;
use support::{DAY, NOW, Repository, release};

/// Seconds for each.
const SECONDS: u64 = 3;

fn repository() -> Repository {
    let mut repository = Repository::new();
    let (good, manifest) = release("1.27.3", "good");
    repository.approve(&good, &manifest);
    repository.publish_root();
    repository.publish_online();
    repository
}

/// What of a file is signed; none if it is no metadata.
fn signed(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice::<Envelope>(bytes).ok().map(|envelope| envelope.signed)
}

/// Has a client that stands before a role take these bytes for its metadata; whether it does.
fn believes(before: &Trusted, role: &str, bytes: &[u8]) -> Option<Trusted> {
    let mut trusted = before.clone();
    let taken = match role {
        "root" => trusted.update_root(bytes),
        "timestamp" => trusted.update_timestamp(bytes).map(drop),
        "snapshot" => trusted.update_snapshot(bytes),
        "targets" => trusted.update_targets("targets", "root", bytes),
        role => trusted.update_targets(role, "targets", bytes),
    };
    if taken.is_err() {
        let is_same = format!("{trusted:?}") == format!("{before:?}");
        assert!(is_same, "{role} was refused and has left something");
    }
    taken.is_ok().then_some(trusted)
}

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_metadata_is_never_believed() {
    let repository = repository();
    let file = |name: &str| repository.files.borrow()[name].clone();
    let [go, online] = [repository.versions["go"], repository.online];
    let files = [
        ("root", file("2.root.json")),
        ("timestamp", file("timestamp.json")),
        ("snapshot", file(&format!("{online}.snapshot.json"))),
        ("targets", file("1.targets.json")),
        ("go", file(&format!("{go}.go.json"))),
    ];
    let first = repository.root_bytes(1);
    let floor = Floor::of_pin(&first, &read_root(&first).unwrap());
    let mut clients = vec![Trusted::new(&first, floor, NOW).unwrap()];
    for (role, whole) in &files {
        clients.push(believes(&clients[clients.len() - 1], role, whole).unwrap());
    }
    // Which file it is, and its bytes.
    let seeds: Vec<Vec<u8>> =
        (0..).zip(&files).map(|(at, (_, whole))| [vec![at], whole.clone()].concat()).collect();
    harmed("metadata", 2 * SECONDS, &seeds, |bytes| {
        let Some((place, bytes)) = bytes.split_first() else { return false };
        let place = usize::from(*place);
        let Some((role, whole)) = files.get(place) else { return false };
        let is_believed = believes(&clients[place], role, bytes).is_some();
        // White space, the order of fields, and signatures that are not needed say nothing.
        let is_same = signed(bytes) == signed(whole);
        assert!(is_same || !is_believed, "{role}: {}", bytes.escape_ascii());
        is_believed
    });
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    order: Order,
    seal: Option<Seal>,
}

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_seals_and_orders_are_never_obeyed() {
    let (repository, (release, _)) = (repository(), release("1.27.3", "good"));
    let order = Order {
        device: "d-0123456789abcdef".parse().unwrap(),
        epoch: 1,
        generation: 7,
        issued_at: NOW,
        rollout: "r-1".parse().unwrap(),
        want: Want::Activate { release, soak: Span::from_secs(300), window: None },
    };
    let root = repository.constitution().root(1, NOW);
    let seal = order::seal(&repository.orders, &order, NOW + DAY);
    let sealed = Sealed { order: order.clone(), seal: Some(seal.clone()) };
    harmed("seals", SECONDS, &[serde_json::to_vec(&sealed).unwrap()], |bytes| {
        let Ok(read) = serde_json::from_slice::<Sealed>(bytes) else { return false };
        let is_obeyed = order::verify(&root, &read.order, read.seal.as_ref()).is_ok();
        let is_same = read.order == order
            && read.seal.is_some_and(|read| {
                // Hexadecimal digits may be written in capitals too.
                read.expires_at == seal.expires_at
                    && read.signature.eq_ignore_ascii_case(&seal.signature)
            });
        assert!(is_same || !is_obeyed, "{}", bytes.escape_ascii());
        is_obeyed
    });
}

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_requests_to_sign_say_what_they_hold_or_are_refused() {
    let repository = repository();
    let envelope = |name: &str| -> Envelope {
        serde_json::from_slice(&repository.files.borrow()[name]).unwrap()
    };
    let go = format!("{}.go.json", repository.versions["go"]);
    let request = Request {
        documents: [
            ("root".to_owned(), envelope("2.root.json")),
            ("targets".to_owned(), envelope("1.targets.json")),
            ("go".to_owned(), envelope(&go)),
        ]
        .into(),
        current: [("root".to_owned(), envelope("1.root.json"))].into(),
    };
    let approver = &repository.approvers[0];
    harmed("requests", SECONDS, &[serde_json::to_vec(&request).unwrap()], |bytes| {
        let Ok(read) = serde_json::from_slice::<Request>(bytes) else { return false };
        // What has a fraction in it is no metadata, and fractions may change on the way.
        let mut all = read.documents.values().chain(read.current.values());
        if all.any(|envelope| envelope.message().is_none()) {
            return false;
        }
        let written = serde_json::to_vec(&read).unwrap();
        assert_eq!(serde_json::from_slice::<Request>(&written).unwrap(), read);
        let _ = read.describe();
        let Ok(standings) = read.standing() else { return false };
        // Who has signed is counted by verifying: nobody of whom it is not known.
        for standing in &standings {
            assert!(standing.signed.iter().all(|key| standing.keys.contains(key)));
        }
        let mut signed = read.clone();
        if let Ok(roles) = signed.sign(approver) {
            for role in roles {
                let message = signed.message(&role).unwrap();
                assert_eq!(Some(&message), read.message(&role).ok().as_ref(), "{role} was changed");
            }
        }
        true
    });
}

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_keys_are_other_keys_or_none() {
    let key = SecretKey::generate();
    let (public, file) = (key.public(), keyfile::write(&key, "correct horse"));
    let rsa_and_others = [
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
         -----END PUBLIC KEY-----\n",
    ];
    let message = b"what is signed";
    let signature = key.sign(message);
    let mut seeds = vec![file.into_bytes(), to_line(&public).into_bytes()];
    seeds.push(serde_json::to_vec(&public).unwrap());
    seeds.extend(rsa_and_others.map(|pem| pem.as_bytes().to_vec()));
    harmed("keys", SECONDS, &seeds, |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return false };
        let read = [
            serde_json::from_str::<PublicKey>(text).ok(),
            PublicKey::from_pem(text),
            keyfile::public(text).ok(),
        ];
        for other in read.iter().flatten() {
            let same = other.keyval.public.eq_ignore_ascii_case(&public.keyval.public);
            assert!(same || !other.verifies(message, &signature), "{other:?}");
            assert_eq!(other.id() == public.id(), *other == public);
        }
        read.iter().any(Option::is_some) || text == to_line(&public)
    });
}
