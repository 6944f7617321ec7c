//! Staging: from an archive to a verified tree that bears the release's name.

/// Hears how far the work is; called from several threads at once, for each file.
pub trait Progress: Sync {
    /// One more file of `bytes` bytes is done.
    fn file_done(&self, bytes: u64);
}

/// Nobody listens.
impl Progress for () {
    fn file_done(&self, _bytes: u64) {}
}

/// What staging did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageReport {
    /// Files in the tree, every one of them compared with the manifest.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether the tree was there already, intact, and nothing was written.
    pub was_there: bool,
}
