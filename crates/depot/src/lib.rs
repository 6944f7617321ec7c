//! The store of releases on a device: archives become verified trees, one of which is active.
//!
//! [`archive`] reads archives that nobody vouches for. [`Root`] reads what a device has.
//! [`Depot`] changes it, under a lock, such that a kill or a power cut at any moment leaves the
//! old state or the new one. Nothing here touches the network or decides what should be installed.

pub mod archive;
pub mod delta;
mod depot;
mod error;
mod files;
mod format;
mod json;
pub mod pack;
mod parallel;
mod patch;
mod recovery;
mod root;
mod space;
mod stage;
mod verify;

pub use depot::Depot;
pub use error::DepotError;
pub use files::{Files, LoadError, LoadedFiles, TreeFiles};
pub use format::{FormatError, Made};
pub use root::{Active, Root};
pub use stage::{Progress, StageReport};
pub use verify::{Difference, Verified};
