//! Manifests in packs and deltas: whole, or as the changes to another one.

use std::collections::HashMap;

use gofleet_core::digest::Digest;
use gofleet_core::manifest::{MAX_FILES, MAX_PATH_BYTES, Manifest, ManifestFile, TreePath};

use super::FormatError;
use super::wire::{Reader, Writer};

/// Writes a manifest.
pub(crate) fn write(manifest: &Manifest, to: &mut Writer) {
    write_files(manifest.files(), to);
    manifest.files().iter().for_each(|file| to.bytes(file.sha256.as_bytes()));
}

/// Reads what [`write()`] wrote.
pub(crate) fn read(from: &mut Reader) -> Result<Manifest, FormatError> {
    let mut files = read_files(from)?;
    for file in &mut files {
        file.sha256 = Digest::from_bytes(from.array()?);
    }
    manifest_of(files)
}

fn manifest_of(files: Vec<ManifestFile>) -> Result<Manifest, FormatError> {
    Manifest::new(files).map_err(|_| FormatError::Malformed("its files do not make up a tree"))
}

/// Everything of the files but their digests, each kind of thing together: that packs best.
fn write_files(files: &[ManifestFile], to: &mut Writer) {
    to.varint(files.len() as u64);
    let mut last = "";
    for file in files {
        let path = file.path.as_str();
        let same = path.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
        to.varint(same as u64);
        to.varint((path.len() - same) as u64);
        to.bytes(&path.as_bytes()[same..]);
        last = path;
    }
    files.iter().for_each(|file| to.varint(file.size << 1 | u64::from(file.executable)));
}

/// Reads what [`write_files`] wrote; the digests are to be filled in.
fn read_files(from: &mut Reader) -> Result<Vec<ManifestFile>, FormatError> {
    let count = from.count(MAX_FILES)?;
    let (mut files, mut path) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (same, more) = (from.count(path.len())?, from.count(MAX_PATH_BYTES)?);
        path.truncate(same);
        path.extend_from_slice(from.bytes(more)?);
        let name = str::from_utf8(&path).ok().and_then(|path| path.parse::<TreePath>().ok());
        let path = name.ok_or(FormatError::Malformed("it names an unsafe path"))?;
        files.push(ManifestFile { path, size: 0, executable: false, sha256: NO_DIGEST });
    }
    for file in &mut files {
        let value = from.varint()?;
        (file.size, file.executable) = (value >> 1, value & 1 == 1);
    }
    Ok(files)
}

const NO_DIGEST: Digest = Digest::from_bytes([0; 32]);

/// What must be done to a base's manifest to get the target's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Files of the base that the target has not, or has otherwise.
    dropped: Vec<usize>,
    /// Files that the target has instead, and those that are new in it, with a content that the
    /// base has in some file.
    moved: Vec<ManifestFile>,
    /// The same, with a content that the base has not.
    pub fresh: Vec<ManifestFile>,
}

impl Changes {
    pub(crate) fn between(base: &Manifest, target: &Manifest) -> Self {
        let is_kept = |file: &ManifestFile, other: &Manifest| {
            other.file(file.path.as_str()).is_some_and(|found| found == file)
        };
        let dropped = base.files().iter().enumerate();
        let dropped = dropped.filter(|(_, file)| !is_kept(file, target)).map(|(at, _)| at);
        let known = by_digest(base);
        let other = target.files().iter().filter(|file| !is_kept(file, base)).cloned();
        let (moved, fresh) = other.partition(|file| known.contains_key(&file.sha256));
        Self { dropped: dropped.collect(), moved, fresh }
    }

    pub(crate) fn write(&self, base: &Manifest, to: &mut Writer) {
        to.indices(&self.dropped);
        write_files(&self.moved, to);
        write_files(&self.fresh, to);
        let known = by_digest(base);
        self.moved.iter().for_each(|file| to.varint(known[&file.sha256] as u64));
        self.fresh.iter().for_each(|file| to.bytes(file.sha256.as_bytes()));
    }

