//! What travels: reports, orders, manifests, what machines ask; and the audit log with its heads.

use gofleet_core::audit::{Act, AuditEntry, AuditSigner, By, Deed, Head, Link, Verifier, verify};
use gofleet_core::digest::Digest;
use gofleet_core::enrolment::Scope;
use gofleet_core::manifest::{Manifest, ManifestFile};
use gofleet_core::order::{Order, Report};
use gofleet_core::rollout::RolloutSpec;
use gofleet_core::seal::{Seal, statement};
use gofleet_core::time::Timestamp;
use gofleet_core::ways::{WaysAnswer, WaysRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::SECONDS;
use crate::harness::harmed;
use crate::words::{facts, round};

const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

/// What is read, if it is; written and read again it is the same.
fn read<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<T> {
    let read: T = serde_json::from_slice(bytes).ok()?;
    let written = serde_json::to_vec(&read).unwrap();
    let again = serde_json::from_slice::<T>(&written);
    assert_eq!(again.ok().as_ref(), Some(&read), "{}", written.escape_ascii());
    Some(read)
}

fn release() -> Value {
    json!({
        "id": "go-1.27.3-windows-amd64", "package": "go", "version": "1.27.3",
        "platform": "windows-amd64", "manifest": Digest::of(b"manifest"),
        "archive": { "sha256": Digest::of(b"archive"), "size": 75_000_000, "format": "zip" },
    })
}

fn order() -> Value {
    json!({
        "device": "d-0123456789abcdef", "epoch": 1, "generation": 7, "issued_at": NOW,
        "rollout": "r-1", "want": {
            "kind": "activate", "release": release(), "soak": "5m",
            "window": { "open": ["Sat,Sun 01:00-05:00"], "closed": ["2026-12-24"] },
        },
    })
}

fn report() -> Value {
    json!({
        "facts": facts(),
        "progress": {
            "generation": 7, "order": Digest::of(b"order"), "sequence": 12, "step": "failed",
            "active": "go-1.27.2-windows-amd64", "bytes_downloaded": 304_737,
            "failure": { "step": "verifying", "kind": "check", "message": "go version said no" },
        },
        "signals": { "over": "1m", "values": { "processor": 12.5, "errors": 0.25 } },
    })
}

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_messages_come_back_the_same() {
    let spec = json!({
        "name": "march", "version": "1.27.3", "devices": "os = windows",
        "rings": [{ "name": "pilot", "percent": 12.5 }, { "name": "all", "rest": true }],
        "soak": "5m", "window": { "open": ["daily 22:00-06:00"] },
    });
    let ways = json!({
        "release": "go-1.27.3-windows-amd64", "holds": [Digest::of(b"old")], "formats": [1],
    });
    let messages = [report(), order(), ways, spec];
    let seeds: Vec<Vec<u8>> = messages.iter().map(|it| it.to_string().into_bytes()).collect();
    harmed("messages", SECONDS, &seeds, |bytes| {
        let spec = serde_json::from_slice::<RolloutSpec>(bytes).ok();
        if let Some(mut spec) = spec.clone() {
            let _ = gofleet_core::rollout::validate(&spec, &[]);
            let written = serde_json::to_vec(&spec).unwrap();
            let mut read: RolloutSpec = serde_json::from_slice(&written).unwrap();
            [&mut read.rings, &mut spec.rings].into_iter().flatten().for_each(round);
            assert_eq!(read, spec);
        }
        let order = read::<Order>(bytes);
        [
            read::<Report>(bytes).is_some(),
            order.is_some(),
            read::<WaysRequest>(bytes).is_some(),
            read::<WaysAnswer>(bytes).is_some(),
            spec.is_some(),
            read::<Seal>(bytes).is_some(),
        ]
        .contains(&true)
    });
}

/// A seal is on the statement: of two orders that say something else no two statements are alike.
#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_orders_have_another_statement() {
    let original: Order = serde_json::from_value(order()).unwrap();
    let sealed = statement(&original, NOW);
    harmed("orders", SECONDS, &[order().to_string().into_bytes()], |bytes| {
        let Some(order) = read::<Order>(bytes) else { return false };
        assert_eq!(statement(&order, NOW) == sealed, order == original, "{order:?}");
        true
    });
}

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_manifests_name_only_what_can_stand_in_a_tree() {
    let file = |(number, path): (usize, &str)| ManifestFile {
        path: path.parse().unwrap(),
        size: number as u64 * 1000,
        executable: number % 2 == 0,
        sha256: Digest::of(path.as_bytes()),
    };
    let paths = ["bin/go.exe", "VERSION", "src/fmt/print.go", "lib/time/zoneinfo.zip"];
    let manifest = Manifest::new(paths.into_iter().enumerate().map(file).collect()).unwrap();
    let digest = manifest.digest();
    harmed("manifests", SECONDS, &[serde_json::to_vec(&manifest).unwrap()], |bytes| {
        let Some(read) = read::<Manifest>(bytes) else { return false };
        assert_eq!(read.digest() == digest, read == manifest);
        let mut folded: Vec<String> = read.files().iter().map(|it| it.path.folded()).collect();
        folded.sort();
        folded.dedup();
        assert_eq!(folded.len(), read.files().len(), "two names are one");
        read.tree_bytes();
        true
    });
}

fn log() -> Vec<AuditEntry> {
    let mut entries: Vec<AuditEntry> = Vec::new();
    for number in 0..12_u64 {
        let note = format!("for machine {number} „x“\n");
        let act = Act::token_created(&Digest::of(&[number as u8]), &note, &Scope::default(), NOW);
        let by = By::person("admin").via("token").from(Some("10.0.0.7".to_owned()));
        let last = entries.last().map_or(Link::START, AuditEntry::link);
        entries.push(AuditEntry::following(last, &Deed { at: NOW, by, act }, None));
    }
    entries
}

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_logs_and_heads_are_never_taken_for_whole() {
    let entries = log();
    let lines: Vec<String> = entries.iter().map(AuditEntry::line).collect();
    let whole = lines.join("\n").into_bytes();
    let signer = AuditSigner::from_seed(&[7; 32]);
    let Link { count, hash } = entries.last().unwrap().link();
    let head = Head { count, hash, epoch: 3 };
    let note = signer.sign(&head);
    let key = signer.key();
    harmed("logs", SECONDS, &[whole.clone(), note.clone().into_bytes()], |bytes| {
        if let Some(Ok(read)) = crate::text(bytes).map(|text| key.open(text)) {
            // More signatures may stand below ours, so it need not be the very note.
            assert_eq!(read, head);
            return true;
        }
        let verifier = Verifier::default().with_current(head);
        let verified = verify(verifier, bytes.split(|byte| *byte == b'\n'));
        assert_eq!(verified.is_ok(), bytes == whole, "{verified:?}");
        verified.is_ok()
    });
}
