//! Making metadata: what the four roles and the delegations say in gofleet.

use std::collections::BTreeMap;

use gofleet_core::ids::PackageName;
use gofleet_core::time::{Span, Timestamp as Time};
use serde::{Deserialize, Serialize};

use crate::key::{KeyId, PublicKey};
use crate::metadata::{
    Delegation, Delegations, MetaFile, Role, Root, Snapshot, TargetFile, Targets, Timestamp,
};

const DAY: u64 = 24 * 60 * 60;
/// How long what people sign counts: a ceremony a year.
pub const OFFLINE_LIFETIME: Span = Span::from_secs(365 * DAY);
/// How long what the server signs counts: for so long a device does without its server, and so long
/// may somebody hold it back.
pub const ONLINE_LIFETIME: Span = Span::from_secs(7 * DAY);

/// Some keys, and how many of them must sign.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quorum {
    /// The keys.
    pub keys: Vec<PublicKey>,
    /// How many.
    pub threshold: u32,
}

/// The keys that a server signs by: metadata that is renewed often, and orders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OnlineKeys {
    /// For snapshot and timestamp.
    pub metadata: PublicKey,
    /// For orders.
    pub orders: PublicKey,
}

/// Who is trusted for what.
#[derive(Debug, Clone, PartialEq)]
pub struct Constitution {
    /// Who may change all of this.
    pub root: Quorum,
    /// Who approves releases.
    pub approvers: Quorum,
    /// The server.
    pub online: OnlineKeys,
    /// Of which packages there may be releases.
    pub packages: Vec<PackageName>,
}

impl Quorum {
    fn role(&self) -> Role {
        Role { keyids: self.keys.iter().map(PublicKey::id).collect(), threshold: self.threshold }
    }
}

fn by_id<'a>(keys: impl IntoIterator<Item = &'a PublicKey>) -> BTreeMap<KeyId, PublicKey> {
    keys.into_iter().map(|key| (key.id(), key.clone())).collect()
}

/// In whole seconds, as metadata has times.
fn after(now: Time, lifetime: Span) -> Time {
    let at = (now + lifetime).as_millis();
    Time::from_millis(at - at.rem_euclid(1000))
}

impl Constitution {
    /// A root of this version.
    pub fn root(&self, version: u64, now: Time) -> Root {
        let OnlineKeys { metadata, orders } = &self.online;
        let one = |key: &PublicKey| Role { keyids: vec![key.id()], threshold: 1 };
        let keys =
            by_id(self.root.keys.iter().chain(&self.approvers.keys).chain([metadata, orders]));
        let roles = [
            ("root", self.root.role()),
            ("targets", self.approvers.role()),
            ("snapshot", one(metadata)),
            ("timestamp", one(metadata)),
        ];
        Root {
            version,
            expires: after(now, OFFLINE_LIFETIME),
            consistent_snapshot: true,
            keys,
            roles: roles.into_iter().map(|(name, role)| (name.to_owned(), role)).collect(),
            orders: Some(one(orders)),
        }
    }

    /// Top-level targets of this version: no release, and a delegation for each package.
    pub fn targets(&self, version: u64, now: Time) -> Targets {
        let delegation = |package: &PackageName| Delegation {
            name: package.to_string(),
            role: self.approvers.role(),
            terminating: true,
            paths: Some(vec![format!("{package}/*")]),
            path_hash_prefixes: None,
        };
        let roles = self.packages.iter().map(delegation).collect();
        let delegations = Delegations { keys: by_id(&self.approvers.keys), roles };
        let targets = BTreeMap::new();
        let expires = after(now, OFFLINE_LIFETIME);
        Targets { version, expires, targets, delegations: Some(delegations) }
    }
}

/// The releases of a package that may be run.
pub fn releases(version: u64, targets: BTreeMap<String, TargetFile>, now: Time) -> Targets {
    Targets { version, expires: after(now, OFFLINE_LIFETIME), targets, delegations: None }
}

/// A version for what is signed online: later ones are greater, also after a database of before was
/// put back.
pub fn online_version(known: u64, now: Time) -> u64 {
    let seconds = (now.as_millis() / 1000).max(0).unsigned_abs();
    seconds.max(known.saturating_add(1))
}

/// A snapshot of targets in these versions.
pub fn snapshot(version: u64, versions: &BTreeMap<String, u64>, now: Time) -> Snapshot {
    let meta =
        versions.iter().map(|(role, version)| (format!("{role}.json"), MetaFile::of(*version)));
    Snapshot { version, expires: after(now, ONLINE_LIFETIME), meta: meta.collect() }
}

/// A timestamp of this snapshot.
pub fn timestamp(version: u64, snapshot: u64, now: Time) -> Timestamp {
    let meta = [("snapshot.json".to_owned(), MetaFile::of(snapshot))].into();
    Timestamp { version, expires: after(now, ONLINE_LIFETIME), meta }
}
