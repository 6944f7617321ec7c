//! Where addresses of the old executable are in the new one: a few steps, between which everything
//! moved by the same distance.

use std::collections::HashMap;
use std::ops::Range;

use crate::format::FormatError;
use crate::format::wire::{Reader, Writer};

/// From this address on, up to the next step, addresses moved by `shift`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    from: u64,
    shift: i64,
}

/// Old addresses to new ones.
#[derive(Debug, Default)]
pub(super) struct AddressMap {
    /// In order. Before the first, nothing moved.
    steps: Vec<Step>,
    /// For each old file, whose addresses have its number above [`SPACE_BITS`].
    indices: Vec<Index>,
}

/// From here on up, an address holds the number of the old file that it is of.
pub(super) const SPACE_BITS: u32 = 56;

/// Where to search for the addresses of an old file.
#[derive(Debug, Default)]
struct Index {
    first_page: u64,
    /// For each page, how many steps begin before it.
    steps: Vec<u32>,
}

const PAGE_BITS: u32 = 10;

impl Index {
    fn new(steps: &[Step], image: &Range<u64>) -> Self {
        // Larger images are searched without an index.
        const MAX_PAGES: u64 = 1 << 18;
        let (first_page, end) = (image.start >> PAGE_BITS, image.end >> PAGE_BITS);
        let pages = first_page..end.min(first_page + MAX_PAGES);
        let before = |page| steps.partition_point(|step| step.from < page << PAGE_BITS) as u32;
        Self { first_page, steps: pages.map(before).collect() }
    }
}

impl AddressMap {
    /// `images` are the addresses that the old files take.
    fn new(steps: Vec<Step>, images: &[Range<u64>]) -> Self {
        let indices = images.iter().map(|image| Index::new(&steps, image)).collect();
        Self { steps, indices }
    }

    /// Whether nothing moved.
    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Where an address is in the new executable.
    pub(super) fn apply(&self, address: u64) -> u64 {
        let index = self.indices.get((address >> SPACE_BITS) as usize);
        let first = index.and_then(|index| {
            let page = (address >> PAGE_BITS).wrapping_sub(index.first_page);
            index.steps.get(page as usize)
        });
        let next = match first {
            Some(&first) => {
                let rest = self.steps[first as usize..].iter();
                first as usize + rest.take_while(|step| step.from <= address).count()
            }
            None => self.steps.partition_point(|step| step.from <= address),
        };
        match next.checked_sub(1) {
            Some(step) => address.wrapping_add_signed(self.steps[step].shift),
            None => address,
        }
    }

    pub(super) fn write(&self, from: &mut Writer, shifts: &mut Writer) {
        let mut last = Step { from: 0, shift: 0 };
        for step in &self.steps {
            from.varint(step.from - last.from);
            shifts.signed(step.shift.wrapping_sub(last.shift));
            last = *step;
        }
    }

    /// Reads what [`write`](Self::write) wrote.
    pub(super) fn read(
        from: &mut Reader,
        shifts: &mut Reader,
        images: &[Range<u64>],
    ) -> Result<Self, FormatError> {
        let (mut steps, mut last) = (Vec::new(), Step { from: 0, shift: 0 });
        while !from.is_at_end() {
            let next = last.from.checked_add(from.varint()?);
            // Steps at one place would be searched for ever.
            let next = next.filter(|&next| next > last.from || steps.is_empty());
            let next = next.ok_or(FormatError::Malformed("its steps do not rise"))?;
            last = Step { from: next, shift: last.shift.wrapping_add(shifts.signed()?) };
            steps.push(last);
        }
        Ok(Self::new(steps, images))
    }
}

/// Finds the map that foretells most of the targets that were seen, in few steps.
#[derive(Debug, Default)]
pub(super) struct Votes(HashMap<(u64, i64), u32>);

/// What a step costs, in bytes, and what a reference costs that was foretold wrongly.
const STEP_COST: i64 = 4;
const MISS_COST: i64 = 3;

