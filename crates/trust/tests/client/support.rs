//! A repository in memory, with all of its keys, for tests that play its owner and its thief.

use std::cell::RefCell;
use std::collections::BTreeMap;

use gofleet_core::digest::Digest;
use gofleet_core::manifest::Manifest;
use gofleet_core::release::{Archive, ArchiveFormat, Platform, ReleaseRef};
use gofleet_core::time::{Span, Timestamp};
use gofleet_trust::approval;
use gofleet_trust::author::{self, Constitution, OnlineKeys, Quorum};
use gofleet_trust::client::SourceError;
use gofleet_trust::metadata::{Content, Envelope, TargetFile};
use gofleet_trust::{Client, SecretKey, Source, Store};
use tempfile::TempDir;

/// The time of these tests.
pub const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);
/// A day.
pub const DAY: Span = Span::from_secs(24 * 60 * 60);

/// All keys, and the files that are served.
pub struct Repository {
    pub root: Vec<SecretKey>,
    pub approvers: Vec<SecretKey>,
    pub metadata: SecretKey,
    pub orders: SecretKey,
    pub files: RefCell<BTreeMap<String, Vec<u8>>>,
    pub root_version: u64,
    pub versions: BTreeMap<String, u64>,
    pub releases: BTreeMap<String, TargetFile>,
    pub online: u64,
    pub now: Timestamp,
}

impl Source for Repository {
    async fn fetch(&self, name: &str, _limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(self.files.borrow().get(name).cloned())
    }
}

fn keys(count: usize) -> Vec<SecretKey> {
    (0..count).map(|_| SecretKey::generate()).collect()
}

impl Repository {
    /// At the time of these tests.
    pub fn new() -> Self {
        Self::at(NOW)
    }

    /// Two of two keys for the root, two of three approvers; no release yet.
    pub fn at(now: Timestamp) -> Self {
        let mut repository = Self {
            root: keys(2),
            approvers: keys(3),
            metadata: SecretKey::generate(),
            orders: SecretKey::generate(),
            files: RefCell::default(),
            root_version: 0,
            versions: BTreeMap::new(),
            releases: BTreeMap::new(),
            online: 0,
            now,
        };
        repository.publish_root();
        repository.publish_targets();
        repository.publish_releases();
        repository.publish_online();
        repository
    }

    pub fn constitution(&self) -> Constitution {
        let quorum = |keys: &[SecretKey]| Quorum {
            keys: keys.iter().map(SecretKey::public).collect(),
            threshold: 2,
        };
        Constitution {
            root: quorum(&self.root),
            approvers: quorum(&self.approvers),
            online: OnlineKeys { metadata: self.metadata.public(), orders: self.orders.public() },
            packages: vec!["go".parse().unwrap()],
        }
    }

    pub fn put<T: Content>(&self, name: &str, content: &T, keys: &[&SecretKey]) {
        let mut envelope = Envelope::unsigned(content);
        keys.iter().for_each(|key| envelope.sign(key));
        self.files.borrow_mut().insert(name.to_owned(), envelope.to_bytes());
    }

    pub fn publish_root(&mut self) {
        self.root_version += 1;
        let root = self.constitution().root(self.root_version, self.now);
        let keys: Vec<_> = self.root.iter().collect();
        self.put(&format!("{}.root.json", self.root_version), &root, &keys);
    }

    fn next(&mut self, role: &str) -> u64 {
        let version = self.versions.entry(role.to_owned()).or_default();
        *version += 1;
        *version
    }

    pub fn publish_targets(&mut self) {
        let version = self.next("targets");
        let targets = self.constitution().targets(version, self.now);
        self.put(
            &format!("{version}.targets.json"),
            &targets,
            &[&self.approvers[0], &self.approvers[1]],
        );
    }

    pub fn publish_releases(&mut self) {
        let version = self.next("go");
        let go = author::releases(version, self.releases.clone(), self.now);
        self.put(&format!("{version}.go.json"), &go, &[&self.approvers[1], &self.approvers[2]]);
    }

    pub fn publish_online(&mut self) {
        self.online += 1;
        let snapshot = author::snapshot(self.online, &self.versions, self.now);
        self.put(&format!("{}.snapshot.json", self.online), &snapshot, &[&self.metadata]);
        let timestamp = author::timestamp(self.online, self.online, self.now);
        self.put("timestamp.json", &timestamp, &[&self.metadata]);
    }

    /// Has a release approved and published.
    pub fn approve(&mut self, release: &ReleaseRef, manifest: &Manifest) {
        let target = approval::target(release, manifest, None);
        self.releases.insert(approval::path(release), target);
        self.publish_releases();
        self.publish_online();
    }

    pub fn root_bytes(&self, version: u64) -> Vec<u8> {
        self.files.borrow()[&format!("{version}.root.json")].clone()
    }
}

/// A device that has pinned the first root.
pub fn device(repository: &Repository) -> (TempDir, Client) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::of_agent(folder.path());
    store.pin(&repository.root_bytes(1)).unwrap();
    (folder, Client::new(store))
}

/// A release of Go with one file.
pub fn release(version: &str, text: &str) -> (ReleaseRef, Manifest) {
    let platform = Platform::new("linux", "amd64").unwrap();
    let package = "go".parse().unwrap();
    let file = serde_json::json!({
        "path": "bin/go", "size": text.len(), "executable": true, "sha256": Digest::of(text.as_bytes()),
    });
    let manifest: Manifest =
        serde_json::from_value(serde_json::json!({ "files": [file] })).unwrap();
    let archive = Archive { sha256: Digest::of(b"archive"), size: 7, format: ArchiveFormat::TarGz };
    let release = ReleaseRef {
        id: ReleaseRef::id_of(&package, version, &platform).unwrap(),
        package,
        version: version.to_owned(),
        platform,
        manifest: manifest.digest(),
        archive,
    };
    (release, manifest)
}
