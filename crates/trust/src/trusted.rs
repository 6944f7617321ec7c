//! What is believed, and what may be believed next: the client's workflow of TUF's specification
//! (section 5) without files, connections and a clock.
//!
//! Metadata is taken in the order root, timestamp, snapshot, targets. What was stored may have
//! expired: it then still says what must not be fallen behind. Beside it stands a [`Floor`] of
//! versions, so that a store that was lost or put back lets nobody fall back either.

use std::collections::BTreeMap;

use gofleet_core::digest::Digest;
use gofleet_core::time::Timestamp as Time;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::metadata::{
    Content, Delegation, MetaFile, MetadataError, Role, Root, Snapshot, TargetFile, Targets,
    Timestamp, Unverified,
};

/// How many roles are asked for one target at most.
const MAX_DELEGATIONS: usize = 32;

/// Why metadata is not believed.
#[derive(Debug, Error)]
pub enum TrustError {
    /// It cannot be read.
    #[error("the {role} metadata cannot be used")]
    Metadata {
        /// Whose.
        role: String,
        /// Why.
        #[source]
        source: MetadataError,
    },
    /// Too few of those who must sign it did.
    #[error("the {role} metadata is not signed by enough of the keys that are trusted for it")]
    NotSigned {
        /// Whose.
        role: String,
    },
    /// It is older than what was seen: somebody puts an earlier state back.
    #[error("the {role} metadata is of version {found}, but version {known} was seen: refused")]
    Rollback {
        /// Whose.
        role: String,
        /// Its version.
        found: u64,
        /// The latest that was seen.
        known: u64,
    },
    /// It is of another version than was told: parts of several states are mixed.
    #[error("the {role} metadata is of version {found}, expected was {expected}")]
    WrongVersion {
        /// Whose.
        role: String,
        /// Its version.
        found: u64,
        /// What was told.
        expected: u64,
    },
    /// It is another file than was told.
    #[error("the {role} metadata is not the file that was told of")]
    WrongFile {
        /// Whose.
        role: String,
    },
    /// Its time is over: nobody renews it, or somebody holds it back.
    #[error(
        "the {role} metadata has expired on {at}: the server must renew it, or this clock is wrong"
    )]
    Expired {
        /// Whose.
        role: String,
        /// When.
        at: Time,
    },
    /// There is none.
    #[error("there is no {role} metadata")]
    Missing {
        /// Whose.
        role: String,
    },
}

/// The versions that nothing may fall behind, kept apart from the metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floor {
    /// The digest of the root that all began with.
    pub pin: Digest,
    /// The root's version.
    pub root: u64,
    /// The keys of those who sign online: with other keys the other versions begin anew, which is
    /// how a repository recovers whose keys were stolen (section 5.3.11).
    pub keys: Digest,
    /// The latest version of each other role.
    pub versions: BTreeMap<String, u64>,
}

/// What is believed at one time.
#[derive(Debug, Clone)]
pub struct Trusted {
    now: Time,
    floor: Floor,
    root: Root,
    timestamp: Option<Timestamp>,
    snapshot: Option<Snapshot>,
    /// By who delegated, and role.
    targets: BTreeMap<(String, String), Targets>,
}

/// What is to be looked at next for a target.
#[derive(Debug, PartialEq, Eq)]
pub struct Search {
    path: String,
    /// Role and who delegated, the next one last.
    open: Vec<(String, String)>,
    visited: Vec<String>,
}

impl Floor {
    /// Of a root that is pinned.
    pub fn of_pin(bytes: &[u8], root: &Root) -> Self {
        let keys = online_keys(root);
        Self { pin: Digest::of(bytes), root: root.version, keys, versions: BTreeMap::new() }
    }
}

/// A digest of who signs timestamp and snapshot.
fn online_keys(root: &Root) -> Digest {
    let roles = [root.role("timestamp"), root.role("snapshot")];
    Digest::of(&serde_json::to_vec(&roles).expect("roles are plain data"))
}

