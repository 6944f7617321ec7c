//! What can go wrong on a device, in words that its owner can act upon.

use std::io;
use std::path::{Path, PathBuf};

use gofleet_core::digest::Digest;
use gofleet_core::ids::ReleaseId;
use gofleet_core::order::FailureKind;
use thiserror::Error;

use crate::archive::ArchiveError;
use crate::delta::DeltaError;
use crate::format::FormatError;
use crate::prune::Need;
use crate::verify::Difference;

/// Why a depot did not do what was asked. It is then as it was before.
#[derive(Debug, Error)]
pub enum DepotError {
    /// Another process holds the lock.
    #[error(
        "`{}` is in use by another gofleet{} (an agent that runs, or an installation under way); \
         wait for it, stop it, or choose another root", root.display(), process(*holder)
    )]
    Locked {
        /// The root.
        root: PathBuf,
        /// The process that holds it, if it could be told.
        holder: Option<u32>,
    },
    /// The operating system refused something.
    #[error("could not {action} `{}`", path.display())]
    FileSystem {
        /// What was tried, like `create the folder`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Too little room, found before the first byte was written.
    #[error(
        "`{}` has {} MB free, but {} MB are needed; make room and try again",
        root.display(), free_bytes / 1_000_000, needed_bytes.div_ceil(1_000_000)
    )]
    NoSpace {
        /// The root.
        root: PathBuf,
        /// Bytes that the release takes.
        needed_bytes: u64,
        /// Bytes that are free.
        free_bytes: u64,
    },
    /// The disk filled up while a release was being unpacked.
    #[error("the disk of `{}` became full; make room and try again", path.display())]
    DiskFull {
        /// What was being written.
        path: PathBuf,
    },
    /// The archive can't be read, or is hostile.
    #[error("the archive `{}` was refused", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ArchiveError,
    },
    /// The pack can't be used.
    #[error("the pack `{}` was refused", path.display())]
    Pack {
        /// The pack.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: FormatError,
    },
    /// The delta can't be applied.
    #[error("the delta `{}` was refused", path.display())]
    Delta {
        /// The delta.
        path: PathBuf,
        /// What is wrong with it, or with the files that it changes.
        #[source]
        source: DeltaError,
    },
    /// The release from which a delta leads is not there.
    #[error("the delta to {id} leads from a release that is not installed (manifest {base})")]
    NoBase {
        /// The release that was to be staged.
        id: ReleaseId,
        /// Digest of the manifest of the other one.
        base: Digest,
    },
    /// The manifest is not the one that the release names.
    #[error("the manifest of {id} has the digest {found}, but {expected} was approved")]
    WrongManifest {
        /// The release.
        id: ReleaseId,
        /// Digest in the release.
        expected: Digest,
        /// Digest of what was given.
        found: Digest,
    },
    /// The source gives something else than the manifest says.
    #[error("the source does not hold what the manifest of {id} says: {difference}")]
    Differs {
        /// The release.
        id: ReleaseId,
        /// The first difference.
        difference: Difference,
    },
    /// Neither the device nor the source holds all files.
    #[error(
        "{id} is not complete: `{first}`{} can't be had, neither from what is installed nor from \
         the source; bring the archive", and_more(*files)
    )]
    Incomplete {
        /// The release.
        id: ReleaseId,
        /// The first file that is missing.
        first: String,
        /// How many there are.
        files: usize,
    },
    /// The tree on disk is not what the manifest says.
    #[error("{id} is damaged: {first}{}", and_more(*differences))]
    Damaged {
        /// The release.
        id: ReleaseId,
        /// The first difference.
        first: Difference,
        /// How many there are.
        differences: usize,
    },
    /// No such release on this device.
    #[error("{id} is not installed in `{}`", root.display())]
    NotInstalled {
        /// The release.
        id: ReleaseId,
        /// The root.
        root: PathBuf,
    },
    /// What is needed is not removed.
    #[error("{id} stays: it is {need}")]
    Needed {
        /// The release.
        id: ReleaseId,
        /// For what.
        need: Need,
    },
    /// What nobody vouches for does not take the place of what somebody does.
    #[error("{id} is installed already, with a manifest that is known; nothing was changed")]
    Vouched {
        /// The release.
        id: ReleaseId,
    },
    /// There is nothing to go back to.
    #[error("`{}` has no earlier release to go back to", root.display())]
    NoFallback {
        /// The root.
        root: PathBuf,
    },
    /// One of the depot's own files can't be understood.
    #[error("`{}` is damaged; nothing was changed", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

impl DepotError {
    /// The kind under which an agent reports it.
    pub const fn failure_kind(&self) -> FailureKind {
        match self {
            Self::NoSpace { .. } | Self::DiskFull { .. } => FailureKind::DiskFull,
            Self::Archive { .. }
            | Self::Pack { .. }
            | Self::Delta { .. }
            | Self::NoBase { .. }
            | Self::WrongManifest { .. }
            | Self::Differs { .. }
            | Self::Incomplete { .. }
            | Self::Damaged { .. }
            | Self::Corrupt { .. } => FailureKind::Integrity,
            Self::NoFallback { .. } | Self::NotInstalled { .. } => FailureKind::NothingToRevertTo,
            Self::Locked { .. }
            | Self::FileSystem { .. }
            | Self::Needed { .. }
            | Self::Vouched { .. } => FailureKind::FileSystem,
        }
    }
}

fn process(holder: Option<u32>) -> String {
    holder.map(|pid| format!(", process {pid}")).unwrap_or_default()
}

fn and_more(differences: usize) -> String {
    match differences {
        0 | 1 => String::new(),
        many => format!(" (and {} more)", many - 1),
    }
}

/// Turns what the operating system said into an error that names what was tried on what.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DepotError {
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            DepotError::DiskFull { path: path.to_owned() }
        }
        _ => DepotError::FileSystem { action, path: path.to_owned(), source },
    }
}
