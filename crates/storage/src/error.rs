//! What can go wrong with the server's state.

use std::path::PathBuf;

use gofleet_core::dependency::Dependencies;
use gofleet_core::digest::Digest;
use gofleet_core::enrolment::OutOfScope;
use gofleet_core::ids::{
    AccountName, CollectionName, DeviceId, EdgeId, HoldId, ReleaseId, RolloutId, RuleName,
};
use gofleet_core::release::ReleaseStatus;
use gofleet_core::rollout::Chain;
use gofleet_core::time::Timestamp;
use thiserror::Error;

/// The database cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The data folder cannot be made.
    #[error("cannot create the data folder {}", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file cannot be opened as a database.
    #[error("cannot open the database {}", .path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        source: sqlx::Error,
    },
    /// The schema cannot be brought up to date.
    #[error("cannot bring the database {} up to date", .path.display())]
    Migrate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: sqlx::migrate::MigrateError,
    },
    /// The audit log cannot be read.
    #[error("cannot read the audit log in the database {}", .path.display())]
    Audit {
        /// The file.
        path: PathBuf,
        /// Why.
        source: StorageError,
    },
}

/// The database does not do as asked.
#[derive(Debug, Error)]
pub enum StorageError {
    /// A statement failed.
    #[error("the database failed to {action}")]
    Database {
        /// What it was to do.
        action: &'static str,
        /// Why.
        source: sqlx::Error,
    },
    /// What stands in the database is not what was written.
    #[error("the database holds an unreadable {what}")]
    Corrupt {
        /// What it should be.
        what: &'static str,
        /// Why it is not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The audit log cannot be told of a change, so the change was not made.
    #[error("the audit log cannot be written, so nothing was changed")]
    Audit {
        /// Why.
        source: Box<StorageError>,
    },
    /// No such device.
    #[error("there is no device {0}")]
    UnknownDevice(DeviceId),
    /// No such distribution point, or it was revoked.
    #[error("there is no distribution point {0}")]
    UnknownEdge(EdgeId),
    /// The device was revoked, which is for good.
    #[error("device {0} was revoked")]
    Revoked(DeviceId),
    /// No such hold, or it was lifted.
    #[error("there is no hold {0}")]
    UnknownHold(HoldId),
    /// No such collection.
    #[error("there is no collection {0}")]
    UnknownCollection(CollectionName),
    /// Something asks for the collection, and would mean other devices without it.
    #[error("collection {name} is used by {}", .users.join(", "))]
    CollectionInUse {
        /// The collection.
        name: CollectionName,
        /// What asks for it.
        users: Vec<String>,
    },
    /// No such account.
    #[error("there is no account {0}")]
    UnknownAccount(AccountName),
    /// There is an account of this name.
    #[error("there is an account {0} already")]
    AccountTaken(AccountName),
    /// No such API token, or it is another's.
    #[error("there is no API token {0}")]
    UnknownApiToken(String),
    /// No such rule.
    #[error("there is no rule {0}")]
    UnknownRule(RuleName),
    /// No such release.
    #[error("there is no release {0}")]
    UnknownRelease(ReleaseId),
    /// No such rollout.
    #[error("there is no rollout {0}")]
    UnknownRollout(RolloutId),
}

/// A machine does not become a device or a distribution point.
#[derive(Debug, Error)]
pub enum EnrolError {
    /// Nobody made this token.
    #[error("the enrolment token is unknown")]
    UnknownToken,
    /// The token enrolled another machine already.
    #[error("the enrolment token was used already, by {by}; a token enrols one machine")]
    Used {
        /// What it enrolled.
        by: String,
    },
    /// The token's time is over.
    #[error("the enrolment token expired at {at}")]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// The token is for other machines.
    #[error(transparent)]
    OutOfScope(OutOfScope),
    /// The machine's key was revoked.
    #[error("the key of this machine was revoked")]
    Revoked,
    /// The database.
    #[error(transparent)]
    Storage(StorageError),
}

/// A release does not come into the catalog.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The catalog has the release with other files.
    #[error(
        "{release} is in the catalog with other content: its files are {known}, those offered are \
         {offered}"
    )]
    Conflict {
        /// The release.
        release: ReleaseId,
        /// The manifest in the catalog.
        known: Digest,
        /// The manifest that was offered.
        offered: Digest,
    },
    /// The release would require itself.
    #[error("{release} could never be installed: {chain}; that is a circle")]
    Cycle {
        /// The release.
        release: ReleaseId,
        /// From the release back to it.
        chain: Chain,
    },
    /// What the release asks of other packages was decided on already.
    #[error("{release} is {status} already, and {known}")]
    Decided {
        /// The release.
        release: ReleaseId,
        /// Where it stands.
        status: ReleaseStatus,
        /// What it asks for.
        known: Dependencies,
    },
    /// The database.
    #[error(transparent)]
    Storage(StorageError),
}

/// A rollout does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A rollout of this name has not ended.
    #[error("rollout {rollout} is called `{name}` as well, and has not ended")]
    NameTaken {
        /// The name.
        name: String,
        /// The rollout that has it.
        rollout: RolloutId,
    },
    /// A device went into another rollout since the plan was made.
    #[error("device {device} is part of rollout {rollout} since: plan again")]
    DeviceBusy {
        /// The device.
        device: DeviceId,
        /// Its rollout.
        rollout: RolloutId,
    },
    /// A release lost its approval since the plan was made.
    #[error("{release} is {status} since: plan again")]
    NotApproved {
        /// The release.
        release: ReleaseId,
        /// What it is.
        status: ReleaseStatus,
    },
    /// The database.
    #[error(transparent)]
    Storage(StorageError),
}

macro_rules! wraps_storage {
    ($($type:ident),+) => {$(
        impl From<StorageError> for $type {
            fn from(error: StorageError) -> Self {
                Self::Storage(error)
            }
        }
    )+};
}
wraps_storage!(EnrolError, ImportError, StartError);
