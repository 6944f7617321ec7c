//! Packs and deltas of the made-up catalog: one that is there of each kind, one that saved too
//! little, one that could not be made.

use gofleet_core::artifact::{Artifact, ArtifactKind, ArtifactState};
use gofleet_core::digest::Digest;
use gofleet_core::time::Span;

use super::before;

/// What the server has made of the catalog, or has tried to make.
pub(in crate::console) fn artifacts() -> Vec<Artifact> {
    let of = |release: &str, base: Option<&str>, state, age, took| Artifact {
        kind: if base.is_some() { ArtifactKind::Delta } else { ArtifactKind::Pack },
        release: release.parse().unwrap(),
        makes: Digest::of(b"1.27.3"),
        base: base.map(|version| Digest::of(version.as_bytes())),
        format: 1,
        state,
        made_at: before(age),
        took: Span::from_secs(took),
    };
    let ready =
        |name: &str, bytes| ArtifactState::Ready { sha256: Digest::of(name.as_bytes()), bytes };
    let windows = "go-1.27.3-windows-amd64";
    let full = ArtifactState::Failed { reason: "the disk is full".to_owned() };
    vec![
        of(windows, Some("1.27.2"), ready("delta", 145_000), 3_600, 9),
        of(windows, Some("1.27.1"), ArtifactState::Useless { bytes: 30_000_000 }, 3_600, 8),
        of(windows, None, ready("pack", 40_000_000), 7_200, 65),
        of("go-1.27.3-linux-amd64", None, full, 60, 1),
    ]
}