fn parse<T: Content>(role: &str, bytes: &[u8]) -> Result<Unverified<T>, TrustError> {
    let failed = |source| TrustError::Metadata { role: role.to_owned(), source };
    Unverified::parse(bytes).map_err(failed)
}

/// Reads a root that vouches for itself.
///
/// # Errors
///
/// [`TrustError`]
pub fn read_root(bytes: &[u8]) -> Result<Root, TrustError> {
    let unverified = parse::<Root>("root", bytes)?;
    let root = unverified.content.clone();
    unverified.verify(&root.keys, root.role("root")).ok_or_else(|| not_signed("root"))
}

fn not_signed(role: &str) -> TrustError {
    TrustError::NotSigned { role: role.to_owned() }
}

impl Trusted {
    /// Begins with a root that was believed before.
    ///
    /// # Errors
    ///
    /// [`TrustError`] if it does not vouch for itself.
    pub fn new(root: &[u8], floor: Floor, now: Time) -> Result<Self, TrustError> {
        let root = read_root(root)?;
        let targets = BTreeMap::new();
        Ok(Self { now, floor, root, timestamp: None, snapshot: None, targets })
    }

    /// The root.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The timestamp, if there is one.
    pub fn timestamp(&self) -> Option<&Timestamp> {
        self.timestamp.as_ref()
    }

    /// The snapshot, if there is one.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// What a role says that `delegator` delegated to, if it was taken.
    pub fn targets(&self, role: &str, delegator: &str) -> Option<&Targets> {
        self.targets.get(&(delegator.to_owned(), role.to_owned()))
    }

    /// The versions that nothing may fall behind from here on.
    pub fn floor(&self) -> Floor {
        let mut floor = self.floor.clone();
        let keys = online_keys(&self.root);
        if floor.keys != keys {
            (floor.keys, floor.versions) = (keys, BTreeMap::new());
        }
        floor.root = floor.root.max(self.root.version);
        let mut raise = |role: &str, version: u64| {
            let known = floor.versions.entry(role.to_owned()).or_default();
            *known = (*known).max(version);
        };
        if let Some(timestamp) = &self.timestamp {
            raise("timestamp", timestamp.version);
            raise("snapshot", timestamp.snapshot().version);
        }
        if let Some(snapshot) = &self.snapshot {
            for (name, meta) in &snapshot.meta {
                raise(name.strip_suffix(".json").unwrap_or(name), meta.version);
            }
        }
        floor
    }

    fn known(&self, role: &str) -> u64 {
        let is_same = self.floor.keys == online_keys(&self.root);
        if is_same { self.floor.versions.get(role).copied().unwrap_or(0) } else { 0 }
    }

    fn not_behind(&self, role: &str, found: u64, known: u64) -> Result<(), TrustError> {
        let known = known.max(self.known(role));
        let role = role.to_owned();
        if found < known { Err(TrustError::Rollback { role, found, known }) } else { Ok(()) }
    }

    fn not_expired(&self, role: &str, content: &impl Content) -> Result<(), TrustError> {
        let (role, at) = (role.to_owned(), content.expires());
        if at <= self.now { Err(TrustError::Expired { role, at }) } else { Ok(()) }
    }

    /// Section 5.3.4 to 5.3.7: the next root needs enough keys of this one and of its own.
    ///
    /// # Errors
    ///
    /// [`TrustError`]; nothing has changed.
    pub fn update_root(&mut self, bytes: &[u8]) -> Result<(), TrustError> {
        let next = read_root(bytes)?;
        let by_this = parse::<Root>("root", bytes)?;
        by_this
            .verify(&self.root.keys, self.root.role("root"))
            .ok_or_else(|| not_signed("root"))?;
        let (found, expected) = (next.version, self.root.version + 1);
        if found != expected {
            return Err(TrustError::WrongVersion { role: "root".to_owned(), found, expected });
        }
        self.root = next;
        Ok(())
    }

