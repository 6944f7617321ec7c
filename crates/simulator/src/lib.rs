//! A virtual fleet under faults: it runs the very decisions that production runs, and checks after
//! every event what must always hold.
//!
//! The server's half is [`gofleet_core::rollout`] (plan, advance, gate, command, what a report
//! counts for), the device's half [`gofleet_core::agent`] (which orders are obeyed, what is done
//! next, what is remembered). Around them everything is virtual and drawn from a seed: clock,
//! network, disk, people. So a seed is a whole story that can be told again, shortened until only
//! its point is left ([`shrink`]), and read ([`story`]).
//!
//! It does not simulate what has tests of its own on real systems: files, archives, SQL, HTTP.

mod device;
mod dice;
pub mod explore;
pub mod figures;
pub mod invariant;
mod kept_out;
mod late;
mod scenario;
mod server;
pub mod shrink;
pub mod story;
mod world;

pub use scenario::{Fault, Lie, Network, Scenario};
pub use world::{Ended, Endings, World};
