//! What the readers of archives hand on: one file at a time, in chunks.

use gofleet_core::digest::Digest;
use gofleet_core::manifest::TreePath;
use sha2::{Digest as _, Sha256};

use super::ArchiveError;

/// A file of an archive, as the archive describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it belongs in the release's tree.
    pub path: TreePath,
    /// The size that the archive tells. [`Content`] never yields more.
    pub size: u64,
    /// Whether the archive or the place says that it may be executed.
    pub executable: bool,
}

/// The content of a file, chunk by chunk. A reader yields an error instead of the last chunk if
/// size or checksum are not those that the archive told.
pub(crate) trait Content {
    /// The next chunk; none at the end.
    fn next(&mut self) -> Result<Option<&[u8]>, ArchiveError>;
}

/// Takes the files of an archive, from several threads at once.
pub(crate) trait Sink: Sync {
    /// What can go wrong in all.
    type Error: From<ArchiveError> + Send;

    /// Whether it wants the content of this file; readers spare themselves the work if not.
    fn wants(&self, _entry: &Entry) -> bool {
        true
    }

    /// Takes one file.
    fn file(&self, entry: &Entry, content: &mut dyn Content) -> Result<(), Self::Error>;
}

/// Passes all chunks to `each` and returns size and digest.
pub(crate) fn drain<E: From<ArchiveError>>(
    content: &mut dyn Content,
    mut each: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(u64, Digest), E> {
    let (mut size, mut hash) = (0, Sha256::new());
    while let Some(chunk) = content.next()? {
        size += chunk.len() as u64;
        hash.update(chunk);
        each(chunk)?;
    }
    Ok((size, Digest::from_bytes(hash.finalize().into())))
}

/// A content that is in memory as a whole.
pub(crate) struct Whole<'a>(Option<&'a [u8]>);

impl<'a> Whole<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl Content for Whole<'_> {
    fn next(&mut self) -> Result<Option<&[u8]>, ArchiveError> {
        Ok(self.0.take())
    }
}

/// Whether the place in Go's tree makes a file a program: archives without Unix modes don't tell.
pub(crate) fn is_program(path: &TreePath) -> bool {
    path.as_str().starts_with("bin/") || path.as_str().starts_with("pkg/tool/")
}