    /// Reads what [`write`](Self::write) wrote. The digests of moved files are in the base's
    /// manifest, which is needed only later: until then their places in it are kept.
    pub(crate) fn read(from: &mut Reader) -> Result<Unresolved, FormatError> {
        let dropped = from.indices(MAX_FILES)?;
        let moved = read_files(from)?;
        let mut fresh = read_files(from)?;
        let origins = moved.iter().map(|_| from.count(MAX_FILES)).collect::<Result<_, _>>()?;
        for file in &mut fresh {
            file.sha256 = Digest::from_bytes(from.array()?);
        }
        Ok(Unresolved { changes: Self { dropped, moved, fresh }, origins })
    }
}

fn by_digest(manifest: &Manifest) -> HashMap<Digest, usize> {
    // The first of several with one content, so that the same input makes the same bytes.
    manifest.files().iter().enumerate().rev().map(|(at, file)| (file.sha256, at)).collect()
}

/// Changes as they were read.
#[derive(Debug)]
pub(crate) struct Unresolved {
    changes: Changes,
    origins: Vec<usize>,
}

impl Unresolved {
    pub(crate) fn fresh(&self) -> &[ManifestFile] {
        &self.changes.fresh
    }

    /// The target's manifest.
    pub(crate) fn apply(&self, base: &Manifest) -> Result<Manifest, FormatError> {
        const NOT_THERE: FormatError =
            FormatError::Malformed("it names a file that its base has not");
        let Changes { dropped, moved, fresh } = &self.changes;
        let mut is_dropped = vec![false; base.files().len()];
        for &at in dropped {
            *is_dropped.get_mut(at).ok_or(NOT_THERE)? = true;
        }
        let kept = base.files().iter().zip(is_dropped).filter(|(_, dropped)| !dropped);
        let mut files: Vec<_> = kept.map(|(file, _)| file.clone()).collect();
        for (file, &origin) in moved.iter().zip(&self.origins) {
            let sha256 = base.files().get(origin).ok_or(NOT_THERE)?.sha256;
            files.push(ManifestFile { sha256, ..file.clone() });
        }
        files.extend_from_slice(fresh);
        manifest_of(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(files: &[(&str, &str, bool)]) -> Manifest {
        let file = |&(path, content, executable): &(&str, &str, bool)| ManifestFile {
            path: path.parse().unwrap(),
            size: content.len() as u64,
            executable,
            sha256: Digest::of(content.as_bytes()),
        };
        Manifest::new(files.iter().map(file).collect()).unwrap()
    }

    fn check(base: &[(&str, &str, bool)], target: &[(&str, &str, bool)], fresh: &[&str]) {
        let (base, target) = (manifest(base), manifest(target));
        let mut whole = Writer::default();
        write(&target, &mut whole);
        assert_eq!(read(&mut Reader::new(whole.as_bytes())).unwrap(), target);
        let mut changes = Writer::default();
        Changes::between(&base, &target).write(&base, &mut changes);
        let mut reader = Reader::new(changes.as_bytes());
        let found = Changes::read(&mut reader).unwrap();
        assert!(reader.is_at_end());
        assert_eq!(found.apply(&base).unwrap(), target);
        let paths: Vec<_> = found.fresh().iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, fresh);
    }

    #[test]
    fn every_kind_of_change_is_told() {
        let base = [("a", "1", false), ("bin/go", "2", true), ("c/d/e", "3", false)];
        check(&base, &base, &[]);
        check(&base, &[("a", "1", false), ("bin/go", "4", true)], &["bin/go"]);
        check(&base, &[("bin/go", "2", false), ("b", "3", true)], &[]);
        check(
            &base,
            &[("A", "1", false), ("c/d", "new", false), ("z", "new", true)],
            &["c/d", "z"],
        );
    }
}