    /// Section 5.3.10: the last root counts if its time is not over, and nothing was seen beyond it.
    ///
    /// # Errors
    ///
    /// [`TrustError::Rollback`] or [`TrustError::Expired`]
    pub fn check_root(&self) -> Result<(), TrustError> {
        let (found, known) = (self.root.version, self.floor.root);
        if found < known {
            return Err(TrustError::Rollback { role: "root".to_owned(), found, known });
        }
        self.not_expired("root", &self.root)
    }

    /// Takes the timestamp that was stored, if the keys of today signed it.
    pub fn load_timestamp(&mut self, bytes: &[u8]) -> Result<(), TrustError> {
        let timestamp = self.verified_timestamp(bytes)?;
        self.timestamp = Some(timestamp);
        Ok(())
    }

    fn verified_timestamp(&self, bytes: &[u8]) -> Result<Timestamp, TrustError> {
        let role = self.root.role("timestamp");
        let timestamp = parse::<Timestamp>("timestamp", bytes)?;
        let timestamp =
            timestamp.verify(&self.root.keys, role).ok_or_else(|| not_signed("timestamp"))?;
        self.not_behind("timestamp", timestamp.version, 0)?;
        self.not_behind("snapshot", timestamp.snapshot().version, 0)?;
        Ok(timestamp)
    }

    /// Section 5.4: takes a new timestamp; whether it is another one than before.
    ///
    /// # Errors
    ///
    /// [`TrustError`]; nothing has changed.
    pub fn update_timestamp(&mut self, bytes: &[u8]) -> Result<bool, TrustError> {
        let timestamp = self.verified_timestamp(bytes)?;
        if let Some(known) = &self.timestamp {
            self.not_behind("timestamp", timestamp.version, known.version)?;
            if timestamp.version == known.version {
                return Ok(false);
            }
            let (found, known) = (timestamp.snapshot().version, known.snapshot().version);
            self.not_behind("snapshot", found, known)?;
        }
        self.not_expired("timestamp", &timestamp)?;
        self.timestamp = Some(timestamp);
        Ok(true)
    }

    /// Section 5.4.4: the timestamp counts if its time is not over.
    ///
    /// # Errors
    ///
    /// [`TrustError::Missing`] or [`TrustError::Expired`]
    pub fn check_timestamp(&self) -> Result<&MetaFile, TrustError> {
        let missing = || TrustError::Missing { role: "timestamp".to_owned() };
        let timestamp = self.timestamp.as_ref().ok_or_else(missing)?;
        self.not_expired("timestamp", timestamp)?;
        Ok(timestamp.snapshot())
    }

    /// Takes the snapshot that was stored, if the keys of today signed it.
    pub fn load_snapshot(&mut self, bytes: &[u8]) -> Result<(), TrustError> {
        let snapshot = parse::<Snapshot>("snapshot", bytes)?;
        let role = self.root.role("snapshot");
        let snapshot =
            snapshot.verify(&self.root.keys, role).ok_or_else(|| not_signed("snapshot"))?;
        self.snapshot = Some(snapshot);
        Ok(())
    }

    /// Whether the snapshot that was taken is the one that the timestamp tells of, and counts.
    ///
    /// # Errors
    ///
    /// [`TrustError`] if it is not.
    pub fn check_snapshot(&self) -> Result<&Snapshot, TrustError> {
        let missing = || TrustError::Missing { role: "snapshot".to_owned() };
        let snapshot = self.snapshot.as_ref().ok_or_else(missing)?;
        let (found, expected) = (snapshot.version, self.check_timestamp()?.version);
        if found != expected {
            return Err(TrustError::WrongVersion { role: "snapshot".to_owned(), found, expected });
        }
        self.not_expired("snapshot", snapshot)?;
        Ok(snapshot)
    }

