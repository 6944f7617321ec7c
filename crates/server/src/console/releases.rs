//! The catalog: each release with its archive, tree, status, who decided on it, and the packs and
//! deltas that the server has made of it.

use askama::Template;
use gofleet_core::artifact::{Artifact, ArtifactKind, ArtifactState};
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
    dependencies: String,
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
    made: Vec<Made>,
    can_approve: bool,
    can_block: bool,
}

/// A pack or delta that makes a release, or what came of trying.
struct Made {
    /// `Pack`, `Delta from 1.27.2`
    name: String,
    /// Its size and what part of the archive that is; or why it is not there.
    outcome: String,
    /// Its SHA-256; empty if it is not there.
    sha256: String,
    /// `made`, or `tried` if nothing came of it.
    verb: &'static str,
    when: Moment,
    took: String,
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
    pub(super) fn new(releases: &[Release], artifacts: &[Artifact], now: Timestamp) -> Self {
        let mut shell = Shell::new("Releases", Some(Section::Releases));
        let count = |status| releases.iter().filter(|release| release.status == status).count();
        let summary = format!(
            "{}: {} approved, {} undecided, {} blocked. Only approved ones can be rolled out.{}",
            format::counted(releases.len() as u64, "release"),
            count(ReleaseStatus::Approved),
            count(ReleaseStatus::Imported),
            count(ReleaseStatus::Blocked),
            kept(artifacts),
        );
        shell.announce.clone_from(&summary);
        Self {
            shell,
            summary,
            rows: newest_first(releases)
                .into_iter()
                .map(|one| Row::new(one, made(one, releases, artifacts, now), now))
                .collect(),
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

/// How much the packs and deltas take; nothing if there are none.
fn kept(artifacts: &[Artifact]) -> String {
    let sizes: Vec<u64> =
        artifacts.iter().filter_map(Artifact::ready).map(|(_, bytes)| bytes).collect();
    if sizes.is_empty() {
        return String::new();
    }
    let number = format::counted(sizes.len() as u64, "artifact");
    format!(" {number} made of them: {}.", format::bytes(sizes.iter().sum()))
}

/// What was made of a release: its pack, then deltas, from the newest base on.
fn made(
    release: &Release,
    catalog: &[Release],
    artifacts: &[Artifact],
    now: Timestamp,
) -> Vec<Made> {
    // Releases of several platforms may be of one tree; a base is of the same platform.
    let base_of = |artifact: &Artifact| {
        let is_base = |it: &&Release| {
            it.release.platform == release.release.platform
                && Some(it.release.manifest) == artifact.base
        };
        catalog.iter().find(is_base).map(|base| base.release.version.as_str())
    };
    let mut own: Vec<(Option<&str>, &Artifact)> = artifacts
        .iter()
        .filter(|artifact| artifact.release == release.release.id)
        .map(|artifact| (base_of(artifact), artifact))
        .collect();
    own.sort_by(|(a_base, a), (b_base, b)| {
        let newest_base =
            || version::compare(b_base.unwrap_or_default(), a_base.unwrap_or_default());
        a.kind.cmp(&b.kind).then_with(newest_base)
    });
    let archive_bytes = release.release.archive.size;
    own.into_iter().map(|(base, artifact)| Made::new(artifact, base, archive_bytes, now)).collect()
}

impl Made {
    fn new(artifact: &Artifact, base: Option<&str>, archive_bytes: u64, now: Timestamp) -> Self {
        let name = match (artifact.kind, base, artifact.base) {
            (ArtifactKind::Delta, Some(version), _) => format!("Delta from {version}"),
            (ArtifactKind::Delta, None, Some(manifest)) => {
                format!("Delta from {}", format::short_digest(manifest))
            }
            (ArtifactKind::Delta, None, None) => "Delta".to_owned(),
            (ArtifactKind::Pack, ..) => "Pack".to_owned(),
            (ArtifactKind::Archive, ..) => "Archive".to_owned(),
        };
        let share = |bytes| format::percent(bytes, archive_bytes);
        let outcome = match &artifact.state {
            ArtifactState::Ready { bytes, .. } => {
                format!("{}, {} of the archive", format::bytes(*bytes), share(*bytes))
            }
            ArtifactState::Useless { bytes } => {
                format!("not kept: with {} it saves too little", format::bytes(*bytes))
            }
            ArtifactState::Failed { reason } => format!("could not be made: {reason}"),
        };
        Self {
            name,
            outcome,
            sha256: artifact.ready().map(|(sha256, _)| sha256.to_string()).unwrap_or_default(),
            verb: if artifact.ready().is_some() { "made" } else { "tried" },
            when: Moment::new(artifact.made_at, now),
            took: format::spell(artifact.took),
        }
    }
}

/// What a release asks of other packages; empty if nothing.
fn dependencies(release: &Release) -> String {
    let asked = &release.dependencies;
    if asked.is_empty() { String::new() } else { asked.to_string() }
}

impl Row {
    fn new(release: &Release, made: Vec<Made>, now: Timestamp) -> Self {
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
            dependencies: dependencies(release),
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
            made,
            can_approve,
            can_block,
        }
    }
}