impl Votes {
    /// A reference to `old` became one to `new`.
    pub(super) fn add(&mut self, old: u64, new: u64) {
        *self.0.entry((old, new.wrapping_sub(old) as i64)).or_default() += 1;
    }

    /// The cheapest map: at each target, to stay with a shift or to take another one, whichever
    /// costs less in the end (Viterbi).
    pub(super) fn map(&self, images: &[Range<u64>]) -> AddressMap {
        let mut votes: Vec<_> = self.0.iter().map(|(&(old, shift), &n)| (old, shift, n)).collect();
        votes.sort_unstable();
        // Costs are counted from `missed`: what it would cost if all so far had been wrong.
        let mut paths: HashMap<i64, Path> = HashMap::new();
        let mut taken: Vec<(Step, Option<usize>)> = Vec::new();
        let mut best = (0, None);
        paths.insert(0, Path { cost: 0, taken: None });
        for target in votes.chunk_by(|a, b| a.0 == b.0) {
            let before: (i64, Option<usize>) = best;
            for &(from, shift, count) in target {
                let gain = i64::from(count) * MISS_COST;
                let path = paths.entry(shift).or_insert(Path { cost: i64::MAX, taken: None });
                if before.0 + STEP_COST < path.cost {
                    taken.push((Step { from, shift }, before.1));
                    *path = Path { cost: before.0 + STEP_COST, taken: Some(taken.len() - 1) };
                }
                path.cost -= gain;
                if path.cost < best.0 {
                    best = (path.cost, path.taken);
                }
            }
        }
        let (mut steps, mut at) = (Vec::new(), best.1);
        while let Some(index) = at {
            let (step, before) = taken[index];
            steps.push(step);
            at = before;
        }
        steps.reverse();
        AddressMap::new(steps, images)
    }
}

#[derive(Debug, Clone, Copy)]
struct Path {
    cost: i64,
    taken: Option<usize>,
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;

    fn check(votes: &[(u64, u64, u32)], steps: &[(u64, i64)]) {
        let mut all = Votes::default();
        for &(old, new, count) in votes {
            (0..count).for_each(|_| all.add(old, new));
        }
        let map = all.map(from_ref(&(0..1 << 20)));
        let found: Vec<_> = map.steps.iter().map(|step| (step.from, step.shift)).collect();
        assert_eq!(found, steps);
        let (mut from, mut shifts) = (Writer::default(), Writer::default());
        map.write(&mut from, &mut shifts);
        let (mut from, mut shifts) = (Reader::new(from.as_bytes()), Reader::new(shifts.as_bytes()));
        let read = AddressMap::read(&mut from, &mut shifts, &[]).unwrap();
        assert_eq!(read.steps, map.steps);
    }

    #[test]
    fn a_step_is_taken_where_it_pays() {
        check(&[(100, 100, 5), (200, 200, 5)], &[]);
        check(&[(100, 100, 5), (200, 232, 5), (300, 332, 1)], &[(200, 32)]);
        check(&[(100, 132, 5), (200, 1, 1), (300, 332, 5)], &[(100, 32)]);
        check(&[(100, 132, 9), (200, 1, 9), (300, 332, 9)], &[(100, 32), (200, -199), (300, 32)]);
    }

    #[test]
    fn addresses_between_steps_move_alike() {
        let steps = [(5000, 32), (5008, 64), (900_000, -8)];
        let steps = steps.map(|(from, shift)| Step { from, shift });
        for image in [0..0, 4096..16384, 0..1 << 20] {
            let map = AddressMap::new(steps.to_vec(), from_ref(&image));
            for (old, new) in [(0, 0), (4999, 4999), (5000, 5032), (5007, 5039), (5008, 5072)] {
                assert_eq!(map.apply(old), new);
            }
            assert_eq!((map.apply(899_999), map.apply(u64::MAX)), (900_063, u64::MAX - 8));
        }
    }
}
