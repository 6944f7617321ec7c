//! Making patches.

use super::address::{AddressMap, Votes};
use super::references::{Kind, Reference};
use super::{
    Addressed, FIXES, GAPS, LENGTHS, LITERALS, MAX_BYTES, Part, Placing, SEEKS, SETUP, SKIPS,
    STREAMS, Source, Span, images, matches, part_of, parts,
};
use crate::format::codec::{Codec, Preference};
use crate::format::wire::Writer;

/// What a patch is told by.
struct Plan {
    copies: Vec<Span>,
    map: AddressMap,
}

/// A patch before its streams are packed, which takes most of the time.
pub(crate) struct Draft([Writer; STREAMS]);

impl Draft {
    /// The patch that makes `new` of the sources; none if they can't be handled.
    pub(crate) fn make(sources: &[&Source], new: &Source) -> Option<Self> {
        let parts = parts(sources)?;
        if new.bytes.len() > MAX_BYTES {
            return None;
        }
        let plan = plan(&parts, new);
        Some(Self(write(&parts, new, plan)))
    }

    /// About how many bytes the patch would have.
    pub(crate) fn estimate(&self) -> usize {
        self.0.iter().map(|stream| Codec::estimate(stream.as_bytes())).sum()
    }

    /// The patch.
    pub(crate) fn pack(&self, preference: Preference) -> Vec<u8> {
        let mut patch = Writer::default();
        for stream in &self.0 {
            let (codec, packed) = Codec::smallest_of_all(stream.as_bytes(), preference);
            patch.u8(codec as u8);
            patch.varint(stream.as_bytes().len() as u64);
            patch.varint(packed.len() as u64);
            patch.bytes(&packed);
        }
        patch.as_bytes().to_vec()
    }
}

fn plan(parts: &[Part], new: &Source) -> Plan {
    // First by what does not depend on addresses, then by where they lead to.
    let blank = |source: &Source, bytes: &mut Vec<u8>| {
        let start = bytes.len();
        bytes.extend_from_slice(&source.bytes);
        for reference in &source.addressed().references.all {
            if matches!(reference.kind, Kind::Relative(_)) {
                bytes[start + reference.at as usize..][..4].fill(0);
            }
        }
    };
    let (mut was, mut is) = (Vec::new(), Vec::new());
    parts.iter().for_each(|part| blank(part.source, &mut was));
    blank(new, &mut is);
    let copies = split(matches::find(&was, &is), parts);
    let images = images(parts);
    let map = votes(parts, new, &copies).map(&images);
    if map.is_empty() {
        return Plan { copies, map };
    }
    let label = |source: &Source,
                 start: usize,
                 target: &dyn Fn(Reference) -> Option<u64>,
                 bytes: &mut [u8]| {
        bytes[start..][..source.bytes.len()].copy_from_slice(&source.bytes);
        for &reference in &source.addressed().references.all {
            if let Some(target) = target(reference) {
                let label = (target as u32).to_le_bytes();
                bytes[start + reference.at as usize..][..4].copy_from_slice(&label);
            }
        }
    };
    for part in parts {
        let target = |reference| part.target(reference).map(|target| map.apply(target));
        label(part.source, part.place.start, &target, &mut was);
    }
    label(new, 0, &|reference| new.addressed().target(&new.bytes, reference), &mut is);
    let copies = split(matches::find(&was, &is), parts);
    let map = votes(parts, new, &copies).map(&images);
    Plan { copies, map }
}

/// Cuts copies where one old file ends and the next begins.
fn split(copies: Vec<Span>, parts: &[Part]) -> Vec<Span> {
    let mut all = Vec::with_capacity(copies.len());
    for mut copy in copies {
        while let Some(part) = part_of(parts, copy.old).filter(|_| copy.length > 0) {
            let length = copy.length.min(part.place.end - copy.old);
            all.push(Span { length, ..copy });
            copy = Span {
                new: copy.new + length,
                old: copy.old + length,
                length: copy.length - length,
            };
        }
    }
    all
}

/// What the references that stand in copies were and became.
fn votes(parts: &[Part], new: &Source, copies: &[Span]) -> Votes {
    let (mut votes, addressed) = (Votes::default(), new.addressed());
    for copy in copies {
        let part = part_of(parts, copy.old).expect("copies are of old files");
        let became = addressed.references.within(copy.new, copy.new + copy.length);
        let mut became = became.iter().peekable();
        for (offset, was) in part.within(copy.old, copy.length) {
            let at = (copy.new + offset) as u32;
            while became.next_if(|next| next.at < at).is_some() {}
            let Some(&&is) = became.peek() else { break };
            if is.at != at || is.kind != was.kind {
                continue;
            }
            if let (Some(was), Some(is)) = (part.target(was), addressed.target(&new.bytes, is)) {
                votes.add(was, is);
            }
        }
    }
    votes
}

fn write(parts: &[Part], new: &Source, plan: Plan) -> [Writer; STREAMS] {
    let mut streams: [Writer; STREAMS] = Default::default();
    write_setup(new.addressed(), &mut streams[SETUP]);
    let [.., steps, shifts] = &mut streams;
    plan.map.write(steps, shifts);
    let addressed = new.addressed();
    let place = Placing {
        parts: parts.to_vec(),
        regions: addressed.regions.clone(),
        bases: addressed.references.bases.clone(),
        map: plan.map,
    };
    let (mut new_at, mut old_at, mut gap) = (0, 0, 0);
    let mut copied = Vec::new();
    for copy in &plan.copies {
        streams[SKIPS].varint((copy.new - new_at) as u64);
        streams[LENGTHS].varint(copy.length as u64);
        streams[SEEKS].signed(copy.old as i64 - old_at as i64);
        streams[LITERALS].bytes(&new.bytes[new_at..copy.new]);
        copied.clear();
        place.copy(*copy, &mut copied).expect("copies are of old files");
        for (copied, wanted) in copied.iter().zip(&new.bytes[copy.new..]) {
            if copied == wanted {
                gap += 1;
            } else {
                streams[GAPS].varint(gap);
                streams[FIXES].u8(wanted.wrapping_sub(*copied));
                gap = 0;
            }
        }
        (new_at, old_at) = (copy.new + copy.length, copy.old + copy.length);
    }
    streams[LITERALS].bytes(&new.bytes[new_at..]);
    streams
}

fn write_setup(new: &Addressed, to: &mut Writer) {
    to.varint(new.regions.len() as u64);
    let mut last = (0, 0);
    for region in &new.regions {
        to.varint((region.file.start - last.0) as u64);
        to.varint(region.file.len() as u64);
        to.signed(region.address.wrapping_sub(last.1) as i64);
        last = (region.file.end, region.address);
    }
    to.varint(new.references.bases.len() as u64);
    for &base in &new.references.bases {
        to.varint(base);
    }
}
