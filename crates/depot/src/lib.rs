//! The store of releases on a device: archives become verified trees, one of which is active.
//!
//! [`archive`] reads archives that nobody vouches for. [`Root`] reads what a device has.
//! [`Depot`] changes it, under a lock, such that a kill or a power cut at any moment leaves the
//! old state or the new one. Nothing here touches the network or decides what should be installed.

mod adopt;
pub mod archive;
mod check;
pub mod delta;
mod depot;
mod error;
mod files;
mod format;
mod holdings;
mod json;
pub mod pack;
mod parallel;
mod patch;
mod prune;
mod recovery;
mod removal;
mod repair;
mod root;
mod share;
mod space;
mod stage;
mod verify;
mod write;

pub use adopt::{Survey, SurveyError};
pub use depot::Depot;
pub use error::DepotError;
pub use files::{Files, LoadError, LoadedFiles, TreeFiles};
pub use format::{FormatError, Made};
pub use prune::{Candidate, Need, PrunePlan};
pub use removal::Removal;
pub use repair::{Checked, Supply};
pub use root::{Active, Root};
pub use share::Damage;
pub use stage::{Progress, Source, StageReport};
pub use verify::{Difference, Verified};