    /// Section 5.5: takes the snapshot that the timestamp tells of.
    ///
    /// # Errors
    ///
    /// [`TrustError`]; nothing has changed.
    pub fn update_snapshot(&mut self, bytes: &[u8]) -> Result<(), TrustError> {
        let meta = self.check_timestamp()?.clone();
        if !meta.matches(bytes) {
            return Err(TrustError::WrongFile { role: "snapshot".to_owned() });
        }
        let mut next = Self { snapshot: None, ..self.clone() };
        next.load_snapshot(bytes)?;
        let snapshot = next.check_snapshot()?;
        for (name, meta) in self.snapshot.iter().flat_map(|known| &known.meta) {
            let role = name.strip_suffix(".json").unwrap_or(name);
            let missing = || TrustError::Missing { role: role.to_owned() };
            let found = snapshot.meta.get(name).ok_or_else(missing)?.version;
            self.not_behind(role, found, meta.version)?;
        }
        for (name, meta) in &snapshot.meta {
            self.not_behind(name.strip_suffix(".json").unwrap_or(name), meta.version, 0)?;
        }
        *self = next;
        Ok(())
    }

    /// What the snapshot says of a role.
    ///
    /// # Errors
    ///
    /// [`TrustError`] if it does not count, or says nothing of it.
    pub fn meta(&self, role: &str) -> Result<&MetaFile, TrustError> {
        let missing = || TrustError::Missing { role: role.to_owned() };
        self.check_snapshot()?.meta.get(&format!("{role}.json")).ok_or_else(missing)
    }

    /// Section 5.6: takes what a role says, as the snapshot tells of it and `delegator` trusts it.
    ///
    /// # Errors
    ///
    /// [`TrustError`]; nothing has changed.
    pub fn update_targets(
        &mut self,
        role: &str,
        delegator: &str,
        bytes: &[u8],
    ) -> Result<(), TrustError> {
        let meta = self.meta(role)?;
        if !meta.matches(bytes) {
            return Err(TrustError::WrongFile { role: role.to_owned() });
        }
        let expected = meta.version;
        let unverified = parse::<Targets>(role, bytes)?;
        let targets = match delegator {
            "root" => unverified.verify(&self.root.keys, self.root.role("targets")),
            delegator => self
                .delegation(delegator, role)
                .and_then(|(keys, role)| unverified.verify(keys, Some(role))),
        };
        let targets = targets.ok_or_else(|| not_signed(role))?;
        let (role, found) = (role.to_owned(), targets.version);
        if found != expected {
            return Err(TrustError::WrongVersion { role, found, expected });
        }
        self.not_expired(&role, &targets)?;
        self.targets.insert((delegator.to_owned(), role), targets);
        Ok(())
    }

    fn delegation(
        &self,
        delegator: &str,
        role: &str,
    ) -> Option<(&BTreeMap<String, crate::PublicKey>, &Role)> {
        let mut all = self.targets.iter().filter(|((_, name), _)| name == delegator);
        let delegations = all.find_map(|(_, targets)| targets.delegations.as_ref())?;
        let delegation = delegations.roles.iter().find(|it| it.name == role)?;
        Some((&delegations.keys, &delegation.role))
    }
}

impl Search {
    /// For this target, beginning with the top-level targets.
    pub fn new(path: &str) -> Self {
        let open = vec![("targets".to_owned(), "root".to_owned())];
        Self { path: path.to_owned(), open, visited: Vec::new() }
    }

    /// The role that is to be taken next, and who delegated to it.
    pub fn next_role(&mut self) -> Option<(String, String)> {
        if self.visited.len() > MAX_DELEGATIONS {
            return None;
        }
        loop {
            let (role, delegator) = self.open.pop()?;
            if !self.visited.contains(&role) {
                self.visited.push(role.clone());
                return Some((role, delegator));
            }
        }
    }

    /// What a role that was taken says of the target; if nothing, those to whom it delegates are
    /// next (section 5.6.7, in preorder).
    pub fn look(&mut self, role: &str, targets: &Targets) -> Option<TargetFile> {
        if let Some(found) = targets.targets.get(&self.path) {
            return Some(found.clone());
        }
        let mut children = Vec::new();
        for delegation in targets.delegations.iter().flat_map(|it| &it.roles) {
            let Delegation { name, terminating, .. } = delegation;
            if delegation.covers(&self.path) {
                children.push((name.clone(), role.to_owned()));
                if *terminating {
                    self.open.clear();
                    break;
                }
            }
        }
        self.open.extend(children.into_iter().rev());
        None
    }
}
