//! Ways: each can be gone, the cheapest comes first.

use proptest::prelude::*;

use super::*;
use crate::artifact::{ArtifactState, FORMAT};
use crate::release::{Archive, ArchiveFormat};
use crate::time::Timestamp;

const TREE_BYTES: u64 = 228_000_000;

fn tree(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

fn release(version: &str) -> ReleaseRef {
    ReleaseRef {
        id: format!("go-{version}-linux-amd64").parse().unwrap(),
        package: "go".parse().unwrap(),
        version: version.to_owned(),
        platform: "linux-amd64".parse().unwrap(),
        manifest: tree(version),
        archive: Archive {
            sha256: Digest::of(format!("archive {version}").as_bytes()),
            size: 75_500_000,
            format: ArchiveFormat::Zip,
        },
    }
}

fn artifact(base: Option<&str>, makes: &str, bytes: u64, format: u16) -> Artifact {
    let kind = if base.is_some() { ArtifactKind::Delta } else { ArtifactKind::Pack };
    let sha256 = Digest::of(format!("{base:?} {makes} {bytes}").as_bytes());
    Artifact {
        kind,
        release: format!("go-{makes}-linux-amd64").parse().unwrap(),
        makes: tree(makes),
        base: base.map(tree),
        format,
        state: ArtifactState::Ready { sha256, bytes },
        made_at: Timestamp::from_millis(0),
        took: Span::ZERO,
    }
}

/// The kinds and sizes of the ways to 1.27.3, in their order.
fn check(holds: &[&str], artifacts: &[Artifact], expect: &[(WayKind, u64)]) {
    let holds = holds.iter().map(|name| tree(name)).collect();
    let found = ways(&Choosing {
        release: &release("1.27.3"),
        tree_bytes: TREE_BYTES,
        holds: &holds,
        formats: &[FORMAT],
        artifacts,
    });
    let found: Vec<_> = found.iter().map(|way| (way.kind, way.bytes)).collect();
    assert_eq!(found, expect);
}

const ARCHIVE: (WayKind, u64) = (WayKind::Archive, 75_500_000);
const PACK: (WayKind, u64) = (WayKind::Pack, 38_000_000);

#[test]
fn the_cheapest_way_comes_first_and_the_archive_is_always_there() {
    let pack = artifact(None, "1.27.3", 38_000_000, FORMAT);
    let patch = artifact(Some("1.27.2"), "1.27.3", 300_000, FORMAT);
    let minor = artifact(Some("1.26.6"), "1.27.3", 12_000_000, FORMAT);
    let all = [pack.clone(), minor, patch];
    check(&[], &[], &[ARCHIVE]);
    check(&["1.27.2"], &[], &[ARCHIVE]);
    check(&[], &all, &[PACK, ARCHIVE]);
    check(&["1.26.6"], &all, &[(WayKind::Delta, 12_000_000), PACK, ARCHIVE]);
    let both = [(WayKind::Delta, 300_000), (WayKind::Delta, 12_000_000), PACK, ARCHIVE];
    check(&["1.26.6", "1.27.2", "1.20"], &all, &both);
    check(&["1.27.3"], &[pack], &[PACK, ARCHIVE]);
}

#[test]
fn deltas_are_chained_but_not_endlessly() {
    let step = |from: &str, to: &str| artifact(Some(from), to, 1_000_000, FORMAT);
    let all = [
        step("1.27.2", "1.27.3"),
        step("1.27.1", "1.27.2"),
        step("1.27.0", "1.27.1"),
        step("1.26.9", "1.27.0"),
        step("1.27.3", "1.27.1"),
    ];
    check(&["1.27.2"], &all, &[(WayKind::Delta, 1_000_000), ARCHIVE]);
    check(&["1.27.1"], &all, &[(WayKind::Chain, 2_000_000), ARCHIVE]);
    check(&["1.27.0"], &all, &[(WayKind::Chain, 3_000_000), ARCHIVE]);
    check(&["1.26.9"], &all, &[ARCHIVE]);
    check(&["1.27.3"], &all, &[ARCHIVE]);
}

#[test]
fn what_cannot_be_used_is_not_offered() {
    let newer = artifact(Some("1.27.2"), "1.27.3", 300_000, FORMAT + 1);
    check(&["1.27.2"], &[newer], &[ARCHIVE]);
    let mut useless = artifact(Some("1.27.2"), "1.27.3", 300_000, FORMAT);
    useless.state = ArtifactState::Useless { bytes: 300_000 };
    check(&["1.27.2"], &[useless.clone()], &[ARCHIVE]);
    useless.state = ArtifactState::Failed { reason: "no room".to_owned() };
    check(&["1.27.2"], &[useless], &[ARCHIVE]);
    let larger_than_the_archive = artifact(Some("1.27.2"), "1.27.3", 76_000_000, FORMAT);
    check(&["1.27.2"], &[larger_than_the_archive], &[ARCHIVE]);
}

#[test]
fn a_small_delta_that_computes_long_may_cost_more_than_a_pack() {
    // On a line of 20 Mbit/s a megabyte takes 0.4 s, and so long a delta of 0.8 MB computes.
    let cheap = way(WayKind::Pack, Vec::new(), 0);
    let step = WayStep {
        kind: ArtifactKind::Delta,
        sha256: tree("delta"),
        bytes: 800_000,
        base: Some(tree("1.27.2")),
        makes: tree("1.27.3"),
    };
    let delta = way(WayKind::Delta, vec![step], 0);
    assert_eq!((cost(&cheap).0, cost(&delta).0), (0, 720));
    assert_eq!(delta.processor, Span::from_millis(400));
}

/// Deltas among eight trees, packs, and what a device holds, all at random.
fn any_choosing() -> impl Strategy<Value = (Vec<Artifact>, BTreeSet<Digest>)> {
    let size = 1..90_000_000_u64;
    let delta =
        (0..8_usize, 0..8_usize, size.clone(), 1..3_u16).prop_map(|(from, to, bytes, format)| {
            artifact(Some(NAMES[from]), NAMES[to], bytes, format)
        });
    let pack = (0..8_usize, size, 1..3_u16)
        .prop_map(|(of, bytes, format)| artifact(None, NAMES[of], bytes, format));
    let artifacts = proptest::collection::vec(prop_oneof![4 => delta, 1 => pack], 0..24);
    let holds = proptest::collection::btree_set(0..8_usize, 0..4)
        .prop_map(|held| held.into_iter().map(|name| tree(NAMES[name])).collect());
    (artifacts, holds)
}

const NAMES: [&str; 8] =
    ["1.27.3", "1.27.2", "1.27.1", "1.27.0", "1.26.6", "1.26.5", "1.25.9", "1.24.1"];

proptest! {
    #[test]
    fn every_way_can_be_gone((artifacts, holds) in any_choosing()) {
        let wanted = release("1.27.3");
        let found = ways(&Choosing {
            release: &wanted,
            tree_bytes: TREE_BYTES,
            holds: &holds,
            formats: &[1],
            artifacts: &artifacts,
        });
        prop_assert!(found.len() <= MAX_DELTA_WAYS + 2);
        prop_assert_eq!(found.iter().filter(|way| way.kind == WayKind::Archive).count(), 1);
        prop_assert!(found.is_sorted_by_key(cost), "cheapest first");
        for way in &found {
            let Way { kind, steps, bytes, .. } = way;
            prop_assert!((1..=MAX_CHAIN).contains(&steps.len()));
            prop_assert_eq!(steps.last().unwrap().makes, wanted.manifest, "ends where it should");
            prop_assert_eq!(steps.iter().map(|step| step.bytes).sum::<u64>(), *bytes);
            prop_assert_eq!(*kind == WayKind::Chain, steps.len() > 1);
            // It begins with what the device holds, if with anything.
            let begin = steps[0].base;
            let is_delta = matches!(kind, WayKind::Delta | WayKind::Chain);
            prop_assert_eq!(begin.is_some(), is_delta);
            prop_assert!(begin.is_none_or(|base| holds.contains(&base)));
            // Each step begins with what the one before it made.
            for pair in steps.windows(2) {
                prop_assert_eq!(pair[1].base, Some(pair[0].makes));
            }
            // Every artifact of it is there in a format that the device reads.
            for step in steps.iter().filter(|step| step.kind != ArtifactKind::Archive) {
                let is_there = artifacts.iter().any(|artifact| {
                    artifact.format == 1
                        && artifact.kind == step.kind
                        && artifact.ready() == Some((step.sha256, step.bytes))
                        && (artifact.base, artifact.makes) == (step.base, step.makes)
                });
                prop_assert!(is_there);
            }
        }
    }

    /// Nothing that was left out is cheaper than the best that is offered.
    #[test]
    fn nothing_cheaper_was_overlooked((artifacts, holds) in any_choosing()) {
        let wanted = release("1.27.3");
        let choosing = Choosing {
            release: &wanted,
            tree_bytes: TREE_BYTES,
            holds: &holds,
            formats: &[1, 2],
            artifacts: &artifacts,
        };
        let best = cost(&ways(&choosing)[0]);
        for (artifact, step) in usable(&choosing, ArtifactKind::Delta) {
            let is_direct = artifact.makes == wanted.manifest
                && artifact.base != Some(wanted.manifest)
                && artifact.base.is_some_and(|base| holds.contains(&base));
            if is_direct {
                prop_assert!(best <= cost(&way(WayKind::Delta, vec![step], TREE_BYTES)));
            }
        }
    }
}
