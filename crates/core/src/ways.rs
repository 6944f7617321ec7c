//! The ways in which a release can come onto a device, and which of them costs least.
//!
//! A device tells which trees it holds and which formats it reads; [`ways`] answers with what it
//! may try, cheapest first. The archive is always among them. No way needs to be trusted: whatever
//! a device takes must end in the files of the manifest that was ordered.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::artifact::{Artifact, ArtifactKind};
use crate::digest::Digest;
use crate::ids::ReleaseId;
use crate::release::ReleaseRef;
use crate::time::Span;

/// Most deltas that are applied one after the other: each makes a whole tree on the device.
pub const MAX_CHAIN: usize = 3;
/// Most ways by delta that are offered; a device that could use none of three has another trouble.
const MAX_DELTA_WAYS: usize = 3;

/// What a device asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WaysRequest {
    /// The release that it wants.
    pub release: ReleaseId,
    /// The manifest digests of the trees that stand on it.
    pub holds: Vec<Digest>,
    /// The versions of packs and deltas that it reads.
    pub formats: Vec<u16>,
}

/// What it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WaysAnswer {
    /// The ways, cheapest first; the last resort, the archive, is always among them.
    pub ways: Vec<Way>,
    /// Distribution points near the device, in the order in which it should ask them.
    #[serde(default)]
    pub edges: Vec<EdgeOffer>,
}

/// A distribution point that a device may ask before its server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EdgeOffer {
    /// Its name for people.
    pub name: String,
    /// Its address, like `http://10.1.2.3:8471`.
    pub url: String,
}

/// One way to a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Way {
    /// What kind of way it is.
    pub kind: WayKind,
    /// What to fetch and apply, in this order.
    pub steps: Vec<WayStep>,
    /// Bytes to fetch in all.
    pub bytes: u64,
    /// An estimate of the processor time that it takes on the device.
    pub processor: Span,
}

/// A part of a way: one artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WayStep {
    /// What it is.
    pub kind: ArtifactKind,
    /// Its name.
    pub sha256: Digest,
    /// Its size in bytes.
    pub bytes: u64,
    /// The digest of the manifest of the tree that a delta begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Digest>,
    /// The digest of the manifest of the tree that it makes.
    pub makes: Digest,
}

/// Kinds of ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WayKind {
    /// One delta from a tree that the device holds.
    Delta,
    /// Several deltas, one after the other.
    Chain,
    /// The pack.
    Pack,
    /// The original archive.
    Archive,
}

impl WayKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Delta, Self::Chain, Self::Pack, Self::Archive];

    /// As text, like in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delta => "delta",
            Self::Chain => "chain",
            Self::Pack => "pack",
            Self::Archive => "archive",
        }
    }
}

impl fmt::Display for WayKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// What the ways are chosen from.
#[derive(Debug, Clone, Copy)]
pub struct Choosing<'a> {
    /// What is wanted.
    pub release: &'a ReleaseRef,
    /// The size of its tree in bytes.
    pub tree_bytes: u64,
    /// The manifest digests of the trees that the device holds.
    pub holds: &'a BTreeSet<Digest>,
    /// The versions of packs and deltas that it reads.
    pub formats: &'a [u16],
    /// The artifacts that there are, of whatever release.
    pub artifacts: &'a [Artifact],
}

/// The ways to the release, cheapest first. Those that cost more than the archive are left out:
/// whoever could not go the archive's way could not go theirs.
pub fn ways(choosing: &Choosing<'_>) -> Vec<Way> {
    let archive = archive(choosing.release, choosing.tree_bytes);
    let mut ways = deltas(choosing);
    ways.sort_by_key(cost);
    ways.truncate(MAX_DELTA_WAYS);
    ways.extend(pack(choosing));
    ways.retain(|way| cost(way) < cost(&archive));
    ways.push(archive);
    ways.sort_by_key(cost);
    ways
}

/// The way that needs nothing but the order itself.
pub fn archive(release: &ReleaseRef, tree_bytes: u64) -> Way {
    let archive = &release.archive;
    way(
        WayKind::Archive,
        vec![WayStep {
            kind: ArtifactKind::Archive,
            sha256: archive.sha256,
            bytes: archive.size,
            base: None,
            makes: release.manifest,
        }],
        tree_bytes,
    )
}

