//! The four kinds of TUF metadata (specification, section 4), read strictly where something is
//! decided by it and leniently where others may say more.

use std::collections::{BTreeMap, BTreeSet};

use gofleet_core::digest::Digest;
use gofleet_core::hex;
use gofleet_core::time::Timestamp as Time;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::canonical::canonical;
use crate::key::{KeyId, PublicKey, SecretKey};

/// The version of TUF's specification that metadata is made by; any other 1.x is read too.
pub const SPECIFICATION: &str = "1.0.34";

/// Metadata with its signatures, as it is stored and sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// What is signed.
    pub signed: Value,
    /// By whom.
    pub signatures: Vec<Signature>,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Whose.
    pub keyid: KeyId,
    /// In hexadecimal digits; empty where it was not made yet.
    pub sig: String,
}

/// Why bytes are no metadata.
#[derive(Debug, Error)]
pub enum MetadataError {
    /// Not JSON of this form.
    #[error("it has not the form of {kind} metadata")]
    Form {
        /// What was expected.
        kind: &'static str,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Another kind.
    #[error("it is not {kind} metadata of version 1 of TUF's specification")]
    Kind {
        /// What was expected.
        kind: &'static str,
    },
    /// It says something that no valid metadata says.
    #[error("{0}")]
    Invalid(&'static str),
}

/// One kind of metadata.
pub trait Content: Serialize + DeserializeOwned {
    /// As in the field `_type`.
    const KIND: &'static str;

    /// Its version, which only grows.
    fn version(&self) -> u64;

    /// Until when it counts.
    fn expires(&self) -> Time;

    /// What must hold beyond the form.
    fn check(&self) -> Result<(), MetadataError> {
        Ok(())
    }
}

/// Metadata that was read, and whose signatures are not verified yet.
#[derive(Debug, Clone)]
pub struct Unverified<T> {
    /// What it says.
    pub content: T,
    canonical: Vec<u8>,
    signatures: Vec<Signature>,
}

/// Whose signatures are needed, and how many of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// The keys.
    pub keyids: Vec<KeyId>,
    /// How many must sign.
    pub threshold: u32,
}

/// Whose keys are trusted for which role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Root {
    /// Its version.
    pub version: u64,
    /// Until when it counts.
    pub expires: Time,
    /// Whether file names tell their version.
    pub consistent_snapshot: bool,
    /// Every key.
    pub keys: BTreeMap<KeyId, PublicKey>,
    /// Who has which role: `root`, `targets`, `snapshot`, `timestamp`.
    pub roles: BTreeMap<String, Role>,
    /// Who seals orders; others' roots have none.
    #[serde(rename = "x-gofleet-orders", default, skip_serializing_if = "Option::is_none")]
    pub orders: Option<Role>,
}

/// A version of metadata, and where it is told, its length and digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaFile {
    /// The version.
    pub version: u64,
    /// Its length in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// Its digests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hashes: Option<BTreeMap<String, String>>,
}

/// Which snapshot is the latest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timestamp {
    /// Its version.
    pub version: u64,
    /// Until when it counts.
    pub expires: Time,
    /// `snapshot.json` alone.
    pub meta: BTreeMap<String, MetaFile>,
}

/// Which metadata belongs together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its version.
    pub version: u64,
    /// Until when it counts.
    pub expires: Time,
    /// `targets.json` and one file for each delegation.
    pub meta: BTreeMap<String, MetaFile>,
}

/// Which files may be used, and who may say more of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Targets {
    /// Its version.
    pub version: u64,
    /// Until when it counts.
    pub expires: Time,
    /// The files.
    pub targets: BTreeMap<String, TargetFile>,
    /// To whom parts are delegated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegations: Option<Delegations>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetFile {
    /// Its length in bytes.
    pub length: u64,
    /// Its digests.
    pub hashes: BTreeMap<String, String>,
    /// What its signers say of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<Value>,
}

/// To whom parts are delegated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delegations {
    /// Every key.
    pub keys: BTreeMap<KeyId, PublicKey>,
    /// Who, in the order in which they are asked.
    #[serde(default)]
    pub roles: Vec<Delegation>,
}

/// One delegation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delegation {
    /// Its name.
    pub name: String,
    /// Whose signatures are needed.
    #[serde(flatten)]
    pub role: Role,
    /// Whether nobody after it is asked.
    pub terminating: bool,
    /// Which targets it may speak of, as patterns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    /// The same by the beginning of the path's SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_hash_prefixes: Option<Vec<String>>,
}

macro_rules! content {
    ($type:ty, $kind:literal $(, $check:ident)?) => {
        impl Content for $type {
            const KIND: &'static str = $kind;

            fn version(&self) -> u64 {
                self.version
            }

            fn expires(&self) -> Time {
                self.expires
            }

            $(fn check(&self) -> Result<(), MetadataError> {
                self.$check()
            })?
        }
    };
}

