//! What the tests of every crate share: real Go archives and trees, and waiting for a level.
//!
//! It stays light (nothing asynchronous, none of our crates), so that any crate can use it in its
//! tests. Things here panic with a text that says what to do: they are called by tests only.

pub mod archive;
pub mod cache;
pub mod fleet;
pub mod go;
pub mod wait;
mod zip;

pub use wait::{free_port, wait_until};