fn pack(choosing: &Choosing<'_>) -> Option<Way> {
    let mut packs = usable(choosing, ArtifactKind::Pack);
    let (pack, step) = packs.find(|(pack, _)| pack.makes == choosing.release.manifest)?;
    debug_assert_eq!(pack.base, None);
    Some(way(WayKind::Pack, vec![step], choosing.tree_bytes))
}

/// Every way by deltas that begins with a tree that the device holds.
fn deltas(choosing: &Choosing<'_>) -> Vec<Way> {
    let mut into: BTreeMap<Digest, Vec<(Digest, WayStep)>> = BTreeMap::new();
    for (delta, step) in usable(choosing, ArtifactKind::Delta) {
        if let Some(base) = delta.base {
            into.entry(delta.makes).or_default().push((base, step));
        }
    }
    let mut found = Vec::new();
    search(choosing, &into, choosing.release.manifest, &mut Vec::new(), &mut found);
    found
}

/// Goes backwards from `tree`; `taken` are the steps that lead on from it, last first.
fn search(
    choosing: &Choosing<'_>,
    into: &BTreeMap<Digest, Vec<(Digest, WayStep)>>,
    tree: Digest,
    taken: &mut Vec<WayStep>,
    found: &mut Vec<Way>,
) {
    if taken.len() == MAX_CHAIN {
        return;
    }
    for (base, step) in into.get(&tree).into_iter().flatten() {
        // What the device holds needs no further step before it, and what was passed already
        // would be a circle.
        if *base == choosing.release.manifest || taken.iter().any(|step| step.makes == *base) {
            continue;
        }
        taken.push(step.clone());
        if choosing.holds.contains(base) {
            let steps: Vec<_> = taken.iter().rev().cloned().collect();
            let kind = if steps.len() == 1 { WayKind::Delta } else { WayKind::Chain };
            found.push(way(kind, steps, choosing.tree_bytes));
        } else {
            search(choosing, into, *base, taken, found);
        }
        taken.pop();
    }
}

/// The artifacts of this kind that can be had and that the device reads.
fn usable<'a>(
    choosing: &Choosing<'a>,
    kind: ArtifactKind,
) -> impl Iterator<Item = (&'a Artifact, WayStep)> {
    let formats = choosing.formats;
    choosing.artifacts.iter().filter_map(move |artifact| {
        let (sha256, bytes) = artifact.ready()?;
        let is_usable = artifact.kind == kind && formats.contains(&artifact.format);
        let step = WayStep { kind, sha256, bytes, base: artifact.base, makes: artifact.makes };
        is_usable.then_some((artifact, step))
    })
}

fn way(kind: WayKind, steps: Vec<WayStep>, tree_bytes: u64) -> Way {
    let bytes = steps.iter().map(|step| step.bytes).fold(0, u64::saturating_add);
    let processor_ms = steps
        .iter()
        .map(|step| processor_ms(step.kind, step.bytes, tree_bytes))
        .fold(0, u64::saturating_add);
    Way { kind, steps, bytes, processor: Span::from_millis(processor_ms) }
}

/// What a way costs, in milliseconds: those of an average line (20 Mbit/s) and those of the
/// processor. Of two that cost the same, the one with fewer bytes to fetch is cheaper.
fn cost(way: &Way) -> (u64, u64) {
    const LINE_BYTES_PER_MS: u64 = 2500;
    let line_ms = way.bytes / LINE_BYTES_PER_MS;
    (line_ms.saturating_add(way.processor.as_millis()), way.bytes)
}

/// An estimate, in the processor time of one core of a server from 2024.
fn processor_ms(kind: ArtifactKind, bytes: u64, tree_bytes: u64) -> u64 {
    match kind {
        // Inflating, hashing and writing each byte of the tree.
        ArtifactKind::Archive => tree_bytes / 100_000,
        // The same with a faster decoder.
        ArtifactKind::Pack => tree_bytes / 200_000,
        // Hashing each byte of the tree; each byte of a delta stands for about a hundred that are
        // computed.
        ArtifactKind::Delta => tree_bytes / 700_000 + bytes / 2_000,
    }
}

#[cfg(test)]
mod tests;
