//! What others publish: the download listing of Go, at `go.dev/dl` or any mirror of it.
//!
//! Reads and selects only. Fetching is for the caller: nothing here touches the network.

pub mod listing;

pub use listing::{FileKind, ListedFile, ListedRelease, Listing, ListingError, Query};
