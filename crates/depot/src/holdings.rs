//! What a device holds already: the trees of the installed releases, which are the store.
//!
//! There is no second folder of files by digest: which digest stands where is what the manifests
//! of the installed releases say. Nothing of that is believed: whoever takes a file from here
//! hashes it (see [`share`](crate::share)).

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;

use gofleet_core::digest::Digest;
use gofleet_core::ids::ReleaseId;
use gofleet_core::manifest::{Manifest, ManifestFile};
use gofleet_platform::{Folder, Found, Sharing};

use crate::error::{DepotError, failed};
use crate::root::Root;

/// A tree with what should stand in it.
#[derive(Debug)]
pub(crate) struct Holding {
    /// The installed release; none for a folder that belongs to somebody else.
    pub id: Option<ReleaseId>,
    pub path: PathBuf,
    pub folder: Folder,
    pub manifest: Manifest,
    /// How its files may come into other trees.
    pub sharing: Sharing,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Holdings(Vec<Holding>);

/// Where a file stands: which holding, and its place in that one's manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub holding: usize,
    pub file: usize,
}

impl Holdings {
    /// The installed releases. One whose manifest can't be read holds nothing.
    pub(crate) fn read(root: &Root, sharing: Sharing) -> Result<Self, DepotError> {
        let ids = root.installed()?;
        let read = |id: ReleaseId| match root.manifest(&id) {
            Ok(manifest) => Holding::open(Some(id.clone()), root.tree(&id), manifest, sharing),
            Err(error) => Err(error),
        };
        let read = thread::scope(|scope| {
            let readers: Vec<_> = ids.into_iter().map(|id| scope.spawn(|| read(id))).collect();
            let joined = readers.into_iter().map(|reader| reader.join().expect("no panic"));
            joined.collect::<Vec<_>>()
        });
        let mut holdings = Vec::with_capacity(read.len());
        for holding in read {
            match holding {
                Ok(holding) => holdings.push(holding),
                Err(error) => tracing::warn!(%error, "a release is not used for another"),
            }
        }
        Ok(Self(holdings))
    }

    /// One more, with a folder that is not ours: it is never linked with, so that neither can
    /// change the other.
    pub(crate) fn with_foreign(
        mut self,
        path: &Path,
        manifest: &Manifest,
        sharing: Sharing,
    ) -> Result<Self, DepotError> {
        let sharing = if sharing == Sharing::HardLink { Sharing::Copy } else { sharing };
        self.0.push(Holding::open(None, path.to_owned(), manifest.clone(), sharing)?);
        Ok(self)
    }

    pub(crate) fn holding(&self, place: Place) -> &Holding {
        &self.0[place.holding]
    }

    pub(crate) fn file(&self, place: Place) -> &ManifestFile {
        &self.0[place.holding].manifest.files()[place.file]
    }

    /// Where each file of `manifest` should stand already, if anywhere: under its own path, if
    /// possible.
    pub(crate) fn plan(&self, manifest: &Manifest) -> Vec<Option<Place>> {
        let wanted = manifest.files();
        let mut plan = vec![None; wanted.len()];
        for (holding, Holding { manifest, .. }) in self.0.iter().enumerate() {
            for (new, file) in same_paths(wanted, manifest.files()) {
                if plan[new].is_none() && wanted[new].sha256 == manifest.files()[file].sha256 {
                    plan[new] = Some(Place { holding, file });
                }
            }
        }
        let mut elsewhere: HashMap<Digest, Vec<usize>> = HashMap::new();
        for (new, _) in plan.iter().enumerate().filter(|(_, place)| place.is_none()) {
            elsewhere.entry(wanted[new].sha256).or_default().push(new);
        }
        for (holding, Holding { manifest, .. }) in self.0.iter().enumerate() {
            for (file, found) in manifest.files().iter().enumerate() {
                for new in elsewhere.remove(&found.sha256).into_iter().flatten() {
                    plan[new] = Some(Place { holding, file });
                }
            }
        }
        plan
    }

    /// How `wanted` may come from that place: a hard link has one mode under all its names.
    pub(crate) fn sharing(&self, place: Place, wanted: &ManifestFile) -> Sharing {
        let is_same_mode = self.file(place).executable == wanted.executable;
        match self.holding(place).sharing {
            Sharing::HardLink if !is_same_mode => Sharing::Copy,
            sharing => sharing,
        }
    }

