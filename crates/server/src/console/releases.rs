//! The catalog: each release with its archive, tree, status and who decided on it.

use askama::Template;
use gofleet_core::release::{Release, ReleaseStatus};
use gofleet_core::time::Timestamp;
use gofleet_core::version;

use super::format::{self, Moment};
use super::overview::example_version;
use super::pieces::{Badge, Section, Shell};

/// A release in the list.
struct Row {
    id: String,
    name: String,
    platform: String,
    status: Badge,
    decision: String,
    size: String,
    sha256: String,
    digest: String,
    files: String,
    tree: String,
    manifest: String,
    manifest_digest: String,
    imported: Moment,
    origin: String,
    can_approve: bool,
    can_block: bool,
}

/// `releases.html`
#[derive(Template)]
#[template(path = "releases.html")]
pub(super) struct ReleasesPage {
    pub(super) shell: Shell,
    summary: String,
    rows: Vec<Row>,
    example_version: String,
}

impl ReleasesPage {
    pub(super) fn new(releases: &[Release], now: Timestamp) -> Self {
        let mut shell = Shell::new("Releases", Some(Section::Releases));
        let count = |status| releases.iter().filter(|release| release.status == status).count();
        let summary = format!(
            "{}: {} approved, {} undecided, {} blocked. Only approved ones can be rolled out.",
            format::counted(releases.len() as u64, "release"),
            count(ReleaseStatus::Approved),
            count(ReleaseStatus::Imported),
            count(ReleaseStatus::Blocked),
        );
        shell.announce.clone_from(&summary);
        Self {
            shell,
            summary,
            rows: newest_first(releases).into_iter().map(|one| Row::new(one, now)).collect(),
            example_version: example_version(releases),
        }
    }
}

/// The catalog, newest version first.
pub(super) fn newest_first(releases: &[Release]) -> Vec<&Release> {
    let mut sorted: Vec<&Release> = releases.iter().collect();
    sorted.sort_by(|a, b| {
        let (a, b) = (&a.release, &b.release);
        let by_version = version::compare(&b.version, &a.version);
        a.package.cmp(&b.package).then(by_version).then_with(|| a.platform.cmp(&b.platform))
    });
    sorted
}

/// A decision as its button says and shows it, and what it does.
pub(super) const fn decision(status: ReleaseStatus) -> (&'static str, &'static str, &'static str) {
    match status {
        ReleaseStatus::Approved => ("Approve", "primary", "It may be rolled out from then on."),
        ReleaseStatus::Imported | ReleaseStatus::Blocked => (
            "Block",
            "danger",
            "No device gets it any more, and where it is under way and has not switched, it is \
             taken back. Devices that have it keep it until a rollout brings another version.",
        ),
    }
}

impl Row {
    fn new(release: &Release, now: Timestamp) -> Self {
        let reference = &release.release;
        let decision = release.decision.as_ref().map(|decision| {
            let reason = &decision.reason;
            let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            format!("by {}, {}{why}", decision.by, Moment::new(decision.at, now).relative)
        });
        let (status, can_approve, can_block) = match release.status {
            ReleaseStatus::Imported => (Badge::new("warn", "s-waiting", "undecided"), true, true),
            ReleaseStatus::Approved => (Badge::new("good", "s-accepted", "approved"), false, true),
            ReleaseStatus::Blocked => (Badge::new("bad", "s-quarantined", "blocked"), true, false),
        };
        Self {
            id: reference.id.to_string(),
            name: format!("{} {}", reference.package, reference.version),
            platform: reference.platform.to_string(),
            status,
            decision: decision.unwrap_or_default(),
            size: format::bytes(reference.archive.size),
            sha256: reference.archive.sha256.to_string(),
            digest: format::short_digest(reference.archive.sha256),
            files: format::count(release.files),
            tree: format::bytes(release.tree_bytes),
            manifest: reference.manifest.to_string(),
            manifest_digest: format::short_digest(reference.manifest),
            imported: Moment::new(release.imported_at, now),
            origin: release.origin.clone(),
            can_approve,
            can_block,
        }
    }
}
