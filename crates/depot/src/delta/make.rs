//! Making deltas.

use std::collections::HashSet;
use std::path::Path;

use gofleet_core::manifest::ManifestFile;

use super::{DeltaError, MAGIC};
use crate::files::Files;
use crate::format::assembly::{Origin, group, pack};
use crate::format::codec::Preference;
use crate::format::listing::Changes;
use crate::format::wire::Writer;
use crate::format::{Builder, Made};

/// Makes the delta from one release to another.
///
/// # Errors
///
/// [`DeltaError::Source`] if a file can't be read, [`DeltaError::Write`] if the delta can't be
/// written.
pub fn make(base: &dyn Files, target: &dyn Files, delta: &Path) -> Result<Made, DeltaError> {
    let (from, to) = (base.manifest(), target.manifest());
    let changes = Changes::between(from, to);
    let mut head = Writer::default();
    head.bytes(from.digest().as_bytes());
    head.bytes(to.digest().as_bytes());
    changes.write(from, &mut head);
    // What the target has elsewhere need not be at hand.
    let kept: HashSet<_> = to.files().iter().map(|file| file.sha256).collect();
    let like = |file: &ManifestFile| {
        let place = from.index_of(file.path.as_str())?;
        (!kept.contains(&from.files()[place].sha256)).then_some(place)
    };
    let frames = group(&changes.fresh, like);
    let file = |fresh: usize| {
        let path = changes.fresh[fresh].path.as_str();
        read(target, to.index_of(path).expect("a file of the target"))
    };
    let origin =
        Origin { file: &file, base: &|place| read(base, place), preference: Preference::Size };
    let mut builder = Builder::new(MAGIC, head);
    pack(&frames, &origin, &mut builder)?;
    builder.write(delta).map_err(DeltaError::Write)
}

fn read(files: &dyn Files, place: usize) -> Result<Vec<u8>, DeltaError> {
    files.read(place).map_err(|source| {
        let path = files.manifest().files()[place].path.to_string();
        DeltaError::Source { path, source }
    })
}
