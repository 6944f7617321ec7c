//! Who may say what a device runs, and how a device proves it: two signers.
//!
//! A TUF repository (The Update Framework, specification 1.0.34) says which releases may ever run,
//! signed by people with keys that no server has. The server's [seal](order) on an order says which
//! device runs one of them when. A device that knows a root of trust needs both.
//!
//! [`Trusted`] verifies and touches nothing; [`Client`] brings it up to date from a [`Source`] and
//! keeps in a [`Store`] what it believes; [`author`] and [`ceremony`] make metadata, [`keyfile`]
//! keeps keys under a passphrase. Nothing here opens a connection.

pub mod approval;
pub mod author;
pub mod canonical;
pub mod ceremony;
pub mod client;
pub mod key;
pub mod keyfile;
pub mod metadata;
pub mod order;
pub mod store;
pub mod trusted;

pub use approval::{Approval, Unapproved};
pub use client::{Client, RefreshError, Source};
pub use key::{KeyId, PublicKey, SecretKey};
pub use metadata::{MetadataError, Role};
pub use order::{OrderError, seal};
pub use store::{Store, StoreError};
pub use trusted::{TrustError, Trusted};
