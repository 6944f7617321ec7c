//! Which packs and deltas a server should make, and whether one that was made is worth keeping.
//!
//! [`jobs`] takes everything anew at each call, so it makes no difference when a server was killed
//! or for how long it was away: what is missing is what is made next.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeSet;

use crate::artifact::{Artifact, ArtifactKind, ArtifactState};
use crate::ids::ReleaseId;
use crate::release::{Platform, Release, ReleaseStatus};
use crate::time::{Span, Timestamp};
use crate::version;

/// Most deltas that lead to one release from what devices have active.
const MAX_BASES: usize = 4;
/// Most deltas in all; with a megabyte each they take less room than two archives.
const MAX_DELTAS: usize = 120;
/// When to try again what could not be made: by then somebody may have made room on the disk.
const RETRY_AFTER: Span = Span::from_secs(60 * 60);

/// Something to make.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Job {
    /// The pack of a release.
    Pack {
        /// The release.
        release: ReleaseId,
    },
    /// The delta that makes one release of another.
    Delta {
        /// The release that is to be on the device already.
        base: ReleaseId,
        /// The release that it makes.
        release: ReleaseId,
    },
}

/// How many devices have a version active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Their platform.
    pub platform: Platform,
    /// The version, like `1.27.2`.
    pub version: String,
    /// Number of devices.
    pub devices: u64,
}

/// What is decided from.
#[derive(Debug, Clone, Copy)]
pub struct Preparing<'a> {
    /// The catalog.
    pub catalog: &'a [Release],
    /// What the fleet has active.
    pub held: &'a [Held],
    /// What was made already, or tried.
    pub artifacts: &'a [Artifact],
    /// The version of packs and deltas that would be made.
    pub format: u16,
    /// The time.
    pub now: Timestamp,
}

/// What is to be made, most urgent first: packs before deltas, approved releases before others,
/// newer before older, and what many devices have before what few have.
///
/// Blocked releases are left alone. Releases that nobody has approved yet are prepared too, for an
/// approval is often followed by a rollout at once.
pub fn jobs(preparing: &Preparing<'_>) -> Vec<Job> {
    let mut targets: Vec<&Release> =
        preparing.catalog.iter().filter(|it| it.status != ReleaseStatus::Blocked).collect();
    targets.sort_by(|a, b| {
        let is_approved = |it: &Release| it.status == ReleaseStatus::Approved;
        is_approved(b).cmp(&is_approved(a)).then_with(|| version_order(b, a))
    });
    let packs = targets.iter().map(|it| Job::Pack { release: it.release.id.clone() });
    let deltas = targets.iter().flat_map(|target| deltas_to(preparing, target)).take(MAX_DELTAS);
    packs.chain(deltas).filter(|job| is_due(preparing, job)).collect()
}

/// Whether a delta of `bytes` is worth keeping beside a pack of `pack_bytes`: it must save two
/// fifths, since it is good for one base only.
pub const fn is_useful(bytes: u64, pack_bytes: u64) -> bool {
    bytes < pack_bytes / 5 * 3
}

/// The deltas to a release that are worth having: from its predecessor in its line, and from what
/// most devices have active.
fn deltas_to(preparing: &Preparing<'_>, target: &Release) -> Vec<Job> {
    let older = |base: &&Release| {
        base.release.package == target.release.package
            && base.release.platform == target.release.platform
            && base.release.manifest != target.release.manifest
            && version_order(base, target) == Ordering::Less
    };
    let bases: Vec<&Release> = preparing.catalog.iter().filter(older).collect();
    let is_of_line = |it: &&&Release| {
        version::lang(&it.release.version) == version::lang(&target.release.version)
    };
    let neighbour = bases.iter().filter(is_of_line).max_by(|a, b| version_order(a, b));
    let mut held: Vec<(u64, &Release)> = bases
        .iter()
        .map(|base| (devices_with(preparing, base), *base))
        .filter(|(devices, _)| *devices > 0)
        .collect();
    held.sort_by(|a, b| Reverse(a.0).cmp(&Reverse(b.0)).then_with(|| version_order(b.1, a.1)));
    let held = held.into_iter().take(MAX_BASES).map(|(_, base)| base);
    let mut seen = BTreeSet::new();
    held.chain(neighbour.copied())
        .filter(|base| seen.insert(&base.release.id))
        .map(|base| {
            let (base, release) = (base.release.id.clone(), target.release.id.clone());
            Job::Delta { base, release }
        })
        .collect()
}

fn devices_with(preparing: &Preparing<'_>, release: &Release) -> u64 {
    let reference = &release.release;
    let is_it =
        |held: &&Held| held.platform == reference.platform && held.version == reference.version;
    preparing.held.iter().filter(is_it).map(|held| held.devices).sum()
}

fn version_order(a: &Release, b: &Release) -> Ordering {
    version::compare(&a.release.version, &b.release.version)
        .then_with(|| a.release.id.cmp(&b.release.id))
}

/// Whether nothing has come of a job yet, or only what should be tried again.
fn is_due(preparing: &Preparing<'_>, job: &Job) -> bool {
    let manifest_of = |id: &ReleaseId| {
        let found = preparing.catalog.iter().find(|it| it.release.id == *id);
        found.map(|it| it.release.manifest)
    };
    let (kind, release, base) = match job {
        Job::Pack { release } => (ArtifactKind::Pack, release, None),
        Job::Delta { base, release } => (ArtifactKind::Delta, release, manifest_of(base)),
    };
    let made = preparing.artifacts.iter().find(|artifact| {
        artifact.kind == kind && artifact.release == *release && artifact.base == base
    });
    made.is_none_or(|made| {
        made.format != preparing.format
            || matches!(made.state, ArtifactState::Failed { .. })
                && preparing.now.since(made.made_at) >= RETRY_AFTER
    })
}

#[cfg(test)]
mod tests;