    /// Every place where a file should stand; for when one of them has been found damaged.
    pub(crate) fn places_of(&self, wanted: &ManifestFile) -> impl Iterator<Item = Place> {
        self.0.iter().enumerate().flat_map(move |(holding, Holding { manifest, .. })| {
            let files = manifest.files().iter().enumerate();
            files
                .filter(move |(_, file)| file.sha256 == wanted.sha256)
                .map(move |(file, _)| Place { holding, file })
        })
    }

    /// The manifest of the installed release that has this digest.
    pub(crate) fn by_manifest(&self, digest: &Digest) -> Option<&Holding> {
        self.0.iter().find(|holding| holding.id.is_some() && holding.manifest.digest() == *digest)
    }
}

impl Holding {
    fn open(
        id: Option<ReleaseId>,
        path: PathBuf,
        manifest: Manifest,
        sharing: Sharing,
    ) -> Result<Self, DepotError> {
        let folder = Folder::open(&path).map_err(failed("open the folder", &path))?;
        Ok(Self { id, path, folder, manifest, sharing })
    }

    /// The content of a file, as it is: nothing is compared.
    pub(crate) fn read(&self, file: &ManifestFile) -> io::Result<Vec<u8>> {
        match self.folder.find(file.path.as_str())? {
            Found::Absent => Err(io::ErrorKind::NotFound.into()),
            Found::NotAFile => Err(io::ErrorKind::InvalidData.into()),
            Found::File(found, _) => {
                let mut content = Vec::with_capacity(file.size as usize);
                found.take(file.size).read_to_end(&mut content)?;
                Ok(content)
            }
        }
    }
}

/// The pairs of files that have the same path; both lists are in the order of their paths.
fn same_paths<'a>(
    left: &'a [ManifestFile],
    right: &'a [ManifestFile],
) -> impl Iterator<Item = (usize, usize)> + 'a {
    let mut at = 0;
    left.iter().enumerate().filter_map(move |(index, file)| {
        while right.get(at).is_some_and(|other| other.path < file.path) {
            at += 1;
        }
        right.get(at).filter(|other| other.path == file.path).map(|_| (index, at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(files: &[(&str, &str, bool)]) -> Manifest {
        let file = |(path, content, executable): &(&str, &str, bool)| ManifestFile {
            path: path.parse().unwrap(),
            size: content.len() as u64,
            executable: *executable,
            sha256: Digest::of(content.as_bytes()),
        };
        Manifest::new(files.iter().map(file).collect()).unwrap()
    }

    fn holdings(manifests: &[Manifest]) -> Holdings {
        let open = |manifest: &Manifest| {
            Holding::open(None, ".".into(), manifest.clone(), Sharing::Copy).unwrap()
        };
        Holdings(manifests.iter().map(open).collect())
    }

    #[test]
    fn a_file_is_found_by_path_then_by_content() {
        let old = manifest(&[("VERSION", "1", false), ("a/x", "same", false), ("z", "tool", true)]);
        let older = manifest(&[("VERSION", "0", false), ("m", "moved", false)]);
        let new = manifest(&[
            ("VERSION", "2", false),
            ("a/x", "same", false),
            ("b/moved", "moved", false),
            ("b/tool", "tool", false),
            ("y", "tool", true),
        ]);
        let place = |holding, file| Some(Place { holding, file });
        let expected = [None, place(0, 1), place(1, 1), place(0, 2), place(0, 2)];
        let mut holdings = holdings(&[old.clone(), older]);
        assert_eq!(holdings.plan(&new), expected);
        let tool = place(0, 2).unwrap();
        assert_eq!(holdings.places_of(&new.files()[4]).collect::<Vec<_>>(), [tool]);
        holdings.0[0].sharing = Sharing::HardLink;
        assert_eq!(holdings.sharing(tool, &new.files()[3]), Sharing::Copy, "another mode");
        assert_eq!(holdings.sharing(tool, &new.files()[4]), Sharing::HardLink);
        assert!(holdings.by_manifest(&old.digest()).is_none(), "a foreign folder is no release");
        assert_eq!(Holdings::default().plan(&new), [None; 5]);
    }
}
