//! What differs between Windows and Unix: one file per topic, `unix.rs` and `windows.rs` inside.
//!
//! No decision is taken here and nothing of gofleet is known. It is the only crate with `unsafe`.

pub mod checkpoint;
pub mod drop_folder;
pub mod environment;
pub mod event_log;
pub mod exec;
pub mod file;
pub mod folder;
pub mod installed;
pub mod link;
pub mod lock;
pub mod machine;
pub mod policy;
pub mod positioned;
pub mod priority;
pub mod process;
#[cfg(windows)]
mod registry;
pub mod service;
pub mod users;
pub mod volume;

pub use checkpoint::checkpoint;
pub use file::{Access, atomic_write, canonical, create_private_folder, remove_tree, rename};
pub use folder::{Folder, Found, Sharing};
pub use link::replace_link;
pub use lock::{FileLock, LockError};
pub use process::ProcessTree;
pub use volume::{free_space, sync_file_system};

/// Whether the system could do what was asked: some file systems and some systems can't, and that
/// is no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It was done.
    Done,
    /// This system or file system has no such thing; nothing was changed.
    Unsupported,
}