content!(Root, "root", check_roles);
content!(Timestamp, "timestamp", check_meta);
content!(Snapshot, "snapshot");
content!(Targets, "targets", check_delegations);

impl Root {
    /// Who has a role.
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.get(name)
    }

    fn check_roles(&self) -> Result<(), MetadataError> {
        let names = ["root", "snapshot", "targets", "timestamp"];
        if !self.roles.keys().map(String::as_str).eq(names) {
            return Err(MetadataError::Invalid(
                "a root names these roles: root, snapshot, targets, timestamp",
            ));
        }
        self.roles.values().chain(&self.orders).try_for_each(Role::check)
    }
}

impl Timestamp {
    /// The latest snapshot.
    pub fn snapshot(&self) -> &MetaFile {
        &self.meta["snapshot.json"]
    }

    fn check_meta(&self) -> Result<(), MetadataError> {
        let is_named = self.meta.len() == 1 && self.meta.contains_key("snapshot.json");
        is_named
            .then_some(())
            .ok_or(MetadataError::Invalid("it names other files than snapshot.json"))
    }
}

impl Targets {
    fn check_delegations(&self) -> Result<(), MetadataError> {
        let Some(delegations) = &self.delegations else { return Ok(()) };
        let mut names = BTreeSet::new();
        for Delegation { name, role, paths, path_hash_prefixes, .. } in &delegations.roles {
            let is_free =
                !matches!(name.as_str(), "" | "root" | "targets" | "snapshot" | "timestamp");
            if !is_free || !names.insert(name) {
                return Err(MetadataError::Invalid("a delegation has a name that is taken"));
            }
            if paths.is_some() == path_hash_prefixes.is_some() {
                return Err(MetadataError::Invalid(
                    "a delegation has paths, or prefixes of hashes",
                ));
            }
            role.check()?;
        }
        Ok(())
    }
}

impl Role {
    fn check(&self) -> Result<(), MetadataError> {
        let ids: BTreeSet<_> = self.keyids.iter().collect();
        if self.threshold == 0 || ids.len() != self.keyids.len() {
            return Err(MetadataError::Invalid("a role needs a threshold, and each key once"));
        }
        Ok(())
    }
}

impl MetaFile {
    /// Of a version, without more.
    pub const fn of(version: u64) -> Self {
        Self { version, length: None, hashes: None }
    }

    /// Whether these bytes are that file, as far as it is told.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        let is_long = self.length.is_none_or(|length| length == bytes.len() as u64);
        is_long && self.hashes.as_ref().is_none_or(|hashes| has_hashes(bytes, hashes))
    }
}

impl TargetFile {
    /// Whether these bytes are that file.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        self.length == bytes.len() as u64 && has_hashes(bytes, &self.hashes)
    }
}

/// Whether bytes have these digests: one at least, and none of a kind that is not known here.
fn has_hashes(bytes: &[u8], hashes: &BTreeMap<String, String>) -> bool {
    let has = |(kind, expected): (&String, &String)| match kind.as_str() {
        "sha256" => Digest::of(bytes).to_string() == *expected,
        "sha512" => {
            let found = ring::digest::digest(&ring::digest::SHA512, bytes);
            hex::encode(found.as_ref()) == *expected
        }
        _ => false,
    };
    !hashes.is_empty() && hashes.iter().all(has)
}

impl Delegation {
    /// Whether it may speak of this target.
    pub fn covers(&self, path: &str) -> bool {
        let hash = || Digest::of(path.as_bytes()).to_string();
        let by_path = self.paths.iter().flatten().any(|pattern| matches(pattern, path));
        let prefixes = self.path_hash_prefixes.as_deref().unwrap_or_default();
        by_path || !prefixes.is_empty() && prefixes.iter().any(|it| hash().starts_with(it.as_str()))
    }
}

/// Whether a path is of a pattern; `*` and `?` stand for anything but a slash.
fn matches(pattern: &str, path: &str) -> bool {
    // Only the last star is ever gone back to, so that no pattern takes long.
    fn segment(pattern: &[char], text: &[char]) -> bool {
        let (mut at, mut read, mut star) = (0, 0, None);
        while read < text.len() {
            match (pattern.get(at), star) {
                (Some('*'), _) => {
                    star = Some((at, read));
                    at += 1;
                }
                (Some(one), _) if *one == '?' || *one == text[read] => {
                    at += 1;
                    read += 1;
                }
                (_, Some((place, matched))) => {
                    star = Some((place, matched + 1));
                    at = place + 1;
                    read = matched + 1;
                }
                (_, None) => return false,
            }
        }
        pattern[at..].iter().all(|one| *one == '*')
    }
    let (patterns, paths): (Vec<_>, Vec<_>) =
        (pattern.split('/').collect(), path.split('/').collect());
    let chars = |text: &str| text.chars().collect::<Vec<_>>();
    patterns.len() == paths.len()
        && patterns.iter().zip(paths).all(|(pattern, path)| segment(&chars(pattern), &chars(path)))
}

