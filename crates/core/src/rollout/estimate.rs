//! How many bytes the devices of a plan will download: those of the cheapest way from what each of
//! them has, as far as its facts tell.

use std::collections::{BTreeSet, HashMap};

use super::Planning;
use crate::artifact::FORMAT;
use crate::digest::Digest;
use crate::facts::{Facts, GoOrigin};
use crate::ids::ReleaseId;
use crate::release::Release;
use crate::ways::{Choosing, ways};

/// Bytes of one device after the other; what is the same for many devices is computed once.
pub(super) struct Estimate<'a> {
    planning: Planning<'a>,
    known: HashMap<(&'a ReleaseId, BTreeSet<Digest>), u64>,
    /// Who was asked for last, and its bytes: neighbours are mostly alike.
    last: Option<(&'a ReleaseId, &'a Facts, u64)>,
    archive_bytes: u64,
}

impl<'a> Estimate<'a> {
    pub(super) fn new(planning: &Planning<'a>) -> Self {
        Self { planning: *planning, known: HashMap::new(), last: None, archive_bytes: 0 }
    }

    /// What a device with these facts downloads to get the release.
    pub(super) fn bytes(&mut self, release: &'a Release, facts: &'a Facts) -> u64 {
        self.archive_bytes += release.release.archive.size;
        let id = &release.release.id;
        if let Some((last_id, last, bytes)) = self.last
            && last_id == id
            && versions(last).eq(versions(facts))
        {
            return bytes;
        }
        let bytes = self.looked_up(release, facts);
        self.last = Some((id, facts, bytes));
        bytes
    }

    fn looked_up(&mut self, release: &'a Release, facts: &Facts) -> u64 {
        let key = (&release.release.id, self.held(release, facts));
        if let Some(bytes) = self.known.get(&key) {
            return *bytes;
        }
        let ways = ways(&Choosing {
            release: &release.release,
            tree_bytes: release.tree_bytes,
            holds: &key.1,
            formats: &[FORMAT],
            artifacts: self.planning.artifacts,
        });
        let bytes = ways.first().map_or(release.release.archive.size, |way| way.bytes);
        self.known.insert(key, bytes);
        bytes
    }

    /// What all of them would have downloaded as archives.
    pub(super) fn archive_bytes(&self) -> u64 {
        self.archive_bytes
    }

    /// The trees of the catalog that gofleet put on the device.
    fn held(&self, wanted: &Release, facts: &Facts) -> BTreeSet<Digest> {
        let wanted = &wanted.release;
        let versions: BTreeSet<&str> = versions(facts).collect();
        let catalog = self.planning.releases.iter().map(|it| &it.release);
        catalog
            .filter(|it| (&it.package, &it.platform) == (&wanted.package, &wanted.platform))
            .filter(|it| versions.contains(it.version.as_str()))
            .map(|it| it.manifest)
            .collect()
    }
}

/// The versions of Go that gofleet put on a device.
fn versions(facts: &Facts) -> impl Iterator<Item = &str> {
    let managed = facts.found.iter().filter(|go| go.origin == GoOrigin::Managed);
    managed.map(|go| go.version.as_str()).chain(facts.active.as_deref())
}
