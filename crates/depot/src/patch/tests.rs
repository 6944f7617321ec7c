//! Patches of bytes and of real programs, whole and harmed.

use std::fs;
use std::sync::LazyLock;

use gofleet_testkit::go;
use proptest::prelude::*;

use super::*;
use crate::format::FormatError;
use crate::format::codec::Preference;

fn make(sources: &[&Source], new: &Source) -> Vec<u8> {
    Draft::make(sources, new).unwrap().pack(Preference::Size)
}

/// The patch from two files, which are the parts of `old`, to `new`; returns its size.
fn check(old: &[u8], new: &[u8]) -> usize {
    let (start, end) = old.split_at(old.len() / 3);
    let sources = [start, end].map(|part| Source::new(part.to_vec()));
    let sources = sources.each_ref();
    let patch = make(&sources, &Source::new(new.to_vec()));
    let mut found = Vec::new();
    apply(&patch, &sources, new.len(), &mut found).unwrap();
    assert!(found == new);
    patch.len()
}

proptest! {
    #[test]
    fn any_file_from_any_other(
        old in prop::collection::vec(0u8..4, 0..500),
        new in prop::collection::vec(0u8..4, 0..500),
    ) {
        check(&old, &new);
        check(&[&old[..], &new].concat(), &[&new[..], &old, &new].concat());
    }
}

#[test]
fn a_small_change_makes_a_small_patch() {
    let old: Vec<u8> = (0..100_000u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
    let mut new = old.clone();
    new[5000] ^= 1;
    new.splice(9000..9003, [1, 2, 3, 4, 5, 6, 7]);
    assert!(check(&old, &new) < 100);
}

/// The smallest program of two versions of Go.
struct Programs {
    old: Vec<u8>,
    new: Vec<u8>,
    patch: Vec<u8>,
}

static PROGRAMS: LazyLock<Programs> = LazyLock::new(|| {
    let [old, new] = ["1.27.1", "1.27.3"].map(|version| {
        let name = "pkg/tool/linux_amd64/preprofile";
        fs::read(go::tree(version, "linux-amd64").join(name)).unwrap()
    });
    let sources = [&Source::new(old.clone())];
    let patch = make(&sources, &Source::new(new.clone()));
    Programs { old, new, patch }
});

/// All pieces of an opened patch.
fn apply_opened(patch: &Patch, old: &Source) -> Result<usize, FormatError> {
    let (mut pieces, mut size) = (patch.pieces(&[old])?, 0);
    while let Some(piece) = pieces.next()? {
        size += piece.len();
    }
    Ok(size)
}

#[test]
fn a_program_that_moved_is_told_in_a_hundredth_of_it() {
    let Programs { old, new, patch } = &*PROGRAMS;
    let mut found = Vec::new();
    apply(patch, &[&Source::new(old.clone())], new.len(), &mut found).unwrap();
    assert!(found == *new);
    assert!(patch.len() * 100 < new.len(), "{}", patch.len());
    let references = &Addressed::of(old).references;
    let count = |is_kind: fn(Kind) -> bool| {
        references.all.iter().filter(|reference| is_kind(reference.kind)).count()
    };
    assert!(count(|kind| matches!(kind, Kind::Relative(_))) > 30_000);
    assert!(count(|kind| matches!(kind, Kind::Absolute)) > 3_000);
    assert!(count(|kind| matches!(kind, Kind::Based(_))) > 10_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_harmed_patch_makes_no_more_than_it_may(
        stream in 0..STREAMS,
        at: prop::sample::Index,
        harm in prop::collection::vec(any::<u8>(), 1..12),
        is_cut: bool,
    ) {
        let Programs { old, new, patch } = &*PROGRAMS;
        let mut patch = Patch::open(patch, new.len()).unwrap();
        let harmed = patch.stream(stream);
        let at = at.index(harmed.len() + 1);
        harmed.truncate(if is_cut { at } else { harmed.len() });
        for (offset, byte) in harm.into_iter().enumerate() {
            match harmed.get_mut(at + offset) {
                Some(old) => *old = byte,
                None => harmed.push(byte),
            }
        }
        if let Ok(size) = apply_opened(&patch, &Source::new(old.clone())) {
            prop_assert_eq!(size, new.len());
        }
    }

    #[test]
    fn a_harmed_program_is_patched_without_a_panic(
        at: prop::sample::Index,
        is_head: bool,
        harm in prop::collection::vec(any::<u8>(), 1..64),
    ) {
        let Programs { old, new, patch } = &*PROGRAMS;
        let mut old = old.clone();
        // The headers, or Go's tables.
        let tables = old.windows(8).position(|bytes| bytes == b"\xf1\xff\xff\xff\0\0\x01\x08");
        let start = if is_head { 0 } else { tables.unwrap() };
        let at = start + at.index(2000);
        old[at..at + harm.len()].copy_from_slice(&harm);
        let patch = Patch::open(patch, new.len()).unwrap();
        let source = Source::new(old);
        if let Ok(size) = apply_opened(&patch, &source) {
            prop_assert_eq!(size, new.len());
        }
        let again = make(&[&source], &source);
        prop_assert!(again.len() < 1000);
    }
}
