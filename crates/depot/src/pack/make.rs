//! Making packs.

use std::path::Path;

use gofleet_core::manifest::Manifest;

use super::{MAGIC, PackError};
use crate::files::{Files as _, LoadedFiles};
use crate::format::assembly::{self, Origin, group};
use crate::format::codec::Preference;
use crate::format::wire::Writer;
use crate::format::{Builder, Made, listing};

/// Makes a pack of the archive, which must be what the manifest describes.
///
/// # Errors
///
/// [`PackError::Load`] if the archive can't be read or is another, [`PackError::Write`] if the
/// pack can't be written.
pub fn make(archive: &Path, manifest: &Manifest, pack: &Path) -> Result<Made, PackError> {
    let files = LoadedFiles::from_archive(archive, manifest.clone(), None);
    let files = files.map_err(PackError::Load)?;
    let frames = group(manifest.files(), |_| None);
    let origin = Origin {
        file: &|place| Ok(files.read(place).expect("all files were loaded")),
        base: &|_| unreachable!("a pack has no base"),
        preference: Preference::Speed,
    };
    let mut head = Writer::default();
    listing::write(manifest, &mut head);
    let mut builder = Builder::new(MAGIC, head);
    assembly::pack::<PackError>(&frames, &origin, &mut builder)?;
    builder.write(pack).map_err(PackError::Write)
}
