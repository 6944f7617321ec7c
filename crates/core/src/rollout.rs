//! Rollouts: a release for a collection of devices, ring by ring.
//!
//! [`RolloutSpec`] is what a person writes. [`plan`] turns it into rings of devices, and
//! [`advance`] says at each tick what to do next. Both are pure: the server's reconciler and the
//! simulator call the same code.

pub mod spec;

pub use spec::{Gate, OnFailure, RingSize, RingSpec, RolloutSpec};