impl<T: Content> Unverified<T> {
    /// Reads metadata.
    ///
    /// # Errors
    ///
    /// [`MetadataError`]
    pub fn parse(bytes: &[u8]) -> Result<Self, MetadataError> {
        let form = |source| MetadataError::Form { kind: T::KIND, source };
        let Envelope { signed, signatures } = serde_json::from_slice(bytes).map_err(form)?;
        let says = |field: &str| signed.get(field).and_then(Value::as_str).unwrap_or_default();
        if says("_type") != T::KIND || !says("spec_version").starts_with("1.") {
            return Err(MetadataError::Kind { kind: T::KIND });
        }
        let ids: BTreeSet<_> = signatures.iter().map(|it| &it.keyid).collect();
        if ids.len() != signatures.len() {
            return Err(MetadataError::Invalid("a key signed it twice"));
        }
        let canonical =
            canonical(&signed).ok_or(MetadataError::Invalid("it has a fraction in it"))?;
        let content: T = serde_json::from_value(signed).map_err(form)?;
        if content.version() == 0 {
            return Err(MetadataError::Invalid("versions begin with 1"));
        }
        content.check()?;
        Ok(Self { content, canonical, signatures })
    }

    /// How many of the role's keys have signed it. Two names of one key count once.
    pub fn signers(&self, keys: &BTreeMap<KeyId, PublicKey>, role: &Role) -> Vec<KeyId> {
        let mut signers: Vec<(&KeyId, &PublicKey)> = Vec::new();
        for Signature { keyid, sig } in &self.signatures {
            let key = keys.get(keyid).filter(|_| role.keyids.contains(keyid));
            if let Some(key) = key
                && !signers.iter().any(|(_, other)| other.is_same(key))
                && key.verifies(&self.canonical, sig)
            {
                signers.push((keyid, key));
            }
        }
        signers.into_iter().map(|(id, _)| id.clone()).collect()
    }

    /// What it says, if enough of the role's keys have signed it.
    pub fn verify(self, keys: &BTreeMap<KeyId, PublicKey>, role: Option<&Role>) -> Option<T> {
        let role = role?;
        let count = self.signers(keys, role).len();
        (count >= role.threshold as usize).then_some(self.content)
    }
}

impl Envelope {
    /// Metadata that nobody has signed yet.
    pub fn unsigned<T: Content>(content: &T) -> Self {
        let mut signed = serde_json::to_value(content).expect("metadata is plain data");
        signed["_type"] = T::KIND.into();
        signed["spec_version"] = SPECIFICATION.into();
        Self { signed, signatures: Vec::new() }
    }

    /// Adds a key's signature, in place of an earlier one by the same key.
    pub fn sign(&mut self, key: &SecretKey) {
        if let Some(message) = self.message() {
            self.put(Signature { keyid: key.public().id(), sig: key.sign(&message) });
        }
    }

    /// The bytes that signatures are of; none if there is a fraction in it.
    pub fn message(&self) -> Option<Vec<u8>> {
        canonical(&self.signed)
    }

    /// Adds a signature that was made elsewhere, in the same way.
    pub fn attach(&mut self, keyid: KeyId, signature: &[u8]) {
        self.put(Signature { keyid, sig: hex::encode(signature) });
    }

    fn put(&mut self, signature: Signature) {
        self.signatures.retain(|it| it.keyid != signature.keyid);
        self.signatures.push(signature);
    }

    /// As it is stored and sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("metadata is plain data")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_do_not_cross_a_slash() {
        for (pattern, path, expect) in [
            ("*", "a.txt", true),
            ("*", "a/b", false),
            ("go/*", "go/go-1.27.3-linux-amd64", true),
            ("go/*", "go/a/b", false),
            ("go/*", "gopher", false),
            ("?.py", "a.py", true),
            ("*.py", ".py", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXbY", false),
            ("a*bc", "abXbcbc", true),
            ("**?*", "a", true),
            ("**?*", "", false),
            ("a?", "a", false),
        ] {
            assert_eq!(matches(pattern, path), expect, "{pattern} {path}");
        }
        // Trying every way to divide it among the stars would not end.
        assert!(!matches(&"*a".repeat(40), &format!("{}b", "a".repeat(80))));
    }

    #[test]
    fn files_are_known_by_length_and_every_digest() {
        let hash = |kind: &str, text: &str| BTreeMap::from([(kind.to_owned(), text.to_owned())]);
        let sha256 = Digest::of(b"abc").to_string();
        let file = |length, hashes| TargetFile { length, hashes, custom: None };
        assert!(file(3, hash("sha256", &sha256)).matches(b"abc"));
        assert!(!file(4, hash("sha256", &sha256)).matches(b"abc"));
        assert!(!file(3, hash("sha256", &sha256)).matches(b"abd"));
        assert!(!file(3, hash("md5", &sha256)).matches(b"abc"));
        assert!(!file(3, BTreeMap::new()).matches(b"abc"));
    }
}
