//! Giving a new tree what the device holds already.
//!
//! A file first gets its name in the new tree (as a clone, a hard link or a copy), and is then
//! hashed through that name: what was hashed is what stands there, and a file that somebody
//! changed in place is found before it is shared on. It is told as a [`Damage`], and the file is
//! taken from elsewhere.

use std::cmp::Reverse;
use std::sync::Mutex;

use gofleet_core::ids::ReleaseId;
use gofleet_core::manifest::{Manifest, ManifestFile};
use gofleet_platform::folder::make_read_only;
use gofleet_platform::{Folder, Found, Sharing};

use crate::check::{self, CHUNK, Kind};
use crate::error::{DepotError, failed};
use crate::holdings::{Holdings, Place};
use crate::parallel;
use crate::space::Reservation;
use crate::stage::Progress;
use crate::verify::Difference;

/// A file of an installed release that is not what its manifest says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Damage {
    /// The release.
    pub release: ReleaseId,
    /// The file and what is wrong with it.
    pub difference: Difference,
}

/// What came about.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Whether each file of the manifest stands in the new tree.
    pub has: Vec<bool>,
    /// What was found on the way.
    pub damages: Vec<Damage>,
}

/// Gives `tree` every file that `plan` has a place for, and that is intact somewhere.
pub(crate) fn share(
    holdings: &Holdings,
    manifest: &Manifest,
    plan: &[Option<Place>],
    tree: &Folder,
    reservation: &Reservation,
    progress: &dyn Progress,
) -> Result<Shared, DepotError> {
    let mut work: Vec<_> =
        plan.iter().enumerate().filter_map(|(file, place)| Some((file, (*place)?))).collect();
    work.sort_by_key(|(file, _)| Reverse(manifest.files()[*file].size));
    let shared = Mutex::new(Shared { has: vec![false; plan.len()], damages: Vec::new() });
    let sharer = Sharer { holdings, tree, shared: &shared };
    parallel::each(
        &work,
        || vec![0; CHUNK],
        |chunk, (file, place)| {
            let expected = &manifest.files()[*file];
            if holdings.sharing(*place, expected) == Sharing::Copy {
                reservation.spend(expected.size)?;
            }
            if sharer.bring(expected, *place, chunk)? {
                sharer.shared.lock().expect("no holder panics").has[*file] = true;
                progress.file_done(expected.size);
            }
            Ok(())
        },
    )?;
    let mut shared = shared.into_inner().expect("no holder panics");
    shared.damages.sort();
    shared.damages.dedup();
    Ok(shared)
}

struct Sharer<'a> {
    holdings: &'a Holdings,
    tree: &'a Folder,
    shared: &'a Mutex<Shared>,
}

impl Sharer<'_> {
    /// Tries `place`, then all others; whether one of them was intact.
    fn bring(
        &self,
        expected: &ManifestFile,
        place: Place,
        chunk: &mut [u8],
    ) -> Result<bool, DepotError> {
        if self.bring_from(place, expected, chunk)? {
            return Ok(true);
        }
        for other in self.holdings.places_of(expected).filter(|other| *other != place) {
            if self.bring_from(other, expected, chunk)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn bring_from(
        &self,
        place: Place,
        expected: &ManifestFile,
        chunk: &mut [u8],
    ) -> Result<bool, DepotError> {
        let (holding, from) = (self.holdings.holding(place), self.holdings.file(place));
        let path = || holding.path.join(from.path.as_str());
        let brought = self.take(place, expected, chunk);
        let Some(kind) = brought.map_err(|error| failed("share", &path())(error))? else {
            return Ok(true);
        };
        if let Some(release) = &holding.id {
            let difference = kind(from.path.to_string());
            tracing::warn!(%release, %difference, "a file was changed and is not shared");
            let damage = Damage { release: release.clone(), difference };
            self.shared.lock().expect("no holder panics").damages.push(damage);
        }
        Ok(false)
    }

    /// What is wrong with the file at `place`, which then does not stand in the new tree.
    fn take(
        &self,
        place: Place,
        expected: &ManifestFile,
        chunk: &mut [u8],
    ) -> std::io::Result<Option<Kind>> {
        let (holding, from) = (self.holdings.holding(place), self.holdings.file(place));
        let (name, from) = (expected.path.as_str(), (&holding.folder, from.path.as_str()));
        let sharing = self.holdings.sharing(place, expected);
        let shared = self.tree.share(name, from, expected.executable, sharing)?;
        let (mut file, metadata) = match shared {
            Found::Absent => return Ok(Some(Difference::Missing)),
            Found::NotAFile => return Ok(Some(Difference::NotAFile)),
            Found::File(file, metadata) => (file, metadata),
        };
        let kind = check::difference(&mut file, &metadata, expected, chunk)?;
        match kind {
            // One that an earlier version of gofleet, or somebody, left writable.
            None => make_read_only(&file, &metadata)?,
            Some(_) => self.tree.remove(name)?,
        }
        Ok(kind)
    }
}
